"""JWT bearer grant (RFC 7523 §2.1) for citizens: an ID token of the configured provider becomes the person's own token.

No client authentication: whoever holds the ID token, and the DPoP key whose thumbprint is its nonce, is the person's
own device.
"""

from datetime import datetime
from uuid import UUID

from api.oauth.authlib_parts import (
    BaseGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    TokenEndpointMixin,
    UnsupportedGrantTypeError,
)
from api.oauth.bound_grant import BoundGrant
from api.oauth.dpop import Proof
from api.oauth.errors import SignInError, SignInUnavailableError, TemporarilyUnavailableError
from api.oauth.id_token import SignIn, verify_id_token
from api.oauth.scopes import Scope
from api.oauth.state import TOKEN_LIFETIME_SECONDS, oauth_state
from crypto.errors import MalformedError
from exchange import refusals, subjects
from exchange.access import NewToken
from exchange.model import SubjectName


class SignInGrant(BoundGrant, BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # Authlib has no types
    """A signed-in person, in the own name."""

    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    NO_MATCH = "This sign-in is not linked to a record here. Ask the help desk of the exchange: it can set that right."

    _subject_ref: UUID

    def validate_token_request(self) -> None:
        """Check proof and ID token, and find the person.

        Raises:
            OAuth2Error: one of them does not hold, or there is no such person here.
        """
        state = oauth_state()
        if state.provider is None or state.sign_in is None:
            raise UnsupportedGrantTypeError(self.GRANT_TYPE)
        form = self.request.parameters
        if self.request.has_authorization or "client_assertion" in form:
            raise InvalidRequestError("This grant takes no client authentication.")
        if form.get("scope", Scope.ME.value) != Scope.ME.value:
            raise InvalidScopeError(f"The only scope of this grant is {Scope.ME.value}.")
        self.require_resource()
        if "assertion" not in form:
            raise InvalidRequestError("The parameter assertion, an ID token, is missing.")
        proof = self.require_proof()
        try:
            sign_in = verify_id_token(
                form["assertion"],
                provider=state.provider,
                settings=state.sign_in,
                nonce=proof.jkt,
                now=self.request.now,
            )
        except SignInError as exc:
            raise InvalidGrantError(exc.text(teaching=state.teaching)) from None
        except SignInUnavailableError as exc:
            raise TemporarilyUnavailableError(exc.text(teaching=state.teaching)) from None
        self.request.sign_in = sign_in
        subject_ref = find_person(sign_in, self.request.now)
        if subject_ref is None:
            raise InvalidGrantError(self.NO_MATCH)
        self._subject_ref = subject_ref

    def make_token(self, proof: Proof) -> tuple[str, NewToken]:
        """The person's own token."""
        state = oauth_state()
        assert state.sign_in is not None  # validate_token_request has checked it
        return state.tokens.for_subject(
            self._subject_ref,
            client_id=state.sign_in.client_id,
            jkt=proof.jkt,
            lifetime=TOKEN_LIFETIME_SECONDS,
            now=self.request.now,
        )


def find_person(sign_in: SignIn, now: datetime) -> UUID | None:
    """Exactly one person, or nobody: an identifier is filed once. That nobody was found is on record."""
    exchange = oauth_state().services.exchange
    name = SubjectName(scheme=sign_in.scheme, id=sign_in.identifier)
    try:
        index = subjects.index_of(exchange, name).hex()
        with exchange.database.read() as connection:
            found = subjects.find(connection, exchange, name, subjects.OWN)
    except MalformedError:
        index, found = "malformed", None
    if found is None:
        refusals.record_sign_in(exchange, index, refusals.NO_MATCH, now)
    return found
