"""The professional claim: 837P, version 005010X222A1."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from groupclaim.x12.core import (
    Delimiters,
    Segment,
)
from groupclaim.x12.parts import (
    Address,
    Adjustment,
    Party,
    Person,
    Provider,
    date_or_blank,
    procedure,
    write_address,
    write_adjustments,
    write_contact,
    write_person,
    write_provider,
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

GUIDE_837P = "005010X222A1"


@dataclass(frozen=True, slots=True)
class BillingProvider:
    """Who bills and is paid (2010AA). `first_name` only when a person bills under their own name.

    `tax_id_qualifier` is EI for an employer's number, SY for a social security number.
    """

    name: str
    npi: str
    tax_id: str = field(repr=False)
    address: Address
    taxonomy: str = ""
    first_name: str = ""
    tax_id_qualifier: str = "EI"


@dataclass(frozen=True, slots=True)
class Facility:
    """Where the service took place, if not at the billing provider's address (2310C)."""

    name: str
    npi: str
    address: Address


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The insured (2000B, 2010BA). Birth date, sex and address are needed if they are the patient.

    `sex` is F, M or U.
    """

    last_name: str = field(repr=False)
    first_name: str = field(repr=False)
    member_id: str = field(repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)
    address: Address | None = field(default=None, repr=False)
    group_number: str = ""
    middle_name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Dependent:
    """The patient when somebody else is the insured (2000C, 2010CA).

    `relationship` to the insured: 01 spouse, 19 child, G8 other, ... (PAT01).
    """

    last_name: str = field(repr=False)
    first_name: str = field(repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)
    address: Address | None = field(default=None, repr=False)
    relationship: str = "19"
    middle_name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is to pay (2010BB); `filing_indicator` is SBR09, for example MB, MC or CI."""

    name: str
    payer_id: str
    filing_indicator: str = ""
    qualifier: str = "PI"


@dataclass(frozen=True, slots=True)
class Attachment:
    """An announced attachment (PWK): report type, way of travel (BM, FX, EL, AA) and number."""

    report_type: str
    transmission: str
    control_number: str = ""


@dataclass(frozen=True, slots=True)
class LineAdjudication:
    """What an earlier payer decided on a line (2430); adjustments as its 835 gave them."""

    payer_id: str
    paid_cents: int
    code: str
    modifiers: tuple[str, ...] = ()
    units: Quantity = 1
    adjustments: tuple[Adjustment, ...] = ()
    decided_on: date | None = None
    patient_open_cents: int | None = None


