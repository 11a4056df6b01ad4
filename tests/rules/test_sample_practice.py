"""The rules alone against the sample practice and its outcomes, which were worked out by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from groupclaim.lifecycle.events import Held
from groupclaim.model.base import parse
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance, ProgressNote
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.rules.coding import code_claim
from groupclaim.rules.documentation import Company, OtherNote, check_documentation
from groupclaim.rules.holding import held
from groupclaim.rules.payment_audit import audit_payment
from groupclaim.rules.pricing import Expected, expected_allowed
from tests.rules.made import BOOK, SCHEDULE, payment, policy_split

SAMPLES = Path(__file__).parents[2] / "samples" / "small"
GROUP_SIZE_REVIEW = Held(code="GROUP_SIZE_REVIEW", releasable=True)


def _json(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


with (SAMPLES / "expected.csv").open() as file:
    ROWS = {(row["session"], row["patient"]): row for row in csv.DictReader(file)}
PRACTICE = parse(PracticeFile, _json("practice.json"), "practice.json")
SESSIONS = {s.ref: s for s in parse(SessionFile, _json("sessions.json"), "sessions.json").root}
NOTES = _json("notes.json")
LISTS = {
    event["session"]: {item["patient"]: item for item in event["participants"]}
    for event in _json("outside.json")["events"]
    if event["kind"] == "attendance"
}
ATTENDED = {
    ref: sum(item["status"] == "attended" for item in entries.values())
    for ref, entries in LISTS.items()
}
BILLED = [key for key, row in ROWS.items() if row["standing"] == "billed"]


def _facts(session_ref: str, patient_ref: str) -> tuple[ClaimFacts, PayerPolicy]:
    session = SESSIONS[session_ref]
    coverage = next(item for item in PRACTICE.coverages if item.patient == patient_ref)
    payer = next(item for item in PRACTICE.payers if item.ref == coverage.payer)
    attendance = LISTS[session_ref][patient_ref]
    facts = ClaimFacts(
        claim_number="GC",
        session_id="s",
        patient_id="p",
        practice=PRACTICE.practice,
        location=next(item for item in PRACTICE.locations if item.ref == session.location),
        clinician=next(item for item in PRACTICE.clinicians if item.ref == session.clinician),
        session=session,
        patient=next(item for item in PRACTICE.patients if item.ref == patient_ref),
        payer=payer,
        coverage=coverage,
        eligibility=None,
        plan=next(item for item in PRACTICE.treatment_plans if item.patient == patient_ref),
        authorizations=PRACTICE.authorizations,
        contracts=PRACTICE.contracts,
        fees=PRACTICE.fees,
        other_services=session.other_services,
        attendance=Attendance(attendance["status"]),
        minutes=attendance.get("minutes", 0),
        copay_paid=Cents(attendance.get("copay_cents", 0)),
        group_size=ATTENDED[session_ref],
        note_signed_at=None,
    )
    return facts, BOOK.policy(payer.policy, facts.service_date)


def _company(session_ref: str, patient_ref: str) -> Company:
    """The roster, everyone's note of the session, and the patient's own earlier ones."""
    starts_at = SESSIONS[session_ref].starts_at
    notes = [
        OtherNote(f"{ref} {patient}", ProgressNote.model_validate(note), patient == patient_ref)
        for ref, of_session in NOTES.items()
        for patient, note in of_session.items()
        if (ref == session_ref and patient != patient_ref)
        or (patient == patient_ref and SESSIONS[ref].starts_at < starts_at)
    ]
    members = [
        item
        for item in PRACTICE.patients
        if item.ref in SESSIONS[session_ref].roster and item.ref != patient_ref
    ]
    return Company(members=tuple(members), notes=tuple(notes))


@pytest.mark.parametrize(("session", "patient"), list(ROWS))
def test_who_is_billable(session: str, patient: str) -> None:
    row = ROWS[session, patient]
    status = Attendance(LISTS[session][patient]["status"])
    reason = not_billable_reason(status, ATTENDED[session])
    assert reason == (row["reason"] if row["standing"] == "not_billable" else None)


@pytest.mark.parametrize(("session", "patient"), BILLED)
def test_what_is_billed(session: str, patient: str) -> None:
    row = ROWS[session, patient]
    facts, policy = _facts(session, patient)
    note = ProgressNote.model_validate(NOTES[session][patient])
    assert held(check_documentation(facts, note, policy, _company(session, patient))) is None
    coded = code_claim(facts, policy, SCHEDULE, note.diagnosis)
    assert held(coded.findings) == (GROUP_SIZE_REVIEW if session == "S4" else None)
    assert held(coded.findings, ("GROUP_SIZE_REVIEW",)) is None
    (line,) = coded.lines
    assert line.code == row["code"]
    assert ":".join(line.modifiers) == row["modifiers"]
    assert line.place_of_service == row["place_of_service"]
    assert str(line.charge) == str(Cents(int(row["charge_cents"])))
    assert line.service_date == facts.service_date
    assert coded.diagnoses[0] == note.diagnosis


@pytest.mark.parametrize(
    ("session", "patient"),
    [key for key, row in ROWS.items() if row["reason"] == "GROUP_SIZE_REVIEW"],
)
def test_a_room_of_eleven_is_held_whoever_pays(session: str, patient: str) -> None:
    facts, policy = _facts(session, patient)
    assert held(code_claim(facts, policy, SCHEDULE).findings) == GROUP_SIZE_REVIEW


@pytest.mark.parametrize(("session", "patient"), BILLED)
def test_what_is_expected_and_how_the_payment_is_judged(session: str, patient: str) -> None:
    row = {key: int(value or 0) for key, value in ROWS[session, patient].items() if "cents" in key}
    facts, policy = _facts(session, patient)
    expected = expected_allowed(facts, policy, SCHEDULE, "90853")
    assert isinstance(expected, Expected)
    assert expected.allowed == row["allowed_cents"] + row["payer_open_cents"]
    sequestration = row["co_cents"] - (row["charge_cents"] - row["allowed_cents"])
    audit = audit_payment(
        expected,
        payment(
            row["charge_cents"],
            row["paid_cents"],
            ("CO", "45", row["charge_cents"] - row["allowed_cents"]),
            ("CO", "253", sequestration),
            ("PR", "2", row["pr_cents"]),
            allowed=row["allowed_cents"],
        ),
        policy,
    )
    assert audit.shortfall == row["payer_open_cents"]
    assert ";".join(item.rule for item in audit.findings) == ROWS[session, patient]["findings"]
    assert audit.patient == row["patient_paid_cents"] + row["patient_open_cents"]


@pytest.mark.parametrize(
    ("session", "patient"),
    [key for key in BILLED if _facts(*key)[1].name == "medicare-part-b"],
)
def test_medicares_payment_is_foreseen_to_the_cent(session: str, patient: str) -> None:
    row = ROWS[session, patient]
    facts, policy = _facts(session, patient)
    expected = expected_allowed(facts, policy, SCHEDULE, "90853")
    assert isinstance(expected, Expected)
    # The payers' side of the sample leaves ten dollars of one deductible.
    deductible = Cents(1000 if (session, patient) == ("S3", "P24") else 0)
    split = policy_split(expected.charge, expected.allowed, policy, deductible)
    assert (split.paid, split.patient) == (int(row["paid_cents"]), int(row["pr_cents"]))
    assert split.contractual + split.sequestration == int(row["co_cents"])
