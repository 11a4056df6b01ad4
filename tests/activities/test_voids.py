"""Claims that were sent and are not true: taken back from their payers, to the cent.

Session S1 in Austin, 60.00 each. P06 (Placebo): contract 28.15, copay 15.00 taken at the session;
the payer pays 13.15 on day 14 after receipt and takes 31.85 off. P04 (Texas Medicaid): 25.20 of
60.00 on day 7, no share. P01 (Medicare): 30.85 allowed, 6.17 to the patient, 0.49 sequestration,
24.19 paid on day 14.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text
from temporalio.client import Client

from activities import steps
from activities.front_desk import FrontDesk, Refused
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from groupclaim.model.money import Cents
from groupclaim.store import claims, ledger, practice, voids
from groupclaim.store.schema import claim_event, transfer
from tests.activities import test_second_payer as second
from tests.activities.house import SAMPLES, House
from tests.oracle.wire import SubmittedClaim, read_log, submitted_claims

ROOM = ("P01", "P04", "P06")
COPAY = {"P06": 1500}


@asynccontextmanager
async def _house(
    folder: Path,
    patients: tuple[str, ...] = ROOM,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> AsyncIterator[House]:
    """Everything sent in the first batch; the payers of the sample, changed."""
    facts = json.loads((SAMPLES / "payers.json").read_text())
    if change is not None:
        change({payer["payer_id"]: payer for payer in facts["payers"]})
    async with House(folder, {"S1": patients}, payers=json.dumps(facts).encode()) as house:
        await house.until_sent()
        yield house


async def _correct(house: House, **absent: str) -> None:
    """The attendance of S1 as it is known now: whoever is not named was there."""
    now = await house.clock.now()
    await house.from_outside(
        {
            "at": now.isoformat(),
            "kind": "attendance",
            "session": "S1",
            "participants": [
                {
                    "patient": patient,
                    "status": absent.get(patient, "attended"),
                    "minutes": 0 if patient in absent else 60,
                    "copay_cents": COPAY.get(patient, 0),
                }
                for patient in house.rosters["S1"]
            ],
        }
    )


async def _release(house: House, patient: str, code: str) -> None:
    now = await house.clock.now() + timedelta(minutes=1)
    await house.move_to(now)
    await house.from_outside(
        {"at": now.isoformat(), "kind": "hold_released", "session": "S1", "patient": patient,
         "code": code, "by": "A. Biller", "reason": "the correction is right"}
    )  # fmt: skip


async def _until(house: House, last: str, stop: Callable[[], bool] = lambda: False) -> None:
    """Let time pass until ``stop``, or until the day ``last`` begins."""
    end = datetime.fromisoformat(f"{last}T00:00:00+00:00")
    while not stop():
        coming = [await house.next_wakeup(), await house.next_delivery()]
        now = max(min(at for at in coming if at is not None), await house.clock.now())
        if now >= end:
            await house.move_to(max(end, await house.clock.now()))
            return
        await house.move_to(now)
        await house.poll()
        await house.wake(now)


def _stands(house: House, claim: str) -> tuple[str, str | None, str | None]:
    state = house.states[claim]
    return state.stage.value, state.hold.code if state.hold else None, state.reason


def _at(house: House, claim: str, stage: Stage) -> Callable[[], bool]:
    return lambda: house.states[claim].stage is stage and house.states[claim].hold is None


def _sent(house: House, claim: str) -> list[SubmittedClaim]:
    entries, _ = read_log(house.log_path)
    return [
        one
        for entry in entries
        if entry.direction == "received" and entry.channel == "batch" and entry.outcome != "refused"
        for one in submitted_claims(entry)
        if one.claim_number == claim
    ]


async def _books(house: House, claim: str) -> dict[str, int]:
    """What every account holds for a claim, where it is not nothing; the books are in order."""
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        rows = await reading.rows(select(transfer).where(transfer.c.claim_number == claim))
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.debit] = sums.get(row.debit, 0) + row.cents
        sums[row.credit] = sums.get(row.credit, 0) - row.cents
    return {account: cents for account, cents in sums.items() if cents}


async def _overpayments(house: House, claim: str) -> list[tuple[int, str, str | None]]:
    async with house.database.reading() as reading:
        found = await voids.of_claim(reading, claim)
    return [(int(one.cents), one.reason, one.outcome) for one in found]


async def test_a_paid_claim_of_somebody_absent_is_voided_and_its_account_ends_at_zero(
    tmp_path: Path,
) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P06")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        paid = await _books(house, claim)
        assert (paid["clearing"], paid["contractual"], paid["patient_cash"]) == (1315, 3185, 1500)
        await _correct(house, P06="no_show")
        # A person is asked first; nothing has moved.
        assert _stands(house, claim) == ("void", "ATTENDANCE_CHANGED", "NO_SHOW")
        assert (await _books(house, claim))["clearing"] == 1315
        assert await _overpayments(house, claim) == [(1315, "NO_SHOW", None)]
        await _release(house, "P06", "ATTENDANCE_CHANGED")
        assert _stands(house, claim) == ("void", None, "NO_SHOW")
        # Its copay of 15.00 is the patient's when the payer has taken its 13.15 back.
        await _until(house, "2026-04-20", lambda: house.states[claim].stage is Stage.NOT_BILLABLE)
        assert _stands(house, claim) == ("not_billable", "REFUND_DUE", "NO_SHOW")
        first, void = _sent(house, claim)
        assert (void.version, void.frequency) == ("B", "8")
        assert void.payer_claim_number
        assert [(one.code, one.cents, one.date) for one in void.lines] == [
            (one.code, one.cents, one.date) for one in first.lines
        ]
        assert (void.charge_cents, void.diagnoses, void.member_id) == (
            first.charge_cents,
            first.diagnoses,
            first.member_id,
        )
        assert await _books(house, claim) == {"patient_cash": 1500, "unapplied": -1500}
        assert await _overpayments(house, claim) == [(1315, "NO_SHOW", "reversed")]
        async with house.quietly() as tx:
            now = await house.clock.now()
            await ledger.book_patient_refund(tx, claim, 1500, "R1", now)
        await house.happens(claim, events.PatientPaid(at=now, key="refund:R1"))
        assert house.states[claim].ended
        assert await _books(house, claim) == {}
        for other in ("P01", "P04"):  # two are left in the room: nothing else is wrong
            assert house.states[await house.claim_of("S1", other)].stage is not Stage.VOID


async def test_a_payer_that_has_not_decided_is_told_by_the_number_of_its_acknowledgment(
    tmp_path: Path,
) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P04")
        await _correct(house, P04="no_show")
        # Sent, and the payer has said nothing yet: a person agrees, then its number is awaited.
        assert _stands(house, claim) == ("void", "ATTENDANCE_CHANGED", "NO_SHOW")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        assert _stands(house, claim) == ("void", "VOID_WAITS", "NO_SHOW")
        state = house.states[claim]
        again = steps.ClaimStep(
            claim_number=claim, sequence=state.sequence, version=state.version, payer=state.payer
        )
        planned = [await house.perform(steps.PLAN_VOID, again) for _ in range(2)]
        assert planned[0] == planned[1]
        assert planned[0].next == "hold"
        assert house.states[claim].due_at is not None
        assert [one.frequency for one in _sent(house, claim)] == ["1"]
        await _until(house, "2026-04-20", lambda: house.states[claim].ended)
        # Paid meanwhile and taken back: 25.20 came and went.
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        assert [one.frequency for one in _sent(house, claim)] == ["1", "8"]
        assert await _books(house, claim) == {}
        assert await _overpayments(house, claim) == [(2520, "NO_SHOW", "reversed")]


async def test_what_was_never_sent_is_only_withdrawn(tmp_path: Path) -> None:
    async with House(tmp_path, {"S1": ROOM}) as house:
        claim = await house.claim_of("S1", "P06")
        await house.open_sessions()
        await house.hand_in()
        assert house.states[claim].stage is Stage.READY
        await _correct(house, P06="no_show")
        assert _stands(house, claim) == ("not_billable", "REFUND_DUE", "NO_SHOW")
        batch = await house.cut("1")
        if batch is not None:
            await house.send(batch)
        assert _sent(house, claim) == []
        assert await _books(house, claim) == {"patient_cash": 1500, "unapplied": -1500}


async def test_one_taken_out_of_its_batch_before_the_bytes_are_fixed_was_never_sent(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, {"S1": ROOM}) as house:
        claim = await house.claim_of("S1", "P04")
        await house.open_sessions()
        await house.hand_in()
        batch = await house.cut("1")
        assert batch is not None
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        assert _stands(house, claim)[1] == "VOID_WAITS"
        await house.send(batch)
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        assert _sent(house, claim) == []


async def test_a_group_of_one_takes_back_the_claim_of_who_was_alone(tmp_path: Path) -> None:
    async with _house(tmp_path, ("P04", "P06")) as house:
        alone, absent = await house.claim_of("S1", "P04"), await house.claim_of("S1", "P06")
        await _until(house, "2026-03-02", _at(house, absent, Stage.CLOSED))
        await _correct(house, P06="excused")
        assert _stands(house, alone) == ("void", "ATTENDANCE_CHANGED", "GROUP_OF_ONE")
        assert _stands(house, absent) == ("void", "ATTENDANCE_CHANGED", "EXCUSED")
        for patient in ("P04", "P06"):
            await _release(house, patient, "ATTENDANCE_CHANGED")
        await _until(house, "2026-04-20", lambda: house.states[alone].ended
                     and house.states[absent].stage is Stage.NOT_BILLABLE)  # fmt: skip
        assert _stands(house, alone) == ("not_billable", None, "GROUP_OF_ONE")
        assert await _books(house, alone) == {}
        assert [one.frequency for one in _sent(house, alone)] == ["1", "8"]
        assert [one.frequency for one in _sent(house, absent)] == ["1", "8"]


async def test_a_denied_claim_needs_no_void_and_is_no_longer_worked(tmp_path: Path) -> None:
    def demands(payers: dict[str, Any]) -> None:
        for member in payers["SIMTXM"]["members"]:
            member["authorization"]["required"] = True

    async with _house(tmp_path, change=demands) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", lambda: house.states[claim].stage is Stage.CORRECTION)
        assert house.states[claim].denial == 1
        await _correct(house, P04="no_show")
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        assert [one.frequency for one in _sent(house, claim)] == ["1"]
        assert await _books(house, claim) == {}
        (row,) = await house.rows(
            text(f"SELECT outcome FROM denial WHERE claim_number = '{claim}'")
        )
        assert row.outcome == "superseded"
        plan = await house.perform(
            steps.PLAN_DENIAL, steps.DenialRef(claim_number=claim, denial=1, news=1)
        )
        assert plan.next == "conclude"


async def test_medicare_takes_no_void_its_money_is_returned_by_us(tmp_path: Path) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P01")
        await _until(house, "2026-03-02", _at(house, claim, Stage.PATIENT_BALANCE))
        known = (await house.clock.now()).date()
        await _correct(house, P01="no_show")
        assert _stands(house, claim) == ("void", "PAYER_REFUND_DUE", "NO_SHOW")
        async with house.database.reading() as reading:
            (owed,) = await voids.overpayments(reading)
            (found,) = [
                row
                for row in await claims.read_findings(reading, claim)
                if row.rule == "void:refund"
            ]
        # Sixty days from the day it was known; a weekend moves it to the business day before.
        limit = known + timedelta(days=60)
        while limit.weekday() > 4:
            limit -= timedelta(days=1)
        assert owed.refund_by is not None
        assert (owed.cents, owed.identified_on) == (2419, known)
        assert owed.refund_by.date() - limit <= timedelta(days=1)  # the end of that day, in UTC
        assert "60 days after" in found.sentence
        alerts_before = len(await _alerts(house, claim))
        await _until(house, f"{limit}")
        # Nobody acts: people are told again and again before the day, never more than a week apart.
        told = (await _alerts(house, claim))[alerts_before:]
        assert len(told) >= 8
        assert told[-1].at.date() >= limit - timedelta(days=3)
        assert [one.frequency for one in _sent(house, claim)] == ["1"]
        desk = _desk(house)
        with pytest.raises(Refused, match=r"24\.19 of a payer's money"):
            await desk.refund_payer(claim, Cents(2400), "CHQ-1", by="R. Lee")
        assert await desk.refund_payer(claim, Cents(2419), "CHQ-1", by="R. Lee")
        assert not await desk.refund_payer(claim, Cents(2419), "CHQ-1", by="R. Lee")
        with pytest.raises(Refused, match="another amount"):
            await desk.refund_payer(claim, Cents(2400), "CHQ-1", by="R. Lee")
        await house.settle()
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        # 24.19 came and went back by cheque; nothing else is left of the claim.
        assert await _books(house, claim) == {"clearing": 2419, "payer_refund": -2419}


async def test_of_one_room_one_claim_is_voided_and_one_paid_back(tmp_path: Path) -> None:
    """P01 was not there: Medicare gets its 24.19 by cheque. P04's note is not valid: Texas Medicaid
    gets a void and takes its 25.20 back. P06 was there, with P04: nothing of it moves."""
    async with _house(tmp_path) as house:
        claims_of = {patient: await house.claim_of("S1", patient) for patient in ROOM}
        await _until(house, "2026-03-02", lambda: all(
            house.states[one].stage in (Stage.CLOSED, Stage.PATIENT_BALANCE)
            and house.states[one].hold is None for one in claims_of.values()
        ))  # fmt: skip
        absent, unsupported, untouched = (claims_of[patient] for patient in ROOM)
        before = await _books(house, untouched)
        known = (await house.clock.now()).astimezone(ZoneInfo("America/Chicago")).date()
        desk = _desk(house)
        await _correct(house, P01="no_show")
        await house.acts(desk.withdraw_note, "S1", "P04", "another patient's", "C. Clinician")
        await house.settle()
        assert _stands(house, absent) == ("void", "PAYER_REFUND_DUE", "NO_SHOW")
        assert _stands(house, unsupported) == ("void", "DOCUMENTATION_CHANGED", "NOTE_WITHDRAWN")
        await _release(house, "P04", "DOCUMENTATION_CHANGED")
        await house.acts(desk.refund_payer, absent, Cents(2419), "CHQ-3", by="R. Lee")
        await house.settle()
        await _until(house, "2026-04-20", lambda: house.states[unsupported].ended)
        assert _stands(house, absent) == ("not_billable", None, "NO_SHOW")
        assert _stands(house, unsupported) == ("not_billable", None, "NOTE_WITHDRAWN")
        assert await _books(house, absent) == {"clearing": 2419, "payer_refund": -2419}
        assert await _books(house, unsupported) == {}
        assert await _books(house, untouched) == before
        assert [
            [(one.version, one.frequency) for one in _sent(house, claims_of[patient])]
            for patient in ROOM
        ] == [[("A", "1")], [("A", "1"), ("B", "8")], [("A", "1")]]
        async with house.database.reading() as reading:
            closed = await voids.overpayments(reading, closed=True)
            assert await voids.overpayments(reading) == ()
        assert {
            (one.claim_number, int(one.cents), one.outcome, one.receipt, one.identified_on)
            for one in closed
        } == {
            (absent, 2419, "refunded", "CHQ-3", known),
            (unsupported, 2520, "reversed", None, known),
        }


async def test_the_sixty_days_begin_when_it_was_known_and_not_when_it_was_looked_at(
    tmp_path: Path,
) -> None:
    """Known on 11 February; the step is carried out nine days later, as after an outage or in a
    restored copy of the database."""
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        known = await house.clock.now()
        state = house.states[claim]
        async with house.quietly() as tx:
            await tx.execute(
                text(f"UPDATE participant SET not_billable = 'NO_SHOW'"
                     f" WHERE claim_number = '{claim}'")
            )  # fmt: skip
        await house.move_to(known + timedelta(days=9))
        step = steps.ClaimStep(
            claim_number=claim, sequence=state.sequence, version=state.version, since=known
        )
        await house.perform(steps.PLAN_VOID, step)
        async with house.database.reading() as reading:
            (owed,) = await voids.overpayments(reading)
        day = known.astimezone(ZoneInfo("America/Chicago")).date()
        # Sixty days after 11 February are Sunday, 12 April: the Friday before it is the last day.
        assert (f"{owed.identified_on}", f"{day}") == ("2026-02-11", "2026-02-11")
        assert owed.refund_by is not None
        last = owed.refund_by.astimezone(ZoneInfo("America/Chicago")).date()
        assert f"{last}" == "2026-04-10"


async def _alerts(house: House, claim: str) -> list[Any]:
    return await house.rows(
        select(claim_event)
        .where(claim_event.c.claim_number == claim, claim_event.c.kind == "alert")
        .order_by(claim_event.c.at)
    )


def _desk(house: House) -> FrontDesk:
    return FrontDesk(house.database, house.clock, cast(Client, house.switchboard))


async def test_a_withdrawn_note_takes_the_claim_back_and_a_new_signature_bills_it_anew(
    tmp_path: Path,
) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        assert await _desk(house).withdraw_note("S1", "P04", "another patient's", "C. Clinician")
        await house.settle()
        assert _stands(house, claim) == ("void", "DOCUMENTATION_CHANGED", "NOTE_WITHDRAWN")
        async with house.database.reading() as reading:
            facts = await practice.claim_facts(reading, claim)
        assert facts.note_signed_at is None
        assert not await _desk(house).withdraw_note("S1", "P04", "again", "C. Clinician")
        await _release(house, "P04", "DOCUMENTATION_CHANGED")
        await _until(house, "2026-04-20", lambda: house.states[claim].ended)
        assert _stands(house, claim) == ("not_billable", None, "NOTE_WITHDRAWN")
        assert [one.frequency for one in _sent(house, claim)] == ["1", "8"]
        assert await _books(house, claim) == {}
        other = await house.claim_of("S1", "P06")
        assert [one.frequency for one in _sent(house, other)] == ["1"]


async def test_a_payer_that_keeps_its_money_from_a_later_payment(tmp_path: Path) -> None:
    """S1 is paid on 02-11, found wrong that day; the payer answers on 02-19 and keeps the 25.20
    from what it pays for S4 on 02-20 (LCSW: 17.64), the rest from the payment after that."""

    def keeps(payers: dict[str, Any]) -> None:
        payers["SIMTXM"]["voids"] = "takeback"

    facts = json.loads((SAMPLES / "payers.json").read_text())
    keeps({payer["payer_id"]: payer for payer in facts["payers"]})
    rosters = {"S1": ("P01", "P04", "P06"), "S4": ("P01", "P04", "P08")}
    async with House(tmp_path, rosters, payers=json.dumps(facts).encode()) as house:
        await house.open_sessions()
        await _play(house, "S1", "1")
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        await _play(house, "S4", "2")
        await _until(house, "2026-03-20", lambda: house.states[claim].ended)
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        rows = await house.rows(
            text("SELECT reason_code, cents, claim_number FROM provider_adjustment ORDER BY 2")
        )
        assert ("WO", 2520, claim) in [tuple(row) for row in rows]
        # Its money went back by what the payer kept; no reversal ever came.
        assert await _books(house, claim) == {"clearing": 2520, "takeback": -2520}
        assert await _overpayments(house, claim) == [(2520, "NO_SHOW", "kept")]
        (cases,) = await house.rows(text("SELECT count(*) AS n FROM dispute_case"))
        assert cases.n == 0  # that is no takeback to dispute


async def _play(house: House, session: str, attempt: str) -> None:
    """Let everyone of a session come and every note be signed, and send what is ready."""
    await house.hand_in(session)
    batch = await house.cut(attempt)
    assert batch is not None
    await house.send(batch)


async def test_a_payer_that_refuses_the_void(tmp_path: Path) -> None:
    def by_letter(payers: dict[str, Any]) -> None:
        payers["SIMTXM"]["voids"] = "letter"

    async with _house(tmp_path, change=by_letter) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        await _until(house, "2026-03-20", lambda: house.states[claim].hold is not None)
        assert _stands(house, claim) == ("void", "VOID_REFUSED", "NO_SHOW")
        await _release(house, "P04", "VOID_REFUSED")
        assert house.states[claim].hold is None
        await _until(house, "2026-04-10", lambda: house.states[claim].hold is not None)
        assert _stands(house, claim) == ("void", "VOID_REFUSED", "NO_SHOW")
        # Sent once each time a person said so, never by itself.
        assert [one.frequency for one in _sent(house, claim)] == ["1", "8", "8"]


async def test_attendance_corrected_back_before_the_payer_was_told(tmp_path: Path) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P06")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        before = await _books(house, claim)
        await _correct(house, P06="no_show")
        await _correct(house)
        assert house.states[claim].ended
        assert house.states[claim].stage is Stage.CLOSED
        assert await _books(house, claim) == before
        assert await _overpayments(house, claim) == [(1315, "NO_SHOW", "stands")]
        assert [one.frequency for one in _sent(house, claim)] == ["1"]


async def test_attendance_corrected_back_while_the_void_waits_for_its_batch(
    tmp_path: Path,
) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        assert house.states[claim].version == 2
        await _correct(house)
        assert (house.states[claim].stage, house.states[claim].version) == (Stage.CLOSED, 1)
        assert await house.cut("late") is None  # nothing is left of it in the queue
        await _correct(house, P04="no_show")  # and once more: asked anew, sent once
        assert _stands(house, claim)[1] == "ATTENDANCE_CHANGED"
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        await _until(house, "2026-04-20", lambda: house.states[claim].ended)
        assert [(one.version, one.frequency) for one in _sent(house, claim)] == [
            ("A", "1"),
            ("B", "8"),
        ]
        assert await _books(house, claim) == {}


async def test_attendance_corrected_back_after_the_void_is_a_new_claim(tmp_path: Path) -> None:
    async with _house(tmp_path) as house:
        claim = await house.claim_of("S1", "P04")
        await _until(house, "2026-03-02", _at(house, claim, Stage.CLOSED))
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        await _until(house, "2026-04-20", lambda: len(_sent(house, claim)) == 2)
        await _correct(house)
        assert house.states[claim].stage is Stage.VOID  # the payer was told: carried through
        await _until(house, "2026-06-01", _at(house, claim, Stage.CLOSED))
        assert [(one.version, one.frequency, one.payer_claim_number != "")
                for one in _sent(house, claim)] == [
            ("A", "1", False),
            ("B", "8", True),
            ("C", "1", False),
        ]  # fmt: skip
        # Paid once: 25.20 and 34.80 of 60.00.
        assert await _books(house, claim) == {
            "charges": -6000,
            "clearing": 2520,
            "contractual": 3480,
        }
        # And found absent once more: voided once more, under the number of the new claim.
        await _correct(house, P04="no_show")
        await _release(house, "P04", "ATTENDANCE_CHANGED")
        await _until(house, "2026-07-15", lambda: house.states[claim].ended)
        sent = _sent(house, claim)
        assert [one.frequency for one in sent] == ["1", "8", "1", "8"]
        assert sent[3].payer_claim_number != sent[1].payer_claim_number
        assert await _books(house, claim) == {}
        assert await _overpayments(house, claim) == [
            (2520, "NO_SHOW", "reversed"),
            (2520, "NO_SHOW", "reversed"),
        ]


async def test_after_a_second_payer_has_paid_both_are_paid_back_the_last_first(
    tmp_path: Path,
) -> None:
    """Medicare paid 24.19 and, of the 6.17 left, Texas Medicaid 1.01 (see test_second_payer). The
    1.01 are taken back by a void; Medicare takes none, and gets its 24.19 by cheque."""
    payers = json.loads(second._payers(second._insured_twice))
    rosters = {"S1": ROOM}
    async with House(tmp_path, rosters, payers=json.dumps(payers).encode()) as house:
        await second._load(
            house,
            "P01",
            {"payer": "medicare-part-b", "member_id": "1SS0SS0SS01"},
            {"payer": "texas-medicaid", "member_id": second.SECOND},
        )
        claim = await house.claim_of("S1", "P01")
        await second._attend(house)
        await _until(house, "2026-03-25", _at(house, claim, Stage.CLOSED))
        assert (await _books(house, claim))["clearing"] == 2419 + 101
        await _correct(house, P01="no_show")
        assert _stands(house, claim) == ("void", "ATTENDANCE_CHANGED", "NO_SHOW")
        assert await _overpayments(house, claim) == [
            (2419, "NO_SHOW", None),
            (101, "NO_SHOW", None),
        ]
        await _release(house, "P01", "ATTENDANCE_CHANGED")
        await _until(house, "2026-05-01", lambda: house.states[claim].hold is not None)
        assert _stands(house, claim) == ("void", "PAYER_REFUND_DUE", "NO_SHOW")
        void = _sent(house, claim)[-1]
        assert (void.frequency, void.payer_id, void.version) == ("8", "SIMTXM", "C")
        assert await _overpayments(house, claim) == [
            (2419, "NO_SHOW", None),
            (101, "NO_SHOW", "reversed"),
        ]
        assert await _desk(house).refund_payer(claim, Cents(2419), "CHQ-2", by="R. Lee")
        await house.settle()
        assert _stands(house, claim) == ("not_billable", None, "NO_SHOW")
        assert await _books(house, claim) == {"clearing": 2419, "payer_refund": -2419}
