"""No rule and no policy reads a clock, a random number or the environment: times are passed in."""

import ast
from pathlib import Path

import pytest

import groupclaim

HOUSE = Path(groupclaim.__file__).parent
MODULES = sorted((*HOUSE.glob("rules/*.py"), *HOUSE.glob("policy/*.py"), *HOUSE.glob("model/*.py")))
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "perf_counter", "getenv"}
REFUSED_MODULES = {"time", "random", "secrets", "uuid", "os", "socket"}


def offences(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[]) if name in CLOCKS:
                # datetime.time() of a given moment is not a clock
                found += [] if name == "time" else [f"line {node.lineno}: .{name}()"]
            case ast.Call(func=ast.Attribute(attr="now" | "fromtimestamp" as name)):
                found.append(f"line {node.lineno}: .{name}(...)")
            case ast.Import(names=names):
                found += [
                    f"line {node.lineno}: import {item.name}"
                    for item in names
                    if item.name.split(".")[0] in REFUSED_MODULES
                ]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in REFUSED_MODULES:
                found.append(f"line {node.lineno}: from {module}")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_module_reads_no_clock(module: Path) -> None:
    assert offences(ast.parse(module.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\ndatetime.now()",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.date.today()",
        "import time\ntime.time()",
        "from random import random",
        "import os",
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    assert offences(ast.parse(code))
