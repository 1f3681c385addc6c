"""The resource side: who calls, by access token and DPoP proof (RFC 9449 §7, RFC 6750 §2.1).

What is checked here costs no look at the database. The rest is the use case's, in the transaction in which it acts:
that the token is live, and that the proof was not used before.
"""

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
    return Caller(
        token_digest=token.digest,
        client_id=token.client_id,
        jkt=token.jkt,
        scopes=token.scopes,
        proof_digest=proof.use.digest,
        proof_expires_at=proof.use.expires_at,
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


def _authenticate(state: OAuthState, request: Request, now: datetime) -> tuple[VerifiedToken, Proof]:
    try:
        token = state.tokens.verify(_access_token(request), now)
        proof = verify_proof(
            request.headers.getlist("DPoP"),
            method=request.method,
            url=state.url(encoded_path(request.path)),
            now=now,
            ath=token.ath,
        )
    except AccessTokenError as exc:
        raise unauthorized("invalid_token", exc.text(teaching=state.teaching)) from None
    except ProofError as exc:
        raise unauthorized("invalid_dpop_proof", exc.text(teaching=state.teaching)) from None
    if proof.jkt != token.jkt:  # DP-12
        bound = AccessTokenError("the access token is bound to another key than the one of the DPoP proof")
        raise unauthorized("invalid_token", bound.text(teaching=state.teaching))
    return token, proof


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
