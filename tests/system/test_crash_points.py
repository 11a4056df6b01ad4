"""The worker is killed at every activity boundary of one claim's life; the books must not differ.

Every activity dies once just before it does anything, and in a second run once just after it has
done everything and before that is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.scenarios import only, table
from worker.demo import Calm, Played, Scenario, play
from worker.embedded import Process
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
    sent, calmly = played.outcome["submissions"], calm.outcome["submissions"]
    record_property("tries", len(died))
    record_property("lost", calmly["claim_versions"] - sent["claim_versions"])
    record_property("doubled", sent["duplicates"])
    assert table(played.outcome) == table(calm.outcome)
    assert sent["duplicates"] == 0
    assert sent["claim_versions"] == calmly["claim_versions"]
