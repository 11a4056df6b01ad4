"""The room-level gate, and scenarios 1 to 3, 8 and 13 of the billing reference (section 14)."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from groupclaim.model.practice import Enrolment
from groupclaim.model.session import Attendance, GroupSession
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.rules.documentation import Company, OtherNote, check_documentation
from groupclaim.rules.holding import held
from groupclaim.rules.room import Engagement, check_room, group_size_findings
from tests.rules.made import (
    ENDS,
    STARTS,
    changed,
    clinician,
    facts,
    licence,
    location,
    member,
    note,
    policy,
)


def engagement(session_id: str = "s2", hours: float = 0, **changes: Any) -> Engagement:
    return Engagement(
        session_id, STARTS + timedelta(hours=hours), ENDS + timedelta(hours=hours), **changes
    )


def session(**changes: Any) -> GroupSession:
    return facts().session.model_copy(update=changes)


def codes(findings: Any) -> set[str | None]:
    return {item.hold for item in findings}


# --- the scenarios


@pytest.mark.parametrize(
    ("size", "hold", "releasable"),
    [
        (2, None, None),
        (10, None, None),
        (11, "GROUP_SIZE_REVIEW", True),
        (12, "GROUP_SIZE_REVIEW", True),
        (13, "GROUP_SIZE_EXCEEDED", True),
    ],
)
def test_scenario_1_a_large_room_of_medicare(size: int, hold: Any, releasable: Any) -> None:
    """13 is not releasable once the practice's own contractor has been read (T16)."""
    stopped = held(check_room(facts(group_size=size), policy("medicare-part-b")))
    assert (stopped.code if stopped else None) == hold
    assert stopped is None or stopped.releasable == releasable
    read = changed("medicare-part-b", "group_size", verified=True)
    stopped = held(group_size_findings(size, read, ()))
    assert stopped is None or stopped.releasable == (size <= 12)


def test_scenario_2_a_no_show_is_not_counted() -> None:
    statuses = [Attendance.ATTENDED] * 7 + [Attendance.NO_SHOW]
    reasons = [not_billable_reason(status, 7) for status in statuses]
    assert reasons == [None] * 7 + ["NO_SHOW"]
    assert check_room(facts(group_size=7), policy()) == ()


def test_scenario_3_one_alone_is_no_group() -> None:
    assert not_billable_reason(Attendance.ATTENDED, 1) == "GROUP_OF_ONE"
    (finding,) = check_room(facts(group_size=1), policy())
    assert (finding.hold, finding.releasable) == ("GROUP_OF_ONE", False)
    assert "individual therapy" in finding.fix


def test_scenario_8_a_medication_class_is_no_psychotherapy() -> None:
    taught = note(topic="Medication education class", intervention="Lecture; handouts given.")
    findings = check_documentation(facts(), taught, policy("texas-medicaid"))
    assert held(findings).code == "EXCLUDED_ACTIVITY"
    assert "Medicaid" in findings[0].fix


WORDS = [f"observed{number}" for number in range(100)]


def _copied(number: int, differing: int) -> dict[str, str]:
    """A section of a hundred words of which ``differing`` are this patient's own."""
    own = [f"own{number}x{place}" for place in range(differing)]
    return {"participation": " ".join([*own, *WORDS[differing:]]), "progress": "", "necessity": ""}


@pytest.mark.parametrize(
    ("differing", "hold"),
    [(4, "CLONED_NOTE"), (10, "CLONED_NOTE"), (11, None), (25, None), (60, None)],
)
def test_scenario_13_eight_notes_copied_from_one(differing: int, hold: str | None) -> None:
    loose = changed("commercial", "documentation", required=("participation",))
    notes = [note(**_copied(number, differing), diagnosis="F331") for number in range(8)]
    for place, own in enumerate(notes):
        others = [
            OtherNote(f"GC{number}", item) for number, item in enumerate(notes) if number != place
        ]
        findings = check_documentation(facts(), own, loose, Company(notes=tuple(others)))
        stopped = held(findings)
        assert (stopped.code if stopped else None) == hold
        told = "note_like_another" in [item.rule for item in findings]
        assert told == (10 < differing <= 25)


