"""A database of an hour ago beside a Temporal and a clearinghouse that have gone on."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from activities.cash_desk import CashDesk
from groupclaim.model.base import parse
from groupclaim.model.session import AttendanceList
from groupclaim.store import people, voids
from groupclaim.store.voids import Overpayment
from tests.faults.burst import Playing, Watch, playing
from tests.faults.extent import whole
from tests.faults.wire import accepted_versions
from tests.postgres import binary
from tests.store.conftest import postgres
from tests.temporal import PATIENCE_SECONDS
from worker import recovery_commands
from worker.practice_time import PracticeTime
from worker.process import SettingsRefused
from worker.recovery_commands import recovery

__all__ = ["postgres"]

CLAIMS = 20
LOOK_SECONDS = 0.2


def copy_of(url: str, to: Path) -> None:
    """As the guide makes one: whole, while everything goes on."""
    if url.startswith("postgresql"):
        run_postgres("pg_dump", "--format=custom", f"--file={to}", url)
        return
    database = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)


def restore(copy: Path, url: str) -> None:
    if url.startswith("postgresql"):
        run_postgres("pg_restore", "--clean", "--if-exists", f"--dbname={url}", str(copy))
        return
    database = Path(url.removeprefix("sqlite:///"))
    for beside in ("-wal", "-shm"):
        database.with_name(database.name + beside).unlink(missing_ok=True)
    database.write_bytes(copy.read_bytes())


def run_postgres(program: str, *arguments: str) -> None:
    subprocess.run([binary(program), *arguments], check=True, capture_output=True)


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


async def money(practice: Playing) -> list[str]:
    async with practice.database.reading() as reading:
        rows = await reading.rows(text("SELECT * FROM claim_money ORDER BY claim_number"))
        return [repr(tuple(row)) for row in rows]


async def bring_payments_again(practice: Playing) -> None:
    """The clearinghouse gives the files of payments out once more, and somebody hands them in."""
    cash = CashDesk(practice.database, practice.clock, practice.client)
    sent = [json.loads(line) for line in practice.simulator.raw_log.read_text().splitlines()]
    contents = {
        base64.b64decode(entry["body"])
        for entry in sent
        if entry["channel"] == "mailbox" and entry["direction"] == "sent"
    }
    for place, content in enumerate(sorted(item for item in contents if b"ST*835*" in item)):
        await cash.bring(content, f"again-{place}.edi", "A. Administrator")


@pytest.mark.parametrize(
    ("url", "answers"),
    [("sqlite", "none"), ("sqlite", "one"), ("sqlite", "all"), ("postgresql", "all")]
    if whole()
    else [("sqlite", "one"), ("postgresql", "all")],
)
async def test_what_temporal_and_the_clearinghouse_know_is_brought_back(
    url: str,
    answers: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Ten claims were ready when the copy was made. In the hour that is lost ten others became so,
    and all twenty were sent: not one of them may be sent again, and all are paid. Where the payer
    had paid them in that hour, nothing of it is lost once the file is handed in again."""
    empty = ""
    if url == "postgresql":
        empty = request.getfixturevalue("postgres").rsplit("/", 1)[0] + "/restored"
        with psycopg.connect(request.getfixturevalue("postgres"), autocommit=True) as server:
            server.execute("CREATE DATABASE restored")
    async with playing(CLAIMS, tmp_path, database_url=empty) as practice:
        database, copy = practice.settings.database_url, tmp_path / "copy.db"
        watch = Watch(practice)
        await practice.start_sessions()
        await practice.hand_in("S1")
        await watch.until("ready", 10)
        # The other ten wait for who came, however slow their payers were to answer.
        await time_of(practice, await practice.desk.connections()).quiet()
        copy_of(database, copy)
        since = datetime.now(UTC)
        await practice.hand_in("S2")
        await watch.until("ready", CLAIMS)
        await practice.cut_off()
        await watch.until("submitted", CLAIMS)
        if answers == "one":
            await next_mail(practice)
        elif answers == "all":
            await play_on(practice)
            assert await stages(practice) == {"closed": CLAIMS}
        before, last = await money(practice), await practice.clock.now()

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
            payments = differing.pop("posted_payment", 0)
            assert differing == {
                "claim_behind": CLAIMS,
                "batch_behind": 1,
                "unknown_interchange": 1,
            }
            assert (taken_files > 0) is (answers != "none")
            assert (payments > 0) is (answers == "all")
            mended = await found.mend("A. Administrator")
            assert len(mended) == CLAIMS + 2 + taken_files + payments
            assert await found.differences() == ()
        stage = {"none": "submitted", "one": "acknowledged", "all": "closed"}[answers]
        assert await stages(practice) == {stage: CLAIMS}

        practice.crew[0].start()
        await practice.clock.move_to(last)
        if answers == "all":
            await bring_payments_again(practice)
        await play_on(practice)
        assert await stages(practice) == {"closed": CLAIMS}
        if answers == "all":
            assert await money(practice) == before
        taken = accepted_versions(practice.simulator.raw_log)
        record_property("tries", CLAIMS)
        record_property("lost", CLAIMS - len(taken))
        record_property("doubled", sum(times > 1 for times in taken.values()))
        assert len(taken) == CLAIMS
        assert await practice.broken() == []


async def overpayments(practice: Playing) -> dict[str, Overpayment]:
    async with practice.database.reading() as reading:
        found = await voids.overpayments(reading)
        found += await voids.overpayments(reading, closed=True)
    return {one.claim_number: one for one in found}


