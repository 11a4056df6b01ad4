"""Files from the mailbox: taken once, and each acknowledgment told to whom it concerns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from temporalio.exceptions import ApplicationError

from activities import steps
from groupclaim import x12
from groupclaim.clearinghouse.port import MailboxFile, Unreachable
from groupclaim.lifecycle.events import Acknowledged
from groupclaim.store import batches, files
from groupclaim.store.schema import connection
from groupclaim.store.waiting import open_work
from tests.activities.house import START, House
from workflows.submission import BatchAcknowledged

ROSTER = {"S1": ("P01", "P04")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A batch of two claims has been taken."""
    async with House(tmp_path, ROSTER) as made:
        await made.until_sent()
        yield made


async def arrives(house: House, content: bytes) -> steps.FileRef:
    """A file that somebody has put into the mailbox, fetched."""
    async with house.database.transaction() as tx:
        digest = await files.keep_file(
            tx, house.connection_id, "inbound", "999", "x.edi", content, START
        )
        await files.record_fetched(tx, house.connection_id, digest[:8], "x.edi", digest, START)
    return steps.FileRef(digest=digest, connection_id=house.connection_id)


def envelope(number: int) -> x12.Envelope:
    return x12.Envelope(
        sender_id="SIMCLEAR01",
        receiver_id="MAKEBELIEVE01",
        interchange_control_number=number,
        group_control_number=number,
        at=datetime(2026, 2, 5, tzinfo=UTC),
        test=True,
    )


def x999(group: str, status: str, number: int = 1) -> bytes:
    return x12.build_999(
        envelope(number),
        (
            x12.GroupAcknowledgment(
                "HC",
                group,
                status,
                (x12.TransactionAcknowledgment("837", "0001", status),),
                included=1,
                received=1,
                accepted=int(status == "A"),
                version="005010X222A1",
            ),
        ),
        1,
    )


async def only_batch(house: House) -> batches.Batch:
    rows = await house.rows(text("SELECT id FROM batch"))
    async with house.database.reading() as reading:
        return await batches.read_batch(reading, rows[0].id)


def told(house: House) -> list[Acknowledged]:
    return [what for _, _, what in house.switchboard.signals if isinstance(what, Acknowledged)]


async def test_routing_a_file_twice_keeps_one_row_and_tells_with_the_same_keys(
    house: House,
) -> None:
    file = await arrives(house, x999("1", "A"))
    first = await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)
    assert (first.claims, first.batches, first.unmatched) == (2, 1, 0)
    keys = [event.key for event in told(house)]
    house.switchboard.signals.clear()
    assert await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file) == first
    assert [event.key for event in told(house)] == keys
    assert all(event.accepted and event.due_at for event in told(house))
    assert len(await house.rows(text("SELECT id FROM acknowledgment"))) == 1


async def test_a_rejected_999_reaches_every_claim_and_holds_it(house: House) -> None:
    file = await arrives(house, x999("1", "R"))
    await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)
    assert {(event.by, event.accepted, event.cause) for event in told(house)} == {
        ("999", False, "999:R")
    }
    await house.settle()
    rows = await house.rows(text("SELECT standing, reason FROM participant_standing"))
    assert {(row.standing, row.reason) for row in rows} == {("held", "REJECTED")}


async def test_a_rejecting_ta1_is_told_to_the_claims(house: House) -> None:
    batch = await only_batch(house)
    content = x12.build_ta1(
        envelope(2),
        (x12.InterchangeAcknowledgment(batch.interchange_control, "260204", "1700", "R", "025"),),
    )
    file = await arrives(house, content)
    contents = await house.perform(steps.READ_FILE, file)
    assert (contents.acknowledgments, contents.payments, contents.problems) == (1, 0, 0)
    await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)
    assert {event.cause for event in told(house)} == {"TA1:025"}
    # Its submission waits for a 999 no longer.
    submissions = [what for name, _, what in house.switchboard.signals if name.startswith("837/")]
    assert submissions == [BatchAcknowledged(by="TA1", accepted=False)]
    wakeup = text("SELECT due_at FROM wakeup WHERE workflow_id LIKE '837/%'")
    assert await house.rows(wakeup) == []


async def test_an_acknowledgment_of_nothing_of_ours_is_kept_and_counted(house: House) -> None:
    file = await arrives(house, x999("777", "A"))
    routed = await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)
    assert (routed.claims, routed.batches, routed.unmatched) == (0, 0, 1)
    assert not house.switchboard.signals
    rows = await house.rows(text("SELECT batch_id, claim_number FROM acknowledgment"))
    assert [tuple(row) for row in rows] == [(None, None)]


def x277ca(batch: batches.Batch, *claims: x12.ClaimAcknowledgment, accepted: bool = True) -> bytes:
    return x12.build_277ca(
        envelope(3),
        x12.ClaimAcknowledgmentReport(
            reference="R1",
            source=x12.Party("Payer", "SIMMB", qualifier="PI"),
            receiver=x12.Party("Practice", "MAKEBELIEVE01"),
            batch_reference=batch.batch_id,
            providers=(
                x12.ProviderAcknowledgment(
                    x12.Party("Practice", "1999900107", qualifier="XX"), claims
                ),
            ),
            statuses=() if accepted else (x12.Status("A3", "116"),),
            accepted=accepted,
        ),
        1,
    )


