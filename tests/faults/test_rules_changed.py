"""The file of a payer's rules is changed while a session is on its way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from activities import steps
from groupclaim.lifecycle.events import HoldReleased
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.tables import packaged
from groupclaim.store import claims
from tests.activities.house import House
from tests.activities.test_sample_practice import accepted_versions
from tests.console.visitor import practice_at
from worker.summary import claim_page

POLICY = "medicare-part-b"
ROSTER = ("P14", "P15", "P16")
"""Three of one payer in one room."""


def with_smaller_groups(folder: Path) -> PolicyBook:
    """The rules as a worker finds them that is started after the file has been changed: a group of
    more than two is looked at by a supervisor."""
    (folder / "payers").mkdir()
    written = (packaged() / "payers" / f"{POLICY}.toml").read_text(encoding="utf-8")
    changed = written.replace("soft = 10", "soft = 2")
    assert changed != written
    (folder / "payers" / f"{POLICY}.toml").write_text(changed)
    return PolicyBook.load(folder)


async def rules_found(house: House, number: str) -> set[str]:
    """Which versions of the policy the claim's findings rest on."""
    async with house.database.reading() as reading:
        found = await claims.read_findings(reading, number)
    return {item.source.version for item in found if item.source and item.source.policy == POLICY}


async def test_each_claim_shows_the_rules_it_was_made_by(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two claims of the room are made before the file is changed, one is coded after it."""
    async with practice_at(tmp_path, {"S2": ROSTER}) as practice:
        house = practice.house
        happens = {
            (item["kind"], item.get("patient")): item
            for item in house.happenings()
            if item.get("session") == "S2"
        }
        numbers = {ref: await house.claim_of("S2", ref) for ref in ROSTER}

        async def comes(kind: str, patient: str | None = None) -> None:
            item = happens[kind, patient]
            at = max(datetime.fromisoformat(item["at"]), await house.clock.now())
            await house.move_to(at)
            await house.from_outside(item)

        before = house.outside.policies
        day = datetime.fromisoformat("2026-02-05").date()
        old = before.policy(POLICY, day).version
        after = with_smaller_groups(tmp_path)
        new = after.policy(POLICY, day).version
        assert old != new

        await comes("attendance")
        for patient in ("P14", "P15"):
            await comes("note_signed", patient)
        object.__setattr__(house.outside, "policies", after)
        await comes("note_signed", "P16")
        hold = house.states[numbers["P16"]].hold
        assert hold is not None
        assert hold.code == "GROUP_SIZE_REVIEW"
        assert await rules_found(house, numbers["P16"]) == {new}
        for patient in ("P14", "P15"):
            assert house.states[numbers[patient]].stage == "ready"
            assert await rules_found(house, numbers[patient]) <= {old}

        first = await house.cut("1")
        assert first is not None
        await house.send(first)
        released = HoldReleased(
            at=await house.clock.now(), key="looked at", code="GROUP_SIZE_REVIEW"
        )
        await house.happens(numbers["P16"], released)
        second = await house.cut("2")
        assert second is not None
        await house.send(second)

        biller = await practice.signed_in("biller")
        expected = {"P14": old, "P15": old, "P16": new}
        for patient, version in expected.items():
            number = numbers[patient]
            (made,) = (await claim_page(house.database, number))["versions"]
            assert made["rules"] == f"{POLICY} {version}"
            page = (await biller.get(f"/claims/{number}")).text
            assert f"<td>{POLICY} {version}</td>" in page
            assert page.count({old: new, new: old}[version]) == 0
        batches = await house.rows(text("SELECT claims FROM batch ORDER BY interchange_control"))
        assert [row.claims for row in batches] == [2, 1]
        taken = accepted_versions(house)
        record_property("tries", len(ROSTER))
        record_property("lost", len(set(numbers.values()) - set(taken)))
        record_property("doubled", sum(sum(of.values()) > 1 for of in taken.values()))
        assert {number: dict(of) for number, of in taken.items()} == {
            number: {f"{number}A": 1} for number in numbers.values()
        }
        # Made again after all, it is made by the rules of now and says so.
        step = steps.ClaimStep(claim_number=numbers["P14"], sequence=60, version=1)
        coded = await house.perform(steps.CHECK_CODING, step)
        assert coded.held.code == "GROUP_SIZE_REVIEW"
        assert new in await rules_found(house, numbers["P14"])
