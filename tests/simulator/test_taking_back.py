"""What a payer does to money it has paid: reversals, corrections, takebacks; and wrong sums."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import oxedi
import pytest

from groupclaim.simulator.clearinghouse import Clearinghouse
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import parse_world
from groupclaim.x12 import Adjustment, Payment, balance, read_835

START = datetime.fromisoformat("2026-02-02T09:00:00-06:00")
FIRST, LATER = date(2026, 2, 2), date(2026, 3, 2)


@pytest.fixture
def play(world_facts: dict[str, Any], practice: Any, tmp_path: Path) -> Iterator[Any]:
    """Send each batch at its time, and give all payments by date."""
    logs = []

    def played(facts: dict[str, Any], *batches: tuple[str, Any]) -> dict[str, Payment]:
        logs.append(RawLog(tmp_path / f"raw{len(logs)}.jsonl"))
        clock = DrivenClock(START)
        house = Clearinghouse(parse_world(json.dumps(facts).encode()), logs[-1], clock)
        for number, (at, claims) in enumerate(batches, start=1):
            clock.advance(datetime.fromisoformat(at))
            house.receive(f"b{number}.edi", practice.batch(number, *claims))
        while (instant := house.next_delivery_at()) is not None:
            clock.advance(instant)
        payments = {}
        for file in house.mailbox():
            if file.name.startswith("835"):
                (payment,), problems = read_835(file.content)
                assert problems == ()
                said = list(oxedi.parse(file.content).diagnostics)
                assert (said == []) == (balance(payment) == ())
                payments[f"{payment.payment_date}"] = payment
        return payments

    yield played
    for log in logs:
        log.close()


def _summary(payment: Payment) -> list[tuple[str, str, int, int]]:
    return [
        (one.control_number, one.status, one.charge_cents, one.paid_cents) for one in payment.claims
    ]


def _plb(payment: Payment) -> list[tuple[str, int]]:
    return [(one.reason_code, one.cents) for one in payment.provider_adjustments]


# The commercial payer allows 42.00 of 65.00, takes a copay of 15.00, and pays after ten days.


def test_a_reversal_mirrors_the_payment_and_its_correction_follows(
    play: Any, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][1]["reversals"] = [
        {"member_id": "CI0009", "service_date": "2026-02-02", "on": "2026-03-12",
         "corrected_allowed_cents": 3000}
    ]  # fmt: skip
    claims = [practice.claim("C1A", "COMM1", "CI0009")]
    others = [practice.claim("C2A", "COMM1", "CI0009", day=LATER)]
    payments = play(world_facts, (START.isoformat(), claims), ("2026-03-02T15:00:00Z", others))
    first, last = payments["2026-02-12"], payments["2026-03-12"]
    assert _summary(first) == [("C1A", "1", 6500, 2700)]
    assert _summary(last) == [
        ("C2A", "1", 6500, 2700),
        ("C1A", "22", -6500, -2700),
        ("C1A", "1", 6500, 1500),
    ]
    assert last.paid_cents == 2700 - 2700 + 1500
    assert balance(last) == ()
    paid, (_, reversal, correction) = first.claims[0], last.claims
    assert reversal.payer_claim_number == paid.payer_claim_number
    assert reversal.references[0].value == paid.payer_claim_number
    assert reversal.patient_responsibility_cents == -1500
    assert reversal.lines[0].adjustments == (
        Adjustment("CO", "45", -2300),
        Adjustment("PR", "3", -1500),
    )
    assert reversal.lines[0].allowed_cents == -4200
    assert correction.payer_claim_number != paid.payer_claim_number
    assert correction.references[0].value == paid.payer_claim_number
    assert correction.lines[0].adjustments == (
        Adjustment("CO", "45", 3500),
        Adjustment("PR", "3", 1500),
    )


def test_a_reversal_alone_is_carried_forward_and_the_claim_may_be_replaced(
    play: Any, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][1]["reversals"] = [
        {"member_id": "CI0001", "service_date": "2026-02-02", "on": "2026-02-20",
         "corrected_allowed_cents": None}
    ]  # fmt: skip
    claims = [practice.claim("C1A", "COMM1", "CI0009")]
    payments = play(world_facts, (START.isoformat(), claims))
    last = payments["2026-02-20"]
    assert _summary(last) == [("C1A", "22", -6500, -2700)]
    assert (last.paid_cents, _plb(last)) == (0, [("FB", -2700)])
    assert balance(last) == ()

    number = payments["2026-02-12"].claims[0].payer_claim_number
    again = [practice.claim("C1B", "COMM1", "CI0009", frequency="7", original_reference=number)]
    payments = play(world_facts, (START.isoformat(), claims), ("2026-02-23T15:00:00Z", again))
    assert _summary(payments["2026-03-05"]) == [("C1B", "1", 6500, 2700)]


def test_what_was_never_paid_is_not_reversed(
    play: Any, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][1]["reversals"] = [
        {"member_id": "CI0002", "service_date": "2026-02-02", "on": "2026-02-20",
         "corrected_allowed_cents": None}
    ]  # fmt: skip
    # Denied: this member's services need an authorization.
    claims = [practice.claim("C1A", "COMM1", "CI0002")]
    payments = play(world_facts, (START.isoformat(), claims))
    assert {day: _summary(one) for day, one in payments.items()} == {
        "2026-02-12": [("C1A", "4", 6500, 0)]
    }


def test_a_takeback_is_announced_without_cost_and_taken_in_parts(
    play: Any, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][1]["takebacks"] = [
        {"announced_on": "2026-03-12", "cents": 2700, "reference_member_id": "CI0009",
         "service_date": "2026-02-02", "taken": [{"payment_date": "2026-03-13", "cents": 1000},
                                                  {"payment_date": "2026-03-14", "cents": 1700}]}
    ]  # fmt: skip
    batches = [(START.isoformat(), [practice.claim("C1A", "COMM1", "CI0009")])]
    batches += [
        (
            f"{day}T15:00:00Z",
            [practice.claim(f"C{day:%d}A", "COMM1", "CI0009", day=day)],
        )
        for day in (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))
    ]
    payments = play(world_facts, *batches)
    number = payments["2026-02-12"].claims[0].payer_claim_number
    assert [_plb(payments[day]) for day in sorted(payments)] == [
        [],
        [("WO", 2700), ("FB", -2700)],
        [("FB", 1000)],
        [("FB", 1700)],
    ]
    assert [payments[day].paid_cents for day in sorted(payments)] == [2700, 2700, 1700, 1000]
    assert payments["2026-03-12"].provider_adjustments[0].reference == number
    assert all(balance(payment) == () for payment in payments.values())


def test_a_payment_that_is_a_cent_off(
    play: Any, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][1]["unbalanced"] = [{"payment_date": "2026-02-12", "off_by_cents": 1}]
    payments = play(world_facts, (START.isoformat(), [practice.claim("C1A", "COMM1", "CI0009")]))
    (difference,) = balance(payments["2026-02-12"])
    assert (difference.level, difference.cents) == ("payment", 1)
    assert payments["2026-02-12"].paid_cents == 2701
