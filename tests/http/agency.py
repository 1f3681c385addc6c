"""An agency that calls over HTTP: registered, with tokens and proofs made by code that shares nothing with ours."""

from exchange.agencies import register_agency, register_client
from tests.http.oauth.clients import Client

PROFILE = {
    "address": "1 Main Street",
    "contact": "data@agency.example",
    "url": "https://agency.example",
    "jurisdiction": "XX",
}


class SignedClient(Client):
    """A client that fetches a token when it needs one."""

    def __init__(self, clock, client_id, issuer, *, scope):
        super().__init__(clock, client_id, issuer)
        self.scope = scope

    def token(self, http, **changes):
        return super().token(http, **({"scope": self.scope} | changes))

    def headers(self, method, path, token):
        url = self.issuer + path.split("?")[0]
        return {"Authorization": f"DPoP {token}", "DPoP": self.proof(method, url, token=token)}

    def get(self, http, path, *, token=None):
        """One call with a fresh proof, and a fresh token unless one is given."""
        token = token or self.token(http)
        return http.get(path, headers=self.headers("GET", path, token))


def register(services, clock, code, *, scopes):
    """Registers an agency with one client."""
    client = SignedClient(clock, f"{code}-client", services.config.public_url, scope=scopes)
    register_agency(services.exchange, code, f"Agency {code}", PROFILE, clock())
    register_client(services.exchange, client.client_id, code, client.jwks(), scopes.split(), clock())
    return client
