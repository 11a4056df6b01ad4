"""What groupclaim is made of: a bill of materials and a list of licences, from the lock file.

``python -m deploy.dependencies sbom`` writes CycloneDX 1.6 JSON, the same for the same lock file;
``licences`` a table, and ends 1 where a licence is not on the list of those we take. Licences are
what the installed packages say of themselves, so both run in the environment of the lock file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"

TAKEN = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "EPL-2.0",
        "ISC",
        "LGPL-3.0-only",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    }
)
"""SPDX ids. EPL, LGPL and MPL ask for changed files of the library itself; we change none."""

_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD license": "BSD-3-Clause",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages write in place of an SPDX id. "BSD" alone is taken for the three clauses."""

_READ = {"axe-playwright-python": "MIT"}
"""Read in the licence file of packages whose metadata names none."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    digests: tuple[str, ...]
    """SHA-256 of each file that may be installed, in hexadecimal."""
    licence: str
    """An SPDX expression, what the package says in other words, or nothing."""

    @property
    def taken(self) -> bool:
        """Whether each part of the licence, or one of those to choose from, is on the list."""
        return any(
            all(part.strip(" ()") in TAKEN for part in choice.split(" AND "))
            for choice in self.licence.split(" OR ")
        )


def licence_of(name: str, said: Message) -> str:
    """The licence by the first that is there: SPDX expression, text of one line, classifier."""
    if expression := said.get("License-Expression"):
        return str(expression)
    if name in _READ:
        return _READ[name]
    text = str(said.get("License") or "").strip()
    if text and "\n" not in text:
        return _SPDX.get(text, text)
    classifiers = [str(item) for item in said.get_all("Classifier") or ()]
    named = [item.split(" :: ")[-1] for item in classifiers if item.startswith("License :: ")]
    return " OR ".join(_SPDX.get(item, item) for item in named)


def locked(lock: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and digests of each package that the lock file names."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for block in re.split(r"\n(?=\S)", lock):
        named = re.match(r"([A-Za-z0-9_.-]+)==([^\s\\;]+)", block)
        if named:
            digests = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            found[named[1].lower()] = (named[2], digests)
    return found


def packages() -> list[Package]:
    """Every package of the lock file. Raises ``PackageNotFoundError`` for one not installed."""
    return [
        Package(name, version, digests, licence_of(name, _said(name)))
        for name, (version, digests) in sorted(locked(LOCK.read_text()).items())
    ]


def _said(name: str) -> Message:
    said: Any = metadata.metadata(name)
    assert isinstance(said, Message)
    return said


def bill_of_materials(made_of: Sequence[Package]) -> Mapping[str, Any]:
    """CycloneDX 1.6, without time and serial number: the same lock file gives the same bytes."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "groupclaim",
                "version": metadata.version("groupclaim"),
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{item.name}@{item.version}",
                "name": item.name,
                "version": item.version,
                "purl": f"pkg:pypi/{item.name}@{item.version}",
                "licenses": [{"expression": item.licence}],
                "properties": [
                    {"name": "groupclaim:sha256", "value": digest} for digest in item.digests
                ],
            }
            for item in made_of
        ],
    }


def main(arguments: Sequence[str]) -> int:
    made_of = packages()
    if arguments == ["sbom"]:
        sys.stdout.write(json.dumps(bill_of_materials(made_of), indent=1) + "\n")
        return 0
    if arguments != ["licences"]:
        sys.stderr.write("python -m deploy.dependencies sbom | licences\n")
        return 2
    for item in made_of:
        verdict = "" if item.taken else "  NOT TAKEN"
        sys.stdout.write(f"{item.name:<28} {item.version:<20} {item.licence}{verdict}\n")
    return 0 if all(item.taken for item in made_of) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
