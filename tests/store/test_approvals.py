"""Approvals on both databases: by the roles of who has been let in, every refusal audited."""

from __future__ import annotations

from groupclaim.model.approval import Decision
from groupclaim.store import approvals, audit, people, practice
from tests.store.world import NOW, World, practice_data, practice_file


async def asked(
    world: World, cents: int, by: str, second: str | None = None, kind: Decision = Decision.REFUND
) -> str | None:
    async with world.database.transaction() as tx:
        return await approvals.refusal(tx, kind, cents, "GC1", NOW, by=by, second=second)


async def test_a_name_is_known_by_its_letters_and_a_refusal_is_audited(world: World) -> None:
    assert await asked(world, 25_000, " Front-DESK ") is None
    assert "beyond what a biller decides" in (await asked(world, 25_001, "front-desk") or "")
    assert await asked(world, 25_001, "front-desk", "R. Lee") is None
    assert "T. Poe: is nobody" in (await asked(world, 1, "T. Poe") or "")
    async with world.database.reading() as reading:
        refused = [
            (entry.actor, dict(entry.detail))
            for entry in await audit.entries(reading, "GC1")
            if entry.action == "approval_refused"
        ]
    assert refused == [
        ("front-desk", {"decision": "refund", "cents": 25_001, "second": None}),
        ("T. Poe", {"decision": "refund", "cents": 1, "second": None}),
    ]


async def test_who_is_let_in_no_more_decides_no_more(world: World) -> None:
    async with world.database.transaction() as tx:
        user = await people.find(tx, "front-desk")
        assert user is not None
        await people.disable(tx, user.id, NOW)
    assert "front-desk: is nobody" in (await asked(world, 1, "front-desk") or "")


async def test_a_practices_own_limits_stand_in_from_their_day(world: World) -> None:
    own = [{"decision": "refund", "from": "2026-02-03", "roles": {"supervisor": 100}}]
    data = practice_data()["practice"] | {"approvals": own}
    async with world.database.transaction() as tx:
        await practice.load_practice(tx, practice_file(practice=data))
        listed = {item.decision: item for item in await approvals.in_force(tx, NOW)}
    assert listed.keys() == set(Decision)
    assert await asked(world, 100, "R. Lee") is None
    assert "beyond what a supervisor decides" in (await asked(world, 101, "R. Lee") or "")
    assert await asked(world, 101, "R. Lee", kind=Decision.REVIEW_RELEASE) is None
