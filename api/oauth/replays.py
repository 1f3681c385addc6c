"""What a caller is told who presents something that is good once a second time."""

from api.oauth.authlib_parts import InvalidClientError, InvalidGrantError, OAuth2Error
from api.oauth.client_assertion import ASSERTION
from api.oauth.errors import InvalidDPoPProofError
from exchange.access import PROOF, SingleUse


def refused_replay(use: SingleUse) -> OAuth2Error:
    """The error for something that is good once and was used before."""
    if use.kind == PROOF:
        return InvalidDPoPProofError("The DPoP proof was used before.")
    if use.kind == ASSERTION:
        return InvalidClientError("The client assertion was used before.")
    return InvalidGrantError("The ID token was used before.")
