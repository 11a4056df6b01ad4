"""Invented records that the tests of this folder start from."""

from datetime import date, datetime
from pathlib import Path

from groupclaim.x12 import (
    Address,
    Adjustment,
    Attachment,
    AuthorizationRequest,
    AuthorizationResponse,
    BankTransfer,
    Benefit,
    BillingProvider,
    ClaimPayment,
    ClaimStatusInquiry,
    ClaimStatusResponse,
    Decision,
    Delivery,
    Dependent,
    EligibilityInquiry,
    EligibilityResponse,
    Envelope,
    Facility,
    LineAdjudication,
    LinePayment,
    Member,
    OtherPayer,
    Party,
    Payer,
    Payment,
    PaymentParty,
    Period,
    Person,
    ProfessionalClaim,
    Provider,
    ProviderAdjustment,
    Reference,
    RelatedEntity,
    Service,
    ServiceLine,
    Status,
    StatusInformation,
    StatusLine,
    Subscriber,
    build_837p,
)

FILES = Path(__file__).parent / "files"
AT = datetime(2026, 2, 9, 17, 0)  # noqa: DTZ001  (ISA and GS carry local time)
SERVICE_DATE = date(2026, 2, 3)

ADDRESS = Address("12 INVENTED ST", "FORT WORTH", "TX", "761020001")
SUBMITTER = Party("INVENTED GROUP PRACTICE", "GC0001", "BILLING DESK", "8175550100")
RECEIVER = Party("INVENTED CLEARINGHOUSE", "CLEAR01")
BILLING = BillingProvider(
    "INVENTED GROUP PRACTICE", "1234567893", "751234567", ADDRESS, "251S00000X"
)
RENDERING = Provider("PLACEHOLDER", "SAM", "1987654328", "103TC0700X")
PAYER = Payer("INVENTED HEALTH PLAN", "IHP01", "CI")
SUBSCRIBER = Subscriber(
    "INVENTED", "TESTA", "MBR0000001", date(1985, 4, 12), "F", ADDRESS, "GRP100"
)
LINE = ServiceLine("GC0001A-1", "90853", 6500, SERVICE_DATE)
CLAIM = ProfessionalClaim(
    control_number="GC0001A",
    charge_cents=6500,
    place_of_service="11",
    diagnoses=("F331",),
    subscriber=SUBSCRIBER,
    payer=PAYER,
    lines=(LINE,),
    rendering=RENDERING,
)

FULL_CLAIM = ProfessionalClaim(
    control_number="GC0002B",
    charge_cents=12550,
    place_of_service="10",
    diagnoses=("F331", "F4310"),
    subscriber=Subscriber("INVENTED", "PARENT", "MBR0000002"),
    payer=Payer("SECOND PLAN", "SEC01", "MC"),
    lines=(
        ServiceLine(
            "GC0002B-1",
            "90853",
            6500,
            SERVICE_DATE,
            modifiers=("HO", "95"),
            diagnosis_pointers=(1, 2),
            authorization="AUTHLINE1",
            note="SECOND SESSION OF THE DAY",
            rendering=Provider("OTHER", "KIM", "1245319599", "1041C0700X"),
            adjudications=(
                LineAdjudication(
                    "IHP01",
                    4000,
                    "90853",
                    ("HO",),
                    1,
                    (Adjustment("CO", "45", 1000), Adjustment("PR", "3", 1500, 1)),
                    date(2026, 2, 5),
                    1500,
                ),
            ),
        ),
        ServiceLine("GC0002B-2", "90785", 6050, SERVICE_DATE, place_of_service="11"),
    ),
    frequency="7",
    rendering=RENDERING,
    original_reference="PCN0001",
    prior_authorization="AUTH0001",
    referral_number="REFERRAL1",
    referring=Provider("DOCTOR", "ANN", "1234567893"),
    supervising=Provider("SENIOR", "LEE", "1234567893"),
    facility=Facility("INVENTED ROOM", "1234567893", ADDRESS),
    dependent=Dependent("INVENTED", "CHILD", date(2012, 1, 3), "M", ADDRESS, "19"),
    patient_paid_cents=1500,
    note="CORRECTED MODIFIER",
    responsibility="S",
    delay_reason="7",
    attachments=(Attachment("OZ", "EL", "ATT1"),),
    other_payers=(
        OtherPayer(
            "P",
            Person("INVENTED", "PARENT", "MBR0000009"),
            "FIRST PLAN",
            "IHP01",
            "18",
            "GRP1",
            "CI",
            paid_cents=3900,
            non_covered_cents=0,
            patient_open_cents=1500,
            adjustments=(Adjustment("OA", "94", 100, 1),),
            decided_on=date(2026, 2, 5),
            payer_claim_number="FIRST1",
        ),
    ),
)