async def test_a_277ca_says_of_each_claim_what_became_of_it(house: House) -> None:
    batch = await only_batch(house)
    async with house.database.reading() as reading:
        one, two = await batches.batch_claims(reading, batch.batch_id)
    content = x277ca(
        batch,
        x12.ClaimAcknowledgment(
            one.control_number, True, (x12.Status("A2", "20"),), 6000, payer_claim_number="ICN1"
        ),
        x12.ClaimAcknowledgment(two.control_number, False, (x12.Status("A7", "164", "IL"),), 6000),
        x12.ClaimAcknowledgment("NOTOURS", True, (x12.Status("A2", "20"),), 6000),
    )
    routed = await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, await arrives(house, content))
    assert (routed.claims, routed.unmatched) == (2, 1)
    accepted, rejected = told(house)
    assert (accepted.accepted, accepted.cause) == (True, None)
    assert accepted.due_at is not None
    assert (rejected.accepted, rejected.cause) == (False, "277CA:A7:164")
    async with house.database.reading() as reading:
        assert await batches.payer_claim_number(reading, one.claim_number) == "ICN1"


async def test_a_claim_only_passed_on_is_not_yet_accepted(house: House) -> None:
    batch = await only_batch(house)
    async with house.database.reading() as reading:
        one, _ = await batches.batch_claims(reading, batch.batch_id)
    passed_on = x12.ClaimAcknowledgment(one.control_number, True, (x12.Status("A1", "19"),), 6000)
    file = await arrives(house, x277ca(batch, passed_on))
    assert (await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, file)).claims == 0
    assert not house.switchboard.signals


async def test_a_277ca_that_rejects_the_whole_batch_rejects_each_claim(house: House) -> None:
    content = x277ca(await only_batch(house), accepted=False)
    routed = await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, await arrives(house, content))
    assert routed.claims == 2
    assert {(event.by, event.cause) for event in told(house)} == {("277CA", "277CA:A3:116")}


async def standing_problems(house: House) -> list[str]:
    rows = await house.rows(text("SELECT problem FROM x12_file WHERE problem IS NOT NULL"))
    return [row.problem for row in rows]


async def alerts(house: House) -> int:
    return len(await house.rows(text("SELECT id FROM audit_entry WHERE action = 'alert'")))


async def test_garbage_stays_in_the_mailbox_as_a_problem_and_is_not_taken_up_again(
    house: House,
) -> None:
    await house.spoil({"on": "mailbox", "kind": "malformed", "times": 1})
    await house.perform(steps.POLL_MAILBOX, house.connection)
    ((_, _, file),) = house.switchboard.signals
    contents = await house.perform(steps.READ_FILE, file)
    assert (contents.acknowledgments, contents.payments) == (0, 0)
    assert contents.problems > 0
    assert contents.stays
    await house.settle()
    for wait in (timedelta(), timedelta(hours=2)):
        await house.move_to(await house.clock.now() + wait)
        garbage = {file.sha256 for file in await house.clearinghouse.list_mailbox()}
        assert file.digest in garbage
        await house.perform(steps.POLL_MAILBOX, house.connection)
        assert all(what != file for _, _, what in house.switchboard.signals)
    (problem,) = await standing_problems(house)
    assert problem.startswith("unreadable: ")
    assert await alerts(house) == 1
    async with house.database.reading() as reading:
        assert file.digest not in (await open_work(reading)).files


def x835() -> bytes:
    line = x12.LinePayment(
        "90853",
        6000,
        2500,
        adjustments=(x12.Adjustment("CO", "45", 3500),),
        service_date=date(2026, 2, 3),
    )
    claim = x12.ClaimPayment("NOBODY", "1", 6000, 2500, 0, "MC", "ICN9", lines=(line,))
    return x12.build_835(
        envelope(9),
        (
            x12.Payment(
                trace_number="T9",
                payer_identifier="1999999999",
                payment_date=date(2026, 2, 20),
                paid_cents=2500,
                payer=x12.PaymentParty("PAYER", "SIMTXM", "XV"),
                payee=x12.PaymentParty("PRACTICE", "1999900107", "XX"),
                claims=(claim,),
            ),
        ),
        1,
    )


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ((b"ST*835", b"XX*835"), 0),
        ((b"ISA*00", b"IS"), 0),
        ((b"GE*1*", b"GE*2*"), 1),
    ],
    ids=["no ST", "no ISA", "a transaction is missing"],
)
async def test_a_damaged_835_is_never_acknowledged(
    house: House, damage: tuple[bytes, bytes], found: int
) -> None:
    file = await arrives(house, x835().replace(*damage, 1))
    contents = await house.perform(steps.READ_FILE, file)
    assert (contents.stays, contents.payments) == (True, found)
    await house.perform(steps.READ_FILE, file)
    assert len(await standing_problems(house)) == await alerts(house) == 1


