"""A client's request as Authlib sees it: a form that was checked, the proof, and what the checks find out on the way.

Of the token endpoint and of the endpoint for pushed requests, which authenticate and read alike.

Authlib's Flask request reads query and body alike and takes the first of repeated parameters (RFC 6749 §3.2 forbids
both), and it asks the address for https, which tells nothing behind a proxy; the configuration is checked at start.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.oauth.authlib_parts import BasicOAuth2Payload, InvalidRequestError, OAuth2Request
from api.oauth.client_assertion import Assertion
from api.oauth.dpop import Proof
from api.oauth.id_token import SignIn
from exchange.access import NewToken

MAX_FORM_BYTES = 65_536
_FORM = "application/x-www-form-urlencoded"
_SECRETS = ("client_secret", "password")


class TokenRequest(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """One request of a client."""

    def __init__(
        self, form: Mapping[str, str], *, proofs: Sequence[str], has_authorization: bool, url: str, now: datetime
    ) -> None:
        """Hold a checked form; ``url`` is the endpoint's configured address."""
        super().__init__("POST", "https://checked.at.start.invalid/")
        self.uri = url
        self.payload = BasicOAuth2Payload(dict(form))
        self.parameters = form
        self.proofs = proofs
        self.has_authorization = has_authorization
        self.url = url
        self.now = now
        self.proof: Proof | None = None
        self.assertion: Assertion | None = None
        self.sign_in: SignIn | None = None
        self.new_token: NewToken | None = None


def read_token_request(request: Request, *, url: str, now: datetime) -> TokenRequest:
    """Check the outer form of a client's request.

    Raises:
        InvalidRequestError: not one plain form in the body.
    """
    request.max_content_length = MAX_FORM_BYTES
    request.max_form_memory_size = MAX_FORM_BYTES
    if request.query_string:
        raise InvalidRequestError("Parameters belong in the body, not in the address.")
    if request.mimetype != _FORM:
        raise InvalidRequestError(f"The body must be {_FORM}.")
    try:
        parameters = request.form.to_dict(flat=False)
    except RequestEntityTooLarge:
        raise InvalidRequestError(f"The body has more than {MAX_FORM_BYTES} bytes.", status_code=413) from None
    if any(len(values) != 1 for values in parameters.values()):
        raise InvalidRequestError("A parameter must not be repeated.")
    # RFC 6749 §3.2: a parameter without a value counts as left out.
    form = {name: values[0] for name, values in parameters.items() if values[0]}
    if any(name in form for name in _SECRETS):
        raise InvalidRequestError("Secrets are not accepted; authenticate by private_key_jwt.")
    return TokenRequest(
        form,
        proofs=request.headers.getlist("DPoP"),
        has_authorization="Authorization" in request.headers,
        url=url,
        now=now,
    )
