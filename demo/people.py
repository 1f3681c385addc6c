"""The people of Valdoria, a country that does not exist: invented, and the same for the same seed.

They live in households that make sense: partners share an address and often a name, children are younger than their
parents, income and licence go with age. Attribute names are those of ``demo/country/catalogue.yaml``.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

SEED = 20_260_101
POPULATION = 1000
AS_OF = date(2026, 1, 1)
"""The day of which the registers tell."""


class Code(NamedTuple):
    """A value from a list of codes."""

    code: str
    label: str


Value = str | int | bool | Code | None  # None: nothing is held


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A vehicle in the vehicle registry, in that registry's own codes."""

    plate: str
    kind: str
    emission: str
    first_registered: date


@dataclass(kw_only=True)
class Person:
    """One person, as three agencies know them. ``tax`` is empty: the tax authority does not know them."""

    national_id: str
    born: date
    civil: dict[str, Value]
    tax: dict[str, Value]
    vehicles: list[Vehicle] = field(default_factory=list)
    licence: str | None = None  # classes
    licence_until: date | None = None
    parking_badge: bool = False

    @property
    def name(self) -> str:
        """Given and family name."""
        return str(self.civil["full_name"])


class Town(NamedTuple):
    """A town, with the postal codes of its districts and a weight for how many live there."""

    code: str
    name: str
    postal_codes: tuple[str, ...]
    weight: int


TOWNS = (
    Town("RI", "Riverton", ("1000", "1001", "1002", "1004", "1010"), 5),
    Town("HI", "Hillford", ("2100", "2110"), 3),
    Town("LA", "Lakeside", ("3000", "3010", "3020"), 3),
    Town("NO", "Northgate", ("4200",), 1),
)
STREETS = ("Harbour Street", "Mill Lane", "Orchard Road", "Station Road", "Elm Street", "Castle Hill", "Weaver Street",
           "Garden Row", "Bridge Street", "Church Walk", "Linden Avenue", "Quarry Road")  # fmt: skip
WOMEN = ("Mara", "Ana", "Selin", "Ines", "Yuna", "Greta", "Amara", "Zofia", "Leila", "Noor", "Elena", "Freya", "Mei",
         "Rosa", "Tamsin", "Ida", "Oriana", "Nadia", "Petra", "Wanjiru", "Sade", "Klara", "Aiko", "Judit")  # fmt: skip
MEN = ("Jonas", "Ben", "Emre", "Tomas", "Kofi", "Luca", "Ravi", "Piotr", "Omar", "Mateo", "Anders", "Hugo", "Jin",
       "Pavel", "Tadeo", "Elias", "Bram", "Samir", "Nikolai", "Chidi", "Arlo", "Viktor", "Haru", "Milan")  # fmt: skip
FAMILIES = ("Lindqvist", "Okafor", "Novak", "Demir", "Hartley", "Santos", "Kowalski", "Iversen", "Tanaka", "Moreau",
            "Petrov", "Adeyemi", "Castellan", "Brandt", "Osei", "Haddad", "Vasquez", "Nyberg", "Rossi", "Farkas",
            "Mensah", "O'Dell", "Sorensen", "Varga", "Kimura", "Delacroix", "Baptiste", "Zoric", "Ahmadi", "Whitlock",
            "Duarte", "Sato", "Benali", "Fischer", "Lund", "Marek", "Solberg", "Ibarra", "Keller")  # fmt: skip
EMPLOYERS = ("Riverton Shipyard", "Valdoria Rail", "Lakeside Clinic", "Hillford Foods", "Northgate Timber",
             "City of Riverton", "Meridian Textiles", "Clearwater Energy", "Harbour Bakeries")  # fmt: skip
OFFICES = ("Town councillor of Riverton", "Lay judge at Hillford", "School board of Lakeside", "Port commissioner")
LICENCES = ("B", "B BE", "A B", "B C1", "AM B")
NATIONALITIES = ((Code("VAL", "Valdoria"), 88), (Code("ABW", "Abwanda"), 6), (Code("CAS", "Castellia"), 6))
DISABILITIES = ((None, 93), (Code("50", "Degree 50"), 4), (Code("80", "Degree 80"), 3))
WORK = ((Code("EM", "Employed"), 36_000), (Code("SE", "Self-employed"), 31_000), (Code("UN", "Without work"), 9_000))
VEHICLE_KINDS = (("PC", 80), ("LV", 8), ("MC", 10), ("OT", 2))
EMISSIONS = (("E4", 15), ("E5", 25), ("E6", 45), ("EV", 15))
SINGLE, MARRIED = Code("SI", "Single"), Code("MA", "Married")
OTHERS_ALONE = (SINGLE, SINGLE, Code("DI", "Divorced"), Code("WI", "Widowed"))


