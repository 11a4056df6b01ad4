"""A void, a roster that is amended, a 999 that is late, a file that nobody can read: one death at
each point of each of their steps, each alone, and all ends as in calm.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from activities import steps
from groupclaim.lifecycle.state import Stage
from groupclaim.model.money import Cents
from groupclaim.store import batches
from groupclaim.store.schema import claim_event
from tests.activities import test_voids as void
from tests.activities.house import KEYRING, House
from tests.faults.dying import AFTER, BEFORE
from tests.faults.one_death import OneDeath
from tests.faults.wire import accepted_versions

Record = Callable[[str, object], None]

_POINTS = (BEFORE, "before commit", "after commit", AFTER)


def _died(deaths: OneDeath, record: Record, *, in_all: tuple[steps.Step[Any, Any], ...]) -> None:
    """Each of these steps died at its beginning, before and after a commit, and at its end."""
    record("tries", sum(deaths.places.values()))
    assert {f"{step.name}: {point}" for step in in_all for point in _POINTS} <= set(deaths.places)


async def _audited(house: House, action: str) -> int:
    rows = await house.rows(text(f"SELECT id FROM audit_entry WHERE action = '{action}'"))
    return len(rows)


async def test_a_void_and_a_refund(tmp_path: Path, record_property: Record) -> None:
    """P01 was not there: Medicare gets its 24.19 by cheque. P04's note is not valid: Texas Medicaid
    gets a void and takes its 25.20 back."""
    async with void._house(tmp_path) as house:
        absent, unsupported = [await house.claim_of("S1", one) for one in ("P01", "P04")]
        await void._until(house, "2026-03-02", lambda: all(
            house.states[one].stage in (Stage.CLOSED, Stage.PATIENT_BALANCE)
            and house.states[one].hold is None for one in (absent, unsupported)
        ))  # fmt: skip
        deaths, desk = OneDeath(house), void._desk(house)
        await void._correct(house, P01="no_show")
        await house.acts(desk.withdraw_note, "S1", "P04", "another patient's", "C. Clinician")
        await house.settle()
        await void._release(house, "P04", "DOCUMENTATION_CHANGED")
        await house.acts(desk.refund_payer, absent, Cents(2419), "CHQ-3", by="R. Lee")
        await house.settle()
        await void._until(house, "2026-04-20", lambda: house.states[unsupported].ended)
        assert void._stands(house, absent) == ("not_billable", None, "NO_SHOW")
        assert void._stands(house, unsupported) == ("not_billable", None, "NOTE_WITHDRAWN")
        assert [one.frequency for one in void._sent(house, unsupported)] == ["1", "8"]
        assert await void._books(house, absent) == {"clearing": 2419, "payer_refund": -2419}
        assert await void._books(house, unsupported) == {}
        _died(
            deaths,
            record_property,
            in_all=(
                steps.RECORD_ATTENDANCE, steps.PLAN_VOID, steps.BUILD_CLAIM, steps.QUEUE_CLAIM,
                steps.CUT_BATCH, steps.BUILD_BATCH, steps.SEND_BATCH, steps.POST_REMITTANCE,
                steps.RECORD_DECISION,
            ),
        )  # fmt: skip
        assert {
            f"{name}: {point}" for name in ("withdraw_note", "refund_payer") for point in _POINTS
        } | {"send_batch: before send_batch", "send_batch: after send_batch"} <= set(deaths.places)


async def test_a_roster_that_is_amended(tmp_path: Path, record_property: Record) -> None:
    """Of three who came two are said never to have been there, and who is left had no group; they
    are put back, and all three are billed."""
    async with House(tmp_path, {"S1": ("P01", "P04", "P06")}) as house:
        three = [await house.claim_of("S1", key) for key in ("P01", "P04", "P06")]
        await house.open_sessions()
        await house.hand_in()
        deaths = OneDeath(house)

        async def amend(**change: tuple[str, ...]) -> None:
            deaths.forget(steps.AMEND_ROSTER)
            given = {name: tuple(map(KEYRING.patient_id, who)) for name, who in change.items()}
            amendment = steps.AmendRoster(session_id=house.sessions["S1"], by="front-desk", **given)
            await house.perform(steps.AMEND_ROSTER, amendment)
            await house.settle()

        await amend(remove=("P01", "P06"))
        assert [void._stands(house, claim)[::2] for claim in three] == [
            ("not_billable", "REMOVED_FROM_ROSTER"),
            ("not_billable", "GROUP_OF_ONE"),
            ("not_billable", "REMOVED_FROM_ROSTER"),
        ]
        assert await _audited(house, "amend_roster") == 1
        await amend(add=("P01", "P06"))
        assert {house.states[claim].stage for claim in three} == {Stage.READY}
        assert await _audited(house, "amend_roster") == 2
        batch = await house.cut("1")
        assert batch is not None
        await house.send(batch)
        sent = accepted_versions(house.log_path)
        assert {version[:-1]: times for version, times in sent.items()} == dict.fromkeys(three, 1)
        _died(deaths, record_property, in_all=(steps.AMEND_ROSTER, steps.CUT_BATCH))


async def test_a_999_that_is_late(tmp_path: Path, record_property: Record) -> None:
    """Due after 24 hours, it comes after 26, with all that has been said meanwhile: by then the
    payer, who answers within 20 hours, has accepted."""
    async with House(tmp_path, {"S1": ("P01", "P04")}) as house:
        await house.until_sent()
        (row,) = await house.rows(text("SELECT id FROM batch"))
        async with house.database.reading() as reading:
            sent_at = (await batches.read_batch(reading, row.id)).sent_at
        assert sent_at is not None
        deaths = OneDeath(house)
        while (due := await house.next_wakeup()) is not None and due < sent_at + timedelta(
            hours=26
        ):
            await house.move_to(max(due, await house.clock.now()))
            deaths.forget(steps.FOLLOW_UP_BATCH)
            await house.wake(await house.clock.now())
        alerts = await house.rows(
            select(claim_event).where(claim_event.c.kind == "alert").order_by(claim_event.c.id)
        )
        told = [one for one in alerts if "batch" in one.detail]
        # Each claim hears once after 4 hours (TA1), once after 18 and once after 24 (999).
        assert [(one.detail.get("expected"), one.detail.get("missing")) for one in told] == [
            *[("999", "TA1")] * 2,
            *[("999", None)] * 2,
            *[(None, "999")] * 2,
        ]
        await house.move_to(sent_at + timedelta(hours=26))
        await house.poll()
        assert {state.stage for state in house.states.values()} == {Stage.ACCEPTED}
        assert set(accepted_versions(house.log_path).values()) == {1}
        assert await house.clearinghouse.list_mailbox() == ()
        _died(
            deaths,
            record_property,
            in_all=(
                steps.FOLLOW_UP_BATCH, steps.POLL_MAILBOX, steps.READ_FILE,
                steps.ROUTE_ACKNOWLEDGMENTS, steps.ACKNOWLEDGE_FILE, steps.RECORD_PROGRESS,
            ),
        )  # fmt: skip


async def test_a_file_that_nobody_can_read(tmp_path: Path, record_property: Record) -> None:
    """It stands as one problem, told once, and stays where it is; what comes later is taken."""
    async with House(tmp_path, {"S1": ("P01", "P04")}) as house:
        await house.until_sent()
        await house.spoil({"on": "mailbox", "kind": "malformed", "times": 1})
        deaths = OneDeath(house, first_only=True)
        await house.poll()
        for _ in range(2):
            (garbage,) = await house.clearinghouse.list_mailbox()
            (problem,) = await house.rows(
                text("SELECT digest, problem FROM x12_file WHERE problem IS NOT NULL")
            )
            assert problem.digest == garbage.sha256
            assert problem.problem.startswith("unreadable: ")
            assert await _audited(house, "file_problems") == await _audited(house, "alert") == 1
            await house.move_to(await house.clock.now() + timedelta(hours=2))
            await house.poll()
        assert {state.stage for state in house.states.values()} == {Stage.ACKNOWLEDGED}
        read = (steps.POLL_MAILBOX, steps.READ_FILE, steps.ACKNOWLEDGE_FILE)
        _died(deaths, record_property, in_all=read)
