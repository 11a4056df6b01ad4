"""A database of an hour ago beside a Temporal and a clearinghouse that have gone on."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.faults.burst import CUTOFF, Playing, Watch, playing
from tests.faults.invariants import broken, broken_histories
from tests.faults.wire import accepted_versions
from worker import recovery_commands
from worker.plugin import groupclaim_plugin
from worker.practice_time import PracticeTime
from worker.process import SettingsRefused, payload_keys
from worker.recovery_commands import recovery

CLAIMS = 20


def copy_of(database: Path, to: Path) -> None:
    """As the guide makes one: whole, while everything goes on."""
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)


def restore(copy: Path, database: Path) -> None:
    for beside in ("-wal", "-shm"):
        database.with_name(database.name + beside).unlink(missing_ok=True)
    database.write_bytes(copy.read_bytes())


def time_of(practice: Playing, connections: tuple[str, ...]) -> PracticeTime:
    return PracticeTime(
        practice.database,
        practice.clock,
        practice.client,
        practice.simulator,
        connections,
        (practice.server.process, practice.simulator.process, *practice.crew),
    )


async def next_mail(practice: Playing) -> None:
    time = time_of(practice, await practice.desk.connections())
    moment = await practice.simulator.next_at()
    assert moment is not None
    await time.move_to(moment)


async def play_on(practice: Playing) -> None:
    """Until the payers have said everything."""
    time = time_of(practice, await practice.desk.connections())
    await time.quiet()
    while await time.mail_is_due():
        moment = await time.next_moment()
        assert moment is not None
        await time.move_to(moment)


async def stages(practice: Playing) -> Counter[str]:
    async with practice.database.reading() as reading:
        return Counter(row.stage for row in await reading.rows(text("SELECT stage FROM claim")))


@pytest.mark.parametrize("answers", [0, 1], ids=["sent", "answered"])
async def test_what_temporal_and_the_clearinghouse_know_is_brought_back(
    answers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """Ten claims were ready when the copy was made. In the hour that is lost ten others became so,
    and all twenty were sent: not one of them may be sent again, and all are paid."""
    async with playing(CLAIMS, tmp_path) as practice:
        state = practice.settings.state
        database, copy = state / "groupclaim.db", tmp_path / "copy.db"
        watch = Watch(practice)
        await practice.start_sessions()
        await practice.hand_in("S1")
        await watch.until("ready", 10)
        copy_of(database, copy)
        since = datetime.now(UTC)
        await practice.hand_in("S2")
        await watch.until("ready", CLAIMS)
        await practice.cut_off()
        await watch.until("submitted", CLAIMS)
        for _ in range(answers):
            await next_mail(practice)

        with pytest.raises(SettingsRefused, match="stop them first"):
            async with recovery(practice.settings, since):
                pass
        practice.crew[0].stop()
        await practice.database.close()
        restore(copy, database)
        assert (await stages(practice))["submitted"] == 0
        monkeypatch.setattr(recovery_commands, "_STILL_THERE", timedelta(0))

        async with recovery(practice.settings, since) as found:
            differing = Counter(item.kind for item in await found.differences())
            taken_files = differing.pop("taken_file", 0)
            assert differing == {
                "claim_behind": CLAIMS,
                "batch_behind": 1,
                "unknown_interchange": 1,
            }
            assert (taken_files > 0) is (answers > 0)
            mended = await found.mend("A. Administrator")
            assert len(mended) == CLAIMS + 2 + taken_files
            assert await found.differences() == ()
        assert await stages(practice) == {"acknowledged" if answers else "submitted": CLAIMS}

        practice.crew[0].start()
        await practice.clock.move_to(CUTOFF)
        await play_on(practice)
        assert await stages(practice) == {"closed": CLAIMS}
        taken = accepted_versions(practice.simulator.raw_log)
        record_property("tries", CLAIMS)
        record_property("lost", CLAIMS - len(taken))
        record_property("doubled", sum(times > 1 for times in taken.values()))
        assert len(taken) == CLAIMS
        assert (
            await broken(
                practice.settings.database_url,
                practice.database.keyring,
                wire=practice.simulator.raw_log,
                samples=tmp_path / "practice",
            )
            == []
        )
        keyring = practice.database.keyring
        plugin = groupclaim_plugin(payload_keys(keyring), keyring.current)
        assert await broken_histories(practice.client, plugin) == []
