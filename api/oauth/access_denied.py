"""Refusals of the resource side as HTTP: a challenge (RFC 9449 §7.1, RFC 6750 §3) beside the problem body."""

from flask import Response

from api import problems
from api.oauth import dpop
from api.oauth.errors import readable
from api.oauth.metadata import PROTECTED_RESOURCE_PATH
from api.oauth.state import oauth_state
from exchange.errors import AccessRefusedError, ReplayedError


class AccessDeniedError(problems.ProblemError):
    """The caller is not let in. Raised before anything was read for it."""

    def __init__(self, problem: problems.Problem, error: str | None, text: str, *, scope: str | None = None) -> None:
        """Refuse.

        Args:
            problem: its row.
            error: code of RFC 6750 or RFC 9449; None where no credentials came (RFC 6750 §3.1).
            text: what the caller is told.
            scope: what a token would need.
        """
        super().__init__(problem, text, headers=challenge(error, text, scope=scope))


def unauthorized(error: str | None, text: str) -> AccessDeniedError:
    """401."""
    return AccessDeniedError(problems.STATUSES[401], error, text)


def invalid_request(text: str) -> AccessDeniedError:
    """400."""
    return AccessDeniedError(problems.STATUSES[400], "invalid_request", text)


def insufficient_scope(scope: str) -> AccessDeniedError:
    """403, naming what is needed."""
    text = f"The access token does not carry the scope {scope}."
    return AccessDeniedError(problems.INSUFFICIENT_SCOPE, "insufficient_scope", text, scope=scope)


def challenge(error: str | None, text: str, *, scope: str | None = None) -> dict[str, str]:
    """The headers of a refusal."""
    parts = {
        "error": error,
        "error_description": text if error else None,
        "scope": scope,
        "algs": " ".join(dpop.ALGORITHMS),
        "resource_metadata": oauth_state().url(PROTECTED_RESOURCE_PATH),  # RFC 9728 §5.1
    }
    value = ", ".join(f'{name}="{readable(part)}"' for name, part in parts.items() if part)
    return {"WWW-Authenticate": f"DPoP {value}", "Cache-Control": "no-store"}


def access_refused(_error: AccessRefusedError) -> Response:
    """The token is genuine and no longer live: found out in the use case's transaction."""
    text = "The access token is no longer in force."
    return problems.respond(problems.ERRORS[AccessRefusedError], detail=text, headers=challenge("invalid_token", text))


def replayed(_error: ReplayedError) -> Response:
    """The proof is genuine and was used before."""
    text = "The DPoP proof was used before."
    return problems.respond(problems.ERRORS[ReplayedError], detail=text, headers=challenge("invalid_dpop_proof", text))
