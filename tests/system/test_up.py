"""`groupclaim up` and the commands beside it, as one would use them on one machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.system.scenarios import CHECKOUT, SAMPLES
from tests.temporal import PATIENCE_SECONDS
from worker.embedded import free_port


class House:
    """A running `groupclaim up` and a shell beside it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.metrics_port = free_port()
        self.exporter_port = free_port()
        self.console = f"http://127.0.0.1:{free_port()}"
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "GROUPCLAIM_STATE": str(folder / "state"),
            "GROUPCLAIM_TEMPORAL": f"127.0.0.1:{free_port()}",
            "GROUPCLAIM_METRICS_PORT": str(self.metrics_port),
            "GROUPCLAIM_EXPORTER_PORT": str(self.exporter_port),
            "GROUPCLAIM_EXPORTER_SECONDS": "1",
            "GROUPCLAIM_CONSOLE": self.console,
        }
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "worker", "up", *options],
                cwd=CHECKOUT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        # Five processes, one after the other.
        self.wait_for(self._is_up, "everything up", 5 * PATIENCE_SECONDS)

    def _is_up(self) -> bool:
        said = self.log.read_text()
        assert self._up.poll() is None, said[-2000:]
        return "ready" in said

    def run(self, *arguments: str) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def json(self, *arguments: str) -> Any:
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    def wait_for(self, condition: Any, what: str, patience_seconds: float = 90) -> None:
        limit = time.monotonic() + patience_seconds
        while not condition():
            assert time.monotonic() < limit, f"{what}: {self.log.read_text()[-2000:]}"
            time.sleep(0.3)

    def somebody(self) -> httpx2.Client:
        """A browser, signed in by what `up` has printed."""
        printed = re.search(r"sign in +(\S+) / (\S+)", self.log.read_text())
        assert printed is not None, self.log.read_text()
        assert f"console        {self.console}" in self.log.read_text()
        name, password = printed.groups()
        own = f"{password} and more"
        browser = httpx2.Client(
            base_url=self.console, follow_redirects=True, timeout=PATIENCE_SECONDS
        )
        sign_in = {"name": name, "password": password}
        first = browser.post("/sign-in", data=sign_in)
        assert "Your password" in first.text
        token = re.search(r'name="csrf" value="([^"]+)"', first.text)
        assert token is not None
        changed = {"csrf": token[1], "current": password, "new": own, "again": own}
        board = browser.post("/password", data=changed)
        assert (board.status_code, "<h1>Today</h1>" in board.text) == (200, True)
        return browser

    def stop(self) -> int:
        self._up.send_signal(signal.SIGTERM)
        return self._up.wait(2 * PATIENCE_SECONDS)  # five processes, one after the other

    def children(self) -> list[int]:
        mine = str(self.folder).encode()
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/environ")
            if path.parent.name != str(os.getpid()) and mine in _read(path)
        ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("up"))
    yield house
    assert house.stop() == 0
    house.wait_for(lambda: house.children() == [], "every process stopped", PATIENCE_SECONDS)


def attendance(folder: Path, *participants: dict[str, Any]) -> str:
    path = folder / "attendance.json"
    path.write_text(json.dumps({"session": "S1", "participants": participants}))
    return str(path)


def test_a_session_from_its_file_to_ready(house: House, tmp_path: Path) -> None:
    loaded = house.json("load", "samples/small/practice.json")
    assert loaded["added"] > 80
    assert house.json("load", "samples/small/practice.json") == {
        "added": 0,
        "changed": 0,
        "unchanged": loaded["added"],
    }
    started = house.json("session", "start", "samples/small/sessions.json")
    again = house.json("session", "start", "samples/small/sessions.json")
    assert [item["new"] for item in started + again] == [True] * 4 + [False] * 4
    house.wait_for(
        lambda: all(
            row["stage"] in ("attendance", "held") for row in house.json("session", "show", "S1")
        ),
        "coverage and authorization checked",
    )

    patients = [f"P{number:02}" for number in range(1, 9)]
    came = [{"patient": ref, "status": "attended", "minutes": 60} for ref in patients[:-1]]
    absent = {"patient": patients[-1], "status": "no_show"}
    code, _, err = house.run("attendance", "record", attendance(tmp_path, *came))
    assert (code, "1 people on the roster have no attendance" in err) == (1, True)
    recorded = house.json("attendance", "record", attendance(tmp_path, *came, absent))
    assert recorded == {"group_size": 7, "claims_changed": 8}

    house.wait_for(
        lambda: (
            {row["reason"] for row in house.json("session", "show", "S1")}
            == {"NOTE_UNSIGNED", "NO_SHOW"}
        ),
        "waiting for notes",
    )
    (waiting, *_) = house.json("claim", "list", "--hold", "NOTE_UNSIGNED")
    answers = house.json("claim", "why", waiting["claim_number"])
    assert answers["waiting_for"] == "NOTE_UNSIGNED: clinician: sign the note"
    code, _, err = house.run(
        "claim", "release", waiting["claim_number"],
        "--code", "NOTE_UNSIGNED", "--by", "someone", "--reason", "in a hurry",
    )  # fmt: skip
    assert (code, "cannot be released" in err) == (1, True)

    assert house.json("note", "sign", "S1", "P01") == {"new": True}
    # Its payer takes claims for a year. Here it is the day on which the test is run, and the
    # session was on 3 February 2026: later on the claim is held for that.
    in_time = datetime.now(UTC).date() <= date(2027, 2, 3)
    house.wait_for(
        lambda: any(
            row["stage"] == "ready" if in_time else row["reason"] == "TIMELY_FILING"
            for row in house.json("session", "show", "S1")
        ),
        "the signed one is checked and ready",
    )
    for check in ("ledger", "audit"):
        assert house.json(check, "verify") == {"holds": True, "faults": []}


