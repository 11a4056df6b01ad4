"""Workflows share their modules, so the sandbox does not see what these use: it is read here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import workflows
import workflows.claim as claims
from tests.workflows.test_replay import HISTORIES, read, replayer

MODULES = sorted(Path(workflows.__file__).parent.glob("*.py"))

ROOMS = ("activities", "groupclaim", "workflows", "temporalio", "pydantic")
"""What may be imported whole: import contracts say which parts of ours."""

STANDARD = {
    "__future__.annotations", "collections.deque", "collections.abc.Callable",
    "collections.abc.Iterable", "contextlib", "datetime.timedelta", "typing.Any", "typing.Literal",
    "typing.TypeVar",
    "asyncio",
}  # fmt: skip
"""What may be used of the standard library: nothing that tells time or chance or goes outside."""

ASYNCIO = {"Lock", "Task", "create_task", "gather"}
"""Of asyncio, what goes by order alone: a thread, a set of tasks or a clock does not."""


def faults(source: str) -> list[str]:
    """What in a workflow's module could make it run otherwise the second time."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [
            name for name in names if name.split(".")[0] not in ROOMS and name not in STANDARD
        ]
        if isinstance(node, ast.Global):
            found += [f"global {name}" for name in node.names]
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "asyncio"
            and node.attr not in ASYNCIO
        ):
            found.append(f"asyncio.{node.attr}")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_workflow_uses_nothing_that_differs_from_run_to_run(module: Path) -> None:
    assert faults(module.read_text()) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import random", "random"),
        ("from datetime import datetime", "datetime.datetime"),
        ("from time import monotonic", "time.monotonic"),
        ("import asyncio\nasyncio.to_thread(len)", "asyncio.to_thread"),
        ("def run():\n    global count", "global count"),
    ],
)
def test_what_differs_is_found(source: str, fault: str) -> None:
    assert faults(source) == [fault]


async def test_a_workflow_runs_on_the_module_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executed anew for each, it would not see what was changed here, and cost each its copy."""
    told: list[object] = []

    def tell(reasons: object) -> str:
        told.append(reasons)
        return ""

    monkeypatch.setattr(claims, "_told", tell)
    (paid,) = (path for path in HISTORIES if path.stem == "claim_paid")
    await replayer().replay_workflow(read(paid))
    assert told
