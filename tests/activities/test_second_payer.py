"""Two payers, each with its own system: claims go to both, and both answer by 835.

Medicare allows 30.85 of 60.00 for P01 (Austin, 2026): 6.17 to the patient, 0.49 sequestration,
24.19 paid, 29.15 taken off. Texas Medicaid allows 25.20, so after that it pays 25.20 - 24.19 = 1.01
and takes 6.17 - 1.01 = 5.16 off; what came before is 60.00 - 6.17 = 53.83.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from activities.front_desk import FrontDesk
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from groupclaim.model.claim import ClaimPayment
from groupclaim.model.identity import control_number
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Coverage
from groupclaim.store import claims, ledger, practice, remittances
from tests.activities.house import SAMPLES, House
from tests.activities.test_sample_practice import accepted_versions

MEDICAID = {"from": "2025-01-01", "to": None, "group_number": None, "relationship": "self"}
SECOND = "888000111"


def _payers(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The sample's payers, changed; by payer id."""
    facts = json.loads((SAMPLES / "payers.json").read_text())
    change({payer["payer_id"]: payer for payer in facts["payers"]})
    return json.dumps(facts).encode()


def _insured_twice(payers: dict[str, Any]) -> None:
    """Texas Medicaid insures Medicare's P01 too, without any share of the patient."""
    medicare = next(item for item in payers["SIMMB"]["members"] if item["last_name"] == "Invented")
    payers["SIMTXM"]["members"].append(
        {
            **medicare,
            "member_ids": [{"id": SECOND, "from": "2025-01-01", "to": None}],
            "coinsurance_percent": 0,
        }
    )


def _crosses_over(payers: dict[str, Any]) -> None:
    _insured_twice(payers)
    for member in payers["SIMMB"]["members"]:
        if member["last_name"] == "Invented":
            member["crossover"] = {"payer": "SIMTXM", "member_id": SECOND}


def _says_primary(payers: dict[str, Any]) -> None:
    _insured_twice(payers)
    payers["SIMTXM"]["says_primary_always"] = True


async def _load(house: House, patient: str, *covers: dict[str, Any]) -> None:
    """Put these coverages of a patient on file, in their order, instead of those there are."""
    data = json.loads((SAMPLES / "practice.json").read_text())
    others = [item for item in data["coverages"] if item["patient"] != patient]
    data["coverages"] = others + [
        {**MEDICAID, "patient": patient, "priority": place, **item}
        for place, item in enumerate(covers, 1)
    ]
    async with house.quietly() as tx:
        await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))


async def _attend(house: House) -> None:
    await house.open_sessions()
    await house.hand_in()


async def _until(house: House, claim: str, last: str, *stages: Stage) -> None:
    """Let time pass until the claim is at one of these stages, or the day ``last`` begins."""
    end = datetime.fromisoformat(f"{last}T00:00:00+00:00")
    while house.states[claim].stage not in stages:
        coming = [await house.next_wakeup(), await house.next_delivery()]
        now = max(min(at for at in coming if at is not None), await house.clock.now())
        if now >= end:
            return
        await house.move_to(now)
        await house.poll()
        await house.wake(now)


async def _decisions(house: House, claim: str, owed: int = 0) -> tuple[ClaimPayment, ...]:
    """The decisions in force; nothing is open but what the patient owes."""
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        assert await ledger.unapplied_items(reading) == ()
        left = await ledger.balance(reading, claim)
        assert (left.payer_open, left.patient_open) == (0, owed)
        return await remittances.claim_payments(reading, claim)


@pytest.mark.parametrize(("change", "status"), [(_insured_twice, "2"), (_says_primary, "1")])
async def test_the_second_payer_pays_what_is_left_up_to_what_it_allows(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], status: str
) -> None:
    async with House(tmp_path, {"S1": ("P01", "P02")}, payers=_payers(change)) as house:
        await _load(
            house,
            "P01",
            {"payer": "medicare-part-b", "member_id": "1SS0SS0SS01"},
            {"payer": "texas-medicaid", "member_id": SECOND},
        )
        claim = await house.claim_of("S1", "P01")
        await _attend(house)
        await _until(house, claim, "2026-03-20", Stage.CLOSED)
        assert house.states[claim].stage is Stage.CLOSED
        first, second = await _decisions(house, claim)
        assert (first.status, first.paid, first.payer_sequence) == ("1", 2419, 1)
        assert (second.status, second.paid, second.payer_sequence) == (status, 101, 2)
        assert [(a.group, a.reason, a.cents) for a in second.adjustments] == [
            ("OA", "23", 5383),
            ("CO", "45", 516),
        ]
        assert set(accepted_versions(house)[claim]) == {
            control_number(claim, 1),
            control_number(claim, 2),
        }