def check_digit(digits: str) -> int:
    """The Luhn digit (ISO/IEC 7812-1, annex B) that ends a national id."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def national_id(number: int) -> str:
    """The id of a number: ``VAL-``, six digits, a check digit. It tells nothing about the person."""
    return f"VAL-{number:06d}-{check_digit(f'{number:06d}')}"


def people(count: int = POPULATION, *, seed: int = SEED) -> list[Person]:
    """Invent ``count`` people. The first is Mara Lindqvist, whom the walk is about."""
    rng = random.Random(seed)
    numbers = iter(rng.sample(range(100_000, 1_000_000), count + 8))
    found: list[Person] = []
    found.extend(_household(rng, numbers, TOWNS[0], ("Mara", "Jonas"), children=1, family="Lindqvist"))
    _settle_mara(found[0])
    while len(found) < count:
        town = rng.choices(TOWNS, [town.weight for town in TOWNS])[0]
        adults = _first_names(rng, rng.choices((1, 2), (55, 45))[0])
        children = rng.choices((0, 1, 2, 3), (60, 20, 15, 5))[0]
        found.extend(_household(rng, numbers, town, adults, children=children))
    return found[:count]


def unknown_id(known: list[Person]) -> str:
    """An id that is well made and belongs to nobody."""
    taken = {person.national_id for person in known}
    return next(candidate for number in range(500_000, 600_000) if (candidate := national_id(number)) not in taken)


def _settle_mara(mara: Person) -> None:
    """Fix what the walk relies on; born on a leap day, since that is where an age is easily got wrong."""
    mara.born = date(1984, 2, 29)
    mara.civil |= {"birth_date": "1984-02-29", "birth_place": "Lakeside"}
    mara.tax |= {"annual_income": "21500.00", "employment_status": Code("EM", "Employed"), "other_benefits": None}
    mara.vehicles = [Vehicle(plate="RI 204 KM", kind="PC", emission="E6", first_registered=date(2020, 3, 16))]
    mara.licence, mara.licence_until = "B", date(2034, 2, 28)


def _first_names(rng: random.Random, count: int) -> tuple[str, ...]:
    return tuple(rng.choice(rng.choice((WOMEN, MEN))) for _ in range(count))


def _household(
    rng: random.Random,
    numbers: Iterator[int],
    town: Town,
    adults: tuple[str, ...],
    *,
    children: int,
    family: str | None = None,
) -> list[Person]:
    family = family or rng.choice(FAMILIES)
    one_name = rng.random() < 0.6
    size = len(adults) + children
    youngest = rng.randint(19, 45) if children else rng.randint(18, 88)
    street = f"{rng.randint(1, 180)} {rng.choice(STREETS)}"
    postal_code = rng.choice(town.postal_codes)
    since = AS_OF - timedelta(days=rng.randint(20, 7000))
    home: dict[str, Value] = {
        "home_address": f"{street}, {postal_code} {town.name}",
        "postal_code": postal_code,
        "municipality": Code(town.code, town.name),
        "registered_since": since.isoformat(),
        "household_size": size,
    }
    civil_status = MARRIED if len(adults) == 2 else rng.choice(OTHERS_ALONE)
    members = []
    for place, given in enumerate(adults):
        surname = family if place == 0 or one_name else rng.choice(FAMILIES)
        born = _birthday(rng, youngest + place * rng.randint(0, 6))
        civil = home | {"civil_status": civil_status, "children_count": children}
        members.append(_adult(rng, next(numbers), given, surname, born, civil))
    for _ in range(children):
        born = _birthday(rng, rng.randint(0, min(17, youngest - 18)))
        civil = home | {"civil_status": SINGLE, "children_count": 0}
        members.append(_person(rng, next(numbers), _first_names(rng, 1)[0], family, born, civil))
    return members


def _birthday(rng: random.Random, age: int) -> date:
    return AS_OF - timedelta(days=int(age * 365.25) + rng.randint(1, 364))


def _person(rng: random.Random, number: int, given: str, family: str, born: date, civil: dict[str, Value]) -> Person:
    nationality = rng.choices(*zip(*NATIONALITIES, strict=True))[0]
    is_citizen = nationality.code == "VAL"
    ident = national_id(number)
    mail = f"{given}.{family}".lower().replace("'", "")
    reachable = born.year < AS_OF.year - 14
    since = max(str(civil["registered_since"]), born.isoformat())  # nobody lives anywhere before being born
    civil |= {
        "registered_since": since,
        "full_name": f"{given} {family}",
        "given_names": given,
        "family_name": family,
        "birth_date": born.isoformat(),
        "birth_place": rng.choice(TOWNS).name if is_citizen else nationality.label,
        "sex": Code("F", "Female") if given in WOMEN else Code("M", "Male"),
        "nationality": nationality,
        "residence_status": Code("CI", "Citizen") if is_citizen else Code("PR", "Permanent right to live here"),
        "legal_guardian": born.year < AS_OF.year - 18 and rng.random() < 0.01,
        "passport_number": f"V{rng.randint(10**7, 10**8 - 1)}" if rng.random() < 0.7 else None,
        "email_address": f"{mail}.{number % 1000}@mail.valdoria.example" if reachable and rng.random() < 0.8 else None,
        "phone_number": f"+999 555 {rng.randint(100_000, 999_999)}" if reachable and rng.random() < 0.8 else None,
        "disability_status": rng.choices(*zip(*DISABILITIES, strict=True))[0],
        "public_office": None,
    }
    return Person(national_id=ident, born=born, civil=civil, tax={})


def _adult(rng: random.Random, number: int, given: str, family: str, born: date, civil: dict[str, Value]) -> Person:
    person = _person(rng, number, given, family, born, civil)
    if rng.random() < 0.01:
        person.civil["public_office"] = rng.choice(OFFICES)
    age = AS_OF.year - born.year
    person.tax = _tax(rng, age)
    person.parking_badge = person.civil["disability_status"] is not None and rng.random() < 0.5
    if rng.random() < 0.7:
        person.licence = rng.choice(LICENCES)
        person.licence_until = AS_OF + timedelta(days=rng.randint(-200, 5000))
        person.vehicles = [_vehicle(rng) for _ in range(rng.choice((0, 1, 1, 2)))]
    return person


def _tax(rng: random.Random, age: int) -> dict[str, Value]:
    if age >= 67:
        status, income = Code("RE", "Retired"), rng.gauss(19_000, 5_000)
    elif age < 24 and rng.random() < 0.5:
        status, income = Code("TR", "In training"), rng.gauss(7_000, 3_000)
    else:
        status, mean = rng.choices(WORK, (80, 12, 8))[0]
        income = rng.lognormvariate(0, 0.45) * mean
    euros = max(round(income), 0)
    return {
        "annual_income": f"{euros}.{rng.randint(0, 99):02d}",
        "income_year": AS_OF.year - 2,
        "tax_class": rng.choice((Code("I", "Class I"), Code("II", "Class II"), Code("III", "Class III"))),
        "tax_debt": f"{rng.randint(20, 4_000)}.00" if rng.random() < 0.06 else None,
        "employment_status": status,
        "employer_name": rng.choice(EMPLOYERS) if status.code == "EM" else None,
        "other_benefits": f"{rng.randint(300, 6_000)}.00" if euros < 15_000 and rng.random() < 0.5 else None,
        "bank_account": _account(rng),
        "home_owner": age > 30 and rng.random() < 0.4,
        "student_loan": f"{rng.randint(500, 20_000)}.00" if age < 40 and rng.random() < 0.2 else None,
        "health_cost_relief": f"{rng.randint(100, 3_000)}.00" if rng.random() < 0.08 else None,
    }


def _account(rng: random.Random) -> str:
    """An account number in the form of ISO 13616, with its check digits; the country code is of no country."""
    digits = f"{rng.randrange(10**16):016d}"
    # XV is 33 31 in the standard's table, followed by 00 in the place of the check digits.
    return f"XV{98 - int(digits + '333100') % 97:02d}{digits}"


def _vehicle(rng: random.Random) -> Vehicle:
    town = rng.choices(TOWNS, [town.weight for town in TOWNS])[0].code  # where it was registered first
    letters = "".join(rng.choices("ABCDEFGHKLMNPRSTUVWXYZ", k=2))
    return Vehicle(
        plate=f"{town} {rng.randint(100, 999)} {letters}",
        kind=rng.choices(*zip(*VEHICLE_KINDS, strict=True))[0],
        emission=rng.choices(*zip(*EMISSIONS, strict=True))[0],
        first_registered=AS_OF - timedelta(days=rng.randint(30, 6000)),
    )
