"""A denial worked through the real store: the ladder, letters, receipts, decisions, the ledger."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
from sqlalchemy import text

from activities import steps
from groupclaim import x12
from groupclaim.lifecycle.events import DenialAdvanced, FactLearned
from groupclaim.lifecycle.state import Fact, Stage
from groupclaim.model.patient import Authorization
from groupclaim.policy.payer import PolicyBook
from groupclaim.store import audit, batches, claims, denials, files, ledger, practice, work
from tests.activities.house import House
from tests.activities.test_authorization_request import Reviewer
from tests.activities.test_remittance import ROSTER, arrives, paid, x835


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with sent_on(tmp_path) as made:
        yield made


@asynccontextmanager
async def sent_on(folder: Path) -> AsyncIterator[House]:
    """The claims of S1 are with their payers."""
    async with House(folder, ROSTER) as made:
        await made.until_sent()
        await made.move_to(datetime.fromisoformat("2026-02-20T12:00:00-06:00"))
        yield made


async def denied(house: House, reason: str = "197", *patients: str) -> list[str]:
    """The payer denies these patients' claims on 20 February."""
    numbers = [await house.claim_of("S1", patient) for patient in patients or ("P06",)]
    file = await arrives(
        house, x835(*(paid(number, 0, ("CO", reason, 6000)) for number in numbers), trace=reason)
    )
    await house.take_in(file)
    await house.settle()
    return numbers


async def plan(house: House, number: str, denial: int = 1, news: int = 0) -> steps.DenialPlan:
    ref = steps.DenialRef(claim_number=number, denial=denial, news=news)
    made: steps.DenialPlan = await house.perform(steps.PLAN_DENIAL, ref)
    again = await house.perform(steps.PLAN_DENIAL, ref)
    assert (made.next, made.action, made.due_at) == (again.next, again.action, again.due_at)
    return made


async def choose(house: House, number: str, choice: str, **more: Any) -> None:
    given = steps.DenialChoice.model_validate(
        {
            "claim_number": number, "denial": 1, "choice": choice, "by": "R. Lee",
            "reason": "tested", "request": choice + str(more),
        }
        | more
    )  # fmt: skip
    for _ in range(2):  # the same click twice
        await house.perform(steps.RECORD_DENIAL_CHOICE, given)


async def ref_of(number: str) -> steps.DenialRef:
    return steps.DenialRef(claim_number=number, denial=1)


async def letters(house: House, number: str) -> tuple[denials.Letter, ...]:
    async with house.database.reading() as reading:
        return await denials.letters_of(reading, number, 1)


async def to_do(house: House) -> list[tuple[str, str, int]]:
    """What stands on the work list about denials: code, who acts, cents."""
    async with house.database.reading() as reading:
        found = await work.items(reading, work.Wanted(), await house.clock.now())
    return [(item.code, item.queue, item.cents) for item in found if item.kind == "denial"]


async def announced(house: House, number: str, news: int = 0) -> None:
    ref = steps.DenialRef(claim_number=number, denial=1, news=news)
    await house.perform(steps.ANNOUNCE_DENIAL, ref)
    await house.settle()


def hold_of(house: House, number: str) -> str | None:
    hold = house.states[number].hold
    return hold.code if hold else None


