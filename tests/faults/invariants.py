"""All invariants of the design at once, over whatever a fault has left behind.

One checker for every proof: it opens the database by itself and reads the clearinghouse's raw log,
the hand-written practice and the engine's histories where there are any. The oracle judges I1 to
I4, I6 and I10 from outside where it has the practice; what it does not know is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from sqlalchemy import func, select, text
from temporalio.client import Client, WorkflowHistory
from temporalio.plugin import SimplePlugin
from temporalio.worker import Replayer

from groupclaim.model.patient import Authorization, Coverage, Patient
from groupclaim.store import audit, ledger
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Reading
from groupclaim.store.keys import Keyring
from groupclaim.store.schema import authorization, authorization_use, coverage, metadata, patient
from tests.faults.wire import accepted_versions
from tests.oracle.judge import judge
from tests.workflows.histories import in_the_clear, search_attributes

STANDINGS = ("in_progress", "held", "billed", "not_billable")

_JUDGED = ("I1", "I2", "I3", "I4", "I6", "I10")
_NEEDS_A_RUN = ("at least one", "rows")
"""How the judge says that there is nothing to judge: a fault may have left nobody billed."""

_NOT_A_PAYERS_WORD = "garbage-"
"""Files that the simulator spoils on purpose: nobody can read them, the judge neither."""

_MOST_PEOPLE = 200
_SHORT = 6
"""Shorter names are words of any text."""


async def broken(
    url: str,
    keyring: Keyring,
    *,
    wire: Path | None = None,
    samples: Path | None = None,
    moving: bool = True,
    logs: Iterable[Path] = (),
) -> list[str]:
    """Which invariants do not hold, each with where; nothing, where all do.

    ``moving``: workflows carry the claims, so each that waits must have a date. ``logs`` are
    searched for personal data beside the database.
    """
    database = Database.connect(url, keyring)
    try:
        async with database.transaction() as tx:
            await audit.seal(tx, await practice_now(tx))
        async with database.reading() as reading:
            found = [f"I4: {violation}" for violation in await ledger.verify(reading)]
            found += await _standings(reading)
            found += await _over_granted(reading)
            if moving:
                found += await _silent(reading)
            tampering = await audit.verify(reading)
            found += [f"I7: {tampering}"] if tampering else []
            words = await _personal(reading)
            found += await _in_the_clear(reading, words)
        for log in logs:
            found += _hits(log.name, log.read_text(errors="replace"), words)
    finally:
        await database.close()
    if wire is not None:
        found += [
            f"I1: {version} was taken {times} times"
            for version, times in accepted_versions(wire).items()
            if times > 1
        ]
    if wire is not None and samples is not None:
        verdict = judge(url, wire, samples, keyring.identity_key)
        found += [
            f"{item['invariant']}: {item['row']} {item['column']}: expected {item['expected']}, "
            f"found {item['found']}"
            for item in verdict["disagreements"]
            if item["invariant"] in _JUDGED
            and not item["expected"].startswith(_NEEDS_A_RUN)
            and not item["row"].startswith(_NOT_A_PAYERS_WORD)
        ]
    return found


async def broken_histories(client: Client, plugin: SimplePlugin) -> list[str]:
    """I8 and I9 of every workflow that the server knows: all is encrypted, ids and attributes name
    nobody, and the history replays on today's code. ``plugin`` has the keys of the payloads."""
    replayer = Replayer(workflows=[], plugins=[plugin])
    found = []
    async for execution in client.list_workflows():
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = await handle.fetch_history()
        found += [f"I8: {execution.id}: {said}" for said in _plain(history)]
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            found.append(f"I9: {execution.id}: {type(result.replay_failure).__name__}")
    return found


