"""The bill of materials names all that is locked, and no licence is there that we do not take."""

from __future__ import annotations

import re
from email.message import Message

import pytest

from deploy.dependencies import LOCK, Package, bill_of_materials, licence_of, locked, packages


def test_every_locked_package_is_in_the_bill_with_its_digests() -> None:
    lines = re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(), re.MULTILINE)
    bill = bill_of_materials(packages())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [(item["name"], item["version"]) for item in bill["components"]] == sorted(
        (name.lower(), version) for name, version in lines
    )
    assert all(item["properties"] for item in bill["components"])


def test_a_lock_file_is_read() -> None:
    text = "# by uv\na-b==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via c\nc==2!3.1\n"
    assert locked(text) == {"a-b": ("1.0", ("0" * 64,)), "c": ("2!3.1", ())}


def test_every_licence_is_one_that_we_take() -> None:
    assert {item.name: item.licence for item in packages() if not item.taken} == {}


@pytest.mark.parametrize(
    ("licence", "taken"),
    [
        ("MIT", True),
        ("EPL-2.0 OR GPL-2.0-or-later", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-only", False),
        ("", False),
    ],
)
def test_a_licence_is_taken_whole_or_by_choice(licence: str, taken: bool) -> None:
    assert Package("a", "1", (), licence).taken is taken


def test_what_a_package_says_of_its_licence() -> None:
    said = Message()
    said["Classifier"] = "License :: OSI Approved :: MIT License"
    assert licence_of("a", said) == "MIT"
    said["License"] = "BSD 2-Clause License"
    assert licence_of("a", said) == "BSD-2-Clause"
    said["License-Expression"] = "ISC"
    assert licence_of("a", said) == "ISC"
    assert licence_of("a", Message()) == ""
