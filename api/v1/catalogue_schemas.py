"""The shapes of the catalogue's answers."""

from marshmallow import Schema, fields


def _text(description: str, *, allow_none: bool = False) -> fields.String:
    return fields.String(required=True, allow_none=allow_none, metadata={"description": description})


class Attribute(Schema):
    """One attribute."""

    name = _text("The name to ask by.")
    label = _text("What people call it.")
    description = _text("What it says, in a sentence.")
    type = _text("`string`, `integer`, `date`, `boolean`, `code` or `money`.")
    classification = _text("How sensitive it is.")
    provider = _text("Code of the agency that holds it.")
    forms = fields.List(
        fields.String(), required=True, metadata={"description": "Kinds of forms in which it is given."}
    )
    freshness_days = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How old a value may be, in days; null: it does not age."},
    )
    live = fields.Boolean(required=True, metadata={"description": "Fetched from the provider at each request."})
    dpv = _text("Term of the Data Privacy Vocabulary.", allow_none=True)


class Purpose(Schema):
    """One purpose."""

    code = _text("The code to ask with.")
    label = _text("What people call it.")
    description = _text("What it covers, in a sentence.")
    dpv = _text("Term of the Data Privacy Vocabulary.")
    legal_bases = fields.List(fields.String(), required=True, metadata={"description": "Admitted legal bases."})
    retention_days = fields.Integer(
        required=True, metadata={"description": "The longest that answers may be kept, in days."}
    )


class Agency(Schema):
    """One agency."""

    code = _text("The code by which agreements name it.")
    name = _text("Its name.")
    status = _text("`ACTIVE` or `SUSPENDED`.")
    jurisdiction = _text("Where it acts.", allow_none=True)
    url = _text("Its own pages.", allow_none=True)


class _Versioned(Schema):
    version = fields.Integer(required=True, metadata={"description": "Version of the catalogue."})
    digest = _text("SHA-256 of the catalogue, in hexadecimal.")


class AttributeList(_Versioned):
    """All attributes."""

    items = fields.List(fields.Nested(Attribute), required=True)


class PurposeList(_Versioned):
    """All purposes."""

    items = fields.List(fields.Nested(Purpose), required=True)


class AgencyList(Schema):
    """All agencies."""

    items = fields.List(fields.Nested(Agency), required=True)
