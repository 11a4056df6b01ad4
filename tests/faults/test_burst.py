"""What ``make burst`` plays, with few claims: all are sent, none twice.

Thousands, with an engine that dies: ``test_backlog``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from groupclaim.store.keys import Keyring
from tests.faults.burst import burst
from tests.faults.invariants import broken

CLAIMS = 30


async def test_every_claim_of_a_burst_is_sent_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = await burst(CLAIMS, tmp_path)
    record_property("tries", CLAIMS)
    record_property("lost", CLAIMS - found.versions_received)
    record_property("doubled", found.received_twice)
    record_property("figures", json.dumps(asdict(found)))
    assert (found.submitted, found.versions_received, found.received_twice) == (CLAIMS, CLAIMS, 0)
    state = tmp_path / "state"
    assert (
        await broken(
            f"sqlite:///{state / 'groupclaim.db'}",
            Keyring.load(state / "keys.json"),
            wire=state / "simulator" / "raw.jsonl",
            samples=tmp_path / "practice",
            logs=(state / "logs").glob("*.log"),
        )
        == []
    )