async def test_scenario_16_is_worked_to_its_end_and_the_patient_owes_nothing(house: House) -> None:
    """No authorization existed: asked for afterwards, refused, appealed, upheld, written off."""
    (number,) = await denied(house)
    state = house.states[number]
    assert (state.stage, hold_of(house, number), state.denial) == (Stage.CORRECTION, "DENIED", 1)
    first = await plan(house, number)
    assert (first.next, first.action, first.who) == (
        "person", "ask_authorization", "utilization review",
    )  # fmt: skip
    assert first.choices == ("done", "send_again", "write_off")
    assert first.due_at == await house.clock.now() + timedelta(days=5)
    assert await to_do(house) == [("ASK_AUTHORIZATION", "utilization review", 6000)]

    await choose(house, number, "done")
    missing = await plan(house, number)
    assert (missing.action, missing.next) == ("appeal", "person")
    assert "draft_anyway" in missing.choices  # the authorization that it needs is not on file
    await choose(house, number, "draft_anyway")
    assert (await plan(house, number)).next == "draft"
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    drafted = await plan(house, number)
    assert (drafted.next, drafted.people) == ("person", 1)
    assert drafted.choices == ("approve", "redraft", "write_off")
    assert await to_do(house) == [("APPEAL", "biller", 6000)]
    assert not list((house._folder / "letters").iterdir())  # nothing leaves unapproved

    await choose(house, number, "approve")
    assert (await plan(house, number)).next == "send"
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    by_hand = await plan(house, number)
    assert (by_hand.next, by_hand.choices) == ("wait", ("record_receipt",))
    await announced(house, number)
    assert hold_of(house, number) == "APPEALED"
    await choose(house, number, "record_receipt", reference="handed to the desk, 17:40")
    assert (await plan(house, number)).choices == ("upheld", "overturned", "write_off")
    assert await to_do(house) == []  # the payer answers
    await choose(house, number, "upheld", reference="letter of 1 April")
    last = await plan(house, number)
    assert (last.action, last.next, last.choices) == ("write_off", "person", ("write_off",))
    await choose(house, number, "write_off")
    assert await to_do(house) == [("WRITE_OFF", last.who, 6000)]
    assert (await plan(house, number)).next == "conclude"
    assert await to_do(house) == []
    await announced(house, number)
    # under CO the patient owes nothing, so the copay of 15.00 taken at the session goes back
    assert hold_of(house, number) == "REFUND_DUE"
    async with house.database.reading() as reading:
        left = await ledger.balance(reading, number)
        entries = [
            item.detail
            for item in await audit.entries(reading, number)
            if item.action == "decide_denial"
        ]
        assert await ledger.verify(reading) == ()
    assert (left.payer_open, left.patient_open) == (0, -1500)
    assert len(entries) == 6
    money = await house.rows(
        text(f"SELECT debit, credit, cents FROM transfer WHERE claim_number = '{number}'")
    )
    assert ("write_off", "payer_receivable", 6000) in [tuple(row) for row in money]
    assert all(row.debit != "patient_receivable" for row in money)


async def test_letters_and_write_offs_are_for_who_may(house: House) -> None:
    (number,) = await denied(house, "50")

    async def refused(choice: str, by: str, second: str | None = None) -> str | None:
        given = steps.DenialChoice(
            claim_number=number, denial=1, choice=choice, by=by, reason="x",
            request=f"{choice}{by}{second}", second=second,
        )  # fmt: skip
        return (await house.perform(steps.RECORD_DENIAL_CHOICE, given)).refused

    assert "a letter to a payer of 60.00: front-desk: a biller may not" in (
        await refused("approve", "front-desk") or ""
    )
    assert "T. Poe: is nobody" in (await refused("write_off", "T. Poe") or "")
    assert "T. Poe: is nobody" in (await refused("write_off", "R. Lee", "T. Poe") or "")
    async with house.database.reading() as reading:
        assert (await ledger.balance(reading, number)).payer_open == 6000
        assert (await denials.read_denial(reading, number, 1)).outcome is None
    assert await refused("write_off", "front-desk") is None  # 60.00 is within 100.00
    async with house.database.reading() as reading:
        assert (await ledger.balance(reading, number)).payer_open == 0


async def test_scenario_15_an_authorization_that_comes_sends_the_claim_again(house: House) -> None:
    (number,) = await denied(house)
    assert hold_of(house, number) == "DENIED"
    coverage = json.loads((Path("samples") / "practice.json").read_text())
    payer = next(item["payer"] for item in coverage["coverages"] if item["patient"] == "P06")
    given = Authorization.model_validate_json(
        json.dumps(
            {
                "patient": "P06", "payer": payer, "number": "LATE0001", "codes": ["90853"],
                "units": 10, "from": "2026-01-01", "to": "2026-12-31",
            }
        )
    )  # fmt: skip
    async with house.quietly() as tx:
        await practice.record_authorization(tx, given)
    now = await house.clock.now()
    await house.happens(number, FactLearned(at=now, fact=Fact.AUTHORIZATION))
    state = house.states[number]
    assert (state.stage, state.denial, state.frequency) == (Stage.READY, 0, "7")
    async with house.database.reading() as reading:
        row = await denials.read_denial(reading, number, 1)
        version = await claims.read_version(reading, number, 2)
    assert (row.outcome, row.correction) == ("corrected", "add_authorization")
    assert (version.frequency, version.prior_authorization) == ("7", "LATE0001")
    assert (await plan(house, number)).next == "conclude"


