"""Scenarios cut out of the sample practice, and what is compared between two runs of one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from worker.demo import Scenario

CHECKOUT = Path(__file__).parents[2]
SAMPLES = CHECKOUT / "samples" / "small"


def only(folder: Path, session: str, *patients: str) -> Scenario:
    """The sample practice with one session and only these patients in it, written to ``folder``.

    Their notes say that only they were in the room, as they then were.
    """
    folder.mkdir()
    for name in ("practice.json", "payers.json"):
        shutil.copy(SAMPLES / name, folder)
    (kept,) = (item for item in _sample("sessions.json") if item["ref"] == session)
    kept["roster"] = [ref for ref in kept["roster"] if ref in patients]
    kept["other_services"] = [i for i in kept["other_services"] if i["patient"] in patients]

    outside = _sample("outside.json")
    events = []
    for event in outside["events"]:
        if event.get("session", session) != session:
            continue
        if event["kind"] == "attendance":
            event["participants"] = [i for i in event["participants"] if i["patient"] in patients]
            attended = sum(item["status"] == "attended" for item in event["participants"])
        elif (event.get("patient") or event["authorization"]["patient"]) not in patients:
            continue
        events.append(event)

    notes = {ref: note for ref, note in _sample("notes.json")[session].items() if ref in patients}
    for note in notes.values():
        note["group_size"] = attended
    for name, content in (
        ("sessions.json", [kept]),
        ("outside.json", {**outside, "events": events}),
        ("notes.json", {session: notes}),
    ):
        (folder / name).write_text(json.dumps(content))
    return Scenario.load(folder)


def _sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def table(outcome: dict[str, Any]) -> dict[str, Any]:
    """What must be the same however a run was disturbed."""
    parts = ("claims", "money", "by_payer", "by_session", "reasons")
    return {part: outcome[part] for part in parts}
