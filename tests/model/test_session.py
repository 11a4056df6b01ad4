from typing import Any

import pytest

from groupclaim.model.base import InputRefused, parse
from groupclaim.model.session import GroupSession, OtherService

SESSION: dict[str, Any] = {
    "ref": "S1",
    "location": "L1",
    "clinician": "C1",
    "starts_at": "2026-02-03T10:00:00-06:00",
    "ends_at": "2026-02-03T11:00:00-06:00",
    "mode": "in_person",
    "topic": "Invented topic",
    "roster": ["P1", "P2", "P3", "P4"],
}
HOME = {"medium": "audio_video", "place": "home"}


def _family(*members: str) -> dict[str, Any]:
    return {"billed": members[0], "members": list(members)}


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"mode": "mixed"},
        {"mode": "mixed", "remote": [{"patient": "P1"} | HOME]},
        {"mode": "telehealth", "remote": [{"patient": f"P{n}"} | HOME for n in (1, 2, 3, 4)]},
        {
            "activity": "family_psychotherapy",
            "families": [_family("P1", "P2"), _family("P3", "P4")],
        },
        {"units": 2, "interactive_complexity": ["P1"], "after_hours": "99051"},
    ],
)
def test_a_session_with_its_details(details: dict[str, Any]) -> None:
    assert parse(GroupSession, SESSION | details, "session").roster == ("P1", "P2", "P3", "P4")


@pytest.mark.parametrize(
    ("details", "problem"),
    [
        ({"remote": [{"patient": "P1"} | HOME]}, "although the session is in person"),
        ({"mode": "mixed", "remote": [{"patient": "P9"} | HOME]}, "who is not on the roster"),
        ({"mode": "mixed", "remote": [{"patient": "P1"} | HOME] * 2}, "listed more than once"),
        ({"mode": "telehealth", "remote": [{"patient": "P1"} | HOME]}, "for each patient"),
        ({"mode": "telehealth"}, "for each patient"),
        ({"interactive_complexity": ["P9"]}, "interactive_complexity: names somebody"),
        ({"activity": "family_psychotherapy"}, "families: given for family psychotherapy"),
        ({"families": [_family("P1", "P2", "P3", "P4")]}, "families: given for family"),
        (
            {"activity": "family_psychotherapy", "families": [_family("P1", "P2")]},
            "with everyone on the roster",
        ),
        (
            {
                "activity": "family_psychotherapy",
                "families": [_family("P1", "P2"), _family("P3", "P4", "P1")],
            },
            "in more than one family",
        ),
        (
            {
                "activity": "family_psychotherapy",
                "families": [{"billed": "P9", "members": ["P1"]}],
            },
            "billed: not one of the members",
        ),
        ({"units": 0}, "units"),
        ({"after_hours": "99052"}, "after_hours"),
    ],
)
def test_details_that_do_not_fit_are_refused(details: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputRefused, match=problem):
        parse(GroupSession, SESSION | details, "session")


def test_the_minutes_of_another_service() -> None:
    service = OtherService.model_validate(
        {
            "patient": "P1",
            "code": "90834",
            "starts_at": "2026-02-03T13:00:00-06:00",
            "ends_at": "2026-02-03T13:45:59-06:00",
        }
    )
    assert service.minutes == 45
