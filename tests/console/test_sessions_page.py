"""Group sessions: what became of everyone who came, and whether the sums come out."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import update

from groupclaim.store import audit
from groupclaim.store.people import Role
from groupclaim.store.schema import participant
from groupclaim.store.session_matrix import Balance
from tests.console.visitor import Practice


@pytest.fixture
def practice(played: Practice) -> Practice:
    return played


def said(page: str) -> str:
    """A page's words, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def row_of(page: str, number: str) -> list[str]:
    """The cells of a claim's row."""
    (row,) = [item for item in re.findall(r"<tr data-row>.*?</tr>", page, re.S) if number in item]
    return [said(cell) for cell in re.findall(r"<td.*?</td>", row, re.S)]


async def test_the_matrix_shows_each_participant_by_the_gates(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    page = (await biller.get(f"/sessions/{practice.house.sessions['S1']}")).text
    # By samples/small/expected.csv: P01 Medicare 30.85 of which 24.19 paid, P05 and P06 one payer
    # at 28.15 each, of which 13.15 paid, so nothing lies between them; P08 did not come.
    paid = await row_of(page, await practice.house.claim_of("S1", "P01"))
    assert paid[1].startswith("attended")
    assert (paid[-3:], "closed" in paid[-4]) == (["30.85", "24.19", "–"], True)
    same_payer = await row_of(page, await practice.house.claim_of("S1", "P05"))
    assert same_payer[-3:] == ["28.15", "13.15", "0.00"]
    absent = await row_of(page, await practice.house.claim_of("S1", "P08"))
    assert absent[1:3] == ["no show", "–"]
    assert "not billable" in absent[-4]


async def test_the_sums_are_written_out(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    page = said((await biller.get(f"/sessions/{practice.house.sessions['S1']}")).text)
    assert "roster 4 = attended 3 + excused 0 + no-show 1" in page
    assert "attended 3 = billed 3 + held 0 + not billable 0 + in progress 0" in page
    assert "billed 3 = paid 3 + denied 0 + open 0" in page
    held = said((await biller.get(f"/sessions/{practice.house.sessions['S2']}")).text)
    assert "attended 2 = billed 1 + held 1 + not billable 0 + in progress 0" in held


async def test_an_underpaid_claim_is_marked_with_what_is_short(practice: Practice) -> None:
    # P17: 22.10 allowed where the contract says 28.15.
    biller = await practice.signed_in("biller")
    page = (await biller.get(f"/sessions/{practice.house.sessions['S3']}")).text
    cells = await row_of(page, await practice.house.claim_of("S3", "P17"))
    assert cells[-3] == "22.10 short 6.05"


async def test_the_list_pages_filters_and_says_how_complete_it_is(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    everything = (await biller.get("/sessions")).text
    for session_id in practice.house.sessions.values():
        assert f"/sessions/{session_id}" in everything
    assert "3 of 3, complete as of" in said(everything)
    one_day = (await biller.get("/sessions?first=2026-02-05&last=2026-02-05")).text
    assert practice.house.sessions["S2"] in one_day
    assert "1 of 1, complete as of" in said(one_day)
    assert "no such session" in (await biller.get("/sessions?first=2027-01-01")).text
    assert "no such session" in (await biller.get("/sessions?number=2")).text
    for bad in ("stage=shut", "sort=id;--", "first=yesterday"):
        assert (await biller.get(f"/sessions?{bad}")).status_code == 422


async def test_one_sees_only_the_sessions_of_ones_own(practice: Practice) -> None:
    await practice.let_in(Role.BILLER, name="elsewhere", locations=("no-such-place",))
    browser = await practice.signed_in("elsewhere")
    assert "no such session" in (await browser.get("/sessions")).text
    session_id = practice.house.sessions["S1"]
    assert (await browser.get(f"/sessions/{session_id}")).status_code == 404
    await browser.get("/sessions")
    assert (await browser.post(f"/sessions/{session_id}/reveal")).status_code == 404


async def test_names_are_masked_until_somebody_looks_and_each_is_noted(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    session_id = practice.house.sessions["S3"]
    number = await practice.house.claim_of("S3", "P21")
    masked = (await biller.get(f"/sessions/{session_id}")).text
    shown = (await biller.post(f"/sessions/{session_id}/reveal")).text
    name = (await row_of(shown, number))[0]
    assert len(name.split()) == 2
    assert name not in masked
    async with practice.house.database.reading() as reading:
        noted = [entry.actor for entry in await audit.entries(reading, number)
                 if entry.action == "reveal_patient"]  # fmt: skip
    assert noted == ["biller"]


async def test_a_sum_that_does_not_come_out_is_named(practice: Practice) -> None:
    """Somebody of whom nobody has said whether they came, though attendance is recorded."""
    number = await practice.house.claim_of("S3", "P23")
    lost = update(participant).where(participant.c.claim_number == number)
    async with practice.house.database.transaction() as tx:
        known = await tx.scalar(
            participant.select()
            .with_only_columns(participant.c.attendance)
            .where(participant.c.claim_number == number)
        )
        await tx.execute(lost.values(attendance=None))
    biller = await practice.signed_in("biller")
    page = said((await biller.get(f"/sessions/{practice.house.sessions['S3']}")).text)
    listed = said((await biller.get("/sessions")).text)
    async with practice.house.database.transaction() as tx:
        await tx.execute(lost.values(attendance=known))
    assert "roster 3 = attended 2 + excused 0 + no-show 0: does not come out" in page
    assert "no: roster" in listed


@pytest.mark.parametrize(
    ("changes", "off"),
    [
        ({}, ()),
        ({"no_show": 1}, ("roster",)),
        ({"held": 0}, ("attended",)),
        ({"open": 2}, ("billed",)),
        ({"recorded": False, "attended": 0, "billed": 0, "held": 0, "paid": 0, "denied": 0,
          "open": 0, "roster": 8}, ()),
    ],
)  # fmt: skip
async def test_each_equation_is_checked(changes: dict[str, int], off: tuple[str, ...]) -> None:
    whole = {
        "roster": 9, "attended": 8, "excused": 1, "no_show": 0, "recorded": True, "billed": 6,
        "held": 1, "not_billable": 1, "in_progress": 0, "paid": 4, "denied": 1, "open": 1,
    }  # fmt: skip
    if "recorded" in changes:
        whole |= {"excused": 0, "not_billable": 0}
    assert Balance(**{**whole, **changes}).off == off


async def test_the_binder_of_a_session_is_in_the_log_of_each_claim(practice: Practice) -> None:
    session = practice.house.sessions["S3"]
    viewer = await practice.signed_in("viewer")
    await viewer.get(f"/sessions/{session}")
    assert (await viewer.post(f"/sessions/{session}/binder")).status_code == 403
    supervisor = await practice.signed_in("supervisor")
    assert "audit binder" in (await supervisor.get(f"/sessions/{session}")).text
    answer = await supervisor.post(f"/sessions/{session}/binder")
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
    for patient in ("P17", "P21", "P23"):
        number = await practice.house.claim_of("S3", patient)
        async with practice.house.database.reading() as reading:
            last = (await audit.entries(reading, number))[-1]
        assert (last.actor, last.action) == ("supervisor", "binder_printed")
    assert (await supervisor.post("/sessions/none/binder")).status_code == 404
