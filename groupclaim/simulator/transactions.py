"""Between X12 records and what the simulator decides: reading what comes, writing what goes out.

Nothing here keeps state; the same arguments give the same bytes.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from groupclaim.simulator import adjudicator
from groupclaim.simulator.adjudicator import ClaimDecision, Refusal
from groupclaim.simulator.world import Member, Payer
from groupclaim.x12 import (
    Address,
    Adjustment,
    BillingProvider,
    ClaimAcknowledgment,
    ClaimAcknowledgmentReport,
    ClaimPayment,
    ClaimTransaction,
    Envelope,
    GroupAcknowledgment,
    InterchangeAcknowledgment,
    LinePayment,
    Party,
    Payment,
    PaymentParty,
    Person,
    Problems,
    ProfessionalClaim,
    ProviderAcknowledgment,
    ProviderAdjustment,
    Reference,
    Segment,
    ServiceLine,
    Status,
    TransactionAcknowledgment,
    X12WriteError,
    build_277ca,
    build_835,
    build_999,
    build_ta1,
    read_837p,
    read_interchanges,
)

# The claim filing indicator as CLP06 spells it; its code list has no CI.
_REMITTANCE_INDICATORS = {"MB": "MB", "MC": "MC", "CI": "12", "16": "16"}

# TA105 by the fault that the reader names; every other fault of an envelope is 022.
_ENVELOPE_FAULTS = {"iea02_number": "001", "iea01_count": "021", "iea_missing": "023"}

_CONTROL_NUMBER = re.compile(r"[0-9]{9}")
_QUALIFIER = re.compile(r"[A-Za-z0-9]{2}")
# What can be written back between our own separators.
_ECHOED = re.compile(r"[^*:^~\x00-\x1f\x7f-\U0010ffff]*")
# The elements of an 837P that have components, by segment.
_COMPOSED = {"CLM": (5, 11), "HI": tuple(range(1, 13)), "SV1": (1, 7), "SVD": (3,)}
# The elements of an 837P with names, addresses and notes, by segment.
_FREE_TEXT = {"NM1": (3, 4, 5), "N3": (1, 2), "N4": (1,), "NTE": (2,), "PER": (2,), "SBR": (4,)}

_INVENTED_ADDRESS = Address("100 INVENTED PLAZA", "ANYTOWN", "TX", "750010000")


class UnreadableInterchange(ValueError):
    """The bytes are not one X12 interchange of the expected kind; the text says why."""


@dataclass(frozen=True, slots=True)
class Correspondent:
    """The two ends of an exchange, as the practice's ISA names them, and whether it is a test."""

    practice_id: str
    practice_qualifier: str
    clearinghouse_id: str
    clearinghouse_qualifier: str
    test: bool

    def envelope(self, number: int, at: datetime) -> Envelope:
        """An envelope back to the practice."""
        return Envelope(
            sender_id=self.clearinghouse_id,
            receiver_id=self.practice_id,
            interchange_control_number=number,
            group_control_number=number,
            at=at,
            test=self.test,
            sender_qualifier=self.clearinghouse_qualifier,
            receiver_qualifier=self.practice_qualifier,
        )


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid by one 835: a billing provider, known by its NPI, at one end of an exchange."""

    correspondent: Correspondent
    npi: str


@dataclass(frozen=True, slots=True)
class SubmittedClaim:
    """A claim of an accepted transaction set, with who bills it."""

    source: ProfessionalClaim
    billing_provider: BillingProvider

    def content(self) -> tuple[str, ...]:
        """What makes this claim this claim, whatever batch it comes in."""
        claim = self.source
        content = [
            claim.control_number,
            claim.frequency,
            claim.original_reference,
            claim.subscriber.member_id,
            claim.prior_authorization,
            self.billing_provider.npi,
        ]
        for line in claim.lines:
            day = "" if line.service_date is None else line.service_date.isoformat()
            content += [line.code, *line.modifiers, str(line.charge_cents), day]
        return tuple(content)


@dataclass(frozen=True, slots=True)
class AcceptedClaim:
    """A claim that its payer accepted, with what its 835 has to repeat."""

    claim: adjudicator.Claim
    submitted: SubmittedClaim
    payee: Payee
    received_on: date


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """What a 277CA says of one claim: accepted under the payer's number, or refused."""

    submitted: SubmittedClaim
    payer_claim_number: str
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class SetHeader:
    """What ST and GS say of a transaction set, and the file's segments that it spans."""

    set_id: str
    control_number: str
    guide: str
    group_code: str
    group_control_number: str
    group_version: str
    first_segment: int
    last_segment: int
    can_be_written_back: bool