async def test_what_crosses_over_is_paid_by_the_second_payer_without_a_claim_of_ours(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, {"S1": ("P01", "P02")}, payers=_payers(_crosses_over)) as house:
        await _load(
            house,
            "P01",
            {"payer": "medicare-part-b", "member_id": "1SS0SS0SS01"},
            {"payer": "texas-medicaid", "member_id": SECOND},
        )
        claim = await house.claim_of("S1", "P01")
        await _attend(house)
        await _until(house, claim, "2026-03-20", Stage.CROSSOVER)
        assert house.states[claim].stage is Stage.CROSSOVER
        await _until(house, claim, "2026-03-20", Stage.CLOSED)
        assert house.states[claim].stage is Stage.CLOSED
        first, second = await _decisions(house, claim)
        assert (first.status, first.paid) == ("19", 2419)
        assert (second.status, second.paid, second.version) == ("2", 101, 1)
        assert set(accepted_versions(house)[claim]) == {control_number(claim, 1)}


MUTUAL = "SMU700000004"


def _mutual_first(reversed_on: str) -> Callable[[dict[str, Any]], None]:
    """Sample Mutual insures P04 of Texas Medicaid (copay 1.00) with a copay of 20.00; Medicaid
    takes back."""

    def change(payers: dict[str, Any]) -> None:
        medicaid = next(
            item for item in payers["SIMTXM"]["members"] if item["last_name"] == "Notreal"
        )
        medicaid["copay_cents"] = 100
        payers["SIMSMU"]["members"].append(
            {
                **medicaid,
                "member_ids": [{"id": MUTUAL, "from": "2025-01-01", "to": None}],
                "copay_cents": 2000,
            }
        )
        payers["SIMTXM"]["reversals"] = [
            {
                "member_id": "000000504",
                "service_date": "2026-02-03",
                "on": reversed_on,
                "corrected_allowed_cents": None,
            }
        ]

    return change


@pytest.mark.parametrize("reversed_on", ["2026-03-02", "2026-03-16"])
async def test_a_payer_found_first_afterwards_is_billed_and_the_other_corrected(
    tmp_path: Path, reversed_on: str
) -> None:
    """Medicaid has paid 24.20 as the first and left 1.00. Sample Mutual, which is, allows 42.50:
    22.50 paid, a copay of 20.00 left. Of that Medicaid covers 25.20 - 22.50 = 2.70: it pays 1.70,
    leaves its own copay of 1.00, and takes 17.30 off.

    Mutual pays on the 10th of March: Medicaid takes its payment back before, or after.
    """
    world = _payers(_mutual_first(reversed_on))
    async with House(tmp_path, {"S1": ("P04", "P02")}, payers=world) as house:
        claim = await house.claim_of("S1", "P04")
        await _attend(house)
        await _until(house, claim, "2026-02-20", Stage.PATIENT_BALANCE)
        assert [item.paid for item in await _decisions(house, claim, 100)] == [2420]
        await _load(
            house,
            "P04",
            {"payer": "sample-mutual", "member_id": MUTUAL, "from": "2026-02-01"},
            {"payer": "texas-medicaid", "member_id": "000000504"},
            # As the first it ends before the day of the session.
            {
                "payer": "texas-medicaid",
                "member_id": "000000504",
                "priority": 1,
                "to": "2026-01-31",
            },
        )
        now = await house.clock.now()
        await house.happens(claim, events.FactLearned(at=now, key="found", fact="coverage"))
        hold = house.states[claim].hold
        assert hold is not None
        assert hold.code == "PAYER_ORDER"
        await house.happens(claim, events.HoldReleased(at=now, key="asked", code="PAYER_ORDER"))
        assert (house.states[claim].stage, house.states[claim].version) == (Stage.READY, 2)
        await _until(house, claim, "2026-04-20", Stage.PATIENT_BALANCE)
        assert house.states[claim].stage is Stage.PATIENT_BALANCE
        first, second = await _decisions(house, claim, 100)
        assert (first.version, first.payer_sequence, first.paid) == (2, 1, 2250)
        assert (second.version, second.payer_sequence, second.paid) == (3, 2, 170)
        assert [(a.group, a.reason, a.cents) for a in second.adjustments] == [
            ("OA", "23", 4000),
            ("CO", "45", 1730),
            ("PR", "3", 100),
        ]
        async with house.database.reading() as reading:
            version = await claims.read_version(reading, claim, 3)
        assert (version.frequency, version.parties.payer.ref) == ("7", "texas-medicaid")
        assert version.original_reference


