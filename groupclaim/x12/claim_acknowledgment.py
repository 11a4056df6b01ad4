"""The payer's answer to each claim of a submission: 277CA, version 005010X214."""

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
    read_transactions,
)
from groupclaim.x12.parts import (
    Party,
    Person,
    Status,
    procedure,
    read_count,
    read_dates,
    read_party,
    read_person,
    read_procedure,
    read_statuses,
    status_elements,
    write_organisation,
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
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_277CA = "005010X214"

# The categories that accept a claim where a 277CA leaves STC03 out: forwarded, received, accepted,
# split.
_ACCEPTING_CATEGORIES = frozenset({"A0", "A1", "A2", "A5"})
# Those by which a claim has entered adjudication. A0 and A1 only say that somebody has it.
_ADJUDICATED_CATEGORIES = frozenset({"A2", "A5"})


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

    `accepted` follows STC03 (WQ or U); where that is missing, the category. It only says that
    nobody rejected the claim: see `accepted_for_adjudication`. `payer_claim_number` is REF*1K,
    `clearinghouse_number` REF*D9.
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

    @property
    def accepted_for_adjudication(self) -> bool:
        """Whether the payer has taken the claim up. False for one that was only passed on or
        received (A0, A1): keep waiting for the payer's own answer."""
        return self.accepted and any(
            status.category in _ADJUDICATED_CATEGORIES for status in self.statuses
        )


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
    write_organisation(writer, "PR", report.source)
    writer.add("TRN", "1", report.source_trace or report.reference)
    writer.add("DTP", "050", "D8", date_text(report.received_on or today))
    writer.add("DTP", "009", "D8", date_text(report.processed_on or today))
    writer.add("HL", 2, 1, "21", "1")
    write_organisation(writer, "41", report.receiver)
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
        write_organisation(writer, "85", provider.provider)
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
        first, second, third = status_elements(statuses[start : start + 3])
        writer.add(
            "STC",
            first,
            date_text(day),
            "WQ" if accepted else "U",
            None if cents is None else amount_text(cents),
            *[None] * 5,
            second,
            third,
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
        read_transaction(transaction, problems)
        for transaction in read_transactions(source, problems, limits)
        if transaction.set_id == "277" and "X214" in transaction.guide
    ]
    return tuple(found), tuple(problems)


def read_transaction(transaction: Transaction, problems: Problems) -> ClaimAcknowledgmentReport:
    """One 277CA."""
    return _Reader(transaction, problems).read()


class _Statuses:
    """The STC segments of one place, added up."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self.actions: list[str] = []
        self.cents: int | None = None
        self.day: date | None = None
        self.messages: list[str] = []

    def take(self, segment: Segment, problems: Problems) -> None:
        self.statuses += read_statuses(segment)
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


class _Reader:
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
        self.head[name] = read_count(segment, 2, self.problems)
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
