"""Asks one witness over HTTP (C2SP tlog-witness). Every fault of the other side is an answer, never an exception.

Witnesses stand in the operator's own policy file. The rule for addresses is the one for providers: https and public, or
a network that the operator opened; plain http on this machine.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network
from typing import Final, Literal

from crypto.checkpoint import NoteVerifier
from exchange.audit.cosigning import Answer, Unreachable, read_answer, write_request
from exchange.audit.policy_file import Policy
from exchange.errors import ProviderUnavailableError
from exchange.http_client import CallError, CallFault, CallLimits, call
from exchange.providers.addresses import AddressPolicy, Network

LIMITS: Final = CallLimits(connect_seconds=2.0, read_seconds=3.0, total_seconds=4.0, max_bytes=2**14)
_HEADERS: Final = {"Accept": "text/plain", "Content-Type": "text/plain; charset=utf-8"}
_ADDRESSES: Final = 2  # of one name that are tried, when nobody listens at the first
_THIS_MACHINE: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_NO_ADDRESS: Final = "its address does not resolve, or is neither https and public nor in a network that was opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessClient:
    """One witness.

    Attributes:
        name: as the policy calls it.
        verifier: its key.
        url: its submission prefix.
        addresses: which addresses may be called.
        limits: time and size of a call.
        tls: trust for https.
    """

    name: str
    verifier: NoteVerifier
    url: str
    addresses: AddressPolicy
    limits: CallLimits = LIMITS
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    def add_checkpoint(self, note: str, *, old_size: int, proof: Sequence[bytes]) -> Answer:
        """Ask for a cosignature; see :func:`exchange.audit.cosigning.write_request` for the arguments."""
        body = write_request(note, old_size=old_size, proof=proof)
        answered = self._call("POST", "add-checkpoint", body)
        if isinstance(answered, Unreachable):
            return answered
        return read_answer(*answered, note=note, verifier=self.verifier)

    def checkpoint_of(self, origin: str) -> str | None:
        """The newest checkpoint that the witness shows of a log; None when it shows none, for whatever reason."""
        answered = self._call("GET", f"{sha256(origin.encode()).hexdigest()}/checkpoint")
        if isinstance(answered, Unreachable) or answered[0] != 200:
            return None
        return answered[1].decode(errors="replace")

    def _call(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None = None
    ) -> tuple[int, bytes] | Unreachable:
        try:
            targets = self.addresses.targets(f"{self.url.rstrip('/')}/{path}")
        except ProviderUnavailableError:
            return Unreachable(reason=_NO_ADDRESS)
        fault = CallFault.NOT_SENT
        for target in targets[:_ADDRESSES]:
            try:
                with call(method, target, limits=self.limits, tls=self.tls, headers=_HEADERS, content=body) as answer:
                    return answer.status, answer.read()
            except CallError as exc:
                fault = exc.fault
            if fault is not CallFault.NOT_SENT:
                break
        return Unreachable(reason=fault.value)


def clients_of(
    policy: Policy, *, opened: Sequence[Network] = (), limits: CallLimits = LIMITS
) -> tuple[WitnessClient, ...]:
    """The witnesses of a policy that have an address.

    Args:
        policy: the operator's.
        opened: networks that may be called though they are not public.
        limits: of each call.
    """
    addresses = AddressPolicy(allowed=(*opened, *_THIS_MACHINE))
    tls = ssl.create_default_context()
    return tuple(
        WitnessClient(name=name, verifier=party.verifier, url=party.url, addresses=addresses, limits=limits, tls=tls)
        for name, party in policy.witnesses.items()
        if party.url
    )