async def test_a_packet_is_picked_up_once_and_sent_means_received(house: House) -> None:
    """Texas Medicaid takes letters by mail: the folder of the mail house, then its receipt."""
    (number,) = await denied(house, "50", "P04")
    folder = house._folder / "letters"
    assert (await plan(house, number)).next == "draft"
    for _ in range(2):
        await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await choose(house, number, "approve")
    for _ in range(3):
        await house.perform(steps.SEND_LETTER, await ref_of(number))
    (packet,) = folder.iterdir()
    pages = " ".join(
        page.extract_text() for page in pypdf.PdfReader(io.BytesIO(packet.read_bytes())).pages
    )
    assert "medical necessity (denied CO-50)" in " ".join(pages.split())
    assert "Inquiry Control Unit" in pages
    everyone = json.loads((Path("samples") / "practice.json").read_text())["patients"]
    me = next(item for item in everyone if item["ref"] == "P04")
    assert me["last_name"] in pages
    others = [item for item in everyone if item["ref"] != "P04"]
    assert [
        item["ref"] for item in others if f"{item['first_name']} {item['last_name']}" in pages
    ] == []
    assert (await letters(house, number))[-1].state == "in_doubt"
    alert = steps.DenialAlert(claim_number=number, denial=1, follow_ups=1)
    await house.perform(steps.FOLLOW_UP_DENIAL, alert)
    assert (await letters(house, number))[-1].state == "in_doubt"
    (folder / f"{packet.stem}.receipt").write_text("TRACK 9400 1\n")
    packet.unlink()
    await house.perform(steps.FOLLOW_UP_DENIAL, alert.model_copy(update={"follow_ups": 2}))
    sent = (await letters(house, number))[-1]
    assert (sent.state, sent.receipt) == ("received", "TRACK 9400 1")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    assert not list(folder.glob("*.pdf"))


async def test_the_payers_second_no_leads_to_the_next_level_and_a_payment_ends_it(
    house: House,
) -> None:
    (number,) = await denied(house, "50", "P04")
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await choose(house, number, "approve")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    await choose(house, number, "record_receipt", reference="TRACK 1")
    again = paid(number, 0, ("CO", "193", 6000))
    file = await arrives(house, _later(x835(again, trace="T9"), "20260220", "20260320"))
    await house.take_in(file)
    await house.settle()
    assert house.states[number].denial == 1
    assert (await letters(house, number))[-1].state == "upheld"
    second = await plan(house, number)
    assert (second.action, second.next) == ("appeal", "draft")
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    assert [item.level for item in await letters(house, number)] == [1, 2]
    file = await arrives(
        house,
        _later(x835(paid(number, 2520, ("CO", "45", 3480)), trace="T10"), "20260220", "20260401"),
    )
    await house.take_in(file)
    await house.settle()
    assert house.states[number].denial == 0
    assert (await plan(house, number)).next == "conclude"
    async with house.database.reading() as reading:
        assert (await denials.read_denial(reading, number, 1)).outcome == "paid"


def _later(content: bytes, day: str, later: str) -> bytes:
    return content.replace(day.encode(), later.encode())


async def test_what_takes_replacements_may_be_sent_again(house: House) -> None:
    (number,) = await denied(house, "4", "P06")
    made = await plan(house, number)
    assert (made.action, made.choices) == ("review_coding", ("done", "send_again", "write_off"))


async def test_an_answer_that_is_overdue_is_somebodys_work(house: House) -> None:
    """The payer has 30 days (playbook, ``wait``); after them somebody has to ask for its answer."""
    (number,) = await denied(house, "50", "P04")
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await choose(house, number, "approve")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    await choose(house, number, "record_receipt", reference="TRACK 1")
    received = await house.clock.now()
    waiting = await plan(house, number)
    assert (waiting.who, waiting.due_at) == ("payer", received + timedelta(days=30))
    assert await to_do(house) == []
    await house.move_to(received + timedelta(days=30))
    overdue = await plan(house, number, news=1)
    assert overdue.choices == ("upheld", "overturned", "write_off")
    assert await to_do(house) == [("APPEAL", "biller", 6000)]
    await choose(house, number, "upheld", reference="letter of 25 March")
    assert (await plan(house, number, news=2)).action == "appeal"


