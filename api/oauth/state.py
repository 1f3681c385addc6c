"""What this package keeps per application: made once, from the configuration, when the first request needs it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import current_app

from api.config import Environment
from api.oauth.access_tokens import AccessTokens
from api.oauth.id_token import SignInSettings
from api.oauth.openid_provider import OpenIDProvider
from crypto.jose import PublicKey, load_public_jwk

if TYPE_CHECKING:
    from api.oauth.server import TokenServer
    from api.wiring import Services

EXTENSION = "cdx_oauth"
TOKEN_LIFETIME_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthState:
    """Parts of the authorization server and of the resource side that outlive a request."""

    services: "Services"
    tokens: AccessTokens
    nobody: PublicKey  # a key that no client has, checked against for unknown clients
    provider: OpenIDProvider | None
    sign_in: SignInSettings | None
    server: "TokenServer"

    @property
    def teaching(self) -> bool:
        """Whether errors explain more than a stranger should read."""
        return self.services.config.teaches

    def now(self) -> datetime:
        """The time of the request."""
        return self.services.clock()

    def url(self, path: str) -> str:
        """The address under which others know ``path``."""
        return self.services.config.public_url + path


def oauth_state() -> OAuthState:
    """The state of the current application."""
    extensions = current_app.extensions
    state = extensions.get(EXTENSION)
    if state is None:
        # Two first requests at once may both make one; either is as good, and one of them stays.
        state = extensions.setdefault(EXTENSION, _make(extensions["cdx"]))
    return cast("OAuthState", state)


def _make(services: "Services") -> OAuthState:
    from api.oauth.server import TokenServer  # noqa: PLC0415  # the grants read this state

    config = services.config
    provider = sign_in = None
    if config.openid_issuer and config.openid_audience:
        provider = OpenIDProvider(
            config.openid_issuer,
            private_networks=config.private_networks,
            allow_http=config.environment is Environment.DEVELOPMENT,
        )
        sign_in = SignInSettings(
            issuer=config.openid_issuer,
            client_id=config.openid_audience,
            claim=config.openid_subject_claim,
            scheme=config.openid_subject_scheme,
        )
    return OAuthState(
        services=services,
        tokens=AccessTokens(services.token_signer, issuer=services.exchange.issuer, resource=config.public_url),
        nobody=load_public_jwk(services.token_signer.public_jwk(), use="sig"),
        provider=provider,
        sign_in=sign_in,
        server=TokenServer(),
    )
