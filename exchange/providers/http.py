"""The live provider: a signed, encrypted question to the agency's own endpoint, and its signed answer.

The protocol stands in ``exchange.providers.protocol``. Here is what may go wrong on the way: every fault becomes a
ProviderUnavailableError (down, too slow, left alone) or a ProviderProtocolError (anything but the answer to this
question), and no message of either holds a personal value.

Where nobody could be connected to, nothing was sent. Only then it is tried once more, with a new query: a provider
sees each jti once.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from crypto.jose import SigningKey
from exchange.catalogue_model import Attribute
from exchange.errors import ProviderError, ProviderProtocolError, ProviderUnavailableError
from exchange.http_client import CallError, CallFault, CallLimits, call
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
_HEADERS: Final = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
_MISBEHAVIOUR: Final = frozenset({CallFault.NOT_HTTP, CallFault.TOO_LONG})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits(CallLimits):
    """How long and how much a provider may take, in one attempt; and when it is left alone."""

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
        except CallError as exc:
            if exc.fault is not CallFault.NOT_SENT:
                raise _told(exc) from exc
        # Nothing was sent, so asking again is safe: at the next address, if there is one, and with a new jti.
        sent = query()
        try:
            return sent, self._post(sent, targets[1 % len(targets)])
        except CallError as exc:
            raise _told(exc) from exc

    def _post(self, query: SentQuery, target: Target) -> bytes:
        with call(
            "POST", target, limits=self._limits, tls=self._tls, headers=_HEADERS, content=query.body.encode()
        ) as answer:
            if answer.status >= 500 or answer.status == 429:
                raise ProviderUnavailableError(f"the provider answered with status {answer.status}")
            if answer.status != 200:
                raise ProviderProtocolError(f"the provider answered with status {answer.status}")
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if media_type != MEDIA_TYPE or "Content-Encoding" in answer.headers:
                raise ProviderProtocolError(f"the provider's answer is not plain {MEDIA_TYPE}")
            return answer.read()

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


def _told(error: CallError) -> ProviderError:
    kind = ProviderProtocolError if error.fault in _MISBEHAVIOUR else ProviderUnavailableError
    return kind(f"no answer of the provider: {error}")
