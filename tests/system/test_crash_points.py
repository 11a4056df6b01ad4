"""Processes are killed in the midst of a few claims' lives; the books must not differ.

Every activity dies once just before it does anything, and in a second run once just after it has
done everything and before that is known. Then Temporal's server dies with work on its way, and all
workers stay away for ten minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.system.scenarios import only, table
from worker.demo import Calm, Played, Scenario, play
from worker.embedded import Process, TemporalServer, worker_process
from worker.settings import Settings

BOUNDARIES = {
    "load_roster", "load_claim", "check_eligibility", "check_authorization", "record_progress",
    "record_attendance", "record_session", "check_documentation", "check_coding", "build_claim",
    "queue_claim", "next_cutoff", "cut_batch", "build_batch", "send_batch", "reconcile_batch",
    "announce_batch", "poll_mailbox", "read_file", "route_acknowledgments", "decide_denial",
    "register_remittances", "post_remittance", "announce_remittance", "acknowledge_file",
    "audit_payment", "settle_balance",
}  # fmt: skip


class Forgetful(Calm):
    """The clearinghouse takes everything each time, so that sending twice would show."""

    forgetful_clearinghouse = True


class CrashingWorker(Process):
    """Dies at each boundary once, and is started again by its supervisor."""

    def __init__(self, settings: Settings, moment: str, deaths: Path) -> None:
        super().__init__(
            "crashing worker",
            [sys.executable, "-m", "tests.system.crashing_worker", moment, str(deaths)],
            settings.state / "logs" / "worker.log",
            settings.environment(),
        )


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A Medicare claim paid at once, a commercial one rejected and sent again, and a no-show."""
    return only(tmp_path_factory.mktemp("scenario") / "samples", "S1", "P01", "P05", "P08")


@pytest.fixture(scope="module")
async def calm(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Played:
    state = tmp_path_factory.mktemp("calm")
    played = await play(scenario, state, disturber=Forgetful(), tell=lambda line: None)
    assert played.outcome["reasons"] == {
        "closed": 2,
        "not_billable: NO_SHOW": 1,
    }
    assert played.outcome["submissions"]["claim_versions"] == 3
    return played


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_the_worker_dies_at_every_boundary(
    moment: str,
    scenario: Scenario,
    calm: Played,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    played = await play(
        scenario,
        tmp_path / "state",
        disturber=Forgetful(),
        tell=lambda line: None,
        start_worker=lambda settings: CrashingWorker(settings, moment, deaths),
    )
    died = {path.name.split(":")[1] for path in deaths.iterdir()}
    # Only a death after the sending leaves the batch in doubt.
    assert died >= (BOUNDARIES if moment == "after" else BOUNDARIES - {"reconcile_batch"})
    record_property("tries", len(died))
    _the_same(played, calm, record_property)


def _the_same(played: Played, calm: Played, record_property: Callable[[str, object], None]) -> None:
    """The disturbed run ended as the calm one; what is lost or doubled is counted on the wire."""
    sent, calmly = played.outcome["submissions"], calm.outcome["submissions"]
    record_property("lost", calmly["claim_versions"] - sent["claim_versions"])
    record_property("doubled", sent["duplicates"])
    assert table(played.outcome) == table(calm.outcome)
    assert sent["duplicates"] == 0
    assert sent["claim_versions"] == calmly["claim_versions"]


class DyingServer(Forgetful):
    """Temporal's server is killed with work on its way and started again on its file."""

    def __init__(self) -> None:
        self._turn = 0

    def engine(self, state: Path) -> TemporalServer:
        self._server = super().engine(state)
        return self._server

    async def during(self, doing: Awaitable[None], worker: Process) -> None:
        # What the first turns do is only begun when they return: sessions are started, then all
        # is awaited, then people record who came and what was signed.
        await doing
        self._turn += 1
        if self._turn in (1, 4, 6, 8):
            self._server.process.kill()
            await self._server.start()
            self.kills += 1


async def test_the_engine_is_killed_under_load_and_all_claims_go_on(
    scenario: Scenario,
    calm: Played,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    disturber = DyingServer()
    played = await play(scenario, tmp_path, disturber=disturber, tell=lambda line: None)
    assert disturber.kills == 4
    record_property("tries", disturber.kills)
    _the_same(played, calm, record_property)


class LongAbsence(Forgetful):
    """No worker is there for ten minutes of the practice's clock, with work on its way."""

    settings: Settings

    def __init__(self) -> None:
        self._turn = 0

    def worker(self, settings: Settings) -> Process:
        self.settings = settings
        return worker_process(settings)

    async def during(self, doing: Awaitable[None], worker: Process) -> None:
        await doing
        self._turn += 1
        if self._turn in (1, 4):
            worker.kill()
            self.kills += 1
            keyring = Keyring.load(self.settings.keys_file)
            database = Database.connect(self.settings.database_url, keyring)
            clock = PracticeClock(database)
            await clock.move_to(await clock.now() + timedelta(minutes=10))
            await database.close()
            worker.start()


async def test_no_worker_for_ten_minutes_and_all_claims_go_on(
    scenario: Scenario,
    calm: Played,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    disturber = LongAbsence()
    played = await play(
        scenario,
        tmp_path,
        disturber=disturber,
        tell=lambda line: None,
        start_worker=disturber.worker,
    )
    assert disturber.kills == 2
    record_property("tries", disturber.kills)
    _the_same(played, calm, record_property)
