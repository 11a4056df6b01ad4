"""Prior authorization: the request 278 (005010X217), the inquiry after it (X215), the answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
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
from groupclaim.x12.hierarchy import Level, read_levels, read_member, unread
from groupclaim.x12.parts import (
    Delivery,
    Member,
    Party,
    Period,
    Provider,
    Rejection,
    procedure,
    read_contact,
    read_dates,
    read_delivery,
    read_procedure,
    read_provider,
    write_address,
    write_contact,
    write_deliveries,
    write_demographics,
    write_member_name,
    write_organisation,
    write_provider,
    write_rejections,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    period_text,
    plain_text,
    quantity_text,
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_278 = "005010X217"
GUIDE_278_INQUIRY = "005010X215"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the reviewer decided (HCR) on an event or one of its services.

    `action` is HCR01: A1 certified in total, A2 in part, A3 not certified, A4 pended, A6 modified,
    C cancelled, CT contact the payer, NA no action required. `number` (HCR02) is what the claim
    carries as prior authorization, `reason` HCR03.
    """

    action: str
    number: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A service asked for or decided on (level SS): a procedure, how much of it, and when.

    `decision` and `rejections` are of answers only; so is `authorization_number` (REF*BB).
    """

    code: str
    modifiers: tuple[str, ...] = ()
    charge_cents: int | None = None
    units: Quantity | None = None
    service_date: date | None = None
    last_service_date: date | None = None
    deliveries: tuple[Delivery, ...] = ()
    decision: Decision | None = None
    authorization_number: str = ""
    rejections: tuple[Rejection, ...] = ()
    dates: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One 278 request about one patient event.

    `category` is UM01 (HS health services review, SC specialty care, AR admission), `certification`
    UM02 (I initial, R renewal, S revision, 3 cancel, 4 extension), `service_type` UM03 (A6, MH),
    `place_of_service` UM04-1. `authorization_number` is that of an earlier certification (REF*BB).
    `first_day` and `last_day` are the event's (DTP*AAH), `deliveries` what is asked for (HSD),
    `provider` renders it (NM1*SJ). `trace_originator` (TRN03) is ten characters. `is_inquiry` asks
    what became of the request with this trace, and requests nothing (BHT02 28). `is_urgent` is
    UM06 U.
    """

    reference: str
    trace_number: str
    trace_originator: str
    reviewer: Party
    requester: Party
    subscriber: Member
    service_type: str
    category: str = "HS"
    certification: str = "I"
    place_of_service: str = ""
    authorization_number: str = ""
    first_day: date | None = None
    last_day: date | None = None
    diagnoses: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    services: tuple[Service, ...] = ()
    provider: Provider | None = None
    note: str = field(default="", repr=False)
    dependent: Member | None = None
    dependent_relationship: str = "19"
    is_inquiry: bool = False
    is_urgent: bool = False
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """One 278 answer about one patient event.

    `decision` is None when the request was refused: then `rejections` (AAA of every level above and
    of the event) say why. `is_final` is False when further answers follow (BHT06 19). `dates` are
    those of the event besides its own (007 effective, 036 expiration, 102 issue, ...).
    """

    reference: str
    trace_number: str
    trace_originator: str
    reviewer: Party
    requester: Party
    subscriber: Member
    decision: Decision | None
    service_type: str = ""
    category: str = "HS"
    certification: str = "I"
    place_of_service: str = ""
    authorization_number: str = ""
    first_day: date | None = None
    last_day: date | None = None
    diagnoses: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    services: tuple[Service, ...] = ()
    provider: Provider | None = None
    note: str = field(default="", repr=False)
    dependent: Member | None = None
    rejections: tuple[Rejection, ...] = ()
    dates: tuple[Period, ...] = ()
    is_final: bool = True
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


# --- writing ------------------------------------------------------------------------------------


