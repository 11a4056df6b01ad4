"""What was said of payer and member when a claim was made stands, whatever is loaded afterwards."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from activities import steps
from groupclaim import x12
from groupclaim.lifecycle import events
from groupclaim.model.intake import PracticeFile
from groupclaim.model.patient import Authorization
from groupclaim.store import claims, files, practice
from tests.activities.house import SAMPLES, House

ROSTER = {"S2": ("P14", "P15", "P16")}
DATA = json.loads((SAMPLES / "practice.json").read_text())
(COVERED,) = [item for item in DATA["coverages"] if item["patient"] == "P15"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Three claims ready at the cut-off."""
    async with House(tmp_path, ROSTER) as made:
        await made.open_sessions()
        await made.hand_in("S2")
        yield made


async def load(house: House, change: Callable[[dict[str, Any]], None]) -> None:
    """Load the practice's file again, with something about P15's coverage changed."""
    data = json.loads(json.dumps(DATA))
    (mine,) = [item for item in data["coverages"] if item["patient"] == "P15"]
    change(mine)
    if mine.pop("moved", None):
        day = {"from": "2026-02-01", "payer": "sample-mutual", "member_id": "OTHER1"}
        data["coverages"].append({**mine, **day, "to": None})
        mine["to"] = "2026-01-31"
    async with house.quietly() as tx:
        await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))


def ended(mine: dict[str, Any]) -> None:
    mine["to"] = "2026-01-31"


def corrected(mine: dict[str, Any]) -> None:
    mine["member_id"] = "CORRECTED999"


def moved(mine: dict[str, Any]) -> None:
    mine["moved"] = True


def payer_answers_with(
    house: House, monkeypatch: pytest.MonkeyPatch, member_id: str
) -> list[bytes]:
    """P15's payer knows them under ``member_id`` from now on; what it is asked is listed."""
    ask = house.clearinghouse.ask_eligibility
    asked: list[bytes] = []

    async def answered(question: bytes) -> bytes:
        asked.append(question)
        answer: bytes = await ask(question)
        return answer.replace(COVERED["member_id"].encode(), member_id.encode())

    monkeypatch.setattr(house.clearinghouse, "ask_eligibility", answered)
    return asked


async def sent_batch(house: House) -> steps.BatchRef:
    batch = await house.cut("1")
    assert batch is not None
    await house.send(batch)
    return batch


@pytest.mark.parametrize("change", [ended, corrected, moved])
async def test_a_batch_cut_before_the_coverage_changed_goes_as_it_was_made(
    house: House, change: Callable[[dict[str, Any]], None]
) -> None:
    number = await house.claim_of("S2", "P15")
    batch = await house.cut("1")
    assert batch is not None
    await load(house, change)
    built = await house.perform(steps.BUILD_BATCH, batch)
    assert built.claims == 3
    async with house.database.reading() as reading:
        content = (await files.read_file(reading, built.digest)).content
    ((transaction,), _) = x12.read_837p(content)
    (mine,) = [item for item in transaction.claims if item.control_number.startswith(number)]
    assert mine.subscriber.member_id == COVERED["member_id"]
    for outcome in ("accepted", "accepted"):
        assert (await house.perform(steps.SEND_BATCH, batch)).outcome == outcome
    (row,) = await house.rows(text("SELECT count(*) AS n FROM transfer WHERE kind='charge'"))
    assert row.n == 3


@pytest.mark.parametrize("change", [ended, moved])
async def test_answers_for_a_claim_whose_coverage_ended_since_are_routed(
    house: House, change: Callable[[dict[str, Any]], None]
) -> None:
    await sent_batch(house)
    await load(house, change)
    for _ in range(2):  # the 999, then the 277CA
        due = await house.next_delivery()
        assert due is not None
        await house.move_to(due)
        await house.poll()
        await house.settle()
    assert {state.stage for state in house.states.values()} == {"accepted"}
    unread = "SELECT count(*) AS n FROM mailbox_item WHERE acknowledged_at IS NULL"
    assert (await house.rows(text(unread)))[0].n == 0


async def test_a_denial_after_the_coverage_ended_waits_for_a_person(house: House) -> None:
    number = await house.claim_of("S2", "P15")
    await sent_batch(house)
    await load(house, ended)
    denied = events.RemittancePosted(
        at=await house.clock.now(), key="835:1:1", version=1, denied=True, cause="CO-27"
    )
    await house.happens(number, denied)
    hold = house.states[number].hold
    assert hold is not None
    assert hold.code == "DENIED"
    assert house.states[number].due_at is not None


async def test_who_pays_a_sent_claim_does_not_change_with_the_coverage(house: House) -> None:
    number = await house.claim_of("S2", "P15")

    async def payer_key() -> str:
        query = text("SELECT payer_key FROM claim WHERE claim_number = :number")
        (row,) = await house.rows(query.bindparams(number=number))
        key: str = row.payer_key
        return key

    before = await payer_key()
    await load(house, moved)
    assert await payer_key() == before, "it waits for its batch"
    await load(house, lambda mine: None)
    await sent_batch(house)
    await load(house, moved)
    assert await payer_key() == before


