"""What several transactions share: addresses, people, organisations, adjustments, references.

Personal fields stay out of `repr`, so that a record in a log or a traceback names nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from groupclaim.x12.core import (
    Problems,
    Segment,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    date_text,
    plain_text,
    quantity_text,
    read_period,
)
from groupclaim.x12.writer import Writer


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address (N3, N4). `zip` is written as given: nine digits for a billing provider."""

    line: str = field(repr=False)
    city: str = field(repr=False)
    state: str
    zip: str = field(repr=False)
    line_2: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation with its identifier (NM1, N1) and, where it is asked for, a contact (PER).

    `qualifier` says what `identifier` is: 46 a trading partner id, PI a payer id, XX an NPI.
    """

    name: str
    identifier: str
    contact_name: str = ""
    contact_phone: str = ""
    contact_email: str = ""
    qualifier: str = "46"


@dataclass(frozen=True, slots=True)
class Provider:
    """A clinician or, without first name and with `is_person` False, an organisation (NM1, PRV)."""

    last_name: str
    first_name: str
    npi: str
    taxonomy: str = ""
    is_person: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """A person as an answer names them (NM1 of a patient or subscriber)."""

    last_name: str = field(repr=False)
    first_name: str = field(repr=False)
    member_id: str = field(repr=False)
    middle_name: str = field(default="", repr=False)
    qualifier: str = "MI"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One reduction of a charge (a triplet of CAS). Positive cents reduce the payment.

    `group_code` is CO, PR, OA, PI or, in old files, CR; `reason_code` is the CARC.
    """

    group_code: str
    reason_code: str
    cents: int
    quantity: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A REF segment that has no field of its own: its qualifier and value."""

    qualifier: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """An insured or a dependent of theirs. In an answer the identifier may be a corrected one."""

    last_name: str = field(repr=False)
    first_name: str = field(repr=False)
    member_id: str = field(default="", repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)
    address: Address | None = field(default=None, repr=False)
    middle_name: str = field(default="", repr=False)
    references: tuple[Reference, ...] = ()
    changed: bool = False
    """INS03 and INS04 say that the answer corrects what was asked with."""


@dataclass(frozen=True, slots=True)
class Period:
    """A DTP or DTM segment that has no field of its own; `last` equals `first` for a single day."""

    qualifier: str
    first: date = field(repr=False)
    last: date = field(repr=False)


@dataclass(frozen=True, slots=True)
class Amount:
    """An AMT segment that has no field of its own."""

    qualifier: str
    cents: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """An AAA: why the question was not answered, at which level of the hierarchy.

    `level` is 20 payer, 21 provider, 22 subscriber, 23 dependent, EB a benefit, EV an event, SS a
    service; `reason` AAA03, `follow_up` AAA04
    (C correct and resend, N do not resend, R resend allowed, ...).
    """

    level: str
    reason: str
    follow_up: str
    valid: str = "N"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How much is granted or asked for, and how often (HSD), as written: quantity qualifier,
    quantity, unit, ..."""

    quantity_qualifier: str
    quantity: Quantity | None
    unit: str = ""
    sample: Quantity | None = None
    period: str = ""
    periods: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One status composite of an STC: category (A2, F1, ...), status code and entity code."""

    category: str
    code: str
    entity: str = ""


def write_rejections(writer: Writer, rejections: Iterable[Rejection], level: str) -> None:
    """The AAA of one level."""
    for rejection in rejections:
        if rejection.level == level:
            writer.add("AAA", rejection.valid, None, rejection.reason, rejection.follow_up)


def read_delivery(segment: Segment, problems: Problems) -> Delivery:
    get, quantity = segment.get, problems.quantity
    numbers = quantity(segment, 2), quantity(segment, 4), quantity(segment, 6)
    return Delivery(get(1), numbers[0], get(3), numbers[1], get(5), numbers[2])


def write_deliveries(writer: Writer, deliveries: Iterable[Delivery]) -> None:
    for d in deliveries:
        numbers = [
            "" if quantity is None else quantity_text(quantity)
            for quantity in (d.quantity, d.sample, d.periods)
        ]
        writer.add(
            "HSD", d.quantity_qualifier, numbers[0], d.unit, numbers[1], d.period, numbers[2]
        )


def read_statuses(segment: Segment) -> list[Status]:
    """The up to three statuses of an STC (STC01, STC10, STC11)."""
    places = [segment.components(n) for n in (1, 10, 11) if segment.get(n)]
    return [Status(*[*components, "", ""][:3]) for components in places]


def status_elements(statuses: Sequence[Status]) -> list[Sequence[str]]:
    """What to write as STC01, STC10 and STC11 for up to three statuses."""
    written: list[Sequence[str]] = [(s.category, s.code, s.entity) for s in statuses]
    return [*written, *[("",)] * (3 - len(written))]


def read_count(segment: Segment, n: int, problems: Problems) -> int | None:
    """Element n as a whole number; None if empty; None and a problem if it is no number."""
    quantity = problems.quantity(segment, n)
    return None if quantity is None else int(quantity)


def read_adjustments(segment: Segment, problems: Problems) -> list[Adjustment]:
    """The up to six adjustments of one CAS."""
    parts = segment.up_to(3)
    group = parts[1]
    found = []
    for n in range(2, min(len(parts), 20), 3):
        reason = parts[n]
        if reason or segment.get(n + 1):
            cents = problems.cents(segment, n + 1)
            found.append(Adjustment(group, reason, cents, problems.quantity(segment, n + 2)))
    return found


def write_adjustments(writer: Writer, adjustments: Iterable[Adjustment]) -> None:
    """One CAS for each group code, more if a group has over six adjustments; order is kept."""
    by_group: dict[str, list[Adjustment]] = {}
    for adjustment in adjustments:
        by_group.setdefault(adjustment.group_code, []).append(adjustment)
    for group, members in by_group.items():
        for start in range(0, len(members), 6):
            elements: list[str] = []
            for a in members[start : start + 6]:
                quantity = "" if a.quantity is None else quantity_text(a.quantity)
                elements += (a.reason_code, amount_text(a.cents), quantity)
            writer.add("CAS", group, *elements)


def read_address(lines: Segment | None, place: Segment | None) -> Address | None:
    """The address of an N3 and the N4 after it; None if there is neither."""
    if lines is None and place is None:
        return None
    return Address(
        lines.get(1) if lines else "",
        place.get(1) if place else "",
        place.get(2) if place else "",
        place.get(3) if place else "",
        lines.get(2) if lines else "",
    )


def write_address(writer: Writer, address: Address) -> None:
    writer.add("N3", plain_text(address.line, 55), plain_text(address.line_2, 55))
    writer.add("N4", plain_text(address.city, 30), address.state, address.zip)


def read_person(segment: Segment) -> Person:
    parts = segment.up_to(9)
    return Person(parts[3], parts[4], parts[9], parts[5], parts[8])


def write_person(writer: Writer, role: str, person: Person) -> None:
    writer.add(
        "NM1",
        role,
        "1",
        plain_text(person.last_name, 60),
        plain_text(person.first_name, 35),
        plain_text(person.middle_name, 25),
        None,
        None,
        person.qualifier if person.member_id else "",
        person.member_id,
    )


def read_provider(segment: Segment) -> Provider:
    get = segment.get
    return Provider(get(3), get(4), get(9) if get(8) == "XX" else "", "", get(2) != "2")


def write_provider(writer: Writer, role: str, provider: Provider) -> None:
    writer.add(
        "NM1",
        role,
        "1" if provider.is_person else "2",
        plain_text(provider.last_name, 60),
        plain_text(provider.first_name, 35),
        None,
        None,
        None,
        "XX" if provider.npi else "",
        provider.npi,
    )


def write_member_name(writer: Writer, role: str, member: Member) -> None:
    """NM1 of an insured person, with the member id where one is known."""
    writer.add(
        "NM1",
        role,
        "1",
        plain_text(member.last_name, 60),
        plain_text(member.first_name, 35),
        plain_text(member.middle_name, 25),
        None,
        None,
        "MI" if member.member_id else "",
        member.member_id,
    )


def write_demographics(writer: Writer, member: Member) -> None:
    """DMG with birth date and sex, if either is known."""
    if member.birth_date is not None or member.sex:
        day = date_or_blank(member.birth_date)
        writer.add("DMG", "D8" if day else "", day, member.sex)


def read_party(segment: Segment) -> Party:
    get = segment.get
    name = f"{get(4)} {get(3)}" if get(4) else get(3)
    return Party(name, get(9), qualifier=get(8))


def write_organisation(writer: Writer, role: str, party: Party) -> None:
    """NM1 of an organisation."""
    name = plain_text(party.name, 60)
    nothing = (None,) * 4
    writer.add("NM1", role, "2", name, *nothing, party.qualifier, party.identifier)


def write_contact(writer: Writer, party: Party) -> None:
    """PER with the ways to reach the party that it has."""
    reach: list[str] = []
    if party.contact_phone:
        reach += ("TE", party.contact_phone)
    if party.contact_email:
        reach += ("EM", party.contact_email)
    writer.add("PER", "IC", plain_text(party.contact_name, 60), *reach)


def read_contact(segment: Segment) -> tuple[str, str, str]:
    """Name, telephone and e-mail of a PER."""
    reach = dict(zip(segment.parts[3::2], segment.parts[4::2], strict=False))
    return segment.get(2), reach.get("TE", ""), reach.get("EM", "")


def read_procedure(segment: Segment, n: int, problems: Problems) -> tuple[str, tuple[str, ...]]:
    """Code and modifiers of a procedure composite such as `HC:90853:59`."""
    code, modifiers, is_readable = _read_composite(segment.get(n), segment.delimiters.component)
    if not is_readable:
        problems.report(
            "procedure_unreadable",
            segment,
            "the composite has no procedure code",
            element=f"{segment.tag}{n:02d}",
        )
    return code, modifiers


@lru_cache(maxsize=4096)
def _read_composite(text: str, separator: str) -> tuple[str, tuple[str, ...], bool]:
    components = text.split(separator)
    code = components[1] if len(components) > 1 else ""
    modifiers = tuple(modifier for modifier in components[2:6] if modifier)
    return code, modifiers, bool(code or not components[0])


def procedure(code: str, modifiers: Sequence[str]) -> tuple[str, ...]:
    """The composite to write for a HCPCS or CPT code."""
    return ("HC", code, *modifiers)


def read_dates(segment: Segment, problems: Problems, n: int = 3) -> tuple[date, date] | None:
    """First and last day of a DTP (n=3, its format in DTP02); None and a problem if unreadable."""
    period = read_period(segment.get(n - 1), segment.get(n))
    if period is None:
        problems.report(
            "date_invalid",
            segment,
            f"{segment.tag}{n:02d} is not a date",
            element=f"{segment.tag}{n:02d}",
        )
    return period


def date_or_blank(day: date | None) -> str:
    return "" if day is None else date_text(day)
