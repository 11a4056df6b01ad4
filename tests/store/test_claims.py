from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.model.base import InputRefused
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.model.identity import control_number
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance
from groupclaim.store import batches, ledger
from groupclaim.store.batches import cut_batch, queue_claim
from groupclaim.store.claims import (
    AttendanceEntry,
    amend_roster,
    append_event,
    begin_version,
    load_state,
    make_version,
    open_claims,
    read_findings,
    read_version,
    record_attendance,
    record_progress,
    record_session,
    replace_findings,
    timeline,
)
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord, claim_facts, session_roster
from groupclaim.store.schema import claim, finding, group_session, ready_claim
from tests.store.world import NOW, World, attended, make_ready, send_all, trial_balance, version_of

LATER = NOW + timedelta(hours=1)


def _state(number: str, sequence: int, **changes: object) -> ClaimState:
    return ClaimState.model_validate(
        {"claim_number": number, "sequence": sequence, "stage": Stage.CODING, **changes}
    )


async def test_a_version_that_no_batch_has_taken_makes_room_for_the_next(world: World) -> None:
    number = world.claims[0]

    async def begun(tx: Transaction, step: int) -> int:
        return await begin_version(tx, number, 1, step, LATER)

    async def waits(tx: Transaction) -> bool:
        withdrawn = select(ready_claim.c.withdrawn_at).filter_by(claim_number=number)
        return await tx.scalar(withdrawn) is None

    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        assert await begin_version(tx, number, 0, 5, NOW) == 1
        await make_version(tx, version_of(number, charge=6500, made_by=5), NOW)
        await queue_claim(tx, number, 1, world.connection_id, NOW)
        assert await begun(tx, 5) == 1  # a late attempt of the same step changes nothing
        assert await waits(tx)
        assert await begun(tx, 9) == 1
        assert not await waits(tx)
        made = await make_version(tx, version_of(number, charge=9900, made_by=9), LATER)
        assert (made.charge, made.control_number) == (9900, control_number(number, 1))
        assert await read_version(tx, number, 1) == made
        assert await begun(tx, 9) == 1
        assert await queue_claim(tx, number, 1, world.connection_id, LATER)
        batch = await cut_batch(tx, world.connection_id, "k", LATER, 10)
        assert batch is not None
        assert batch.claims == 1
        assert await begun(tx, 12) == 2  # this one has left


async def test_progress_is_kept_and_read_back(world: World) -> None:
    number = world.claims[0]
    hold = Hold(code="NOTE_UNSIGNED", redo=Step.CHECK_DOCUMENTATION, since=NOW, releasable=False)
    state = _state(number, 4, hold=hold, due_at=LATER, version=1, seen=("a", "b"))
    async with world.database.transaction() as tx:
        assert (await load_state(tx, number)).sequence == 0
        assert await record_progress(tx, state, NOW)
        assert await load_state(tx, number) == state
        row = await tx.first(select(claim).where(claim.c.claim_number == number))
        (event,) = await timeline(tx, number)
    assert row is not None
    assert (row.stage, row.hold_code, row.due_at, row.version) == (
        "coding", "NOTE_UNSIGNED", LATER, 1,
    )  # fmt: skip
    assert event.detail["hold"] == "NOTE_UNSIGNED"
    assert event.sequence == 4


