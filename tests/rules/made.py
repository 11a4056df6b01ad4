"""An invented session of eight in Austin, and the facts of one participant: psychologist,
commercial payer with a contract rate of 28.15, charge 60.00."""

from datetime import date, datetime, timedelta
from typing import Any

from groupclaim.model.claim import (
    Adjustment,
    ClaimParties,
    ClaimPayment,
    Rendering,
    Subscriber,
)
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization, Coverage, Patient, TreatmentPlan
from groupclaim.model.practice import (
    Address,
    Clinician,
    Contact,
    ContractRate,
    Fee,
    FeeScheduleContract,
    Licence,
    Location,
    MedicareContract,
    Payer,
    Practice,
)
from groupclaim.model.session import Attendance, GroupSession, OtherService, ProgressNote
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PayerPolicy, PolicyBook
from groupclaim.rules.pricing import Split, payment_split

DAY = date(2026, 2, 3)
STARTS = datetime.fromisoformat("2026-02-03T10:00:00-06:00")
ENDS = datetime.fromisoformat("2026-02-03T11:00:00-06:00")
LATER = datetime.fromisoformat("2026-02-04T09:00:00-06:00")

BOOK = PolicyBook.load()
SCHEDULE = FeeSchedule.load()


def policy(name: str = "commercial") -> PayerPolicy:
    return BOOK.policy(name, DAY)


def changed(name: str, group: str, **values: Any) -> PayerPolicy:
    """The policy ``name`` with some values of one group changed."""
    base = policy(name)
    return base.model_copy(update={group: getattr(base, group).model_copy(update=values)})


def address(state: str = "TX") -> Address:
    return Address(line="1 Nowhere Lane", city="Nowhere", state=state, zip="787010001")


def licence(kind: str, state: str = "TX", **changes: Any) -> Licence:
    values = {
        "kind": kind,
        "state": state,
        "number": "INVENTED",
        "valid_from": "2020-01-01",
        "valid_to": "2027-12-31",
    }
    return Licence.model_validate(values | changes)


def clinician(*licences: Licence) -> Clinician:
    return Clinician(
        ref="C1",
        first_name="Thespia",
        last_name="Concocted",
        npi="1999900214",
        taxonomy="103TC0700X",
        licences=licences or (licence("psychologist"),),
    )


def location(state: str = "TX", locality: str = "TX-31", place: str = "11") -> Location:
    return Location(
        ref="L1",
        name="Makebelieve Rooms",
        address=address(state),
        place_of_service=place,
        medicare_locality=locality,
        time_zone="America/Chicago",
    )


def payer(name: str = "commercial") -> Payer:
    return Payer(
        ref="the-payer",
        name="Placebo Plan",
        payer_id="PLACEBO",
        policy=name,
        filing_indicator="CI",
        connection="clearinghouse",
    )


def rates(*amounts: tuple[str | None, int], **dates: Any) -> FeeScheduleContract:
    return FeeScheduleContract(
        payer="the-payer",
        effective_from=dates.get("first", date(2026, 1, 1)),
        effective_to=dates.get("last"),
        method="fee_schedule",
        rates=tuple(
            ContractRate.model_validate({"code": "90853", "licence": kind, "cents": cents})
            for kind, cents in amounts
        ),
    )


def medicare_contract() -> MedicareContract:
    return MedicareContract(
        payer="the-payer",
        effective_from=date(2025, 1, 1),
        method="medicare_physician_fee_schedule",
    )


def fee(cents: int = 6000, first: date = date(2026, 1, 1), last: date | None = None) -> Fee:
    return Fee(code="90853", cents=Cents(cents), effective_from=first, effective_to=last)


def eligibility(required: str = "N", **changes: Any) -> EligibilityAnswer:
    values = {
        "active": True,
        "member_known": True,
        "authorization_required": required,
        "member_id": "MEMBER1",
        "checked_at": STARTS,
    }
    return EligibilityAnswer.model_validate(values | changes)


def authorization(**changes: Any) -> Authorization:
    values = {
        "patient": "P1",
        "payer": "the-payer",
        "number": "AUTH1",
        "codes": ("90853",),
        "units": 12,
        "used": 2,
        "from": date(2026, 1, 1),
        "to": date(2026, 6, 30),
    }
    return Authorization.model_validate(values | changes)


def plan(**changes: Any) -> TreatmentPlan:
    values = {
        "patient": "P1",
        "ref": "TP1",
        "diagnoses": ("F331", "F411"),
        "goals": ("G1", "G2"),
        "modality": "group",
        "frequency": "weekly",
        "minutes": 60,
        "valid_from": date(2026, 1, 5),
        "valid_to": date(2026, 4, 4),
        "signed_at": datetime.fromisoformat("2026-01-05T16:00:00-06:00"),
    }
    return TreatmentPlan.model_validate(values | changes)


def other_service(code: str, hours_after: float = 3, **changes: Any) -> OtherService:
    starts = STARTS + timedelta(hours=hours_after)
    values = {
        "patient": "P1",
        "code": code,
        "starts_at": starts,
        "ends_at": starts + timedelta(minutes=45),
        "clinician": "C1",
    }
    return OtherService.model_validate(values | changes)