async def test_a_claim_closed_long_ago_is_taken_up_for_a_payer_found_first(tmp_path: Path) -> None:
    """As above, but P04 has paid their 1.00 and the claim is closed when the front desk records the
    coverage: it is taken up again, and nothing more is asked of P04 at the end."""
    world = _payers(_mutual_first("2026-03-16"))
    async with House(tmp_path, {"S1": ("P04", "P02")}, payers=world) as house:
        claim = await house.claim_of("S1", "P04")
        await _attend(house)
        await _until(house, claim, "2026-02-20", Stage.PATIENT_BALANCE)
        front = FrontDesk(house.database, house.clock, cast(Client, house.switchboard))
        await front.patient_payment(claim, Cents(100), "R1", "front-desk")
        await house.settle()
        assert house.states[claim].stage is Stage.CLOSED
        found = {
            **MEDICAID, "patient": "P04", "payer": "sample-mutual", "priority": 1,
            "member_id": MUTUAL, "from": "2026-02-01",
        }  # fmt: skip
        given = Coverage.model_validate_json(json.dumps(found))
        assert await front.record_coverage(given, "front-desk", insert=True) == 1
        await house.settle()
        hold = house.states[claim].hold
        assert hold is not None
        assert hold.code == "PAYER_ORDER"
        now = await house.clock.now()
        await house.happens(claim, events.HoldReleased(at=now, key="asked", code="PAYER_ORDER"))
        assert (house.states[claim].stage, house.states[claim].version) == (Stage.READY, 2)
        await _until(house, claim, "2026-04-20", Stage.CLOSED)
        assert house.states[claim].stage is Stage.CLOSED
        first, second = await _decisions(house, claim)
        assert (first.version, first.paid, second.version, second.paid) == (2, 2250, 3, 170)


async def test_a_closed_claim_is_billed_to_a_second_payer_found_late(tmp_path: Path) -> None:
    """Medicare left 6.17, which P01 has paid. Medicaid, found then, pays 1.01 and takes 5.16 off:
    the 6.17 are P01's again."""
    async with House(tmp_path, {"S1": ("P01", "P02")}, payers=_payers(_insured_twice)) as house:
        claim = await house.claim_of("S1", "P01")
        await _attend(house)
        await _until(house, claim, "2026-03-20", Stage.PATIENT_BALANCE)
        front = FrontDesk(house.database, house.clock, cast(Client, house.switchboard))
        await front.patient_payment(claim, Cents(617), "R1", "front-desk")
        await house.settle()
        assert house.states[claim].stage is Stage.CLOSED
        found = {
            **MEDICAID, "patient": "P01", "payer": "texas-medicaid", "priority": 2,
            "member_id": SECOND,
        }  # fmt: skip
        given = Coverage.model_validate_json(json.dumps(found))
        assert await front.record_coverage(given, "front-desk") == 1
        await house.settle()
        assert (house.states[claim].stage, house.states[claim].version) == (Stage.READY, 2)
        await _until(house, claim, "2026-05-20", Stage.PATIENT_BALANCE, Stage.CLOSED)
        hold = house.states[claim].hold
        assert hold is not None
        assert hold.code == "REFUND_DUE"
        _, second = await _decisions(house, claim, -617)
        assert second.paid == 101


async def test_a_coverage_that_changes_nothing_leaves_a_closed_claim_closed(tmp_path: Path) -> None:
    async with House(tmp_path, {"S1": ("P01", "P02")}, payers=_payers(_insured_twice)) as house:
        claim = await house.claim_of("S1", "P01")
        await _attend(house)
        await _until(house, claim, "2026-03-20", Stage.PATIENT_BALANCE)
        front = FrontDesk(house.database, house.clock, cast(Client, house.switchboard))
        await front.patient_payment(claim, Cents(617), "R1", "front-desk")
        await house.settle()
        later = {
            **MEDICAID, "patient": "P01", "payer": "texas-medicaid", "priority": 2,
            "member_id": SECOND, "from": "2026-02-04",
        }  # fmt: skip
        await front.record_coverage(Coverage.model_validate_json(json.dumps(later)), "front-desk")
        await house.settle()
        assert (house.states[claim].stage, house.states[claim].version) == (Stage.CLOSED, 1)
        # More than a year after the service no claim is looked at for it.
        await house.move_to(datetime.fromisoformat("2027-02-05T12:00:00-06:00"))
        assert (
            await front.record_coverage(
                Coverage.model_validate_json(json.dumps(later | {"member_id": "888000112"})),
                "front-desk",
            )
            == 0
        )
