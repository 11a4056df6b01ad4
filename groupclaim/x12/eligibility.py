"""Eligibility: the inquiry 270 and its answer 271, version 005010X279A1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO

from groupclaim.x12.core import (
    Delimiters,
    Limits,
    Problem,
    Problems,
    Segment,
    Transaction,
    read_transactions,
)
from groupclaim.x12.parts import (
    Address,
    Delivery,
    Member,
    Party,
    Period,
    Reference,
    Rejection,
    procedure,
    read_address,
    read_contact,
    read_dates,
    read_delivery,
    read_party,
    read_procedure,
    write_address,
    write_deliveries,
    write_demographics,
    write_member_name,
    write_organisation,
    write_rejections,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    date_text,
    period_text,
    plain_text,
    quantity_text,
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_270 = "005010X279A1"


@dataclass(frozen=True, slots=True)
class EligibilityInquiry:
    """One 270 question about one person.

    `service_types` are EQ01 codes (30, MH, A4, A6, ...), `procedure_code` is asked as EQ02 with
    qualifier HC. `trace_number` (TRN02) comes back in the answer; `trace_originator` (TRN03) is ten
    characters. `dependent` is None when the question is about the subscriber.
    """

    reference: str
    trace_number: str
    trace_originator: str
    payer: Party
    provider: Party
    subscriber: Member
    service_date: date | None
    service_types: tuple[str, ...] = ()
    procedure_code: str = ""
    modifiers: tuple[str, ...] = ()
    dependent: Member | None = None
    dependent_relationship: str = "19"
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class RelatedEntity:
    """Who else is concerned by a benefit (2120): for a carve-out, the administrator to ask."""

    role: str
    name: str
    identifier: str = ""
    qualifier: str = ""
    address: Address | None = None
    contact_name: str = ""
    contact_phone: str = ""
    taxonomy: str = ""


@dataclass(frozen=True, slots=True)
class Benefit:
    """One EB with all that belongs to it.

    `information` EB01, `coverage_level` EB02, `service_types` the repetitions of EB03, `period`
    EB06, `cents` EB07, `percent` EB08 as a fraction of one, `quantity_qualifier` and `quantity`
    EB09 and EB10, `authorization` EB11 (Y required, N not, U unknown, '' not said), `in_network`
    EB12 (Y, N, W, U, ''), `procedure_code` and `modifiers` EB13.
    """

    information: str
    coverage_level: str = ""
    service_types: tuple[str, ...] = ()
    insurance_type: str = ""
    plan: str = ""
    period: str = ""
    cents: int | None = None
    percent: Decimal | None = None
    quantity_qualifier: str = ""
    quantity: Quantity | None = None
    authorization: str = ""
    in_network: str = ""
    procedure_code: str = ""
    modifiers: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    references: tuple[Reference, ...] = ()
    dates: tuple[Period, ...] = ()
    messages: tuple[str, ...] = field(default=(), repr=False)
    entities: tuple[RelatedEntity, ...] = ()
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class EligibilityResponse:
    """One 271 answer about one person.

    `trace_number` is the one we asked with (TRN01 2). `rejections` hold the AAA of every level
    above and of the person. `dates` are those of the person (291 plan, 346 plan begin, 347 plan
    end, 356 and 357 eligibility, ...).
    """

    reference: str
    trace_number: str
    payer: Party
    provider: Party
    subscriber: Member
    benefits: tuple[Benefit, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    dates: tuple[Period, ...] = ()
    dependent: Member | None = None
    trace_originator: str = ""
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


# --- writing ------------------------------------------------------------------------------------


def build_270(
    envelope: Envelope,
    inquiry: EligibilityInquiry,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one inquiry about one person. Raises `X12WriteError`."""
    writer = Writer(envelope, "HS", GUIDE_270, delimiters)
    writer.begin("270", transaction_control_number, guide=GUIDE_270)
    at = envelope.at
    writer.add("BHT", "0022", "13", inquiry.reference, f"{at:%Y%m%d}", f"{at:%H%M}")
    _write_top(writer, inquiry.payer, inquiry.provider, ())
    dependent = inquiry.dependent
    trace = ("1", inquiry.trace_number, inquiry.trace_originator)
    writer.add("HL", 3, 2, "22", "0" if dependent is None else "1")
    if dependent is None:
        writer.add("TRN", *trace)
    _write_member(writer, "IL", inquiry.subscriber)
    if dependent is not None:
        writer.add("HL", 4, 3, "23", "0")
        writer.add("TRN", *trace)
        _write_member(writer, "03", dependent, inquiry.dependent_relationship)
    if inquiry.service_date is not None:
        writer.add("DTP", "291", "D8", date_text(inquiry.service_date))
    for service_type in inquiry.service_types:
        writer.add("EQ", service_type)
    if inquiry.procedure_code:
        writer.add("EQ", None, procedure(inquiry.procedure_code, inquiry.modifiers))
    writer.end()
    return writer.to_bytes()


