from datetime import date, datetime, timedelta
from typing import Any

import pytest

from groupclaim.model.finding import Severity
from groupclaim.model.session import RemotePart
from groupclaim.rules.documentation import (
    Company,
    OtherNote,
    check_documentation,
    supports_interactive_complexity,
)
from groupclaim.rules.holding import held
from tests.rules.made import (
    ENDS,
    STARTS,
    changed,
    clinician,
    facts,
    licence,
    member,
    note,
    plan,
    policy,
)


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
    late = note(start_time=STARTS + timedelta(minutes=20))
    assert check(facts(minutes=40), late) == ()


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
    assert finding.rule == "plan_invalid"
    assert reason in finding.sentence
    assert held((finding,)).code == "PLAN_INVALID"


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
    assert len(findings) == 5
    told = " ".join(item.model_dump_json() for item in findings)
    assert "SECRET" not in told
    assert "F999" not in told


def rules(findings: Any) -> list[str]:
    return [item.rule for item in findings]


# --- signature and edits


@pytest.mark.parametrize(
    ("after", "rule", "hold"),
    [
        (timedelta(minutes=-1), "note_signed_before_end", "NOTE_UNSIGNED"),
        (timedelta(0), None, None),
        (timedelta(days=2), None, None),
        (timedelta(days=2, minutes=1), "note_signed_late", None),
        (timedelta(days=30), "note_signed_late", None),
        (timedelta(days=30, minutes=1), "note_signed_too_late", "NOTE_UNSIGNED"),
    ],
)
def test_when_a_note_is_signed(after: timedelta, rule: str | None, hold: str | None) -> None:
    findings = check(the_note=note(signed_at=ENDS + after))
    assert rules(findings) == ([rule] if rule else [])
    stopped = held(findings)
    assert (stopped.code if stopped else None) == hold


def test_a_payer_says_when_a_signature_is_late() -> None:
    patient = changed("commercial", "documentation", days_to_sign=5)
    assert check(the_note=note(signed_at=ENDS + timedelta(days=5)), rules=patient) == ()
    late = check(the_note=note(signed_at=ENDS + timedelta(days=6)), rules=patient)
    assert rules(late) == ["note_signed_late"]


def test_a_late_entry_that_says_so_is_in_order() -> None:
    assert check(the_note=note(signed_at=ENDS + timedelta(days=9), late_entry=True)) == ()


@pytest.mark.parametrize(("minutes", "found"), [(-1, False), (0, False), (1, True)])
def test_an_edit_after_the_signature_wants_another_one(minutes: int, found: bool) -> None:
    edited = note(edited_at=note().signed_at + timedelta(minutes=minutes))
    findings = check(the_note=edited)
    assert rules(findings) == (["note_edited_after_signature"] if found else [])
    assert (held(findings, ("NOTE_UNSIGNED",)) is not None) == found


def test_a_text_that_changed_under_its_signature_is_an_edit() -> None:
    company = Company(changed_since_signature=True)
    findings = check_documentation(facts(), note(), policy(), company)
    assert rules(findings) == ["note_edited_after_signature"]


@pytest.mark.parametrize(("minutes", "found"), [(-1, True), (0, False), (60, False)])
def test_a_note_written_beforehand_is_told(minutes: int, found: bool) -> None:
    findings = check(the_note=note(written_at=STARTS + timedelta(minutes=minutes)))
    assert rules(findings) == (["note_written_before_session"] if found else [])


@pytest.mark.parametrize(
    ("cosigned", "found"),
    [
        ({}, True),
        ({"cosigned_by": "C1", "cosigned_at": ENDS}, True),
        ({"cosigned_by": "C9"}, True),
        ({"cosigned_by": "C9", "cosigned_at": ENDS}, False),
    ],
)
def test_supervised_staff_are_countersigned(cosigned: dict[str, Any], found: bool) -> None:
    associate = facts(clinician=clinician(licence("lpc_associate")))
    assert ("note_not_cosigned" in rules(check(associate, note(**cosigned)))) == found
    both = facts(clinician=clinician(licence("lpc_associate"), licence("lpc")))
    assert "note_not_cosigned" not in rules(check(both, note(**cosigned)))


# --- what kind of note, whose, how long, from where


