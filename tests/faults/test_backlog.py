"""The engine dies with many claims' work on its hands; one of many claims cannot be sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text, update

from groupclaim.model.base import parse
from groupclaim.model.session import AttendanceList
from groupclaim.store import claims
from groupclaim.store.schema import claim_version
from tests.faults.burst import NOW, Playing, Watch, playing
from tests.faults.extent import whole
from tests.faults.test_restored import play_on, stages
from tests.faults.wire import accepted_versions

CLAIMS = 5000 if whole() else 20
_PATIENCE = 7200 if whole() else 300
_AT_ONCE = 20


async def until(practice: Playing, query: str, count: int) -> float:
    """Seconds until ``query`` counts so many."""
    began = time.monotonic()
    async with asyncio.timeout(_PATIENCE):
        while True:
            for process in (practice.server.process, *practice.crew):
                process.check()
            async with practice.database.reading() as reading:
                if await reading.scalar(text(query)) == count:
                    return round(time.monotonic() - began, 1)
            await asyncio.sleep(0.5)


async def all_at_once(doing: list[Callable[[], object]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(act: Callable[[], object]) -> None:
        async with limit:
            await act()  # type: ignore[misc]

    await asyncio.gather(*map(one, doing))


async def whole_and_once(practice: Playing, expected: int) -> tuple[int, int]:
    """Nothing lost or doubled on the wire, and the books in order."""
    taken = accepted_versions(practice.simulator.raw_log)
    assert await practice.broken(histories=False) == []
    return expected - len(taken), sum(times > 1 for times in taken.values())


async def test_an_engine_killed_with_all_claims_waiting_hands_all_of_them_out(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every note has been signed while no worker was there: that is the backlog the engine dies
    with. It is drained when every claim has been taken up again."""
    async with playing(CLAIMS, tmp_path) as practice:
        await practice.start_sessions()
        came = [item for item in practice.came if item["kind"] == "attendance"]
        await all_at_once(
            [
                lambda item=item: practice.desk.record_attendance(  # type: ignore[misc]
                    parse(
                        AttendanceList,
                        {"session": item["session"], "participants": item["participants"]},
                        "attendance",
                    ),
                    by="burst",
                )
                for item in came
            ]
        )
        waiting = "SELECT COUNT(*) FROM claim WHERE hold_code = 'NOTE_UNSIGNED'"
        await until(practice, waiting, CLAIMS)
        practice.crew[0].stop()
        await all_at_once(
            [
                lambda ref=item["session"], one=one: practice.desk.sign_note(  # type: ignore[misc]
                    ref, one["patient"], NOW, by="burst"
                )
                for item in came
                for one in item["participants"]
            ]
        )
        practice.server.process.kill()
        await practice.server.start()
        practice.crew[0].start()
        drained = await until(practice, waiting, 0)
        ready = "SELECT COUNT(*) FROM claim WHERE stage = 'ready'"
        ready_after = round(drained + await until(practice, ready, CLAIMS), 1)
        await practice.cut_off()
        await Watch(practice, _PATIENCE).until("submitted", CLAIMS)
        figures = {"claims": CLAIMS, "drained_seconds": drained, "ready_seconds": ready_after}
        print(f"\nbacklog: {figures}")
        lost, doubled = await whole_and_once(practice, CLAIMS)
        record_property("tries", CLAIMS)
        record_property("lost", lost)
        record_property("doubled", doubled)
        record_property("figures", json.dumps(figures))
        assert (lost, doubled) == (0, 0)


async def test_one_claim_that_cannot_be_sent_holds_up_none_of_the_others(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """It lies in the midst of the others, is named with its cause, and they are paid."""
    async with playing(CLAIMS, tmp_path) as practice:
        watch = Watch(practice, _PATIENCE)
        await practice.start_sessions()
        await practice.hand_in()
        await watch.until("ready", CLAIMS)
        async with practice.database.transaction() as tx:
            rows = await tx.rows(
                text("SELECT claim_number FROM ready_claim ORDER BY control_number")
            )
            bad = rows[CLAIMS // 2].claim_number
            version = await claims.read_version(tx, bad, 1)
            name = version.parties.subscriber.model_copy(update={"last_name": "☃"})
            parties = version.parties.model_copy(update={"subscriber": name})
            spoiled = version.model_copy(update={"parties": parties})
            await tx.execute(
                update(claim_version)
                .filter_by(claim_number=bad, version=1)
                .values(document=tx.seal(claim_version, spoiled))
            )
        await practice.cut_off()
        held = "SELECT COUNT(*) FROM claim WHERE hold_code = 'CLAIM_REFUSED'"
        await until(practice, held, 1)
        await until(practice, "SELECT COUNT(*) FROM claim WHERE stage = 'submitted'", CLAIMS - 1)
        await play_on(practice)
        assert (await stages(practice))["closed"] == CLAIMS - 1
        async with practice.database.reading() as reading:
            found = await claims.read_findings(reading, bad)
        assert {item.hold for item in found if item.hold} == {"CLAIM_REFUSED"}
        taken = accepted_versions(practice.simulator.raw_log)
        assert not any(control.startswith(bad) for control in taken)
        lost, doubled = await whole_and_once(practice, CLAIMS - 1)
        record_property("tries", CLAIMS)
        record_property("lost", lost)
        record_property("doubled", doubled)
        assert (lost, doubled) == (0, 0)