@dataclass(frozen=True, slots=True)
class OtherPayer:
    """Another payer of the same claim (2320, 2330A, 2330B): the earlier one of a secondary claim.

    `responsibility` is P, S or T (SBR01), `relationship` of the patient to `insured` 18 for self.
    `paid_cents` (AMT*D), `non_covered_cents` (AMT*A8) and `patient_open_cents` (AMT*EAF) may be
    absent; `decided_on` is DTP*573 and `payer_claim_number` REF*F8.
    """

    responsibility: str
    insured: Person
    name: str
    payer_id: str
    relationship: str = "18"
    group_number: str = ""
    filing_indicator: str = ""
    paid_cents: int | None = None
    non_covered_cents: int | None = None
    patient_open_cents: int | None = None
    adjustments: tuple[Adjustment, ...] = ()
    decided_on: date | None = None
    payer_claim_number: str = ""


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service line (2400). `diagnosis_pointers` count from 1 in the claim's diagnoses.

    `line_control_number` (REF*6R) comes back in the 835 and 277CA. `place_of_service` only if it
    differs from the claim's; `authorization` (REF*G1) only if it belongs to this line alone.
    """

    line_control_number: str
    code: str
    charge_cents: int
    service_date: date | None
    modifiers: tuple[str, ...] = ()
    units: Quantity = 1
    place_of_service: str = ""
    diagnosis_pointers: tuple[int, ...] = (1,)
    authorization: str = ""
    last_service_date: date | None = None
    note: str = field(default="", repr=False)
    rendering: Provider | None = None
    adjudications: tuple[LineAdjudication, ...] = ()
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ProfessionalClaim:
    """One claim (2300) with its subscriber, patient, payer and lines.

    `control_number` is CLM01. `frequency` 1 is an original, 7 a replacement, 8 a void; 7 and 8 need
    `original_reference`, the payer's claim number (REF*F8). `prior_authorization` is REF*G1.
    `diagnoses` are ICD-10-CM codes without point, the principal one first. `dependent` is None when
    the subscriber is the patient. `patient_paid_cents` is what the patient already paid (AMT*F5).
    `insurance_type` (SBR05) says why Medicare pays after another payer.
    `unread` holds segments the reader keeps but does not understand; they are not written.
    """

    control_number: str
    charge_cents: int
    place_of_service: str
    diagnoses: tuple[str, ...]
    subscriber: Subscriber
    payer: Payer
    lines: tuple[ServiceLine, ...]
    frequency: str = "1"
    rendering: Provider | None = None
    original_reference: str = ""
    prior_authorization: str = ""
    referral_number: str = ""
    referring: Provider | None = None
    supervising: Provider | None = None
    facility: Facility | None = None
    dependent: Dependent | None = None
    patient_paid_cents: int = 0
    note: str = field(default="", repr=False)
    responsibility: str = "P"
    insurance_type: str = ""
    accepts_assignment: str = "A"
    benefits_assigned: str = "Y"
    release_of_information: str = "Y"
    delay_reason: str = ""
    attachments: tuple[Attachment, ...] = ()
    other_payers: tuple[OtherPayer, ...] = ()
    unread: tuple[Segment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class BillingGroup:
    """The claims under one billing provider (2000A)."""

    billing_provider: BillingProvider
    claims: tuple[ProfessionalClaim, ...]


@dataclass(frozen=True, slots=True)
class ClaimTransaction:
    """One 837P as read. `complete` is False when its end is missing."""

    sender_id: str
    receiver_id: str
    interchange_control_number: str
    group_control_number: str
    control_number: str
    guide: str
    batch_reference: str
    submitter: Party | None
    receiver: Party | None
    billing_groups: tuple[BillingGroup, ...]
    complete: bool
    unread: tuple[Segment, ...] = field(default=(), repr=False)

    @property
    def claims(self) -> tuple[ProfessionalClaim, ...]:
        """All claims, whoever bills them."""
        return tuple(claim for group in self.billing_groups for claim in group.claims)


# --- writing ------------------------------------------------------------------------------------


def build_837p(
    envelope: Envelope,
    submitter: Party,
    receiver: Party,
    billing_provider: BillingProvider,
    claims: Iterable[ProfessionalClaim],
    transaction_control_number: int,
    batch_reference: str,
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with one 837P holding the claims, each under its own subscriber.

    The same arguments give the same bytes. Names, addresses and notes are written in upper-case
    ASCII; identifiers as given. Raises `X12WriteError` naming every element that cannot be written.
    What the bytes must still satisfy is for `check_outbound` to say.
    """
    writer = Writer(envelope, "HC", GUIDE_837P, delimiters)
    writer.begin("837", transaction_control_number, guide=GUIDE_837P)
    at = envelope.at
    writer.add("BHT", "0019", "00", batch_reference, f"{at:%Y%m%d}", f"{at:%H%M}", "CH")
    name = plain_text(submitter.name, 60)
    writer.add("NM1", "41", "2", name, None, None, None, None, "46", submitter.identifier)
    write_contact(writer, submitter)
    name = plain_text(receiver.name, 60)
    writer.add("NM1", "40", "2", name, None, None, None, None, "46", receiver.identifier)
    writer.add("HL", 1, None, "20", "1")
    _write_billing_provider(writer, billing_provider)
    level = 1
    for claim in claims:
        level = _write_claim(writer, claim, level)
    writer.end()
    return writer.to_bytes()


def _write_billing_provider(writer: Writer, provider: BillingProvider) -> None:
    if provider.taxonomy:
        writer.add("PRV", "BI", "PXC", provider.taxonomy)
    write_provider(
        writer,
        "85",
        Provider(provider.name, provider.first_name, provider.npi, "", bool(provider.first_name)),
    )
    write_address(writer, provider.address)
    writer.add("REF", provider.tax_id_qualifier, provider.tax_id)


def _write_demographics(
    writer: Writer, address: Address | None, birth_date: date | None, sex: str
) -> None:
    if address is not None:
        write_address(writer, address)
    if birth_date is not None or sex:
        writer.add("DMG", "D8", date_or_blank(birth_date), sex)


