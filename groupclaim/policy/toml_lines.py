"""Reads TOML, and tells where in a file a key stands: `tomllib` tells values, not lines."""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str | int, ...]

_PLACE = re.compile(r"(.*) \(at line (\d+), column \d+\)")

_ARRAY_TABLE = re.compile(r"\s*\[\[\s*([\w.-]+)\s*\]\]")
_TABLE = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*\"?([\w-]+)\"?\s*=")


class NotToml(ValueError):
    """The text says on which line and why, as ``3: not TOML: Invalid value``."""


def read_toml(text: str) -> dict[str, Any]:
    """What ``text`` holds. Raises :class:`NotToml`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        line, reason = (found[2], found[1]) if found else ("1", str(error))
        raise NotToml(f"{line}: not TOML: {reason}") from None
    except RecursionError:
        raise NotToml("1: not TOML that is taken: nested too deep") from None


class TomlLines:
    """The lines of a file made of ``[[tables]]``, ``[table.tables]`` and one key a line.

    >>> TomlLines("[[edition]]\\n[edition.units]\\nper_day = 1\\n").of(("edition", 0, "units"))
    2
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        counts: dict[str, int] = {}
        table: Path = ()
        for number, line in enumerate(text.splitlines(), 1):
            if found := _ARRAY_TABLE.match(line):
                name = found[1]
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            elif found := _TABLE.match(line):
                first, *rest = found[1].split(".")
                table = (first, counts[first], *rest) if first in counts else (first, *rest)
            elif found := _KEY.match(line):
                self._lines.setdefault((*table, found[1]), number)
                continue
            else:
                continue
            self._lines.setdefault(table, number)

    def of(self, path: Path) -> int:
        """The line of ``path``, else of the nearest table around it; 1 when there is none."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1
