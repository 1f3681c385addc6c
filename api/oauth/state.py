"""What this package keeps per application: made once, from the configuration, and found through the application."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import current_app

from api.oauth.access_tokens import AccessTokens
from api.oauth.client_keys import ClientKeys
from api.oauth.id_token import SignInSettings
from api.oauth.openid_provider import OpenIDProvider
from crypto.jose import PublicKey

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
    client_keys: ClientKeys
    nobody: PublicKey  # a key that no client has, checked against for unknown clients
    provider: OpenIDProvider | None
    sign_in: SignInSettings | None
    server: "TokenServer"

    @property
    def asks_people(self) -> bool:
        """Whether people can sign in with a browser, so that the code flow works."""
        return self.sign_in is not None and self.services.config.signs_in_browsers

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


def make_state(services: "Services", server: "TokenServer") -> OAuthState:
    """Build it from the composed parts of the application."""
    config, live = services.config, services.exchange.live_providers
    provider = sign_in = None
    if config.openid_issuer and config.openid_audience:
        provider = OpenIDProvider(
            config.openid_issuer,
            addresses=live.addresses,
            tls=live.tls,
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
        client_keys=ClientKeys(addresses=live.addresses, tls=live.tls),
        nobody=services.token_signer.public_key(),
        provider=provider,
        sign_in=sign_in,
        server=server,
    )


def oauth_state() -> OAuthState:
    """The state of the current application."""
    return cast("OAuthState", current_app.extensions[EXTENSION])