PAYMENT = Payment(
    trace_number="EFT0000001",
    payer_identifier="1512345678",
    payment_date=date(2026, 2, 24),
    paid_cents=3765 - 500,
    payer=PaymentParty("INVENTED HEALTH PLAN", "IHP01", "XV", ADDRESS,
                       contact_name="HELP", contact_phone="8005550100"),
    payee=PaymentParty("INVENTED GROUP PRACTICE", "1234567893", "XX",
                       references=(Reference("TJ", "751234567"),)),
    claims=(
        ClaimPayment(
            control_number="GC0001A",
            status="1",
            charge_cents=6500,
            paid_cents=3765,
            patient_responsibility_cents=1500,
            filing_indicator="12",
            payer_claim_number="PCN0000001",
            place_of_service="11",
            frequency="1",
            patient=Person("INVENTED", "TESTA", "MBR0000001"),
            received_on=date(2026, 2, 10),
            lines=(
                LinePayment(
                    "90853",
                    6500,
                    3765,
                    service_date=SERVICE_DATE,
                    adjustments=(Adjustment("CO", "45", 1235), Adjustment("PR", "3", 1500)),
                    line_control_number="GC0001A-1",
                    allowed_cents=5265,
                    remark_codes=("N130",),
                ),
            ),
        ),
    ),
    provider_adjustments=(
        ProviderAdjustment("1234567893", "WO", 500, "PCN0000000", date(2026, 12, 31)),
    ),
    bank=BankTransfer("021000021", "123456789", "071000013", "987654321"),
    production_date=date(2026, 2, 23),
)  # fmt: skip

INQUIRY = EligibilityInquiry(
    reference="ELIG0001",
    trace_number="TRACE0001",
    trace_originator="1751234567",
    payer=Party("INVENTED HEALTH PLAN", "IHP01", qualifier="PI"),
    provider=Party("INVENTED GROUP PRACTICE", "1234567893", qualifier="XX"),
    subscriber=Member("INVENTED", "TESTA", "MBR0000001", date(1985, 4, 12), "F"),
    service_date=SERVICE_DATE,
    service_types=("30", "MH"),
)

RESPONSE = EligibilityResponse(
    reference="ELIG0001",
    trace_number="TRACE0001",
    payer=INQUIRY.payer,
    provider=INQUIRY.provider,
    subscriber=Member("INVENTED", "TESTA", "MBR0000007", date(1985, 4, 12), "F", changed=True),
    benefits=(
        Benefit("1", "IND", ("30", "MH"), "C1", "GOLD", authorization="Y", in_network="Y"),
        Benefit("B", "IND", ("MH",), period="27", cents=1500),
        Benefit("U", service_types=("MH",), messages=("CALL THE ADMINISTRATOR",),
                entities=(RelatedEntity("VN", "CARVE OUT INC", "CO1", "PI", ADDRESS, "DESK",
                                        "8005550101"),)),
    ),
    dates=(Period("291", date(2026, 1, 1), date(2026, 12, 31)),),
    trace_originator="1751234567",
)  # fmt: skip


