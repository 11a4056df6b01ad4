"""The claim's page: why it waits, what may be done, and what is noted when somebody looks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from activities import steps
from groupclaim.store import audit, work
from tests.console.visitor import Practice, practice_at


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


async def held(practice: Practice) -> str:
    """P19's coverage is not in force: held before anything is sent."""
    return await practice.house.claim_of("S2", "P19")


async def test_the_list_names_each_held_claim_with_its_reason(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    number = await held(practice)
    state = practice.house.states[number]
    assert state.hold is not None
    page = (await biller.get("/")).text
    assert number in page
    assert state.hold.code in page
    filtered = (await biller.get(f"/?code={state.hold.code}")).text
    assert number in filtered
    assert number not in (await biller.get("/?code=GROUP_SIZE_REVIEW")).text
    assert number not in (await biller.get("/?code=' OR 1=1")).text
    assert (await biller.get("/?view=' OR 1=1")).status_code == 422
    assert (await biller.get("/?sort=; DROP TABLE claim")).status_code == 422


async def test_the_page_answers_why_the_claim_waits(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    number = await held(practice)
    page = (await biller.get(f"/claims/{number}")).text
    for question in ("Waits for", "Since", "Next by itself", "Released by", "Otherwise"):
        assert f"<dt>{question}</dt>" in page


async def test_the_page_says_what_a_person_is_asked_to_do_until_it_is_done(
    practice: Practice,
) -> None:
    """In groupclaim's own words; what people noted beside it may name somebody."""
    viewer, number = await practice.signed_in("viewer"), await held(practice)
    now = await practice.house.clock.now()
    asked = work.Task(
        "withdrawal", number, "letter|1|1", "APPEAL_WITHDRAWN", "biller", claim_number=number
    )
    async with practice.house.database.transaction() as tx:
        item = await work.open_item(tx, asked, now)
        await work.comment(tx, item, "tell the payer that it is withdrawn", work.BY_ITSELF, now)
        await work.comment(tx, item, "spoke with Mr. Doe's insurer", "biller", now)
    page = (await viewer.get(f"/claims/{number}")).text
    assert "tell the payer that it is withdrawn" in page
    assert "Doe" not in page
    async with practice.house.database.transaction() as tx:
        await work.resolve(tx, item, "biller", 0, now)
    page = (await viewer.get(f"/claims/{number}")).text
    assert "tell the payer that it is withdrawn" not in page


async def test_the_patient_is_masked_until_somebody_looks_and_each_look_is_noted(
    practice: Practice,
) -> None:
    number = await held(practice)
    biller = await practice.signed_in("biller")
    before = (await biller.get(f"/claims/{number}")).text
    shown = await biller.post(f"/claims/{number}/reveal")
    name = shown.text.split("<b>")[1].split("</b>")[0]
    assert len(name.split()) == 2
    assert name.split()[1] not in before
    assert name.split()[1] not in (await biller.get("/")).text
    await biller.get(f"/claims/{number}")
    await biller.post(f"/claims/{number}/reveal")
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, number)
    assert [(entry.actor, entry.action) for entry in noted] == [("biller", "reveal_patient")] * 2


async def held_by_two(practice: Practice) -> str:
    """A claim whose hold two people may waive."""
    return await held_as(practice, "NOT_COVERED", two_people=True)


async def held_as(practice: Practice, code: str, *, two_people: bool) -> str:
    """A held claim whose hold, one that may be released, is ``code``."""
    number = await held(practice)
    state = practice.house.states[number]
    assert state.hold is not None
    hold = state.hold.model_copy(
        update={"code": code, "releasable": True, "two_people": two_people}
    )
    state = state.model_copy(update={"hold": hold, "sequence": state.sequence + 1})
    practice.house.states[number] = state
    await practice.house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))
    return number


WAIVER = {
    "code": "NOT_COVERED",
    "reason": "The payer agreed by telephone, reference 4711.",
    "until": "2026-03-31T17:00",
}


async def test_a_hold_that_needs_two_people_is_not_released_by_one(practice: Practice) -> None:
    number = await held_by_two(practice)
    biller = await practice.signed_in("biller")
    assert "two people" in (await biller.get(f"/claims/{number}")).text
    answer = await biller.post(f"/claims/{number}/release", code="NOT_COVERED", reason="why not")
    assert (answer.status_code, "two people" in answer.text) == (409, True)


async def test_a_waiver_is_proposed_by_one_and_agreed_to_by_another(practice: Practice) -> None:
    number = await held_by_two(practice)
    biller = await practice.signed_in("biller")
    await biller.get(f"/claims/{number}")
    assert (await biller.post(f"/claims/{number}/waiver", **WAIVER)).status_code == 303
    again = await biller.post(f"/claims/{number}/waiver", **WAIVER)
    assert (again.status_code, "proposed already" in again.text) == (422, True)
    assert "a waiver is proposed" in (await biller.get("/")).text
    assert (await biller.post(f"/claims/{number}/waiver/agree")).status_code == 403

    supervisor = await practice.signed_in("supervisor")
    page = (await supervisor.get(f"/claims/{number}")).text
    assert "biller proposes to waive this hold" in page
    assert "reference 4711" in page
    assert (await supervisor.post(f"/claims/{number}/waiver/agree")).status_code == 303
    state = practice.house.states[number]
    # 17:00 on 31 March in Chicago, where daylight saving has begun.
    assert state.waived_until == {"NOT_COVERED": datetime(2026, 3, 31, 22, tzinfo=UTC)}
    page = (await supervisor.get("/")).text
    assert "a waiver is proposed" not in page
    async with practice.house.database.reading() as reading:
        noted = {entry.action: entry for entry in await audit.entries(reading, number)}
    assert noted["waiver_proposed"].actor == "biller"
    assert '"second": "supervisor"' in json.dumps(dict(noted["release_hold"].detail))


