"""After a practice was played: nothing of its patients where nothing personal may stand.

Searched are the database's files, ids of workflows, metrics, logs, and every address and refusal of
the console. The same search finds what it looks for where it is plain: in the practice's own files.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import deque
from html import unescape

import pytest
from prometheus_client import REGISTRY, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from groupclaim.store import people
from tests.activities.house import KEYRING, SAMPLES
from tests.console.visitor import Practice
from tests.worker.test_telemetry import Lines, lines
from worker.exporter import Exporter
from worker.settings import Settings

__all__ = ["lines"]

MOST_PAGES = 80

_ADDRESS = re.compile(r'(?:href|src|action|hx-get|hx-post)="([^"]*)"')


def planted(practice: Practice) -> list[str]:
    """What is personal of everyone on the rosters: names, member ids, birth dates, sentences."""
    refs = {ref for roster in practice.house.rosters.values() for ref in roster}
    file = json.loads((SAMPLES / "practice.json").read_text())
    notes = json.loads((SAMPLES / "notes.json").read_text())
    people = [item for item in file["patients"] if item["ref"] in refs]
    found = [item["last_name"] for item in people]
    found += [item["birth_date"] for item in people]
    found += [item["birth_date"].replace("-", "") for item in people]
    found += [item["member_id"] for item in file["coverages"] if item["patient"] in refs]
    found += [
        note["participation"]
        for session, of_session in notes.items()
        if session in practice.house.rosters
        for ref, note in of_session.items()
        if ref in refs
    ]
    return sorted(set(found))


def hits(content: bytes, words: list[str]) -> list[str]:
    """Which of the words stand in the content; a payer's name may be one of them by chance."""
    file = json.loads((SAMPLES / "practice.json").read_text())
    for payer in file["payers"]:
        content = content.replace(payer["name"].encode(), b"")
    return [word for word in words if word.encode() in content]


def test_the_search_finds_what_is_plain(played: Practice) -> None:
    words = planted(played)
    plain = b"".join((SAMPLES / name).read_bytes() for name in ("practice.json", "notes.json"))
    dates = [word for word in words if re.fullmatch(r"\d{8}", word)]
    assert hits(plain, words) == [word for word in words if word not in dates]
    wire = b"".join(b64decode(entry["body"]) for entry in played.house.wire())
    assert set(hits(wire, dates)) == set(dates)


def test_the_database_files_hold_nothing_personal(played: Practice) -> None:
    files = list(played.house._folder.glob("groupclaim.db*"))
    content = b"".join(path.read_bytes() for path in files)
    assert b"GC" in content
    assert hits(content, planted(played)) == []


async def test_ids_hold_nothing_personal(played: Practice) -> None:
    rows = await played.house.rows(text("SELECT workflow_id FROM wakeup"))
    ids = [*played.house.switchboard.started, *(row.workflow_id for row in rows)]
    assert len(ids) > 3
    assert hits("\n".join(ids).encode(), planted(played)) == []


async def test_metrics_hold_nothing_personal(played: Practice) -> None:
    folder = played.house._folder
    settings = Settings(state=folder, keys=folder / "keys.json")
    KEYRING.save(settings.keys_file)
    exporter = Exporter(settings)
    assert await exporter.read(everything=True)
    await exporter.close()
    metrics = generate_latest(exporter.registry) + generate_latest(REGISTRY)
    assert b"groupclaim_claims{" in metrics
    assert hits(metrics, planted(played)) == []


async def test_addresses_refusals_and_logs_of_the_console_hold_nothing_personal(
    played: Practice, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = planted(played)
    browser = await played.signed_in("biller")
    waiting, addresses = deque(["/"]), {"/"}
    opened = 0
    while waiting and opened < MOST_PAGES:
        answer = await browser.get(waiting.popleft())
        opened += 1
        assert answer.status_code < 500
        for address in map(unescape, _ADDRESS.findall(answer.text)):
            if address.startswith("/") and address not in addresses:
                addresses.add(address)
                if not address.startswith(("/static/", "/sign-out")):
                    waiting.append(address)
    assert opened > 20
    assert hits("\n".join(addresses).encode(), words) == []
    name = words[-1]
    for address in (f"/claims/{name}", f"/sessions/{name}", f"/nowhere/{name}"):
        answer = await browser.get(address)
        assert answer.status_code == 404
        assert hits(answer.content, words) == []

    # What is noted of failures, whose own texts hold a name, of a statement's values and of a page.
    async def broken(*_: object) -> None:
        raise OperationalError("SELECT last_name", {"last_name": name}, Exception(name))

    async def wrong(*_: object) -> None:
        raise ValueError(name)

    for failing, status in ((broken, 503), (wrong, 500)):
        monkeypatch.setattr(people, "visit", failing)
        answer = await browser.get(f"/claims/{name}")
        assert answer.status_code == status
        assert hits(answer.content, words) == []
    told = lines()
    assert {"no database", "page failed"} <= {line["event"] for line in told}
    assert hits(json.dumps(told).encode(), words) == []
