"""``/v1/subjects``: a provider writes what it holds into the vault, sealed per person and field."""

from typing import Any, Final

from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from api.body import Blueprint
from api.oauth.protect import authenticate_agency
from api.services import services
from api.v1.attribute_requests import SubjectSchema
from exchange import access, subjects
from exchange.model import HeldValue, SubjectName

blueprint = Blueprint("subjects", __name__, url_prefix="/v1/subjects", description="Providers write what they hold.")

_SCOPE: Final = "attributes:write"
_MAX_BATCH: Final = 500
_NAME = validate.Regexp(r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$(?!\n)", error="not a catalogue name")
_DATE = validate.Regexp(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", error="not a date (YYYY-MM-DD)")


class ValueSchema(Schema):
    """One attribute. Absent, not applicable, unavailable and empty are four different things."""

    name = fields.String(required=True, validate=_NAME)
    state = fields.String(
        load_default="present",
        validate=validate.OneOf(["present", "absent", "not_applicable", "unavailable", "empty"]),
    )
    value = fields.Raw(metadata={"description": "text, integer or boolean, by the attribute's type"})
    code = fields.String()
    label = fields.String()
    last_updated = fields.String(validate=_DATE)
    valid_until = fields.String(validate=_DATE)
    assurance = fields.String(validate=validate.OneOf(["low", "substantial", "high"]))

    @validates_schema
    def _fits(self, data: dict[str, Any], **_: Any) -> None:
        given = {"value", "code", "label"} & data.keys()
        if data.get("state") == "present":
            if given not in ({"value"}, {"code", "label"}):
                raise ValidationError("give value, or code and label", "value")
        elif given:
            raise ValidationError("only with the state present", min(given))


class RecordSchema(Schema):
    """What is held of one person."""

    subject = fields.Nested(SubjectSchema, required=True)
    attributes = fields.List(fields.Nested(ValueSchema), required=True, validate=validate.Length(min=1, max=256))

    @post_load
    def _to_value(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data


class BatchSchema(Schema):
    """Several people at once: all of them, or none."""

    records = fields.List(fields.Nested(RecordSchema), required=True, validate=validate.Length(min=1, max=_MAX_BATCH))


class WrittenSchema(Schema):
    """What a write did."""

    created = fields.Integer(metadata={"description": "people who were new"})
    written = fields.Integer(metadata={"description": "people written about, new ones included"})


@blueprint.route("/attributes")
class Attributes(MethodView):
    """One person."""

    @blueprint.arguments(RecordSchema)
    @blueprint.response(200, WrittenSchema)
    def put(self, record: dict[str, Any]) -> Any:
        """Write what is held of one person. Repeating it changes nothing but the versions."""
        return _write([record])


@blueprint.route("/attributes/batch")
class AttributeBatch(MethodView):
    """Many people."""

    @blueprint.arguments(BatchSchema)
    @blueprint.response(200, WrittenSchema)
    def post(self, batch: dict[str, Any]) -> Any:
        """Write what is held of up to 500 people, all or nothing."""
        return _write(batch["records"])


def _write(records: list[dict[str, Any]]) -> subjects.Written:
    service = services()
    caller = authenticate_agency(_SCOPE)
    now = service.clock()
    live = access.admit(service.exchange, caller, now)
    values = [_record(record, live.agency) for record in records]
    return subjects.write_values(service.exchange, live.agency, values, now)


def _record(record: dict[str, Any], agency: str) -> subjects.SubjectRecord:
    return subjects.SubjectRecord(
        subject=SubjectName(**record["subject"]),
        values=tuple(_held(one, agency) for one in record["attributes"]),
    )


def _held(one: dict[str, Any], agency: str) -> HeldValue:
    value = {"code": one["code"], "label": one["label"]} if "code" in one else one.get("value")
    optional = {name: one[name] for name in ("last_updated", "valid_until", "assurance") if name in one}
    return HeldValue(name=one["name"], provider=agency, state=one["state"], value=value, **optional)
