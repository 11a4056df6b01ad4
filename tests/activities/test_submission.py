"""Sending: what is known to have been taken, what is in doubt, and what may go again."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.submission import GRACE
from groupclaim.clearinghouse.port import DUPLICATE, NotTaken
from groupclaim.lifecycle.events import Acknowledged, FactLearned, HoldReleased, Submitted
from groupclaim.lifecycle.state import Fact
from groupclaim.model.identity import control_number
from groupclaim.model.session import ProgressNote
from groupclaim.store import audit, batches, claims, files, practice
from groupclaim.store.schema import claim_version, patient
from tests.activities.house import KEYRING, House, Killed

ROSTER = {"S1": ("P01", "P04")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Two claims ready at the cut-off, nothing sent yet."""
    async with House(tmp_path, ROSTER, careless=True) as made:
        await made.open_sessions()
        await made.hand_in("S1")
        await made.move_to(datetime.fromisoformat("2026-02-04T17:00:00-06:00"))
        yield made


@pytest.fixture
async def batch(house: House) -> steps.BatchRef:
    cut = await house.cut("1")
    assert cut is not None
    await house.perform(steps.BUILD_BATCH, cut)
    return cut


async def spoil(house: House, *patients: str) -> None:
    """Make what the first versions of these patients' claims say unfit to be sent."""
    async with house.quietly() as tx:
        for patient in patients:
            number = await house.claim_of("S1", patient)
            version = await claims.read_version(tx, number, 1)
            name = version.parties.subscriber.model_copy(update={"last_name": "☃"})
            parties = version.parties.model_copy(update={"subscriber": name})
            spoiled = version.model_copy(update={"parties": parties})
            await tx.execute(
                update(claim_version)
                .filter_by(claim_number=number, version=1)
                .values(document=tx.seal(claim_version, spoiled))
            )


async def cut_one(house: House) -> steps.BatchRef:
    cut = await house.cut("1")
    assert cut is not None
    house.switchboard.signals.clear()
    return cut


async def test_a_claim_that_cannot_be_sent_leaves_its_batch_and_the_rest_goes(
    house: House,
) -> None:
    cut = await cut_one(house)
    await spoil(house, "P04")
    for _ in range(2):  # whoever takes over tells the same again
        built = await house.perform(steps.BUILD_BATCH, cut)
        assert built.claims == 1
    refused, sent = await house.claim_of("S1", "P04"), await house.claim_of("S1", "P01")
    told = [what for _, _, what in house.switchboard.signals]
    assert len(told) == 2
    assert told[0] == told[1]
    assert isinstance(told[0], Acknowledged)
    assert (told[0].accepted, told[0].cause, told[0].version) == (False, "CLAIM_REFUSED", 1)
    assert {name for name, _, _ in house.switchboard.signals} == {f"claim/{refused}"}
    findings = await house.rows(
        text("SELECT claim_number FROM finding WHERE step='build_claim' AND hold='CLAIM_REFUSED'")
    )
    assert {row.claim_number for row in findings} == {refused}
    house.switchboard.signals.clear()
    await house.send(cut)
    (content,) = arrived(house)
    assert sent.encode() in content
    assert refused.encode() not in content
    assert house.states[sent].stage == "submitted"


async def test_a_claim_taken_out_is_held_until_it_is_mended_and_goes_under_its_own_letter(
    house: House,
) -> None:
    cut = await cut_one(house)
    await spoil(house, "P04")
    await house.send(cut)
    refused = await house.claim_of("S1", "P04")
    hold = house.states[refused].hold
    assert hold is not None
    assert (hold.code, hold.releasable) == ("CLAIM_REFUSED", True)
    now = await house.clock.now()
    await house.happens(refused, HoldReleased(at=now, key="mended", code="CLAIM_REFUSED"))
    again = await house.cut("2")
    assert again is not None
    await house.send(again)
    assert house.states[refused].stage == "submitted"
    assert [refused.encode() in content for content in arrived(house)] == [False, True]
    assert f"{control_number(refused, 1)}".encode() in arrived(house)[1]