def test_process_notes_are_refused_by_type_and_not_looked_at() -> None:
    process = note(kind="psychotherapy", topic="", signed_by=None, participation="Bob Jones")
    (finding,) = check(the_note=process)
    assert finding.rule == "psychotherapy_note_refused"
    assert held((finding,), ("PROCESS_NOTE",)).code == "PROCESS_NOTE"
    assert not supports_interactive_complexity(
        note(kind="psychotherapy", interactive_complexity="mother interfered")
    )


def test_a_note_of_another_patient_contradicts() -> None:
    assert check(the_note=note(patient="P1")) == ()
    (finding,) = check(the_note=note(patient="P2"))
    assert "note.patient" in finding.evidence


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (15, ["session_length_outside_limits", "note_minutes_differ"]),
        (16, ["attended_briefly", "note_minutes_differ"]),
        (29, ["attended_briefly", "note_minutes_differ"]),
        (30, ["note_minutes_differ"]),
        (49, ["note_minutes_differ"]),
        (50, []),
        (60, []),
    ],
)
def test_how_long_the_patient_was_there(minutes: int, expected: list[str]) -> None:
    assert rules(check(the_note=note(stop_time=STARTS + timedelta(minutes=minutes)))) == expected


def test_a_payers_longest_session_holds() -> None:
    strict = changed("commercial", "session_length", maximum_minutes=50)
    findings = check(the_note=note(), rules=strict)
    assert rules(findings) == ["session_length_outside_limits"]
    assert held(findings, ("NOTE_INCOMPLETE",)) is None  # the limit is unverified
    assert check(facts(minutes=50), note(stop_time=STARTS + timedelta(minutes=50)), strict) == ()


@pytest.mark.parametrize(("minutes", "unusual"), [(44, True), (45, False), (90, False), (91, True)])
def test_an_unusual_length_of_the_session_is_told(minutes: int, unusual: bool) -> None:
    ends = STARTS + timedelta(minutes=minutes)
    session = facts().session.model_copy(update={"ends_at": ends})
    signed = note(stop_time=ends, signed_at=ends)
    found = rules(check(facts(session=session, minutes=minutes), signed))
    assert found == (["session_length_unusual"] if unusual else [])


def test_a_remote_part_needs_place_and_consent() -> None:
    remote = RemotePart(medium="audio_video", place="home", state="TX")
    there = facts(remote=remote)
    assert check(there, note(telehealth_consent=True)) == ()
    consented = facts(remote=remote.model_copy(update={"consented": True}))
    assert check(consented, note()) == ()
    (finding,) = check(there, note(location_or_mode=""))
    assert finding.hold == "NOTE_INCOMPLETE"
    assert finding.evidence[-2:] == ("note.location_or_mode", "note.telehealth_consent")


# --- what was done


@pytest.mark.parametrize(
    ("topic", "intervention", "severity"),
    [
        ("Medication education class", "Lecture on side effects with handouts.", Severity.BLOCK),
        ("Recreation hour", "Board games and snacks.", Severity.BLOCK),
        ("Grooming and hygiene", "Demonstration of shaving.", Severity.BLOCK),
        ("Community outing", "Visit to the museum.", Severity.BLOCK),
        ("Self-help group", "Members read the book in turns.", Severity.BLOCK),
        ("Birthday", "Behavioral activation: planning a shared meal.", Severity.WARN),
        ("Managing low mood", "Behavioral activation with a weekly plan.", None),
        ("Psychoeducation and skills", "CBT skills training with role play.", None),
        ("Grief", "Two-chair work.", None),
        ("Managing money", "Filling in paperwork for the housing office.", Severity.BLOCK),
        ("Asking for help", "Letting others help with paperwork.", None),
    ],
)
def test_what_is_no_psychotherapy(topic: str, intervention: str, severity: Severity | None) -> None:
    findings = check(the_note=note(topic=topic, intervention=intervention))
    assert [item.severity for item in findings] == ([severity] if severity else [])
    if severity is Severity.BLOCK:
        assert held(findings).code == "EXCLUDED_ACTIVITY"
        assert held(findings, ("EXCLUDED_ACTIVITY",)) is None
        places = findings[0].evidence[3:]
        assert all(place.startswith(("note.topic[", "note.intervention[")) for place in places)


# --- beside the rest of the room


