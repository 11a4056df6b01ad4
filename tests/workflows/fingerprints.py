"""The commands of every workflow, in their order; ``python -m`` on this module writes them down.

A workflow's history must match the commands that its code gives. So a change of them is to be seen
and meant: this is the list that a change of the code is compared with.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

WORKFLOWS = Path(__file__).parents[2] / "workflows"
RECORDED = Path(__file__).with_name("fingerprints.json")
REGENERATE = "python -m tests.workflows.fingerprints"

COMMANDS = frozenset(
    {
        "perform", "perform_here", "execute_activity", "execute_local_activity", "start_activity",
        "start_local_activity", "start_child_workflow", "execute_child_workflow",
        "upsert_search_attributes", "upsert_memo", "wait_condition", "until", "sleep",
        "continue_as_new", "patched", "deprecate_patch", "create_task", "gather",
        "get_external_workflow_handle", "signal", "cancel", "uuid4", "random",
    }
)  # fmt: skip
"""Calls that give a command, or decide when the next is given."""


def fingerprints() -> dict[str, list[str]]:
    """For each function of each workflow module, its commands with their first argument."""
    found: dict[str, list[str]] = {}
    for path in sorted(WORKFLOWS.glob("*.py")):
        for name, function in _functions(ast.parse(path.read_text())):
            commands = [_written(call) for call in _calls(function) if _name(call.func) in COMMANDS]
            if commands:
                found[f"{path.stem}.{name}"] = commands
    return found


def _functions(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((node.name, node))
        elif isinstance(node, ast.ClassDef):
            found += [
                (f"{node.name}.{part.name}", ast.Module(body=part.body, type_ignores=[]))
                for part in node.body
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
    return found


def _calls(tree: ast.AST) -> list[ast.Call]:
    """The calls in ``tree`` in the order of the text."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _written(call: ast.Call) -> str:
    timed = [word.arg for word in call.keywords if word.arg in ("timeout", "start_delay")]
    first = [_short(call.args[0])] if call.args else []
    return f"{_name(call.func)}({', '.join([*first, *timed])})"


def _short(argument: ast.expr) -> str:
    """An argument as written; of a record, only which one: additions to it are not commands."""
    return _name(argument.func) if isinstance(argument, ast.Call) else ast.unparse(argument)


def main() -> None:
    RECORDED.write_text(json.dumps(fingerprints(), indent=2) + "\n")


if __name__ == "__main__":
    main()