async def test_a_batch_of_which_no_claim_can_be_sent_ends(house: House) -> None:
    cut = await cut_one(house)
    await spoil(house, "P01", "P04")
    built = await house.perform(steps.BUILD_BATCH, cut)
    assert (built.claims, built.digest) == (0, "")
    found = await stored(house, cut)
    assert (found.state, found.claims, found.answer) == ("refused", 0, "no_claims")
    assert len(house.switchboard.signals) == 2
    assert await house.perform(steps.BUILD_BATCH, cut) == built
    assert arrived(house) == []


# --- what lapses between ready and the bytes


async def _sent_without(house: House, cut: steps.BatchRef, left_behind: str) -> None:
    """The batch goes without the claim, which is told once and checked anew."""
    for _ in range(2):
        assert (await house.perform(steps.BUILD_BATCH, cut)).claims == 1
    told = [(name, what) for name, _, what in house.switchboard.signals]
    assert [name for name, _ in told] == [f"claim/{left_behind}"] * 2
    assert told[0] == told[1]
    assert isinstance(told[0][1], FactLearned)
    assert told[0][1].fact is Fact.LEFT_BEHIND
    await house.send(cut)
    assert [left_behind.encode() in content for content in arrived(house)] == [False]


@pytest.mark.parametrize(("hours", "leaves"), [(1, True), (0, False), (-1, False)])
async def test_no_claim_leaves_under_a_waiver_that_has_ended(
    house: House, hours: int, leaves: bool
) -> None:
    """At the very moment it ends it counts no more."""
    number = await house.claim_of("S1", "P04")
    until = await house.clock.now() + timedelta(hours=hours)
    state = house.states[number].model_copy(
        update={"waivers": ("AUTH_MISMATCH",), "waived_until": {"AUTH_MISMATCH": until}}
    )
    house.states[number] = state
    await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))
    cut = await cut_one(house)
    if leaves:
        assert (await house.perform(steps.BUILD_BATCH, cut)).claims == 2
        return
    await _sent_without(house, cut, number)
    after = house.states[number]
    # The version that left the batch never left the house: it is made anew under its own letter.
    assert (after.stage, after.version, after.waivers) == ("ready", 1, ())
    rules = await house.rows(text("SELECT rule FROM finding WHERE rule = 'waiver_ended'"))
    assert rules == []  # what was found is replaced by what the new version's making found


async def test_consent_withdrawn_between_ready_and_the_batch_keeps_the_claim(
    house: House,
) -> None:
    number = await house.claim_of("S1", "P04")

    cut = await cut_one(house)
    async with house.quietly() as tx:
        who = (await practice.claim_facts(tx, number)).patient.model_copy(update={"part2": True})
        await tx.execute(
            patient.update()
            .where(patient.c.id == tx.keyring.patient_id("P04"))
            .values(document=tx.seal(patient, who))
        )
    await _sent_without(house, cut, number)
    hold = house.states[number].hold
    assert hold is not None
    assert hold.code == "PART2_CONSENT"
    disclosed = await house.rows(
        text("SELECT id FROM audit_entry WHERE action = 'part2_disclosure'")
    )
    assert disclosed == []


async def test_a_review_of_copied_notes_keeps_a_ready_claim_out_of_the_batch(house: House) -> None:
    """Nothing was sent, so the note itself is checked again; it repeats none, and goes later."""
    number = await house.claim_of("S1", "P04")
    now = await house.clock.now()
    await house.happens(number, FactLearned(at=now, key="copied", fact=Fact.NOTE_COPIED))
    await _sent_without(house, await cut_one(house), number)
    assert house.states[number].hold is None
    again = await house.cut("2")
    assert again is not None
    await house.send(again)
    assert house.states[number].stage == "submitted"
    assert [number.encode() in content for content in arrived(house)] == [False, True]


class Rewritten:
    """The record system of a house; a test changes its notes."""

    def __init__(self, house: House) -> None:
        self._notes = house.outside.notes
        self.changes: dict[str, dict[str, Any] | None] = {}
        object.__setattr__(house.outside, "notes", self)

    async def read(self, session: str, patient: str, at: datetime) -> ProgressNote | None:
        found = await self._notes.read(session, patient, at)
        changes = self.changes.get(patient, {})
        return None if found is None or changes is None else found.model_copy(update=changes)


