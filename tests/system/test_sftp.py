"""Batches and mailbox files that travel by SFTP: the same books, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.scenarios import only, table
from worker.demo import Calm, Played, Scenario, play
from worker.embedded import Simulator


class Forgetful(Calm):
    """The clearinghouse takes everything each time, so that sending twice would show."""

    forgetful_clearinghouse = True


class Faulty(Forgetful):
    """What may happen to a sending by SFTP, and to the mailbox. (Few at a time: each one that is
    followed by another doubles the pause before the next try.)"""

    async def prepare(self, simulator: Simulator) -> None:
        await simulator.set_faults(
            [
                {"on": on, "kind": kind, "times": 1}
                for on, kind in (
                    ("connection", "changed_host_key"),
                    ("batch", "partial_upload"),
                    ("batch", "disk_full"),
                    ("batch", "rename_undone"),
                    ("batch", "lose_answer"),
                    ("mailbox", "drop_before"),
                    ("mailbox", "permission_denied"),
                    ("mailbox", "lose_answer"),
                    ("mailbox", "duplicate"),
                    ("mailbox", "out_of_order"),
                )
            ]
        )


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A Medicare claim paid at once, a commercial one rejected and sent again, and a no-show."""
    return only(tmp_path_factory.mktemp("scenario") / "samples", "S1", "P01", "P05", "P08")


@pytest.fixture(scope="module")
async def by_http(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Played:
    state = tmp_path_factory.mktemp("http")
    return await play(scenario, state, disturber=Forgetful(), tell=lambda line: None)


def batches(played: Played) -> Iterator[tuple[str, str]]:
    for line in played.raw_log.read_text().splitlines():
        entry = json.loads(line)
        if entry["channel"] == "batch":
            yield entry["name"], entry["outcome"]


@pytest.mark.parametrize("disturber", [Forgetful(), Faulty()], ids=["calm", "faulty"])
async def test_files_by_sftp_make_the_same_books(
    scenario: Scenario, by_http: Played, disturber: Calm, tmp_path: Path
) -> None:
    played = await play(
        scenario, tmp_path / "state", disturber=disturber, tell=lambda line: None, files="sftp"
    )
    assert table(played.outcome) == table(by_http.outcome)
    assert played.outcome["submissions"] == by_http.outcome["submissions"]
    assert played.outcome["submissions"]["duplicates"] == 0
    names = [name for name, _ in batches(played)]
    # Over SFTP a name ends in its digest, and no name was ever given twice.
    assert all(name.startswith("837P-") and len(name) == len("837P-.edi") + 22 for name in names)
    assert len(set(names)) == len(names)
    lost = [outcome for _, outcome in batches(played)].count("accepted_answer_lost")
    assert lost == 1  # a calm run loses one too
