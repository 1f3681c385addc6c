"""What the exchange and a live provider say to each other. Pure. For readers: docs/provider-protocol.md.

The exchange POSTs a *query* to the provider's endpoint, and the provider gives an *answer*; both ``application/jwt``: a
signed JWS inside a JWE (ECDH-ES over P-256, A256GCM), padded so that the length tells little.

Query, typ ``cdx-attribute-query+jwt``, signed by the exchange, encrypted to the provider's encryption key:

    iss         issuer of the exchange            aud         agency code of the provider
    iat, exp    seconds; exp at most 60 later     jti         32 random bytes, base64url: taken once
    request     id of the attribute request       purpose     purpose code
    subject     {"scheme", "id"}                  attributes  [names], each once
    answer_key  public JWK (P-256) made for this one query: the answer is encrypted to it
    pad         filler

Answer, typ ``cdx-attribute-answer+jwt``, signed by the provider, encrypted to ``answer_key``:

    iss         agency code of the provider       aud         issuer of the exchange
    iat, exp    as above                          request     as asked
    query       SHA-256 of the query's JWS, base64url: an answer to another query is refused
    subject     SHA-256 of "cdx/provider-subject/v1" || lp16(scheme) || lp16(id), base64url
    answers     [{"name", "state", …}], exactly the attributes asked for, in any order
    pad         filler

An answer's states: ``present`` (with ``value``, or ``code`` and ``label``), ``absent``, ``not_applicable``, ``empty``,
``unavailable``, and three that only a registry can tell: ``not_held`` (no such person, or no such attribute here),
``ambiguous`` (several rows fit: none is chosen), ``closed_until`` (with ``until``, a date: closed to inquiry).
Optional: ``last_updated``, ``valid_until`` (dates), ``assurance``, ``source_class``.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from crypto.encoding import b64u_encode, lp16_text, utf8
from crypto.errors import CryptoError, DecryptionError, MalformedError, UnknownKeyError, VerificationError
from crypto.ids import random_bytes
from crypto.jose import (
    EncryptionPrivateKey,
    PublicKey,
    SigningKey,
    decrypt_jwe,
    encrypt_jwe,
    load_public_jwk,
    sign_jws,
    verify_jws,
)
from exchange.errors import ExchangeError, ProviderProtocolError
from exchange.model import SubjectName
from exchange.providers.values import STATES, is_date

QUERY_TYPE: Final = "cdx-attribute-query+jwt"
ANSWER_TYPE: Final = "cdx-attribute-answer+jwt"
MEDIA_TYPE: Final = "application/jwt"
LIFETIME: Final = timedelta(seconds=60)
LEEWAY: Final = timedelta(seconds=5)
"""How far the two clocks may be apart."""
MAX_QUERY_BYTES: Final = 32_768
MAX_ANSWER_BYTES: Final = 2**20
MAX_ATTRIBUTES: Final = 64
ANSWER_STATES: Final = STATES | {"not_held", "ambiguous", "closed_until"}
_PAD_TO: Final = 192
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_QUERY_MEMBERS: Final = frozenset(
    {"iss", "aud", "iat", "exp", "jti", "request", "purpose", "subject", "attributes", "answer_key", "pad"}
)
_ANSWER_MEMBERS: Final = frozenset({"iss", "aud", "iat", "exp", "request", "query", "subject", "answers", "pad"})
_LINE_MEMBERS: Final = frozenset(
    {
        "name",
        "state",
        "value",
        "code",
        "label",
        "until",
        "last_updated",
        "valid_until",
        "assurance",
        "source_class",
    }
)
_is_name = re.compile(r"[a-z][a-z0-9_.]{0,63}").fullmatch
_is_code = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}").fullmatch
_is_jti = re.compile(r"[A-Za-z0-9_-]{22,64}").fullmatch

KeyFinder = Callable[[str | None], PublicKey]
"""The public signature key of a kid; UnknownKeyError when there is none."""


class QueryRefusedError(ExchangeError):
    """A query that a provider does not answer. ``reason`` is a code for the answer's problem, never about a person."""

    code = "query-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the query is refused: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query whose signature, audience and time were checked. ``digest``: SHA-256 of its JWS, base64url."""

    issuer: str
    audience: str
    jti: str
    request: UUID
    purpose: str
    subject: SubjectName = field(repr=False)
    attributes: tuple[str, ...]
    expires_at: datetime
    digest: str
    answer_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SentQuery:
    """A query as it goes out, and what is needed to read its answer."""

    body: str
    digest: str
    request: UUID
    issuer: str
    provider: str
    subject: SubjectName = field(repr=False)
    attributes: tuple[str, ...]
    answer_key: EncryptionPrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """What a provider says about one attribute."""

    name: str
    state: str
    value: Any = field(default=None, repr=False)
    until: str | None = None
    last_updated: str | None = None
    valid_until: str | None = None
    assurance: str | None = None
    source_class: str | None = None


