"""Words about work items that the store and the workflows share."""

from __future__ import annotations


def changed_meanwhile(state: str, assignee: str | None) -> str:
    """What who comes second is told: that the item changed, by whom, and what it is now."""
    whose = f" by {assignee}" if assignee else ""
    return f"changed meanwhile{whose}: it is {state} now"