async def test_nobody_agrees_to_a_waiver_of_their_own(practice: Practice) -> None:
    number = await held_by_two(practice)
    supervisor = await practice.signed_in("supervisor")
    await supervisor.get(f"/claims/{number}")
    none = await supervisor.post(f"/claims/{number}/waiver/agree")
    assert (none.status_code, "no waiver is proposed" in none.text) == (409, True)
    assert (await supervisor.post(f"/claims/{number}/waiver", **WAIVER)).status_code == 303
    own = await supervisor.post(f"/claims/{number}/waiver/agree")
    assert (own.status_code, "a second person must" in own.text) == (409, True)
    assert "I agree" not in (await supervisor.get(f"/claims/{number}")).text


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"until": "2026-01-01T00:00"}, 422, "lies in the past"),
        ({"until": ""}, 422, "until: field required"),
        ({"until": "tomorrow"}, 422, "a day and time"),
        ({"reason": " "}, 422, "say why"),
        ({"code": "CARVE_OUT"}, 409, "no longer held by CARVE_OUT"),
    ],
)
async def test_a_waiver_needs_a_reason_and_an_end(
    practice: Practice, changed: dict[str, str], status: int, said: str
) -> None:
    number = await held_by_two(practice)
    biller = await practice.signed_in("biller")
    await biller.get(f"/claims/{number}")
    answer = await biller.post(f"/claims/{number}/waiver", **{**WAIVER, **changed})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_a_proposal_lapses_with_its_hold(practice: Practice) -> None:
    number = await held_by_two(practice)
    biller = await practice.signed_in("biller")
    await biller.get(f"/claims/{number}")
    await biller.post(f"/claims/{number}/waiver", **WAIVER)
    state = practice.house.states[number]
    assert state.hold is not None
    later = state.hold.since + timedelta(days=1)
    anew = state.model_copy(
        update={
            "hold": state.hold.model_copy(update={"since": later}),
            "sequence": state.sequence + 1,
        }
    )
    await practice.house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=anew))
    supervisor = await practice.signed_in("supervisor")
    assert "proposes" not in (await supervisor.get(f"/claims/{number}")).text
    assert "a waiver is proposed" not in (await supervisor.get("/")).text


async def test_a_clinician_says_that_the_note_is_signed_and_the_claim_goes_on(
    practice: Practice,
) -> None:
    house = practice.house
    number = await house.claim_of("S1", "P01")
    attendance = next(item for item in house.happenings() if item["kind"] == "attendance")
    await house.move_to(datetime.fromisoformat(attendance["at"]))
    await house.from_outside(attendance)
    hold = house.states[number].hold
    assert hold is not None
    assert hold.code == "NOTE_UNSIGNED"
    biller = await practice.signed_in("biller")
    assert "It is signed" not in (await biller.get(f"/claims/{number}")).text
    assert (await biller.post(f"/claims/{number}/note-signed", signed="x")).status_code == 403
    clinician = await practice.signed_in("clinician")
    assert "It is signed" in (await clinician.get(f"/claims/{number}")).text
    early = await clinician.post(f"/claims/{number}/note-signed", signed="2030-01-01T00:00")
    assert (early.status_code, "that has been" in early.text) == (422, True)
    signed_at = next(
        datetime.fromisoformat(item["at"])
        for item in house.happenings()
        if item["kind"] == "note_signed" and item["session"] == "S1" and item["patient"] == "P01"
    )
    await house.move_to(signed_at)
    local = signed_at.astimezone(ZoneInfo("America/Chicago"))
    done = await clinician.post(f"/claims/{number}/note-signed", signed=f"{local:%Y-%m-%dT%H:%M}")
    assert done.status_code == 303
    assert house.states[number].stage == "ready"
    assert "NOTE_UNSIGNED" not in (await biller.get(f"/claims/{number}")).text.split("timeline")[0]


async def test_payments_are_evidence_with_a_link(played: Practice) -> None:
    number = await played.house.claim_of("S2", "P18")
    biller = await played.signed_in("biller")
    page = (await biller.get(f"/claims/{number}")).text
    assert len(re.findall(r'href="/remittances/\d+"', page)) == 2
    assert (await biller.post(f"/claims/{number}/letter")).status_code == 404


async def test_the_audit_binder_is_printed_by_who_may_see_personal_data(played: Practice) -> None:
    number = await played.house.claim_of("S2", "P18")
    viewer = await played.signed_in("viewer")
    assert "audit binder" not in (await viewer.get(f"/claims/{number}")).text
    assert (await viewer.post(f"/claims/{number}/binder")).status_code == 403
    biller = await played.signed_in("biller")
    assert "audit binder" in (await biller.get(f"/claims/{number}")).text
    answer = await biller.post(f"/claims/{number}/binder")
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
    async with played.house.database.reading() as reading:
        last = (await audit.entries(reading, number))[-1]
    assert (last.actor, last.action) == ("biller", "binder_printed")
    assert (await biller.post("/claims/GC0000000000X/binder")).status_code == 404
