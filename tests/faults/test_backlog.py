"""Thousands of claims at once: the engine dies with all their work on its hands, and one of them
cannot be sent."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text, update

from groupclaim.store import claims
from groupclaim.store.schema import claim_version
from tests.faults.burst import Playing, peak_megabytes, playing
from tests.faults.extent import whole
from tests.faults.wire import accepted_versions

CLAIMS = 5000 if whole() else 20
_MOST_MEGABYTES = 1024
"""Of each worker; there is one for each processor. One alone with 5,000 open claims took 1,110."""
_PATIENCE = 7200 if whole() else 300


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


async def spoil(practice: Playing) -> str:
    """A name that no 837P can carry, in a claim in the midst of the others: its number."""
    async with practice.database.transaction() as tx:
        rows = await tx.rows(text("SELECT claim_number FROM ready_claim ORDER BY control_number"))
        bad = str(rows[len(rows) // 2].claim_number)
        version = await claims.read_version(tx, bad, 1)
        name = version.parties.subscriber.model_copy(update={"last_name": "☃"})
        parties = version.parties.model_copy(update={"subscriber": name})
        spoiled = version.model_copy(update={"parties": parties})
        await tx.execute(
            update(claim_version)
            .filter_by(claim_number=bad, version=1)
            .values(document=tx.seal(claim_version, spoiled))
        )
    return bad


async def test_of_thousands_at_once_all_are_sent_once_but_the_one_that_cannot_be(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every note has been signed while no worker was there: that is the backlog the engine dies
    with. It is drained when every claim has been taken up again. One cannot be sent: it is named
    with its cause, and holds up none of the others."""
    async with playing(CLAIMS, tmp_path, workers=os.cpu_count() or 1) as practice:
        await practice.start_sessions()
        await practice.of_each_session(practice.record_attendance)
        waiting = "SELECT COUNT(*) FROM claim WHERE hold_code = 'NOTE_UNSIGNED'"
        await until(practice, waiting, CLAIMS)
        for worker in practice.crew:
            worker.stop()
        await practice.of_each_session(practice.sign_notes)
        practice.server.process.kill()
        await practice.server.start()
        for worker in practice.crew:
            worker.start()
        drained = await until(practice, waiting, 0)
        ready = "SELECT COUNT(*) FROM claim WHERE stage = 'ready'"
        ready_after = round(drained + await until(practice, ready, CLAIMS), 1)
        bad = await spoil(practice)
        await practice.cut_off()
        await until(
            practice, "SELECT COUNT(*) FROM claim WHERE hold_code = 'CLAIM_REFUSED'", count=1
        )
        sent = "SELECT COUNT(*) FROM claim WHERE stage = 'submitted'"
        await until(practice, sent, CLAIMS - 1)
        async with practice.database.reading() as reading:
            found = await claims.read_findings(reading, bad)
        assert {item.hold for item in found if item.hold} == {"CLAIM_REFUSED"}
        taken = accepted_versions(practice.simulator.raw_log)
        assert not any(control.startswith(bad) for control in taken)
        lost, doubled = CLAIMS - 1 - len(taken), sum(times > 1 for times in taken.values())
        most = max(map(peak_megabytes, practice.crew))
        figures = {
            "claims": CLAIMS, "drained_seconds": drained, "ready_seconds": ready_after,
            "worker_peak_megabytes": most,
        }  # fmt: skip
        record_property("tries", CLAIMS)
        record_property("lost", lost)
        record_property("doubled", doubled)
        record_property("figures", json.dumps(figures))
        assert await practice.broken(histories=False) == []
        assert (lost, doubled) == (0, 0)
        assert most < _MOST_MEGABYTES
