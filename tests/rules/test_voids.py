"""What has to be done with each payer that has a claim which is not true."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any

import pytest

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.payer import PolicyBook
from groupclaim.rules.deadlines import Deadlines
from groupclaim.rules.holding import held
from groupclaim.rules.voids import AtPayer, Plan, asked, plan_void, refund_deadline

BOOK = PolicyBook.load()
DAY = date(2026, 2, 3)


def at(place: int = 1, **facts: Any) -> AtPayer:
    """A payer that takes voids, has version 1 and has paid 24.00 under its number."""
    return AtPayer.model_validate(
        {
            "place": place,
            "route": "void_claim",
            "version": place,
            "number": f"P{place}",
            "decided": True,
            "paid": 2400,
            "paid_on": date(2026, 3, 2),
            **facts,
        }
    )


UNDECIDED: dict[str, Any] = {"undecided": True, "decided": False, "paid": 0, "paid_on": None}
DENIED: dict[str, Any] = {"decided": False, "paid": 0}

CASES: list[tuple[str, AtPayer, str]] = [
    ("paid, nobody has agreed", at(), "approve"),
    ("denied: nothing is with the payer", at(**DENIED), "done"),
    ("not decided, no number yet", at(**UNDECIDED, number=None, approval=False), "wait_number"),
    ("not decided, known by its 277CA", at(**UNDECIDED, approval=False), "send"),
    ("nobody is asked", at(approval=False), "send"),
    ("a deductible alone was left", at(paid=0, share=2400, approval=False), "send"),
    ("sent", at(void="sent"), "wait"),
    ("sent, no answer", at(void="sent", answer_due=True), "silent"),
    ("sent, kept from a payment", at(void="sent", taken=2400), "settle"),
    ("sent, a part kept", at(void="sent", taken=1000), "wait"),
    ("refused", at(void="refused", approval=False), "refused"),
    ("no void taken: paid", at(route="refund"), "refund"),
    ("no void taken: nothing paid", at(route="refund", paid=0, share=2400), "settle"),
    ("no void taken: not decided", at(route="refund", **UNDECIDED), "wait_number"),
    ("never answered at all", at(**UNDECIDED, number=None, approval=False, answer_due=True),
     "silent"),
]  # fmt: skip


@pytest.mark.parametrize(("payer", "what"), [case[1:] for case in CASES], ids=lambda one: str(one))
def test_one_payer(payer: AtPayer, what: str) -> None:
    assert plan_void(True, [payer], (), approved=False).what == what


def test_what_people_have_said() -> None:
    assert plan_void(True, [at()], (), approved=True).what == "send"
    again = plan_void(True, [at(void="refused")], ("VOID_REFUSED",), approved=True)
    assert again.what == "send"
    silent = at(**UNDECIDED, void="sent", answer_due=True)
    assert plan_void(True, [silent], ("VOID_SILENT",), approved=True).what == "done"
    # Money that was paid is not let go by a word.
    paid = at(void="sent", answer_due=True)
    assert plan_void(True, [paid], ("VOID_SILENT",), approved=True).what == "silent"


def test_nothing_was_wrong_after_all() -> None:
    assert plan_void(False, [at()], (), approved=True).what == "stands"
    assert plan_void(False, [at(void="refused")], (), approved=True).what == "stands"
    # Once a payer was told it is carried through, whatever is found out meanwhile.
    assert plan_void(False, [at(void="sent")], (), approved=True).what == "wait"
    assert plan_void(False, [at(**DENIED, void="sent")], (), approved=True).what == "done"


def test_the_payer_billed_last_comes_first_in_whatever_order_they_are_read() -> None:
    payers = [at(1, void="none"), at(2), at(3, **DENIED)]
    for order in permutations(payers):
        assert plan_void(True, order, (), approved=True) == Plan(what="send", payer=payers[1])
    first = [payers[0], at(2, **DENIED, void="sent"), payers[2]]
    for order in permutations(first):
        assert plan_void(True, order, (), approved=True) == Plan(what="send", payer=payers[0])


def test_every_wait_is_a_hold_that_says_who_acts() -> None:
    policy = BOOK.policy("commercial", DAY)
    for _, payer, what in CASES:
        plan = plan_void(True, [payer], (), approved=False)
        hold = held(asked(plan, "GC1", "NO_SHOW", None, policy))
        assert (hold is None) == (what in ("done", "send", "wait", "settle"))
        if hold is not None:
            assert HOLDS[hold.code].waits_for.split(":")[0] in ("biller", "payer")
    withdrawn = asked(Plan(what="approve", payer=at()), "GC1", "NOTE_WITHDRAWN", None, policy)
    assert [item.hold for item in withdrawn] == ["DOCUMENTATION_CHANGED"]


@pytest.mark.parametrize(
    ("policy", "identified", "paid", "last"),
    [
        # 60 days after 16 March 2026: Friday 15 May.
        ("commercial", date(2026, 3, 16), date(2026, 3, 2), date(2026, 5, 15)),
        # Paid after it was known: 60 days after 25 March, a Sunday, so on Friday 22 May.
        ("texas-medicaid", date(2026, 3, 16), date(2026, 3, 25), date(2026, 5, 22)),
        # Six years are looked back: to the day, and not a day further.
        ("medicare-part-b", date(2032, 3, 2), date(2026, 3, 2), date(2032, 4, 30)),
        ("medicare-part-b", date(2032, 3, 3), date(2026, 3, 2), None),
        ("commercial", date(2032, 3, 3), date(2026, 3, 2), date(2032, 4, 30)),
    ],
)
def test_by_when_the_money_is_back(
    policy: str, identified: date, paid: date, last: date | None
) -> None:
    rules = BOOK.policy(policy, DAY)
    deadlines = Deadlines(rules, BusinessCalendar(), "America/Chicago")
    found = refund_deadline(rules, deadlines, identified, paid)
    assert (found.at.date() if found else None) == last
