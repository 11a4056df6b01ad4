"""An invented practice, and short ways to bring its claims to where a test begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from groupclaim.model.base import parse
from groupclaim.model.claim import (
    ClaimLine,
    ClaimParties,
    ClaimVersion,
    PriorDecision,
    PriorLine,
    Rendering,
    Subscriber,
)
from groupclaim.model.identity import control_number
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance
from groupclaim.store import batches, claims, files, people, practice, remittances
from groupclaim.store.claims import AttendanceEntry
from groupclaim.store.database import Database, Reading, Transaction
from groupclaim.store.ledger import Account
from groupclaim.store.schema import transfer
from groupclaim.x12.parts import Adjustment
from groupclaim.x12.remittance import (
    ClaimPayment,
    LinePayment,
    Payment,
    PaymentParty,
    ProviderAdjustment,
)

NOW = datetime(2026, 2, 3, 18, tzinfo=UTC)
CHARGE = 6500
PATIENTS = [f"P{n:02d}" for n in range(1, 7)]
PLANTED = (
    "Quillontine",
    "Vexmarsh",
    "ZQ123456789",
    "Elsewhere Lane",
    "Tuning kazoos together",
    "Goal of whistling",
)
"""Personal data found nowhere else: first name, last name, member id, street, topic, goal."""

_ADDRESS = {"line": f"1 {PLANTED[3]}", "city": "Austin", "state": "TX", "zip": "787010001"}
_FOREVER = {"from": "2025-01-01", "to": None}


def practice_data() -> dict[str, Any]:
    return {
        "practice": {
            "ref": "practice",
            "name": "Invented Practice",
            "npi": "1999900107",
            "tax_id": "009990001",
            "taxonomy": "251S00000X",
            "time_zone": "America/Chicago",
            "address": _ADDRESS,
            "contact": {"name": "Billing Desk", "phone": "5125550142"},
        },
        "locations": [
            {
                "ref": "austin",
                "name": "Invented Austin",
                "address": _ADDRESS,
                "place_of_service": "11",
                "medicare_locality": "TX-31",
                "time_zone": "America/Chicago",
            }
        ],
        "clinicians": [
            {
                "ref": "C1",
                "first_name": "Thespia",
                "last_name": "Concocted",
                "npi": "1999900214",
                "taxonomy": "103TC0700X",
                "licences": [
                    {
                        "kind": "psychologist",
                        "state": "TX",
                        "number": "TX-0",
                        "valid_from": "2019-06-01",
                        "valid_to": "2027-05-31",
                    }
                ],
            }
        ],
        "connections": [
            {
                "ref": "clearinghouse",
                "sender_id": "SENDER",
                "receiver_id": "RECEIVER",
                "cutoff_local": "17:00",
                "time_zone": "America/Chicago",
            }
        ],
        "payers": [
            {
                "ref": ref,
                "name": name,
                "payer_id": payer_id,
                "policy": "commercial",
                "filing_indicator": "CI",
                "connection": "clearinghouse",
            }
            for ref, name, payer_id in (
                ("first", "First Invented", "FIRST1"),
                ("second", "Second Invented", "SECOND1"),
            )
        ],
        "fees": [{"code": "90853", "cents": CHARGE, **_FOREVER}],
        "contracts": [
            {
                "payer": "first",
                "method": "fee_schedule",
                "rates": [{"code": "90853", "licence": None, "cents": 4200}],
                **_FOREVER,
            }
        ],
        "patients": [
            {
                "ref": ref,
                "first_name": PLANTED[0],
                "last_name": f"{PLANTED[1]} {ref}",
                "birth_date": "1980-01-31",
                "sex": "U",
                "address": _ADDRESS,
            }
            for ref in [*PATIENTS, "P99"]
        ],
        "coverages": [
            {
                "patient": ref,
                "payer": "first",
                "priority": 1,
                "member_id": f"{PLANTED[2]}{ref}",
                "group_number": "GROUP9",
                "relationship": "self",
                **_FOREVER,
            }
            for ref in PATIENTS
        ],
        "treatment_plans": [
            {
                "patient": ref,
                "ref": f"TP-{ref}",
                "diagnoses": ["F331"],
                "goals": [PLANTED[5]],
                "modality": "group",
                "frequency": "weekly",
                "minutes": 60,
                "valid_from": "2026-01-01",
                "valid_to": "2026-04-30",
                "signed_at": "2026-01-05T16:00:00-06:00",
            }
            for ref in PATIENTS
        ],
        "authorizations": [],
    }


def session_data(ref: str = "S1", roster: Sequence[str] = PATIENTS) -> dict[str, Any]:
    return {
        "ref": ref,
        "location": "austin",
        "clinician": "C1",
        "starts_at": "2026-02-03T10:00:00-06:00",
        "ends_at": "2026-02-03T11:00:00-06:00",
        "mode": "in_person",
        "topic": PLANTED[4],
        "roster": list(roster),
        "other_services": [],
    }


def practice_file(**changes: Any) -> PracticeFile:
    return parse(PracticeFile, practice_data() | changes, "practice")


def sessions(*items: Mapping[str, Any]) -> SessionFile:
    return parse(SessionFile, list(items or (session_data(),)), "sessions")


@dataclass(frozen=True)
class World:
    """The loaded practice. ``claims`` and ``patients`` are in the order of ``PATIENTS``."""

    database: Database
    session_id: str
    patients: tuple[str, ...]
    claims: tuple[str, ...]
    connection_id: str


PEOPLE = {
    "R. Lee": people.Role.SUPERVISOR,
    "S. Kim": people.Role.SUPERVISOR,
    "front-desk": people.Role.BILLER,
}
"""Who has been let in, and may decide about money by their roles."""


async def load_world(database: Database) -> World:
    keys = database.keyring
    async with database.transaction() as tx:
        await practice.load_practice(tx, practice_file())
        for name, role in PEOPLE.items():
            if await people.find(tx, name) is None:
                await people.add_user(tx, people.Account(name=name, subject=name), role, NOW)
        (added,) = await practice.add_sessions(tx, sessions().root, NOW)
        patients = tuple(keys.patient_id(ref) for ref in PATIENTS)
        numbers = [await claims.claim_of(tx, added.session_id, key) for key in patients]
    return World(
        database,
        added.session_id,
        patients,
        tuple(numbers),
        keys.connection_id("clearinghouse"),
    )


def attended(world: World, *, copay: int = 0, absent: Sequence[int] = ()) -> list[AttendanceEntry]:
    """Everyone came, but for those at the ``absent`` places."""
    return [
        AttendanceEntry(key, Attendance.NO_SHOW)
        if place in absent
        else AttendanceEntry(key, Attendance.ATTENDED, 60, Cents(copay))
        for place, key in enumerate(world.patients)
    ]


def parties(ref: str = PATIENTS[0], payer: str = "first") -> ClaimParties:
    """To whom and of whom a claim of the practice speaks."""
    file = practice_file()
    person = next(item for item in file.patients if item.ref == ref)
    cover = next(item for item in file.coverages if item.patient == ref)
    clinician = file.clinicians[0]
    return ClaimParties(
        payer=next(item for item in file.payers if item.ref == payer),
        policy_from=date(2025, 1, 1),
        policy_version="0123456789ab",
        coverage=cover,
        answer=None,
        subscriber=Subscriber(
            **person.model_dump(include={"last_name", "first_name", "birth_date", "sex"}),
            address=person.address,
            member_id=cover.member_id,
            group_number=cover.group_number,
        ),
        rendering=Rendering(
            **clinician.model_dump(include={"last_name", "first_name", "npi", "taxonomy"})
        ),
    )


def version_of(
    number: str, version: int = 1, charge: int = CHARGE, made_by: int = 0
) -> ClaimVersion:
    return ClaimVersion(
        claim_number=number,
        version=version,
        control_number=control_number(number, version),
        parties=parties(),
        made_by=made_by,
        frequency="1",
        diagnoses=("F331",),
        place_of_service="11",
        lines=(
            ClaimLine(
                line_control_number=f"{control_number(number, version)}1",
                code="90853",
                charge=Cents(charge),
                units=1,
                place_of_service="11",
                diagnosis_pointers=(1,),
                service_date=date(2026, 2, 3),
            ),
        ),
    )


async def make_ready(tx: Transaction, world: World, number: str, version: int = 1) -> None:
    await claims.make_version(tx, version_of(number, version), NOW)
    await batches.queue_claim(tx, number, version, world.connection_id, NOW)


_keys = count(1)


async def send_all(world: World, numbers: Sequence[str] | None = None, version: int = 1) -> str:
    """Attendance recorded, claims made, cut, built, sent and taken; returns the batch."""
    async with world.database.transaction() as tx:
        await claims.record_attendance(tx, world.session_id, attended(world), NOW)
        for number in numbers or world.claims:
            await make_ready(tx, world, number, version)
        key = f"send_all {next(_keys)}"
        batch = await batches.cut_batch(tx, world.connection_id, key, NOW, 100)
        assert batch is not None
        content = batch.batch_id.encode()
        digest = await files.keep_file(
            tx, world.connection_id, "outbound", "837", "out", content, NOW
        )
        await batches.record_built(tx, batch.batch_id, digest)
        assert await batches.begin_send(tx, batch.batch_id, NOW, NOW + timedelta(hours=2))
        await batches.record_accepted(tx, batch.batch_id, NOW, None)
    return batch.batch_id


async def bill_second(world: World, number: str) -> None:
    """A version of the claim for the patient's second payer, who is on file from now on, after the
    first has paid 24.19."""
    data = practice_data()["coverages"]
    data.append({**data[0], "payer": "second", "priority": 2, "member_id": "SECOND77"})
    file = practice_file(coverages=data)
    first = version_of(number)
    told = PriorDecision(
        payer=first.parties.payer,
        coverage=first.parties.coverage,
        member_id=first.parties.coverage.member_id,
        group_number=None,
        decided_on=date(2026, 2, 18),
        paid=Cents(2419),
        payer_claim_number=None,
        adjustments=(),
        lines=(PriorLine(paid=Cents(2419), code="90853", modifiers=(), adjustments=()),),
    )
    second = version_of(number, 2).model_copy(
        update={
            "parties": parties(payer="second").model_copy(update={"coverage": file.coverages[-1]}),
            "payer_sequence": 2,
            "prior": (told,),
        }
    )
    async with world.database.transaction() as tx:
        await practice.load_practice(tx, file)
        await claims.make_version(tx, second, NOW)


# --- remittances


def paid(
    number: str,
    amount: int,
    *cuts: tuple[str, str, int],
    version: int = 1,
    charge: int = CHARGE,
    status: str = "1",
    **changes: Any,
) -> ClaimPayment:
    """One claim of an 835 with one line; ``cuts`` are (group, reason, cents)."""
    adjustments = tuple(Adjustment(*cut) for cut in cuts)
    values: dict[str, Any] = {
        "control_number": control_number(number, version),
        "status": status,
        "charge_cents": charge,
        "paid_cents": amount,
        "patient_responsibility_cents": sum(c for group, _, c in cuts if group == "PR"),
        "payer_claim_number": f"ICN{number}",
        "lines": (LinePayment("90853", charge, amount, adjustments=adjustments),),
    }
    return ClaimPayment(**values | changes)


def reversal(of: ClaimPayment) -> ClaimPayment:
    line = of.lines[0]
    return ClaimPayment(
        control_number=of.control_number,
        status="22",
        charge_cents=-of.charge_cents,
        paid_cents=-of.paid_cents,
        patient_responsibility_cents=-of.patient_responsibility_cents,
        payer_claim_number=of.payer_claim_number,
        lines=(
            LinePayment(
                line.code,
                -line.charge_cents,
                -line.paid_cents,
                adjustments=tuple(
                    Adjustment(item.group_code, item.reason_code, -item.cents)
                    for item in line.adjustments
                ),
            ),
        ),
    )


def payment(
    *items: ClaimPayment,
    trace: str = "T1",
    withheld: Sequence[tuple[str, int]] = (),
    amount: int | None = None,
    **changes: Any,
) -> Payment:
    """An 835 payment that balances, unless ``amount`` says something else."""
    total = sum(item.paid_cents for item in items) - sum(cents for _, cents in withheld)
    total = total if amount is None else amount
    return Payment(
        trace_number=trace,
        payer_identifier="1FIRST",
        payment_date=changes.pop("payment_date", date(2026, 2, 18)),
        paid_cents=abs(total),
        is_debit=total < 0,
        payer=PaymentParty("First Invented", "FIRST1", "XV"),
        payee=PaymentParty("Invented Practice", "1999900107", "XX"),
        claims=items,
        provider_adjustments=tuple(
            ProviderAdjustment("1999900107", code, cents) for code, cents in withheld
        ),
        **changes,
    )


async def register(
    tx: Transaction, world: World, *payments: Payment, name: str = "era"
) -> remittances.Registered:
    """Keep a file that holds these payments and register them."""
    digest = await files.keep_file(
        tx, world.connection_id, "inbound", "835", name, name.encode(), NOW
    )
    return await remittances.register(tx, digest, payments, NOW)


async def post_in(
    tx: Transaction, world: World, item: Payment, name: str = "era"
) -> remittances.Posted:
    """Post one payment that came in a file of its own; a repeated one has nothing to post."""
    registered = await register(tx, world, item, name=name)
    if not registered.new:
        raise LookupError("the payment was delivered before")
    return await remittances.post(tx, registered.new[0], item, NOW)


async def post(world: World, item: Payment, name: str = "era") -> remittances.Posted:
    async with world.database.transaction() as tx:
        return await post_in(tx, world, item, name)


async def trial_balance(reading: Reading) -> dict[Account, int]:
    """Every account's debits less credits."""
    sums = dict.fromkeys(Account, 0)
    for row in await reading.rows(select(transfer)):
        sums[Account(row.debit)] += row.cents
        sums[Account(row.credit)] -= row.cents
    return sums