OTHER_TEXT = {"progress": "Wrote three more pages and read them to a friend."}
SIGNED_AGAIN = datetime.fromisoformat("2026-02-04T16:30:00-06:00")


@pytest.mark.parametrize("when", ["before the cut", "after the cut"])
@pytest.mark.parametrize("signature", ["the same", "reported anew"])
async def test_a_note_changed_while_its_claim_was_ready_is_checked_again_and_not_sent(
    house: House, when: str, signature: str, record_property: Callable[[str, object], None]
) -> None:
    """Under the signature it had, it is held until it is signed again; whatever anybody reported
    of a signature meanwhile, nothing goes out that was not checked."""
    notes, number = Rewritten(house), await house.claim_of("S1", "P04")
    if when == "before the cut":
        notes.changes["P04"] = OTHER_TEXT
    if signature == "reported anew":
        async with house.quietly() as tx:
            await practice.record_note_signed(
                tx, house.sessions["S1"], KEYRING.patient_id("P04"), SIGNED_AGAIN, None
            )
    cut = await cut_one(house)
    notes.changes["P04"] = OTHER_TEXT
    await _sent_without(house, cut, number)
    record_property("tries", 1)
    assert arrived(house)[0].count(b"CLM*") == 1
    if signature == "the same":
        hold = house.states[number].hold
        assert hold is not None
        assert (hold.code, hold.releasable) == ("NOTE_UNSIGNED", False)
        rules = await house.rows(text("SELECT rule FROM finding WHERE hold = 'NOTE_UNSIGNED'"))
        assert {row.rule for row in rules} == {
            "note_changed_since_made",
            "note_edited_after_signature",
        }
        assert await house.cut("2") is None
        notes.changes["P04"] = {**OTHER_TEXT, "signed_at": SIGNED_AGAIN}
        await house.happens(number, FactLearned(at=SIGNED_AGAIN, key="signed", fact=Fact.NOTE))
    again = await house.cut("3")
    assert again is not None
    await house.send(again)
    assert (house.states[number].stage, house.states[number].hold) == ("submitted", None)
    assert [number.encode() in content for content in arrived(house)] == [False, True]


async def test_a_note_that_is_gone_when_the_batch_is_made_keeps_its_claim(house: House) -> None:
    notes, number = Rewritten(house), await house.claim_of("S1", "P04")
    notes.changes["P04"] = None
    await _sent_without(house, await cut_one(house), number)
    hold = house.states[number].hold
    assert hold is not None
    assert hold.code == "NOTE_UNSIGNED"


async def test_nothing_is_sent_while_the_record_system_does_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = await cut_one(house)

    async def silent(session: str, patient: str, at: datetime) -> ProgressNote | None:
        raise OSError("no answer")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(house.outside.notes, "read", silent)
        with pytest.raises(OSError, match="no answer"):
            await house.perform(steps.BUILD_BATCH, cut)
        assert (await stored(house, cut)).state == "cut"
    assert (await house.perform(steps.BUILD_BATCH, cut)).claims == 2


async def test_each_note_read_before_sending_is_noted(house: House) -> None:
    await house.perform(steps.BUILD_BATCH, await cut_one(house))
    for who in ROSTER["S1"]:
        number = await house.claim_of("S1", who)
        async with house.database.reading() as reading:
            entries = await audit.entries(reading, number)
        assert {"purpose": "before sending"} in [entry.detail for entry in entries]


def arrived(house: House) -> list[bytes]:
    """The bytes of every batch that the simulator received and took."""
    return [
        base64.b64decode(entry["body"])
        for entry in house.wire()
        if entry["channel"] == "batch" and entry["outcome"].startswith("accepted")
    ]


async def stored(house: House, batch: steps.BatchRef) -> Any:
    async with house.database.reading() as reading:
        return await batches.read_batch(reading, batch.batch_id)


