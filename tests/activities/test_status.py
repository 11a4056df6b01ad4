"""A silent payer is asked by 276; each of its words leads somewhere, and never too early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from activities import steps
from groupclaim import x12
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.lifecycle.events import Acknowledged, DeadlinePassed, HoldReleased
from groupclaim.lifecycle.state import Stage
from groupclaim.store import batches, claims
from groupclaim.store.schema import x12_file
from tests.activities.house import START, House
from tests.activities.test_coverage import sample

ROSTER = {"S1": ("P01", "P04")}
DAY = timedelta(days=1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A batch of two claims to Medicare has been taken."""
    async with House(tmp_path, ROSTER) as made:
        await made.until_sent()
        await made.settle()
        yield made


@pytest.fixture
async def claim(house: House) -> str:
    return await house.claim_of("S1", "P01")


class Teller:
    """A payer that says of every claim what it is told to say."""

    def __init__(self, house: House, *says: tuple[str, str]) -> None:
        self.says = says
        self.asked: list[x12.ClaimStatusInquiry] = []
        self.fails: Exception | None = None
        house.clearinghouse.ask_claim_status = self._tell  # type: ignore[method-assign]

    async def _tell(self, content: bytes) -> bytes:
        assert x12.check_outbound(content) == ()
        (inquiry,), problems = x12.read_276(content)
        assert not problems
        self.asked.append(inquiry)
        if self.fails is not None:
            raise self.fails
        words = tuple(x12.Status(category, code) for category, code in self.says)
        response = x12.ClaimStatusResponse(
            reference=inquiry.reference,
            trace_number=inquiry.trace_number,
            payer=inquiry.payer,
            receiver=inquiry.receiver,
            provider=inquiry.provider,
            subscriber=inquiry.subscriber,
            information=(x12.StatusInformation(words, date(2026, 2, 20)),),
        )
        frame = x12.Envelope(
            sender_id="PAYER0",
            receiver_id="PRACTICE0",
            interchange_control_number=1,
            group_control_number=1,
            at=START,
            test=True,
        )
        return x12.build_277(frame, response, 1)


async def now(house: House) -> datetime:
    return await house.clock.now()


async def accepted(house: House, claim: str, days: int = 14) -> datetime:
    """The payer has taken the claim; when it is to be asked about first."""
    at = await now(house)
    await house.happens(
        claim,
        Acknowledged(
            at=at, key="277CA:x", by="277CA", version=1, accepted=True, due_at=at + days * DAY
        ),
    )
    assert house.states[claim].stage is Stage.ACCEPTED
    return at + days * DAY


async def wait(house: House, claim: str) -> datetime:
    """Until the claim's deadline, which passes; when it was."""
    due_at = house.states[claim].due_at
    assert due_at is not None
    await house.move_to(due_at)
    await house.happens(claim, DeadlinePassed(at=due_at))
    return due_at


async def told(house: House, claim: str, kind: str) -> list[Any]:
    async with house.database.reading() as reading:
        events = await claims.timeline(reading, claim)
    return [item.detail for item in events if item.kind == kind]


async def test_the_277ca_says_when_the_payer_is_first_asked(house: House, claim: str) -> None:
    while house.states[claim].stage is not Stage.ACCEPTED:
        delivery = await house.next_delivery()
        assert delivery is not None
        await house.move_to(delivery)
        await house.poll()
        await house.settle()
    state = house.states[claim]
    assert state.since is not None
    # Medicare is first asked 14 days after it took the claim.
    assert state.due_at == state.since + 14 * DAY


async def test_the_question_names_the_claim(house: House, claim: str) -> None:
    teller = Teller(house, ("P1", "20"))
    first = await accepted(house, claim)
    await wait(house, claim)
    (asked,) = teller.asked
    assert asked.charge_cents == 6000
    assert asked.service_date == date(2026, 2, 3)
    assert asked.patient_control_number.startswith(claim)
    # In process: it is asked again after Medicare's seven days, and nobody is troubled.
    assert house.states[claim].due_at == first + 7 * DAY
    assert house.states[claim].hold is None
    assert await told(house, claim, "alert") == []
    (status,) = await told(house, claim, "status")
    assert (status["action"], status["category"], status["code"]) == ("wait", "P1", "20")