async def put_on_record(practice: Playing, happened: list[dict[str, Any]]) -> None:
    """Put into the practice's own record what people came to know, for those who judge."""
    file = practice.settings.state.parent / "practice" / "outside.json"
    outside = json.loads(file.read_text())
    outside["events"] += happened
    file.write_text(json.dumps(outside))


async def test_claims_being_taken_back_are_brought_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ten of a session were paid when the copy was made. In the time that is lost B1 and B3
    turned out not to have been there and B2's note not to be valid; B3's money went back by cheque,
    and voids of the others were sent. Nothing is sent twice and no day of the sixty is won."""
    async with playing(10, tmp_path) as practice:
        async with practice.database.transaction() as tx:
            lee = people.Account(name="R. Lee", subject="R. Lee")
            await people.add_user(tx, lee, people.Role.SUPERVISOR, await practice.clock.now())
        database, copy = practice.settings.database_url, tmp_path / "copy.db"
        watch = Watch(practice)
        await practice.start_sessions()
        await practice.hand_in("S1")
        await watch.until("ready", 10)
        await practice.cut_off()
        await watch.until("submitted", 10)
        await play_on(practice)
        assert await stages(practice) == {"closed": 10}
        copy_of(database, copy)
        since = datetime.now(UTC)

        await happen(practice)
        absent, unsupported, paid_back = [
            await practice.desk.claim_number("S1", patient) for patient in ("B1", "B2", "B3")
        ]
        before = await overpayments(practice)
        assert before.keys() == {absent, unsupported, paid_back}
        assert (before[paid_back].outcome, before[paid_back].receipt) == ("refunded", "CHQ-1")
        took = await stages(practice)
        assert took == {"void": 2, "not_billable": 1, "closed": 7}

        later = await practice.clock.now() + timedelta(days=3)
        practice.crew[0].stop()
        await practice.database.close()
        restore(copy, database)
        # The wall clock of production does not go back with the database.
        await practice.clock.move_to(later)
        assert await overpayments(practice) == {}
        monkeypatch.setattr(recovery_commands, "_STILL_THERE", timedelta(0))
        async with recovery(practice.settings, since) as found:
            differing = {(item.kind, item.subject) for item in await found.differences()}
            assert {("claim_behind", f"claim/{one}") for one in before} <= differing
            assert Counter(kind for kind, _ in differing) == {
                "claim_behind": 10,  # all were told who came
                "batch_behind": 1,
                "unknown_interchange": 1,
            }
            failed = [item for item in await found.mend("A. Administrator")
                      if item.kind == "not_done_again"]  # fmt: skip
            assert failed == []
            assert await found.differences() == ()
        assert await stages(practice) == took
        after = await overpayments(practice)
        for number, one in before.items():
            mended = after[number]
            assert (mended.identified_on, mended.refund_by, mended.cents) == (
                one.identified_on, one.refund_by, one.cents,
            )  # fmt: skip
            assert (mended.reason, mended.outcome, mended.receipt) == (
                one.reason, one.outcome, one.receipt,
            )  # fmt: skip

        practice.crew[0].start()
        time = time_of(practice, await practice.desk.connections())
        await time.move_to(later)
        await play_on(practice)
        assert await stages(practice) == {"not_billable": 3, "closed": 7}
        taken = accepted_versions(practice.simulator.raw_log)
        assert sorted(taken.values()) == [1] * 12
        ended = await overpayments(practice)
        assert [ended[one].outcome for one in (absent, unsupported)] == ["reversed", "reversed"]
        assert await practice.broken() == []


async def until_taken_back(practice: Playing, claims: int) -> None:
    """Until so many claims are being taken back."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if (await stages(practice))["void"] == claims:
                return
            await asyncio.sleep(LOOK_SECONDS)


async def happen(practice: Playing) -> None:
    """What people come to know of S1 once it is paid, and do; until the voids have left."""
    time = time_of(practice, await practice.desk.connections())
    (came,) = [item for item in practice.came if item["kind"] == "attendance"]
    gone = {"status": "no_show", "minutes": 0}
    corrected = [
        {**one, **gone} if one["patient"] in ("B1", "B3") else one for one in came["participants"]
    ]
    given = {"session": "S1", "participants": corrected}
    desk = practice.desk
    at = (await practice.clock.now()).isoformat()
    await desk.record_attendance(parse(AttendanceList, given, "attendance"), by="burst")
    await desk.withdraw_note("S1", "B2", "written for another", "C. Clinician")
    await put_on_record(
        practice,
        [
            {**came, "at": at, "participants": corrected},
            {"at": at, "kind": "note_withdrawn", "session": "S1", "patient": "B2"},
        ],
    )
    await until_taken_back(practice, 3)
    number = await desk.claim_number("S1", "B3")
    owed = (await overpayments(practice))[number]
    assert await desk.refund_payer(number, owed.cents, "CHQ-1", by="R. Lee")
    for patient, code in (("B1", "ATTENDANCE_CHANGED"), ("B2", "DOCUMENTATION_CHANGED")):
        number = await desk.claim_number("S1", patient)
        await desk.release_hold(number, code=code, by="R. Lee", reason="it is as was said")
    await until_taken_back(practice, 2)
    await time.quiet()
    async with practice.database.reading() as reading:
        sent = "SELECT COUNT(*) FROM batch WHERE state = 'accepted'"
        before = await reading.scalar(text(sent))
    while True:
        async with practice.database.reading() as reading:
            if await reading.scalar(text(sent)) > before:
                return
        moment = await time.next_moment()
        assert moment is not None
        await time.move_to(moment)
