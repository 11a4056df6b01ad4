"""I6 judged: each single silence is found, and each alert in time is enough."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from .deadlines import (
    ClaimDate,
    Day,
    Dispute,
    DisputedLine,
    Filing,
    Item,
    Moment,
    Note,
    Patient,
    Reminder,
    Request,
    Told,
    WorkedDenial,
    check_deadlines,
)

NUMBER = "G00001X"
SERVED = date(2026, 1, 5)
END = datetime(2027, 6, 1, tzinfo=UTC)


def moment(text: str) -> Moment:
    return Moment(datetime.fromisoformat(text).replace(tzinfo=UTC))


def filing(**changes: Any) -> Filing:
    given: dict[str, Any] = {
        "name": "S1/P01", "claim_number": NUMBER, "payer_id": "SIMTXM", "service_date": SERVED,
        "arrived": None, "taken": None, "decided": None,
    }  # fmt: skip
    return Filing(**{**given, **changes})


def item(opened: str, resolved: str | None = None, due: str | None = None) -> Item:
    return Item(
        "i1", "hold", NUMBER, NUMBER, "NOTE_UNSIGNED", moment(opened),
        moment(due) if due else None, moment(resolved) if resolved else None,
    )  # fmt: skip


def alert(at: str, kind: str = "alert") -> Reminder:
    return Reminder(NUMBER, moment(at), kind)


def found(
    *filings: Filing,
    told: tuple[Any, ...] = (),
    end: datetime = END,
    decided: tuple[str, ...] = (),
) -> list[str]:
    """What the judge says is wrong, by column."""
    said: list[str] = []
    check_deadlines(
        Told(
            [one for one in told if isinstance(one, Reminder)],
            [one for one in told if isinstance(one, Item)],
            [one for one in told if isinstance(one, WorkedDenial)],
            [one for one in told if isinstance(one, ClaimDate)],
            [one for one in told if isinstance(one, Dispute)],
            [one for one in told if isinstance(one, DisputedLine)],
            [one for one in told if isinstance(one, Note)],
            [one for one in told if isinstance(one, Request)],
        ),
        list(filings),
        {"p1": Patient(frozenset({NUMBER}), tuple(moment(at) for at in decided))},
        end,
        lambda row, column, expected, found: said.append(column),
    )
    return said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((), ["filing limit"]),
        # 95 days after 5 January: 10 April.
        ((alert("2026-04-09"),), []),
        ((alert("2026-04-11T06:00"),), ["filing limit"]),
        ((alert("2026-01-20"),), ["filing limit"]),
        ((alert("2026-04-09", kind="status"),), ["filing limit"]),
        ((item("2026-01-06"),), []),
        ((item("2026-01-06", "2026-01-20"),), ["filing limit"]),
        ((item("2026-01-06", "2026-03-20"),), []),
    ],
)
def test_a_claim_that_is_not_filed_in_time_was_told_of(told: Any, said: list[str]) -> None:
    assert found(filing(), told=told) == said
    assert found(filing(arrived=moment("2026-04-12")), told=told) == said


def test_what_was_filed_in_time_or_is_not_yet_late_needs_no_alert() -> None:
    assert found(filing(arrived=moment("2026-04-10"))) == []
    assert found(filing(), end=datetime(2026, 4, 10, 12, tzinfo=UTC)) == []
    # 95 days after 3 February 2026 end on Saturday, 9 May, and so on Monday the 11th.
    weekend = filing(service_date=date(2026, 2, 3))
    assert found(weekend, end=datetime(2026, 5, 11, 12, tzinfo=UTC)) == []
    assert found(weekend, end=datetime(2026, 5, 13, tzinfo=UTC)) == ["filing limit"]
    # Twelve months, not 95 days.
    assert found(filing(payer_id="SIMVAM"), end=datetime(2027, 1, 5, tzinfo=UTC)) == []
    assert found(filing(payer_id="SIMVAM"), end=datetime(2027, 1, 7, tzinfo=UTC)) == [
        "filing limit"
    ]


def test_a_payer_that_decides_later_than_its_law_says_was_told_of() -> None:
    late = filing(
        payer_id="SIMMB",
        arrived=moment("2026-01-07"),
        taken=moment("2026-01-07"),
        decided=moment("2026-02-20"),
    )
    assert found(late) == ["prompt payment"]
    assert found(late, told=(alert("2026-02-03"),)) == []
    in_time = filing(payer_id="SIMMB", arrived=late.arrived, taken=late.taken,
                     decided=moment("2026-02-05"))  # fmt: skip
    assert found(in_time) == []


def test_a_denial_whose_limit_passed_was_told_of() -> None:
    worked = WorkedDenial(NUMBER, 1, moment("2026-02-01"), moment("2026-06-01"), None)
    assert found(told=(worked,)) == ["limit"]
    assert found(told=(worked, alert("2026-05-28"))) == []
    ended = WorkedDenial(
        NUMBER, 1, moment("2026-02-01"), moment("2026-06-01"), moment("2026-03-01")
    )
    assert found(told=(ended,)) == []
    too_late = WorkedDenial(NUMBER, 1, moment("2026-06-03"), moment("2026-06-01"), None)
    assert found(told=(too_late,)) == ["limit"]
    assert found(told=(too_late, item("2026-06-03T12:00"))) == []


def test_no_item_is_opened_after_its_own_deadline_and_no_claim_is_forgotten() -> None:
    assert found(told=(item("2026-02-03", due="2026-02-01"),)) == ["opened"]
    assert found(told=(item("2026-02-03", due="2026-02-03"),)) == []
    forgotten = ClaimDate(NUMBER, "accepted", None, Moment(END - timedelta(days=2)))
    assert found(told=(forgotten,)) == ["due_at"]
    waiting = ClaimDate(NUMBER, "accepted", None, Moment(END + timedelta(days=2)))
    assert found(told=(waiting,)) == []


def disputed(kind: str, told_at: str | None = None, closed_at: str | None = None) -> Dispute:
    return Dispute(
        7, kind, moment(told_at) if told_at else None, moment(closed_at) if closed_at else None
    )


# Two lines of one case: the first one's last day counts.
LINES = (
    DisputedLine(7, Day("2026-06-01"), moment("2026-03-01")),
    DisputedLine(7, Day("2026-07-01"), moment("2026-04-01")),
    DisputedLine(None, Day("2026-04-01"), moment("2026-03-01")),
)


def letter(opened: str, resolved: str | None = None, case: str = "7") -> Item:
    return Item(
        "i2", "dispute", case, None, "DISPUTE_TO_APPROVE", moment(opened), moment("2026-06-01"),
        moment(resolved) if resolved else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((disputed("underpayment"),), ["limit"]),
        ((disputed("underpayment", "2026-06-01"),), []),
        ((disputed("underpayment", "2026-06-03"),), ["limit"]),
        ((disputed("underpayment", None, "2026-05-30"),), []),
        # That a payer has been told of it returns nothing.
        ((disputed("overpayment", "2026-05-01"),), ["limit"]),
        ((disputed("overpayment", "2026-05-01", "2026-05-30"),), []),
        ((disputed("underpayment"), Note("dispute/7", moment("2026-05-02"))), []),
        ((disputed("underpayment"), Note("dispute/8", moment("2026-05-02"))), ["limit"]),
        ((disputed("underpayment"), Note("dispute/7", moment("2026-06-03"))), ["limit"]),
        ((disputed("underpayment"), letter("2026-05-02")), []),
        ((disputed("underpayment"), letter("2026-05-02", case="8")), ["limit"]),
        ((disputed("underpayment"), letter("2026-03-02", "2026-03-20")), ["limit"]),
    ],
)
def test_a_dispute_whose_last_day_passed_was_told_of(told: Any, said: list[str]) -> None:
    assert found(told=(*LINES, *told)) == said


def test_a_dispute_whose_last_day_is_to_come_needs_no_alert() -> None:
    before = datetime(2026, 6, 1, 20, tzinfo=UTC)
    assert found(told=(*LINES, disputed("underpayment")), end=before) == []


def test_a_line_found_after_its_last_day_is_told_of_soon() -> None:
    late = DisputedLine(7, Day("2026-03-01"), moment("2026-03-09"))
    case = disputed("underpayment")
    assert found(told=(late, case)) == ["limit"]
    assert found(told=(late, case, Note("dispute/7", moment("2026-03-09T20:00")))) == []
    assert found(told=(late, case, Note("dispute/7", moment("2026-03-12")))) == ["limit"]


def asked(state: str) -> Request:
    return Request("T1", "p1", state, moment("2026-02-02"), moment("2026-02-16"))


@pytest.mark.parametrize(
    ("state", "decided", "said"),
    [
        ("pended", (), ["decide_by"]),
        ("certified", ("2026-02-12",), []),
        ("certified", ("2026-02-20",), ["decide_by"]),
        # A decision before it was asked for was about something else.
        ("certified", ("2026-01-12", "2026-02-20"), ["decide_by"]),
        ("call", (), []),
    ],
)
def test_an_authorization_that_is_decided_late_was_told_of(
    state: str, decided: tuple[str, ...], said: list[str]
) -> None:
    request = asked(state)
    assert found(told=(request,), decided=decided) == said
    assert found(told=(request, alert("2026-02-15")), decided=decided) == []
    assert found(told=(request, alert("2026-02-17")), decided=decided) == said
    assert found(told=(request,), end=datetime(2026, 2, 10, tzinfo=UTC)) == []
