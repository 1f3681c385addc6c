"""An agreement of one's own, a live provider that does what a test wants, and outcomes by name."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from exchange import agreements, consents
from exchange.agreement_model import Agreement
from exchange.model import HeldValue, RequestedAttribute
from tests.house import ANNA, Client, House

LIVE_AGREEMENT = "plate-check"
LIVE_LINES = (("full_name", "value"), ("vehicle_plate", "value"))
LIVE_ASKED = tuple(RequestedAttribute(name=name, form=form) for name, form in LIVE_LINES)
_TEXT = """
agreement: cdx/agreement/v1
code: {code}
consumer: housing-benefit-office
purpose: housing_benefit
legal_basis: consent
lines:
{lines}
valid_from: 2026-01-01
valid_until: 2031-01-01
max_duration: P12M
retention_days: 365
notice:
  version: "2026-1"
  texts:
    en: {{title: T, purpose: P, consequences_of_no: N, other_way: O, contact: C}}
"""


def put_in_force(house: House, code: str, lines: tuple[tuple[str, str], ...]) -> Agreement:
    """Propose and approve an agreement of the housing benefit office, or its next revision."""
    listed = "\n".join(f'  - {{name: {name}, form: "{form}", required: true}}' for name, form in lines)
    proposed = agreements.propose(house.exchange, _TEXT.format(code=code, lines=listed), by="a", now=house.clock())
    return agreements.approve(
        house.exchange, code, revision=proposed.revision, digest=proposed.digest, by="b", now=house.clock()
    )


class LiveStub:
    """A provider that answers every question with one value, after ``during`` has run."""

    def __init__(self) -> None:
        self.calls = 0
        self.during: Callable[[], object] | None = None
        self.endpoint = SimpleNamespace(scheme=None)

    def of(self, _agency: Any) -> "LiveStub":
        """The same for every agency."""
        return self

    def fetch(self, *, attributes: Any, **_of: Any) -> dict[str, HeldValue]:
        """What the protocol would bring."""
        self.calls += 1
        if self.during is not None:
            self.during()
        return {
            one.name: HeldValue(name=one.name, provider=one.provider, state="present", value="VAL 42")
            for one in attributes
        }


def with_live_provider(house: House) -> tuple[House, LiveStub]:
    """The house with that provider behind it, and an agreement that asks it."""
    put_in_force(house, LIVE_AGREEMENT, LIVE_LINES)
    stub = LiveStub()
    exchange = replace(house.exchange, live_providers=stub)
    return replace(house, services=replace(house.services, exchange=exchange)), stub


def live_consent(house: House, client: Client) -> tuple[Any, consents.Decided]:
    """A request under that agreement which waits to be collected, and the consent to it."""
    waiting = house.ask(client, lines=LIVE_ASKED, agreement=LIVE_AGREEMENT)
    decided = consents.allow(
        house.exchange,
        house.citizen(ANNA),
        waiting.request_id,
        selection=LIVE_LINES,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    return waiting.request_id, decided


def kind_of(attempt: Callable[[], object]) -> str:
    """The class of an outcome, or of the error instead."""
    try:
        return type(attempt()).__name__
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the result
        return type(error).__name__
