"""A citizen's own app: signs in at the country's identity provider, then uses the exchange. Public libraries only."""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from demo.device import Device, Response
from demo.story import require

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CALLBACK = "http://127.0.0.1/signed-in"


class Citizen:
    """One person with one device."""

    def __init__(self, http: httpx.Client, *, identity_provider: str, client_id: str) -> None:
        self.device = Device(http)
        self._provider = identity_provider
        self._client_id = client_id

    def sign_in(self, national_id: str) -> Response:
        """Get an ID token that is bound to the key of this device, and with it a token of the exchange."""
        return self.exchange_for_token(self.fetch_id_token(national_id))

    def fetch_id_token(self, national_id: str) -> str:
        """Sign in at the identity provider. The nonce names our key, so the ID token serves no other device."""
        state = secrets.token_urlsafe(16)
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": _CALLBACK,
            "scope": "openid",
            "state": state,
            "nonce": self.device.thumbprint,
        }
        with httpx.Client(base_url=self._provider, trust_env=False, timeout=10) as http:
            metadata = http.get("/.well-known/openid-configuration").raise_for_status().json()
            # The page with the form that a person would fill in.
            shown = http.post(metadata["authorization_endpoint"], params=parameters, data={"sub": national_id})
            require(shown.is_redirect, f"the identity provider did not let {national_id} in: {shown.status_code}")
            back = parse_qs(urlsplit(shown.headers["Location"]).query)
            require(back.get("state") == [state], "the identity provider came back with another state")
            form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": _CALLBACK}
            answer = http.post(metadata["token_endpoint"], data=form, auth=(self._client_id, "not checked here"))
        token: str = answer.raise_for_status().json()["id_token"]
        return token

    def exchange_for_token(self, id_token: str) -> Response:
        """RFC 7523: the ID token, once, for a token of the exchange that lives five minutes."""
        return self.device.fetch_token({"grant_type": _GRANT, "assertion": id_token, "scope": "me"})

    def waiting(self) -> list[dict[str, Any]]:
        """Requests that wait for a decision."""
        found: list[dict[str, Any]] = self._get("/v1/me/requests")["requests"]
        return found

    def allow(self, request: dict[str, Any], chosen: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Allow some or all of what a request asks."""
        body = {
            "decision": "allow",
            "attributes": [{"name": name, "form": form} for name, form in chosen],
            "language": "en",
            "notice_version": request["notice_version"],
        }
        return self._post(f"/v1/me/requests/{request['id']}/decision", body)

    def refuse(self, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse a request."""
        body = {"decision": "refuse", "language": "en", "notice_version": request["notice_version"]}
        return self._post(f"/v1/me/requests/{request['id']}/decision", body)

    def consents(self) -> list[dict[str, Any]]:
        """Everything that was ever allowed."""
        found: list[dict[str, Any]] = self._get("/v1/me/consents")["consents"]
        return found

    def withdraw(self, consent: str) -> dict[str, Any]:
        """Take a permission back."""
        return self._post(f"/v1/me/consents/{consent}/withdraw", None)

    def receipt(self, consent: str) -> dict[str, Any]:
        """The receipt of a consent, in the clear and signed."""
        return self._get(f"/v1/me/receipts/{consent}")

    def history(self) -> dict[str, Any]:
        """Who got what, with the proofs."""
        return self._get("/v1/me/disclosures")

    def _get(self, path: str) -> dict[str, Any]:
        return _body(self.device.call("GET", path))

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        return _body(self.device.call("POST", path, body))


def _body(answer: Response) -> dict[str, Any]:
    require(answer.is_success, f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    found: dict[str, Any] = answer.json()
    return found
