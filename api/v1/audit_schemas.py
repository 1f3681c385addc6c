"""The shapes of questions and answers about proofs."""

from marshmallow import Schema, fields, validate

_SIZE = validate.Range(min=1, max=2**62)


class InclusionQuery(Schema):
    """Which entry, in which tree."""

    id = fields.UUID(metadata={"description": "Id of the entry, as the receipt says."})
    index = fields.Integer(validate=validate.Range(min=0, max=2**62), metadata={"description": "Place of the entry."})
    size = fields.Integer(validate=_SIZE, metadata={"description": "Size of a published checkpoint; else the newest."})
    cosigned = fields.Boolean(
        load_default=False,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "In the newest checkpoint that a quorum of witnesses has cosigned."},
    )


class ConsistencyQuery(Schema):
    """Which two checkpoints."""

    old = fields.Integer(
        data_key="from", required=True, validate=_SIZE, metadata={"description": "Size of the older checkpoint."}
    )
    new = fields.Integer(data_key="to", validate=_SIZE, metadata={"description": "Size of the newer; else the newest."})


class InclusionAnswer(Schema):
    """That an entry is in the log."""

    index = fields.Integer(required=True, metadata={"description": "Place of the entry, from 0."})
    size = fields.Integer(required=True, metadata={"description": "Entries in the tree."})
    leaf_hash = fields.String(required=True, metadata={"description": "RFC 9162 leaf hash, base64."})
    hashes = fields.List(fields.String(), required=True, metadata={"description": "From leaf to root, base64."})
    checkpoint = fields.String(required=True, metadata={"description": "The signed note over that tree."})


class ConsistencyAnswer(Schema):
    """That the log only grew."""

    old = fields.Integer(data_key="from", attribute="from", required=True)
    new = fields.Integer(data_key="to", attribute="to", required=True)
    hashes = fields.List(fields.String(), required=True, metadata={"description": "RFC 9162 §2.1.4, base64."})
    old_checkpoint = fields.String(required=True)
    new_checkpoint = fields.String(required=True)
