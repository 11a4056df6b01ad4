"""What a practice hands in is refused with every field at once, and never with the value."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from groupclaim.model.base import InputRefused, parse
from groupclaim.model.claim import ClaimParties, ClaimVersion
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.session import AttendanceList

SAMPLES = Path(__file__).parents[2] / "samples" / "small"


@pytest.fixture(scope="module")
def _practice() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / "practice.json").read_text())
    return loaded


@pytest.fixture
def practice(_practice: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(_practice)


def refusal(record: Any, data: Any) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        parse(record, data, "practice.json")
    assert str(refused.value).startswith(f"practice.json: {len(refused.value.problems)} problem")
    return refused.value.problems


def test_the_sample_practice_is_taken(practice: dict[str, Any]) -> None:
    taken = parse(PracticeFile, practice, "practice.json")
    taken.check_references("practice.json")
    assert PracticeFile.model_validate_json(taken.model_dump_json()) == taken


def test_the_sample_sessions_are_taken() -> None:
    sessions = parse(SessionFile, json.loads((SAMPLES / "sessions.json").read_text()), "sessions")
    assert all(session.roster for session in sessions.root)


def test_every_refused_field_is_named_at_once_and_no_value(practice: dict[str, Any]) -> None:
    practice["practice"]["npi"] = "1999900108"
    practice["practice"]["time_zone"] = "Testa/Invented"
    practice["practice"]["address"]["zip"] = "Placeholder"
    practice["patients"][0]["birth_date"] = "Testa Invented"
    practice["patients"][1]["sex"] = "Placeholder"
    practice["patients"][2]["first_name"] = " "
    practice["clinicians"][0]["licences"][0]["kind"] = "Placeholder"
    practice["contracts"][0]["method"] = "Placeholder"
    practice["coverages"][0]["member_id"] = "Testa Invented"
    practice["fees"][0]["cents"] = 65.25
    del practice["payers"][0]["payer_id"]
    problems = refusal(PracticeFile, practice)
    assert [problem.split(": ")[0] for problem in problems] == [
        "practice.npi",
        "practice.time_zone",
        "practice.address.zip",
        "clinicians[0].licences[0].kind",
        "payers[0].payer_id",
        "fees[0].cents",
        "contracts[0]",
        "patients[0].birth_date",
        "patients[1].sex",
        "patients[2].first_name",
        "coverages[0].member_id",
    ]
    told = "\n".join(problems)
    assert not any(value in told for value in ("1999900108", "Testa", "Placeholder", "65.25"))


def test_every_dangling_or_repeated_reference_is_named_at_once(practice: dict[str, Any]) -> None:
    nobody = "Testa Invented"
    practice["payers"][0]["connection"] = nobody
    practice["contracts"][1]["payer"] = nobody
    practice["treatment_plans"][2]["patient"] = nobody
    practice["patients"].append(practice["patients"][0])
    practice["coverages"].append(practice["coverages"][0] | {"member_id": "TESTAINVENTED"})
    taken = parse(PracticeFile, practice, "practice.json")
    with pytest.raises(InputRefused) as refused:
        taken.check_references("practice.json")
    assert {problem.split(": ")[0] for problem in refused.value.problems} == {
        "payers[0].connection",
        "contracts[1].payer",
        "treatment_plans[2].patient",
        f"patients[{len(practice['patients']) - 1}].ref",
        "coverages[0].priority",
        f"coverages[{len(practice['coverages']) - 1}].priority",
    }
    assert "Invented" not in str(refused.value)
    assert "TESTAINVENTED" not in str(refused.value)


def test_coverages_that_follow_each_other_may_have_the_same_priority(
    practice: dict[str, Any],
) -> None:
    first = practice["coverages"][0]
    practice["coverages"][0] = first | {"to": "2025-12-31", "from": "2025-01-01"}
    practice["coverages"].append(first | {"from": "2026-01-01", "to": None})
    parse(PracticeFile, practice, "practice.json").check_references("practice.json")


SESSION: dict[str, Any] = {
    "ref": "S1",
    "location": "austin",
    "clinician": "C1",
    "starts_at": "2026-02-03T17:00:00-06:00",
    "ends_at": "2026-02-03T18:00:00-06:00",
    "mode": "in_person",
    "topic": "coping",
    "roster": ["P01", "P02"],
}


def test_a_session_tells_both_what_is_wrong_with_its_times_and_its_roster() -> None:
    wrong = SESSION | {"ends_at": SESSION["starts_at"], "roster": ["Testa Invented"] * 2}
    (problem,) = refusal(SessionFile, [wrong])
    assert "ends_at: not after starts_at" in problem
    assert "roster: 1 patients are listed more than once" in problem
    assert "Testa" not in problem


@pytest.mark.parametrize("field", ["starts_at", "ends_at"])
def test_a_time_without_offset_is_refused(field: str) -> None:
    (problem,) = refusal(SessionFile, [SESSION | {field: "2026-02-03T17:30:00"}])
    assert problem == f"[0].{field}: needs a time zone offset, as in 2026-02-03T17:00:00-06:00"


def test_unknown_fields_are_refused() -> None:
    assert refusal(SessionFile, [SESSION | {"room": "2"}]) == [
        "[0].room: Extra inputs are not permitted"
    ]


@pytest.mark.parametrize(
    ("status", "minutes", "taken"),
    [
        ("attended", 60, True),
        ("attended", 0, False),
        ("no_show", 0, True),
        ("no_show", 10, False),
        ("excused", 0, True),
    ],
)
def test_minutes_are_above_zero_exactly_when_attended(
    status: str, minutes: int, taken: bool
) -> None:
    data = {
        "session": "S1",
        "participants": [{"patient": "P01", "status": status, "minutes": minutes}],
    }
    if taken:
        parse(AttendanceList, data, "attendance")
    else:
        assert refusal(AttendanceList, data)[0].startswith("participants[0]: minutes:")


@pytest.mark.parametrize(
    ("frequency", "reference", "taken"),
    [("1", None, True), ("1", "X", False), ("7", "X", True), ("7", None, False), ("8", "X", True)],
)
def test_a_claim_refers_to_another_exactly_when_it_replaces_or_voids_it(
    frequency: str, reference: str | None, taken: bool
) -> None:
    line = {
        "line_control_number": "L1",
        "code": "90853",
        "charge": 6000,
        "units": 1,
        "place_of_service": "11",
        "diagnosis_pointers": [1],
        "service_date": "2026-02-03",
    }
    data = {
        "claim_number": "GC00000000000",
        "version": 1,
        "control_number": "GC00000000000A",
        "parties": ClaimParties.model_construct(),
        "frequency": frequency,
        "original_reference": reference,
        "diagnoses": ["F331"],
        "place_of_service": "11",
        "lines": [line, line],
    }
    if taken:
        assert parse(ClaimVersion, data, "claim").charge == 12000
    else:
        (problem,) = refusal(ClaimVersion, data)
        assert "original_reference" in problem
