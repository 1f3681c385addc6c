"""The public log: checkpoints, tiles and proofs for everybody; the entries themselves for auditors.

Paths and bytes are those of C2SP tlog-tiles, so that any client of such logs can follow this one. Tiles never change;
they may be kept forever. The checkpoint is the only thing that moves.
"""

from typing import Any, Final

from flask import Response, request

from api.body import Blueprint
from api.oauth.protect import authenticate_agency
from api.oauth.scopes import Scope
from api.problems import INVALID, ProblemError
from api.services import services
from api.v1.audit_schemas import ConsistencyAnswer, ConsistencyQuery, InclusionAnswer, InclusionQuery
from crypto.errors import MalformedError
from exchange.access import admit
from exchange.audit import log
from exchange.audit.tiles import parse_index_path
from exchange.errors import UnknownEntryError

blueprint = Blueprint(
    "audit",
    __name__,
    url_prefix="/audit",
    description="The log of everything that the exchange did: tiles (C2SP tlog-tiles), checkpoints and proofs.",
)

_BYTES: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_FOREVER: Final = "max-age=31536000, immutable"
_MAX_LEVEL: Final = 63  # C2SP tlog-tiles
_MAX_TILE: Final = 2**54  # beyond it an entry's number has more bits than a database keeps


@blueprint.route("/checkpoint")
@blueprint.doc(security=[], responses={"200": {"description": "A signed note.", "content": {"text/plain": {}}}})
def checkpoint() -> Response:
    """The newest checkpoint: origin, size and root of the log, signed (C2SP tlog-checkpoint).

    It has cosignatures of witnesses as soon as they have come; `/audit/cosigned/checkpoint` always has.
    """
    with services().exchange.database.read() as connection:
        note = log.checkpoint_note(connection)
    return _answer(note, _TEXT, "no-store")


@blueprint.route("/cosigned/checkpoint")
@blueprint.doc(security=[], responses={"200": {"description": "A signed note.", "content": {"text/plain": {}}}})
def cosigned_checkpoint() -> Response:
    """The newest checkpoint that a quorum of witnesses has cosigned (C2SP tlog-cosignature); 404 when there is none.

    `/audit/cosigned` is the same log, for clients that take only what others have seen too.
    """
    with services().exchange.database.read() as connection:
        newest = log.cosigned_checkpoint(connection, services().exchange.settings.witnesses)
    return _answer(newest.note, _TEXT, "no-store")


@blueprint.route("/vkey")
@blueprint.doc(security=[], responses={"200": {"description": "A verifier key.", "content": {"text/plain": {}}}})
def vkey() -> Response:
    """The public key that verifies checkpoints (C2SP signed-note).

    Keep it, and compare: a key that is fetched together with the log proves little.
    """
    try:
        key = services().config.vkey_file.read_text(encoding="ascii")
    except OSError:
        raise UnknownEntryError("the public key of the log is not kept here") from None
    return _answer(key, _TEXT, "public, max-age=3600")


@blueprint.route("/tile/<int:level>/<path:index>")
@blueprint.route("/cosigned/tile/<int:level>/<path:index>", endpoint="cosigned_tile")
@blueprint.doc(security=[], responses={"200": {"description": "Hashes of 32 bytes.", "content": {_BYTES: {}}}})
def tile(level: int, index: str) -> Response:
    """Up to 256 hashes of one level of the tree.

    `index` is written in groups of three digits, as in `x001/x234/067`; `.p/<width>` asks for a partial tile.
    """
    n, width = _index(index)
    if level > _MAX_LEVEL:
        raise UnknownEntryError("no tree has so many levels")
    with services().exchange.database.read() as connection:
        data = log.tile(connection, level, n, width)
    return _answer(data, _BYTES, f"public, {_FOREVER}")


@blueprint.route("/tile/entries/<path:index>")
@blueprint.route("/cosigned/tile/entries/<path:index>", endpoint="cosigned_entries")
@blueprint.doc(
    security=[{"client": [Scope.AUDIT_READ.value]}],
    responses={"200": {"description": "Entries, each after its length.", "content": {_BYTES: {}}}},
)
def entries(index: str) -> Response:
    """Up to 256 entries, each after its length in two bytes. For auditors: scope `audit:read`."""
    admit(services().exchange, authenticate_agency(Scope.AUDIT_READ.value), services().clock())
    n, width = _index(index)
    with services().exchange.database.read() as connection:
        data = log.entries(connection, n, width)
    return Response(data, content_type=_BYTES)


@blueprint.route("/proof/inclusion")
@blueprint.doc(security=[])
@blueprint.arguments(InclusionQuery, location="query")
@blueprint.response(200, InclusionAnswer)
def inclusion(query: dict[str, Any]) -> Any:
    """Prove that an entry, named by `id` or by `index`, is in the log.

    With `Accept: text/plain` the proof comes as a file (c2sp.org/tlog-proof), which `cdx log verify` checks offline.
    """
    if ("id" in query) == ("index" in query):
        raise ProblemError(INVALID, "name one entry, by id or by index")
    policy = None
    if query["cosigned"]:
        if "size" in query:
            raise ProblemError(INVALID, "name a size, or ask for the newest that is cosigned: not both")
        policy = services().exchange.settings.witnesses
        if policy is None:
            raise UnknownEntryError("no witnesses are asked here: leave out cosigned")
    with services().exchange.database.read() as connection:
        proof = services().prover.inclusion(
            connection, entry_id=query.get("id"), index=query.get("index"), size=query.get("size"), cosigned=policy
        )
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
        # The entry itself is for auditors.
        return _answer(proof.to_text(with_entry=False), _TEXT, "no-store")
    return proof.to_json()


@blueprint.route("/proof/consistency")
@blueprint.doc(security=[])
@blueprint.arguments(ConsistencyQuery, location="query")
@blueprint.response(200, ConsistencyAnswer)
def consistency(query: dict[str, Any]) -> Any:
    """Prove that the log only grew between two checkpoints."""
    with services().exchange.database.read() as connection:
        proof = services().prover.consistency(connection, old_size=query["old"], new_size=query.get("new"))
    return proof.to_json()


def _index(path: str) -> tuple[int, int]:
    try:
        n, width = parse_index_path(path)
    except MalformedError:
        raise UnknownEntryError("not the path of a tile") from None
    if n > _MAX_TILE:
        raise UnknownEntryError("no log has so many tiles")
    return n, width


def _answer(body: str | bytes, content_type: str, cache: str) -> Response:
    response = Response(body, content_type=content_type)
    response.headers["Cache-Control"] = cache
    # Verifiers run in browsers too, and nothing here is secret.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