STATUS_INQUIRY = ClaimStatusInquiry(
    reference="STAT0001",
    trace_number="GC0001A",
    payer=INQUIRY.payer,
    receiver=Party("INVENTED GROUP PRACTICE", "GC0001"),
    provider=INQUIRY.provider,
    subscriber=INQUIRY.subscriber,
    patient_control_number="GC0001A",
    payer_claim_number="PCN0000001",
    charge_cents=6500,
    service_date=SERVICE_DATE,
    lines=(StatusLine("90853", 6500, service_date=SERVICE_DATE, line_control_number="GC0001A-1"),),
)

STATUS_RESPONSE = ClaimStatusResponse(
    reference="STAT0001",
    trace_number="GC0001A",
    payer=INQUIRY.payer,
    receiver=STATUS_INQUIRY.receiver,
    provider=INQUIRY.provider,
    subscriber=Member("INVENTED", "TESTA", "MBR0000001"),
    information=(
        StatusInformation(
            (Status("F1", "65"),), date(2026, 2, 24), 6500, 3765, date(2026, 2, 20),
            date(2026, 2, 24), "EFT0000001",
        ),
    ),
    patient_control_number="GC0001A",
    payer_claim_number="PCN0000001",
    service_date=SERVICE_DATE,
)  # fmt: skip

AUTHORIZATION_REQUEST = AuthorizationRequest(
    reference="AUTH0001",
    trace_number="TRACE0002",
    trace_originator="1751234567",
    reviewer=INQUIRY.payer,
    requester=Party("INVENTED GROUP PRACTICE", "1234567893", "BILLING DESK", "8175550100",
                    qualifier="XX"),
    subscriber=INQUIRY.subscriber,
    service_type="A6",
    place_of_service="11",
    first_day=date(2026, 2, 1),
    last_day=date(2026, 4, 30),
    diagnoses=("F331",),
    deliveries=(Delivery("VS", 12),),
    provider=RENDERING,
    services=(
        Service("90853", charge_cents=6500, units=12, service_date=date(2026, 2, 1),
                last_service_date=date(2026, 4, 30)),
    ),
)  # fmt: skip

AUTHORIZATION_RESPONSE = AuthorizationResponse(
    reference="AUTH0001",
    trace_number="TRACE0002",
    trace_originator="1751234567",
    reviewer=INQUIRY.payer,
    requester=AUTHORIZATION_REQUEST.requester,
    subscriber=INQUIRY.subscriber,
    decision=Decision("A6", "AUTH777"),
    service_type="A6",
    first_day=date(2026, 2, 1),
    last_day=date(2026, 4, 30),
    deliveries=(Delivery("VS", 8),),
    services=(Service("90853", units=8, decision=Decision("A6", "AUTH777")),),
)


def envelope(number: int = 1) -> Envelope:
    return Envelope(
        sender_id="GROUPCLAIM01",
        receiver_id="CLEARINGHOUSE1",
        interchange_control_number=number,
        group_control_number=number,
        at=AT,
        test=True,
    )


def claim_file(*claims: ProfessionalClaim) -> bytes:
    """An 837P of the claims, or of `CLAIM`."""
    return build_837p(envelope(), SUBMITTER, RECEIVER, BILLING, claims or (CLAIM,), 1, "BATCH0001")


def lines_of(data: bytes) -> list[str]:
    """The segments as text, without terminators."""
    return data.decode("ascii").rstrip("~").split("~")


def file_of(lines: list[str]) -> bytes:
    """Segments back into bytes, with a right SE01 and nothing else put right."""
    fixed = list(lines)
    start = next((n for n, line in enumerate(fixed) if line.startswith("ST*")), None)
    end = next((n for n, line in enumerate(fixed) if line.startswith("SE*")), None)
    if start is not None and end is not None:
        number = fixed[end].split("*")[2]
        fixed[end] = f"SE*{end - start + 1}*{number}"
    return "".join(line + "~" for line in fixed).encode("ascii")