def write_query(
    *,
    issuer: str,
    provider: str,
    request: UUID,
    purpose: str,
    subject: SubjectName,
    attributes: Sequence[str],
    signer: SigningKey,
    recipient: PublicKey,
    now: datetime,
) -> SentQuery:
    """Make a query with a fresh jti and a fresh key for its answer; never send one twice."""
    answer_key = EncryptionPrivateKey.generate("answer")
    claims = {
        "iss": issuer,
        "aud": provider,
        **_times(now),
        "jti": b64u_encode(random_bytes(32)),
        "request": str(request),
        "purpose": purpose,
        "subject": {"scheme": subject.scheme, "id": subject.id},
        "attributes": list(attributes),
        "answer_key": answer_key.public_jwk(),
    }
    token = _sign(claims, signer, QUERY_TYPE)
    return SentQuery(
        body=encrypt_jwe(token.encode("ascii"), key=recipient),
        digest=_digest(token),
        request=request,
        issuer=issuer,
        provider=provider,
        subject=subject,
        attributes=tuple(attributes),
        answer_key=answer_key,
    )


def read_query(
    body: bytes, *, issuer: str, provider: str, keys: KeyFinder, decryption: EncryptionPrivateKey, now: datetime
) -> Query:
    """Read a query and check everything but whether its jti was seen before.

    Raises:
        QueryRefusedError: anything is wrong with it.
    """
    try:
        token = _ascii(decrypt_jwe(_ascii(body), key=decryption, max_bytes=MAX_QUERY_BYTES))
        verified = verify_jws(token, key=_by_kid(keys), typ=QUERY_TYPE, max_bytes=MAX_QUERY_BYTES)
        claims = verified.claims()
    except UnknownKeyError:
        raise QueryRefusedError("unknown_key") from None
    except DecryptionError:
        raise QueryRefusedError("not_for_this_key") from None
    except VerificationError:
        raise QueryRefusedError("signature") from None
    except MalformedError:
        raise QueryRefusedError("malformed") from None
    if claims.get("iss") != issuer:
        raise QueryRefusedError("issuer")
    if claims.get("aud") != provider:
        raise QueryRefusedError("audience")
    if _outside(claims, now):
        raise QueryRefusedError("time")
    try:
        return _query(claims, _digest(token))
    except (KeyError, TypeError, ValueError, CryptoError):
        raise QueryRefusedError("malformed") from None


def write_answer(query: Query, lines: Sequence[AnswerLine], *, signer: SigningKey, now: datetime) -> str:
    """Answer a query, for its asker only."""
    claims = {
        "iss": query.audience,
        "aud": query.issuer,
        **_times(now),
        "request": str(query.request),
        "query": query.digest,
        "subject": subject_digest(query.subject),
        "answers": [_line_to_json(line) for line in lines],
    }
    return encrypt_jwe(_sign(claims, signer, ANSWER_TYPE).encode("ascii"), key=query.answer_key)


def read_answer(body: bytes, sent: SentQuery, *, keys: KeyFinder, now: datetime) -> dict[str, AnswerLine]:
    """Read the answer to ``sent``, by name of attribute.

    Raises:
        ProviderProtocolError: malformed, not signed by the provider, too old, or an answer to something else.
    """
    try:
        token = _ascii(decrypt_jwe(_ascii(body), key=sent.answer_key, max_bytes=MAX_ANSWER_BYTES))
        claims = verify_jws(token, key=_by_kid(keys), typ=ANSWER_TYPE, max_bytes=MAX_ANSWER_BYTES).claims()
    except CryptoError as exc:
        raise ProviderProtocolError(f"the provider's answer cannot be read or does not verify ({exc.code})") from exc
    expected = {
        "iss": sent.provider,
        "aud": sent.issuer,
        "request": str(sent.request),
        "query": sent.digest,
        "subject": subject_digest(sent.subject),
    }
    wrong = [name for name, value in expected.items() if claims.get(name) != value]
    if wrong:
        raise ProviderProtocolError(f"the provider answered something else: {', '.join(wrong)} differ")
    if _outside(claims, now):
        raise ProviderProtocolError("the provider's answer is from another time")
    if not claims.keys() <= _ANSWER_MEMBERS:
        raise ProviderProtocolError("the provider's answer has foreign members")
    return _lines(claims.get("answers"), sent.attributes)


def subject_digest(subject: SubjectName) -> str:
    """The name of the person in an answer."""
    named = b"cdx/provider-subject/v1" + lp16_text(subject.scheme) + lp16_text(subject.id)
    return b64u_encode(sha256(named).digest())


