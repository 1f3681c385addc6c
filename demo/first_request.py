"""A first integration, to copy: ask about a person, and open the answer. Public libraries only.

    python first_request.py --key-file client.json --url https://exchange.example --subject national-id:VAL-146889-1
        --agreement housing-benefit --purpose housing_benefit full_name birth_date=at_least:18

It needs the packages httpx, PyJWT (with cryptography) and joserfc. The first time, the person has to be asked and the
request waits. Run the same command again once she has allowed it, and the answer is collected.
"""

import argparse
import hashlib
import json
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import httpx
import jwt
from joserfc import jwe
from joserfc.jwk import ECKey


class Exchange:
    """The exchange, as one registered client sees it."""

    def __init__(self, url: str, client: dict[str, Any]) -> None:
        self.http = httpx.Client(base_url=url, timeout=20)
        self.client = client  # client_id, agency, and three private keys: signing, dpop, encryption
        self.metadata = checked(self.http.get("/.well-known/oauth-authorization-server")).json()
        self.token = ""

    def fetch_token(self, scope: str) -> None:
        """Prove who we are with a signature (private_key_jwt, RFC 7523) and get an access token."""
        us, key, now = self.client["client_id"], self.client["signing"], int(time.time())
        claims = {"iss": us, "sub": us, "aud": self.metadata["issuer"], "iat": now, "exp": now + 60}
        claims["jti"] = str(uuid.uuid4())
        url = self.metadata["token_endpoint"]
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, jwt.PyJWK(key).key, key["alg"], {"kid": key["kid"]}),
        }
        answer = checked(self.http.post(url, data=form, headers={"DPoP": self.proof("POST", url)}))
        self.token = answer.json()["access_token"]

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """Call the API with the token and a fresh proof."""
        url = str(self.http.base_url.join(path))
        sent = {"Authorization": f"DPoP {self.token}", "DPoP": self.proof(method, url), **(headers or {})}
        return checked(self.http.request(method, url, json=body, headers=sent))

    def proof(self, method: str, url: str) -> str:
        """A proof that we hold the DPoP key (RFC 9449), good once and for this call: a token alone is worth nothing."""
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": str(uuid.uuid4())}
        if self.token:
            claims["ath"] = urlsafe_b64encode(hashlib.sha256(self.token.encode()).digest()).rstrip(b"=").decode()
        key = self.client["dpop"]
        public = {name: key[name] for name in ("kty", "crv", "x", "y")}
        return jwt.encode(claims, jwt.PyJWK(key).key, key["alg"], {"typ": "dpop+jwt", "jwk": public})

    def open(self, sealed: str) -> dict[str, Any]:
        """Decrypt an answer with our key, and check that the exchange signed it, for us, just now."""
        key = ECKey.import_key(self.client["encryption"])
        opened = jwe.decrypt_compact(sealed, key, algorithms=["ECDH-ES", "A256GCM"])
        token = (opened.plaintext or b"").decode()
        header = jwt.get_unverified_header(token)
        if header["typ"] != "cdx-answer+jwt":
            raise SystemExit(f"A {header['typ']} is no answer.")
        published = checked(self.http.get(self.metadata["jwks_uri"])).json()
        signer = jwt.PyJWKSet.from_dict(published)[header["kid"]]
        return jwt.decode(token, signer, ["ES256"], audience=self.client["agency"], issuer=self.metadata["issuer"])


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer; a problem (RFC 9457, RFC 6749) is shown and ends the program."""
    if answer.is_error:
        raise SystemExit(f"{answer.status_code}: {answer.text}")
    return answer


def main() -> None:
    """Ask, and print where the request stands, or the answer."""
    parser = argparse.ArgumentParser(description="Ask the exchange about a person.")
    parser.add_argument("attributes", nargs="+", metavar="NAME[=FORM]", help="full_name, birth_date=at_least:18 …")
    parser.add_argument("--key-file", type=Path, required=True, help="private keys, from: cdx sandbox client")
    parser.add_argument("--url", help="address of the exchange; left out: the one in the key file")
    for name in ("--subject", "--agreement", "--purpose"):
        parser.add_argument(name, required=True)
    parser.add_argument("--case", default="first-request-1", help="your reference; another case is another request")
    options = parser.parse_args()
    client = json.loads(options.key_file.read_text())
    exchange = Exchange(options.url or client["issuer"], client)
    exchange.fetch_token("attributes:request")
    scheme, _, identifier = options.subject.partition(":")
    asked = (attribute.partition("=") for attribute in options.attributes)
    body = {
        "subject": {"scheme": scheme, "id": identifier},
        "agreement": options.agreement,
        "purpose": options.purpose,
        "attributes": [{"name": name, "form": form or "value"} for name, _, form in asked],
        "acting_officer": {"id": "officer-1", "role": "case worker"},
        "case_reference": options.case,
    }
    # The same key for the same request: sent twice, it is still one request.
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body)))
    state = exchange.call("POST", "/v1/attribute-requests", body, {"Idempotency-Key": key}).json()
    request = f"/v1/attribute-requests/{state['id']}"
    if state["state"] == "ready":
        state["response"] = exchange.call("GET", f"{request}/response").text
    if "response" in state:
        state = exchange.open(state["response"])
        exchange.call("POST", f"{request}/receipt-acknowledgement")
    print(json.dumps(state.get("attributes", state), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
