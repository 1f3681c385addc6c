"""From a person we know to the answer of an agency: identifiers, profiles, and https with its own authority."""

import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from werkzeug.serving import make_server

from exchange import agencies, erasure, subjects, tables
from exchange.context import Exchange
from exchange.errors import ProviderUnavailableError, SubjectErasedError
from exchange.model import Status, SubjectName
from exchange.providers.addresses import AddressPolicy
from exchange.providers.http import LiveLimits, LiveProviders
from exchange.providers.live import fetch_live
from tests.house import House, build
from tests.integration.providers.parts import ALICE, fetch, live, make_provider, serving

REGISTRY = "vehicle-registry"


@pytest.fixture
def house(tmp_path, database_url):
    built = build(tmp_path, database_url)
    yield built
    built.close()


@pytest.fixture
def registry(tmp_path, house: House):
    """The vehicle registry's gateway; it knows the exchange of the house, and one of its people."""
    folder = tmp_path / "registry"
    folder.mkdir()
    provider = make_provider(folder)
    exchange = house.exchange
    jwks = {"keys": [exchange.provider_signer.public_jwk()]}
    (folder / "exchange-jwks.json").write_text(json.dumps(jwks))
    return replace(provider, mapping=replace(provider.mapping, issuer=exchange.issuer))


def reachable(house: House, registry, url: str, **more: object) -> Exchange:
    """The exchange of the house, told where the registry answers, and that it may be called."""
    exchange = house.exchange
    profile = json.dumps({"live": {"endpoint": url, "jwks": registry.keys.public_jwks(), **more}})
    with exchange.database.write() as connection:
        row = tables.agency
        connection.execute(
            row.update().where(row.c.code == REGISTRY).values(profile=profile, version=row.c.version + 1)
        )
        connection.commit()
    providers = LiveProviders(
        issuer=exchange.issuer,
        signer=exchange.provider_signer,
        addresses=AddressPolicy.parse(["127.0.0.1"]),
        limits=LiveLimits(total_seconds=4.0),
    )
    return replace(exchange, live_providers=providers)


def person(house: House, *names: SubjectName):
    with house.exchange.unit_of_work(house.clock()) as uow:
        ref = subjects.create(uow, house.exchange, names)
        uow.commit()
    return ref


def ask(exchange: Exchange, ref, *names: str):
    with exchange.database.read() as connection:
        catalogue = exchange.catalogue(connection)
    return fetch_live(
        exchange,
        subject_ref=ref,
        attributes=[catalogue.attribute(name) for name in names],
        request_id=uuid4(),
        purpose="resident_parking",
        now=datetime.now(UTC),
    )


def test_a_person_is_asked_about_under_the_identifier_that_the_agency_knows(house, registry):
    passport = SubjectName(scheme="passport", id="P 99")
    ref = person(house, passport, SubjectName(scheme="national-id", id="VAL-1"))
    with serving(registry.app()) as url:
        exchange = reachable(house, registry, url, scheme="national-id")
        held = ask(exchange, ref, "vehicle_count", "vehicle_plate")
        assert (held["vehicle_count"].value, held["vehicle_plate"].value) == (2, "VAL 42")
        exchange = reachable(house, registry, url, scheme="licence")  # the person has no such identifier
        assert {one.state for one in ask(exchange, ref, "vehicle_count").values()} == {"unavailable"}
        exchange = reachable(house, registry, url)  # which of the two is not guessed, and none is shown
        with pytest.raises(ProviderUnavailableError, match="scheme"):
            ask(exchange, ref, "vehicle_count")
        only = person(house, SubjectName(scheme="national-id", id="VAL-4"))
        assert ask(exchange, only, "vehicle_count")["vehicle_count"].value == 1


def test_a_suspended_or_unreachable_agency_is_named_in_the_error(house, registry):
    ref = person(house, ALICE)
    exchange = reachable(house, registry, "http://127.0.0.1:1/")
    with pytest.raises(ProviderUnavailableError) as caught:
        ask(exchange, ref, "vehicle_count")
    assert caught.value.provider == REGISTRY
    agencies.set_agency_status(exchange, REGISTRY, Status.SUSPENDED, house.clock())
    with pytest.raises(ProviderUnavailableError, match="suspended") as caught:
        ask(exchange, ref, "vehicle_count")
    assert caught.value.provider == REGISTRY


@pytest.mark.invariant(11)
def test_nobody_is_asked_about_an_erased_person(house, registry):
    ref = person(house, ALICE)
    erasure.erase(house.exchange, ref, house.clock())
    with serving(registry.app()) as url:
        exchange = reachable(house, registry, url)
        with pytest.raises(SubjectErasedError):
            ask(exchange, ref, "vehicle_count")


def test_an_identifier_is_stored_as_it_was_given_and_only_sealed(house):
    ref = person(house, SubjectName(scheme="national-id", id="VAL 77-x"))
    with house.exchange.database.read() as connection:
        row = tables.subject_identifier
        cts = connection.execute(select(row.c.ct).where(row.c.subject_ref == ref)).scalars().all()
    assert [len(ct) for ct in cts] == [46 + 64]
    assert b"77" not in cts[0]


def certificate(folder, name: str):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(days=1)
    alternative = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def serving_tls(app, folder, name: str):
    cert, key = certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/", ssl.create_default_context(cafile=str(cert))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "trusted", "works"), [("localhost", True, True), ("other", True, False), ("localhost", False, False)]
)
def test_https_wants_a_trusted_certificate_of_the_name_though_an_address_is_called(tmp_path, name, trusted, works):
    provider = make_provider(tmp_path)
    with serving_tls(provider.app(), tmp_path, name) as (url, tls):
        providers = live(provider)
        client = (replace(providers, tls=tls) if trusted else providers).of(provider.agency(url))
        if works:
            assert fetch(client)["vehicle_count"].value == 2
        else:
            with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
                fetch(client)