OWN = {
    "participation": "Told the group about a quarrel over the rent and asked for help with words.",
    "progress": "Called the landlord on Tuesday, the first of the three steps named in the plan.",
    "necessity": "Avoids asking others for anything; practice with equals is what moves it.",
}
OTHER = {
    "participation": "Sat by the door, said little, then read a page of the diary card aloud.",
    "progress": "Slept six hours on four nights; the plan asks for five such nights in a week.",
    "necessity": "Believes that nobody else relapses; only other people's stories have shaken it.",
}


def beside(*others: dict[str, Any], same_patient: bool = False) -> Company:
    notes = tuple(
        OtherNote(f"GC{number}", note(**item), same_patient) for number, item in enumerate(others)
    )
    return Company(members=(member("P2", "Roberta", "Imaginary"),), notes=notes)


def judged(company: Company, **changes: Any) -> Any:
    return check_documentation(facts(), note(**(OWN | changes)), policy(), company)


@pytest.mark.parametrize("same_patient", [False, True])
def test_a_copied_note_is_held_and_shown_by_places_only(same_patient: bool) -> None:
    company = beside(OWN, OTHER, same_patient=same_patient)
    (finding,) = judged(company, diagnosis="F411", goal="G2")
    assert (finding.rule, finding.hold, finding.releasable) == ("cloned_note", "CLONED_NOTE", True)
    assert ("own earlier" in finding.sentence) == same_patient
    assert "100%" in finding.sentence
    assert f"note.participation[0:{len(OWN['participation']) - 1}]" in finding.evidence
    assert any(item.startswith("GC0:individual#") for item in finding.evidence)
    assert not any("GC1" in item for item in finding.evidence)
    told = finding.model_dump_json()
    assert all(word not in told for word in ("quarrel", "landlord", "equals"))


def test_two_notes_of_their_own_are_not_compared_away() -> None:
    assert judged(beside(OTHER), diagnosis="F411") == ()


def test_a_pasted_summary_is_taken_out_before_comparing() -> None:
    summary = "The group practiced saying no, in pairs, and closed with slow breathing together."
    pasted = {"participation": f"{summary} {OWN['participation']}", "group_summary": summary}
    theirs = {**OTHER, "participation": f"{summary} {OTHER['participation']}"}
    assert judged(beside(theirs | {"group_summary": summary}), **pasted, diagnosis="F411") == ()
    only = dict.fromkeys(OWN, summary)
    findings = judged(beside(OTHER), **only, group_summary=summary)
    assert rules(findings) == ["no_individual_section"]


def test_who_is_named_stays_unsaid() -> None:
    findings = judged(beside(OTHER), participation="Later bobbie and R. Imaginary agreed to talk.")
    (finding,) = findings
    assert (finding.hold, finding.releasable) == ("MEMBER_NAMED", True)
    assert "note.participation[6:12]:nickname" in finding.evidence
    told = finding.model_dump_json().lower()
    assert "bobbie" not in told
    assert "imaginary" not in told


def test_one_diagnosis_for_the_whole_room_is_told() -> None:
    same = {**OTHER, "diagnosis": "F33.1"}
    third = {"participation": "Came late and left early.", "progress": "None yet."}
    assert rules(judged(beside(same, third))) == ["one_diagnosis_for_all"]
    assert judged(beside(same)) == ()  # two are no room
    assert judged(beside(same, {**third, "diagnosis": "F411"})) == ()


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        ("", False),
        ("   ", False),
        ("Interpreter needed for the whole session.", False),
        ("The session ran over by extra time.", False),
        ("Mother interfered with treatment by shouting.", True),
        ("Interpreter present; sentinel event disclosed, report to protective services.", True),
    ],
)
def test_90785_needs_a_factor_of_this_patient(text: str, supported: bool) -> None:
    assert supports_interactive_complexity(note(interactive_complexity=text)) is supported
    session = facts().session.model_copy(update={"interactive_complexity": ("P1",)})
    found = rules(check(facts(session=session), note(interactive_complexity=text)))
    assert found == ([] if supported else ["interactive_complexity_unsupported"])
    assert check(the_note=note(interactive_complexity=text)) == ()  # nobody asks for 90785


def test_a_factor_copied_to_others_is_told() -> None:
    text = {"interactive_complexity": "Mother interfered by shouting."}
    session = facts().session.model_copy(update={"interactive_complexity": ("P1",)})
    company = beside({**OTHER, **text, "diagnosis": "F411"})
    findings = check_documentation(facts(session=session), note(**OWN, **text), policy(), company)
    assert rules(findings) == ["interactive_complexity_copied"]
    assert held(findings) is None
