from datetime import date, datetime, timedelta
from typing import Any

import pytest

from groupclaim.rules.documentation import check_documentation
from groupclaim.rules.holding import held
from tests.rules.made import ENDS, STARTS, changed, facts, note, plan, policy


def check(the_facts: Any = None, the_note: Any = None, rules: Any = None) -> Any:
    return check_documentation(the_facts or facts(), the_note or note(), rules or policy())


def test_a_complete_note_supports_the_claim() -> None:
    assert check() == ()


def test_without_a_note_nothing_leaves() -> None:
    findings = check_documentation(facts(), None, policy())
    assert [item.rule for item in findings] == ["note_missing"]
    hold = held(findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("NOTE_UNSIGNED", False)


@pytest.mark.parametrize(
    ("missing", "rule"),
    [
        ({"signed_by": None}, "note_unsigned"),
        ({"signed_at": None}, "note_unsigned"),
        ({"signed_by": "C2"}, "note_signed_by_other"),
    ],
)
def test_an_unsigned_note_waits_for_its_clinician(missing: dict[str, Any], rule: str) -> None:
    findings = check(the_note=note(**missing))
    assert [item.rule for item in findings] == [rule]
    assert held(findings, ("NOTE_UNSIGNED",)).code == "NOTE_UNSIGNED"


@pytest.mark.parametrize(
    ("element", "blank"),
    [
        ("start_time", None),
        ("stop_time", None),
        ("attended", None),
        ("group_size", None),
        ("topic", ""),
        ("intervention", "  "),
        ("diagnosis", ""),
        ("participation", ""),
        ("progress", ""),
        ("goal", " "),
        ("necessity", ""),
        ("credential", ""),
    ],
)
def test_each_missing_element_is_named(element: str, blank: Any) -> None:
    findings = check(the_note=note(**{element: blank}))
    assert [item.rule for item in findings] == ["note_incomplete"]
    assert f"note.{element}" in findings[0].evidence
    hold = held(findings)
    assert (hold.code, hold.releasable) == ("NOTE_INCOMPLETE", True)


def test_all_missing_elements_are_named_at_once() -> None:
    (finding,) = check(the_note=note(topic="", progress=""))
    assert finding.sentence == "The note lacks: group topic, progress toward the goal."


def test_a_verified_policy_makes_elements_unreleasable() -> None:
    verified = changed("commercial", "documentation", verified=True)
    findings = check(the_note=note(topic=""), rules=verified)
    assert held(findings, ("NOTE_INCOMPLETE",)) is not None


def test_only_what_the_payer_asks_for_is_missed() -> None:
    modest = changed("commercial", "documentation", required=("start_time",))
    assert check(the_note=note(topic="", necessity=""), rules=modest) == ()
    remote = changed("commercial", "documentation", required=("location_or_mode",))
    assert check(the_note=note(location_or_mode=""), rules=remote) != ()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"clinician": "C2"}, "clinician"),
        ({"attended": False}, "attended"),
        ({"start_time": STARTS - timedelta(minutes=1)}, "start_time"),
        ({"start_time": ENDS, "stop_time": ENDS}, "start_time"),
        ({"stop_time": ENDS + timedelta(minutes=1)}, "stop_time"),
        ({"start_time": STARTS + timedelta(days=1)}, "start_time"),
        ({"start_time": ENDS - timedelta(minutes=5), "stop_time": STARTS}, "stop_time"),
        (
            {
                "start_time": STARTS + timedelta(minutes=9),
                "stop_time": STARTS + timedelta(minutes=9),
            },
            "stop_time",
        ),
        ({"group_size": 9}, "group_size"),
        ({"diagnosis": "F339"}, "diagnosis"),
        ({"goal": "G3"}, "goal"),
    ],
)
def test_a_contradiction_holds_and_nobody_may_release_it(wrong: dict[str, Any], field: str) -> None:
    findings = check(the_note=note(**wrong))
    assert [item.rule for item in findings] == ["note_contradicts"]
    assert f"note.{field}" in findings[0].evidence
    assert held(findings, ("NOTE_INCOMPLETE",)) is not None


def test_a_late_arrival_is_no_contradiction() -> None:
    assert check(the_note=note(start_time=STARTS + timedelta(minutes=20))) == ()


def test_a_time_without_offset_is_meant_where_the_session_was() -> None:
    local = note(
        start_time=datetime.fromisoformat("2026-02-03T10:00:00"),
        stop_time=datetime.fromisoformat("2026-02-03T11:00:00"),
    )
    assert check(the_note=local) == ()
    wrong = note(start_time=datetime.fromisoformat("2026-02-03T16:00:00"))
    assert [item.rule for item in check(the_note=wrong)] == ["note_contradicts"]


def test_a_diagnosis_with_its_point_is_the_same() -> None:
    assert check(the_note=note(diagnosis="F33.1")) == ()


@pytest.mark.parametrize(
    ("the_plan", "reason"),
    [
        (None, "there is none on file"),
        (plan(valid_to=date(2026, 2, 2)), "not valid on the day"),
        (plan(valid_from=date(2026, 2, 4)), "not valid on the day"),
        (plan(signed_at=ENDS + timedelta(hours=1)), "signed only after the session"),
        (plan(modality="individual"), "does not name group therapy"),
    ],
)
def test_a_plan_must_support_the_session(the_plan: Any, reason: str) -> None:
    (finding,) = check(facts(plan=the_plan))
    assert finding.rule == "plan_missing"
    assert reason in finding.sentence
    assert held((finding,)).code == "PLAN_MISSING"


def test_a_plan_for_group_and_individual_therapy_supports_it() -> None:
    assert check(facts(plan=plan(modality="group_and_individual"))) == ()


def test_no_finding_tells_what_the_note_says() -> None:
    bad = note(
        diagnosis="F999",
        goal="SECRET goal",
        topic="",
        start_time=STARTS - timedelta(hours=1),
        signed_by="SECRET signer",
    )
    findings = check(facts(plan=plan(valid_to=date(2026, 1, 31))), bad)
    assert len(findings) == 4
    told = " ".join(item.model_dump_json() for item in findings)
    assert "SECRET" not in told
    assert "F999" not in told