@pytest.mark.parametrize(
    ("says", "hold"),
    [
        ((("R4", "294"),), "INFORMATION_REQUESTED"),
        ((("P3", "123"),), "INFORMATION_REQUESTED"),
        ((("A7", "33"),), "REJECTED"),
        ((("D0", "35"),), "PAYER_SILENT"),  # it took the claim: a call, never a second claim
        ((("A4", "35"),), "PAYER_SILENT"),
        ((("P1", "20"), ("R3", "294")), "INFORMATION_REQUESTED"),
    ],
)
async def test_words_that_a_person_must_act_on(
    house: House, claim: str, says: tuple[tuple[str, str], ...], hold: str
) -> None:
    Teller(house, *says)
    await accepted(house, claim)
    await wait(house, claim)
    state = house.states[claim]
    assert state.hold is not None
    assert (state.stage, state.hold.code, state.hold.releasable) == (Stage.ACCEPTED, hold, True)
    assert len(await told(house, claim, "alert")) == 1


@pytest.mark.parametrize(("category", "rule"), [("F1", "status_paid"), ("F2", "status_denied")])
async def test_a_decision_without_a_remittance_is_told_and_waited_for(
    house: House, claim: str, category: str, rule: str
) -> None:
    Teller(house, (category, "65"))
    first = await accepted(house, claim)
    await wait(house, claim)
    state = house.states[claim]
    assert (state.hold, state.due_at) == (None, first + 7 * DAY)
    async with house.database.reading() as reading:
        found = await claims.read_findings(reading, claim, "ask_status")
    assert [item.rule for item in found] == [rule]
    assert len(await told(house, claim, "alert")) == 1


@pytest.mark.parametrize("fails", [Unreachable("status_500"), NotTaken("throttled"), None])
async def test_without_an_answer_it_is_asked_again_the_next_day_and_not_for_ever(
    house: House, claim: str, fails: Exception | None
) -> None:
    teller = Teller(house, ("E1", "0"))
    teller.fails = fails
    due_at = await accepted(house, claim)
    for _ in range(5):
        assert await wait(house, claim) == due_at
        assert house.states[claim].hold is None
        due_at += DAY
    await wait(house, claim)
    hold = house.states[claim].hold
    assert hold is not None
    assert (hold.code, len(teller.asked)) == ("PAYER_SILENT", 6)
    # A person has called, and lets it ask again.
    teller.fails, teller.says = None, (("P1", "20"),)
    await house.happens(
        claim, HoldReleased(at=await now(house), key="release:1", code="PAYER_SILENT")
    )
    assert (house.states[claim].hold, len(teller.asked)) == (None, 7)


async def test_nothing_is_asked_before_the_first_day_and_people_are_told_meanwhile(
    house: House, claim: str
) -> None:
    teller = Teller(house, ("D0", "35"))
    since = house.states[claim].since
    assert since is not None
    assert house.states[claim].stage is Stage.SUBMITTED
    looks = []
    while not teller.asked:
        looks.append(await wait(house, claim) - since)
    # The 999 is late after a day; then after 1, 2, 4 and 7 days more, but no later than day 14.
    assert looks == [n * DAY for n in (1, 2, 4, 8, 14)]
    assert len(await told(house, claim, "alert")) == 5
    hold = house.states[claim].hold
    assert hold is not None
    assert hold.code == "NOT_ON_FILE"


async def test_a_claim_that_nobody_took_is_sent_again_when_a_person_says_so(
    house: House, claim: str
) -> None:
    teller = Teller(house, ("D0", "35"))
    while not teller.asked:
        await wait(house, claim)
    await house.happens(
        claim, HoldReleased(at=await now(house), key="release:1", code="NOT_ON_FILE")
    )
    state = house.states[claim]
    assert (state.stage, state.version, state.hold) == (Stage.READY, 2, None)
    async with house.database.reading() as reading:
        version = await claims.read_version(reading, claim, 2)
    assert version.frequency == "1"


