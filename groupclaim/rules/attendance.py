"""Attendance: who can be billed at all."""

from __future__ import annotations

from groupclaim.model.session import Attendance

NO_SHOW = "NO_SHOW"
EXCUSED = "EXCUSED"
GROUP_OF_ONE = "GROUP_OF_ONE"


def not_billable_reason(status: Attendance, attended: int) -> str | None:
    """Why a roster row cannot be billed as 90853; None when it can.

    ``attended`` counts the patients treated in the room. One alone is no group, and a group claim
    for them would be an overpayment.
    """
    if status is Attendance.NO_SHOW:
        return NO_SHOW
    if status is Attendance.EXCUSED:
        return EXCUSED
    return GROUP_OF_ONE if attended < 2 else None
