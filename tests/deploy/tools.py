"""Debian's Prometheus programs, as the tests of what is deployed use them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"


def program(*names: str) -> str:
    """The first of these programs that is here; without any the test is skipped, in CI it fails."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        text = f"{names[0]} is missing (Debian: prometheus, prometheus-alertmanager)"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return found
