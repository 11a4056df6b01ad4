"""The guides' commands do what they say; those marked ``sh run`` need no server or cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "deploy" / "guides"


def blocks(guide: str) -> list[str]:
    return re.findall(r"```sh run\n(.*?)```", (GUIDES / guide).read_text(), re.S)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A practice that has just begun, and a folder for its backup."""
    (tmp_path / "backup").mkdir()
    made = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GROUPCLAIM_STATE": str(tmp_path / "state"),
        "BACKUP": str(tmp_path / "backup"),
    }
    for command in (
        f"groupclaim keys new --file {tmp_path}/state/keys.json",
        "groupclaim user add ann --role biller",
    ):
        subprocess.run(["bash", "-ec", command], env=made, check=True, capture_output=True)
    return made


@pytest.mark.parametrize("guide", ["backup.md", "keys.md"])
def test_the_commands_of_the_guide_run(guide: str, environment: dict[str, str]) -> None:
    found = blocks(guide)
    assert found
    for block in found:
        done = subprocess.run(
            ["bash", "-ec", block], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_a_backup_is_a_whole_database_of_its_own(environment: dict[str, str]) -> None:
    copy, *after = blocks("backup.md")
    subprocess.run(["bash", "-ec", copy], env=environment, check=True, capture_output=True)
    state, backup = Path(environment["GROUPCLAIM_STATE"]), Path(environment["BACKUP"])
    (state / "groupclaim.db").write_bytes((backup / "groupclaim.db").read_bytes())
    for kept in ("groupclaim.db-wal", "groupclaim.db-shm"):
        (state / kept).unlink(missing_ok=True)
    for block in (*after, "groupclaim user list | grep -q ann"):
        done = subprocess.run(["bash", "-ec", block], env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_a_key_file_that_is_there_is_never_overwritten(environment: dict[str, str]) -> None:
    file = Path(environment["GROUPCLAIM_STATE"]) / "keys.json"
    before = file.read_bytes()
    again = subprocess.run(
        ["groupclaim", "keys", "new", "--file", str(file)],
        env=environment,
        capture_output=True,
        executable=str(Path(sys.executable).with_name("groupclaim")),
    )
    assert again.returncode == 1
    assert b"is there already" in again.stderr
    assert file.read_bytes() == before