def build_271(
    envelope: Envelope,
    response: EligibilityResponse,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one answer about one person. Raises `X12WriteError`."""
    writer = Writer(envelope, "HB", GUIDE_270, delimiters)
    writer.begin("271", transaction_control_number, guide=GUIDE_270)
    at = envelope.at
    writer.add("BHT", "0022", "11", response.reference, f"{at:%Y%m%d}", f"{at:%H%M}")
    _write_top(writer, response.payer, response.provider, response.rejections)
    dependent = response.dependent
    writer.add("HL", 3, 2, "22", "0" if dependent is None else "1")
    if dependent is None:
        _write_trace(writer, response)
    _write_member(writer, "IL", response.subscriber)
    write_rejections(writer, response.rejections, "22")
    if dependent is not None:
        writer.add("HL", 4, 3, "23", "0")
        _write_trace(writer, response)
        _write_member(writer, "03", dependent)
        write_rejections(writer, response.rejections, "23")
    for period in response.dates:
        writer.add("DTP", period.qualifier, *period_text(period.first, period.last))
    for benefit in response.benefits:
        _write_benefit(writer, benefit)
    writer.end()
    return writer.to_bytes()


def _write_trace(writer: Writer, response: EligibilityResponse) -> None:
    if response.trace_number:
        writer.add("TRN", "2", response.trace_number, response.trace_originator)


def _write_top(
    writer: Writer, payer: Party, provider: Party, rejections: Sequence[Rejection]
) -> None:
    writer.add("HL", 1, None, "20", "1")
    write_organisation(writer, "PR", payer)
    write_rejections(writer, rejections, "20")
    writer.add("HL", 2, 1, "21", "1")
    write_organisation(writer, "1P", provider)
    write_rejections(writer, rejections, "21")


def _write_member(writer: Writer, role: str, member: Member, relationship: str = "") -> None:
    write_member_name(writer, role, member)
    for reference in member.references:
        writer.add("REF", reference.qualifier, reference.value)
    if member.address is not None:
        write_address(writer, member.address)
    write_demographics(writer, member)
    if relationship:
        writer.add("INS", "N", relationship)
    elif member.changed:
        writer.add("INS", "Y" if role == "IL" else "N", "18" if role == "IL" else "19", "001", "25")


def _write_benefit(writer: Writer, benefit: Benefit) -> None:
    service_types = writer.repeat(benefit.service_types, "EB", 3)
    coded = benefit.procedure_code
    writer.add(
        "EB",
        benefit.information,
        benefit.coverage_level,
        service_types,
        benefit.insurance_type,
        plain_text(benefit.plan, 50),
        benefit.period,
        None if benefit.cents is None else amount_text(benefit.cents),
        None if benefit.percent is None else quantity_text(benefit.percent),
        benefit.quantity_qualifier,
        None if benefit.quantity is None else quantity_text(benefit.quantity),
        benefit.authorization,
        benefit.in_network,
        procedure(coded, benefit.modifiers) if coded else None,
    )
    write_deliveries(writer, benefit.deliveries)
    for reference in benefit.references:
        writer.add("REF", reference.qualifier, reference.value)
    for period in benefit.dates:
        writer.add("DTP", period.qualifier, *period_text(period.first, period.last))
    write_rejections(writer, benefit.rejections, "EB")
    for message in benefit.messages:
        writer.add("MSG", plain_text(message, 264))
    if benefit.entities:
        writer.add("LS", "2120")
        for entity in benefit.entities:
            writer.add(
                "NM1",
                entity.role,
                "2",
                plain_text(entity.name, 60),
                None,
                None,
                None,
                None,
                entity.qualifier,
                entity.identifier,
            )
            if entity.address is not None:
                write_address(writer, entity.address)
            if entity.contact_name or entity.contact_phone:
                writer.add(
                    "PER",
                    "IC",
                    plain_text(entity.contact_name, 60),
                    "TE" if entity.contact_phone else "",
                    entity.contact_phone,
                )
            if entity.taxonomy:
                writer.add("PRV", "PE", "PXC", entity.taxonomy)
        writer.add("LE", "2120")


# --- reading ------------------------------------------------------------------------------------


def read_270(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[EligibilityInquiry, ...], tuple[Problem, ...]]:
    """Every inquiry of the file, one for each person asked about, and what is wrong with it."""
    problems = Problems()
    found: list[EligibilityInquiry] = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "270":
            found.extend(read_inquiries(transaction, problems))
    return tuple(found), tuple(problems)


def read_271(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[EligibilityResponse, ...], tuple[Problem, ...]]:
    """Every answer of the file, one for each person, and what is wrong with it.

    Lenient: unknown codes are kept as they are, segments without a field of their own in `unread`.
    An answer refused above the level of a person comes with an empty subscriber and its rejections.
    """
    problems = Problems()
    found: list[EligibilityResponse] = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "271":
            found.extend(read_responses(transaction, problems))
    return tuple(found), tuple(problems)


def read_inquiries(transaction: Transaction, problems: Problems) -> Iterator[EligibilityInquiry]:
    """As `read_270`, of one transaction."""
    reader = _Reader(transaction, problems)
    reader.read()
    return map(reader.inquiry, reader.people)


def read_responses(transaction: Transaction, problems: Problems) -> Iterator[EligibilityResponse]:
    """As `read_271`, of one transaction."""
    reader = _Reader(transaction, problems)
    reader.read()
    return map(reader.response, reader.people)


_NOBODY = Party("", "", qualifier="")


class _Level:
    """What one HL loop of a 270 or 271 says."""

    __slots__ = (
        "above",
        "benefits",
        "code",
        "dates",
        "member",
        "party",
        "procedure",
        "rejections",
        "relationship",
        "service_types",
        "traces",
        "unread",
    )

    def __init__(self, code: str, above: "_Level | None") -> None:
        self.code = code
        self.above = above
        self.party = _NOBODY
        self.member = Member("", "")
        self.traces: list[Segment] = []
        self.benefits: list[Benefit] = []
        self.dates: list[Period] = []
        self.rejections: list[Rejection] = []
        self.relationship = ""
        self.service_types: list[str] = []
        self.procedure: tuple[str, tuple[str, ...]] = ("", ())
        self.unread: list[Segment] = []

    def upwards(self) -> "list[_Level]":
        levels: list[_Level] = []
        level: _Level | None = self
        while level is not None:
            levels.append(level)
            level = level.above
        return levels


class _Reader:
    """Reads one 270 or 271 into its levels."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.reference = ""
        self.level = _Level("", None)
        self.open: dict[str, _Level] = {}
        self.people: list[_Level] = []
        self.benefit: dict[str, Any] | None = None
        self.entity: RelatedEntity | None = None
        self.lines: Segment | None = None

    def read(self) -> None:
        for segment in self.transaction:
            handler = _HANDLERS.get(segment[0][0])
            if handler is None:
                self.problems.report(
                    "segment_unknown", segment, f"the {self.transaction.set_id} has no such segment"
                )
                self.level.unread.append(segment)
            elif not handler(self, segment):
                self.level.unread.append(segment)
        self._end_benefit()
        # A subscriber stands for a person unless the question or answer is about dependents.
        above = {id(level.above) for level in self.people if level.code == "23"}
        self.people = [level for level in self.people if id(level) not in above]
        if not self.people:
            self.people = [self.level]

    def inquiry(self, person: _Level) -> EligibilityInquiry:
        trace = self._trace(person)
        code, modifiers = person.procedure
        dependent = person.member if person.code == "23" else None
        interchange = self.transaction.interchange
        return EligibilityInquiry(
            self.reference,
            trace.get(2) if trace else "",
            trace.get(3) if trace else "",
            self._party(person, "20"),
            self._party(person, "21"),
            self._subscriber(person),
            person.dates[0].first if person.dates else None,
            tuple(person.service_types),
            code,
            modifiers,
            dependent,
            person.relationship or "19",
            interchange.sender_id,
            interchange.receiver_id,
            interchange.control_number,
            self.transaction.control_number,
            self.transaction.complete,
        )

    def response(self, person: _Level) -> EligibilityResponse:
        trace = self._trace(person)
        interchange = self.transaction.interchange
        levels = person.upwards()
        return EligibilityResponse(
            self.reference,
            trace.get(2) if trace else "",
            self._party(person, "20"),
            self._party(person, "21"),
            self._subscriber(person),
            tuple(person.benefits),
            tuple(r for level in reversed(levels) for r in level.rejections),
            tuple(person.dates),
            person.member if person.code == "23" else None,
            trace.get(3) if trace else "",
            interchange.sender_id,
            interchange.receiver_id,
            interchange.control_number,
            self.transaction.control_number,
            self.transaction.complete,
            tuple(segment for level in reversed(levels) for segment in level.unread),
        )

    @staticmethod
    def _party(person: _Level, code: str) -> Party:
        return next((lv.party for lv in person.upwards() if lv.code == code), _NOBODY)

    @staticmethod
    def _subscriber(person: _Level) -> Member:
        levels = person.upwards()
        return next((lv.member for lv in levels if lv.code == "22"), Member("", ""))

    def _trace(self, person: _Level) -> Segment | None:
        # Clearinghouses add traces of their own; ours is the one that refers to a question (TRN01
        # 2) with our number first.
        wanted = "2" if self.transaction.set_id == "271" else "1"
        traces = [t for level in person.upwards() for t in level.traces]
        return next((t for t in traces if t.get(1) == wanted), None)

    # Segments.

    def _hl(self, segment: Segment) -> bool:
        self._end_benefit()
        code = segment.get(3)
        above = {"21": "20", "22": "21", "23": "22"}.get(code, "")
        level = _Level(code, self.open.get(above))
        self.open[code] = level
        self.level, self.lines = level, None
        if code in ("22", "23"):
            self.people.append(level)
        return code in ("20", "21", "22", "23")

    def _bht(self, segment: Segment) -> bool:
        self.reference = segment.get(3)
        return True

    def _nm1(self, segment: Segment) -> bool:
        self.lines = None
        if self.benefit is not None:
            self._end_entity()
            party = read_party(segment)
            self.entity = RelatedEntity(
                segment.get(1), party.name, party.identifier, party.qualifier
            )
        elif self.level.code in ("22", "23"):
            get = segment.get
            self.level.member = replace(
                self.level.member,
                last_name=get(3),
                first_name=get(4),
                middle_name=get(5),
                member_id=get(9),
            )
        else:
            self.level.party = read_party(segment)
        return True

    def _trn(self, segment: Segment) -> bool:
        self.level.traces.append(segment)
        return True

    def _n3(self, segment: Segment) -> bool:
        self.lines = segment
        return True

    def _n4(self, segment: Segment) -> bool:
        address = read_address(self.lines, segment)
        if self.benefit is not None:
            if self.entity is None:
                return False
            self.entity = replace(self.entity, address=address)
        else:
            self.level.member = replace(self.level.member, address=address)
        return True

    def _dmg(self, segment: Segment) -> bool:
        birth_date = self.problems.day(segment, 2) if segment.get(2) else None
        self.level.member = replace(self.level.member, birth_date=birth_date, sex=segment.get(3))
        return True

    def _ins(self, segment: Segment) -> bool:
        self.level.relationship = segment.get(2)
        changed = segment.get(3) == "001"
        self.level.member = replace(self.level.member, changed=changed)
        return True

    def _aaa(self, segment: Segment) -> bool:
        level = "EB" if self.benefit is not None else self.level.code
        rejection = Rejection(level, segment.get(3), segment.get(4), segment.get(1))
        if self.benefit is not None:
            self.benefit["rejections"] += (rejection,)
        else:
            self.level.rejections.append(rejection)
        return True

    def _ref(self, segment: Segment) -> bool:
        reference = Reference(segment.get(1), segment.get(2))
        if self.benefit is not None:
            self.benefit["references"] += (reference,)
        elif self.level.code in ("22", "23"):
            member = self.level.member
            self.level.member = replace(member, references=(*member.references, reference))
        else:
            return False
        return True

    def _dtp(self, segment: Segment) -> bool:
        period = read_dates(segment, self.problems)
        if period is None:
            return False
        dates = Period(segment.get(1), *period)
        if self.benefit is not None:
            self.benefit["dates"] += (dates,)
        else:
            self.level.dates.append(dates)
        return True

    def _per(self, segment: Segment) -> bool:
        if self.entity is None:
            return False
        name, phone, _ = read_contact(segment)
        self.entity = replace(self.entity, contact_name=name, contact_phone=phone)
        return True

    def _prv(self, segment: Segment) -> bool:
        if self.entity is None:
            return False
        self.entity = replace(self.entity, taxonomy=segment.get(3))
        return True

    def _eq(self, segment: Segment) -> bool:
        self.level.service_types.extend(segment.repeats(1))
        if segment.get(2):
            self.level.procedure = read_procedure(segment, 2, self.problems)
        return True

    def _eb(self, segment: Segment) -> bool:
        self._end_benefit()
        get = segment.get
        percent = self.problems.quantity(segment, 8)
        code, modifiers = read_procedure(segment, 13, self.problems)
        self.benefit = {
            "information": get(1),
            "coverage_level": get(2),
            "service_types": tuple(segment.repeats(3)),
            "insurance_type": get(4),
            "plan": get(5),
            "period": get(6),
            "cents": self.problems.cents(segment, 7) if get(7) else None,
            "percent": None if percent is None else Decimal(percent),
            "quantity_qualifier": get(9),
            "quantity": self.problems.quantity(segment, 10),
            "authorization": get(11),
            "in_network": get(12),
            "procedure_code": code,
            "modifiers": modifiers,
            "deliveries": (),
            "references": (),
            "dates": (),
            "messages": (),
            "entities": (),
            "rejections": (),
        }
        return True

    def _hsd(self, segment: Segment) -> bool:
        if self.benefit is None:
            return False
        self.benefit["deliveries"] += (read_delivery(segment, self.problems),)
        return True

    def _msg(self, segment: Segment) -> bool:
        if self.benefit is None:
            return False
        self.benefit["messages"] += (segment.get(1),)
        return True

    def _frame(self, segment: Segment) -> bool:
        """LS and LE only frame the entities of a benefit."""
        if segment.tag == "LE":
            self._end_entity()
        return self.benefit is not None

    def _other(self, segment: Segment) -> bool:
        """Known to the guide, without a field here: kept unread."""
        return False

    def _end_entity(self) -> None:
        if self.entity is not None and self.benefit is not None:
            self.benefit["entities"] += (self.entity,)
        self.entity = None

    def _end_benefit(self) -> None:
        self._end_entity()
        if self.benefit is not None:
            self.level.benefits.append(Benefit(**self.benefit))
            self.benefit = None


_HANDLERS = {
    "HL": _Reader._hl,
    "BHT": _Reader._bht,
    "NM1": _Reader._nm1,
    "TRN": _Reader._trn,
    "N3": _Reader._n3,
    "N4": _Reader._n4,
    "DMG": _Reader._dmg,
    "INS": _Reader._ins,
    "AAA": _Reader._aaa,
    "REF": _Reader._ref,
    "DTP": _Reader._dtp,
    "PER": _Reader._per,
    "PRV": _Reader._prv,
    "EQ": _Reader._eq,
    "EB": _Reader._eb,
    "HSD": _Reader._hsd,
    "MSG": _Reader._msg,
    "LS": _Reader._frame,
    "LE": _Reader._frame,
    "III": _Reader._other,
    "HI": _Reader._other,
    "MPI": _Reader._other,
    "AMT": _Reader._other,
    "VEH": _Reader._other,
    "N2": _Reader._other,
}
