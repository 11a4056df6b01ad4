"""The answers to a submission: TA1 (interchange), 999 (syntax, 005010X231A1), 277CA (X214)."""

from collections.abc import Callable, Sequence
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
    read_interchanges,
    read_transactions,
)
from groupclaim.x12.parts import (
    Party,
    Person,
    procedure,
    read_dates,
    read_party,
    read_person,
    read_procedure,
    write_person,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    date_text,
    period_text,
    plain_text,
    quantity_text,
    read_date,
    read_whole,
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_999 = "005010X231A1"
GUIDE_277CA = "005010X214"

# Claim status categories by which a 277CA without STC03 can still be judged; see domain section 7.
_ACCEPTING_CATEGORIES = frozenset({"A0", "A1", "A2", "A5"})


# --- TA1 ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InterchangeAcknowledgment:
    """A TA1: what became of the interchange with this ISA13.

    `code` is A accepted, E accepted with errors, R rejected; `note_code` TA105, 000 for none.
    `interchange_date` (YYMMDD) and `interchange_time` (HHMM) repeat ISA09 and ISA10.
    """

    interchange_control_number: str
    interchange_date: str
    interchange_time: str
    code: str
    note_code: str = "000"
    sender_id: str = ""
    receiver_id: str = ""


def build_ta1(
    envelope: Envelope,
    acknowledgments: Sequence[InterchangeAcknowledgment],
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with nothing but TA1 segments. Raises `X12WriteError`."""
    writer = Writer(envelope, "", "", delimiters)
    for ack in acknowledgments:
        writer.add(
            "TA1",
            ack.interchange_control_number,
            ack.interchange_date,
            ack.interchange_time,
            ack.code,
            ack.note_code,
        )
    return writer.to_bytes()


def read_ta1(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[InterchangeAcknowledgment, ...], tuple[Problem, ...]]:
    """Every TA1 of the file, in whatever interchange, and what is wrong with the file."""
    problems = Problems()
    found: list[InterchangeAcknowledgment] = []
    for interchange in read_interchanges(source, problems, limits):
        interchange.skip()
        for segment in interchange.acknowledgments:
            get = segment.get
            if get(4) not in ("A", "E", "R"):
                problems.report("ta104_unknown", segment, "TA104 is not A, E or R", element="TA104")
            found.append(
                InterchangeAcknowledgment(
                    get(1),
                    get(2),
                    get(3),
                    get(4),
                    get(5),
                    interchange.sender_id,
                    interchange.receiver_id,
                )
            )
    return tuple(found), tuple(problems)


# --- 999 ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElementError:
    """An IK4: `position` of the element (and `component`) in its segment, `code` IK403.

    `bad_value` is the copy the receiver sent back; it may be personal.
    """

    position: int | None
    code: str
    component: int | None = None
    repetition: int | None = None
    reference: str = ""
    bad_value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SegmentError:
    """An IK3: `position` counts from the ST (1), `code` IK304. `contexts` are CTX01 texts such as
    `CLM01:<claim>`, which name the business object."""

    segment: str
    position: int | None
    code: str = ""
    loop: str = ""
    contexts: tuple[str, ...] = ()
    elements: tuple[ElementError, ...] = ()


@dataclass(frozen=True, slots=True)
class TransactionAcknowledgment:
    """AK2 to IK5: `status` A accepted, E accepted with errors, R, M, W, X rejected."""

    set_id: str
    control_number: str
    status: str
    error_codes: tuple[str, ...] = ()
    errors: tuple[SegmentError, ...] = ()
    guide: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in ("A", "E")


@dataclass(frozen=True, slots=True)
class GroupAcknowledgment:
    """One 999: what became of the group with this GS06.

    `status` is AK901: A, E, P (partly: only the transactions marked accepted), R, M, W, X.
    `included`, `received` and `accepted` are the counts of AK9.
    """

    functional_code: str
    group_control_number: str
    status: str
    transactions: tuple[TransactionAcknowledgment, ...] = ()
    included: int = 0
    received: int = 0
    accepted: int = 0
    error_codes: tuple[str, ...] = ()
    version: str = ""
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


def build_999(
    envelope: Envelope,
    acknowledgments: Sequence[GroupAcknowledgment],
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
    interchanges: Sequence[InterchangeAcknowledgment] = (),
) -> bytes:
    """One interchange with one 999 for each group, and the TA1 of `interchanges` before them.

    Raises `X12WriteError`.
    """
    writer = Writer(envelope, "FA", GUIDE_999, delimiters)
    for ack in interchanges:
        writer.add(
            "TA1",
            ack.interchange_control_number,
            ack.interchange_date,
            ack.interchange_time,
            ack.code,
            ack.note_code,
        )
    for number, group in enumerate(acknowledgments, transaction_control_number):
        writer.begin("999", number, guide=GUIDE_999)
        writer.add("AK1", group.functional_code, group.group_control_number, group.version)
        for transaction in group.transactions:
            writer.add("AK2", transaction.set_id, transaction.control_number, transaction.guide)
            for error in transaction.errors:
                _write_segment_error(writer, error)
            writer.add("IK5", transaction.status, *transaction.error_codes[:5])
        writer.add(
            "AK9",
            group.status,
            group.included,
            group.received,
            group.accepted,
            *group.error_codes[:5],
        )
        writer.end()
    return writer.to_bytes()


def _write_segment_error(writer: Writer, error: SegmentError) -> None:
    writer.add("IK3", error.segment, error.position, error.loop, error.code)
    for context in error.contexts:
        writer.add("CTX", context.split(":"))
    for element in error.elements:
        place = [str(n) for n in (element.position, element.component) if n is not None]
        writer.add("IK4", place, element.reference, element.code, plain_text(element.bad_value, 99))


def read_999(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[GroupAcknowledgment, ...], tuple[Problem, ...]]:
    """Every 999 of the file (and 997, read the same way), and what is wrong with the file."""
    problems = Problems()
    found = [
        _read_999(transaction, problems)
        for transaction in read_transactions(source, problems, limits)
        if transaction.set_id in ("999", "997")
    ]
    return tuple(found), tuple(problems)


def _read_999(transaction: Transaction, problems: Problems) -> GroupAcknowledgment:
    first: Segment | None = None
    last: Segment | None = None
    sets: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    unread: list[Segment] = []
    for segment in transaction:
        tag, get = segment.tag, segment.get
        if tag == "AK1":
            first = segment
        elif tag == "AK2":
            errors = []
            sets.append(
                {
                    "set_id": get(1),
                    "control_number": get(2),
                    "guide": get(3),
                    "status": "",
                    "errors": errors,
                }
            )
        elif tag in ("IK3", "AK3") and sets:
            errors.append(
                {
                    "segment": get(1),
                    "position": _whole(segment, 2, problems),
                    "loop": get(3),
                    "code": get(4),
                    "contexts": [],
                    "elements": [],
                }
            )
        elif tag in ("IK4", "AK4") and errors:
            place = [*map(read_whole, segment.components(1)), None, None, None]
            errors[-1]["elements"].append(
                ElementError(place[0], get(3), place[1], place[2], get(2), get(4))
            )
        elif tag == "CTX" and errors:
            separator = segment.delimiters.repetition or segment.delimiters.component
            text = get(1).split(separator)[0] if separator else get(1)
            errors[-1]["contexts"].append(text.replace(segment.delimiters.component, ":"))
        elif tag in ("IK5", "AK5") and sets:
            sets[-1]["status"] = get(1)
            sets[-1]["error_codes"] = tuple(get(n) for n in range(2, 7) if get(n))
        elif tag == "AK9":
            last = segment
        else:
            if tag not in ("AK1", "AK2", "IK3", "IK4", "IK5", "CTX", "AK3", "AK4", "AK5"):
                problems.report("segment_unknown", segment, "the 999 has no such segment")
            unread.append(segment)
    for tag, there in (("AK1", first), ("AK9", last)):
        if there is None:
            problems.report(f"{tag.lower()}_missing", transaction.header, f"the 999 has no {tag}")
    counts = [_whole(last, n, problems) or 0 if last else 0 for n in (2, 3, 4)]
    interchange = transaction.interchange
    return GroupAcknowledgment(
        first.get(1) if first else "",
        first.get(2) if first else "",
        last.get(1) if last else "",
        tuple(_finished_set(one) for one in sets),
        counts[0],
        counts[1],
        counts[2],
        tuple(last.get(n) for n in range(5, 10) if last.get(n)) if last else (),
        first.get(3) if first else "",
        interchange.sender_id,
        interchange.receiver_id,
        interchange.control_number,
        transaction.complete,
        tuple(unread),
    )


def _finished_set(values: dict[str, Any]) -> TransactionAcknowledgment:
    errors = tuple(
        SegmentError(
            **{**error, "contexts": tuple(error["contexts"]), "elements": tuple(error["elements"])}
        )
        for error in values.pop("errors")
    )
    return TransactionAcknowledgment(**values, errors=errors)


def _whole(segment: Segment, n: int, problems: Problems) -> int | None:
    quantity = problems.quantity(segment, n)
    return None if quantity is None else int(quantity)


# --- 277CA --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """One status composite of an STC: category (A2, A7, ...), status code and entity code."""

    category: str
    code: str
    entity: str = ""


@dataclass(frozen=True, slots=True)
class LineAcknowledgment:
    """A service line of a rejected claim (2220D). `line_control_number` is read from REF*FJ or 6R.

    Written as REF*FJ.
    """

    code: str
    line_control_number: str = ""
    statuses: tuple[Status, ...] = ()
    charge_cents: int = 0
    modifiers: tuple[str, ...] = ()
    units: Quantity = 1
    accepted: bool = False
    service_date: date | None = None


@dataclass(frozen=True, slots=True)
class ClaimAcknowledgment:
    """What became of one claim (2200D). `control_number` is our CLM01 (TRN*2).

    `accepted` follows STC03 (WQ or U); where that is missing, the category. A claim whose only
    categories are A0 or A1 was passed on or received, not yet accepted by the payer: look at
    `statuses`. `payer_claim_number` is REF*1K, `clearinghouse_number` REF*D9.
    """

    control_number: str
    accepted: bool
    statuses: tuple[Status, ...]
    charge_cents: int = 0
    effective_date: date | None = None
    payer_claim_number: str = ""
    clearinghouse_number: str = ""
    patient: Person | None = None
    service_date: date | None = None
    last_service_date: date | None = None
    lines: tuple[LineAcknowledgment, ...] = ()
    message: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ProviderAcknowledgment:
    """The claims of one billing provider (2000C). A rejection here rejects all of them, listed or
    not."""

    provider: Party
    claims: tuple[ClaimAcknowledgment, ...]
    statuses: tuple[Status, ...] = ()
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class ClaimAcknowledgmentReport:
    """One 277CA. `batch_reference` is our BHT03 (TRN*2 of 2200B); a rejection at this level
    (`accepted` False) rejects the whole batch."""

    reference: str
    source: Party
    receiver: Party
    batch_reference: str
    providers: tuple[ProviderAcknowledgment, ...]
    received_on: date | None = None
    processed_on: date | None = None
    statuses: tuple[Status, ...] = ()
    accepted: bool = True
    accepted_count: int | None = None
    rejected_count: int | None = None
    accepted_cents: int | None = None
    rejected_cents: int | None = None
    total_cents: int = 0
    source_trace: str = ""
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)

    @property
    def claims(self) -> tuple[ClaimAcknowledgment, ...]:
        """All claims, whoever bills them."""
        return tuple(claim for provider in self.providers for claim in provider.claims)


def build_277ca(
    envelope: Envelope,
    report: ClaimAcknowledgmentReport,
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one 277CA. Raises `X12WriteError`."""
    writer = Writer(envelope, "HN", GUIDE_277CA, delimiters)
    writer.begin("277", transaction_control_number, guide=GUIDE_277CA)
    at = envelope.at
    today = at.date()
    writer.add("BHT", "0085", "08", report.reference, f"{at:%Y%m%d}", f"{at:%H%M}", "TH")
    writer.add("HL", 1, None, "20", "1")
    _write_party(writer, "PR", report.source)
    writer.add("TRN", "1", report.source_trace or report.reference)
    writer.add("DTP", "050", "D8", date_text(report.received_on or today))
    writer.add("DTP", "009", "D8", date_text(report.processed_on or today))
    writer.add("HL", 2, 1, "21", "1")
    _write_party(writer, "41", report.receiver)
    writer.add("TRN", "2", report.batch_reference)
    _write_statuses(
        writer,
        report.statuses or (Status("A1", "20"),),
        report.processed_on or today,
        report.accepted,
        report.total_cents,
    )
    for qualifier, count in (("90", report.accepted_count), ("AA", report.rejected_count)):
        if count is not None:
            writer.add("QTY", qualifier, count)
    for qualifier, cents in (("YU", report.accepted_cents), ("YY", report.rejected_cents)):
        if cents is not None:
            writer.add("AMT", qualifier, amount_text(cents))
    level = 2
    for provider in report.providers:
        level += 1
        parent = level
        writer.add("HL", level, 2, "19", "1" if provider.claims else "0")
        _write_party(writer, "85", provider.provider)
        if provider.statuses:
            writer.add("TRN", "1", "0")
            total = sum(claim.charge_cents for claim in provider.claims)
            _write_statuses(
                writer, provider.statuses, report.processed_on or today, provider.accepted, total
            )
        for claim in provider.claims:
            level += 1
            writer.add("HL", level, parent, "PT")
            _write_claim(writer, claim, report.processed_on or today)
    writer.end()
    return writer.to_bytes()


def _write_party(writer: Writer, role: str, party: Party) -> None:
    writer.add(
        "NM1",
        role,
        "2",
        plain_text(party.name, 60),
        None,
        None,
        None,
        None,
        party.qualifier,
        party.identifier,
    )


def _write_statuses(
    writer: Writer,
    statuses: Sequence[Status],
    day: date,
    accepted: bool,
    cents: int | None,
    message: str = "",
) -> None:
    """STC segments of up to three statuses each (STC01, STC10, STC11)."""
    for start in range(0, len(statuses), 3):
        parts = [(s.category, s.code, s.entity) for s in statuses[start : start + 3]]
        more: list[Sequence[str] | None] = [*parts[1:], *([None] * (3 - len(parts)))]
        writer.add(
            "STC",
            parts[0],
            date_text(day),
            "WQ" if accepted else "U",
            None if cents is None else amount_text(cents),
            *[None] * 5,
            *more,
            plain_text(message, 264),
        )


def _write_claim(writer: Writer, claim: ClaimAcknowledgment, today: date) -> None:
    write_person(writer, "QC", claim.patient or Person("", "", ""))
    writer.add("TRN", "2", claim.control_number)
    _write_statuses(
        writer,
        claim.statuses,
        claim.effective_date or today,
        claim.accepted,
        claim.charge_cents,
        claim.message,
    )
    if claim.payer_claim_number:
        writer.add("REF", "1K", claim.payer_claim_number)
    if claim.clearinghouse_number:
        writer.add("REF", "D9", claim.clearinghouse_number)
    if claim.service_date is not None:
        period = period_text(claim.service_date, claim.last_service_date)
        writer.add("DTP", "472", *period)
    for line in claim.lines:
        writer.add(
            "SVC",
            procedure(line.code, line.modifiers),
            amount_text(line.charge_cents),
            *[None] * 4,
            quantity_text(line.units),
        )
        _write_statuses(writer, line.statuses, claim.effective_date or today, line.accepted, None)
        if line.line_control_number:
            writer.add("REF", "FJ", line.line_control_number)
        if line.service_date is not None:
            writer.add("DTP", "472", "D8", date_text(line.service_date))


def read_277ca(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[ClaimAcknowledgmentReport, ...], tuple[Problem, ...]]:
    """Every 277CA of the file, and what is wrong with the file.

    A 277 of another guide (status response X212, request X213) is left to its own reader.
    """
    problems = Problems()
    found = [
        _Reader277(transaction, problems).read()
        for transaction in read_transactions(source, problems, limits)
        if transaction.set_id == "277" and "X214" in transaction.guide
    ]
    return tuple(found), tuple(problems)


class _Statuses:
    """The STC segments of one place, added up."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self.actions: list[str] = []
        self.cents: int | None = None
        self.day: date | None = None
        self.messages: list[str] = []

    def take(self, segment: Segment, problems: Problems) -> None:
        for n in (1, 10, 11):
            if segment.get(n):
                category, code, entity = ([*segment.components(n), "", ""])[:3]
                self.statuses.append(Status(category, code, entity))
        self.actions.append(segment.get(3))
        if segment.get(4) and self.cents is None:
            self.cents = problems.cents(segment, 4)
        # Some send a time with the date.
        self.day = self.day or read_date(segment.get(2)[:8])
        if segment.get(12):
            self.messages.append(segment.get(12))

    @property
    def accepted(self) -> bool:
        """No rejecting action; where no action is said, no category but accepting ones."""
        if any(self.actions):
            return "U" not in self.actions
        return all(status.category in _ACCEPTING_CATEGORIES for status in self.statuses)


class _Reader277:
    """Reads one 277CA. A claim is a dictionary of the fields of its record while it comes in."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.head: dict[str, Any] = {"reference": "", "batch_reference": ""}
        self.level = ""
        self.parties: dict[str, Party] = {}
        self.batch = _Statuses()
        self.providers: list[tuple[Party, _Statuses, list[ClaimAcknowledgment]]] = []
        self.claim: dict[str, Any] | None = None
        self.claim_status = _Statuses()
        self.line: dict[str, Any] | None = None
        self.line_status = _Statuses()
        self.lines: list[LineAcknowledgment] = []
        self.unread: list[Segment] = []
        self.handlers: dict[str, Callable[[Segment], bool]] = {
            "BHT": self._bht,
            "HL": self._hl,
            "NM1": self._nm1,
            "TRN": self._trn,
            "STC": self._stc,
            "DTP": self._dtp,
            "QTY": self._qty,
            "AMT": self._amt,
            "REF": self._ref,
            "SVC": self._svc,
        }

    def read(self) -> ClaimAcknowledgmentReport:
        for segment in self.transaction:
            handler = self.handlers.get(segment[0][0])
            if handler is None:
                self.problems.report("segment_unknown", segment, "the 277CA has no such segment")
                self.unread.append(segment)
            elif not handler(segment):
                self.unread.append(segment)
        self._end_claim()
        nobody = Party("", "", qualifier="")
        interchange = self.transaction.interchange
        return ClaimAcknowledgmentReport(
            **self.head,
            source=self.parties.get("20", nobody),
            receiver=self.parties.get("21", nobody),
            providers=tuple(
                ProviderAcknowledgment(party, tuple(claims), tuple(found.statuses), found.accepted)
                for party, found, claims in self.providers
            ),
            statuses=tuple(self.batch.statuses),
            accepted=self.batch.accepted,
            total_cents=self.batch.cents or 0,
            sender_id=interchange.sender_id,
            receiver_id=interchange.receiver_id,
            interchange_control_number=interchange.control_number,
            control_number=self.transaction.control_number,
            complete=self.transaction.complete,
            unread=tuple(self.unread),
        )

    def _bht(self, segment: Segment) -> bool:
        self.head["reference"] = segment.get(3)
        return True

    def _hl(self, segment: Segment) -> bool:
        self._end_claim()
        self.level = segment.get(3)
        if self.level == "19":
            self.providers.append((Party("", "", qualifier=""), _Statuses(), []))
        elif self.level == "PT":
            self.claim = {"control_number": ""}
            self.claim_status = _Statuses()
        return self.level in ("20", "21", "19", "PT")

    def _nm1(self, segment: Segment) -> bool:
        if self.claim is not None:
            self.claim["patient"] = read_person(segment)
        elif self.level == "19":
            _, found, claims = self.providers[-1]
            self.providers[-1] = (read_party(segment), found, claims)
        elif self.level in ("20", "21"):
            self.parties[self.level] = read_party(segment)
        else:
            return False
        return True

    def _trn(self, segment: Segment) -> bool:
        number = segment.get(2)
        if self.claim is not None:
            # A second TRN starts the status of another claim of the same patient.
            if self.claim["control_number"]:
                patient = self.claim.get("patient")
                self._end_claim()
                self.claim = {"control_number": "", "patient": patient}
                self.claim_status = _Statuses()
            self.claim["control_number"] = number
        elif self.level == "21":
            self.head["batch_reference"] = number
        elif self.level == "20":
            self.head["source_trace"] = number
        return self.level in ("20", "21", "19", "PT")

    def _stc(self, segment: Segment) -> bool:
        if self.line is not None:
            self.line_status.take(segment, self.problems)
        elif self.claim is not None:
            self.claim_status.take(segment, self.problems)
        elif self.level == "19":
            self.providers[-1][1].take(segment, self.problems)
        elif self.level == "21":
            self.batch.take(segment, self.problems)
        else:
            return False
        return True

    def _dtp(self, segment: Segment) -> bool:
        period = read_dates(segment, self.problems)
        if period is None:
            return False
        qualifier = segment.get(1)
        if self.line is not None:
            self.line["service_date"] = period[0]
        elif self.claim is not None:
            self.claim["service_date"] = period[0]
            if period[1] != period[0]:
                self.claim["last_service_date"] = period[1]
        elif self.level == "20" and qualifier in ("050", "009"):
            self.head["received_on" if qualifier == "050" else "processed_on"] = period[0]
        else:
            return False
        return True

    def _qty(self, segment: Segment) -> bool:
        name = {"90": "accepted_count", "AA": "rejected_count"}.get(segment.get(1))
        if self.level != "21" or name is None:
            return False
        self.head[name] = _whole(segment, 2, self.problems)
        return True

    def _amt(self, segment: Segment) -> bool:
        name = {"YU": "accepted_cents", "YY": "rejected_cents"}.get(segment.get(1))
        if self.level != "21" or name is None:
            return False
        self.head[name] = self.problems.cents(segment, 2)
        return True

    def _ref(self, segment: Segment) -> bool:
        qualifier, value = segment.get(1), segment.get(2)
        if self.line is not None:
            if qualifier not in ("FJ", "6R"):
                return False
            self.line["line_control_number"] = value
            return True
        name = {"1K": "payer_claim_number", "D9": "clearinghouse_number"}.get(qualifier)
        if self.claim is None or name is None:
            return False
        self.claim[name] = value
        return True

    def _svc(self, segment: Segment) -> bool:
        if self.claim is None:
            return False
        self._end_line()
        code, modifiers = read_procedure(segment, 1, self.problems)
        units = self.problems.quantity(segment, 7)
        self.line = {
            "code": code,
            "modifiers": modifiers,
            "charge_cents": self.problems.cents(segment, 2),
            "units": 1 if units is None else units,
        }
        self.line_status = _Statuses()
        return True

    def _end_line(self) -> None:
        if self.line is not None:
            found = self.line_status
            self.lines.append(
                LineAcknowledgment(
                    **self.line, statuses=tuple(found.statuses), accepted=found.accepted
                )
            )
            self.line = None

    def _end_claim(self) -> None:
        self._end_line()
        if self.claim is None:
            return
        found = self.claim_status
        if not self.claim["control_number"] and not found.statuses:
            self.claim = None
            return
        claim = ClaimAcknowledgment(
            **self.claim,
            accepted=found.accepted and bool(found.statuses),
            statuses=tuple(found.statuses),
            charge_cents=found.cents or 0,
            effective_date=found.day,
            lines=tuple(self.lines),
            message=" ".join(found.messages),
        )
        if not self.providers:
            self.providers.append((Party("", "", qualifier=""), _Statuses(), []))
        self.providers[-1][2].append(claim)
        self.claim, self.lines = None, []
