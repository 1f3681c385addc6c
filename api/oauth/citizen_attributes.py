"""``authorization_details`` of the one type that exists here, ``citizen_attributes`` (RFC 9396 §2), read strictly."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from api.oauth.errors import InvalidAuthorizationDetailsError
from crypto.canonical import load_json
from crypto.errors import MalformedError
from exchange.authorization.model import DETAILS_TYPE, Permission

MAX_BYTES = 16_384
MAX_LINES = 64
_NAME = validate.Regexp(r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$(?!\n)", error="not a catalogue name")
_LINE = validate.And(
    validate.Length(min=1, max=256), validate.Regexp(r"^[^\x00-\x1f\x7f]*$(?!\n)", error="no control characters")
)


class _TrueOrFalse(fields.Boolean):
    """Not 1 and 0, and not "yes"."""

    def _deserialize(self, value: Any, *_of: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Line(Schema):
    """One attribute in one form."""

    name = fields.String(required=True, validate=_NAME)
    form = fields.String(load_default="value", validate=_NAME)
    required = _TrueOrFalse(load_default=True)


class _Details(Schema):
    """What a person is asked to allow."""

    type = fields.String(required=True, validate=validate.Equal(DETAILS_TYPE))
    agreement = fields.String(required=True, validate=_LINE)
    purpose = fields.String(required=True, validate=_LINE)
    attributes = fields.List(fields.Nested(_Line), required=True, validate=validate.Length(min=1, max=MAX_LINES))
    duration = fields.String(validate=validate.Length(max=32))
    uses = fields.Integer(strict=True, validate=validate.Range(min=1, max=2**31 - 1))
    message = fields.String(validate=_LINE)


_SCHEMA = _Details()


def read_details(text: str) -> Permission:
    """The permission that a parameter asks for: a JSON list of exactly one object.

    Raises:
        InvalidAuthorizationDetailsError: anything else. It names members that are defined, never values.
    """
    try:
        document = load_json(text, max_bytes=MAX_BYTES)
    except MalformedError:
        raise InvalidAuthorizationDetailsError("authorization_details is not JSON.") from None
    if not isinstance(document, list) or len(document) != 1:
        raise InvalidAuthorizationDetailsError("authorization_details must be a list of exactly one object.")
    try:
        return Permission.of(_SCHEMA.load(document[0]))
    except ValidationError as exc:
        known = sorted(name for name in exc.messages_dict if name in _SCHEMA.fields)
        what = f"not valid: {', '.join(known)}" if known else "not an object, or one with unknown members"
        raise InvalidAuthorizationDetailsError(f"authorization_details is {what}.") from None
