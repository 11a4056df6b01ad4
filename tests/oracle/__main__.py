"""Runs the judge: ``python -m tests.oracle ...`` or ``python tests/oracle ...``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if not __package__:  # started by its path: make this folder importable as a package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

sys.exit(importlib.import_module(".judge", __package__ or "oracle").main())