async def test_a_cut_and_a_build_done_twice_are_the_same(
    house: House, batch: steps.BatchRef
) -> None:
    assert await house.cut("1") == batch
    assert await house.cut("2") is None
    once = await house.perform(steps.BUILD_BATCH, batch)
    await house.move_to(await house.clock.now() + timedelta(hours=3))
    assert await house.perform(steps.BUILD_BATCH, batch) == once
    assert once.claims == 2


async def test_a_batch_that_was_taken_is_sent_once_however_often_it_is_tried(
    house: House, batch: steps.BatchRef
) -> None:
    sent = await house.perform(steps.SEND_BATCH, batch)
    assert sent.outcome == "accepted"
    assert await house.perform(steps.SEND_BATCH, batch) == sent
    assert len(arrived(house)) == 1
    charged = await house.rows(text("SELECT SUM(cents) AS cents FROM transfer"))
    assert charged[0].cents == 12000


async def test_an_answer_that_nothing_was_taken_lets_it_go_again_at_once(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "throttle", "times": 1, "seconds": 7})
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.SEND_BATCH, batch)
    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == timedelta(seconds=7)
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "accepted"
    assert len(arrived(house)) == 1


async def test_a_gateways_503_proves_nothing_and_what_was_taken_is_not_sent_again(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "accept_then_503", "times": 1})
    sent = await house.perform(steps.SEND_BATCH, batch)
    assert sent.outcome == "in_doubt"
    assert await house.perform(steps.SEND_BATCH, batch) == sent
    await house.move_to(sent.next_at)
    assert (await house.perform(steps.RECONCILE_BATCH, batch)).outcome == "received"
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "accepted"
    assert len(arrived(house)) == 1


async def test_a_lost_answer_is_found_in_the_listing_and_nothing_goes_again(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "lose_answer", "times": 1})
    sent = await house.perform(steps.SEND_BATCH, batch)
    assert sent.outcome == "in_doubt"
    assert sent.next_at == await house.clock.now() + GRACE
    assert await house.perform(steps.SEND_BATCH, batch) == sent
    early = await house.perform(steps.RECONCILE_BATCH, batch)
    assert (early.outcome, early.next_at) == ("unknown", sent.next_at)
    await house.move_to(sent.next_at)
    for _ in range(2):
        look = await house.perform(steps.RECONCILE_BATCH, batch)
        assert look.outcome == "received"
    assert len(arrived(house)) == 1


async def test_what_never_arrived_goes_again_with_the_same_bytes_after_the_grace_period(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "drop_before", "times": 1})
    sent = await house.perform(steps.SEND_BATCH, batch)
    assert sent.outcome == "in_doubt"
    await house.move_to(sent.next_at)
    for _ in range(2):
        assert (await house.perform(steps.RECONCILE_BATCH, batch)).outcome == "absent"
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "accepted"
    found = await stored(house, batch)
    assert found.sends == 2
    async with house.database.reading() as reading:
        kept = await files.read_file(reading, found.file_digest)
    assert arrived(house) == [kept.content]


async def test_a_worker_that_dies_while_sending_leaves_the_batch_in_doubt(
    house: House, batch: steps.BatchRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = house.clearinghouse.send_batch
    deaths: list[str] = []

    async def died(name: str, content: bytes) -> Any:
        await send(name, content)
        deaths.append(name)
        raise Killed

    monkeypatch.setattr(house.clearinghouse, "send_batch", died)
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"
    assert len(deaths) == len(arrived(house)) == 1


async def test_an_acknowledgment_seen_meanwhile_proves_receipt_without_a_listing(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "lose_answer", "times": 1})
    await house.perform(steps.SEND_BATCH, batch)
    await house.move_to(await house.clock.now() + timedelta(minutes=20))
    await house.poll()
    assert (await house.perform(steps.RECONCILE_BATCH, batch)).outcome == "received"


async def test_a_listing_that_is_older_than_the_grace_period_proves_nothing(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "drop_before", "times": 1})
    sent = await house.perform(steps.SEND_BATCH, batch)
    # The clearinghouse's own clock is behind: its listing could still lack what it has received.
    await house.clock.move_to(sent.next_at)
    look = await house.perform(steps.RECONCILE_BATCH, batch)
    assert look.outcome == "unknown"
    assert look.next_at == sent.next_at + GRACE


