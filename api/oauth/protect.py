"""The resource side: who calls, by access token and DPoP proof (RFC 9449 §7, RFC 6750 §2.1).

What is checked here costs no look at the database. The rest is the use case's, in the transaction in which it acts:
that the token is live, and that the proof was not used before.
"""

from collections.abc import Sequence
from datetime import datetime

from flask import Request, request

from api.oauth.access_denied import insufficient_scope, invalid_request, unauthorized
from api.oauth.access_tokens import VerifiedToken
from api.oauth.dpop import Proof, encoded_path, verify_proof
from api.oauth.errors import AccessTokenError, ProofError
from api.oauth.scopes import Scope
from api.oauth.state import OAuthState, oauth_state
from exchange.model import Caller, Citizen

_QUERY_NAMES = ("access_token", "DPoP", "dpop")


def authenticate_agency(scope: str) -> Caller:
    """The client that calls, with a token that carries ``scope``.

    Raises:
        AccessDeniedError: 401 or 403.
    """
    state = oauth_state()
    token, proof = _authenticate(state, request, state.now())
    if token.client_id is None or scope not in token.scopes:
        raise insufficient_scope(scope)
    return caller_of(token, proof)


def caller_of(token: VerifiedToken, proof: Proof) -> Caller:
    """The client behind a token of a client and its proof."""
    assert token.client_id is not None  # looked at before
    return Caller(
        token_digest=token.digest,
        client_id=token.client_id,
        jkt=token.jkt,
        scopes=token.scopes,
        proof_digest=proof.use.digest,
        proof_expires_at=proof.use.expires_at,
        stands_for_person=token.stands_for_person,
    )


def authenticate_citizen() -> Citizen:
    """The person who calls, with the own token.

    Raises:
        AccessDeniedError: 401 or 403.
    """
    state = oauth_state()
    token, proof = _authenticate(state, request, state.now())
    if token.subject_ref is None:
        raise insufficient_scope(Scope.ME.value)
    return Citizen(
        subject_ref=token.subject_ref,
        token_digest=token.digest,
        jkt=token.jkt,
        proof_digest=proof.use.digest,
        proof_expires_at=proof.use.expires_at,
    )


def verify(
    state: OAuthState, access_token: str, proofs: Sequence[str], *, method: str, path: str, now: datetime
) -> tuple[VerifiedToken, Proof]:
    """Token and proof, each by itself and the one for the other.

    Args:
        state: of the application.
        access_token: what follows the scheme.
        proofs: the values of all DPoP headers.
        method: of the request.
        path: of the request, as it stands in an address.
        now: the time of the request.

    Raises:
        AccessTokenError: the token does not hold.
        ProofError: the proof does not hold.
    """
    token = state.tokens.verify(access_token, now)
    proof = verify_proof(proofs, method=method, url=state.url(path), now=now, ath=token.ath)
    if proof.jkt != token.jkt:  # DP-12
        raise AccessTokenError("the access token is bound to another key than the one of the DPoP proof")
    return token, proof


def _authenticate(state: OAuthState, request: Request, now: datetime) -> tuple[VerifiedToken, Proof]:
    token, proofs = _access_token(request), request.headers.getlist("DPoP")
    try:
        return verify(state, token, proofs, method=request.method, path=encoded_path(request.path), now=now)
    except AccessTokenError as exc:
        raise unauthorized("invalid_token", exc.text(teaching=state.teaching)) from None
    except ProofError as exc:
        raise unauthorized("invalid_dpop_proof", exc.text(teaching=state.teaching)) from None


def _access_token(request: Request) -> str:
    # RS-02: a token in an address ends up in logs. Refused even beside a good header.
    if any(name in request.args for name in _QUERY_NAMES):
        raise invalid_request("Tokens and proofs belong in headers, never in the address.")
    values = request.headers.getlist("Authorization")
    if not values:
        raise unauthorized(None, "Send an access token and a DPoP proof.")
    scheme, _, token = values[0].partition(" ")
    if len(values) != 1 or "," in values[0]:
        raise invalid_request("There must be exactly one Authorization header.")
    # RFC 9110 §11.1: the name of a scheme has no case.
    if scheme.lower() != "dpop":
        # DP-13: every token here is bound, so none may come as a bearer token.
        raise unauthorized("invalid_token", "Send the access token with the scheme DPoP.")
    return token.strip(" ")