def facts(**changes: Any) -> ClaimFacts:
    room = changes.get("location", location())
    base = ClaimFacts(
        claim_number="GC0000000000X",
        session_id="s0000000000000001",
        patient_id="p0000000000000001",
        practice=Practice(
            ref="practice",
            name="Makebelieve Associates",
            npi="1999900107",
            tax_id="009990001",
            taxonomy="251S00000X",
            time_zone="America/Chicago",
            address=address(),
            contact=Contact(name="Billing Desk", phone="5125550142"),
        ),
        location=room,
        clinician=clinician(),
        session=GroupSession(
            ref="S1",
            location="L1",
            clinician="C1",
            starts_at=STARTS,
            ends_at=ENDS,
            mode="in_person",
            topic="Invented topic",
            roster=("P1", "P2"),
        ),
        patient=Patient(
            ref="P1",
            first_name="Testa",
            last_name="Invented",
            birth_date=date(1980, 1, 1),
            sex="F",
            address=address(),
        ),
        payer=payer(),
        coverage=Coverage(
            patient="P1",
            payer="the-payer",
            priority=1,
            member_id="MEMBER1",
            relationship="self",
            effective_from=date(2025, 1, 1),
        ),
        eligibility=eligibility(),
        plan=plan(),
        authorizations=(),
        contracts=(rates(("psychologist", 2815), ("lcsw", 2400)),),
        fees=(fee(),),
        other_services=(),
        attendance=Attendance.ATTENDED,
        minutes=60,
        copay_paid=Cents(0),
        group_size=8,
        note_signed_at=LATER,
    )
    return base.model_copy(update=changes)


def parties(of: ClaimFacts | None = None) -> ClaimParties:
    """To whom and of whom a claim of these facts speaks."""
    of = of or facts()
    assert of.payer is not None
    assert of.coverage is not None
    named = ("last_name", "first_name", "npi", "taxonomy")
    return ClaimParties(
        payer=of.payer,
        policy_from=policy().effective_from,
        policy_version=policy().version,
        coverage=of.coverage,
        answer=of.eligibility,
        subscriber=Subscriber(
            last_name=of.patient.last_name,
            first_name=of.patient.first_name,
            birth_date=of.patient.birth_date,
            sex=of.patient.sex,
            address=of.patient.address,
            member_id=of.coverage.member_id,
            group_number=of.coverage.group_number,
        ),
        rendering=Rendering(**{name: getattr(of.clinician, name) for name in named}),
    )


def member(ref: str, first: str, last: str) -> Patient:
    """Another patient on the roster."""
    return Patient(
        ref=ref,
        first_name=first,
        last_name=last,
        birth_date=date(1980, 1, 1),
        sex="U",
        address=address(),
    )


def medicare_facts(locality: str, state: str, kind: str, **changes: Any) -> ClaimFacts:
    """Facts of a Medicare patient treated under a licence of ``kind`` in ``locality``."""
    return facts(
        **{
            "payer": payer("medicare-part-b"),
            "location": location(state, locality),
            "clinician": clinician(licence(kind, state)),
            "contracts": (medicare_contract(),),
        }
        | changes
    )


def note(**changes: Any) -> ProgressNote:
    values = {
        "clinician": "C1",
        "start_time": STARTS,
        "stop_time": ENDS,
        "attended": True,
        "group_size": 8,
        "topic": "SECRET topic",
        "intervention": "SECRET intervention",
        "diagnosis": "F331",
        "participation": "SECRET participation",
        "progress": "SECRET progress",
        "goal": "G1",
        "necessity": "SECRET necessity",
        "credential": "PsyD",
        "signed_by": "C1",
        "signed_at": LATER,
        "location_or_mode": "in_person",
    }
    return ProgressNote.model_validate(values | changes)


def payment(
    charge: int,
    paid: int,
    *adjustments: tuple[str, str, int],
    allowed: int | None = None,
    patient: int | None = None,
) -> ClaimPayment:
    """A payment with adjustments (group, reason, cents); CLP05 follows from group PR by default."""
    share = sum(cents for group, _, cents in adjustments if group == "PR")
    return ClaimPayment(
        remittance_id=7,
        position=1,
        control_number="GC0000000000XA",
        status="1",
        charge=Cents(charge),
        paid=Cents(paid),
        patient=Cents(share if patient is None else patient),
        allowed=None if allowed is None else Cents(allowed),
        payer_claim_number="ICN1",
        adjustments=tuple(
            Adjustment(group=group, reason=reason, cents=Cents(cents))
            for group, reason, cents in adjustments
        ),
    )


def policy_split(
    charge: Cents, allowed: Cents, rules: PayerPolicy, deductible: Cents | None = None
) -> Split:
    """The split by the policy's own coinsurance and sequestration, as law fixes Medicare's."""
    return payment_split(
        charge,
        allowed,
        deductible=deductible or Cents(0),
        coinsurance_percent=rules.coinsurance.percent if rules.coinsurance else 0,
        sequestration_basis_points=rules.sequestration.basis_points,
    )