async def test_other_bytes_under_our_number_stop_everything(
    house: House, batch: steps.BatchRef
) -> None:
    await house.spoil({"on": "batch", "kind": "drop_before", "times": 1})
    sent = await house.perform(steps.SEND_BATCH, batch)
    found = await stored(house, batch)
    async with house.database.reading() as reading:
        content = (await files.read_file(reading, found.file_digest)).content
    await house.clearinghouse.send_batch("other.edi", content + b"\n")
    await house.move_to(sent.next_at)
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.RECONCILE_BATCH, batch)
    assert caught.value.type == "ControlNumberConflict"
    assert (await stored(house, batch)).state == "in_doubt"


async def test_a_number_that_the_clearinghouse_has_already_is_looked_up_not_refused(
    tmp_path: Path, house: House, batch: steps.BatchRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def duplicate(name: str, content: bytes) -> Any:
        raise NotTaken(DUPLICATE, final=True)

    monkeypatch.setattr(house.clearinghouse, "send_batch", duplicate)
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"


async def test_the_late_word_of_an_earlier_attempt_does_not_clear_the_later_ones_mark(
    house: House, batch: steps.BatchRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = house.clearinghouse.send_batch

    async def slow(name: str, content: bytes) -> Any:
        """While the first request hangs, it is given up, proven absent and sent again."""
        monkeypatch.setattr(house.clearinghouse, "send_batch", send)
        sent = await house.perform(steps.SEND_BATCH, batch)
        await house.move_to(sent.next_at)
        assert (await house.perform(steps.RECONCILE_BATCH, batch)).outcome == "absent"
        await house.spoil({"on": "batch", "kind": "lose_answer", "times": 1})
        assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"
        raise NotTaken("unavailable")

    monkeypatch.setattr(house.clearinghouse, "send_batch", slow)
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"
    assert (await stored(house, batch)).state == "in_doubt"
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"
    assert len(arrived(house)) == 1


async def test_a_refused_batch_is_told_to_its_claims(
    house: House, batch: steps.BatchRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(name: str, content: bytes) -> Any:
        raise NotTaken("unreadable", final=True)

    monkeypatch.setattr(house.clearinghouse, "send_batch", refused)
    for _ in range(2):
        assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "refused"
    house.switchboard.signals.clear()
    await house.perform(
        steps.ANNOUNCE_BATCH, steps.Announce(batch_id=batch.batch_id, accepted=False)
    )
    told = [what for _, _, what in house.switchboard.signals]
    assert len(told) == 2
    for event in told:
        assert isinstance(event, Acknowledged)
        assert (event.accepted, event.cause, event.version) == (False, "refused", 1)
    await house.settle()
    assert {state.hold.code for state in house.states.values() if state.hold} == {"REJECTED"}
    assert await house.rows(text("SELECT id FROM transfer")) == []


async def test_an_announcement_has_the_same_key_each_time(
    house: House, batch: steps.BatchRef
) -> None:
    await house.perform(steps.SEND_BATCH, batch)
    house.switchboard.signals.clear()
    announce = steps.Announce(batch_id=batch.batch_id, accepted=True)
    for _ in range(2):
        assert (await house.perform(steps.ANNOUNCE_BATCH, announce)).claims == 2
    keys = [what.key for _, _, what in house.switchboard.signals if isinstance(what, Submitted)]
    assert keys == [f"submitted:{batch.batch_id}"] * 4


async def test_a_missing_999_raises_one_alert_for_each_claim_and_level(
    house: House, batch: steps.BatchRef
) -> None:
    await house.perform(steps.SEND_BATCH, batch)
    now = await house.clock.now() + timedelta(hours=24)
    await house.move_to(now)
    waits = []
    for level in (3, 3, 4):
        alert = steps.BatchAlert(batch_id=batch.batch_id, follow_ups=level)
        waits.append((await house.perform(steps.FOLLOW_UP_BATCH, alert)).due_at - now)
    assert waits == [timedelta(days=1), timedelta(days=1), timedelta(days=2)]
    alerts = await house.rows(text("SELECT id FROM claim_event WHERE kind = 'alert'"))
    assert len(alerts) == 4
