"""The steps of one claim before it is sent: each done twice gives the same, each refusal a hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities import steps
from groupclaim.clearinghouse.port import NotTaken
from groupclaim.lifecycle.events import AttendanceRecorded
from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.store import audit, claims, ledger, practice
from groupclaim.store.clock import next_wakeup
from groupclaim.store.schema import group_session
from tests.activities.house import KEYRING, START, House

ROSTER = {"S1": ("P01", "P06", "P08")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        yield made


@pytest.fixture
async def claim(house: House) -> str:
    return await house.claim_of("S1", "P06")


def step(claim: str, sequence: int = 1, **more: Any) -> steps.ClaimStep:
    return steps.ClaimStep(claim_number=claim, sequence=sequence, **more)


def room(house: House, **statuses: str) -> steps.RecordAttendance:
    return steps.RecordAttendance(
        session_id=house.sessions["S1"],
        by="front-desk",
        entries=tuple(
            steps.AttendanceEntry.model_validate(
                {
                    "patient_id": KEYRING.patient_id(patient),
                    "status": status,
                    "minutes": 60 if status == "attended" else 0,
                    "copay_cents": 1500 if patient == "P06" and status == "attended" else 0,
                }
            )
            for patient, status in statuses.items()
        ),
    )


async def after_the_session(house: House) -> None:
    """Everyone but P08 came, every note is signed."""
    await house.open_sessions()
    await house.hand_in()


async def snapshot(house: House) -> list[tuple[Any, ...]]:
    """Every row that a step may write, but for the audit log: each reading of a note is noted."""
    tables = ("claim", "claim_version", "claim_event", "finding", "eligibility", "participant",
              "ready_claim", "note", "transfer", "wakeup")  # fmt: skip
    plain = []
    for table in tables:
        for row in await house.rows(text(f"SELECT * FROM {table} ORDER BY 1, 2")):
            plain.append(
                (
                    table,
                    *(v for k, v in row._mapping.items() if k not in ("document", "updated_at")),
                )
            )
    return plain


async def test_every_step_before_sending_done_twice_changes_nothing(
    house: House, claim: str
) -> None:
    await after_the_session(house)
    state = house.states[claim]
    again = step(claim, state.sequence, version=1)
    before = await snapshot(house)
    for one in (
        steps.CHECK_AUTHORIZATION,
        steps.CHECK_DOCUMENTATION,
        steps.CHECK_CODING,
        steps.QUEUE_CLAIM,
    ):
        assert await house.perform(one, again) == await house.perform(one, again)
        assert await snapshot(house) == before, one.name
    # Version 1 was made at sequence 5 from version 0: the same call gives the same version.
    for _ in range(2):
        built = await house.perform(steps.BUILD_CLAIM, step(claim, 5))
        assert (built.version, built.held) == (1, None)
    assert await snapshot(house) == before


# --- eligibility


async def test_the_question_repeated_is_the_same_question(house: House, claim: str) -> None:
    for _ in range(2):
        checked = await house.perform(steps.CHECK_ELIGIBILITY, step(claim))
        assert checked.held is None
    asked = [
        entry["sha256"]
        for entry in house.wire()
        if (entry["channel"], entry["direction"]) == ("eligibility", "received")
    ]
    assert len(asked) == 2
    assert len(set(asked)) == 1
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
    assert facts.eligibility is not None
    assert (facts.eligibility.active, facts.eligibility.copay) == (True, 1500)


@pytest.mark.parametrize("kind", ["server_error", "throttle", "lose_answer", "drop_before"])
async def test_a_payer_that_does_not_answer_is_asked_again(
    house: House, claim: str, kind: str
) -> None:
    await house.spoil({"on": "eligibility", "kind": kind, "times": 1, "seconds": 9})
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.CHECK_ELIGIBILITY, step(claim))
    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == (timedelta(seconds=9) if kind == "throttle" else None)
    assert (await house.perform(steps.CHECK_ELIGIBILITY, step(claim))).held is None


async def test_a_refused_question_holds_the_claim(
    house: House, claim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(inquiry: bytes) -> bytes:
        raise NotTaken("unreadable", final=True)

    monkeypatch.setattr(house.clearinghouse, "ask_eligibility", refused)
    checked = await house.perform(steps.CHECK_ELIGIBILITY, step(claim))
    assert checked.held.code == "COVERAGE_UNKNOWN"
    assert checked.due_at > START


async def test_without_coverage_nobody_is_asked(house: House, claim: str) -> None:
    async with house.database.transaction() as tx:
        await tx.execute(text("DELETE FROM coverage"))
    checked = await house.perform(steps.CHECK_ELIGIBILITY, step(claim))
    assert checked.held.code == "COVERAGE_INACTIVE"
    assert house.wire() == []


# --- documentation, coding, build


async def test_an_unsigned_note_holds_until_it_is_signed_and_its_text_stays_away(
    house: House, claim: str
) -> None:
    await house.open_sessions()
    await house.perform(
        steps.RECORD_ATTENDANCE, room(house, P01="attended", P06="attended", P08="no_show")
    )
    checked = await house.perform(steps.CHECK_DOCUMENTATION, step(claim))
    assert checked.held.code == "NOTE_UNSIGNED"
    assert await house.rows(text("SELECT digest FROM note")) == []
    await house.move_to(datetime.fromisoformat("2026-02-04T09:00:00-06:00"))
    assert (await house.perform(steps.CHECK_DOCUMENTATION, step(claim))).held is None
    assert len(await house.rows(text("SELECT digest FROM note"))) == 1
    read = await house.rows(text("SELECT subject FROM audit_entry WHERE action='read_note'"))
    assert [row.subject for row in read] == [claim] * 2
    async with house.database.reading() as reading:
        noted = await audit.entries(reading, claim)
    purposes = [entry.detail for entry in noted if entry.action == "read_note"]
    assert purposes == [{"purpose": "documentation check"}] * 2


async def test_what_a_payer_would_refuse_never_becomes_a_version(
    house: House, claim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await after_the_session(house)
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
    assert facts.payer is not None
    payer = facts.payer.model_copy(update={"payer_id": "~"})

    async def spoiled(reading: Any, number: str, parties: Any) -> Any:
        return facts.model_copy(update={"payer": payer})

    monkeypatch.setattr(practice, "claim_facts", spoiled)
    built = await house.perform(steps.BUILD_CLAIM, step(claim, 20, version=1))
    assert built.held.code == "CLAIM_REFUSED"
    assert built.held.releasable
    assert len(await house.rows(text("SELECT 1 FROM claim_version WHERE version = 2"))) == 0
    rules = await house.rows(text("SELECT rule, sentence FROM finding WHERE hold='CLAIM_REFUSED'"))
    assert rules
    assert all(row.rule.startswith("outbound:") for row in rules)


async def test_a_replacement_needs_the_payers_number(house: House, claim: str) -> None:
    await after_the_session(house)
    built = await house.perform(
        steps.BUILD_CLAIM, step(claim, 20, version=1, frequency="7", cause="CO-197")
    )
    assert built.held.code == "CLAIM_REFUSED"
    rows = await house.rows(text("SELECT rule FROM finding WHERE step = 'build_claim'"))
    assert [row.rule for row in rows] == ["outbound:no_original_reference"]


# --- the room


async def test_attendance_recorded_twice_is_told_with_the_same_keys(
    house: House, claim: str
) -> None:
    await house.open_sessions()
    record = room(house, P01="attended", P06="attended", P08="no_show")
    house.switchboard.signals.clear()
    first = await house.perform(steps.RECORD_ATTENDANCE, record)
    assert (first.group_size, first.changed) == (2, 3)
    keys = {(name, event.key) for name, _, event in house.switchboard.signals}  # type: ignore[attr-defined]
    second = await house.perform(steps.RECORD_ATTENDANCE, record)
    assert (second.group_size, second.changed) == (2, 0)
    assert len(house.switchboard.signals) == 6
    assert {(name, event.key) for name, _, event in house.switchboard.signals} == keys  # type: ignore[attr-defined]
    entries = await house.rows(text("SELECT 1 FROM audit_entry WHERE action='record_attendance'"))
    assert len(entries) == 1
    async with house.database.reading() as reading:
        assert (await ledger.balance(reading, claim)).prepaid == 1500


async def test_a_correction_reaches_a_claim_that_has_ended(house: House) -> None:
    await house.open_sessions()
    await house.perform(
        steps.RECORD_ATTENDANCE, room(house, P01="attended", P06="attended", P08="no_show")
    )
    await house.settle()
    absent = await house.claim_of("S1", "P08")
    assert house.states[absent].stage is Stage.NOT_BILLABLE
    await house.perform(
        steps.RECORD_ATTENDANCE, room(house, P01="attended", P06="attended", P08="attended")
    )
    start = house.switchboard.started[f"claim/{absent}"]
    assert getattr(start, "state", None) is None  # it reads for itself how it was last kept
    kept = await house.perform(steps.LOAD_CLAIM, steps.ClaimRef(claim_number=absent))
    assert kept.state.stage is Stage.NOT_BILLABLE
    await house.settle()
    assert house.states[absent].stage is not Stage.NOT_BILLABLE


async def test_a_queued_claim_whose_patient_was_not_there_leaves_the_queue(
    house: House, claim: str
) -> None:
    await after_the_session(house)
    assert house.states[claim].stage is Stage.READY
    await house.perform(
        steps.RECORD_ATTENDANCE, room(house, P01="attended", P06="no_show", P08="no_show")
    )
    told = {
        name: event
        for name, _, event in house.switchboard.signals
        if isinstance(event, AttendanceRecorded)
    }
    assert told[f"claim/{claim}"].not_billable == "NO_SHOW"
    assert not told[f"claim/{claim}"].sent
    await house.settle()
    assert await house.cut("1") is None


async def test_attendance_that_does_not_fit_the_roster_names_every_reason(house: House) -> None:
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.RECORD_ATTENDANCE, room(house, P01="attended", P02="attended"))
    assert caught.value.non_retryable
    assert "entries[1].patient_id: not on the roster" in str(caught.value)
    assert "2 on the roster are not listed" in str(caught.value)


async def test_who_is_taken_off_the_roster_is_told_and_who_is_added_has_a_claim(
    house: House, claim: str
) -> None:
    await house.open_sessions()
    amendment = steps.AmendRoster(
        session_id=house.sessions["S1"],
        add=(KEYRING.patient_id("P04"),),
        remove=(KEYRING.patient_id("P06"),),
        by="front-desk",
    )
    house.switchboard.signals.clear()
    for _ in range(2):
        roster = await house.perform(steps.AMEND_ROSTER, amendment)
    patients = {entry.patient_id for entry in roster.entries}
    assert patients == {KEYRING.patient_id(ref) for ref in ("P01", "P04", "P08")}
    events = [event for _, _, event in house.switchboard.signals]
    assert [event.not_billable for event in events] == ["REMOVED_FROM_ROSTER"] * 2  # type: ignore[attr-defined]
    assert events[0].key == events[1].key  # type: ignore[attr-defined]
    await house.settle()
    assert house.states[claim].stage is Stage.NOT_BILLABLE


# --- deadlines, progress, decisions


async def test_a_session_without_attendance_reminds_less_and_less_often(house: House) -> None:
    roster = await house.perform(
        steps.LOAD_ROSTER, steps.SessionRef(session_id=house.sessions["S1"])
    )
    assert roster.attendance_due_at == datetime.fromisoformat("2026-02-04T11:00:00-06:00")
    assert roster.timer_seconds is None
    async with house.database.reading() as reading:
        assert await next_wakeup(reading) == roster.attendance_due_at
    gaps = []
    for level in (1, 2, 3, 4, 5):
        alert = steps.SessionAlert(session_id=house.sessions["S1"], follow_ups=level)
        look = await house.perform(steps.FOLLOW_UP_ATTENDANCE, alert)
        gaps.append((look.due_at - START).days)
    assert gaps == [1, 2, 4, 7, 7]


async def test_progress_is_kept_with_its_deadline_and_an_older_state_changes_nothing(
    house: House, claim: str
) -> None:
    due_at = START + timedelta(days=3)
    newer = ClaimState(claim_number=claim, sequence=4, stage=Stage.READY, due_at=due_at)
    older = ClaimState(claim_number=claim, sequence=2, stage=Stage.CODING)
    for state in (newer, older, newer):
        recorded = await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))
        assert (recorded.timer_seconds, recorded.billed, recorded.open) == (None, 0, 0)
    async with house.database.reading() as reading:
        assert await claims.load_state(reading, claim) == newer
        assert await next_wakeup(reading) == due_at


async def test_that_an_item_was_resolved_is_told_again_after_a_death(
    house: House, claim: str
) -> None:
    """The hold is over in the try that died as well: whoever saw it there may not decide it."""
    hold = Hold(
        code="PAYER_UNREACHABLE", redo=Step.CHECK_ELIGIBILITY, since=START, releasable=False
    )
    held = ClaimState(claim_number=claim, sequence=1, stage=Stage.ELIGIBILITY, hold=hold)
    over = ClaimState(claim_number=claim, sequence=2, stage=Stage.AUTHORIZATION)
    opened = await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=held))
    assert [item.state for item in opened.items] == ["open"]
    resolved = await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=over))
    assert [item.state for item in resolved.items] == ["resolved"]
    again = await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=over))
    assert again.items == resolved.items


async def test_a_decision_stands_in_the_audit_log_once_for_each_request(
    house: House, claim: str
) -> None:
    decision = steps.ClaimDecision(
        claim_number=claim, code="DENIED", by="biller-1", reason="called the payer", request="r1"
    )
    for _ in range(2):
        await house.perform(steps.RECORD_DECISION, decision)
    async with house.database.reading() as reading:
        (entry,) = [
            entry for entry in await audit.entries(reading, claim) if entry.action == "release_hold"
        ]
    assert (entry.actor, entry.detail["reason"]) == ("biller-1", "called the payer")


async def test_a_passed_deadline_raises_one_alert_and_sets_the_next(
    house: House, claim: str
) -> None:
    late = step(claim, 7, follow_ups=1)
    results = [await house.perform(steps.FOLLOW_UP, late) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0].due_at > START
    alerts = await house.rows(text("SELECT detail FROM claim_event WHERE kind = 'alert'"))
    assert len(alerts) == 1


# --- the room


async def _also(house: House, changes: dict[str, Any]) -> None:
    """Another session on file, like S1 but for ``changes``."""
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, await house.claim_of("S1", "P06"))
    other = facts.session.model_copy(update={"ref": "S1B", "roster": ("P06", "P08"), **changes})
    async with house.database.transaction() as tx:
        await practice.add_sessions(tx, [other], START)


@pytest.mark.parametrize(
    ("hours", "roster", "clinician", "hold"),
    [
        (0, ("P06", "P08"), None, "DUPLICATE"),
        (0.5, ("P08",), None, "SESSION_CONFLICT"),
        (0.5, ("P06",), "C2", "SESSION_CONFLICT"),
        (2, ("P06",), "C2", "SAME_DAY_SERVICE"),
        (2, ("P08",), None, None),
    ],
)
async def test_what_else_was_that_day_holds_the_claim(
    house: House, claim: str, hours: float, roster: tuple[str, ...], clinician: Any, hold: Any
) -> None:
    """From the store: what the clinician led and where the patient was besides, at both steps."""
    await after_the_session(house)
    async with house.database.reading() as reading:
        session = (await practice.claim_facts(reading, claim)).session
    shift = timedelta(hours=hours)
    await _also(
        house,
        {
            "roster": roster,
            "clinician": clinician or session.clinician,
            "starts_at": session.starts_at + shift,
            "ends_at": session.ends_at + shift,
        },
    )
    checked = await house.perform(steps.CHECK_CODING, step(claim))
    built = await house.perform(steps.BUILD_CLAIM, step(claim, 50, version=1))
    for result in (checked, built):
        assert (result.held.code if result.held else None) == hold


async def test_a_group_led_by_a_peer_is_held_in_production(house: House, claim: str) -> None:
    await after_the_session(house)
    async with house.database.transaction() as tx:
        facts = await practice.claim_facts(tx, claim)
        led = facts.session.model_copy(update={"led_by": "peer"})
        await tx.execute(
            group_session.update()
            .where(group_session.c.id == facts.session_id)
            .values(document=tx.seal(group_session, led))
        )
    checked = await house.perform(steps.CHECK_CODING, step(claim))
    assert checked.held is not None
    assert checked.held.code == "LICENCE_NOT_ACCEPTED"


# --- the filing limit


async def test_a_claim_made_after_the_filing_limit_is_held_until_it_is_waived(
    house: House, claim: str
) -> None:
    """Ninety days from 3 February: the last is 4 May, to its end in Austin."""
    await after_the_session(house)
    late = step(claim, 50, version=1)
    await house.move_to(datetime.fromisoformat("2026-05-04T23:59:59-05:00"))
    assert (await house.perform(steps.BUILD_CLAIM, late)).held is None
    await house.move_to(datetime.fromisoformat("2026-05-05T00:00:01-05:00"))
    held = (await house.perform(steps.BUILD_CLAIM, step(claim, 51, version=2))).held
    assert held is not None
    assert (held.code, held.two_people) == ("TIMELY_FILING", True)
    waived = step(claim, 52, version=2, waivers=("TIMELY_FILING",))
    assert (await house.perform(steps.BUILD_CLAIM, waived)).version == 3
    replacing = step(claim, 53, version=3, frequency="7")
    held = (await house.perform(steps.BUILD_CLAIM, replacing)).held
    assert held is None or held.code != "TIMELY_FILING"