async def test_a_deadline_that_passes_is_told_of_and_never_dropped(house: House) -> None:
    """Placebo: the appeal ends 180 days after 20 February, on 19 August; then it is too late."""
    (number,) = await denied(house, "50")
    first = await plan(house, number)
    assert "2026-08-19" in first.otherwise
    await house.move_to(datetime.fromisoformat("2026-08-16T12:00:00-05:00"))
    near = await plan(house, number, news=1)
    assert near.due_at == datetime.fromisoformat("2026-08-19T08:00:00-05:00")
    await house.move_to(datetime.fromisoformat("2026-08-20T12:00:00-05:00"))
    await house.perform(
        steps.FOLLOW_UP_DENIAL,
        steps.DenialAlert(claim_number=number, denial=1, follow_ups=3),
    )
    late = await plan(house, number, news=2)
    assert (late.action, late.next, late.who) == ("write_off", "person", "supervisor")
    assert late.due_at is not None
    async with house.database.reading() as reading:
        told = [
            item.detail for item in await claims.timeline(reading, number) if item.kind == "alert"
        ]
        found = await claims.read_findings(reading, number, steps.DECIDE_DENIAL.name)
    assert told[-1]["expired"] is True
    assert "The time to appeal has passed." in found[0].sentence


async def test_denials_of_one_session_with_one_cause_are_one_case(house: House) -> None:
    numbers = await denied(house, "97", "P06")
    assert await denied(house, "18", "P04") != numbers
    async with house.database.reading() as reading:
        cases = await denials.list_cases(reading)
        (member,) = await denials.denials_of_case(reading, cases[0].case_id)
    assert {(item.scope, item.open, item.open_cents) for item in cases} == {
        ("session", 1, 6000), ("claim", 1, 6000),
    }  # fmt: skip
    assert {item.prevented_by for item in cases} == {"NOT_DISTINCT", "DUPLICATE"}
    assert member.playbook == house.outside.playbook.version


async def test_news_of_a_denial_that_is_over_changes_nothing(house: House) -> None:
    (number,) = await denied(house)
    state = house.states[number]
    now = await house.clock.now()
    await house.happens(number, DenialAdvanced(at=now, denial=7, settled=True))
    assert house.states[number].stage is state.stage
    await choose(house, number, "write_off")
    await choose(house, number, "done", request="later")
    async with house.database.reading() as reading:
        assert (await denials.read_denial(reading, number, 1)).outcome == "written_off"


# --- an authorization asked for after the service


@pytest.fixture
async def late_asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """P06's payer takes a request for 30 days after the service, which was on 3 February."""
    known = PolicyBook.load()
    book = {
        name: tuple(
            item
            if item.authorization_requests is None
            else item.model_copy(
                update={
                    "authorization_requests": item.authorization_requests.model_copy(
                        update={"days_after_service": 30}
                    )
                }
            )
            for item in known.editions(name)
        )
        for name in known.names
    }
    monkeypatch.setattr("tests.activities.house._POLICIES", PolicyBook(book))
    async with sent_on(tmp_path) as made:
        yield made


async def test_granted_after_the_service_the_claim_is_sent_again(late_asker: House) -> None:
    reviewer = Reviewer(late_asker, x12.Decision("A1", "PLCLATE7"))
    (number,) = await denied(late_asker)
    assert (await plan(late_asker, number)).next == "ask"
    assert await to_do(late_asker) == []
    for _ in range(2):
        await late_asker.perform(steps.ASK_AFTERWARDS, await ref_of(number))
    (request,) = reviewer.requests
    assert request.first_day == date(2026, 2, 3)
    assert (await plan(late_asker, number, news=1)).next == "conclude"
    async with late_asker.database.reading() as reading:
        row = await denials.read_denial(reading, number, 1)
        facts = await practice.claim_facts(reading, number)
    assert (row.outcome, row.correction) == ("corrected", "add_authorization")
    assert [item.number for item in facts.authorizations] == ["PLCLATE7"]


async def test_whoever_asks_and_dies_anywhere_asks_once(late_asker: House) -> None:
    """A request that may have left is first asked after; one that has not goes after the grace."""
    reviewer = Reviewer(late_asker, x12.Decision("A1", "PLCLATE7"))
    (number,) = await denied(late_asker)
    for look in range(5):
        planned = await plan(late_asker, number, news=look)
        if planned.next == "conclude":
            break
        if planned.next == "ask":
            await late_asker.perform(steps.ASK_AFTERWARDS, await ref_of(number))
        elif planned.due_at is not None:
            await late_asker.move_to(planned.due_at)
    assert len(reviewer.requests) == 1
    async with late_asker.database.reading() as reading:
        row = await denials.read_denial(reading, number, 1)
        facts = await practice.claim_facts(reading, number)
    assert (row.outcome, row.correction) == ("corrected", "add_authorization")
    assert [item.number for item in facts.authorizations] == ["PLCLATE7"]