def test_a_roster_is_amended(house: House) -> None:
    """S3 has eight on its roster; P09 and P10 are on that of S4 only."""
    amended = house.json("session", "amend", "S3", "--add", "P09", "--add", "P10")
    assert amended["roster"] == 10
    assert len(house.json("session", "show", "S3")) == 10
    house.json("session", "amend", "S3", "--remove", "P10")
    house.wait_for(
        lambda: (
            [row["reason"] for row in house.json("session", "show", "S3")].count(
                "REMOVED_FROM_ROSTER"
            )
            == 1
        ),
        "the one taken off is not billed",
    )
    code, _, err = house.run("session", "amend", "S3", "--add", "P09")
    assert (code, "already on the roster" in err) == (1, True)
    assert house.run("session", "amend", "S99", "--add", "P09")[0] == 2
    assert house.run("session", "amend", "S3", "--add", "P99")[0] == 1


def test_input_is_refused_with_every_problem(house: House, tmp_path: Path) -> None:
    practice = json.loads((SAMPLES / "practice.json").read_text())
    practice["clinicians"][0]["npi"] = "1234567890"
    practice["coverages"][0]["payer"] = "nobody"
    practice["patients"][0]["sex"] = "?"
    path = tmp_path / "practice.json"
    path.write_text(json.dumps(practice))
    code, out, err = house.run("load", str(path))
    assert (code, out) == (2, "")
    assert "clinicians[0].npi" in err
    assert "patients[0].sex" in err
    assert practice["patients"][0]["last_name"] not in err


def test_console_and_metrics_are_served(house: House) -> None:
    """After the tests above: what they did stands on the board and in the figures."""
    browser = house.somebody()
    (held, *_) = house.json("claim", "list", "--hold", "NOTE_UNSIGNED")
    board = browser.get("/?code=NOTE_UNSIGNED").text
    assert held["claim_number"] in board
    assert "clinician: sign the note" in browser.get(f"/claims/{held['claim_number']}").text
    with httpx2.Client(timeout=PATIENCE_SECONDS) as prometheus:
        worked = prometheus.get(f"http://127.0.0.1:{house.metrics_port}/metrics").text
        assert 'groupclaim_steps_total{outcome="done",step="check_eligibility"}' in worked
        stands = f"http://127.0.0.1:{house.exporter_port}/metrics"
        house.wait_for(
            lambda: "groupclaim_claims{" in prometheus.get(stands).text, "the exporter's figures"
        )


def test_a_practice_that_is_played_moves_on_the_board_within_a_minute(tmp_path: Path) -> None:
    house = House(tmp_path, "--play", "small", "--pace", "0.1")
    try:
        browser = house.somebody()
        seen: set[str] = set()

        def moved() -> bool:
            board = browser.get("/").text
            said = re.search(r"Complete as of ([^(]+) ", board)
            assert said is not None
            seen.add(said[1])
            # Notes are signed soon; a group that is too large waits for a person to the end.
            waits = any(hold in board for hold in ("note unsigned", "group size review"))
            return len(seen) > 2 and waits

        house.wait_for(moved, "the board moves", patience_seconds=60)
    finally:
        assert house.stop() == 0
    again = subprocess.run(
        [sys.executable, "-m", "worker", "up"],
        cwd=CHECKOUT,
        env=house.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (again.returncode, "start it with --play" in again.stderr) == (3, True), again.stderr


def test_a_command_without_a_house_says_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "claim", "list"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "GROUPCLAIM_STATE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "groupclaim up" in ended.stderr
    assert not (tmp_path / "none").exists()
