"""The sample practice from its first day to its last, through every activity, against the outcome
worked out by hand: in calm, and with workers that die between any two effects."""

from __future__ import annotations

import base64
import csv
from collections import Counter, defaultdict
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from groupclaim.store import ledger, reports
from groupclaim.x12 import read_837p
from tests.activities.house import SAMPLES, SMALL, House, Reaper

_MONEY = (
    "charge_cents",
    "patient_paid_cents",
    "patient_open_cents",
    "payer_open_cents",
    "contractual_cents",
)


async def run_to_the_end(house: House) -> None:
    await house.open_sessions()
    await house.settle()
    outside = house.happenings()
    last = datetime.fromisoformat(outside[-1]["at"])
    while True:
        coming = [
            datetime.fromisoformat(outside[0]["at"]) if outside else None,
            await house.next_wakeup(),
            await house.next_delivery(),
        ]
        next_at = min((at for at in coming if at is not None), default=None)
        if next_at is None or (not outside and next_at > last):
            return
        now = max(next_at, await house.clock.now())
        await house.move_to(now)
        await house.poll()
        while outside and datetime.fromisoformat(outside[0]["at"]) <= now:
            await house.from_outside(outside.pop(0))
        await house.wake(now)


def accepted_versions(house: House) -> dict[str, Counter[str]]:
    """By claim number, how often each CLM01 was accepted: from the bytes that arrived."""
    versions: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in house.wire():
        taken = entry["outcome"] in ("accepted", "accepted_answer_lost")
        if entry["channel"] == "batch" and entry["direction"] == "received" and taken:
            transactions, problems = read_837p(base64.b64decode(entry["body"]))
            assert problems == ()
            for transaction in transactions:
                for claim in transaction.claims:
                    versions[claim.control_number[:-1]][claim.control_number] += 1
    return versions


async def differences(house: House) -> list[str]:
    """Where the store and the wire say something else than samples/expected.csv."""
    standing = {
        row.claim_number: row
        for row in await house.rows(text("SELECT * FROM participant_standing"))
    }
    money = {row.claim_number: row for row in await house.rows(text("SELECT * FROM claim_money"))}
    findings = {
        (row.claim_number, row.rule)
        for row in await house.rows(text("SELECT claim_number, rule FROM finding"))
    }
    remittances = Counter(
        row.claim_number
        for row in await house.rows(
            text("SELECT claim_number FROM remittance_claim WHERE posting IN ('applied', 'denied')")
        )
    )
    versions = accepted_versions(house)
    different = []
    for row in csv.DictReader((SAMPLES / "expected.csv").open()):
        if row["patient"] not in house.rosters.get(row["session"], ()):
            continue
        number = await house.claim_of(row["session"], row["patient"])
        got = {
            "standing": standing[number].standing,
            "reason": standing[number].reason,
            "final_stage": standing[number].stage,
            "accepted_versions": str(len(versions[number])),
            "remittances": str(remittances[number]),
            "findings": ";".join(
                rule for rule in row["findings"].split(";") if (number, rule) in findings
            ),
        }
        if row["charge_cents"]:
            got |= {name: str(getattr(money[number], name)) for name in _MONEY}
        different += [
            f"{row['session']} {row['patient']}: {name} is {value}, expected {row[name]}"
            for name, value in got.items()
            if value != row[name]
        ]
        different += [
            f"{row['session']} {row['patient']}: version {control[-1]} was accepted {times} times"
            for control, times in versions[number].items()
            if times != 1
        ]
    return different


async def test_each_kind_of_claim_ends_as_worked_out_by_hand(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await run_to_the_end(house)
        assert await differences(house) == []
        assert sum(len(names) for names in SMALL.values()) == len(house.states)
        # Exactly the planted underpayment: 22.10 for 28.15, which no known mistake explains.
        async with house.database.reading() as reading:
            found = await reports.report(reading, "underpayments", date(2026, 4, 30))
        planted = await house.claim_of("S3", "P17")
        assert [
            (row["claim_number"], row["pattern"], row["expected_cents"], row["underpaid_cents"])
            for row in found
        ] == [(planted, "unexplained", 2815, 605)]
        async with house.database.reading() as reading:
            assert await ledger.verify(reading) == ()


@pytest.mark.parametrize("seed", [1, 2])
async def test_workers_that_die_anywhere_change_nothing(tmp_path: Path, seed: int) -> None:
    async with House(tmp_path, careless=True) as house:
        reaper = Reaper(seed, share=0.2)
        house.unleash(reaper)
        await run_to_the_end(house)
        assert reaper.kills > 50
        assert await differences(house) == []
        async with house.database.reading() as reading:
            assert await ledger.verify(reading) == ()
