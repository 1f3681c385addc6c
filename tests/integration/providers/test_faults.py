"""Whatever goes wrong between the exchange and a provider is one of two errors, without a personal value."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from flask import Response

from crypto.jose import SigningKey, encrypt_jwe
from exchange.errors import ProviderError, ProviderProtocolError, ProviderUnavailableError
from exchange.http_client import CallError, CallFault
from exchange.providers import http, protocol
from exchange.providers.circuit import CircuitState
from exchange.providers.gateway import GatewayKeys
from exchange.providers.protocol import AnswerLine, Query, key_finder, read_query, write_answer, write_query
from tests.integration.providers.parts import (
    ALICE,
    ISSUER,
    LATER,
    PROVIDER,
    Provider,
    answering,
    fetch,
    live,
    other_keys,
    replying,
    serving,
)

LINE = AnswerLine(name="vehicle_count", state="present", value=2)
Answer = Callable[[Query, GatewayKeys], str]


def lying(provider: Provider, answer: Answer):
    """A provider that reads the query well and then answers as it likes."""

    def reply(body: bytes) -> bytes:
        query = read_query(
            body,
            issuer=ISSUER,
            provider=PROVIDER,
            keys=key_finder([provider.signer.public_key()]),
            decryption=provider.keys.decryption,
            now=datetime.now(UTC),
        )
        return answer(query, provider.keys).encode()

    return replying(reply)


def signed(query: Query, keys: GatewayKeys, *lines: AnswerLine, after: float = 0.0, **changes: object) -> str:
    return write_answer(
        replace(query, **changes),
        lines or [LINE],
        signer=keys.signer,
        now=datetime.now(UTC) + timedelta(seconds=after),
    )


def raw_claims(monkeypatch, change: Callable[[dict], None]) -> None:
    """Answers whose claims are changed before they are signed."""
    original = protocol._sign

    def sign(claims, signer, typ):
        claims = dict(claims)
        if typ == protocol.ANSWER_TYPE:
            change(claims)
        return original(claims, signer, typ)

    monkeypatch.setattr(protocol, "_sign", sign)


WRONG: dict[str, tuple[Answer, str]] = {
    "another query's answer": (lambda q, k: signed(q, k, digest="A" * 43), "query differ"),
    "another request": (lambda q, k: signed(q, k, request=ALICE_REQUEST), "request differ"),
    "another asker": (lambda q, k: signed(q, k, issuer="https://other.example"), "aud differ"),
    "another provider": (lambda q, k: signed(q, k, audience="tax-authority"), "iss differ"),
    "another person": (lambda q, k: signed(q, k, subject=replace(ALICE, id="VAL-2")), "subject differ"),
    "an old answer": (lambda q, k: signed(q, k, after=-120), "another time"),
    "an answer from tomorrow": (lambda q, k: signed(q, k, after=86_400), "another time"),
    "another key": (lambda q, k: signed(q, other_keys(k)), "does not verify"),
    "a key of another name": (
        lambda q, k: signed(
            q, GatewayKeys(signer=SigningKey.generate("x"), decryption=k.decryption, exchange=k.exchange)
        ),
        "does not verify",
    ),
    "encrypted to another key": (
        lambda q, k: signed(q, k, answer_key=k.decryption.public_key()),
        "cannot be read",
    ),
    "not signed": (lambda q, _k: encrypt_jwe(b"{}", key=q.answer_key), "cannot be read"),
    "the query itself": (lambda q, _k: encrypt_jwe(b"a.b.c", key=q.answer_key), "cannot be read"),
    "nothing": (lambda _q, _k: "", "cannot be read"),
    "an attribute more": (
        lambda q, k: signed(q, k, LINE, AnswerLine(name="vehicle_plate", state="absent")),
        "not asked for",
    ),
    "an attribute twice": (lambda q, k: signed(q, k, LINE, LINE), "one twice"),
    "another attribute": (lambda q, k: signed(q, k, AnswerLine(name="vehicle_plate", state="absent")), "not asked for"),
    "an unknown state": (lambda q, k: signed(q, k, replace(LINE, state="perhaps")), "foreign member or state"),
    "a value of another type": (lambda q, k: signed(q, k, replace(LINE, value="two secret")), "not an integer"),
    "a value beside absence": (lambda q, k: signed(q, k, replace(LINE, state="absent")), "only a present value"),
    "closed without a date": (
        lambda q, k: signed(q, k, AnswerLine(name="vehicle_count", state="closed_until")),
        "until",
    ),
    "a date that is none": (lambda q, k: signed(q, k, replace(LINE, last_updated="soon")), "last_updated"),
}
ALICE_REQUEST = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_is_not_one_to_this_question_is_refused(provider, case):
    answer, said = WRONG[case]
    with serving(lying(provider, answer)) as url:
        client = live(provider).of(provider.agency(url))
        with pytest.raises(ProviderProtocolError) as caught:
            fetch(client)
    assert said in str(caught.value)
    assert not any(text in str(caught.value) for text in ("VAL", "secret", "two", "soon"))


@pytest.mark.parametrize("change", [{"exp": None}, {"iat": 1.5}, {"exp": 10**12}, {"more": 1}, {"answers": {}}])
def test_an_answer_with_other_claims_is_refused(provider, monkeypatch, change):
    raw_claims(monkeypatch, lambda claims: claims.update(change))
    with serving(provider.app()) as url, pytest.raises(ProviderProtocolError):
        fetch(live(provider).of(provider.agency(url)))


@pytest.mark.parametrize(
    ("made", "kind", "said"),
    [
        (Response(status=302, headers={"Location": "/elsewhere"}), ProviderProtocolError, "302"),
        (Response(status=307, headers={"Location": "https://elsewhere.example/"}), ProviderProtocolError, "307"),
        (Response("no", status=400), ProviderProtocolError, "400"),
        (Response("no", status=500), ProviderUnavailableError, "500"),
        (Response("no", status=429), ProviderUnavailableError, "429"),
        (Response("{}", mimetype="application/json"), ProviderProtocolError, "application/jwt"),
        (
            Response("x", mimetype="application/jwt", headers={"Content-Encoding": "gzip"}),
            ProviderProtocolError,
            "application/jwt",
        ),
        (Response("x" * 70_000, mimetype="application/jwt"), ProviderProtocolError, "too long"),
        (Response("x", mimetype="application/jwt"), ProviderProtocolError, "cannot be read"),
        (Response(b"\xff\xfe", mimetype="application/jwt"), ProviderProtocolError, "cannot be read"),
    ],
)
def test_other_answers_of_http_are_refused(provider, made, kind, said):
    with serving(replying(lambda _body: made)) as url:
        client = live(provider, max_bytes=65_536).of(provider.agency(url))
        with pytest.raises(kind, match=said):
            fetch(client)


def drip(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nX: " + b"x" * 400:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nContent-Length: 500\r\n\r\n")
    for _ in range(500):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (lambda connection: connection.sendall(b"hello\r\n\r\n"), ProviderProtocolError),
        (lambda _connection: time.sleep(0.9), ProviderUnavailableError),
        (drip, ProviderUnavailableError),
        (drip_body, ProviderUnavailableError),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
            ProviderProtocolError,
        ),
    ],
    ids=["garbage", "silent", "dripping head", "dripping body", "cut off"],
)
def test_a_connection_that_goes_wrong_ends_in_time_and_is_not_tried_again(provider, talk, kind):
    with answering(talk) as (url, connections):
        client = live(provider, read_seconds=0.4, total_seconds=0.8).of(provider.agency(url))
        started = time.monotonic()
        with pytest.raises(kind):
            fetch(client)
        assert time.monotonic() - started < 1.6
    assert len(connections) == 1


def test_only_a_failed_connect_is_tried_again_and_with_a_new_query(provider, monkeypatch):
    sent = []
    original = http.HTTPProvider._post

    def post(self, query, target):
        sent.append(query)
        if len(sent) == 1:
            raise CallError(CallFault.NOT_SENT)
        return original(self, query, target)

    monkeypatch.setattr(http.HTTPProvider, "_post", post)
    with serving(provider.app()) as url:
        assert fetch(live(provider).of(provider.agency(url)))["vehicle_count"].value == 2
    assert len({query.body for query in sent}) == len({query.digest for query in sent}) == 2


def test_nobody_listening_is_tried_twice_and_then_unavailable(provider, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tries = []
    original = http.HTTPProvider._post
    monkeypatch.setattr(http.HTTPProvider, "_post", lambda *args: (tries.append(1), original(*args))[1])
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        fetch(live(provider).of(provider.agency(f"http://127.0.0.1:{port}/")))
    assert len(tries) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
        "https://[::1]:1/",
        "https://[::ffff:127.0.0.1]:1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest",
        "http://192.0.2.1/",
        "ftp://8.8.8.8/",
        "https://user:pass@8.8.8.8/",
        "https:///nothing",
        "https://no-such-name.invalid/",
        "https://8.8.8.8:99999/",
    ],
)
def test_an_address_that_is_neither_public_and_https_nor_allowed_is_never_called(provider, monkeypatch, url):
    monkeypatch.setattr(http.HTTPProvider, "_post", lambda *_args: pytest.fail("called"))
    with pytest.raises(ProviderUnavailableError):
        fetch(live(provider, allowed="192.168.7.0/24").of(provider.agency(url)))


def test_a_query_is_answered_once(provider):
    app = provider.app()
    query = write_query(
        issuer=ISSUER,
        provider=PROVIDER,
        request=ALICE_REQUEST,
        purpose="parking",
        subject=ALICE,
        attributes=["vehicle_count"],
        signer=provider.signer,
        recipient=provider.keys.decryption.public_key(),
        now=datetime.now(UTC),
    )
    with serving(app) as url, httpx.Client(trust_env=False) as client:
        headers = {"Content-Type": "application/jwt"}
        answers = [client.post(url, content=query.body, headers=headers) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 409, 409]
    assert answers[1].json() == {"type": "urn:cdx:problem:query-replayed", "status": 409}


def test_the_circuit_opens_after_failures_and_closes_by_time_and_one_success(provider):
    providers = live(provider, failures=3)
    now = datetime.now(UTC)
    state = SimpleNamespace(broken=True, calls=0)
    app = provider.app(clock=lambda: now)
    good = app.view_functions["answer"]

    def answer():
        state.calls += 1
        return Response(status=500) if state.broken else good()

    app.view_functions["answer"] = answer
    with serving(app) as url:
        client = providers.of(provider.agency(url))
        for _ in range(3):
            assert client.circuit.state(now) is CircuitState.CLOSED
            with pytest.raises(ProviderUnavailableError, match="500"):
                fetch(client, now=now)
        assert providers.states(now) == {PROVIDER: CircuitState.OPEN}
        with pytest.raises(ProviderUnavailableError, match="left alone"):
            fetch(client, now=now)
        assert state.calls == 3
        now += LATER
        assert providers.states(now) == {PROVIDER: CircuitState.HALF_OPEN}
        with pytest.raises(ProviderUnavailableError, match="500"):
            fetch(client, now=now)  # the one that may try fails: open again
        assert providers.states(now) == {PROVIDER: CircuitState.OPEN}
        now += LATER
        state.broken = False
        assert fetch(client, now=now)["vehicle_count"].value == 2
        assert providers.states(now) == {PROVIDER: CircuitState.CLOSED}
        assert state.calls == 5


def test_an_agency_without_a_usable_endpoint_is_unavailable_and_a_new_profile_counts_at_once(provider):
    providers = live(provider)
    agency = provider.agency("http://127.0.0.1:1/")
    with pytest.raises(ProviderUnavailableError, match="no live endpoint"):
        providers.of(replace(agency, profile={}))
    for bad in ({"endpoint": 7, "jwks": {}}, {"endpoint": "https://x", "jwks": {"keys": []}}, "https://x"):
        with pytest.raises(ProviderUnavailableError, match="not usable"):
            providers.of(replace(agency, profile={"live": bad}))
    first = providers.of(agency)
    assert providers.of(agency) is first
    with serving(provider.app()) as url:
        assert fetch(providers.of(provider.agency(url, version=2)))["vehicle_count"].value == 2


def test_no_error_of_a_provider_shows_who_was_asked_about(provider):
    app = lying(provider, lambda q, k: signed(q, k, replace(LINE, value="VAL-1 secret")))
    with serving(app) as url, pytest.raises(ProviderError) as caught:
        fetch(live(provider).of(provider.agency(url)))
    error: BaseException | None = caught.value
    while error is not None:
        assert "VAL-1" not in str(error) + repr(error)
        error = error.__cause__ or error.__context__
