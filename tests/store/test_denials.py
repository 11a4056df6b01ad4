"""Denials on both databases: numbered once, letters sealed, cases with what is at stake."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from groupclaim.store import denials
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import denial_letter
from groupclaim.store.waiting import open_work
from tests.store.world import NOW, World

PLAN = {"rule": "denial:97:review_coding", "playbook": "abc", "action": "review_coding", "who": "x"}


def cause(of: str = "CO-97", scope_id: str = "s1") -> denials.Cause:
    return denials.Cause("session", scope_id, "payer1", of, "coding", "NOT_DISTINCT")


async def opened(world: World, place: int = 0, version: int = 1, on: int = 2, **more: str) -> int:
    async with world.database.transaction() as tx:
        return await denials.open_denial(
            tx, world.claims[place], version, cause(**more), 6000, date(2026, 3, on), PLAN, NOW
        )


async def test_one_denial_of_a_version_is_opened_once_and_the_next_version_overtakes_it(
    world: World,
) -> None:
    assert [await opened(world), await opened(world)] == [1, 1]
    assert await opened(world, version=2) == 2
    async with world.database.reading() as reading:
        first = await denials.read_denial(reading, world.claims[0], 1)
        current = await denials.find_open(reading, world.claims[0])
        assert await denials.last_number(reading, world.claims[0]) == 2
        with pytest.raises(UnknownRecord):
            await denials.read_denial(reading, world.claims[0], 3)
        assert (await open_work(reading)).denials == ((world.claims[0], 2),)
    assert first.outcome == "superseded"
    assert current is not None
    assert current.number == 2


async def test_denials_with_one_cause_are_one_case(world: World) -> None:
    for place in (0, 1):
        await opened(world, place)
    await opened(world, 2, of="CO-18")
    async with world.database.reading() as reading:
        cases = await denials.list_cases(reading)
        members = await denials.denials_of_case(reading, cases[0].case_id)
        with pytest.raises(UnknownRecord):
            await denials.denials_of_case(reading, "dc0")
    assert [(item.cause, item.open, item.open_cents) for item in cases] == [
        ("CO-97", 2, 12_000), ("CO-18", 1, 6000),
    ]  # fmt: skip
    assert {item.claim_number for item in members} == set(world.claims[:2])
    async with world.database.transaction() as tx:
        number = members[0].claim_number
        assert await denials.conclude(tx, number, 1, "written_off", NOW)
        assert not await denials.conclude(tx, number, 1, "paid", NOW)
    async with world.database.reading() as reading:
        (first,) = [item for item in await denials.list_cases(reading) if item.cause == "CO-97"]
    assert (first.denials, first.open, first.open_cents) == (2, 1, 6000)


async def test_a_letter_is_sealed_replaced_while_a_draft_and_upheld_by_a_later_decision(
    world: World,
) -> None:
    await opened(world)
    number = world.claims[0]
    async with world.database.transaction() as tx:
        for content in (b"draft", b"better"):
            await denials.keep_letter(tx, number, 1, "appeal", 1, "mail", content, NOW)
        assert await denials.read_packet(tx, number, 1, 1) == b"better"
        assert b"better" not in await tx.scalar(select(denial_letter.c.content))
        (draft,) = await denials.letters_of(tx, number, 1)
        assert (draft.position, draft.state, draft.delivery_key) == (1, "drafted", f"{number}-1-1")
        await denials.change_letter(
            tx, number, 1, 1, state="received", receipt="T1", received_at=NOW + timedelta(days=1)
        )
    assert await opened(world) == 1  # the same decision told again answers nothing
    async with world.database.reading() as reading:
        assert (await denials.letters_of(reading, number, 1))[0].state == "received"
    assert await opened(world, on=30, of="CO-193") == 1
    async with world.database.transaction() as tx:
        assert (await denials.letters_of(tx, number, 1))[0].state == "upheld"
        await denials.keep_letter(tx, number, 1, "appeal", 2, "mail", b"second", NOW)
        assert [item.level for item in await denials.letters_of(tx, number, 1)] == [1, 2]
        await denials.drop_draft(tx, number, 1)
        assert len(await denials.letters_of(tx, number, 1)) == 1
        with pytest.raises(UnknownRecord):
            await denials.read_packet(tx, number, 1, 2)
