"""What a payer does about a claim with frequency 8: it takes its answer back, in its own way.

The commercial payer allows 42.00 of 65.00, takes a copay of 15.00, pays 27.00 after ten days and
acknowledges after one.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from groupclaim.simulator.clearinghouse import Clearinghouse
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import parse_world
from groupclaim.x12 import Payment, ProfessionalClaim, balance, read_277ca, read_835

START = "2026-02-02T15:00:00+00:00"
PAID, VOIDED = "2026-02-12", "2026-03-03"

Batches = Callable[..., tuple[dict[str, Payment], dict[str, tuple[bool, str]]]]


@pytest.fixture
def play(world_facts: dict[str, Any], practice: Any, tmp_path: Path) -> Iterator[Batches]:
    """Send each batch at its time; the payments by date, and by CLM01 what the payer's front door
    said and under which number. A claim may be made of the numbers given so far."""
    log = RawLog(tmp_path / "raw.jsonl")

    def played(*batches: Any) -> tuple[dict[str, Payment], dict[str, tuple[bool, str]]]:
        clock = DrivenClock(datetime.fromisoformat(START))
        house = Clearinghouse(parse_world(json.dumps(world_facts).encode()), log, clock)
        payments: dict[str, Payment] = {}
        said: dict[str, tuple[bool, str]] = {}

        def looked_at() -> None:
            for file in house.mailbox():
                if file.name.startswith("835"):
                    (payment,), problems = read_835(file.content)
                    assert (problems, balance(payment)) == ((), ())
                    payments[f"{payment.payment_date}"] = payment
                if file.name.startswith("277CA"):
                    (report,), _ = read_277ca(file.content)
                    for provider in report.providers:
                        for one in provider.claims:
                            said[one.control_number] = one.accepted, one.payer_claim_number

        for number, (at, make) in enumerate(batches, start=1):
            clock.advance(datetime.fromisoformat(at))
            looked_at()
            claims = make(said) if callable(make) else make
            house.receive(f"b{number}.edi", practice.batch(number, *claims))
        while (instant := house.next_delivery_at()) is not None:
            clock.advance(instant)
        looked_at()
        return payments, said

    yield played
    log.close()


def _summary(payment: Payment) -> list[tuple[str, str, int, int]]:
    return [
        (one.control_number, one.status, one.charge_cents, one.paid_cents) for one in payment.claims
    ]


def _plb(payment: Payment) -> list[tuple[str, int, str]]:
    return [(one.reason_code, one.cents, one.reference) for one in payment.provider_adjustments]


def _void(
    practice: Any, of: str = "C1A", as_: str = "C1B", **changes: Any
) -> Callable[[dict[str, tuple[bool, str]]], list[ProfessionalClaim]]:
    def made(said: dict[str, tuple[bool, str]]) -> list[ProfessionalClaim]:
        number = said[of][1]
        return [
            practice.claim(
                as_, "COMM1", "CI0009", frequency="8", original_reference=number, **changes
            )
        ]

    return made


def _first(practice: Any, number: str = "C1A", **changes: Any) -> list[ProfessionalClaim]:
    return [practice.claim(number, "COMM1", "CI0009", **changes)]


def test_a_paid_claim_is_reversed_and_may_be_billed_anew(play: Batches, practice: Any) -> None:
    payments, said = play(
        (START, _first(practice)),
        ("2026-02-21T15:00:00+00:00", _void(practice)),
        ("2026-03-05T15:00:00+00:00", _first(practice, "C1C")),
    )
    assert said["C1B"][0]
    reversal = payments[VOIDED]
    assert _summary(reversal) == [("C1A", "22", -6500, -2700)]
    (taken,) = reversal.claims
    assert taken.payer_claim_number == taken.references[0].value == said["C1A"][1]
    assert taken.patient_responsibility_cents == -1500
    # Nothing else is paid that day: the 27.00 are carried forward to the next payment.
    assert (reversal.paid_cents, [one[:2] for one in _plb(reversal)]) == (0, [("FB", -2700)])
    # As if it had never been: the same service is no duplicate, and the 27.00 are kept from it.
    again = payments["2026-03-15"]
    assert _summary(again) == [("C1C", "1", 6500, 2700)]
    assert (again.paid_cents, _plb(again)) == (0, [("FB", 2700, reversal.trace_number)])


def test_a_claim_that_is_not_decided_yet_is_paid_and_taken_back(
    play: Batches, practice: Any
) -> None:
    payments, _ = play((START, _first(practice)), ("2026-02-04T15:00:00+00:00", _void(practice)))
    assert _summary(payments[PAID]) == [("C1A", "1", 6500, 2700)]
    assert _summary(payments["2026-02-14"]) == [("C1A", "22", -6500, -2700)]


def test_the_deductible_that_a_voided_claim_had_met_is_open_again(
    play: Batches, practice: Any, world_facts: dict[str, Any]
) -> None:
    """20.00 of the deductible are left: the first pays 42.00 - 20.00 - 15.00 = 7.00."""
    world_facts["payers"][1]["members"][0]["deductible_remaining_cents"] = 2000
    payments, _ = play(
        (START, _first(practice)),
        ("2026-02-21T15:00:00+00:00", _void(practice)),
        ("2026-03-05T15:00:00+00:00", _first(practice, "C2A", day=date(2026, 3, 2))),
    )
    assert _summary(payments[PAID]) == [("C1A", "1", 6500, 700)]
    assert _summary(payments["2026-03-15"]) == [("C2A", "1", 6500, 700)]


def test_a_payer_that_keeps_its_money_from_the_next_payment(
    play: Batches, practice: Any, world_facts: dict[str, Any]
) -> None:
    world_facts["payers"][1]["voids"] = "takeback"
    payments, said = play(
        (START, _first(practice)),
        ("2026-02-21T15:00:00+00:00", _void(practice)),
        ("2026-03-05T15:00:00+00:00", _first(practice, "C2A", day=date(2026, 3, 2))),
    )
    assert sorted(payments) == [PAID, "2026-03-15"]
    kept = payments["2026-03-15"]
    assert _summary(kept) == [("C2A", "1", 6500, 2700)]
    assert (kept.paid_cents, _plb(kept)) == (0, [("WO", 2700, said["C1A"][1])])


def test_a_payer_that_wants_a_letter_takes_no_void(
    play: Batches, practice: Any, world_facts: dict[str, Any]
) -> None:
    world_facts["payers"][1]["voids"] = "letter"
    payments, said = play((START, _first(practice)), ("2026-02-21T15:00:00+00:00", _void(practice)))
    assert said["C1B"] == (False, "")
    assert sorted(payments) == [PAID]


@pytest.mark.parametrize("changes", [{"charge_cents": 6600}, {"day": date(2026, 2, 3)}])
def test_what_is_not_that_claim_does_not_void_it(
    play: Batches, practice: Any, changes: dict[str, Any]
) -> None:
    if "charge_cents" in changes:
        (line,) = practice.claim("C1B").lines
        changes = {**changes, "lines": (type(line)("LC1B", "90853", 6600, date(2026, 2, 2)),)}
    payments, _ = play(
        (START, _first(practice)), ("2026-02-21T15:00:00+00:00", _void(practice, **changes))
    )
    (refused,) = payments[VOIDED].claims
    assert (refused.control_number, refused.status, refused.paid_cents) == ("C1B", "4", 0)
    assert [(one.group_code, one.reason_code) for one in refused.lines[0].adjustments] == [
        ("CO", "16")
    ]


def test_a_claim_is_voided_once(play: Batches, practice: Any) -> None:
    payments, _ = play(
        (START, _first(practice)),
        ("2026-02-21T15:00:00+00:00", _void(practice)),
        ("2026-03-05T15:00:00+00:00", _void(practice, as_="C1C")),
    )
    assert _summary(payments[VOIDED]) == [("C1A", "22", -6500, -2700)]
    assert _summary(payments["2026-03-15"]) == [("C1C", "4", 6500, 0)]
