"""A JSON file given to a command is refused with its reason, however hostile it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.model.intake import SessionFile
from worker.tables import table
from worker.terminal import read, show


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b"[NaN]", "sessions"),
        (b"[1e999999]", "sessions"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "not JSON"),
    ],
)
def test_a_hostile_file_is_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_bytes(content)
    with pytest.raises(InputRefused, match=reason) as refused:
        read(path, SessionFile)
    assert refused.value.source == "sessions.json"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("835[/x].edi", "835[/x].edi"),
        ("[link=http://evil.example]here[/link] :warning:",) * 2,
        ("a\x1b]0;title\x07\x1b[2Jb", "a\ufffd]0;title\ufffd\ufffd[2Jb"),
        ("paid \u202e00.1 \r", "paid \ufffd00.1 \ufffd"),
    ],
)
def test_what_others_wrote_is_shown_as_it_stands_and_never_obeyed(
    capsys: pytest.CaptureFixture[str], written: str, shown: str
) -> None:
    rows = [{"name": written}]
    show(False, rows, lambda console: console.print(table(rows, written)))
    show(False, rows, lambda console: console.print(f"name {written}"))
    assert capsys.readouterr().out.count(shown) == 3


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024 + 1)
    with pytest.raises(InputRefused, match="larger than 50 MB"):
        read(path, SessionFile)