async def test_progress_told_late_or_twice_changes_nothing(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        for sequence, news in ((2, True), (1, False), (2, False), (3, True), (2, False)):
            assert await record_progress(tx, _state(number, sequence), NOW) is news
        assert (await load_state(tx, number)).sequence == 3
        assert [event.sequence for event in await timeline(tx, number)] == [2, 3]
        with pytest.raises(UnknownRecord):
            await record_progress(tx, _state("GCUNKNOWN", 1), NOW)


async def test_an_event_is_noted_once_for_each_key(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        assert await append_event(tx, number, "k1", NOW, "hold_released", "supervisor-1", {"n": 1})
        assert not await append_event(tx, number, "k1", LATER, "hold_released", "x", {"n": 2})
        (event,) = await timeline(tx, number)
    assert (event.at, event.actor, event.detail) == (NOW, "supervisor-1", {"n": 1})


async def test_a_version_once_made_never_changes(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        first = await make_version(tx, version_of(number, charge=6500), NOW)
        again = await make_version(tx, version_of(number, charge=9900), LATER)
        assert again == first == await read_version(tx, number, 1)
        with pytest.raises(UnknownRecord, match="version 3"):
            await read_version(tx, number, 3)


async def test_findings_of_a_step_replace_those_before(world: World) -> None:
    number = world.claims[0]
    source = Source(policy="p", version="1", citation="page 3", verified=False)
    size = Finding(
        rule="group_size",
        severity=Severity.BLOCK,
        sentence="Eleven were treated.",
        evidence=("S1",),
        hold="GROUP_SIZE_REVIEW",
        releasable=True,
        source=source,
    )
    note = Finding(rule="note", severity=Severity.INFO, sentence="Signed.")
    async with world.database.transaction() as tx:
        await replace_findings(tx, number, "coding", [size, note], NOW)
        await replace_findings(tx, number, "documentation", [note], LATER)
        assert await read_findings(tx, number) == (size, note, note)
        await replace_findings(tx, number, "coding", [size, note], LATER)
        assert await _dates(tx, number) == [NOW, NOW, LATER]
        await replace_findings(tx, number, "coding", [note], LATER)
        assert await read_findings(tx, number, "coding") == (note,)
        await replace_findings(tx, number, "coding", [], LATER)
        assert await read_findings(tx, number) == (note,)


async def _dates(reading: Reading, number: str) -> Sequence[object]:
    rows = await reading.rows(
        select(finding.c.created_at).where(finding.c.claim_number == number).order_by(finding.c.id)
    )
    return [row.created_at for row in rows]


# --- attendance


async def test_attendance_says_what_each_claim_must_know(world: World) -> None:
    entries = attended(world, absent=[0])
    entries[1] = AttendanceEntry(world.patients[1], Attendance.EXCUSED)
    async with world.database.transaction() as tx:
        recorded = await record_attendance(tx, world.session_id, entries, NOW)
    found = {item.claim_number: item for item in recorded.claims}
    assert (recorded.group_size, recorded.changed) == (4, 6)
    assert found[world.claims[0]].not_billable == "NO_SHOW"
    assert found[world.claims[1]].not_billable == "EXCUSED"
    assert found[world.claims[2]].not_billable is None
    assert {item.revision for item in recorded.claims} == {1}
    assert not any(item.sent for item in recorded.claims)


async def test_the_same_attendance_again_is_no_change_but_is_told_again(world: World) -> None:
    async with world.database.transaction() as tx:
        first = await record_attendance(tx, world.session_id, attended(world, copay=1500), NOW)
        again = await record_attendance(tx, world.session_id, attended(world, copay=1500), LATER)
        assert (await ledger.balance(tx, world.claims[0])).prepaid == 1500
    assert again.changed == 0
    assert [(c.claim_number, c.revision) for c in again.claims] == [
        (c.claim_number, c.revision) for c in first.claims
    ]


async def test_one_who_came_alone_had_no_group(world: World) -> None:
    async with world.database.transaction() as tx:
        recorded = await record_attendance(
            tx, world.session_id, attended(world, absent=[1, 2, 3, 4, 5]), NOW
        )
    reasons = {item.claim_number: item.not_billable for item in recorded.claims}
    assert recorded.group_size == 1
    assert reasons[world.claims[0]] == "GROUP_OF_ONE"


async def test_a_correction_concerns_everyone_in_a_room_of_another_size(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world, absent=[0]), NOW)
        corrected = await record_attendance(
            tx, world.session_id, attended(world, absent=[0, 1]), LATER
        )
        facts = await claim_facts(tx, world.claims[3])
    changed = {item.claim_number for item in corrected.claims if item.changed}
    assert changed == set(world.claims[1:])
    assert facts.group_size == 4


async def test_a_corrected_copay_books_the_difference(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        for copay, prepaid in ((1500, 1500), (2000, 2000), (0, 0), (1000, 1000)):
            await record_attendance(tx, world.session_id, attended(world, copay=copay), NOW)
            now = await ledger.balance(tx, number)
            assert (now.prepaid, now.patient_open) == (prepaid, -prepaid)
        assert (await trial_balance(tx))[ledger.Account.PATIENT_CASH] == 6 * 1000
        assert await ledger.verify(tx) == ()


async def test_a_room_of_another_size_leaves_the_queue_to_be_checked_again(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        for number in world.claims[:2]:
            await make_ready(tx, world, number)
        recorded = await record_attendance(tx, world.session_id, attended(world, absent=[0]), LATER)
        assert await batches.cut_batch(tx, world.connection_id, "k", LATER, 100) is None
        await make_ready(tx, world, world.claims[1], version=2)
        batch = await batches.cut_batch(tx, world.connection_id, "again", LATER, 100)
        assert batch is not None
        (taken,) = await batches.batch_claims(tx, batch.batch_id)
    assert (taken.claim_number, taken.version) == (world.claims[1], 2)
    assert all(item.changed and not item.sent for item in recorded.claims)


async def test_the_last_one_left_on_the_roster_had_no_group(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world, absent=[2, 3, 4, 5]), NOW)
        for number in world.claims[:2]:
            await make_ready(tx, world, number)
        amended = await amend_roster(tx, world.session_id, (), world.patients[:1], LATER)
        reasons = {item.claim_number: item.not_billable for item in amended.claims if item.changed}
        assert reasons == {
            world.claims[0]: "REMOVED_FROM_ROSTER",
            world.claims[1]: "GROUP_OF_ONE",
        }
        assert await batches.cut_batch(tx, world.connection_id, "k", LATER, 100) is None
        back = await amend_roster(tx, world.session_id, world.patients[:1], (), LATER)
        again = {item.claim_number: item.not_billable for item in back.claims if item.changed}
        # Whoever died after the commit and before telling anyone tells all of them.
        told = await amend_roster(tx, world.session_id, world.patients[:1], (), LATER)
    assert again == {world.claims[0]: None, world.claims[1]: None}
    assert (back.changed, told.changed) == (True, False)
    assert [(item.claim_number, item.revision) for item in told.claims] == [
        (item.claim_number, item.revision) for item in back.claims
    ]
    assert {item.claim_number for item in told.claims} == set(world.claims)


async def test_a_correction_after_the_cut_says_that_the_claim_has_left(world: World) -> None:
    await send_all(world, world.claims[:2])
    async with world.database.transaction() as tx:
        recorded = await record_attendance(
            tx, world.session_id, attended(world, absent=[0, 3]), LATER
        )
    found = {item.claim_number: item for item in recorded.claims}
    assert (found[world.claims[0]].not_billable, found[world.claims[0]].sent) == ("NO_SHOW", True)
    assert (found[world.claims[3]].not_billable, found[world.claims[3]].sent) == ("NO_SHOW", False)


async def test_an_attendance_list_that_does_not_fit_is_refused_with_all_reasons(
    world: World,
) -> None:
    entries = [
        *attended(world)[:3],
        AttendanceEntry(world.patients[0], Attendance.ATTENDED, 60),
        AttendanceEntry("pstranger", Attendance.NO_SHOW, 5, Cents(-1)),
    ]
    with pytest.raises(InputRefused) as refused:
        async with world.database.transaction() as tx:
            await record_attendance(tx, world.session_id, entries, NOW)
    assert refused.value.problems == [
        "entries[3].patient_id: listed more than once",
        "entries[4].patient_id: not on the roster",
        "entries[4].minutes: above zero exactly when the patient attended",
        "entries[4].copay: below zero",
        "entries: 3 on the roster are not listed",
    ]


# --- roster


async def test_the_roster_grows_and_shrinks(world: World) -> None:
    newcomer = world.database.keyring.patient_id("P99")
    async with world.database.transaction() as tx:
        removed = await amend_roster(tx, world.session_id, [newcomer], [world.patients[0]], NOW)
        again = await amend_roster(tx, world.session_id, [newcomer], [world.patients[0]], LATER)
        roster = await session_roster(tx, world.session_id)
        facts = await claim_facts(tx, world.claims[1])
    assert (removed.changed, again.changed) == (True, False)
    assert [(c.claim_number, c.not_billable, c.changed) for c in removed.claims] == [
        (world.claims[0], "REMOVED_FROM_ROSTER", True)
    ]
    assert [(c.revision, c.changed) for c in again.claims] == [(removed.claims[0].revision, False)]
    assert {row.patient_id for row in roster.rows} == {*world.patients[1:], newcomer}
    assert facts.session.roster == ("P02", "P03", "P04", "P05", "P06", "P99")


async def test_one_put_back_on_the_roster_has_the_same_claim(world: World) -> None:
    async with world.database.transaction() as tx:
        await amend_roster(tx, world.session_id, [], [world.patients[0]], NOW)
        await amend_roster(tx, world.session_id, [world.patients[0]], [], LATER)
        roster = await session_roster(tx, world.session_id)
        recorded = await record_attendance(tx, world.session_id, attended(world), LATER)
    assert {row.claim_number for row in roster.rows} == set(world.claims)
    assert all(item.not_billable is None for item in recorded.claims)


async def test_an_impossible_amendment_is_refused_with_all_reasons(world: World) -> None:
    first = world.patients[0]
    with pytest.raises(InputRefused) as refused:
        async with world.database.transaction() as tx:
            await amend_roster(
                tx, world.session_id, ["pstranger", first], [*world.patients, "pother"], NOW
            )
    assert refused.value.problems == [
        "add[0]: no such patient on file",
        "remove[6]: never on the roster",
        "remove[0]: also to be added",
    ]
    with pytest.raises(InputRefused, match="nobody would be left"):
        async with world.database.transaction() as tx:
            await amend_roster(tx, world.session_id, [], world.patients, NOW)


async def test_a_sessions_progress_is_kept(world: World) -> None:
    async with world.database.transaction() as tx:
        for number in world.claims:
            await record_session(tx, world.session_id, "closed", 6)
            assert await tx.scalar(select(group_session.c.stage)) == "open"
            await record_progress(tx, _state(number, 1, stage=Stage.CLOSED), NOW)
        assert await tx.scalar(select(group_session.c.stage)) == "closed"
        await record_progress(tx, _state(world.claims[0], 2, stage=Stage.ACCEPTED), LATER)
        row = await tx.first(select(group_session))
    assert row is not None
    assert (row.stage, row.ended_claims) == ("open", 6)


async def test_open_claims_are_those_not_closed(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_progress(tx, _state(world.claims[0], 1, stage=Stage.CLOSED), NOW)
        assert await open_claims(tx, world.patients[:2]) == (world.claims[1],)