# --- each payer by itself


def test_limits_are_each_payers_own() -> None:
    """Eight people: too many for the one payer, whoever pays for the other seven."""
    small = changed("commercial", "group_size", soft=6, hard=7)
    assert codes(check_room(facts(group_size=8), small)) == {"GROUP_SIZE_EXCEEDED"}
    assert codes(check_room(facts(group_size=7), small)) == {"GROUP_SIZE_REVIEW"}
    assert check_room(facts(group_size=6), small) == ()
    assert check_room(facts(group_size=8), policy("medicare-part-b")) == ()


def test_a_payer_with_a_larger_minimum() -> None:
    four = changed("commercial", "group_size", minimum=4)
    assert group_size_findings(4, four, ()) == ()
    (finding,) = group_size_findings(3, four, ())
    assert (finding.rule, finding.hold) == ("group_size_below_minimum", "GROUP_SIZE_REVIEW")
    assert group_size_findings(2, policy(), ()) == ()
    assert codes(group_size_findings(None, policy(), ())) == {"GROUP_OF_ONE"}


@pytest.mark.parametrize(
    ("led_by", "stops"), [("clinician", False), ("peer", True), ("unlicensed_facilitator", True)]
)
def test_a_group_led_by_peers_is_no_psychotherapy(led_by: str, stops: bool) -> None:
    findings = check_room(facts(session=session(led_by=led_by)), policy())
    assert codes(findings) == ({"LICENCE_NOT_ACCEPTED"} if stops else set())
    assert not stops or held(findings, ("LICENCE_NOT_ACCEPTED",)) is not None


@pytest.mark.parametrize(
    ("first", "last", "valid"),
    [
        ("2026-02-03", "2026-02-03", True),
        ("2026-02-04", "2027-12-31", False),
        ("2020-01-01", "2026-02-02", False),
    ],
)
def test_the_licence_is_valid_on_the_day(first: str, last: str, valid: bool) -> None:
    leader = clinician(licence("psychologist", valid_from=first, valid_to=last))
    findings = check_room(facts(clinician=leader), policy())
    assert codes(findings) == (set() if valid else {"LICENCE_NOT_ACCEPTED"})


@pytest.mark.parametrize(
    ("enrolments", "stops"),
    [
        (None, False),
        ((("the-payer", "2026-02-03", None),), False),
        ((("the-payer", "2026-02-04", None),), True),
        ((("the-payer", "2025-01-01", "2026-02-03"),), False),
        ((("the-payer", "2025-01-01", "2026-02-02"),), True),
        ((("another", "2025-01-01", None),), True),
        ((), True),
    ],
)
def test_the_clinician_is_enrolled_with_the_payer_on_the_day(enrolments: Any, stops: bool) -> None:
    kept = None
    if enrolments is not None:
        kept = tuple(
            Enrolment.model_validate({"payer": whose, "from": first, "to": last})
            for whose, first, last in enrolments
        )
    leader = clinician().model_copy(update={"enrolments": kept})
    findings = check_room(facts(clinician=leader), policy())
    assert codes(findings) == ({"RENDERING_NOT_PAYABLE"} if stops else set())
    assert all(item.rule == "not_enrolled" for item in findings)


@pytest.mark.parametrize(("place", "stops"), [("11", False), ("53", False), ("52", True)])
def test_a_day_that_is_paid_as_a_whole(place: str, stops: bool) -> None:
    findings = check_room(facts(location=location(place=place)), policy())
    assert codes(findings) == ({"CONTRACT_CHECK"} if stops else set())
    own = changed("commercial", "settings", paid_as_a_whole=("11",))
    assert codes(check_room(facts(), own)) == {"CONTRACT_CHECK"}


# --- two places at once


