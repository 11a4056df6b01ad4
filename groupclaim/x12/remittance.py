"""The remittance: 835, version 005010X221A1, read leniently, written, and balanced to the cent."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
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
from groupclaim.x12.parts import (
    Address,
    Adjustment,
    Amount,
    Period,
    Person,
    Provider,
    Reference,
    date_or_blank,
    procedure,
    read_adjustments,
    read_person,
    read_procedure,
    read_provider,
    write_address,
    write_adjustments,
    write_person,
    write_provider,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    date_text,
    npi_is_valid,
    plain_text,
    quantity_text,
)
from groupclaim.x12.writer import Envelope, Writer

GUIDE_835 = "005010X221A1"


@dataclass(frozen=True, slots=True)
class PaymentParty:
    """Payer (1000A) or payee (1000B). `qualifier` of the identifier: XV or blank for a payer, XX an
    NPI or FI a tax id for a payee. `references` are further identifiers (2U, TJ, ...)."""

    name: str
    identifier: str = ""
    qualifier: str = ""
    address: Address | None = None
    references: tuple[Reference, ...] = ()
    contact_name: str = ""
    contact_phone: str = ""


@dataclass(frozen=True, slots=True)
class LinePayment:
    """One adjudicated service (2110). `paid_cents` is SVC03, negative on a reversal.

    `submitted_code` and `submitted_modifiers` are what we billed, if the payer changed it (SVC06);
    `units` are those paid (SVC05), `submitted_units` those billed if different (SVC07).
    `allowed_cents` is AMT*B6. `line_control_number` is our REF*6R.
    """

    code: str
    charge_cents: int
    paid_cents: int
    modifiers: tuple[str, ...] = ()
    units: Quantity = 1
    service_date: date | None = None
    last_service_date: date | None = None
    adjustments: tuple[Adjustment, ...] = ()
    line_control_number: str = ""
    allowed_cents: int | None = None
    remark_codes: tuple[str, ...] = ()
    submitted_code: str = ""
    submitted_modifiers: tuple[str, ...] = ()
    submitted_units: Quantity | None = None
    revenue_code: str = ""
    code_qualifier: str = "HC"
    rendering: Provider | None = None
    references: tuple[Reference, ...] = ()
    amounts: tuple[Amount, ...] = ()
    dates: tuple[Period, ...] = ()
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ClaimPayment:
    """One claim of a payment (2100): CLP with all that belongs to it.

    `control_number` is CLP01 (our CLM01), `payer_claim_number` CLP07. `status` is CLP02: 1, 2, 3
    processed as primary, secondary, tertiary; 4 denied; 19, 20, 21 as 1 to 3 and forwarded; 22
    reversal; 23 not theirs, forwarded; 25 predetermination. `adjustments` are at claim level only.
    `remark_codes` are those of MOA and MIA.
    """

    control_number: str
    status: str
    charge_cents: int
    paid_cents: int
    patient_responsibility_cents: int = 0
    filing_indicator: str = ""
    payer_claim_number: str = ""
    place_of_service: str = ""
    frequency: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    lines: tuple[LinePayment, ...] = ()
    patient: Person | None = None
    subscriber: Person | None = None
    corrected: Person | None = None
    rendering: Provider | None = None
    crossover_payer: PaymentParty | None = None
    corrected_payer: PaymentParty | None = None
    remark_codes: tuple[str, ...] = ()
    received_on: date | None = None
    coverage_expired_on: date | None = None
    references: tuple[Reference, ...] = ()
    amounts: tuple[Amount, ...] = ()
    dates: tuple[Period, ...] = ()
    unread: tuple[Segment, ...] = field(default=(), repr=False)

    @property
    def is_reversal(self) -> bool:
        """Whether this takes back an earlier payment (CLP02 22)."""
        return self.status == "22"


@dataclass(frozen=True, slots=True)
class ProviderAdjustment:
    """One pair of a PLB. Positive cents REDUCE the payment, negative ones add to it.

    `reference` is PLB03-2: often our claim number or the payer's, for WO and 72.
    """

    provider_id: str
    reason_code: str
    cents: int
    reference: str = ""
    fiscal_period: date | None = None


@dataclass(frozen=True, slots=True)
class BankTransfer:
    """The banks and accounts of an electronic payment (BPR05 to BPR15): routing numbers of nine
    digits, account numbers, and the format (CCP, CTX)."""

    payer_routing: str
    payer_account: str = field(repr=False)
    payee_routing: str
    payee_account: str = field(repr=False)
    format: str = "CCP"


@dataclass(frozen=True, slots=True)
class Payment:
    """One 835 transaction: one payment or notice.

    `paid_cents` is BPR02, `handling_code` BPR01, `method` BPR04 (ACH, CHK, FWT, NON, BOP),
    `payment_date` BPR16; an ACH also has its `bank`. `trace_number` (TRN02) with `payer_identifier`
    (TRN03) names the payment for ever. `complete` is False when the end of the transaction is
    missing: never post that. `problems` are those of this transaction; an amount among them that
    could not be read stands as 0 here.
    """

    trace_number: str
    payer_identifier: str
    payment_date: date | None
    paid_cents: int
    payer: PaymentParty
    payee: PaymentParty
    claims: tuple[ClaimPayment, ...]
    provider_adjustments: tuple[ProviderAdjustment, ...] = ()
    method: str = "ACH"
    handling_code: str = "I"
    bank: BankTransfer | None = None
    production_date: date | None = None
    is_debit: bool = False
    complete: bool = True
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    control_number: str = ""
    guide: str = GUIDE_835
    problems: tuple[Problem, ...] = ()
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that does not come out.

    `level` is `line`, `claim`, `claim_lines` or `payment`. `expected_cents` is what the parts add
    up to, `stated_cents` what the 835 says; `place` is for example `claims[3].lines[0]`.
    """

    level: str
    place: str
    rule: str
    stated_cents: int
    expected_cents: int

    @property
    def cents(self) -> int:
        """Stated minus expected."""
        return self.stated_cents - self.expected_cents