def _write_claim(writer: Writer, claim: ProfessionalClaim, level: int) -> int:
    """The loops from 2000B on; returns the last HL number used."""
    subscriber, dependent = claim.subscriber, claim.dependent
    level += 1
    writer.add("HL", level, 1, "22", "0" if dependent is None else "1")
    writer.add(
        "SBR",
        claim.responsibility,
        "18" if dependent is None else "",
        subscriber.group_number,
        None,
        claim.insurance_type,
        *[None] * 3,
        claim.payer.filing_indicator,
    )
    insured = Person(
        subscriber.last_name, subscriber.first_name, subscriber.member_id, subscriber.middle_name
    )
    write_person(writer, "IL", insured)
    _write_demographics(writer, subscriber.address, subscriber.birth_date, subscriber.sex)
    writer.add(
        "NM1",
        "PR",
        "2",
        plain_text(claim.payer.name, 60),
        None,
        None,
        None,
        None,
        claim.payer.qualifier,
        claim.payer.payer_id,
    )
    if dependent is not None:
        level += 1
        writer.add("HL", level, level - 1, "23", "0")
        writer.add("PAT", dependent.relationship)
        patient = Person(dependent.last_name, dependent.first_name, "", dependent.middle_name)
        write_person(writer, "QC", patient)
        _write_demographics(writer, dependent.address, dependent.birth_date, dependent.sex)
    writer.add(
        "CLM",
        claim.control_number,
        amount_text(claim.charge_cents),
        None,
        None,
        (claim.place_of_service, "B", claim.frequency),
        "Y",
        claim.accepts_assignment,
        claim.benefits_assigned,
        claim.release_of_information,
        *[None] * 10,
        claim.delay_reason,
    )
    for attachment in claim.attachments:
        number = attachment.control_number
        writer.add(
            "PWK",
            attachment.report_type,
            attachment.transmission,
            None,
            None,
            "AC" if number else "",
            number,
        )
    if claim.patient_paid_cents:
        writer.add("AMT", "F5", amount_text(claim.patient_paid_cents))
    for qualifier, value in (
        ("9F", claim.referral_number),
        ("G1", claim.prior_authorization),
        ("F8", claim.original_reference),
    ):
        if value:
            writer.add("REF", qualifier, value)
    if claim.note:
        writer.add("NTE", "ADD", plain_text(claim.note, 80))
    if claim.diagnoses:
        writer.add("HI", *(("ABF" if n else "ABK", code) for n, code in enumerate(claim.diagnoses)))
    if claim.referring is not None:
        write_provider(writer, "DN", claim.referring)
    if claim.rendering is not None:
        _write_rendering(writer, claim.rendering)
    if claim.facility is not None:
        write_provider(
            writer, "77", Provider(claim.facility.name, "", claim.facility.npi, "", False)
        )
        write_address(writer, claim.facility.address)
    if claim.supervising is not None:
        write_provider(writer, "DQ", claim.supervising)
    for other in claim.other_payers:
        _write_other_payer(writer, other)
    for position, line in enumerate(claim.lines, 1):
        _write_line(writer, position, line)
    return level


def _write_rendering(writer: Writer, provider: Provider) -> None:
    write_provider(writer, "82", provider)
    if provider.taxonomy:
        writer.add("PRV", "PE", "PXC", provider.taxonomy)


def _write_other_payer(writer: Writer, other: OtherPayer) -> None:
    writer.add(
        "SBR",
        other.responsibility,
        other.relationship,
        other.group_number,
        *[None] * 5,
        other.filing_indicator,
    )
    write_adjustments(writer, other.adjustments)
    for qualifier, cents in (
        ("D", other.paid_cents),
        ("A8", other.non_covered_cents),
        ("EAF", other.patient_open_cents),
    ):
        if cents is not None:
            writer.add("AMT", qualifier, amount_text(cents))
    writer.add("OI", None, None, "Y", None, None, "Y")
    write_person(writer, "IL", other.insured)
    writer.add(
        "NM1", "PR", "2", plain_text(other.name, 60), None, None, None, None, "PI", other.payer_id
    )
    if other.decided_on is not None:
        writer.add("DTP", "573", "D8", date_text(other.decided_on))
    if other.payer_claim_number:
        writer.add("REF", "F8", other.payer_claim_number)


def _write_line(writer: Writer, number: int, line: ServiceLine) -> None:
    writer.add("LX", number)
    writer.add(
        "SV1",
        procedure(line.code, line.modifiers),
        amount_text(line.charge_cents),
        "UN",
        quantity_text(line.units),
        line.place_of_service,
        None,
        tuple(str(pointer) for pointer in line.diagnosis_pointers),
    )
    if line.service_date is not None:
        writer.add("DTP", "472", *period_text(line.service_date, line.last_service_date))
    if line.authorization:
        writer.add("REF", "G1", line.authorization)
    if line.line_control_number:
        writer.add("REF", "6R", line.line_control_number)
    if line.note:
        writer.add("NTE", "ADD", plain_text(line.note, 80))
    if line.rendering is not None:
        _write_rendering(writer, line.rendering)
    for decision in line.adjudications:
        writer.add(
            "SVD",
            decision.payer_id,
            amount_text(decision.paid_cents),
            procedure(decision.code, decision.modifiers),
            None,
            quantity_text(decision.units),
        )
        write_adjustments(writer, decision.adjustments)
        if decision.decided_on is not None:
            writer.add("DTP", "573", "D8", date_text(decision.decided_on))
        if decision.patient_open_cents is not None:
            writer.add("AMT", "EAF", amount_text(decision.patient_open_cents))
