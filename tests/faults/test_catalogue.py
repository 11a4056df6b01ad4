"""The list of faults is whole, its proofs are there, and its table never says more than was run."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.faults.__main__ import Tally, lines, survived
from tests.faults.catalogue import FAULTS, Fault

CHECKOUT = Path(__file__).parents[2]


@cache
def named_tests(file: str) -> set[str]:
    tree = ast.parse((CHECKOUT / file).read_text())
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_fault_is_listed_once_with_a_proof_or_the_word_that_there_is_none() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, 39))
    assert all(fault.proofs or fault.missing for fault in FAULTS)


def test_every_proof_is_a_test_of_this_checkout() -> None:
    proofs = [proof for fault in FAULTS for proof in fault.proofs]
    assert [
        proof
        for proof in proofs
        if proof.partition("::")[2] not in named_tests(proof.partition("::")[0])
    ] == []
    assert "test_nothing" not in named_tests("tests/store/test_audit.py")


PROVED = Fault(1, "proved", ("tests/a.py::test_a", "tests/a.py::test_b"))


@pytest.mark.parametrize(
    ("second", "row", "whole"),
    [
        (Tally(4, 4), ["5", "5", "0", "0"], True),
        (Tally(4, 3, uncounted=True), ["5", "4", "0?", "0?"], False),
        (Tally(4, 4, doubled=1), ["5", "5", "0", "1"], False),
        (Tally(4, 4, lost=2), ["5", "5", "2", "0"], False),
        (None, ["1", "1", "0?", "0?"], False),
    ],
)
def test_a_row_says_what_was_run(second: Tally | None, row: list[str], whole: bool) -> None:
    tallies = {"tests/a.py::test_a": Tally(1, 1)}
    if second:
        tallies["tests/a.py::test_b"] = second
    _, said = lines([PROVED], tallies)
    assert said.split()[2:] == row
    assert survived([PROVED], tallies) is whole


def test_what_nothing_proves_is_said_so() -> None:
    (_, said) = lines([Fault(2, "unproved", missing="nobody tried")], {})
    assert said.endswith("not covered: nobody tried")
    *_, said = lines([Fault(1, "partly", ("t",), missing="the rest")], {"t": Tally(1, 1)})
    assert said == " 1  not covered of it: the rest"


def test_the_command_runs_the_proofs() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults", "22"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *_, proved = ended.stdout.splitlines()
    assert proved.split()[-2:] == ["0", "0"]
    assert int(proved.split()[-4]) == int(proved.split()[-3]) >= 3
