"""Tables of the exchange: parties, people, sealed values, requests, disclosures, and what may happen only once.

Personal values stand only in sealed columns (``ct`` …); a person is named by ``subject_ref``, a random reference that
leads to nobody once the key and index rows are gone. Touched by the ``store`` modules only.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from consent.columns import Instant
from consent.tables import NAMING, consent

metadata = MetaData(naming_convention=NAMING)

installation = Table(  # one row: who we are
    "installation",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("origin", String(255), nullable=False),  # the audit log's origin line
    Column("operator_ref", Uuid, nullable=False),  # key owner for facts about nobody
    Column("created_at", Instant, nullable=False),
    Column("configuration_digest", String(64)),  # of the settings that the last entry about them told of
)

agency = Table(
    "agency",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("profile", Text, nullable=False),  # canonical JSON: address, contact, url, live endpoint …
    Column("status", String(16), nullable=False),  # ACTIVE | SUSPENDED
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("agency", String(64), ForeignKey(agency.c.code), nullable=False),
    Column("jwks", Text, nullable=False),  # public keys: sig for assertions, one enc key for answers
    Column("scopes", Text, nullable=False),  # space separated
    Column("status", String(16), nullable=False),  # ACTIVE | SUSPENDED
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("registration", Text, nullable=False, server_default="{}"),  # canonical JSON: exchange.client_registration
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON of the validated YAML file
    Column("loaded_at", Instant, nullable=False),
)

agreement = Table(
    "agreement",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code", String(128), nullable=False),
    Column("consumer", String(64), ForeignKey(agency.c.code), nullable=False),
    Column("purpose", String(128), nullable=False),
    Column("status", String(16), nullable=False),  # PROPOSED | IN_FORCE | ENDED
    Column("revision", Integer, nullable=False),  # the revision in force (or proposed, while none is)
    Column("version", Integer, nullable=False),  # bumped by whatever changes what it permits
    Column("body", LargeBinary, nullable=False),  # canonical JSON of that revision (exchange.agreements)
    Column("digest", String(64), nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant, nullable=False),
    Column("ended_at", Instant, nullable=True),
    UniqueConstraint("code"),
)

agreement_revision = Table(
    "agreement_revision",
    metadata,
    Column("agreement_id", Uuid, ForeignKey(agreement.c.id), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("proposed_by", String(128), nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("approved_by", String(128), nullable=True),
    Column("approved_at", Instant, nullable=True),
    CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="two_people"),
)

kek = Table(
    "kek",
    metadata,
    Column("epoch", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),  # ACTIVE | DECRYPT_ONLY | DESTROYED
    Column("created_at", Instant, nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("ref", Uuid, primary_key=True),
    Column("status", String(16), nullable=False),  # ACTIVE | DECEASED | PROTECTED | ERASED | OPERATOR
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
)

subject_key = Table(
    "subject_key",
    metadata,
    Column("subject_ref", Uuid, ForeignKey(subject.c.ref), primary_key=True),
    Column("kid", LargeBinary(16), primary_key=True),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("epoch", Integer, ForeignKey(kek.c.epoch), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_subject_key_epoch", "epoch", "kid"),
)

subject_identifier = Table(
    "subject_identifier",
    metadata,
    Column("bidx", LargeBinary(16), primary_key=True),  # blind index of lp16(scheme) || lp16(id)
    Column("index_version", Integer, primary_key=True),
    Column("id", Uuid, nullable=False),  # record id of the sealed identifier
    Column("subject_ref", Uuid, ForeignKey(subject.c.ref), nullable=False),
    Column("version", Integer, nullable=False),
    Column("ct", LargeBinary, nullable=False),  # sealed {"id","scheme"}
    Index("ix_subject_identifier_subject_ref", "subject_ref"),
)

pseudonym = Table(
    "pseudonym",
    metadata,
    Column("agency", String(64), primary_key=True),
    Column("value", String(64), primary_key=True),
    Column("subject_ref", Uuid, ForeignKey(subject.c.ref), nullable=False),
    Index("ix_pseudonym_subject_ref", "subject_ref"),
)

attribute_value = Table(
    "attribute_value",
    metadata,
    Column("subject_ref", Uuid, ForeignKey(subject.c.ref), primary_key=True),
    Column("attribute", String(64), primary_key=True),
    Column("id", Uuid, nullable=False),  # record id, bound into the seal
    Column("provider", String(64), nullable=False),
    Column("version", Integer, nullable=False),  # bumped on every write, bound into the seal
    Column("ct", LargeBinary, nullable=False),  # sealed canonical JSON: exchange.providers.vault
    Column("written_at", Instant, nullable=False),
)

attribute_request = Table(
    "attribute_request",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", String(128), ForeignKey(client.c.id), nullable=False),
    Column("agency", String(64), nullable=False),
    # Of an unknown person it is a fresh random reference without a subject row: the same rows are written for both.
    Column("subject_ref", Uuid, nullable=False),
    Column("agreement_id", Uuid, ForeignKey(agreement.c.id), nullable=False),
    Column("agreement_revision", Integer, nullable=False),
    Column("purpose", String(128), nullable=False),
    Column("attributes", Text, nullable=False),  # canonical JSON [{"form","name","required"}]; no values
    Column("status", String(16), nullable=False),  # exchange.model.RequestStatus
    Column("consent_id", Uuid, ForeignKey(consent.c.id), nullable=True),  # the consent that was asked for
    Column("reference_hash", LargeBinary(32), nullable=True),  # of the short reference the clerk hands over
    Column("sealed_by", Uuid, nullable=False),  # whose key sealed ``details``: the subject, or the operator
    Column("details", LargeBinary, nullable=False),  # sealed: acting officer, case reference, message, compare_to
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),  # an undecided request lapses then
    Column("settled_at", Instant, nullable=True),
    Index("ix_attribute_request_subject_ref", "subject_ref", "created_at"),
    Index("ix_attribute_request_client_id", "client_id", "created_at"),
    Index("ix_attribute_request_consent_id", "consent_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("client_id", String(128), primary_key=True),
    Column("key_digest", LargeBinary(32), primary_key=True),
    Column("body_digest", LargeBinary(32), nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_idempotency_created_at", "created_at"),
)

single_use = Table(
    "single_use",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of lp16(kind) || lp16(owner) || lp16(value)
    Column("expires_at", Instant, nullable=False),
    Index("ix_single_use_expires_at", "expires_at"),
)

disclosure = Table(
    "disclosure",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("request_id", Uuid, ForeignKey(attribute_request.c.id), nullable=False),
    Column("subject_ref", Uuid, nullable=False),
    Column("agency", String(64), nullable=False),
    Column("client_id", String(128), nullable=False),
    Column("client_version", Integer, nullable=False),
    Column("jkt", String(64), nullable=False),  # thumbprint of the DPoP key that asked
    Column("kid", String(128), nullable=False),  # the key the answer was encrypted to
    Column("agreement_id", Uuid, nullable=False),
    Column("agreement_revision", Integer, nullable=False),
    Column("agreement_version", Integer, nullable=False),
    Column("consent_id", Uuid, nullable=True),  # NULL: by law
    Column("consent_version", Integer, nullable=True),
    Column("subject_version", Integer, nullable=False),
    Column("purpose", String(128), nullable=False),
    Column("attributes", Text, nullable=False),  # canonical JSON [{"form","name"}] that went out
    Column("entry_id", Uuid, nullable=False),
    Column("at", Instant, nullable=False),
    Column("acknowledged_at", Instant, nullable=True),
    UniqueConstraint("request_id"),
    UniqueConstraint("entry_id"),
    Index("ix_disclosure_subject_ref", "subject_ref", "at"),
    Index("ix_disclosure_consent_id", "consent_id"),
)

form_use = Table(  # how often a weaker form was answered: many yes/no answers together would find the value
    "form_use",
    metadata,
    Column("subject_ref", Uuid, primary_key=True),
    Column("agency", String(64), primary_key=True),
    Column("attribute", String(64), primary_key=True),
    Column("form", String(64), primary_key=True),
    Column("period", String(16), primary_key=True),  # the calendar period that is counted, e.g. "2026"
    Column("uses", Integer, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of the jti
    Column("client_id", String(128), ForeignKey(client.c.id), nullable=True),  # NULL: a citizen's own token
    Column("subject_ref", Uuid, nullable=True),  # set on a citizen's own token
    Column("consent_id", Uuid, ForeignKey(consent.c.id), nullable=True),
    Column("jkt", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("status", String(16), nullable=False),  # ACTIVE | REVOKED
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    CheckConstraint("(client_id IS NULL) <> (subject_ref IS NULL)", name="one_owner"),
    Index("ix_access_token_expires_at", "expires_at"),
    Index("ix_access_token_consent_id", "consent_id"),
)

authorization_request = Table(  # pushed by a client (RFC 9126), decided by a person, redeemed by the client: minutes
    "authorization_request",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("uri_hash", LargeBinary(32), nullable=False),  # SHA-256 of the request_uri
    Column("client_id", String(128), ForeignKey(client.c.id), nullable=False),
    Column("ct", LargeBinary, nullable=False),  # what was pushed, sealed: exchange.authorization.model
    Column("jkt", String(64), nullable=True),  # the key that the code is bound to, if the client named one
    Column("pushed_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),  # of the request_uri: nobody may begin with it later
    Column("decide_until", Instant, nullable=False),  # whoever began with it may decide until then
    Column("decided_at", Instant, nullable=True),  # set once, by the one decision
    Column("consent_id", Uuid, ForeignKey(consent.c.id), nullable=True),  # what the person gave, or refused
    Column("code_hash", LargeBinary(32), nullable=True),  # SHA-256 of the code
    Column("code_expires_at", Instant, nullable=True),
    Column("redeemed_at", Instant, nullable=True),  # set once, by the one redemption
    UniqueConstraint("uri_hash"),
    UniqueConstraint("code_hash"),
    Index("ix_authorization_request_decide_until", "decide_until"),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of the token
    Column("client_id", String(128), ForeignKey(client.c.id), nullable=False),
    Column("consent_id", Uuid, ForeignKey(consent.c.id), nullable=False),  # it lives and dies with it
    Column("jkt", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("status", String(16), nullable=False),  # ACTIVE | REVOKED
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("ix_refresh_token_consent_id", "consent_id"),
    Index("ix_refresh_token_expires_at", "expires_at"),
)

import_progress = Table(  # where an interrupted ``cdx subjects import`` goes on
    "import_progress",
    metadata,
    Column("file_digest", String(64), primary_key=True),
    Column("next_line", Integer, nullable=False),
    Column("imported", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

journal = Table(  # what must not come back with an older database; the worker moves it to files elsewhere
    "journal",
    metadata,
    Column("id", Uuid, primary_key=True),  # entry id
    Column("at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON: kind and references
)
