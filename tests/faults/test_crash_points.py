"""Every point at which a worker can die is died at, once each: no step is left out.

From a claim's session to its closed account, and back again where it was not true, and in denials,
disputes, letters, interest and cards beside it, each step dies before it begins, before and after
each of its commits, requests, letters, charges and signals, and when it has ended and nobody knows.
The outcome worked out by hand must hold all the same. The engine's own part is in
``tests/system/test_crash_points.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from activities import steps
from activities.webhooks import WebhookDesk
from groupclaim.delivery.webhook import WebhookSender
from groupclaim.store import webhooks
from groupclaim.store.webhooks import Event
from tests.activities.house import START, House
from tests.faults.dying import AFTER, BEFORE, VARIABLE
from tests.faults.extent import whole
from tests.system.scenarios import CHECKOUT

STEPS = {step.name for step in vars(steps).values() if isinstance(step, steps.Step)}

_HERE = "tests/faults/test_crash_points.py"
_STEPS = "tests/activities"

IN_PART = (
    f"{_HERE}::test_a_session_is_kept",
    f"{_HERE}::test_what_has_happened_is_told",
    f"{_STEPS}/test_denial.py::test_a_packet_is_picked_up_once_and_sent_means_received",
    f"{_STEPS}/test_dispute.py::test_an_overpayment_is_refunded_in_sixty_days_and_booked",
    f"{_STEPS}/test_cards.py::test_a_letter_names_amount_and_day_and_the_charge_waits_for_it",
    f"{_STEPS}/test_voids.py::test_of_one_room_one_claim_is_voided_and_one_paid_back",
)

WHOLE = (
    *IN_PART,
    *(f"{_STEPS}/test_{name}.py" for name in ("denial", "dispute", "interest", "cards", "voids")),
    f"{_STEPS}/test_sample_practice.py::test_each_kind_of_claim_ends_as_worked_out_by_hand",
)
"""The life of each kind of claim from its session to the closed account, and back from there where
it was not true; and what is beside it."""

PEOPLE = {"refund_payer", "withdraw_note"}
"""What people ask for and no step does: whoever serves them dies too, and they ask again."""

OTHERWISE = tuple(
    f"{_STEPS}/test_denial.py::test_{name}"
    for name in (
        "granted_after_the_service_the_claim_is_sent_again",
        "pended_it_is_asked_after_and_refused_it_is_appealed",
    )
)
"""These say when things happen while nobody dies: a request that may have left with a dead worker
is asked after half an hour later. ``test_whoever_asks_and_dies_anywhere_asks_once`` stands for
them."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P05", "P08")}) as made:
        yield made


async def test_a_session_is_kept(house: House) -> None:
    (session_id,) = house.sessions.values()
    await house.perform(
        steps.RECORD_SESSION,
        steps.SessionProgress(
            session_id=session_id, stage="open", attendance_recorded=False, ended=0
        ),
    )


async def test_what_has_happened_is_told(house: House) -> None:
    async def take(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200)

    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.215.14"]

    sender = WebhookSender(transport=httpx2.MockTransport(take), resolve=resolve)
    desk = WebhookDesk(replace(house.outside, webhooks=sender))
    house.activities[steps.DELIVER_WEBHOOKS.name] = desk.deliver_webhooks
    async with house.quietly() as tx:
        await webhooks.subscribe(tx, "https://ehr.example/", [Event.HOLD_OPENED], START)
        await webhooks.note(tx, Event.HOLD_OPENED, "one", {"claim_number": "GC0"}, START)
    await house.perform(steps.DELIVER_WEBHOOKS, steps.WebhookRound())
    async with house.database.reading() as reading:
        assert await webhooks.due(reading, START, 20) == ()


def test_a_worker_that_dies_at_every_point_changes_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ended = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider",
            "-p", "tests.faults.dying", *(WHOLE if whole() else IN_PART),
            *(f"--deselect={name}" for name in OTHERWISE),
        ],
        cwd=CHECKOUT,
        env={**os.environ, VARIABLE: str(tmp_path / "places")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-4000:]
    places = (tmp_path / "places").read_text().splitlines()
    record_property("tries", len(places))
    died = {place.partition(":")[0] for place in places}
    assert {f"{name}: {moment} 1" for name in died for moment in (BEFORE, AFTER)} <= set(places)
    assert {place for place in places if "commit" in place}
    assert died <= STEPS | PEOPLE
    assert died >= {*PEOPLE, steps.PLAN_VOID.name, steps.RECORD_ATTENDANCE.name}


def test_no_step_is_without_a_test_of_its_own() -> None:
    """A step that is new must come into a house: there it is done twice, and dies."""
    read = "".join(path.read_text() for path in (CHECKOUT / _STEPS).glob("*.py"))
    read += (CHECKOUT / _HERE).read_text()
    names = [name for name, step in vars(steps).items() if isinstance(step, steps.Step)]
    assert [name for name in names if f"steps.{name}" not in read] == []
