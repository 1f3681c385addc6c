"""Refusals of this package. What they say depends on where the service runs.

Outside production an error teaches: it names the claim that failed, what was expected and what came. In production it
says only which part was refused; the rest would help whoever is guessing.
"""

from typing import ClassVar

from api.oauth.authlib_parts import OAuth2Error

_FORBIDDEN = {ord('"'): "'", ord("\\"): "/"}
_LONGEST = 300


class RefusedError(Exception):
    """A check refused what was presented; the message teaches and must not reach a caller in production."""

    public: ClassVar[str] = "The request was refused."

    def text(self, *, teaching: bool) -> str:
        """What the caller is told, in the characters that RFC 6749 §5.2 allows."""
        return readable(str(self)) if teaching else self.public


class ClientAssertionError(RefusedError):
    """The client did not authenticate."""

    public = "Client authentication failed."


class ProofError(RefusedError):
    """The DPoP proof does not hold."""

    public = "The DPoP proof is not valid."


class MissingProofError(ProofError):
    """There is no DPoP proof. Its own type, because RFC 9449 has another error code for it (DP-17)."""

    public = "A DPoP proof is required."


class AccessTokenError(RefusedError):
    """The access token does not hold."""

    public = "The access token is not valid."


class SignInError(RefusedError):
    """The ID token does not hold."""

    public = "The sign-in was not accepted."


class SignInUnavailableError(RefusedError):
    """The OpenID provider's keys cannot be had."""

    public = "The sign-in service cannot be reached. Try again later."


class InvalidDPoPProofError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """``invalid_dpop_proof`` (RFC 9449 §5)."""

    error = "invalid_dpop_proof"


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """``invalid_target`` (RFC 8707 §2)."""

    error = "invalid_target"


class InvalidAuthorizationDetailsError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """``invalid_authorization_details`` (RFC 9396 §5)."""

    error = "invalid_authorization_details"


class RequestNotSupportedError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """``request_not_supported`` (OIDC Core §3.1.2.6)."""

    error = "request_not_supported"


class TemporarilyUnavailableError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """``temporarily_unavailable``: not the caller's fault."""

    error = "temporarily_unavailable"
    status_code = 503


def readable(text: str) -> str:
    """``text`` with nothing that an error description or a header must not hold: it may quote what a stranger sent."""
    plain = text[:_LONGEST].translate(_FORBIDDEN)
    return "".join(character if 0x20 <= ord(character) <= 0x7E else "?" for character in plain)
