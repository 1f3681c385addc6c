"""The live provider: a signed, encrypted question to the agency's own endpoint, and its signed answer.

The protocol stands in ``exchange.providers.protocol``. Here is what may go wrong on the way: every fault becomes a
ProviderUnavailableError (down, too slow, left alone) or a ProviderProtocolError (anything but the answer to this
question), and no message of either holds a personal value.

Never a redirect, never a proxy of the environment, never a kept connection: a query goes out on a connection of its
own, so that "could not connect" means that nothing was sent. Only then it is tried once more, with a new query: a
provider sees each jti once.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx

from crypto.jose import SigningKey
from exchange.catalogue_model import Attribute
from exchange.errors import ProviderError, ProviderProtocolError, ProviderUnavailableError
from exchange.model import Agency, HeldValue, SubjectName
from exchange.providers.addresses import AddressPolicy, Target
from exchange.providers.circuit import Circuit, CircuitState
from exchange.providers.endpoint import LiveEndpoint
from exchange.providers.protocol import (
    MAX_ANSWER_BYTES,
    MEDIA_TYPE,
    AnswerLine,
    SentQuery,
    key_finder,
    read_answer,
    write_query,
)
from exchange.providers.values import ABSENT, UNAVAILABLE, fault_in

# What only a registry can tell, in the words of the exchange.
_STATES: Final[Mapping[str, str]] = {"not_held": ABSENT, "ambiguous": UNAVAILABLE, "closed_until": UNAVAILABLE}
_HEADERS: Final = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """How long and how much a provider may take."""

    connect_seconds: float = 2.0
    read_seconds: float = 5.0  # without a byte
    total_seconds: float = 8.0  # of one attempt, however slowly the bytes drip
    max_bytes: int = MAX_ANSWER_BYTES
    failures: int = 5  # in a row, until the provider is left alone
    open_for: timedelta = timedelta(seconds=30)


class HTTPProvider:
    """One agency's live endpoint.

    Args:
        code: the agency.
        endpoint: where, and its keys.
        issuer: who asks.
        signer: signs the questions.
        addresses: which addresses may be called.
        limits: time and size.
        circuit: its breaker.
        tls: trust for https.
    """

    def __init__(
        self,
        *,
        code: str,
        endpoint: LiveEndpoint,
        issuer: str,
        signer: SigningKey,
        addresses: AddressPolicy,
        limits: LiveLimits,
        circuit: Circuit,
        tls: ssl.SSLContext,
    ) -> None:
        self._code = code
        self.endpoint = endpoint
        self._issuer = issuer
        self._signer = signer
        self._addresses = addresses
        self._limits = limits
        self._tls = tls
        self.circuit = circuit

    def fetch(
        self,
        *,
        subject: SubjectName,
        attributes: Sequence[Attribute],
        purpose: str,
        request_id: UUID,
        now: datetime,
    ) -> dict[str, HeldValue]:
        """Ask for a person's attributes. Blocks for at most two attempts of ``limits.total_seconds``.

        Args:
            subject: as the provider knows the person: a national identifier.
            attributes: what is asked, all of this provider.
            purpose: purpose code.
            request_id: the attribute request that this is for.
            now: the time of the use case; what passes while we wait is added.

        Raises:
            ProviderUnavailableError: down, too slow, not allowed to be called, or left alone after failures.
            ProviderProtocolError: whatever came back is not a valid answer to this question.
        """
        started = time.monotonic()

        def clock() -> datetime:
            return now + timedelta(seconds=time.monotonic() - started)

        def query() -> SentQuery:
            return write_query(
                issuer=self._issuer,
                provider=self._code,
                request=request_id,
                purpose=purpose,
                subject=subject,
                attributes=[one.name for one in attributes],
                signer=self._signer,
                recipient=self.endpoint.encryption_key,
                now=clock(),
            )

        self.circuit.admit(now)
        try:
            sent, body = self._ask(query)
            lines = read_answer(body, sent, keys=key_finder(self.endpoint.signature_keys), now=clock())
            held = {one.name: self._held(lines[one.name], one) for one in attributes}
        except ProviderError:
            self.circuit.failed(clock())
            raise
        except BaseException:
            self.circuit.gave_up()
            raise
        self.circuit.succeeded()
        return held

    def _ask(self, query: Callable[[], SentQuery]) -> tuple[SentQuery, bytes]:
        targets = self._addresses.targets(self.endpoint.url)
        sent = query()
        try:
            return sent, self._post(sent, targets[0])
        except (httpx.ConnectError, httpx.ConnectTimeout):
            # Nothing was sent, so asking again is safe: at the next address, if there is one, and with a new jti.
            sent = query()
        try:
            return sent, self._post(sent, targets[1 % len(targets)])
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise ProviderUnavailableError("the provider cannot be reached") from exc

    def _post(self, query: SentQuery, target: Target) -> bytes:
        limits = self._limits
        timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
        transport = httpx.HTTPTransport(
            verify=self._tls, trust_env=False, limits=httpx.Limits(max_connections=1, max_keepalive_connections=0)
        )
        deadline = _Deadline(limits.total_seconds)
        try:
            with httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client, deadline.running():
                request = client.build_request(
                    "POST",
                    target.url,
                    content=query.body,
                    headers={**_HEADERS, "Host": target.host_header},
                    extensions={"sni_hostname": target.host, "trace": deadline.watch},
                )
                response = client.send(request, stream=True, follow_redirects=False)
                try:
                    return self._read(response, deadline)
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except httpx.TimeoutException as exc:
            raise ProviderUnavailableError("the provider did not answer in time") from exc
        except httpx.ProtocolError as exc:
            if deadline.passed:
                raise ProviderUnavailableError("the provider did not answer in time") from exc
            raise ProviderProtocolError("the provider does not answer in HTTP") from exc
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            raise ProviderUnavailableError("the connection to the provider broke") from exc

    def _read(self, response: httpx.Response, deadline: "_Deadline") -> bytes:
        status = response.status_code
        if status >= 500 or status == 429:
            raise ProviderUnavailableError(f"the provider answered with status {status}")
        if status != 200:
            raise ProviderProtocolError(f"the provider answered with status {status}")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != MEDIA_TYPE or "Content-Encoding" in response.headers:
            raise ProviderProtocolError(f"the provider's answer is not plain {MEDIA_TYPE}")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise ProviderProtocolError(f"the provider's answer has more than {self._limits.max_bytes} bytes")
            if deadline.passed:
                raise ProviderUnavailableError("the provider did not answer in time")
        return bytes(body)

    def _held(self, line: AnswerLine, attribute: Attribute) -> HeldValue:
        optional = {"assurance": line.assurance, "source_class": line.source_class}
        held = HeldValue(
            name=line.name,
            provider=self._code,
            state=_STATES.get(line.state, line.state),
            value=line.value,
            last_updated=line.last_updated,
            valid_until=line.valid_until,
            **{name: text for name, text in optional.items() if text is not None},
        )
        fault = fault_in(held, attribute.type)
        if fault is not None:
            raise ProviderProtocolError(f"the provider's answer about {fault}")
        return held


@dataclass(slots=True)
class _Held:
    version: int
    provider: HTTPProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProviders:
    """The live endpoints of all agencies, made from their profiles when first asked, each with its own circuit.

    Attributes:
        issuer: who asks.
        signer: signs the questions.
        addresses: which addresses may be called (decision 24).
        limits: time and size.
        tls: trust for https; the system's by default.
    """

    issuer: str
    signer: SigningKey
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    limits: LiveLimits = field(default_factory=LiveLimits)
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    _known: dict[str, _Held] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def of(self, agency: Agency) -> HTTPProvider:
        """The agency's endpoint as its profile of this version says.

        Raises:
            ProviderUnavailableError: it has none, or the entry is not usable.
        """
        with self._lock:
            known = self._known.get(agency.code)
            if known is not None and known.version == agency.version:
                return known.provider
            try:
                endpoint = LiveEndpoint.from_profile(agency.profile)
            except ValueError as exc:
                raise ProviderUnavailableError(f"the live endpoint of {agency.code} is not usable: {exc}") from exc
            if endpoint is None:
                raise ProviderUnavailableError(f"{agency.code} has no live endpoint")
            circuit = Circuit(failures=self.limits.failures, open_for=self.limits.open_for)
            provider = HTTPProvider(
                code=agency.code,
                endpoint=endpoint,
                issuer=self.issuer,
                signer=self.signer,
                addresses=self.addresses,
                limits=self.limits,
                circuit=circuit,
                tls=self.tls,
            )
            self._known[agency.code] = _Held(version=agency.version, provider=provider)
            return provider

    def states(self, now: datetime) -> dict[str, CircuitState]:
        """The circuit of each agency that was asked since the start, for health pages and metrics."""
        with self._lock:
            return {code: known.provider.circuit.state(now) for code, known in self._known.items()}


class _Deadline:
    """Ends one call after some time altogether: time-outs of single reads do not stop who sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.passed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """The time runs inside this block."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """The transport's ``trace`` extension: tells the socket when there is one."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.passed:
                self._end()

    def _end(self) -> None:
        self.passed = True
        connection = self._socket
        if connection is not None:
            # Wakes the reader, which a close from another thread would not.
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
