"""Claim status: the inquiry 276 and the payer's answer 277, version 005010X212."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
    Member,
    Party,
    Reference,
    Status,
    date_or_blank,
    procedure,
    read_dates,
    read_procedure,
    read_statuses,
    status_elements,
    write_demographics,
    write_member_name,
    write_organisation,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    period_text,
    quantity_text,
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_276 = "005010X212"


@dataclass(frozen=True, slots=True)
class StatusInformation:
    """One STC of a 277: up to three statuses and what the payer says with them.

    `charge_cents` STC04, `paid_cents` STC05, `adjudicated_on` STC06, `paid_on` STC08 and
    `payment_trace` STC09 (the check or EFT number); each may be absent.
    """

    statuses: tuple[Status, ...]
    effective_date: date | None = None
    charge_cents: int | None = None
    paid_cents: int | None = None
    adjudicated_on: date | None = None
    paid_on: date | None = None
    payment_trace: str = ""


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A service line asked about or answered for (SVC). `line_control_number` is REF*FJ, our
    REF*6R of the 837P. `paid_cents` and `information` are of answers only."""

    code: str
    charge_cents: int
    modifiers: tuple[str, ...] = ()
    units: Quantity = 1
    service_date: date | None = None
    last_service_date: date | None = None
    line_control_number: str = ""
    paid_cents: int | None = None
    information: tuple[StatusInformation, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimStatusInquiry:
    """One 276 question about one claim.

    `trace_number` (TRN02) comes back in the answer. `patient_control_number` is our CLM01 (REF*EJ),
    `payer_claim_number` the payer's (REF*1K), `charge_cents` the total charge (AMT*T3). The other
    REF (BLT, D9, XZ, ...) are `references`. With a `dependent`, only they have birth date and sex.
    """

    reference: str
    trace_number: str
    payer: Party
    receiver: Party
    provider: Party
    subscriber: Member
    patient_control_number: str = ""
    payer_claim_number: str = ""
    charge_cents: int | None = None
    service_date: date | None = None
    last_service_date: date | None = None
    dependent: Member | None = None
    lines: tuple[StatusLine, ...] = ()
    references: tuple[Reference, ...] = ()
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ClaimStatusResponse:
    """One 277 answer about one claim.

    `trace_number` is the one we asked with (TRN*2). `refused_at` is empty for an answer about the
    claim, 21 when the whole inquiry and 19 when all questions of the provider were refused;
    `trace_number` is then our BHT03 or without meaning, and there is no subscriber.
    """

    reference: str
    trace_number: str
    payer: Party
    receiver: Party
    provider: Party
    subscriber: Member
    information: tuple[StatusInformation, ...] = ()
    patient_control_number: str = ""
    payer_claim_number: str = ""
    service_date: date | None = None
    last_service_date: date | None = None
    dependent: Member | None = None
    lines: tuple[StatusLine, ...] = ()
    references: tuple[Reference, ...] = ()
    refused_at: str = ""
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """All statuses of the claim itself, in the order given."""
        return tuple(status for one in self.information for status in one.statuses)


# --- writing ------------------------------------------------------------------------------------


def build_276(
    envelope: Envelope,
    inquiry: ClaimStatusInquiry,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one inquiry about one claim. Raises `X12WriteError`."""
    writer = Writer(envelope, "HR", GUIDE_276, delimiters)
    writer.begin("276", transaction_control_number, guide=GUIDE_276)
    at = envelope.at
    writer.add("BHT", "0010", "13", inquiry.reference, f"{at:%Y%m%d}", f"{at:%H%M}")
    writer.add("HL", 1, None, "20", "1")
    write_organisation(writer, "PR", inquiry.payer)
    writer.add("HL", 2, 1, "21", "1")
    write_organisation(writer, "41", inquiry.receiver)
    writer.add("HL", 3, 2, "19", "1")
    write_organisation(writer, "1P", inquiry.provider)
    _write_people(writer, inquiry.subscriber, inquiry.dependent, demographics=True)
    writer.add("TRN", "1", inquiry.trace_number)
    _write_references(writer, inquiry)
    if inquiry.charge_cents is not None:
        writer.add("AMT", "T3", amount_text(inquiry.charge_cents))
    _write_service_date(writer, inquiry)
    for line in inquiry.lines:
        _write_line(writer, line, None)
    writer.end()
    return writer.to_bytes()


def build_277(
    envelope: Envelope,
    response: ClaimStatusResponse,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one answer about one claim. Raises `X12WriteError`."""
    writer = Writer(envelope, "HN", GUIDE_276, delimiters)
    writer.begin("277", transaction_control_number, guide=GUIDE_276)
    at, refused_at = envelope.at, response.refused_at
    writer.add("BHT", "0010", "08", response.reference, f"{at:%Y%m%d}", f"{at:%H%M}", "DG")
    writer.add("HL", 1, None, "20", "1")
    write_organisation(writer, "PR", response.payer)
    writer.add("HL", 2, 1, "21", "0" if refused_at == "21" else "1")
    write_organisation(writer, "41", response.receiver)
    if refused_at == "21":
        writer.add("TRN", "2", response.trace_number)
    else:
        writer.add("HL", 3, 2, "19", "0" if refused_at == "19" else "1")
        write_organisation(writer, "1P", response.provider)
        if refused_at == "19":
            writer.add("TRN", "1", response.trace_number)
        else:
            _write_people(writer, response.subscriber, response.dependent, demographics=False)
            writer.add("TRN", "2", response.trace_number)
    _write_information(writer, response.information)
    if not refused_at:
        _write_references(writer, response)
        _write_service_date(writer, response)
        for line in response.lines:
            _write_line(writer, line, line.paid_cents or 0)
    writer.end()
    return writer.to_bytes()


def _write_people(
    writer: Writer, subscriber: Member, dependent: Member | None, *, demographics: bool
) -> None:
    writer.add("HL", 4, 3, "22", "0" if dependent is None else "1")
    _write_person(writer, "IL", subscriber, demographics and dependent is None)
    if dependent is not None:
        # The guide does not use HL04 here.
        writer.add("HL", 5, 4, "23")
        _write_person(writer, "QC", dependent, demographics)


def _write_person(writer: Writer, role: str, member: Member, demographics: bool) -> None:
    if demographics:
        write_demographics(writer, member)
    write_member_name(writer, role, member)


def _write_references(writer: Writer, claim: ClaimStatusInquiry | ClaimStatusResponse) -> None:
    if claim.payer_claim_number:
        writer.add("REF", "1K", claim.payer_claim_number)
    for reference in claim.references:
        writer.add("REF", reference.qualifier, reference.value)
    if claim.patient_control_number:
        writer.add("REF", "EJ", claim.patient_control_number)


def _write_service_date(
    writer: Writer, place: ClaimStatusInquiry | ClaimStatusResponse | StatusLine
) -> None:
    if place.service_date is not None:
        writer.add("DTP", "472", *period_text(place.service_date, place.last_service_date))


def _write_information(writer: Writer, information: Iterable[StatusInformation]) -> None:
    for one in information:
        if not 1 <= len(one.statuses) <= 3:
            writer.refuse("STC01, STC10, STC11 hold one to three statuses")
            continue
        first, second, third = status_elements(one.statuses)
        writer.add(
            "STC",
            first,
            date_or_blank(one.effective_date),
            None,
            None if one.charge_cents is None else amount_text(one.charge_cents),
            None if one.paid_cents is None else amount_text(one.paid_cents),
            date_or_blank(one.adjudicated_on),
            None,
            date_or_blank(one.paid_on),
            one.payment_trace,
            second,
            third,
        )


def _write_line(writer: Writer, line: StatusLine, paid_cents: int | None) -> None:
    writer.add(
        "SVC",
        procedure(line.code, line.modifiers),
        amount_text(line.charge_cents),
        None if paid_cents is None else amount_text(paid_cents),
        None,
        None,
        None,
        quantity_text(line.units),
    )
    _write_information(writer, line.information)
    if line.line_control_number:
        writer.add("REF", "FJ", line.line_control_number)
    _write_service_date(writer, line)


# --- reading ------------------------------------------------------------------------------------


def read_276(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[ClaimStatusInquiry, ...], tuple[Problem, ...]]:
    """Every question of the file, one for each claim asked about, and what is wrong with it."""
    problems = Problems()
    found: list[ClaimStatusInquiry] = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "276":
            found.extend(read_inquiries(transaction, problems))
    return tuple(found), tuple(problems)


def read_277(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[ClaimStatusResponse, ...], tuple[Problem, ...]]:
    """Every answer of the file, one for each claim or refusal, and what is wrong with it.

    Lenient: unknown codes are kept as they are, segments without a field of their own in `unread`.
    A 277 of another guide (claim acknowledgment X214, request for information X213) is left to its
    own reader.
    """
    problems = Problems()
    found: list[ClaimStatusResponse] = []
    for transaction in read_transactions(source, problems, limits):
        guide = transaction.guide
        if transaction.set_id == "277" and "X214" not in guide and "X213" not in guide:
            found.extend(read_responses(transaction, problems))
    return tuple(found), tuple(problems)


def read_inquiries(transaction: Transaction, problems: Problems) -> Iterator[ClaimStatusInquiry]:
    """As `read_276`, of one transaction."""
    for values in _read(transaction, problems):
        for name in ("information", "refused_at"):
            values.pop(name)
        yield ClaimStatusInquiry(**values)


def read_responses(transaction: Transaction, problems: Problems) -> Iterator[ClaimStatusResponse]:
    """As `read_277`, of one transaction."""
    for values in _read(transaction, problems):
        values.pop("charge_cents")
        yield ClaimStatusResponse(**values)


def _read(transaction: Transaction, problems: Problems) -> Iterator[dict[str, Any]]:
    """The fields of each question or answer, of both kinds of record together."""
    head, levels = read_levels(transaction, problems)
    begin = next((segment for segment in head if segment.tag == "BHT"), None)
    if begin is None:
        problems.report("bht_missing", transaction.header, "there is no BHT")
    interchange = transaction.interchange
    common = {
        "reference": begin.get(3) if begin else "",
        "sender_id": interchange.sender_id,
        "receiver_id": interchange.receiver_id,
        "interchange_control_number": interchange.control_number,
        "control_number": transaction.control_number,
    }
    found = [one for level in levels for one in _read_level(level, problems)]
    for segment in (*head, *(segment for level in levels for segment in level.segments)):
        if segment.tag not in _TAGS:
            text = f"the {transaction.set_id} has no such segment"
            problems.report("segment_unknown", segment, text)
    if not found:
        problems.report("claim_missing", transaction.header, "the transaction is about no claim")
    for values in found:
        yield {**common, **values, "complete": transaction.complete}


def _read_level(level: Level, problems: Problems) -> Iterator[dict[str, Any]]:
    """What is asked or answered at one level: nothing, or one claim for each TRN."""
    starts = [n for n, segment in enumerate(level.segments) if segment.tag == "TRN"]
    if level.code not in ("21", "19", "22", "23") or not starts:
        return
    taken: set[int] = set()
    subscriber, dependent = Member("", ""), None
    if level.code == "22":
        subscriber = read_member(level.segments, problems, taken)
    elif level.code == "23":
        dependent = read_member(level.segments, problems, taken)
        insured = level.find("22")
        if insured is not None:
            subscriber = read_member(insured.segments, problems, set())
    else:
        taken.update(segment.number for segment in level.segments if segment.tag == "NM1")
    before = tuple(unread(level.segments[: starts[0]], taken))
    for start, end in zip(starts, [*starts[1:], len(level.segments)], strict=True):
        values = _read_claim(level.segments[start:end], problems)
        yield {
            **values,
            "payer": level.party("20"),
            "receiver": level.party("21"),
            "provider": level.party("19"),
            "subscriber": subscriber,
            "dependent": dependent,
            "refused_at": level.code if level.code in ("21", "19") else "",
            "unread": (*before, *values["unread"]),
        }
        before = ()


_REFERENCES = {"EJ": "patient_control_number", "1K": "payer_claim_number"}


def _read_claim(segments: list[Segment], problems: Problems) -> dict[str, Any]:
    """One claim, from its TRN on."""
    values: dict[str, Any] = {"trace_number": segments[0].get(2), "charge_cents": None}
    information: list[StatusInformation] = []
    references: list[Reference] = []
    lines: list[dict[str, Any]] = []
    rest: list[Segment] = []
    for segment in segments[1:]:
        tag, qualifier = segment.tag, segment.get(1)
        line = lines[-1] if lines else None
        place = values if line is None else line
        if tag == "STC":
            one = _information(segment, problems)
            (information if line is None else line["information"]).append(one)
        elif tag == "SVC":
            lines.append(_line(segment, problems))
        elif tag == "DTP" and qualifier == "472":
            period = read_dates(segment, problems)
            if period is not None:
                place["service_date"] = period[0]
                place["last_service_date"] = period[1] if period[1] != period[0] else None
        elif tag == "REF" and line is not None and qualifier == "FJ":
            line["line_control_number"] = segment.get(2)
        elif tag == "REF" and line is None:
            name = _REFERENCES.get(qualifier)
            if name is None or name in values:
                references.append(Reference(qualifier, segment.get(2)))
            else:
                values[name] = segment.get(2)
        elif tag == "AMT" and qualifier == "T3" and line is None:
            values["charge_cents"] = problems.cents(segment, 2)
        else:
            rest.append(segment)
    return {
        **values,
        "information": tuple(information),
        "references": tuple(references),
        "lines": tuple(
            StatusLine(**{**line, "information": tuple(line["information"])}) for line in lines
        ),
        "unread": tuple(rest),
    }


def _information(segment: Segment, problems: Problems) -> StatusInformation:
    def cents(n: int) -> int | None:
        return problems.cents(segment, n) if segment.get(n) else None

    statuses = tuple(read_statuses(segment))
    if not statuses:
        problems.report("status_missing", segment, "the STC has no status", element="STC01")
    return StatusInformation(
        statuses,
        problems.day(segment, 2),
        cents(4),
        cents(5),
        problems.day(segment, 6),
        problems.day(segment, 8),
        segment.get(9),
    )


def _line(segment: Segment, problems: Problems) -> dict[str, Any]:
    code, modifiers = read_procedure(segment, 1, problems)
    units = problems.quantity(segment, 7)
    return {
        "code": code,
        "modifiers": modifiers,
        "charge_cents": problems.cents(segment, 2),
        "paid_cents": problems.cents(segment, 3) if segment.get(3) else None,
        "units": 1 if units is None else units,
        "information": [],
    }


_TAGS_27X = "BHT HL NM1 N3 N4 PER DMG TRN STC REF AMT DTP SVC"
_TAGS = frozenset(_TAGS_27X.split())
