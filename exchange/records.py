"""What a provider says about a person, and what is wrong with it. Pure: no database, no keys.

A fault names attribute and rule, never a value; nor a name that nobody knows, which may be a value in a wrong place.
"""

import re
from dataclasses import dataclass
from typing import Final

from crypto.blind_index import normalise
from crypto.errors import MalformedError
from exchange.catalogue_model import Catalogue
from exchange.errors import ExchangeError
from exchange.model import HeldValue, SubjectName
from exchange.providers.values import fault_in

PSEUDONYM_SCHEME: Final = "sub"
MAX_IDENTIFIER: Final = 256
_is_scheme = re.compile(r"[a-z][a-z0-9-]{0,31}").fullmatch


class InvalidRecordError(ExchangeError):
    """Records that cannot be written; the message lists every fault with the number of its record, and no value."""

    code = "invalid-record"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRecord:
    """What a provider says about one person."""

    subject: SubjectName
    values: tuple[HeldValue, ...]


def faults_in(record: SubjectRecord, catalogue: Catalogue, provider: str) -> list[str]:
    """Everything that forbids ``provider`` to write a record; empty: nothing."""
    faults = []
    fault = fault_in_name(record.subject)
    if fault:
        faults.append(fault)
    if not record.values:
        faults.append("no attribute is given")
    named: set[str] = set()
    for held in record.values:
        attribute = catalogue.attributes.get(held.name)
        if attribute is None:
            faults.append("an attribute that is not in the catalogue")
        elif attribute.provider != provider or held.provider != provider:
            faults.append(f"{held.name}: only the agency that the catalogue names may write it")
        elif attribute.live:
            faults.append(f"{held.name}: asked for live, never kept in the vault")
        elif held.name in named:
            faults.append(f"{held.name}: given twice")
        else:
            named.add(held.name)
            fault = fault_in(held, attribute.type)
            if fault:
                faults.append(fault)
    return faults


def fault_in_name(name: SubjectName) -> str | None:
    """What is wrong with how a person is named; None: nothing."""
    if not _is_scheme(name.scheme):
        return "the scheme is not a short word of small letters, digits and hyphens"
    if not 0 < len(name.id) <= MAX_IDENTIFIER or not name.id.isprintable():
        return f"the id is not 1 to {MAX_IDENTIFIER} printable characters"
    try:
        normalise(name.id)
    except MalformedError:
        return "the id has no visible character"
    return None
