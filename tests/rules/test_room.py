"""The room-level gate, and scenarios 1 to 3, 8 and 13 of domain.md section 14."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from groupclaim.model.session import Attendance
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.rules.documentation import Company, OtherNote, check_documentation
from groupclaim.rules.holding import held
from groupclaim.rules.room import (
    Engagement,
    Room,
    Treated,
    check_conflicts,
    check_room,
    group_size_findings,
)
from tests.rules.made import ENDS, STARTS, changed, facts, member, note, policy


def session(session_id: str = "s1", hours: float = 0, **changes: Any) -> Engagement:
    values = {
        "clinician_id": "c1",
        "location_id": "l1",
        "starts_at": STARTS + timedelta(hours=hours),
        "ends_at": ENDS + timedelta(hours=hours),
        "patients": frozenset(),
    }
    return Engagement(session_id, **(values | changes))


def treated(count: int, *payers: str) -> tuple[Treated, ...]:
    """``count`` patients; the payers in turn."""
    names = payers or ("commercial",)
    return tuple(
        Treated(f"GC{number:02d}", f"p{number:02d}", policy(names[number % len(names)]))
        for number in range(count)
    )


def room(people: tuple[Treated, ...], **changes: Any) -> Room:
    values: dict[str, Any] = {"licensed": True, "place_of_service": "11", "elsewhere": ()}
    return Room(session(), people, **(values | changes))


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
    found = check_room(room(treated(size, "medicare-part-b")))
    assert len(found) == size
    for findings in found.values():
        stopped = held(findings)
        assert (stopped.code if stopped else None) == hold
        assert stopped is None or stopped.releasable == releasable
    read = changed("medicare-part-b", "group_size", verified=True)
    stopped = held(group_size_findings(size, read, ()))
    assert stopped is None or stopped.releasable == (size <= 12)


def test_scenario_2_a_no_show_is_not_counted() -> None:
    statuses = [Attendance.ATTENDED] * 7 + [Attendance.NO_SHOW]
    reasons = [not_billable_reason(status, 7) for status in statuses]
    assert reasons == [None] * 7 + ["NO_SHOW"]
    assert all(held(findings) is None for findings in check_room(room(treated(7))).values())


def test_scenario_3_one_alone_is_no_group() -> None:
    assert not_billable_reason(Attendance.ATTENDED, 1) == "GROUP_OF_ONE"
    ((finding,),) = check_room(room(treated(1))).values()
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
    small = policy("commercial").model_copy(
        update={"group_size": policy().group_size.model_copy(update={"soft": 6, "hard": 7})}
    )
    people = tuple(
        Treated(f"GC{number}", f"p{number}", small if number == 3 else policy("medicare-part-b"))
        for number in range(8)
    )
    found = check_room(room(people))
    assert codes(found["GC3"]) == {"GROUP_SIZE_EXCEEDED"}
    assert all(not findings for number, findings in found.items() if number != "GC3")


def test_a_payer_with_a_larger_minimum() -> None:
    four = changed("commercial", "group_size", minimum=4)
    assert group_size_findings(4, four, ()) == ()
    (finding,) = group_size_findings(3, four, ())
    assert (finding.rule, finding.hold) == ("group_size_below_minimum", "GROUP_SIZE_REVIEW")
    assert group_size_findings(2, policy(), ()) == ()
    assert codes(group_size_findings(None, policy(), ())) == {"GROUP_OF_ONE"}


def test_nobody_on_file_to_pay_has_no_limit() -> None:
    people = (Treated("GC1", "p1", None), *treated(12, "medicare-part-b"))
    assert check_room(room(people))["GC1"] == ()


def test_a_group_led_by_peers_is_no_psychotherapy() -> None:
    for findings in check_room(room(treated(3), licensed=False)).values():
        assert codes(findings) == {"LICENCE_NOT_ACCEPTED"}
        assert held(findings, ("LICENCE_NOT_ACCEPTED",)) is not None


@pytest.mark.parametrize(("place", "stops"), [("11", False), ("53", False), ("52", True)])
def test_a_day_that_is_paid_as_a_whole(place: str, stops: bool) -> None:
    found = check_room(room(treated(3), place_of_service=place))
    assert all(codes(findings) == ({"CONTRACT_CHECK"} if stops else set())
               for findings in found.values())  # fmt: skip


# --- two places at once


@pytest.mark.parametrize(
    ("hours", "clinician", "conflict"),
    [(0, "c1", True), (0.5, "c1", True), (-0.5, "c1", True), (1, "c1", False), (-1, "c1", False),
     (0, "c2", False)],
)  # fmt: skip
def test_one_clinician_leads_one_session_at_a_time(
    hours: float, clinician: str, conflict: bool
) -> None:
    other = session("s2", hours, clinician_id=clinician)
    found = check_room(room(treated(3), elsewhere=(other,)))
    for findings in found.values():
        assert codes(findings) == ({"SESSION_CONFLICT"} if conflict else set())
        if conflict:
            assert findings[0].evidence[1:] == ("s1", "s2")
            assert held(findings, ("SESSION_CONFLICT",)) is not None


@pytest.mark.parametrize(
    ("hours", "hold"),
    [(0.5, "SESSION_CONFLICT"), (1, "SAME_DAY_SERVICE"), (4, "SAME_DAY_SERVICE")],
)
def test_one_patient_in_two_groups(hours: float, hold: str) -> None:
    other = session("s2", hours, clinician_id="c2", patients=frozenset({"p01"}))
    found = check_room(room(treated(3), elsewhere=(other,)))
    assert {number: codes(findings) for number, findings in found.items()} == {
        "GC00": set(),
        "GC01": {hold},
        "GC02": set(),
    }


def test_another_service_or_a_payer_of_two_makes_no_second_group() -> None:
    (person,) = treated(1)
    patients = frozenset({person.patient_id})
    individual = session("s2", 2, clinician_id="c2", patients=patients, service="90834")
    assert check_conflicts(session(), [individual], person) == ()
    two = Treated("GC00", "p00", changed("commercial", "units", per_day=2))
    group = session("s3", 2, clinician_id="c2", patients=patients)
    assert check_conflicts(session(), [group, session()], two) == ()
    assert codes(check_conflicts(session(), [group], person)) == {"SAME_DAY_SERVICE"}


# --- whoever sits where


def test_the_order_of_the_roster_decides_nothing() -> None:
    people = treated(11, "medicare-part-b", "texas-medicaid", "commercial")
    elsewhere = (
        session("s2", 0.5, clinician_id="c2", patients=frozenset({"p01", "p04"})),
        session("s3", 3, clinician_id="c2", patients=frozenset({"p01", "p05"})),
        session("s4", 0.2),
    )
    expected = check_room(room(people, elsewhere=elsewhere))
    notes = [note(**_copied(number, number)) for number in range(8)]
    others = [OtherNote(f"GC{number}", item) for number, item in enumerate(notes)]
    members = [member(f"P{number}", first, "Invented") for number, first in
               enumerate(("Roberta", "Grace", "Jennifer", "Bobby"), 2)]  # fmt: skip
    own = note(**_copied(99, 2), topic="Bobbi thanked jenny; Grace said no. J.I. left.")
    judged = check_documentation(facts(), own, policy(), Company(tuple(members), tuple(others)))
    assert {"cloned_note", "member_named"} <= {item.rule for item in judged}
    for seed in range(20):
        random = Random(seed)
        shuffled = random.sample(people, len(people))
        moved = random.sample(elsewhere, len(elsewhere))
        assert check_room(room(tuple(shuffled), elsewhere=tuple(moved))) == expected
        company = Company(
            tuple(random.sample(members, len(members))), tuple(random.sample(others, len(others)))
        )
        assert check_documentation(facts(), own, policy(), company) == judged
