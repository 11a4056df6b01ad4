"""What the plan past one machine counts is what the recorded history of a claim holds."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

COUNTED = {
    "activities": "ACTIVITY_TASK_SCHEDULED",
    "local activities (progress written down)": "MARKER_RECORDED",
    "signals": "WORKFLOW_EXECUTION_SIGNALED",
    "timers": "TIMER_STARTED",
    "search attribute upserts": "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
}


def test_the_counts_are_those_of_the_recorded_claim() -> None:
    history = json.loads((CHECKOUT / "tests/histories/claim_paid.json").read_text())
    kinds = Counter(event["eventType"].removeprefix("EVENT_TYPE_") for event in history["events"])
    counted = {name: kinds[kind] for name, kind in COUNTED.items()}
    page = (CHECKOUT / "deploy/scaling.md").read_text()
    said = {name: int(value) for name, value in re.findall(r"^\| ([^|]+) \| (\d+) \|$", page, re.M)}
    assert said == {
        "history events": len(history["events"]),
        **counted,
        "Temporal actions: one start and each of the above": 1 + sum(counted.values()),
    }
    commits = counted["activities"] + counted["local activities (progress written down)"]
    assert f"{commits} a claim (counted)" in page