async def test_pended_it_is_asked_after_and_refused_it_is_appealed(late_asker: House) -> None:
    reviewer = Reviewer(late_asker, x12.Decision("A4"))
    (number,) = await denied(late_asker)
    ref = await ref_of(number)
    await late_asker.perform(steps.ASK_AFTERWARDS, ref)
    waits = await plan(late_asker, number)
    now = await late_asker.clock.now()
    assert (waits.next, waits.who, waits.due_at) == ("wait", "payer", now + timedelta(days=1))
    await late_asker.perform(steps.ASK_AFTERWARDS, ref)
    assert reviewer.inquiries == []
    await late_asker.move_to(now + timedelta(days=1))
    assert (await plan(late_asker, number, news=1)).next == "ask"
    reviewer.says = x12.Decision("A3")
    await late_asker.perform(steps.ASK_AFTERWARDS, ref)
    assert (len(reviewer.requests), len(reviewer.inquiries)) == (1, 1)
    assert (await plan(late_asker, number, news=2)).action == "appeal"


async def test_too_late_for_a_request_a_person_asks(late_asker: House) -> None:
    """The thirtieth day after 3 February is 5 March."""
    (number,) = await denied(late_asker)
    await late_asker.move_to(datetime.fromisoformat("2026-03-05T23:00:00-06:00"))
    assert (await plan(late_asker, number)).next == "ask"
    await late_asker.move_to(datetime.fromisoformat("2026-03-06T01:00:00-06:00"))
    assert (await plan(late_asker, number, news=1)).next == "person"


async def test_a_replacement_announces_the_documents_that_were_sent(house: House) -> None:
    """CO-252: an attachment is required. It goes, and the claim goes again with PWK: the control
    number on the packet is the one that the claim names."""
    (number,) = await denied(house, "252")
    assert (await plan(house, number)).next == "draft"
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    drafted = await plan(house, number)
    assert (drafted.action, drafted.choices) == (
        "send_documents", ("approve", "redraft", "write_off"),
    )  # fmt: skip
    await choose(house, number, "approve")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    assert (await plan(house, number)).choices == ("record_receipt", "send_again")
    await choose(house, number, "record_receipt", reference="COUNTER 12")
    waiting = await plan(house, number)
    assert waiting.choices == ("upheld", "overturned", "send_again", "write_off")
    await choose(house, number, "send_again")
    assert (await plan(house, number)).next == "conclude"
    await announced(house, number)
    state = house.states[number]
    assert (state.stage, state.frequency, state.corrections) == (
        Stage.READY, "7", ("CO-252:send_documents",),
    )  # fmt: skip
    key = f"{number}-1-1"
    async with house.database.reading() as reading:
        version = await claims.read_version(reading, number, 2)
        packet = await denials.read_packet(reading, number, 1, 1)
    assert [(item.transmission, item.control_number) for item in version.attachments] == [
        ("BM", key)
    ]
    pages = pypdf.PdfReader(io.BytesIO(packet)).pages
    assert f"Attachment control number {key}" in " ".join(pages[0].extract_text().split())
    sent = await sent_again(house, number)
    (claim,) = sent.claims
    assert claim.frequency == "7"
    assert claim.attachments == (x12.Attachment("OZ", "BM", key),)


async def sent_again(house: House, number: str) -> x12.ClaimTransaction:
    """The 837P with the claim's second version as it leaves the house, read back."""
    batch = await house.cut("again")
    assert batch is not None
    await house.send(batch)
    async with house.database.reading() as reading:
        digest = (await batches.read_batch(reading, batch.batch_id)).file_digest
        assert digest is not None
        content = (await files.read_file(reading, digest)).content
    (transaction,), problems = x12.read_837p(content)
    assert not problems
    assert [item.control_number for item in transaction.claims] == [f"{number}B"]
    return transaction


async def test_an_appeal_is_not_announced_by_a_replacement(house: House) -> None:
    (number,) = await denied(house, "50", "P04")
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    async with house.database.reading() as reading:
        packet = await denials.read_packet(reading, number, 1, 1)
    assert (
        "Attachment control number"
        not in pypdf.PdfReader(io.BytesIO(packet)).pages[0].extract_text()
    )
    await choose(house, number, "approve")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    assert "send_again" not in (await plan(house, number)).choices
