"""A witness at work: one ``add-checkpoint`` request, from its bytes to the answer (C2SP tlog-witness).

Read, decide (:mod:`exchange.audit.witness`), compare and set (:mod:`exchange.audit.witness_store`), answer. The new
state is durable before a cosignature leaves; if the state moved in between, everything begins anew.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from crypto.checkpoint import Cosigner
from crypto.errors import MalformedError
from exchange.audit.witness import Fork, Refuse, decide, parse_add_checkpoint
from exchange.audit.witness_store import WitnessStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """The cosignature line that answers a request, with its newline."""

    line: str


class Witness:
    """One witness: its key, its memory and a clock."""

    def __init__(self, cosigner: Cosigner, store: WitnessStore, clock: Callable[[], datetime]) -> None:
        self.name = cosigner.name
        self.vkey = cosigner.vkey
        self.store = store
        self._cosigner = cosigner
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Cosigned | Refuse:
        """Cosign the checkpoint of a request, or refuse.

        Raises:
            DatabaseError: nothing was cosigned, or (raised by the commit itself) nobody knows and nothing is answered.
        """
        try:
            request = parse_add_checkpoint(body)
        except MalformedError as exc:
            return Refuse(status=400, body=f"malformed request: {exc}\n")
        while True:
            log = self.store.find(request.checkpoint.origin)
            decision = decide(request, log)
            now = int(self._clock().timestamp())
            if isinstance(decision, Refuse):
                if decision.fork is not None:
                    self._keep(decision.fork, now)
                return decision
            assert log is not None  # an unknown log is refused
            # A clock that was set back must not make an older statement of a newer tree.
            time = max(now, log.cosigned_at)
            line = self._cosigner.sign(decision.text, time=time)
            if self.store.advance(log, decision, note=f"{decision.text}\n{decision.signatures}{line}", time=time):
                return Cosigned(line=line)
            # Another request moved the log on first; ours was not answered, so its cosignature was never made known.

    def _keep(self, fork: Fork, now: int) -> None:
        self.store.keep_fork(fork, time=now)
        _log.error("a log signed two histories: %s, size %d; `cdx witness status` shows both", fork.origin, fork.size)