async def test_a_whole_835_is_not_held(house: House) -> None:
    contents = await house.perform(steps.READ_FILE, await arrives(house, x835()))
    assert (contents.stays, contents.payments) == (False, 1)
    assert await standing_problems(house) == []


async def test_a_file_whose_workflow_failed_is_taken_up_again_an_hour_later(house: House) -> None:
    await house.move_to(datetime.fromisoformat("2026-02-03T20:00:00-06:00"))
    await house.perform(steps.POLL_MAILBOX, house.connection)
    (_, _, file), _ = house.switchboard.signals
    assert isinstance(file, steps.FileRef)
    house.switchboard.signals.clear()
    house.switchboard.failed.add(f"inbound/{file.digest[:32]}")
    report = steps.FileProblem(digest=file.digest, problem="post_remittance: Invalid")
    await house.perform(steps.REPORT_FILE, report)
    await house.poll()
    assert not house.switchboard.signals
    assert await standing_problems(house) == ["post_remittance: Invalid"]
    await house.move_to(await house.clock.now() + timedelta(hours=1))
    await house.poll()
    assert file.digest not in {item.sha256 for item in await house.clearinghouse.list_mailbox()}
    assert await standing_problems(house) == []


async def test_a_mailbox_that_two_connections_would_share_is_not_looked_into(house: House) -> None:
    async with house.quietly() as tx:
        (row,) = await tx.rows(select(connection))
        await tx.execute(connection.insert().values(**{**row._mapping, "id": "another"}))
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.POLL_MAILBOX, house.connection)
    assert caught.value.non_retryable
    assert not house.switchboard.signals


async def test_the_same_bytes_under_another_name_start_nothing_and_leave_the_mailbox(
    house: House,
) -> None:
    await house.move_to(datetime.fromisoformat("2026-02-03T20:00:00-06:00"))
    await house.spoil({"on": "mailbox", "kind": "duplicate", "times": 1})
    await house.poll()
    workflows = {name for name in house.switchboard.started if name.startswith("inbound/")}
    assert len(workflows) == 2  # one TA1, one 999
    await house.poll()
    assert await house.clearinghouse.list_mailbox() == ()
    assert {n for n in house.switchboard.started if n.startswith("inbound/")} == workflows


async def test_a_copy_that_comes_after_the_work_is_done_is_acknowledged_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.move_to(datetime.fromisoformat("2026-02-03T20:00:00-06:00"))
    await house.poll()
    (row, *_) = await house.rows(text("SELECT digest FROM mailbox_item"))
    async with house.database.reading() as reading:
        content = (await files.read_file(reading, row.digest)).content
    copy = MailboxFile(
        id="copy-1", name="copy.edi", size=len(content), sha256=row.digest, created_at=START
    )
    acknowledged: list[str] = []

    async def listing() -> tuple[MailboxFile, ...]:
        return (copy,)

    async def download(file: MailboxFile) -> bytes:
        return content

    async def acknowledge(file_id: str) -> None:
        acknowledged.append(file_id)

    monkeypatch.setattr(house.clearinghouse, "list_mailbox", listing)
    monkeypatch.setattr(house.clearinghouse, "download", download)
    monkeypatch.setattr(house.clearinghouse, "acknowledge", acknowledge)
    await house.perform(steps.POLL_MAILBOX, house.connection)
    assert acknowledged == ["copy-1"]
    assert not house.switchboard.signals


async def test_a_mailbox_that_does_not_answer_is_asked_again(house: House) -> None:
    await house.spoil({"on": "mailbox", "kind": "server_error", "times": 1})
    with pytest.raises(ApplicationError) as caught:
        await house.perform(steps.POLL_MAILBOX, house.connection)
    assert not caught.value.non_retryable
    assert str(caught.value) == "Transient: mailbox: unavailable"


async def test_a_file_that_cannot_be_fetched_does_not_keep_the_others_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.move_to(datetime.fromisoformat("2026-02-03T20:00:00-06:00"))
    first, second = await house.clearinghouse.list_mailbox()
    download = house.clearinghouse.download

    async def damaged(file: MailboxFile) -> bytes | None:
        if file == first:
            raise Unreachable("other_bytes_than_listed")
        return await download(file)

    monkeypatch.setattr(house.clearinghouse, "download", damaged)
    with pytest.raises(ApplicationError):
        await house.perform(steps.POLL_MAILBOX, house.connection)
    assert f"inbound/{second.sha256[:32]}" in house.switchboard.started
    assert f"inbound/{first.sha256[:32]}" not in house.switchboard.started
    monkeypatch.setattr(house.clearinghouse, "download", download)
    assert (await house.perform(steps.POLL_MAILBOX, house.connection)).files == 1
    assert f"inbound/{first.sha256[:32]}" in house.switchboard.started
