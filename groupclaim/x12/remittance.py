"""The remittance: 835, version 005010X221A1, read leniently, written, and balanced to the cent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from groupclaim.x12.core import (
    Delimiters,
    Problem,
    Segment,
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
    write_address,
    write_adjustments,
    write_person,
    write_provider,
)
from groupclaim.x12.values import (
    Quantity,
    amount_text,
    date_text,
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
    missing. `problems` are those of this transaction. Post it only if it is `trustworthy`.
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

    @property
    def doubts(self) -> tuple[Problem, ...]:
        """The problems by which an amount may be another than it says here, or be missing."""
        return tuple(problem for problem in self.problems if problem.code in _DOUBTS)

    @property
    def trustworthy(self) -> bool:
        """Whether its amounts are those of the file. Never post a payment for which this is False,
        even if it balances: an unreadable amount stands as 0 here."""
        return self.complete and not self.doubts


_DOUBTS = frozenset(
    {
        "amount_invalid",
        "amount_missing",
        "bpr_missing",
        "se01_count",
        "se02_number",
        "se_missing",
        "segment_too_long",
        "svc_without_clp",
        "too_many_elements",
        "too_many_problems",
        "unterminated_segment",
    }
)


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
        total += claim.paid_cents
        found += balance_claim(claim, f"claims[{n}]")
    return (*found, *balance_payment(payment, total))


def balance_payment(payment: Payment, claims_cents: int) -> tuple[Difference, ...]:
    """As `balance`, of the payment alone, whose claims add up to `claims_cents`."""
    expected = claims_cents - sum(a.cents for a in payment.provider_adjustments)
    stated = -payment.paid_cents if payment.is_debit else payment.paid_cents
    if expected == stated:
        return ()
    rule = "BPR02 = sum(CLP04) - sum(PLB)"
    return (Difference("payment", "payment", rule, stated, expected),)


def balance_claim(claim: ClaimPayment, place: str) -> tuple[Difference, ...]:
    """As `balance`, of one claim and its lines."""
    found: list[Difference] = []

    def compare(level: str, where: str, rule: str, stated: int, expected: int) -> None:
        if stated != expected:
            found.append(Difference(level, where, rule, stated, expected))

    of_claim = sum(a.cents for a in claim.adjustments)
    of_lines = charges = payments = 0
    for n, line in enumerate(claim.lines):
        reductions = sum(a.cents for a in line.adjustments)
        of_lines += reductions
        charges += line.charge_cents
        payments += line.paid_cents
        compare(
            "line",
            f"{place}.lines[{n}]",
            "SVC03 = SVC02 - CAS",
            line.paid_cents,
            line.charge_cents - reductions,
        )
    compare(
        "claim",
        place,
        "CLP04 = CLP03 - CAS of claim and lines",
        claim.paid_cents,
        claim.charge_cents - of_claim - of_lines,
    )
    if claim.lines:
        compare("claim_lines", place, "CLP03 = sum(SVC02)", claim.charge_cents, charges)
        compare(
            "claim_lines",
            place,
            "CLP04 = sum(SVC03) - CAS of claim",
            claim.paid_cents,
            payments - of_claim,
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
