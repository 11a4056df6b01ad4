"""Workflows run without the sandbox of the SDK: what it would watch for is read in their source."""

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
    "collections.abc.Iterable", "collections.abc.Mapping", "contextlib", "datetime.timedelta",
    "typing.Any", "typing.Literal", "typing.TypeVar", "asyncio",
}  # fmt: skip
"""What may be used of the standard library: nothing that tells time or chance or goes outside."""

ASYNCIO = {"Lock", "Task", "create_task", "gather"}
"""Of asyncio, what goes by order alone: a thread, a set of tasks or a clock does not."""

OUTSIDE = {"__import__", "compile", "eval", "exec", "hash", "id", "input", "open"}
"""Built-in functions that go outside or differ from process to process."""

CHANGEABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
CHANGEABLES = {"bytearray", "deque", "dict", "list", "set"}
"""What all workflows of a worker would share, if it stood in a module."""


def faults(source: str) -> list[str]:
    """What in a workflow's module could make it run otherwise the second time."""
    tree = ast.parse(source)
    found = [f"shared {name}" for statement in tree.body for name in shared(statement)]
    for node in ast.walk(tree):
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
        if isinstance(node, ast.Name) and node.id in OUTSIDE:
            found.append(node.id)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "asyncio"
            and node.attr not in ASYNCIO
        ):
            found.append(f"asyncio.{node.attr}")
    return found


def shared(statement: ast.stmt) -> list[str]:
    """The names of changeable values that this statement gives a module, or a class in it."""
    if isinstance(statement, ast.ClassDef):
        return [name for inner in statement.body for name in shared(inner)]
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    if isinstance(statement, ast.AnnAssign) and "Mapping[" in ast.unparse(statement.annotation):
        return []  # mypy lets nobody change it
    value = statement.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        changeable = value.func.id in CHANGEABLES
    else:
        changeable = isinstance(value, CHANGEABLE)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [ast.unparse(target) for target in targets] if changeable else []


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
        ("def run():\n    return open('claims')", "open"),
        ("def run(claim):\n    return hash(claim)", "hash"),
        ("seen = set()", "shared seen"),
        ("class Claim:\n    inbox: deque[str] = deque()", "shared inbox"),
        ("steps = {'a': 1}", "shared steps"),
        ("steps: dict[str, int] = {'a': 1}", "shared steps"),
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