def _plain(history: WorkflowHistory) -> list[str]:
    found = [f"{place} is not encrypted" for place in in_the_clear(history)]
    # An id is of small letters and digits, a stage or code of letters; a name has both and spaces.
    return found + [
        f"attribute {name} says {value!r}"
        for name, value in search_attributes(history)
        if not re.fullmatch(rb'"?[\w.:+-]*"?', value)
    ]


async def _standings(reading: Reading) -> list[str]:
    """I2 as far as the store knows: everyone ever on a roster stands exactly once somewhere, and
    who is held or not billable has a reason."""
    roster = await reading.scalar(text("SELECT COUNT(*) FROM participant"))
    rows = await reading.rows(
        text("SELECT claim_number, standing, reason, stage FROM participant_standing")
    )
    found = [f"I2: {roster} on rosters, {len(rows)} standings"] if len(rows) != roster else []
    for row in rows:
        if row.standing not in STANDINGS or not row.stage:
            found.append(f"I2: {row.claim_number} stands at {row.standing}, {row.stage}")
        elif row.standing in ("held", "not_billable") and not row.reason:
            found.append(f"I2: {row.claim_number} is {row.standing} without a reason")
    return found


async def _over_granted(reading: Reading) -> list[str]:
    """I5: authorizations of which more is in use than the payer granted."""
    used = {
        row.authorization_id: int(row.units)
        for row in await reading.rows(
            select(
                authorization_use.c.authorization_id,
                func.sum(authorization_use.c.units).label("units"),
            )
            .where(authorization_use.c.state != "released")
            .group_by(authorization_use.c.authorization_id)
        )
    }
    found = []
    for row in await reading.rows(select(authorization.c.id, authorization.c.document)):
        given = reading.unseal(authorization, row.document, Authorization)
        if used.get(row.id, 0) > max(given.units - given.used, 0):
            found.append(f"I5: authorization {row.id}: {used[row.id]} in use")
    return found


async def _silent(reading: Reading) -> list[str]:
    """I6: claims that wait without any date, so that nobody would ever be told."""
    rows = await reading.rows(
        text(
            "SELECT s.claim_number, s.stage, s.reason FROM participant_standing s"
            " LEFT JOIN wakeup w ON w.workflow_id = 'claim/' || s.claim_number"
            " JOIN claim c ON c.claim_number = s.claim_number"
            " WHERE s.standing IN ('in_progress', 'held') AND w.due_at IS NULL"
        )
    )
    return [f"I6: {row[0]} waits at {row[1]} ({row[2]}) without a date" for row in rows]


async def _personal(reading: Reading) -> list[str]:
    """Names, birth dates and member ids of the people on file, of the first few hundred."""
    words: set[str] = set()
    for row in await reading.rows(select(patient.c.document).limit(_MOST_PEOPLE)):
        person = reading.unseal(patient, row.document, Patient)
        words |= {person.last_name, person.birth_date.isoformat(), f"{person.birth_date:%Y%m%d}"}
    for row in await reading.rows(select(coverage.c.document).limit(_MOST_PEOPLE)):
        words.add(reading.unseal(coverage, row.document, Coverage).member_id)
    return sorted(word for word in words if len(word) >= _SHORT)


async def _in_the_clear(reading: Reading, words: Sequence[str]) -> list[str]:
    """I8: whatever stands personal in a column, encrypted ones included."""
    found = []
    for table in metadata.sorted_tables:
        rows = await reading.rows(select(table))
        for place, column in enumerate(table.columns):
            cells = (row[place] for row in rows if row[place] is not None)
            content = "\n".join(
                cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
                for cell in cells
                if not isinstance(cell, int | date)
            )
            found += _hits(f"{table.name}.{column.name}", content, words)
    return found


def _hits(place: str, content: str, words: Sequence[str]) -> list[str]:
    """Where words stand; which words is not said, so that no report holds them."""
    if not words:
        return []
    pattern = re.compile("|".join(map(re.escape, words)))
    count = len(pattern.findall(content))
    return [f"I8: {place} holds something personal {count} times"] if count else []