def balance(payment: Payment) -> tuple[Difference, ...]:
    """Every sum of the payment that does not come out; empty if it balances.

    005010X221A1 section 1.10.2: line SVC02 - CAS = SVC03; claim CLP03 - all CAS = CLP04; payment
    sum(CLP04) - sum(PLB) = BPR02. Also that the lines of a claim, where it has any, carry its whole
    charge and payment.
    """
    found: list[Difference] = []
    total = 0
    for n, claim in enumerate(payment.claims):
        place = f"claims[{n}]"
        total += claim.paid_cents
        reductions = sum(a.cents for a in claim.adjustments)
        claim_reductions = reductions
        line_charges = line_payments = 0
        for m, line in enumerate(claim.lines):
            line_reductions = sum(a.cents for a in line.adjustments)
            reductions += line_reductions
            line_charges += line.charge_cents
            line_payments += line.paid_cents
            expected = line.charge_cents - line_reductions
            if expected != line.paid_cents:
                found.append(
                    Difference(
                        "line",
                        f"{place}.lines[{m}]",
                        "SVC03 = SVC02 - CAS",
                        line.paid_cents,
                        expected,
                    )
                )
        expected = claim.charge_cents - reductions
        if expected != claim.paid_cents:
            found.append(
                Difference(
                    "claim",
                    place,
                    "CLP04 = CLP03 - CAS of claim and lines",
                    claim.paid_cents,
                    expected,
                )
            )
        if claim.lines:
            if line_charges != claim.charge_cents:
                found.append(
                    Difference(
                        "claim_lines", place, "CLP03 = sum(SVC02)", claim.charge_cents, line_charges
                    )
                )
            expected = line_payments - claim_reductions
            if expected != claim.paid_cents:
                found.append(
                    Difference(
                        "claim_lines",
                        place,
                        "CLP04 = sum(SVC03) - CAS of claim",
                        claim.paid_cents,
                        expected,
                    )
                )
    expected = total - sum(a.cents for a in payment.provider_adjustments)
    stated = -payment.paid_cents if payment.is_debit else payment.paid_cents
    if expected != stated:
        found.append(
            Difference("payment", "payment", "BPR02 = sum(CLP04) - sum(PLB)", stated, expected)
        )
    return tuple(found)


# --- writing ------------------------------------------------------------------------------------


