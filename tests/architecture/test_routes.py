"""Every way into the application is guarded or named as public, creates once, and answers with the same headers."""

import shutil
from collections.abc import Iterator

import pytest

from tests.http.v1.routes import PUBLIC, SCOPES, ways
from tests.http.v1.site import ALL_SCOPES, Site, open_site

ASKS_FOR_A_KEY = {("POST", "/v1/attribute-requests")}
NEEDS_NO_KEY = {
    ("POST", "/oauth/par"): "an assertion is good once, and a request that nobody opens goes by itself",
    ("POST", "/oauth/token"): "an assertion is good once, and a lost token is no harm",
    ("POST", "/v1/attribute-requests/<uuid:request_id>/receipt-acknowledgement"): "repeating it changes nothing",
    ("POST", "/v1/subjects/attributes/batch"): "whom it creates is found by the identifier the next time",
    ("POST", "/v1/me/requests/<uuid:request_id>/decision"): "a request is decided once",
    ("POST", "/v1/me/consents/<uuid:consent_id>/withdraw"): "a consent is withdrawn once",
    ("POST", "/v1/me/consents/<uuid:consent_id>/pause"): "a paused consent cannot be paused",
    ("POST", "/v1/me/consents/<uuid:consent_id>/resume"): "a consent in force cannot be resumed",
    ("POST", "/v1/audit/entries/<uuid:entry_id>/open"): "each call is an opening, and one more entry",
    ("POST", "/v1/me/consents/<uuid:consent_id>/renew"): "the renewed consent is superseded and cannot be renewed",
}
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "",
    "X-Correlation-Id": "",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory, sqlite_template) -> Iterator[Site]:
    """Routes do not depend on the database: the quick one does."""
    folder = tmp_path_factory.mktemp("routes")
    shutil.copyfile(sqlite_template, folder / "cdx.db")
    opened = open_site(folder, f"sqlite:///{folder / 'cdx.db'}")
    yield opened
    opened.close()


def send(site, way, *, method=None, **headers):
    return site.http().open(way.path(), method=method or way.method, headers=headers, json=way.body)


def test_every_route_is_public_by_name_or_has_its_scope(site):
    names = {way.name for way in ways(site.app)}
    assert names == PUBLIC.keys() | SCOPES.keys(), (
        "name the new route in tests/http/v1/routes.py, or forget the old one"
    )
    assert not PUBLIC.keys() & SCOPES.keys()
    assert all(PUBLIC.values())


def test_whoever_is_not_known_is_refused_everywhere_else(site):
    for way in ways(site.app):
        answer = send(site, way, **{"Idempotency-Key": "some-key-of-ours"})
        if way.is_public:
            assert "DPoP" not in answer.headers.get("WWW-Authenticate", ""), way
        else:
            assert answer.status_code == 401, f"{way}: {answer.status_code} {answer.text}"


def test_head_is_guarded_as_get_is_and_options_tells_methods_only(site):
    for way in ways(site.app):
        if way.method == "GET" and not way.is_public:
            assert send(site, way, method="HEAD").status_code == 401, way
        told = send(site, way, method="OPTIONS")
        assert (told.status_code, told.data) == (200, b""), way
        assert way.method in told.headers["Allow"], way
        assert "Access-Control-Allow-Methods" not in told.headers, way


def test_every_post_asks_for_an_idempotency_key_or_says_why_not(site):
    posts = {way.name for way in ways(site.app) if way.method == "POST"}
    assert posts == ASKS_FOR_A_KEY | NEEDS_NO_KEY.keys(), "a POST that creates asks for an Idempotency-Key"
    assert not ASKS_FOR_A_KEY & NEEDS_NO_KEY.keys()
    caller = site.agency(scope=" ".join(ALL_SCOPES))
    for way in ways(site.app):
        if way.name in ASKS_FOR_A_KEY:
            answer = caller.call(way.method, way.path(), way.body)
            assert answer.status_code == 422, f"{way}: {answer.text}"
            assert "Idempotency-Key" in answer.json["detail"], way


def answers_of(site):
    """Answers of every kind: refused, found, not found, not valid, redirected, failed."""
    caller = site.agency(scope=" ".join(ALL_SCOPES))
    for way in ways(site.app):
        yield str(way), send(site, way)
        yield f"{way} with a token", caller.call(way.method, way.path(), way.body, key="another-key-of-ours")
        yield f"another method at {way.rule}", send(site, way, method="PATCH")
        yield f"OPTIONS {way.rule}", send(site, way, method="OPTIONS")
    yield "nowhere", site.http().get("/nowhere")
    yield "no JSON", site.http().post("/v1/attribute-requests", data="{", content_type="application/json")
    yield "no type", site.http().post("/v1/attribute-requests", data="{}")
    yield "a number that is none", site.http().get(f"/audit/tile/{'9' * 5000}/000")


def test_no_answer_sets_a_cookie_and_all_have_the_headers_that_protect(site):
    found = 0
    for what, answer in answers_of(site):
        found += 1
        assert "Set-Cookie" not in answer.headers, what
        assert answer.status_code < 500 or answer.status_code == 503, f"{what}: {answer.status_code}"
        for name, begins in SECURITY.items():
            assert answer.headers.get(name, "missing").startswith(begins), f"{what}: {name}"
            assert name in answer.headers, f"{what}: {name}"
        assert answer.status_code < 400 or answer.content_type in (
            "application/problem+json",
            "application/json",  # RFC 6749 §5.2, and readiness
        ), what
    assert found > 100
