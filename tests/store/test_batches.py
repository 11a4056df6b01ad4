import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select, text

from groupclaim.lifecycle.state import ClaimState, Hold, Stage
from groupclaim.model.identity import control_number
from groupclaim.store import ledger
from groupclaim.store.batches import (
    Batch,
    BatchConflict,
    batch_claims,
    batch_of_group,
    batch_of_interchange,
    begin_send,
    cut_batch,
    payer_claim_number,
    queue_claim,
    read_batch,
    record_absent,
    record_accepted,
    record_acknowledgment,
    record_built,
    record_empty,
    record_in_doubt,
    record_refused,
    sent_claim,
    take_out,
    was_acknowledged,
)
from groupclaim.store.claims import make_version, record_attendance, record_progress
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.files import keep_file
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import batch_claim
from tests.store.world import NOW, World, attended, make_ready, send_all, version_of

GRACE = NOW + timedelta(hours=2)


async def _all_ready(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        for number in world.claims:
            await make_ready(tx, world, number)


async def _cut(world: World, key: str, most: int = 100) -> Batch | None:
    async with world.database.transaction() as tx:
        return await cut_batch(tx, world.connection_id, key, NOW, most)


async def _built(world: World) -> str:
    await _all_ready(world)
    batch = await _cut(world, "k")
    assert batch is not None
    async with world.database.transaction() as tx:
        digest = await keep_file(
            tx, world.connection_id, "outbound", "837", "o", batch.batch_id.encode(), NOW
        )
        await record_built(tx, batch.batch_id, digest)
    return batch.batch_id


async def test_a_claim_is_queued_once(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        await make_version(tx, version_of(world.claims[0]), NOW)
        args = (world.claims[0], 1, world.connection_id, NOW)
        assert await queue_claim(tx, *args)
        assert not await queue_claim(tx, *args)
        assert await cut_batch(tx, world.connection_id, "k", NOW, 100) is not None
        assert await cut_batch(tx, world.connection_id, "k2", NOW, 100) is None


async def test_a_newer_version_takes_the_place_of_one_still_waiting(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        await make_ready(tx, world, number, 1)
        await make_ready(tx, world, number, 2)
        batch = await cut_batch(tx, world.connection_id, "k", NOW, 100)
        assert batch is not None
        taken = await batch_claims(tx, batch.batch_id)
    assert [item.control_number for item in taken] == [control_number(number, 2)]


async def test_a_batch_takes_the_first_by_control_number_up_to_its_size(world: World) -> None:
    await _all_ready(world)
    first, second, third = [await _cut(world, key, 4) for key in ("a", "b", "c")]
    assert first is not None
    assert second is not None
    assert third is None
    async with world.database.reading() as reading:
        taken = [
            item.claim_number
            for batch in (first, second)
            for item in await batch_claims(reading, batch.batch_id)
        ]
    assert taken == sorted(world.claims)
    assert (first.claims, second.claims) == (4, 2)
    assert (first.interchange_control, first.group_control, first.transaction_control) == (
        "000000001", "1", "0001",
    )  # fmt: skip
    assert (second.interchange_control, second.group_control) == ("000000002", "2")


async def test_the_same_cut_again_gives_the_same_batch(world: World) -> None:
    await _all_ready(world)
    first = await _cut(world, "a", 2)
    assert await _cut(world, "a", 2) == first
    assert await _cut(world, "a", 100) == first


async def test_of_many_who_cut_at_once_no_two_get_the_same_claim(world: World) -> None:
    await _all_ready(world)
    cut = await asyncio.gather(*(_cut(world, f"cut {n}", 1) for n in range(10)))
    batches = [item for item in cut if item is not None]
    assert len(batches) == 6
    assert sorted(item.interchange_control for item in batches) == [f"{n:09d}" for n in range(1, 7)]
    async with world.database.reading() as reading:
        rows = await reading.rows(select(batch_claim.c.claim_number, batch_claim.c.batch_id))
    assert sorted(row.claim_number for row in rows) == sorted(world.claims)
    assert {row.batch_id for row in rows} == {item.batch_id for item in batches}


async def test_attendance_and_cut_at_once_agree_on_what_was_sent(world: World) -> None:
    await _all_ready(world)

    async def correct() -> bool:
        async with world.database.transaction() as tx:
            recorded = await record_attendance(
                tx, world.session_id, attended(world, absent=[0]), NOW
            )
        return next(c.sent for c in recorded.claims if c.claim_number == world.claims[0])

    correcting = asyncio.create_task(correct())
    cuts = await asyncio.gather(*(_cut(world, f"c{n}", 2) for n in range(5)))
    sent = await correcting
    async with world.database.reading() as reading:
        taken = await sent_claim(reading, control_number(world.claims[0], 1))
    assert sent == (taken is not None)
    # The others' room is smaller now: those not yet cut are checked again before they go.
    assert sum(batch.claims for batch in cuts if batch) in (0, 2, 4, 6)


async def test_nobody_is_cut_who_did_not_attend(world: World) -> None:
    async with world.database.transaction() as tx:
        for number in world.claims:
            await make_ready(tx, world, number)
        assert await cut_batch(tx, world.connection_id, "k", NOW, 100) is None
        with pytest.raises(UnknownRecord, match="connection"):
            await cut_batch(tx, "cnobody", "k", NOW, 100)


# --- sending


async def test_only_one_may_send(world: World) -> None:
    batch_id = await _built(world)

    async def begin() -> bool:
        async with world.database.transaction() as tx:
            return await begin_send(tx, batch_id, NOW, GRACE)

    assert sorted(await asyncio.gather(*(begin() for _ in range(5)))) == [False] * 4 + [True]
    async with world.database.reading() as reading:
        batch = await read_batch(reading, batch_id)
    assert (batch.state, batch.send_started_at, batch.grace_until, batch.sends) == (
        "sending", NOW, GRACE, 1,
    )  # fmt: skip


async def test_acceptance_charges_each_claim_once(world: World) -> None:
    batch_id = await _built(world)
    async with world.database.transaction() as tx:
        await begin_send(tx, batch_id, NOW, GRACE)
        await record_accepted(tx, batch_id, NOW, GRACE)
        await record_accepted(tx, batch_id, GRACE, None)
        batch = await read_batch(tx, batch_id)
        balances = [await ledger.balance(tx, number) for number in world.claims]
        assert await ledger.verify(tx) == ()
    assert (batch.state, batch.sent_at, batch.next_at) == ("accepted", NOW, GRACE)
    assert [(item.charge, item.payer_open) for item in balances] == [(6500, 6500)] * 6


async def test_a_batch_in_doubt_is_sent_again_only_when_proved_absent(world: World) -> None:
    batch_id = await _built(world)
    async with world.database.transaction() as tx:
        before = await read_batch(tx, batch_id)
        await begin_send(tx, batch_id, NOW, GRACE)
        await record_in_doubt(tx, batch_id, NOW, GRACE)
        await record_in_doubt(tx, batch_id, NOW, GRACE)
        assert not await begin_send(tx, batch_id, NOW, GRACE)
        await record_absent(tx, batch_id)
        assert await begin_send(tx, batch_id, GRACE, GRACE)
        after = await read_batch(tx, batch_id)
        assert (await ledger.balance(tx, world.claims[0])).charge == 0
    assert after.sends == 2
    assert (after.file_digest, after.interchange_control) == (
        before.file_digest, before.interchange_control,
    )  # fmt: skip


async def test_the_first_bytes_built_stay(world: World) -> None:
    batch_id = await _built(world)
    async with world.database.transaction() as tx:
        first = await read_batch(tx, batch_id)
        digest = await keep_file(tx, world.connection_id, "outbound", "837", "o", b"other", NOW)
        again = await record_built(tx, batch_id, digest)
    assert again.file_digest == first.file_digest != digest


async def test_a_batch_goes_only_where_it_may(world: World) -> None:
    batch_id = await _built(world)

    async def refused(tx: Transaction) -> None:
        with pytest.raises(BatchConflict, match="is built, so it cannot become accepted"):
            await record_accepted(tx, batch_id, NOW, None)
        with pytest.raises(BatchConflict, match="is built, so it cannot become in_doubt"):
            await record_in_doubt(tx, batch_id, NOW, None)
        await begin_send(tx, batch_id, NOW, GRACE)
        await record_refused(tx, batch_id, NOW, "413")
        with pytest.raises(BatchConflict, match="is refused, so it cannot become accepted"):
            await record_accepted(tx, batch_id, NOW, None)
        with pytest.raises(BatchConflict, match="is refused, so it cannot become built"):
            await record_absent(tx, batch_id)

    async with world.database.transaction() as tx:
        await refused(tx)
        assert (await ledger.balance(tx, world.claims[0])).charge == 0
        assert (await read_batch(tx, batch_id)).answer == "413"


async def test_a_batch_not_built_cannot_be_sent(world: World) -> None:
    await _all_ready(world)
    batch = await _cut(world, "k")
    assert batch is not None
    async with world.database.transaction() as tx:
        with pytest.raises(BatchConflict, match="cut but not built"):
            await begin_send(tx, batch.batch_id, NOW, GRACE)


# --- answers


async def test_answers_find_their_batch_and_claim(world: World) -> None:
    batch_id = await send_all(world)
    async with world.database.transaction() as tx:
        for find, number in (
            (batch_of_interchange, "000000001"),
            (batch_of_interchange, "1"),
            (batch_of_group, "1"),
            (batch_of_group, "000000001"),
        ):
            found = await find(tx, world.connection_id, number)
            assert found is not None
            assert found.batch_id == batch_id
            assert await find(tx, world.connection_id, "7") is None
            assert await find(tx, "cother", number) is None
        claim = await sent_claim(tx, control_number(world.claims[0], 1))
        assert claim is not None
        assert (claim.claim_number, claim.version, claim.batch_id) == (
            world.claims[0], 1, batch_id,
        )  # fmt: skip
        assert await sent_claim(tx, control_number(world.claims[0], 2)) is None


async def _acknowledge(tx: Transaction, world: World, place: str, accepted: bool) -> bool:
    digest = await keep_file(tx, world.connection_id, "inbound", "277CA", "a", b"277", NOW)
    return await record_acknowledgment(
        tx,
        "277CA",
        digest,
        place,
        accepted=accepted,
        codes="A2:20",
        received_at=NOW,
        claim_number=world.claims[0],
        version=1,
        payer_claim_number="ICN9" if accepted else None,
    )


async def test_an_answer_is_kept_once(world: World) -> None:
    await send_all(world)
    async with world.database.transaction() as tx:
        assert await _acknowledge(tx, world, "1", True)
        assert not await _acknowledge(tx, world, "1", True)
        assert await payer_claim_number(tx, world.claims[0]) == "ICN9"
        assert await payer_claim_number(tx, world.claims[0], 2) is None


async def test_an_answer_longer_than_we_keep_is_kept_once(world: World) -> None:
    await send_all(world)
    async with world.database.transaction() as tx:
        digest = await keep_file(tx, world.connection_id, "inbound", "277CA", "a", b"277", NOW)
        for place, new in (("9" * 300, True), ("9" * 300, False), ("9" * 299, True)):
            assert new == await record_acknowledgment(
                tx, "277CA", digest, place, accepted=False, codes="\0" * 300, received_at=NOW,
                payer_claim_number="7" * 60,
            )  # fmt: skip


async def test_a_claim_taken_out_of_a_batch_waits_no_more_and_was_not_sent(world: World) -> None:
    await _all_ready(world)
    batch = await _cut(world, "k")
    assert batch is not None
    out = control_number(world.claims[0], 1)
    async with world.database.transaction() as tx:
        for _ in range(2):
            await take_out(tx, batch.batch_id, [out], NOW)
        left = await batch_claims(tx, batch.batch_id)
        assert out not in {item.control_number for item in left}
        assert (await read_batch(tx, batch.batch_id)).claims == len(left) == len(world.claims) - 1
        assert await sent_claim(tx, out) is None
        assert await cut_batch(tx, world.connection_id, "k2", NOW, 100) is None
        await make_ready(tx, world, world.claims[0], 2)
        again = await cut_batch(tx, world.connection_id, "k3", NOW, 100)
        assert again is not None
        assert again.claims == 1


async def test_a_batch_without_claims_ends_and_a_built_one_does_not(world: World) -> None:
    batch_id = await _built(world)
    async with world.database.transaction() as tx:
        assert (await record_empty(tx, batch_id)).state == "built"
        await make_ready(tx, world, world.claims[0], 2)
    batch = await _cut(world, "k2")
    assert batch is not None
    async with world.database.transaction() as tx:
        assert (await record_empty(tx, batch.batch_id)).state == "refused"
        assert not await begin_send(tx, batch.batch_id, NOW, GRACE)


async def test_a_file_acknowledgment_proves_that_the_batch_arrived(world: World) -> None:
    batch_id = await send_all(world)
    async with world.database.transaction() as tx:
        assert not await was_acknowledged(tx, batch_id)
        digest = await keep_file(tx, world.connection_id, "inbound", "999", "a", b"999", NOW)
        await record_acknowledgment(
            tx, "999", digest, "1", accepted=True, codes="A", received_at=NOW, batch_id=batch_id
        )
        assert await was_acknowledged(tx, batch_id)


# --- how each roster row stands (invariant I2)


async def _standings(reading: Reading, world: World) -> Sequence[tuple[str, str, str]]:
    rows = await reading.rows(text("SELECT * FROM participant_standing"))
    found = {row.claim_number: (row.standing, row.reason, row.stage) for row in rows}
    return [found[number] for number in world.claims]


def _state(number: str, stage: Stage, **changes: object) -> ClaimState:
    return ClaimState.model_validate(
        {"claim_number": number, "sequence": 9, "stage": stage, "version": 1, **changes}
    )


def _hold(code: str) -> Hold:
    return Hold(code=code, redo=None, since=NOW, releasable=True)


async def test_every_roster_row_stands_somewhere(world: World) -> None:
    await send_all(world, world.claims[2:])
    a, b, c, d, e, f = world.claims
    async with world.database.transaction() as tx:
        for state in (
            _state(a, Stage.CODING, hold=_hold("GROUP_SIZE_REVIEW"), version=0),
            _state(b, Stage.NOT_BILLABLE, reason="NO_SHOW", version=0),
            _state(c, Stage.SUBMITTED),
            _state(d, Stage.UNDERPAYMENT_REVIEW, hold=_hold("UNDERPAYMENT_REVIEW")),
            _state(e, Stage.PATIENT_BALANCE, reason="PATIENT_BALANCE_DUE"),
            _state(f, Stage.CLOSED),
        ):
            await record_progress(tx, state, NOW)
        assert await _standings(tx, world) == [
            ("held", "GROUP_SIZE_REVIEW", "held"),
            ("not_billable", "NO_SHOW", "not_billable"),
            ("billed", "", "submitted"),
            ("billed", "UNDERPAYMENT_REVIEW", "underpayment_review"),
            ("billed", "PATIENT_BALANCE_DUE", "patient_balance"),
            ("billed", "", "closed"),
        ]


async def test_a_version_rejected_or_not_yet_sent_is_not_billed(world: World) -> None:
    await send_all(world, world.claims[:3])
    a, b, c, *_ = world.claims
    async with world.database.transaction() as tx:
        await _acknowledge(tx, world, "1", False)
        await record_progress(tx, _state(a, Stage.ELIGIBILITY, hold=_hold("REJECTED")), NOW)
        await record_progress(tx, _state(b, Stage.READY, version=2), NOW)
        await record_progress(tx, _state(c, Stage.SUBMITTED), NOW)
        assert (await _standings(tx, world))[:4] == [
            ("held", "REJECTED", "held"),
            ("in_progress", "ready", "ready"),
            ("billed", "", "submitted"),
            ("in_progress", "eligibility", "eligibility"),
        ]


# --- a correction of who came, and a batch being cut, at the same moment


async def _queue_and_cut(world: World, number: str, version: int, key: str) -> Batch | None:
    async with world.database.transaction() as tx:
        await queue_claim(tx, number, version, world.connection_id, NOW)
    return await _cut(world, key)


async def test_a_claim_is_not_cut_while_its_patient_is_being_found_absent(world: World) -> None:
    async with world.database.transaction() as tx:
        await record_attendance(tx, world.session_id, attended(world), NOW)
        await make_version(tx, version_of(world.claims[0]), NOW)
    async with world.database.transaction() as tx:
        recorded = await record_attendance(tx, world.session_id, attended(world, absent=(0,)), NOW)
        cut = asyncio.create_task(_queue_and_cut(world, world.claims[0], 1, "k"))
        await asyncio.sleep(0.2)
        assert not cut.done(), "it waits for the correction"
    assert not recorded.claims[0].sent
    assert await cut is None


async def test_whoever_is_found_absent_while_batches_are_cut_is_told_what_left(
    world: World,
) -> None:
    """Whichever comes first: what is said to have left is in a batch, and the other way round."""
    luck = Random(7)
    left = 0
    async with world.database.transaction() as tx:
        digest = await keep_file(tx, world.connection_id, "inbound", "277", "i", b"i", NOW)
    for version in range(1, 9):
        for place, number in enumerate(world.claims):
            async with world.database.transaction() as tx:
                await record_attendance(tx, world.session_id, attended(world), NOW)
                await make_version(tx, version_of(number, version), NOW)

            async def found_absent(place: int = place) -> bool:
                await asyncio.sleep(luck.random() / 100)
                entries = attended(world, absent=(place,))
                async with world.database.transaction() as tx:
                    recorded = await record_attendance(tx, world.session_id, entries, NOW)
                told = {item.patient_id: item.sent for item in recorded.claims}
                return told[world.patients[place]]

            cutting = _queue_and_cut(world, number, version, f"{version}|{place}")
            # Each is first at times however fast the machine is; at the other times they race.
            match place % 3:
                case 0:
                    batch, told = await cutting, await found_absent()
                case 1:
                    told, batch = await found_absent(), await cutting
                case _:
                    told, batch = await asyncio.gather(found_absent(), cutting)
            async with world.database.transaction() as tx:
                sent = await sent_claim(tx, control_number(number, version)) is not None
                assert told == sent == (batch is not None)
                left += sent
                await record_acknowledgment(
                    tx, "277CA", digest, f"{version}|{place}", accepted=False, codes="A7",
                    received_at=NOW, claim_number=number, version=version,
                )  # fmt: skip
    assert 16 <= left <= 32, "each came first at times"
