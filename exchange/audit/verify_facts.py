"""Hold the sealed facts of entries, and the rows that they speak of, against the log. Used by ``verify_db``.

Each entry has as many sealed openings as it says in public, each of another owner. An opening names the entry's exact
bytes, whose history the entry belongs to, and until when that line is hidden. From there follow: the history lines, the
digest of the consent event of the same transaction, the digests of the values that were written, and how many openings
an erasure took away.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeVar
from uuid import UUID

from crypto import canonical
from crypto.errors import CryptoError, MalformedError
from exchange.audit.check_store import Companions, ConsentEventRow, LineRow, OpeningRow, ValueRow
from exchange.audit.commitments import Openings, check_openings, parse_openings
from exchange.audit.entry import Entry, to_millis
from exchange.audit.report import Report
from exchange.errors import ExchangeError
from exchange.events import EventType

Unseal = Callable[[UUID, UUID, bytes], bytes | None]
"""``unseal(owner_ref, entry_id, ct)``: openings; None: the owner was erased; raises when it does not open."""

_Row = TypeVar("_Row", OpeningRow, LineRow, ConsentEventRow)

CONSENT_EVENT: Final = "consent_event"
VALUES: Final = "values"
OPENINGS: Final = "openings"


@dataclass(slots=True, kw_only=True)
class Facts:
    """Collects over the whole log; then :meth:`finish`."""

    report: Report
    unseal: Unseal
    opened: int = 0
    without: list[UUID] = field(default_factory=list)  # entries, once for each opening that is missing
    erased: int = 0  # how many openings the entries say were deleted with their owners
    values: dict[tuple[UUID, str], tuple[int, str]] = field(default_factory=dict)

    def check(self, entries: Mapping[UUID, Entry], beside: Companions) -> None:
        """Check what stands beside some entries, in the order of the log."""
        openings = _by_entry(beside.openings())
        lines = _by_entry(beside.lines())
        events = _by_entry(beside.consent_events())
        for entry in entries.values():
            rows = openings.get(entry.id, [])
            if len(rows) > entry.sealings:
                self.report.fault(f"audit_opening: entry {entry.id} has {len(rows)}, must have {entry.sealings}")
                continue
            self.without += [entry.id] * (entry.sealings - len(rows))
            opened = [one for row in rows if (one := self._open(entry, row)) is not None]
            if len(opened) == len(rows):
                self._check(entry, opened, lines.get(entry.id, []), events.get(entry.id, []))

    def finish(self, values: Iterable[ValueRow]) -> None:
        """After the last entry.

        Args:
            values: every sealed value there is.
        """
        if len(self.without) != self.erased:
            some = ", ".join(str(entry_id) for entry_id in self.without[:5])
            self.report.fault(
                f"audit_opening: {len(self.without)} are missing, erasures account for {self.erased}"
                + (f"; among them {some}" if some else "")
            )
        for row in values:
            self._check_value(row)
        for subject_ref, attribute in self.values:
            self.report.fault(f"attribute_value: the row of {attribute} of subject {subject_ref} is missing")
        self.report.checked.append(f"{self.opened} sealed openings fit their entries, histories and consent events")
        if self.erased:
            self.report.not_checked.append(
                f"the facts behind {self.erased} openings: their owners were erased, and the keys with them"
            )

    def _open(self, entry: Entry, row: OpeningRow) -> Openings | None:
        """One set of openings, checked; None: it is at fault, which is told."""
        try:
            plaintext = self.unseal(row.owner_ref, entry.id, row.ct)
            if plaintext is None:
                # Tolerated, such a row could stand in for one that somebody took away.
                self.report.fault(f"audit_opening: that of entry {entry.id} must have gone with its erased owner")
                return None
            openings = parse_openings(plaintext)
            check_openings(entry, openings)
        except (CryptoError, ExchangeError) as exc:
            self.report.fault(f"audit_opening: that of entry {entry.id} (owner {row.owner_ref}): {exc}")
            return None
        self.opened += 1
        return openings

    def _check(
        self,
        entry: Entry,
        opened: Sequence[Openings],
        lines: Sequence[LineRow],
        events: Sequence[ConsentEventRow],
    ) -> None:
        """Check what follows from the openings that an entry still has."""
        expected = {one.subject_ref: (entry.at, one.visible_from) for one in opened if one.subject_ref is not None}
        if {line.subject_ref: (line.at, line.visible_from) for line in lines} != expected:
            self.report.fault(f"audit_subject_entry: the history lines of entry {entry.id} are not what was written")
        complete = len(opened) == entry.sealings
        digest = next((facts[CONSENT_EVENT] for one in opened if CONSENT_EVENT in (facts := one.values())), None)
        if complete or digest is not None:
            self._check_consent_event(entry, digest, events)
        try:
            for one in opened:
                facts = one.values()
                if entry.type == EventType.SUBJECT_WRITTEN and one.subject_ref is not None:
                    self._write(one.subject_ref, facts[VALUES])
                elif entry.type == EventType.SUBJECT_ERASED:
                    self.erased += int(facts[OPENINGS])
        except (KeyError, ValueError, MalformedError):
            self.report.fault(f"entry {entry.id}: its facts are not those of {entry.type}")

    def _check_consent_event(self, entry: Entry, digest: str | None, events: Sequence[ConsentEventRow]) -> None:
        if digest is None or not events:
            if (digest is None) != (not events):
                what = "tells of an event that is missing" if digest else "tells of no event, but one names it"
                self.report.fault(f"consent_event: entry {entry.id} {what}")
            return
        row = events[0]
        place = f"consent_event: event {row.seq} of consent {row.consent_id}"
        if sha256(row.body).hexdigest() != digest:
            self.report.fault(f"{place} is not the one of entry {entry.id}")
            return
        try:
            body = canonical.decode(row.body)
            said = (body["consent"], body["seq"], body["type"], body["at"])
        except (MalformedError, KeyError, TypeError):
            self.report.fault(f"{place} is not readable")
            return
        if said != (str(row.consent_id), row.seq, row.type, to_millis(row.at)):
            self.report.fault(f"{place}: a column differs from the body")

    def _write(self, subject_ref: UUID, text: str) -> None:
        for attribute, written in canonical.decode(text.encode()).items():
            version, _, digest = written.partition(":")
            # By version, not by place: two writes at once may be sequenced the other way round.
            newest = self.values.get((subject_ref, attribute))
            if newest is None or newest[0] < int(version):
                self.values[subject_ref, attribute] = (int(version), digest)

    def _check_value(self, row: ValueRow) -> None:
        written = self.values.pop((row.subject_ref, row.attribute), None)
        if written != (row.version, sha256(row.ct).hexdigest()):
            self.report.fault(
                f"attribute_value: {row.attribute} of subject {row.subject_ref} is not the one that was written last"
            )


def _by_entry(rows: Sequence[_Row]) -> dict[UUID, list[_Row]]:
    result: dict[UUID, list[_Row]] = {}
    for row in rows:
        result.setdefault(row.entry_id, []).append(row)
    return result