@pytest.mark.parametrize(("change", "member_id"), [(corrected, "CORRECTED999"), (moved, "OTHER1")])
async def test_a_claim_whose_batch_is_not_cut_is_made_anew_of_what_was_corrected(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], None],
    member_id: str,
) -> None:
    number = await house.claim_of("S2", "P15")
    payer_answers_with(house, monkeypatch, member_id)
    await load(house, change)
    learned = events.FactLearned(at=await house.clock.now(), key="c", fact="coverage")
    await house.happens(number, learned)
    batch = await house.cut("1")
    assert batch is not None
    rows = await house.rows(text("SELECT claim_number, version FROM batch_claim"))
    taken = {row.claim_number: row.version for row in rows}
    assert set(taken.values()) == {1}, "no letter is missing on the wire"
    assert (number in taken) is (house.states[number].hold is None)
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, number)
        if number in taken:
            version = await claims.read_version(reading, number, 1)
            assert version.parties.subscriber.member_id == member_id
    assert facts.coverage is not None
    assert facts.coverage.member_id == member_id


async def test_an_authorization_recorded_before_the_cut_is_named_on_the_claim(house: House) -> None:
    """Made without one, and taken back as soon as one that fits is on file: it can only help."""
    number = await house.claim_of("S2", "P15")
    async with house.database.reading() as reading:
        assert (await claims.read_version(reading, number, 1)).prior_authorization is None
    permit = {
        "patient": "P15", "payer": COVERED["payer"], "number": "LATE1", "codes": ("90853",),
        "units": 5, "from": date(2026, 1, 1), "to": date(2026, 12, 31),
    }  # fmt: skip
    async with house.database.transaction() as tx:
        await practice.record_authorization(tx, Authorization.model_validate(permit))
    learned = events.FactLearned(at=await house.clock.now(), key="a", fact="authorization")
    await house.happens(number, learned)
    assert (house.states[number].stage, house.states[number].hold) == ("ready", None)
    await sent_batch(house)
    async with house.database.reading() as reading:
        assert (await claims.read_version(reading, number, 1)).prior_authorization == "LATE1"
    sent = b"".join(b64decode(entry["body"]) for entry in house.wire())
    assert sent.count(b"REF*G1*LATE1~") == 1


async def test_a_claim_whose_batch_is_cut_stays_in_it(house: House) -> None:
    number = await house.claim_of("S2", "P15")
    assert await house.cut("1") is not None
    await load(house, corrected)
    learned = events.FactLearned(at=await house.clock.now(), key="c", fact="coverage")
    await house.happens(number, learned)
    state = house.states[number]
    assert (state.stage, state.hold, state.version) == ("ready", None, 1)
    assert state.due_at is not None


# --- which member id a claim carries


async def made_again(house: House, number: str) -> str:
    """The member id on the version that is made of what is on file now."""
    at = await house.clock.now() + timedelta(hours=1)
    await house.move_to(at)
    step = {"claim_number": number, "sequence": 50, "version": 1}
    await house.perform(steps.CHECK_ELIGIBILITY, steps.ClaimStep.model_validate(step))
    return await member_on_the_claim(house, steps.ClaimStep.model_validate(step))


async def member_on_the_claim(house: House, step: steps.ClaimStep) -> str:
    """The member id on the version that the step makes, which no batch has taken: still the
    first."""
    built = await house.perform(steps.BUILD_CLAIM, step)
    assert built.version == 1
    async with house.database.reading() as reading:
        version = await claims.read_version(reading, step.claim_number, 1)
    return version.parties.subscriber.member_id


async def test_a_corrected_member_id_wins_over_an_older_answer(house: House) -> None:
    number = await house.claim_of("S2", "P15")
    await load(house, corrected)
    async with house.database.reading() as reading:
        assert (await practice.claim_facts(reading, number)).eligibility is None
    step = steps.ClaimStep(claim_number=number, sequence=50, version=1)
    assert await member_on_the_claim(house, step) == "CORRECTED999"


async def test_the_answer_of_another_payer_is_never_used(house: House) -> None:
    number = await house.claim_of("S2", "P15")
    await load(house, moved)
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, number)
    assert facts.payer is not None
    assert (facts.payer.ref, facts.eligibility) == ("sample-mutual", None)
    assert await made_again(house, number) == "OTHER1"


async def test_the_payers_own_corrected_id_wins_over_what_was_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await house.claim_of("S2", "P15")
    asked = payer_answers_with(house, monkeypatch, "PAYERSOWN7")
    assert await made_again(house, number) == "PAYERSOWN7"
    assert COVERED["member_id"].encode() in asked[0]
