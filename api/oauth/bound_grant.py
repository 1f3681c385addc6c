"""What all grants share: a DPoP proof comes first, and the token is bound to its key, stored, then handed out."""

from typing import Any

from api.oauth.authlib_parts import InvalidRequestError
from api.oauth.dpop import Proof, verify_proof
from api.oauth.errors import InvalidDPoPProofError, InvalidTargetError, MissingProofError, ProofError
from api.oauth.request import TokenRequest
from api.oauth.state import TOKEN_LIFETIME_SECONDS, oauth_state
from exchange.access import NewToken


def require_resource(request: TokenRequest) -> None:
    """RFC 8707: there is one resource; whoever names it must mean it.

    Raises:
        OAuth2Error: another resource is named.
    """
    resource = oauth_state().services.config.public_url
    if request.parameters.get("resource", resource) != resource:
        raise InvalidTargetError(f"The only resource here is {resource}")


class BoundGrant:
    """Mixed into an Authlib grant."""

    request: TokenRequest
    server: Any
    TOKEN_RESPONSE_HEADER: list[tuple[str, str]]

    def require_proof(self) -> Proof:
        """Check the proof of this request.

        Raises:
            OAuth2Error: it is missing or does not hold.
        """
        state = oauth_state()
        request = self.request
        try:
            proof = verify_proof(request.proofs, method="POST", url=request.url, now=request.now)
        except MissingProofError as exc:
            raise InvalidRequestError(exc.text(teaching=state.teaching)) from None
        except ProofError as exc:
            raise InvalidDPoPProofError(exc.text(teaching=state.teaching)) from None
        request.proof = proof
        return proof

    def require_resource(self) -> None:
        """As :func:`require_resource`."""
        require_resource(self.request)

    def make_token(self, proof: Proof) -> tuple[str, NewToken]:
        """Make the token that this grant gives."""
        raise NotImplementedError

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Make, store, hand out. Takes the place of Authlib's, which would write the token into the debug log."""
        proof = self.request.proof
        assert proof is not None  # validate_token_request has checked it
        token, new = self.make_token(proof)
        self.request.new_token = new
        body = {
            "access_token": token,
            "token_type": "DPoP",
            "expires_in": TOKEN_LIFETIME_SECONDS,
            "scope": " ".join(new.scopes),
        }
        self.server.save_token(body, self.request)
        return 200, body, self.TOKEN_RESPONSE_HEADER
