"""What two agencies agreed on: who may ask for what, on which legal basis, and in which words people are told. Pure.

An agreement lists exact ``(name, form)`` lines. How it is read, proposed, approved and ended stands in
``exchange.agreements``.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from consent.model import LegalBasis
from exchange.model import AgencyCode, AgreementStatus

_DURATION: Final = re.compile(
    r"P(?=[0-9])(?:([0-9]{1,3})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,5})D)?|P([0-9]{1,4})W", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLine:
    """One attribute in one exact form. ``required``: the purpose cannot be served without it."""

    name: str
    form: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people are told. ``texts``: language → title, purpose, consequences_of_no, other_way, contact."""

    version: str
    texts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A data-sharing agreement in one revision.

    Attributes:
        law: by which law, when nobody is asked.
        revision: which wording; a consent names the revision it was given under.
        version: bumped by whatever changes what the agreement permits; a disclosure names it.
        valid_from, valid_until: aware UTC, end exclusive.
        max_duration: ISO 8601 duration, the longest a consent under it may hold.
        max_uses: the most disclosures under one consent; None: any number.
        retention_days: how long the consumer keeps what it gets.
        cooling_off_days: after a refusal or withdrawal the same person is not asked again for so long (decision 15).
        form_limit: how often one weaker form is answered per person and calendar year (decision 16).
        digest: SHA-256 (hex) of the stored body.
    """

    id: UUID
    code: str
    consumer: AgencyCode
    purpose: str
    legal_basis: LegalBasis
    law: str | None = None
    lines: tuple[AgreementLine, ...]
    revision: int
    version: int
    status: AgreementStatus
    valid_from: datetime
    valid_until: datetime
    max_duration: str
    max_uses: int | None
    retention_days: int
    cooling_off_days: int
    form_limit: int
    notice: Notice
    digest: str
    keys: frozenset[tuple[str, str]] = field(
        init=False, repr=False, compare=False
    )  # of the lines: looked up per request

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", frozenset((line.name, line.form) for line in self.lines))

    def is_in_force(self, now: datetime) -> bool:
        """Whether data may be asked for under it at ``now``."""
        return self.status is AgreementStatus.IN_FORCE and self.valid_from <= now < self.valid_until

    def longest_until(self, start: datetime) -> datetime:
        """The latest end of a consent that begins at ``start``: ``max_duration`` later, and not after the agreement."""
        return min(add_duration(start, self.max_duration), self.valid_until)


def is_duration(text: str) -> bool:
    """Whether ``text`` is an ISO 8601 duration of whole days or longer, and not of none."""
    return _DURATION.fullmatch(text) is not None and any(digit in text for digit in "123456789")


def add_duration(start: datetime, duration: str) -> datetime:
    """``start`` plus an ISO 8601 duration; a day that the month does not have becomes its last one.

    Raises:
        ValueError: not a duration of days, weeks, months or years, or one that leaves the calendar.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or not is_duration(duration):
        raise ValueError("expected an ISO 8601 duration such as P6M or P30D")
    years, months, days, weeks = (int(part or 0) for part in match.groups())
    year, month = divmod(start.year * 12 + start.month - 1 + years * 12 + months, 12)
    try:
        moved = start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
        return moved + timedelta(days=days, weeks=weeks)
    except (OverflowError, ValueError) as exc:
        raise ValueError("the duration leaves the calendar") from exc
