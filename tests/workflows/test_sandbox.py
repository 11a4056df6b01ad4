"""What the sandbox executes for each workflow it runs."""

import ast
from pathlib import Path

import pytest

import workflows

MODULES = sorted(Path(workflows.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_other_workflow_module_is_executed_anew(module: Path) -> None:
    """``from workflows import one`` is not passed through: the package is there already."""
    found = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "workflows"
    ]
    assert found == []
