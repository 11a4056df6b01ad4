"""How much of a proof is run: a part in ``make test``, the whole of it in ``make faults``."""

from __future__ import annotations

import os

VARIABLE = "GROUPCLAIM_FAULTS"


def whole() -> bool:
    """True under ``python -m tests.faults``, which sets the variable."""
    return os.environ.get(VARIABLE) == "whole"