def build_278_request(
    envelope: Envelope,
    request: AuthorizationRequest,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one request, or inquiry, about one event. Raises `X12WriteError`."""
    guide = GUIDE_278_INQUIRY if request.is_inquiry else GUIDE_278
    writer = Writer(envelope, "HI", guide, delimiters)
    writer.begin("278", transaction_control_number, guide=guide)
    at = envelope.at
    # BHT02 01 withdraws what an earlier request asked for.
    purpose = "28" if request.is_inquiry else "01" if request.certification == "3" else "13"
    writer.add("BHT", "0007", purpose, request.reference, f"{at:%Y%m%d}", f"{at:%H%M}")
    level = _write_people(writer, request, ())
    _write_event(writer, request, level, "1", None, (), ())
    writer.end()
    return writer.to_bytes()


def build_278_response(
    envelope: Envelope,
    response: AuthorizationResponse,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one answer about one event. Raises `X12WriteError`."""
    writer = Writer(envelope, "HI", GUIDE_278, delimiters)
    writer.begin("278", transaction_control_number, guide=GUIDE_278)
    at = envelope.at
    last = "18" if response.is_final else "19"
    writer.add("BHT", "0007", "11", response.reference, f"{at:%Y%m%d}", f"{at:%H%M}", last)
    level = _write_people(writer, response, response.rejections)
    _write_event(
        writer, response, level, "2", response.decision, response.rejections, response.dates
    )
    writer.end()
    return writer.to_bytes()


def _write_people(
    writer: Writer,
    event: AuthorizationRequest | AuthorizationResponse,
    rejections: Sequence[Rejection],
) -> int:
    """The levels above the event; returns the number of the last one."""
    writer.add("HL", 1, None, "20", "1")
    write_organisation(writer, "X3", event.reviewer)
    write_rejections(writer, rejections, "20")
    writer.add("HL", 2, 1, "21", "1")
    write_organisation(writer, "1P", event.requester)
    if event.requester.contact_name or event.requester.contact_phone:
        write_contact(writer, event.requester)
    write_rejections(writer, rejections, "21")
    writer.add("HL", 3, 2, "22", "1")
    _write_member(writer, "IL", event.subscriber, "")
    write_rejections(writer, rejections, "22")
    if event.dependent is None:
        return 3
    writer.add("HL", 4, 3, "23", "1")
    relationship = event.dependent_relationship if isinstance(event, AuthorizationRequest) else ""
    _write_member(writer, "QC", event.dependent, relationship)
    write_rejections(writer, rejections, "23")
    return 4


def _write_member(writer: Writer, role: str, member: Member, relationship: str) -> None:
    write_member_name(writer, role, member)
    if member.address is not None:
        write_address(writer, member.address)
    write_demographics(writer, member)
    if relationship:
        writer.add("INS", "N", relationship)


def _write_event(
    writer: Writer,
    event: AuthorizationRequest | AuthorizationResponse,
    above: int,
    trace_type: str,
    decision: Decision | None,
    rejections: Sequence[Rejection],
    dates: Sequence[Period],
) -> None:
    number = above + 1
    writer.add("HL", number, above, "EV", "1" if event.services else "0")
    if event.trace_number:
        writer.add("TRN", trace_type, event.trace_number, event.trace_originator)
    write_rejections(writer, rejections, "EV")
    place = (event.place_of_service, "B") if event.place_of_service else None
    urgent = "U" if isinstance(event, AuthorizationRequest) and event.is_urgent else ""
    kind = (event.category, event.certification, event.service_type)
    writer.add("UM", *kind, place, None, urgent)
    _write_decision(writer, decision, event.authorization_number)
    if event.first_day is not None:
        writer.add("DTP", "AAH", *period_text(event.first_day, event.last_day))
    _write_dates(writer, dates)
    if event.diagnoses:
        codes = (("ABF" if n else "ABK", code) for n, code in enumerate(event.diagnoses))
        writer.add("HI", *codes)
    write_deliveries(writer, event.deliveries)
    if event.note:
        writer.add("MSG", plain_text(event.note, 264))
    if event.provider is not None:
        write_provider(writer, "SJ", event.provider)
        if event.provider.taxonomy:
            writer.add("PRV", "PE", "PXC", event.provider.taxonomy)
    for position, service in enumerate(event.services, number + 1):
        writer.add("HL", position, number, "SS", "0")
        write_rejections(writer, service.rejections, "SS")
        _write_decision(writer, service.decision, service.authorization_number)
        if service.service_date is not None:
            writer.add("DTP", "472", *period_text(service.service_date, service.last_service_date))
        _write_dates(writer, service.dates)
        writer.add(
            "SV1",
            procedure(service.code, service.modifiers),
            None if service.charge_cents is None else amount_text(service.charge_cents),
            None if service.units is None else "UN",
            None if service.units is None else quantity_text(service.units),
        )
        write_deliveries(writer, service.deliveries)


def _write_decision(writer: Writer, decision: Decision | None, authorization_number: str) -> None:
    if decision is not None:
        writer.add("HCR", decision.action, decision.number, decision.reason)
    if authorization_number:
        writer.add("REF", "BB", authorization_number)


def _write_dates(writer: Writer, dates: Sequence[Period]) -> None:
    for period in dates:
        writer.add("DTP", period.qualifier, *period_text(period.first, period.last))


# --- reading ------------------------------------------------------------------------------------


def read_278_requests(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[AuthorizationRequest, ...], tuple[Problem, ...]]:
    """Every request of the file, one for each event, and what is wrong with the file."""
    problems = Problems()
    found: list[AuthorizationRequest] = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "278":
            for event in read_events(transaction, problems):
                if isinstance(event, AuthorizationRequest):
                    found.append(event)
    return tuple(found), tuple(problems)


def read_278_responses(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[AuthorizationResponse, ...], tuple[Problem, ...]]:
    """Every answer of the file, one for each event, and what is wrong with the file.

    Lenient: unknown codes are kept as they are, segments without a field of their own in `unread`.
    A request refused above its event is one answer without decision, with its rejections.
    """
    problems = Problems()
    found: list[AuthorizationResponse] = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "278":
            for event in read_events(transaction, problems):
                if isinstance(event, AuthorizationResponse):
                    found.append(event)
    return tuple(found), tuple(problems)


def read_events(
    transaction: Transaction, problems: Problems
) -> Iterator[AuthorizationRequest | AuthorizationResponse]:
    """The events of one 278: requests, or answers if BHT02 is 11 or anything is decided."""
    reader = _Reader(transaction, problems)
    return reader.responses() if reader.is_answer else reader.requests()


class _Reader:
    """Reads one 278, of either direction, into the fields of its records."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.head, self.levels = read_levels(transaction, problems)
        self.begin = next((segment for segment in self.head if segment.tag == "BHT"), None)
        if self.begin is None:
            problems.report("bht_missing", transaction.header, "there is no BHT")
        decided = any(s.tag == "HCR" for level in self.levels for s in level.segments)
        self.is_answer = decided or (self.begin is not None and self.begin.get(2) == "11")

    def requests(self) -> Iterator[AuthorizationRequest]:
        for values in self._events():
            for name in ("decision", "rejections", "dates"):
                values.pop(name)
            is_inquiry = self.begin is not None and self.begin.get(2) == "28"
            yield AuthorizationRequest(**values, is_inquiry=is_inquiry)

    def responses(self) -> Iterator[AuthorizationResponse]:
        for values in self._events():
            for name in ("dependent_relationship", "is_urgent"):
                values.pop(name, None)
            final = self.begin is None or self.begin.get(6) != "19"
            yield AuthorizationResponse(**values, is_final=final)

    def _events(self) -> Iterator[dict[str, Any]]:
        events = [level for level in self.levels if level.code == "EV"]
        if not events:
            # Older guides have no level EV: what is asked or decided stands with the patient.
            events = [level for level in self.levels if level.code in ("22", "23")][-1:]
        if not events:
            self.problems.report(
                "event_missing", self.transaction.header, "the 278 is about no event"
            )
            events = self.levels[-1:]
        self._report_unknown()
        for event in events:
            yield self._event(event)

    def _report_unknown(self) -> None:
        for segment in (*self.head, *(s for level in self.levels for s in level.segments)):
            if segment.tag not in _TAGS:
                self.problems.report("segment_unknown", segment, "the 278 has no such segment")

    def _event(self, event: Level) -> dict[str, Any]:
        problems, interchange = self.problems, self.transaction.interchange
        taken: set[int] = set()
        subscriber, dependent = event.find("22"), event.find("23")
        values = self._decided(event, "EV", taken)
        values["rejections"] = (*_rejections_above(event, taken), *values["rejections"])
        if subscriber is not None:
            values["subscriber"] = read_member(subscriber.segments, problems, taken)
        if dependent is not None:
            values["dependent"] = read_member(dependent.segments, problems, taken)
            relation = next((s for s in dependent.segments if s.tag == "INS"), None)
            if relation is not None and relation.get(2):
                values["dependent_relationship"] = relation.get(2)
        for code, name in (("20", "reviewer"), ("21", "requester")):
            values[name] = self._party(event.find(code), taken)
        services = [level for level in event.below if level.code == "SS"]
        values["services"] = tuple(self._service(level, taken) for level in services)
        left = [
            segment
            for level in (*reversed(_upwards(event)), *services)
            for segment in unread(level.segments, taken)
        ]
        return {
            "trace_number": "",
            "trace_originator": "",
            "subscriber": Member("", ""),
            "service_type": "",
            **values,
            "reference": self.begin.get(3) if self.begin else "",
            "sender_id": interchange.sender_id,
            "receiver_id": interchange.receiver_id,
            "interchange_control_number": interchange.control_number,
            "control_number": self.transaction.control_number,
            "complete": self.transaction.complete,
            "unread": (*(s for s in self.head if s is not self.begin), *left),
        }

    def _party(self, level: Level | None, taken: set[int]) -> Party:
        party = Party("", "", qualifier="")
        for segment in level.segments if level is not None else ():
            if segment.tag == "NM1" and not party.qualifier and not party.name:
                party = level.party(level.code) if level is not None else party
            elif segment.tag == "PER" and not party.contact_name:
                name, phone, email = read_contact(segment)
                party = replace(party, contact_name=name, contact_phone=phone, contact_email=email)
            else:
                continue
            taken.add(segment.number)
        return party

    def _service(self, level: Level, taken: set[int]) -> Service:
        values = self._decided(level, "SS", taken)
        names = ("service_date", "last_service_date", "code", "modifiers", "charge_cents", "units")
        kept = (*names, "deliveries", "decision", "authorization_number", "rejections", "dates")
        return Service(**{"code": "", **{k: v for k, v in values.items() if k in kept}})

    def _decided(self, level: Level, code: str, taken: set[int]) -> dict[str, Any]:
        """The fields that the segments of an event or a service fill."""
        problems = self.problems
        values: dict[str, Any] = {"decision": None}
        deliveries: list[Delivery] = []
        rejections: list[Rejection] = []
        dates: list[Period] = []
        diagnoses: list[str] = []
        is_event = code == "EV"
        for segment in level.segments:
            tag, get = segment.tag, segment.get
            if tag == "TRN" and is_event and "trace_number" not in values:
                # Ours is the one that refers to a request (TRN01 2); others add their own.
                if get(1) != ("2" if self.is_answer else "1"):
                    continue
                values["trace_number"], values["trace_originator"] = get(2), get(3)
            elif tag == "UM" and is_event:
                values["category"], values["certification"] = get(1), get(2)
                values["service_type"] = get(3)
                values["place_of_service"] = segment.components(4)[0]
                values["is_urgent"] = get(6) == "U"
            elif tag == "HCR" and values["decision"] is None:
                values["decision"] = Decision(get(1), get(2), segment.components(3)[0])
            elif tag == "REF" and get(1) == "BB" and "authorization_number" not in values:
                values["authorization_number"] = get(2)
            elif tag == "DTP":
                period = read_dates(segment, problems)
                if period is None:
                    continue
                first, last = period
                own = "AAH" if is_event else "472"
                names = (
                    ("first_day", "last_day") if is_event else ("service_date", "last_service_date")
                )
                if get(1) == own and names[0] not in values:
                    values[names[0]], values[names[1]] = first, last if last != first else None
                else:
                    dates.append(Period(get(1), first, last))
            elif tag == "HI" and is_event:
                composites = [segment.components(n) for n in range(1, len(segment.parts))]
                diagnoses += [parts[1] for parts in composites if len(parts) > 1]
            elif tag == "HSD":
                deliveries.append(read_delivery(segment, problems))
            elif tag == "MSG" and is_event and "note" not in values:
                values["note"] = get(1)
            elif tag == "AAA":
                rejections.append(Rejection(code, get(3), get(4), get(1)))
            elif tag == "NM1" and get(1) == "SJ" and is_event and "provider" not in values:
                values["provider"] = read_provider(segment)
            elif tag == "PRV" and values.get("provider") and not values["provider"].taxonomy:
                values["provider"] = replace(values["provider"], taxonomy=get(3))
            elif tag == "SV1" and not is_event and "code" not in values:
                values["code"], values["modifiers"] = read_procedure(segment, 1, problems)
                values["charge_cents"] = problems.cents(segment, 2) if get(2) else None
                values["units"] = problems.quantity(segment, 4)
            else:
                continue
            taken.add(segment.number)
        values["deliveries"], values["dates"] = tuple(deliveries), tuple(dates)
        values["rejections"], values["diagnoses"] = tuple(rejections), tuple(diagnoses)
        return values


def _upwards(level: Level) -> list[Level]:
    found: list[Level] = []
    one: Level | None = level
    while one is not None:
        found.append(one)
        one = one.above
    return found


def _rejections_above(event: Level, taken: set[int]) -> Iterator[Rejection]:
    """The AAA of the levels above the event, top first."""
    for level in reversed(_upwards(event)[1:]):
        for segment in level.segments:
            if segment.tag == "AAA":
                taken.add(segment.number)
                yield Rejection(level.code, segment.get(3), segment.get(4), segment.get(1))


_TAGS_278 = (
    "BHT HL NM1 N3 N4 PER PRV REF DMG INS TRN AAA UM HCR DTP HI HSD CRC CL1 CR1 CR2 CR4 CR5 CR6 PWK"
    " MSG SV1 SV2 SV3 TOO"
)
_TAGS = frozenset(_TAGS_278.split())
