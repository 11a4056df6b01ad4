import pytest

from groupclaim.model.session import Attendance
from groupclaim.rules.attendance import not_billable_reason


@pytest.mark.parametrize(
    ("status", "attended", "reason"),
    [
        (Attendance.ATTENDED, 2, None),
        (Attendance.ATTENDED, 11, None),
        (Attendance.ATTENDED, 1, "GROUP_OF_ONE"),
        (Attendance.NO_SHOW, 7, "NO_SHOW"),
        (Attendance.NO_SHOW, 0, "NO_SHOW"),
        (Attendance.EXCUSED, 1, "EXCUSED"),
    ],
)
def test_who_cannot_be_billed(status: Attendance, attended: int, reason: str | None) -> None:
    assert not_billable_reason(status, attended) == reason


def test_scenario_2_eight_scheduled_seven_attend() -> None:
    roster = [Attendance.ATTENDED] * 7 + [Attendance.NO_SHOW]
    attended = roster.count(Attendance.ATTENDED)
    reasons = [not_billable_reason(status, attended) for status in roster]
    assert reasons == [None] * 7 + ["NO_SHOW"]


def test_scenario_3_only_one_comes() -> None:
    roster = [Attendance.ATTENDED, Attendance.NO_SHOW, Attendance.EXCUSED]
    reasons = [not_billable_reason(status, 1) for status in roster]
    assert reasons == ["GROUP_OF_ONE", "NO_SHOW", "EXCUSED"]
