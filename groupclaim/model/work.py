"""Words about work items that the store and the workflows share."""

from __future__ import annotations


def changed_meanwhile(state: str, assignee: str | None, resolution: str | None) -> str:
    """What who comes second is told: what the item is now, and whose it is or who resolved it.
    Whose it is need not be who changed it: one may give it to another."""
    whose = f", given to {assignee}" if assignee else ""
    return f"changed meanwhile: it is {state} now{f', by {resolution}' if resolution else whose}"