@pytest.mark.parametrize(
    ("hours", "same_clinician", "conflict"),
    [(0, True, True), (0.5, True, True), (-0.5, True, True), (1, True, False), (-1, True, False),
     (0, False, False)],
)  # fmt: skip
def test_one_clinician_leads_one_session_at_a_time(
    hours: float, same_clinician: bool, conflict: bool
) -> None:
    findings = check_room(
        facts(), policy(), (engagement(hours=hours, same_clinician=same_clinician),)
    )
    assert codes(findings) == ({"SESSION_CONFLICT"} if conflict else set())
    if conflict:
        assert findings[0].evidence == (facts().claim_number, facts().session_id, "s2")
        assert held(findings, ("SESSION_CONFLICT",)) is not None


@pytest.mark.parametrize(
    ("hours", "hold"),
    [(0.5, "SESSION_CONFLICT"), (1, "SAME_DAY_SERVICE"), (4, "SAME_DAY_SERVICE")],
)
def test_one_patient_in_two_groups(hours: float, hold: str) -> None:
    other = engagement(hours=hours, same_patient=True)
    assert codes(check_room(facts(), policy(), (other,))) == {hold}
    assert check_room(facts(), policy(), (engagement(hours=hours),)) == ()


def test_the_same_group_on_file_twice_is_a_duplicate() -> None:
    again = engagement(same_patient=True, same_clinician=True)
    (finding,) = check_room(facts(), policy(), (again,))
    assert (finding.rule, finding.hold) == ("session_recorded_twice", "DUPLICATE")
    assert held((finding,), ("DUPLICATE",)) is None
    after = engagement(hours=1, same_patient=True, same_clinician=True)
    assert codes(check_room(facts(), policy(), (after,))) == {"SAME_DAY_SERVICE"}


def test_another_service_or_a_payer_of_two_makes_no_second_group() -> None:
    families = engagement(hours=2, same_patient=True, service="90849")
    assert check_room(facts(), policy(), (families,)) == ()
    two = changed("commercial", "units", per_day=2)
    group = engagement("s3", 2, same_patient=True)
    itself = engagement(facts().session_id, same_patient=True, same_clinician=True)
    assert check_room(facts(), two, (group, itself)) == ()
    assert codes(check_room(facts(), policy(), (group,))) == {"SAME_DAY_SERVICE"}
    assert codes(check_room(facts(), two, (group, engagement("s4", 4, same_patient=True)))) == {
        "SAME_DAY_SERVICE"
    }


# --- whoever sits where


def test_the_order_of_the_roster_decides_nothing() -> None:
    large = facts(group_size=11)
    elsewhere = (
        engagement("s2", 0.5, same_patient=True),
        engagement("s3", 3, same_patient=True),
        engagement("s4", 0.2, same_clinician=True),
        engagement("s5", 0.5, same_patient=True),
    )
    expected = check_room(large, policy("medicare-part-b"), elsewhere)
    assert codes(expected) == {"GROUP_SIZE_REVIEW", "SESSION_CONFLICT", "SAME_DAY_SERVICE"}
    notes = [note(**_copied(number, number)) for number in range(8)]
    others = [OtherNote(f"GC{number}", item) for number, item in enumerate(notes)]
    members = [member(f"P{number}", first, "Invented") for number, first in
               enumerate(("Roberta", "Grace", "Jennifer", "Bobby"), 2)]  # fmt: skip
    own = note(**_copied(99, 2), topic="Bobbi thanked jenny; Grace said no. J.I. left.")
    judged = check_documentation(facts(), own, policy(), Company(tuple(members), tuple(others)))
    assert {"cloned_note", "member_named"} <= {item.rule for item in judged}
    for seed in range(20):
        random = Random(seed)
        roster = tuple(random.sample(large.session.roster, len(large.session.roster)))
        shuffled = large.model_copy(update={"session": session(roster=roster)})
        moved = random.sample(elsewhere, len(elsewhere))
        assert check_room(shuffled, policy("medicare-part-b"), moved) == expected
        company = Company(
            tuple(random.sample(members, len(members))), tuple(random.sample(others, len(others)))
        )
        assert check_documentation(facts(), own, policy(), company) == judged
