"""We as a relying party of the OpenID provider (OIDC Core §3.1): people are sent there, and come back with a code.

Authlib prepares and reads the messages of OAuth; fetching goes through ``safe_fetch``, so that addresses are checked as
everywhere. PKCE, state, nonce and the provider's ``iss`` are all used, whatever the provider demands.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import quote

from flask import current_app

from api.config import Config
from api.errors import ConfigError
from api.oauth.authlib_parts import prepare_grant_uri, prepare_token_request
from api.oauth.errors import SignInError, SignInUnavailableError
from api.oauth.id_token import SignIn, verify_id_token
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.safe_fetch import FetchError, post_form
from api.oauth.state import OAuthState
from api.portal.browser import Flow
from crypto.canonical import load_json
from crypto.encoding import b64u_encode
from crypto.errors import CryptoError
from crypto.ids import random_bytes
from crypto.jose import SigningKey, sign_jws
from exchange.authorization.model import PushedRequest

CALLBACK = "/callback"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = timedelta(seconds=60)
_MAX_FILE = 8192


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """What is configured, and what is done with it. Exactly one of key and secret is set, or nobody can sign in."""

    EXTENSION: ClassVar[str] = "cdx_relying_party"

    state: OAuthState
    key: SigningKey | None
    secret: str | None

    @classmethod
    def of(cls, state: OAuthState) -> "RelyingParty":
        """Read the files that the configuration names.

        Raises:
            ConfigError: one of them cannot be used.
        """
        config = state.services.config
        return cls(state, _key(config), _secret(config))

    @property
    def redirect_uri(self) -> str:
        """Ours there: one address, exactly."""
        return self.state.url(AUTHORIZE_PATH + CALLBACK)

    def authorization_url(self, flow: Flow, pushed: PushedRequest, now: datetime) -> str:
        """Where to send a browser to sign in.

        Raises:
            SignInUnavailableError: the provider cannot be reached, or nobody can sign in here.
        """
        endpoint = self.state.provider and self.state.provider.metadata(now).authorization_endpoint
        if endpoint is None or self.state.sign_in is None or not self.state.asks_people:
            raise SignInUnavailableError("nobody can sign in here")
        return str(
            prepare_grant_uri(
                endpoint,
                self.state.sign_in.client_id,
                "code",
                redirect_uri=self.redirect_uri,
                scope="openid",
                state=flow.state,
                nonce=flow.nonce,
                code_challenge=flow.challenge,
                code_challenge_method="S256",
                acr_values=" ".join(pushed.acr_values) or None,
                max_age=None if pushed.max_age is None else str(pushed.max_age),
            )
        )

    def require_issuer(self, issuer: str | None, now: datetime) -> None:
        """RFC 9207 §2.4: an answer that names its server names ours, and one that must name it does.

        Raises:
            SignInError: it does not.
            SignInUnavailableError: the provider cannot be reached.
        """
        state = self.state
        assert state.provider is not None  # somebody was sent there
        assert state.sign_in is not None
        if issuer is None and not state.provider.metadata(now).names_itself:
            return
        if issuer != state.sign_in.issuer:
            raise SignInError("the answer comes from another identity provider")

    def sign_in(self, flow: Flow, code: str, now: datetime) -> SignIn:
        """Redeem the provider's code, and check the ID token that comes of it.

        Raises:
            SignInError: it gave none, or one that does not hold.
            SignInUnavailableError: it cannot be reached.
        """
        state = self.state
        assert state.provider is not None  # somebody was sent there
        assert state.sign_in is not None
        endpoint = state.provider.metadata(now).token_endpoint
        if endpoint is None:
            raise SignInUnavailableError("the provider publishes no token endpoint")
        form, headers = self._authenticated(now)
        body = prepare_token_request(
            "authorization_code", redirect_uri=self.redirect_uri, code=code, code_verifier=flow.verifier, **form
        )
        live = state.services.exchange.live_providers
        try:
            answer = post_form(endpoint, body, headers=headers, addresses=live.addresses, tls=live.tls)
        except FetchError as exc:
            raise SignInUnavailableError(str(exc)) from None
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise SignInError("the provider gave no ID token")
        return verify_id_token(token, provider=state.provider, settings=state.sign_in, nonce=flow.nonce, now=now)

    def _authenticated(self, now: datetime) -> tuple[dict[str, str], dict[str, str]]:
        """How we show the provider who we are: members of the form, and headers."""
        state = self.state
        assert state.sign_in is not None  # as above
        client_id = state.sign_in.client_id
        if self.key is None:
            assert self.secret is not None  # the configuration has one of the two
            pair = f"{quote(client_id, safe='')}:{quote(self.secret, safe='')}"  # RFC 6749 §2.3.1
            return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": client_id,
            "sub": client_id,
            "aud": state.sign_in.issuer,
            "jti": b64u_encode(random_bytes(24)),
            "iat": issued,
            "exp": issued + int(_ASSERTION_LIFETIME.total_seconds()),
        }
        assertion = sign_jws(claims, key=self.key, typ="JWT")
        return {"client_id": client_id, "client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}, {}


def relying_party() -> RelyingParty:
    """That of the current application."""
    return cast("RelyingParty", current_app.extensions[RelyingParty.EXTENSION])


def _key(config: Config) -> SigningKey | None:
    path = config.openid_client_key_file
    if path is None:
        return None
    try:
        document = load_json(path.read_bytes(), max_bytes=_MAX_FILE)
        if not isinstance(document, dict):
            raise ConfigError(["CDX_OPENID_CLIENT_KEY_FILE is no private JWK"])
        return SigningKey.from_private_jwk(document)
    except OSError as exc:
        raise ConfigError([f"CDX_OPENID_CLIENT_KEY_FILE: {exc.strerror}"]) from exc
    except CryptoError:
        raise ConfigError(["CDX_OPENID_CLIENT_KEY_FILE is no private JWK (ES256, with a kid)"]) from None


def _secret(config: Config) -> str | None:
    path = config.openid_client_password_file
    if path is None:
        return None
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(["CDX_OPENID_CLIENT_PASSWORD_FILE cannot be read"]) from exc
    if not secret:
        raise ConfigError(["CDX_OPENID_CLIENT_PASSWORD_FILE is empty"])
    return secret
