"""Runs the judge: ``python -m tests.oracle ...`` or ``python tests/oracle ...``.

The identity key may come in the environment as GROUPCLAIM_IDENTITY_KEY instead of as an argument,
which everyone on the machine can read.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

if not __package__:  # started by its path: make this folder importable as a package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

arguments = sys.argv[1:]
if "--identity-key" not in arguments and "GROUPCLAIM_IDENTITY_KEY" in os.environ:
    arguments += ["--identity-key", os.environ["GROUPCLAIM_IDENTITY_KEY"]]
sys.exit(importlib.import_module(".judge", __package__ or "oracle").main(arguments))