def key_finder(keys: Sequence[PublicKey]) -> KeyFinder:
    """Finds a key among these by its kid. An unnamed key is taken only where the token names none, and there is one."""

    def find(kid: str | None) -> PublicKey:
        found = [key for key in keys if key.kid == kid]
        if len(found) != 1:
            raise UnknownKeyError("no key of that name")
        return found[0]

    return find


def _by_kid(keys: KeyFinder) -> Callable[[Mapping[str, Any]], PublicKey]:
    def find(header: Mapping[str, Any]) -> PublicKey:
        kid = header.get("kid")
        return keys(kid if isinstance(kid, str) else None)

    return find


def _times(now: datetime) -> dict[str, int]:
    issued = int(now.timestamp())
    return {"iat": issued, "exp": issued + int(LIFETIME.total_seconds())}


def _outside(claims: Mapping[str, Any], now: datetime) -> bool:
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        return True
    if not 0 < expires - issued <= LIFETIME.total_seconds():
        return True
    at, leeway = now.timestamp(), LEEWAY.total_seconds()
    return not issued - leeway <= at < expires + leeway


def _sign(claims: Mapping[str, Any], signer: SigningKey, typ: str) -> str:
    start = utf8(_encode(claims)[:-1] + ',"pad":"')
    # Base64url turns 192 bytes into 256; what is short of a full block is filled up.
    return sign_jws(start + b"." * (-(len(start) + 2) % _PAD_TO) + b'"}', key=signer, typ=typ)


def _digest(token: str) -> str:
    return b64u_encode(sha256(token.encode("ascii")).digest())


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError("a token is ASCII text") from None


def _query(claims: dict[str, Any], digest: str) -> Query:
    subject, attributes = claims["subject"], claims["attributes"]
    if not claims.keys() <= _QUERY_MEMBERS or not _is_jti(claims["jti"]) or not _is_code(claims["purpose"]):
        raise MalformedError("a member of the query")
    if not isinstance(subject, dict) or subject.keys() != {"scheme", "id"}:
        raise MalformedError("the subject of the query")
    if not all(isinstance(text, str) and text for text in subject.values()):
        raise MalformedError("the subject of the query")
    if not isinstance(attributes, list) or not 0 < len(attributes) <= MAX_ATTRIBUTES:
        raise MalformedError("the attributes of the query")
    if not all(map(_is_name, attributes)) or len(set(attributes)) < len(attributes):
        raise MalformedError("the attributes of the query")
    return Query(
        issuer=claims["iss"],
        audience=claims["aud"],
        jti=claims["jti"],
        request=UUID(claims["request"]),
        purpose=claims["purpose"],
        subject=SubjectName(scheme=subject["scheme"], id=subject["id"]),
        attributes=tuple(attributes),
        expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC),
        digest=digest,
        answer_key=load_public_jwk(claims["answer_key"], use="enc"),
    )


def _line_to_json(line: AnswerLine) -> dict[str, Any]:
    members: dict[str, Any] = {"name": line.name, "state": line.state}
    if isinstance(line.value, Mapping):
        members |= {"code": line.value["code"], "label": line.value["label"]}
    else:
        members["value"] = line.value
    for name in ("until", "last_updated", "valid_until", "assurance", "source_class"):
        members[name] = getattr(line, name)
    return {name: value for name, value in members.items() if value is not None}


def _lines(answers: Any, asked: Sequence[str]) -> dict[str, AnswerLine]:
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise ProviderProtocolError("the provider's answer has no list of answers")
    lines: dict[str, AnswerLine] = {}
    for one in answers:
        name = one.get("name")
        if name not in asked or name in lines:
            raise ProviderProtocolError("the provider answered an attribute that was not asked for, or one twice")
        if not one.keys() <= _LINE_MEMBERS or one.get("state") not in ANSWER_STATES:
            raise ProviderProtocolError(f"the provider's answer about {name} has a foreign member or state")
        lines[name] = _line(one, name)
    if len(lines) < len(asked):
        raise ProviderProtocolError("the provider left out an attribute that was asked for")
    return lines


def _line(one: dict[str, Any], name: str) -> AnswerLine:
    has_code = "code" in one or "label" in one
    if has_code and "value" in one:
        raise ProviderProtocolError(f"the provider's answer about {name} has a value and a code")
    if (one["state"] == "closed_until") is not is_date(one.get("until")):
        raise ProviderProtocolError(f"the provider's answer about {name}: until goes with closed_until, and is a date")
    value = {"code": one.get("code"), "label": one.get("label")} if has_code else one.get("value")
    return AnswerLine(
        name=name,
        state=one["state"],
        value=value,
        until=one.get("until"),
        last_updated=one.get("last_updated"),
        valid_until=one.get("valid_until"),
        assurance=one.get("assurance"),
        source_class=one.get("source_class"),
    )