async def test_the_simulated_payer_says_that_it_has_paid(house: House, claim: str) -> None:
    """Through HTTP: in process on day 14; on day 21 the payment's file lies in the mailbox and
    nobody has fetched it."""
    await accepted(house, claim)
    await wait(house, claim)
    await wait(house, claim)
    told_so = [(item["action"], item["category"]) for item in await told(house, claim, "status")]
    assert told_so == [("wait", "P1"), ("paid", "F1")]
    assert len([entry for entry in house.wire() if entry["channel"] == "status"]) == 4


async def test_asked_too_early_nobody_is_asked(house: House, claim: str) -> None:
    state = house.states[claim]
    asked = await house.perform(
        steps.ASK_STATUS,
        steps.ClaimStep(claim_number=claim, sequence=state.sequence, version=1),
    )
    assert asked.held is None
    assert [entry for entry in house.wire() if entry["channel"] == "status"] == []


async def test_a_step_done_twice_asks_the_same_question(house: House, claim: str) -> None:
    teller = Teller(house, ("F1", "65"))
    first = await accepted(house, claim)
    await house.move_to(first)
    again = steps.ClaimStep(claim_number=claim, sequence=99, version=1, follow_ups=1)
    answers = [await house.perform(steps.ASK_STATUS, again) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len({item.trace_number for item in teller.asked}) == 1
    assert len(await told(house, claim, "alert")) == 1
    assert len(await told(house, claim, "status")) == 1


# --- the law's clocks: a plan under Texas law, DOS 3 February


@pytest.fixture
async def texan(tmp_path: Path) -> AsyncIterator[House]:
    """A batch of one claim to a plan under Texas insurance law has been taken."""

    def under_texas_law(raw: dict[str, Any]) -> None:
        for payer in raw["payers"]:
            if payer["ref"] == "placebo-health":
                payer["policy"] = "texas-commercial"

    async with House(tmp_path, {"S1": ("P05", "P06")}) as made:
        await sample(made, under_texas_law)
        await made.until_sent()
        await made.settle()
        yield made


async def test_people_are_told_before_and_when_the_laws_time_ends(texan: House) -> None:
    claim = await texan.claim_of("S1", "P06")
    Teller(texan, ("P1", "20"))
    taken = (await accepted(texan, claim, 21) - 21 * DAY).astimezone(START.tzinfo).date()
    looked = [(await wait(texan, claim)).astimezone(START.tzinfo).date() - taken for _ in range(3)]
    # Asked on day 21; the law gives 30 days after receipt, with an alert three days before.
    assert looked == [21 * DAY, 27 * DAY, 30 * DAY]
    levels = [item["level"] for item in await told(texan, claim, "alert") if "deadline" in item]
    assert levels == [1, 2]


async def test_the_same_claim_waits_for_the_46th_day(texan: House) -> None:
    claim = await texan.claim_of("S1", "P06")
    state = texan.states[claim]
    again = {"claim_number": claim, "sequence": state.sequence, "version": 1}
    built = await texan.perform(steps.BUILD_CLAIM, steps.ClaimStep(**again))
    assert built.held.code == "DUPLICATE_BLOCK"
    sent_on = state.since.date() if state.since else None
    assert sent_on is not None
    assert built.due_at.date() == sent_on + 46 * DAY
    # A corrected claim is no duplicate.
    mended = steps.ClaimStep(**again, corrections=("A7:33:member_id",))
    assert (await texan.perform(steps.BUILD_CLAIM, mended)).held is None


async def test_after_that_day_it_is_built(texan: House) -> None:
    claim = await texan.claim_of("S1", "P06")
    state = texan.states[claim]
    await texan.move_to(await now(texan) + 46 * DAY)
    built = await texan.perform(
        steps.BUILD_CLAIM,
        steps.ClaimStep(claim_number=claim, sequence=state.sequence, version=1),
    )
    assert (built.held, built.version) == (None, 2)


async def test_the_first_sending_that_nobody_refused(house: House, claim: str) -> None:
    async with house.database.transaction() as tx:
        assert await batches.first_unanswered_sending(tx, claim) == await now(house)
        digest = await tx.scalar(select(x12_file.c.digest).limit(1))
        await batches.record_acknowledgment(
            tx,
            "277CA",
            digest,
            "1|1",
            accepted=False,
            codes="A7:33",
            received_at=START,
            claim_number=claim,
            version=1,
        )
        assert await batches.first_unanswered_sending(tx, claim) is None