@dataclass(frozen=True, slots=True)
class TransactionSet:
    """One transaction set of a batch; without a `record` it is broken or no 837P."""

    header: SetHeader
    record: ClaimTransaction | None

    @property
    def claims(self) -> tuple[SubmittedClaim, ...]:
        """Its claims, each with who bills it."""
        if self.record is None:
            return ()
        return tuple(
            SubmittedClaim(claim, group.billing_provider)
            for group in self.record.billing_groups
            for claim in group.claims
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """One interchange as read. With an `envelope_fault` (TA105) it has no transaction sets."""

    control_number: str
    sent_on: tuple[str, str]
    correspondent: Correspondent
    envelope_fault: str | None
    transactions: tuple[TransactionSet, ...]


# --- reading ------------------------------------------------------------------------------------


def read_batch(content: bytes) -> Batch:
    """Read one 837P interchange. Raises UnreadableInterchange when it is not X12 at all.

    A fault in the envelope or in a transaction set is part of the batch: TA1 and 999 tell it.
    """
    interchange = only_interchange(content)
    records, problems = read_837p(content)
    broken: set[int] = set()
    fault: str | None = None
    for problem in problems:
        place = interchange.transaction_at(problem.segment_number)
        if place is None:
            fault = fault or _ENVELOPE_FAULTS.get(problem.code, "022")
        else:
            broken.add(place)
    judged: list[TransactionSet] = []
    unread = iter(records)
    for place, header in enumerate(interchange.headers):
        record = next(unread) if header.set_id == "837" else None
        if record is not None and not (
            header.can_be_written_back and place not in broken and _is_complete(record)
        ):
            record = None
        judged.append(TransactionSet(header, record))
    return Batch(
        control_number=interchange.control_number,
        sent_on=interchange.sent_on,
        correspondent=interchange.correspondent,
        envelope_fault=fault,
        transactions=tuple(judged) if fault is None else (),
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """The envelopes of the only interchange in a file."""

    control_number: str
    sent_on: tuple[str, str]
    correspondent: Correspondent
    headers: tuple[SetHeader, ...]

    def transaction_at(self, segment_number: int) -> int | None:
        """The position of the transaction set that holds that segment of the file."""
        for place, header in enumerate(self.headers):
            if header.first_segment <= segment_number <= header.last_segment:
                return place
        return None


def only_interchange(content: bytes) -> Frame:
    """The envelopes of a file with one interchange. Raises UnreadableInterchange."""
    problems = Problems()
    frames: list[Frame] = []
    for interchange in read_interchanges(content, problems):
        headers: list[SetHeader] = []
        for transaction in interchange:
            segments = [_can_be_written_back(segment) for segment in transaction]
            group = transaction.group
            headers.append(
                SetHeader(
                    set_id=transaction.set_id,
                    control_number=transaction.control_number,
                    guide=transaction.guide,
                    group_code=group.functional_code,
                    group_control_number=group.control_number,
                    group_version=group.version,
                    first_segment=transaction.header.number,
                    last_segment=transaction.header.number + transaction.count - 1,
                    can_be_written_back=all(segments),
                )
            )
        isa = interchange.header
        frames.append(
            Frame(
                control_number=interchange.control_number,
                sent_on=(isa.get(9), isa.get(10)),
                correspondent=Correspondent(
                    practice_id=interchange.sender_id,
                    practice_qualifier=interchange.sender_qualifier,
                    clearinghouse_id=interchange.receiver_id,
                    clearinghouse_qualifier=interchange.receiver_qualifier,
                    test=interchange.test,
                ),
                headers=tuple(headers),
            )
        )
    if len(frames) != 1:
        raise UnreadableInterchange(f"needs one readable interchange, has {len(frames)}")
    frame = frames[0]
    if not _CONTROL_NUMBER.fullmatch(frame.control_number):
        raise UnreadableInterchange("ISA13 is not nine digits")
    ends = frame.correspondent
    if len(ends.practice_id) < 2 or len(ends.clearinghouse_id) < 2:
        raise UnreadableInterchange("ISA06 and ISA08 must name sender and receiver")
    qualifiers = (ends.practice_qualifier, ends.clearinghouse_qualifier)
    if not all(map(_QUALIFIER.fullmatch, qualifiers)):
        raise UnreadableInterchange("ISA05 and ISA07 need two letters or digits")
    try:
        ends.envelope(1, datetime(2000, 1, 1, tzinfo=UTC))
    except X12WriteError as error:
        raise UnreadableInterchange(f"no answer can be addressed: {error}") from None
    written_back = [*frame.sent_on, ends.practice_id, ends.clearinghouse_id]
    for header in frame.headers:
        written_back += [header.set_id, header.control_number, header.guide]
        written_back += [header.group_code, header.group_control_number, header.group_version]
    if not all(map(_ECHOED.fullmatch, written_back)):
        raise UnreadableInterchange("the envelopes hold characters that no answer can repeat")
    return frame


def _can_be_written_back(segment: Segment) -> bool:
    """True when our answers can repeat every code and identifier of the segment as it stands.

    Names, addresses and notes do not count: they are written in plain ASCII.
    """
    free, composed = _FREE_TEXT.get(segment.tag, ()), _COMPOSED.get(segment.tag, ())
    component = segment.delimiters.component
    return all(
        _ECHOED.fullmatch(text.replace(component, "") if position in composed else text)
        for position, text in enumerate(segment.parts)
        if position not in free
    )


def _is_complete(record: ClaimTransaction) -> bool:
    """True when every claim has what no payer can do without; the 999 refuses the set otherwise."""
    return bool(record.claims) and all(
        claim.control_number
        and claim.frequency
        and claim.place_of_service
        and claim.payer.payer_id
        and claim.subscriber.member_id
        and claim.lines
        and claim.charge_cents == sum(line.charge_cents for line in claim.lines)
        and all(
            line.code and line.charge_cents >= 0 and line.service_date is not None
            for line in claim.lines
        )
        for claim in record.claims
    )


# --- acknowledgments ----------------------------------------------------------------------------


def acknowledge_interchange(batch: Batch, at: datetime, number: int) -> bytes:
    """The TA1: accepted, or rejected for the fault of its envelope."""
    sent_on, sent_at = batch.sent_on
    fault = batch.envelope_fault
    acknowledgment = InterchangeAcknowledgment(
        interchange_control_number=batch.control_number,
        interchange_date=sent_on,
        interchange_time=sent_at,
        code="A" if fault is None else "R",
        note_code=fault or "000",
    )
    return build_ta1(batch.correspondent.envelope(number, at), [acknowledgment])


def acknowledge_transactions(batch: Batch, at: datetime, number: int) -> bytes:
    """The 999: for each functional group, which transaction sets were accepted."""
    groups: dict[tuple[str, str, str], list[TransactionSet]] = {}
    for one in batch.transactions:
        header = one.header
        key = (header.group_code, header.group_control_number, header.group_version)
        groups.setdefault(key, []).append(one)
    acknowledgments = []
    for (code, control_number, version), sets in groups.items():
        accepted = sum(one.record is not None for one in sets)
        acknowledgments.append(
            GroupAcknowledgment(
                functional_code=code,
                group_control_number=control_number,
                status="A" if accepted == len(sets) else "P" if accepted else "R",
                transactions=tuple(
                    TransactionAcknowledgment(
                        set_id=one.header.set_id,
                        control_number=one.header.control_number,
                        status="A" if one.record is not None else "R",
                        # I5: one or more segments in error.
                        error_codes=() if one.record is not None else ("5",),
                        guide=one.header.guide,
                    )
                    for one in sets
                ),
                included=len(sets),
                received=len(sets),
                accepted=accepted,
                version=version,
            )
        )
    return build_999(batch.correspondent.envelope(number, at), acknowledgments, 1)


def acknowledge_claims(
    correspondent: Correspondent,
    record: ClaimTransaction,
    payer: Payer | None,
    statuses: Sequence[ClaimStatus],
    received_on: date,
    at: datetime,
    number: int,
) -> bytes:
    """The 277CA of one payer, or of the clearinghouse itself, for the claims of one 837P."""
    if payer is None:
        source = Party("INVENTED CLEARINGHOUSE", correspondent.clearinghouse_id)
    else:
        source = Party(payer.name, payer.payer_id, qualifier="PI")
    accepted = [s.submitted.source.charge_cents for s in statuses if s.refusal is None]
    rejected = [s.submitted.source.charge_cents for s in statuses if s.refusal is not None]
    by_provider: dict[tuple[str, str], list[ClaimAcknowledgment]] = {}
    for status in statuses:
        provider = status.submitted.billing_provider
        acknowledgment = _claim_acknowledgment(status)
        by_provider.setdefault((provider.name, provider.npi), []).append(acknowledgment)
    reference = f"{number:09d}"
    report = ClaimAcknowledgmentReport(
        reference=reference,
        source=source,
        receiver=record.submitter or Party("", correspondent.practice_id),
        batch_reference=record.batch_reference,
        providers=tuple(
            ProviderAcknowledgment(Party(name, npi, qualifier="XX"), tuple(claims))
            for (name, npi), claims in by_provider.items()
        ),
        received_on=received_on,
        processed_on=at.date(),
        accepted_count=len(accepted) if accepted else None,
        rejected_count=len(rejected) if rejected else None,
        accepted_cents=sum(accepted) if accepted else None,
        rejected_cents=sum(rejected) if rejected else None,
        total_cents=sum(accepted) + sum(rejected),
    )
    return build_277ca(correspondent.envelope(number, at), report, 1)


def _claim_acknowledgment(status: ClaimStatus) -> ClaimAcknowledgment:
    claim, refusal = status.submitted.source, status.refusal
    patient = claim.dependent or claim.subscriber
    if refusal is None:
        # A2:20: accepted for processing.
        said = Status("A2", "20")
    else:
        said = Status(refusal.category, refusal.status, refusal.entity)
    return ClaimAcknowledgment(
        control_number=claim.control_number,
        accepted=refusal is None,
        statuses=(said,),
        charge_cents=claim.charge_cents,
        payer_claim_number=status.payer_claim_number,
        patient=Person(patient.last_name, patient.first_name, claim.subscriber.member_id),
        service_date=claim.lines[0].service_date,
    )


def claim_to_adjudicate(
    submitted: SubmittedClaim, member: Member, payer_claim_number: str
) -> adjudicator.Claim:
    """The facts of a claim that a payer looks at."""
    claim = submitted.source
    line_providers = [line.rendering for line in claim.lines if line.rendering is not None]
    rendering = claim.rendering or next(iter(line_providers), None)
    line_authorizations = [line.authorization for line in claim.lines if line.authorization]
    return adjudicator.Claim(
        payer_claim_number=payer_claim_number,
        control_number=claim.control_number,
        frequency=claim.frequency,
        replaces=claim.original_reference,
        documents=tuple(item.control_number for item in claim.attachments),
        member=member,
        rendering_npi=submitted.billing_provider.npi if rendering is None else rendering.npi,
        authorization_number=claim.prior_authorization or next(iter(line_authorizations), ""),
        lines=tuple(
            adjudicator.ServiceLine(
                code=line.code,
                modifiers=line.modifiers,
                units=line.units,
                charge_cents=line.charge_cents,
                service_date=line.service_date,
                control_number=line.line_control_number,
                left_cents=_left_before(claim, line),
                paid_before_cents=sum(one.paid_cents for one in line.adjudications),
            )
            for line in claim.lines
            if line.service_date is not None
        ),
        place=_RESPONSIBILITIES.find(claim.responsibility) + 1 or 1,
    )


_RESPONSIBILITIES = "PST"


def _left_before(claim: ProfessionalClaim, line: ServiceLine) -> int | None:
    """What the last payer before says it left of this line (2430): group PR and what the next payer
    alone may be asked for (OA 209); None where none has decided on it."""
    places = {
        other.payer_id: _RESPONSIBILITIES.find(other.responsibility) for other in claim.other_payers
    }
    last = max(line.adjudications, key=lambda one: places.get(one.payer_id, -1), default=None)
    if last is None:
        return None
    return sum(
        item.cents
        for item in last.adjustments
        if item.group_code == "PR" or (item.group_code, item.reason_code) == ("OA", "209")
    )


# --- remittance ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Withheld:
    """What is kept back from a payment for no claim in it (PLB); below zero it adds to it."""

    reason: str
    cents: int
    reference: str


def remit(
    payer: Payer,
    payee: Payee,
    payment_date: date,
    trace: str,
    decided: Sequence[tuple[AcceptedClaim, ClaimDecision]],
    withheld: Sequence[Withheld],
    at: datetime,
    number: int,
) -> bytes:
    """The 835 of one payment. `number` is the only thing in which copies of it differ.

    The payer's id stands in N104 and REF*2U; TRN03 must have ten characters and is invented. What
    would leave less than nothing to pay is carried forward (PLB FB below zero).
    """
    left = sum(decision.paid_cents for _, decision in decided) - sum(one.cents for one in withheld)
    if left < 0:
        withheld = (*withheld, Withheld("FB", left, trace))
    paid = max(left, 0) + payer.off_by_cents(payment_date)
    year_end = payment_date.replace(month=12, day=31)
    biller = decided[0][0].submitted.billing_provider
    payment = Payment(
        trace_number=trace,
        payer_identifier=_company_identifier(payer),
        payment_date=payment_date,
        paid_cents=paid,
        method="CHK" if paid else "NON",
        handling_code="I" if paid else "H",
        production_date=payment_date,
        payer=PaymentParty(
            name=payer.name,
            identifier=payer.payer_id,
            qualifier="XV",
            address=_INVENTED_ADDRESS,
            references=(Reference("2U", payer.payer_id),),
            contact_name="PROVIDER SERVICES",
            contact_phone="8005550100",
        ),
        payee=PaymentParty(
            name=biller.name,
            identifier=payee.npi,
            qualifier="XX",
            references=(Reference("TJ", biller.tax_id),),
        ),
        claims=tuple(_claim_payment(payer, accepted, decision) for accepted, decision in decided),
        provider_adjustments=tuple(
            ProviderAdjustment(
                payee.npi,
                one.reason,
                one.cents,
                one.reference,
                year_end,
            )
            for one in withheld
        ),
    )
    return build_835(payee.correspondent.envelope(number, at), [payment], 1)


def _company_identifier(payer: Payer) -> str:
    """An invented originating company identifier: 1 and nine digits, the same for every payment."""
    digest = hashlib.sha256(payer.payer_id.encode()).hexdigest()
    return f"1{int(digest[:12], 16) % 1_000_000_000:09d}"


def _claim_status(payer: Payer, decision: ClaimDecision) -> str:
    """CLP02: reversed, denied, or processed as primary, secondary, tertiary, and forwarded."""
    if decision.is_reversal:
        return "22"
    if decision.denied:
        return "4"
    if decision.is_forwarded:
        return "19"
    return "1" if payer.says_primary_always else str(decision.claim.place)


def _claim_payment(payer: Payer, accepted: AcceptedClaim, decision: ClaimDecision) -> ClaimPayment:
    claim, source = decision.claim, accepted.submitted.source
    patient = source.dependent or source.subscriber
    return ClaimPayment(
        control_number=claim.control_number,
        status=_claim_status(payer, decision),
        charge_cents=decision.charge_cents,
        paid_cents=decision.paid_cents,
        patient_responsibility_cents=decision.patient_cents,
        filing_indicator=_REMITTANCE_INDICATORS[payer.filing_indicator],
        payer_claim_number=claim.payer_claim_number,
        place_of_service=source.place_of_service,
        frequency=claim.frequency,
        patient=Person(patient.last_name, patient.first_name, source.subscriber.member_id),
        rendering=source.rendering,
        references=(Reference("F8", decision.supersedes),) if decision.supersedes else (),
        received_on=accepted.received_on,
        lines=tuple(
            LinePayment(
                code=decided.line.code,
                modifiers=decided.line.modifiers,
                charge_cents=decided.line.charge_cents,
                paid_cents=decided.paid_cents,
                units=decided.line.units,
                service_date=decided.line.service_date,
                adjustments=tuple(
                    Adjustment(adjustment.group, adjustment.reason, adjustment.cents)
                    for adjustment in decided.adjustments
                ),
                line_control_number=decided.line.control_number,
                allowed_cents=decided.allowed_cents,
            )
            for decided in decision.lines
        ),
    )