def build_835(
    envelope: Envelope,
    payments: Sequence[Payment],
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one 835 for each payment, numbered from `transaction_control_number`.

    Fields of a `Payment` that say where it was read from are not written. Raises `X12WriteError`.
    """
    writer = Writer(envelope, "HP", GUIDE_835, delimiters)
    for number, payment in enumerate(payments, transaction_control_number):
        writer.begin("835", number)
        _write_payment(writer, payment)
        writer.end()
    return writer.to_bytes()


def _write_payment(writer: Writer, payment: Payment) -> None:
    paid_on = date_or_blank(payment.payment_date)
    bank = payment.bank
    transfer: list[str | None] = [None] * 11
    if bank is not None:
        payer = [bank.format, "01", bank.payer_routing, "DA", bank.payer_account]
        payee = ["01", bank.payee_routing, "DA", bank.payee_account]
        transfer = [*payer, payment.payer_identifier, None, *payee]
    writer.add(
        "BPR",
        payment.handling_code,
        amount_text(payment.paid_cents),
        "D" if payment.is_debit else "C",
        payment.method,
        *transfer,
        paid_on,
    )
    writer.add("TRN", "1", payment.trace_number, payment.payer_identifier)
    if payment.production_date is not None:
        writer.add("DTM", "405", date_text(payment.production_date))
    _write_party(writer, "PR", payment.payer)
    _write_party(writer, "PE", payment.payee)
    if payment.claims:
        writer.add("LX", 1)
    for claim in payment.claims:
        _write_claim(writer, claim)
    _write_provider_adjustments(writer, payment)


def _write_party(writer: Writer, role: str, party: PaymentParty) -> None:
    writer.add("N1", role, plain_text(party.name, 60), party.qualifier, party.identifier)
    if party.address is not None:
        write_address(writer, party.address)
    _write_references(writer, party.references)
    if party.contact_name or party.contact_phone:
        writer.add(
            "PER",
            "BL",
            plain_text(party.contact_name, 60),
            "TE" if party.contact_phone else "",
            party.contact_phone,
        )


def _write_references(writer: Writer, references: Iterable[Reference]) -> None:
    for reference in references:
        writer.add("REF", reference.qualifier, reference.value)


def _write_dates(writer: Writer, dates: Iterable[Period]) -> None:
    for period in dates:
        writer.add("DTM", period.qualifier, date_text(period.first))


def _write_claim(writer: Writer, claim: ClaimPayment) -> None:
    writer.add(
        "CLP",
        claim.control_number,
        claim.status,
        amount_text(claim.charge_cents),
        amount_text(claim.paid_cents),
        amount_text(claim.patient_responsibility_cents)
        if claim.patient_responsibility_cents
        else None,
        claim.filing_indicator,
        claim.payer_claim_number,
        claim.place_of_service,
        claim.frequency,
    )
    write_adjustments(writer, claim.adjustments)
    for role, person in (("QC", claim.patient), ("IL", claim.subscriber), ("74", claim.corrected)):
        if person is not None:
            write_person(writer, role, person)
    if claim.rendering is not None:
        write_provider(writer, "82", claim.rendering)
    for role, party in (("TT", claim.crossover_payer), ("PR", claim.corrected_payer)):
        if party is not None:
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
    if claim.remark_codes:
        writer.add("MOA", None, None, *claim.remark_codes[:5])
    _write_references(writer, claim.references)
    for qualifier, day in (("036", claim.coverage_expired_on), ("050", claim.received_on)):
        if day is not None:
            writer.add("DTM", qualifier, date_text(day))
    _write_dates(writer, claim.dates)
    for amount in claim.amounts:
        writer.add("AMT", amount.qualifier, amount_text(amount.cents))
    for line in claim.lines:
        _write_line(writer, line)


def _write_line(writer: Writer, line: LinePayment) -> None:
    changed = line.submitted_code or line.submitted_modifiers
    writer.add(
        "SVC",
        (line.code_qualifier, *procedure(line.code, line.modifiers)[1:]),
        amount_text(line.charge_cents),
        amount_text(line.paid_cents),
        line.revenue_code,
        quantity_text(line.units),
        procedure(line.submitted_code, line.submitted_modifiers) if changed else None,
        None if line.submitted_units is None else quantity_text(line.submitted_units),
    )
    first, last = line.service_date, line.last_service_date
    if first is not None and last is not None:
        writer.add("DTM", "150", date_text(first))
        writer.add("DTM", "151", date_text(last))
    elif first is not None:
        writer.add("DTM", "472", date_text(first))
    _write_dates(writer, line.dates)
    write_adjustments(writer, line.adjustments)
    if line.line_control_number:
        writer.add("REF", "6R", line.line_control_number)
    if line.rendering is not None:
        writer.add("REF", "HPI", line.rendering.npi)
    _write_references(writer, line.references)
    if line.allowed_cents is not None:
        writer.add("AMT", "B6", amount_text(line.allowed_cents))
    for amount in line.amounts:
        writer.add("AMT", amount.qualifier, amount_text(amount.cents))
    for code in line.remark_codes:
        writer.add("LQ", "HE", code)


def _write_provider_adjustments(writer: Writer, payment: Payment) -> None:
    """One PLB for each provider and fiscal period, up to six pairs each."""
    by_key: dict[tuple[str, date | None], list[ProviderAdjustment]] = {}
    for adjustment in payment.provider_adjustments:
        key = (adjustment.provider_id, adjustment.fiscal_period)
        by_key.setdefault(key, []).append(adjustment)
    for (provider_id, period), members in by_key.items():
        for start in range(0, len(members), 6):
            pairs: list[str | tuple[str, str]] = []
            for member in members[start : start + 6]:
                pairs += ((member.reason_code, member.reference), amount_text(member.cents))
            writer.add("PLB", provider_id, date_or_blank(period), *pairs)


# --- reading ------------------------------------------------------------------------------------


def read_835(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[Payment, ...], tuple[Problem, ...]]:
    """Every payment of the file, and what is wrong with the file.

    Lenient: unknown codes are kept as they are, segments without a field of their own in `unread`
    (statistics TS2 and TS3 on purpose), a broken transaction does not hide the next.
    """
    problems = Problems()
    payments = []
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "835":
            reader = _Reader(transaction, problems)
            claims = tuple(reader.claims())
            payments.append(reader.payment(claims))
    return tuple(payments), tuple(problems)


def stream_835(
    source: bytes | BinaryIO, problems: Problems, limits: Limits | None = None
) -> Iterator[ClaimPayment | Payment]:
    """As `read_835` for files of any size: the claims one by one, then their payment without them.

    Each `Payment` has empty `claims` and ends the claims that came before it.
    """
    for transaction in read_transactions(source, problems, limits):
        if transaction.set_id == "835":
            reader = _Reader(transaction, problems)
            yield from reader.claims()
            yield reader.payment(())


class _Reader:
    """Reads one 835. Claim and line in progress are dictionaries of the fields of their records."""

    def __init__(self, transaction: Transaction, problems: Problems) -> None:
        self.transaction = transaction
        self.problems = problems
        self.numbers: set[tuple[str, str, str]] = set()
        self.under_header = False
        self.head: dict[str, Any] = {
            "trace_number": "",
            "payer_identifier": "",
            "payment_date": None,
            "paid_cents": 0,
        }
        self.parties: dict[str, PaymentParty] = {}
        self.party = ""
        self.plb: list[ProviderAdjustment] = []
        self.unread: list[Segment] = []
        self.claim: dict[str, Any] | None = None
        self.claim_header: Segment | None = None
        self.line: dict[str, Any] | None = None
        self.lines: list[LinePayment] = []
        self.n3: Segment | None = None
        self.seen: set[str] = set()
        self.handlers = {
            "SVC": self._svc,
            "CAS": self._cas,
            "NM1": self._nm1,
            "REF": self._ref,
            "DTM": self._dtm,
            "AMT": self._amt,
            "LQ": self._lq,
            "MOA": self._moa,
            "MIA": self._mia,
            "BPR": self._bpr,
            "TRN": self._trn,
            "N1": self._n1,
            "N3": self._n3,
            "N4": self._n4,
            "PER": self._per,
            "PLB": self._plb,
            "LX": self._lx,
        }

    def claims(self) -> Iterator[ClaimPayment]:
        handlers = self.handlers
        for segment in self.transaction:
            tag = segment[0][0]
            if tag == "CLP":
                if self.claim is not None:
                    yield self._finished()
                self._clp(segment)
                continue
            if tag in ("LX", "PLB") and self.claim is not None:
                yield self._finished()
            handler = handlers.get(tag)
            if handler is None or not handler(segment):
                self._keep(segment)
        if self.claim is not None:
            yield self._finished()
        self._end()

    def payment(self, claims: tuple[ClaimPayment, ...]) -> Payment:
        """The payment, once all its claims were taken."""
        transaction, interchange = self.transaction, self.transaction.interchange
        nobody = PaymentParty("")
        return Payment(
            **self.head,
            payer=self.parties.get("PR", nobody),
            payee=self.parties.get("PE", nobody),
            claims=claims,
            provider_adjustments=tuple(self.plb),
            complete=transaction.complete,
            sender_id=interchange.sender_id,
            receiver_id=interchange.receiver_id,
            interchange_control_number=interchange.control_number,
            control_number=transaction.control_number,
            guide=transaction.guide,
            problems=tuple(
                problem
                for problem in self.problems
                if transaction.header.number <= problem.segment_number <= transaction.last_number
            ),
            unread=tuple(self.unread),
        )

    def _end(self) -> None:
        for tag in ("BPR", "TRN"):
            if tag not in self.seen:
                self.problems.report(
                    f"{tag.lower()}_missing", self.transaction.header, f"the 835 has no {tag}"
                )
        for role, whom in (("PR", "payer"), ("PE", "payee")):
            if role not in self.parties:
                self.problems.report(
                    "n1_missing", self.transaction.header, f"the 835 does not name its {whom}"
                )

    def _keep(self, segment: Segment) -> None:
        if segment[0][0] not in _TAGS_835:
            self.problems.report("segment_unknown", segment, "the 835 has no such segment")
        if self.line is not None:
            self.line.setdefault("unread", []).append(segment)
        elif self.claim is not None:
            self.claim.setdefault("unread", []).append(segment)
        else:
            self.unread.append(segment)

    def _finish_line(self) -> None:
        line = self.line
        if line is not None:
            for name in _LISTS:
                if name in line:
                    line[name] = tuple(line[name])
            self.lines.append(LinePayment(**line))
            self.line = None

    def _finished(self) -> ClaimPayment:
        self._finish_line()
        claim = self.claim or {}
        for name in _LISTS:
            if name in claim:
                claim[name] = tuple(claim[name])
        self.claim = None
        lines, self.lines = tuple(self.lines), []
        finished = ClaimPayment(**claim, lines=lines)
        self._judge(finished)
        return finished

    def _judge(self, claim: ClaimPayment) -> None:
        """What only shows once the whole claim is read."""
        header = self.claim_header
        if header is None:
            return
        if claim.patient is None:
            self.problems.report("patient_missing", header, "the claim does not name its patient")
        shares = sum(
            adjustment.cents
            for adjustments in (claim.adjustments, *(line.adjustments for line in claim.lines))
            for adjustment in adjustments
            if adjustment.group_code == "PR"
        )
        if shares != claim.patient_responsibility_cents:
            self.problems.report(
                "clp05_balance",
                header,
                "CLP05 is not the sum of the adjustments with group code PR",
                element="CLP05",
            )

    # The head of the transaction.

    def _bpr(self, segment: Segment) -> bool:
        self.seen.add("BPR")
        self.head.update(
            handling_code=segment.get(1),
            paid_cents=self.problems.cents(segment, 2),
            is_debit=segment.get(3) == "D",
            method=segment.get(4),
            payment_date=self.problems.day(segment, 16),
        )
        get = segment.get
        if get(7) or get(13):
            self.head["bank"] = BankTransfer(get(7), get(9), get(13), get(15), get(5))
        return True

    def _trn(self, segment: Segment) -> bool:
        self.seen.add("TRN")
        self.head.update(trace_number=segment.get(2), payer_identifier=segment.get(3))
        return True

    def _n1(self, segment: Segment) -> bool:
        role = segment.get(1)
        if role not in ("PR", "PE") or self.claim is not None:
            return False
        self.party, self.n3 = role, None
        if segment.get(3) == "XX" and not npi_is_valid(segment.get(4)):
            self.problems.report("npi_invalid", segment, "not an NPI", element="N104")
        self.parties[role] = PaymentParty(segment.get(2), segment.get(4), segment.get(3))
        return True

    def _n3(self, segment: Segment) -> bool:
        self.n3 = segment
        return bool(self.party)

    def _n4(self, segment: Segment) -> bool:
        if not self.party:
            return False
        first, second = (self.n3.get(1), self.n3.get(2)) if self.n3 else ("", "")
        address = Address(first, segment.get(1), segment.get(2), segment.get(3), second)
        self.parties[self.party] = replace(self.parties[self.party], address=address)
        return True

    def _per(self, segment: Segment) -> bool:
        if not self.party or self.parties[self.party].contact_name:
            return False
        phone = segment.get(4) if segment.get(3) == "TE" else ""
        self.parties[self.party] = replace(
            self.parties[self.party], contact_name=segment.get(2), contact_phone=phone
        )
        return True

    def _lx(self, segment: Segment) -> bool:
        self.party = ""
        self.under_header = True
        return True

    def _plb(self, segment: Segment) -> bool:
        self.party = ""
        period = self.problems.day(segment, 2)
        for n in range(3, min(len(segment.parts), 15), 2):
            reason = segment.components(n)
            if not reason[0] and not segment.get(n + 1):
                continue
            if not segment.get(n + 1):
                self.problems.report(
                    "amount_missing",
                    segment,
                    "a PLB reason has no amount",
                    element=f"PLB{n + 1:02d}",
                )
            self._code(_PROVIDER_REASONS, reason[0], "plb03_unknown", segment, n)
            self.plb.append(
                ProviderAdjustment(
                    segment.get(1),
                    reason[0],
                    self.problems.cents(segment, n + 1),
                    reason[1] if len(reason) > 1 else "",
                    period,
                )
            )
        return True

    # Claims.

    def _clp(self, segment: Segment) -> None:
        self.party = ""
        cents, get = self.problems.cents, segment.get
        self.claim = {
            "control_number": get(1),
            "status": get(2),
            "charge_cents": cents(segment, 3),
            "paid_cents": cents(segment, 4),
            "patient_responsibility_cents": cents(segment, 5),
            "filing_indicator": get(6),
            "payer_claim_number": get(7),
            "place_of_service": get(8),
            "frequency": get(9),
        }
        self.claim_header = segment
        report = self.problems.report
        if not get(1):
            report("clp01_missing", segment, "CLP01 is empty", element="CLP01")
        if not self.under_header:
            report("lx_missing", segment, "there is no LX before this claim")
            self.under_header = True
        self._code(_STATUSES, get(2), "clp02_unknown", segment, 2)
        key = (get(1), get(7), get(2))
        if key in self.numbers:
            report("clp_duplicate", segment, "claim number, payer's number and status occur twice")
        self.numbers.add(key)

    def _code(self, known: Container[str], value: str, code: str, segment: Segment, n: int) -> None:
        """Keep a code that is not in the list as it is, but say so."""
        if value not in known:
            element = f"{segment.tag}{n:02d}"
            self.problems.report(code, segment, f"{element} is not a known code", element=element)

    def _cas(self, segment: Segment) -> bool:
        target = self.line if self.line is not None else self.claim
        if target is None:
            return False
        found = read_adjustments(segment, self.problems)
        self._code(_GROUPS, segment.get(1), "cas01_unknown", segment, 1)
        for n, adjustment in enumerate(found):
            if not _ADJUSTMENT_REASON.fullmatch(adjustment.reason_code):
                self.problems.report(
                    "carc_form",
                    segment,
                    "not the form of a claim adjustment reason code",
                    element=f"CAS{n * 3 + 2:02d}",
                )
        if "adjustments" in target:
            target["adjustments"] += found
        else:
            target["adjustments"] = found
        return True

    def _nm1(self, segment: Segment) -> bool:
        claim = self.claim
        if claim is None or self.line is not None:
            return False
        role = segment.get(1)
        name = _CLAIM_NAMES.get(role)
        if name is None or name in claim:
            return False
        if role == "82":
            claim[name] = read_provider(segment)
        elif role in ("TT", "PR"):
            claim[name] = PaymentParty(segment.get(3), segment.get(9), segment.get(8))
        else:
            claim[name] = read_person(segment)
        return True

    def _moa(self, segment: Segment) -> bool:
        return self._claim_remarks(segment, range(3, 8))

    def _mia(self, segment: Segment) -> bool:
        return self._claim_remarks(segment, (5, 20, 21, 22, 23))

    def _claim_remarks(self, segment: Segment, places: Iterable[int]) -> bool:
        if self.claim is None:
            return False
        codes = [segment.get(n) for n in places if segment.get(n)]
        self.claim.setdefault("remark_codes", []).extend(codes)
        return True

    def _ref(self, segment: Segment) -> bool:
        reference = Reference(segment.get(1), segment.get(2))
        if self.line is not None:
            if reference.qualifier == "6R" and "line_control_number" not in self.line:
                self.line["line_control_number"] = reference.value
            elif reference.qualifier == "HPI" and "rendering" not in self.line:
                self.line["rendering"] = Provider("", "", reference.value)
            else:
                self.line.setdefault("references", []).append(reference)
        elif self.claim is not None:
            self.claim.setdefault("references", []).append(reference)
        elif self.party:
            party = self.parties[self.party]
            self.parties[self.party] = replace(party, references=(*party.references, reference))
        else:
            return False
        return True

    def _dtm(self, segment: Segment) -> bool:
        qualifier, day = segment.get(1), self.problems.day(segment, 2)
        if day is None:
            return False
        line, claim = self.line, self.claim
        if line is not None:
            if qualifier in ("472", "150"):
                line["service_date"] = day
            elif qualifier == "151":
                line["last_service_date"] = day
            else:
                line.setdefault("dates", []).append(Period(qualifier, day, day))
        elif claim is not None:
            name = {"050": "received_on", "036": "coverage_expired_on"}.get(qualifier)
            if name is not None:
                claim[name] = day
            else:
                claim.setdefault("dates", []).append(Period(qualifier, day, day))
        elif qualifier == "405":
            self.head["production_date"] = day
        else:
            return False
        return True

    def _amt(self, segment: Segment) -> bool:
        target = self.line if self.line is not None else self.claim
        if target is None:
            return False
        amount = Amount(segment.get(1), self.problems.cents(segment, 2))
        if self.line is not None and amount.qualifier == "B6":
            self.line["allowed_cents"] = amount.cents
        else:
            target.setdefault("amounts", []).append(amount)
        return True

    # Lines.

    def _svc(self, segment: Segment) -> bool:
        if self.claim is None:
            self.problems.report("svc_without_clp", segment, "there is no CLP before this SVC")
            return False
        self._finish_line()
        problems = self.problems
        code, modifiers = read_procedure(segment, 1, self.problems)
        units = problems.quantity(segment, 5)
        self.line = {
            "code": code,
            "charge_cents": problems.cents(segment, 2),
            "paid_cents": problems.cents(segment, 3),
            "modifiers": modifiers,
            # SVC05 is left out when one unit was paid.
            "units": 1 if units is None else units,
            "revenue_code": segment.get(4),
            "code_qualifier": segment.components(1)[0],
        }
        if segment.get(6):
            code, modifiers = read_procedure(segment, 6, self.problems)
            self.line.update(submitted_code=code, submitted_modifiers=modifiers)
        if segment.get(7):
            self.line["submitted_units"] = problems.quantity(segment, 7)
        return True

    def _lq(self, segment: Segment) -> bool:
        if self.line is None or segment.get(1) not in ("HE", "RX"):
            return False
        if segment.get(1) == "HE" and not _REMARK.fullmatch(segment.get(2)):
            self.problems.report(
                "rarc_form",
                segment,
                "not the form of a remittance advice remark code",
                element="LQ02",
            )
        self.line.setdefault("remark_codes", []).append(segment.get(2))
        return True


# The forms of the code lists, which change three times a year; which codes are in force on a day is
# for the dated tables of the policies to say.
_ADJUSTMENT_REASON = re.compile(r"[0-9]{1,3}|[A-Z][0-9]{1,2}")
_REMARK = re.compile(r"(?:N|M|MA)[0-9]{1,3}")
_GROUPS = frozenset({"CO", "OA", "PI", "PR", "CR"})
_STATUSES = frozenset({"1", "2", "3", "4", "19", "20", "21", "22", "23", "25"})
_REASONS = (
    "50 51 72 90 AH AM AP B2 B3 BD BN C5 CR CS CT CV CW DM E3 FB FC GO HM IP IR IS J1 L3 L6 LE LS"
    " OA OB PI PL RA RE SL TL WO WU"
)
_PROVIDER_REASONS = frozenset(_REASONS.split())
_CLAIM_NAMES = {
    "QC": "patient",
    "IL": "subscriber",
    "74": "corrected",
    "82": "rendering",
    "TT": "crossover_payer",
    "PR": "corrected_payer",
}
_LISTS = ("adjustments", "references", "amounts", "dates", "remark_codes", "unread")
_TAGS = (
    "BPR NTE TRN CUR REF DTM N1 N2 N3 N4 PER RDM LX TS2 TS3 CLP CAS NM1 MIA MOA AMT QTY SVC LQ PLB"
)
_TAGS_835 = frozenset(_TAGS.split())
