"""A claim that was not true, at the console: a note withdrawn, what has to go back and by when, and
that it went back; each by who may.

P04: Texas Medicaid has paid 25.20 of 60.00. The note is withdrawn on 20 February 2026: sixty days
end on Tuesday, 21 April.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from groupclaim.store import ledger, voids
from groupclaim.store.people import Role
from tests.activities.test_remittance import ROSTER, paid, x835
from tests.console.test_acting import acts, brought, page_of
from tests.console.visitor import Practice, practice_at


@pytest.fixture
async def settled(tmp_path: Path) -> AsyncIterator[Practice]:
    """One session of two; P04's claim is paid, P06's with its payer."""
    async with practice_at(tmp_path, ROSTER) as made:
        await made.house.until_sent()
        await made.house.move_to(datetime.fromisoformat("2026-02-20T12:00:00-06:00"))
        number = await made.house.claim_of("S1", "P04")
        await brought(made, x835(paid(number, 2520, ("CO", "45", 3480))))
        yield made


async def test_a_note_is_withdrawn_and_the_payer_s_money_goes_back(settled: Practice) -> None:
    number = await settled.house.claim_of("S1", "P04")
    clinician, biller, supervisor, viewer = [
        await settled.signed_in(name) for name in ("clinician", "biller", "supervisor", "viewer")
    ]
    path = f"/claims/{number}"
    assert "Money of payers that is not due" not in await page_of(supervisor, path)
    assert "The signed note is not valid" not in await page_of(biller, path)
    assert "The signed note is not valid" in await page_of(clinician, path)
    why = "written for another patient"
    refused = await biller.post(f"{path}/note-withdrawn", reason=why, confirmed="yes")
    assert refused.status_code == 403
    assert (await clinician.post(f"{path}/note-withdrawn", reason=" ")).status_code == 422
    shown = await clinician.post(f"{path}/note-withdrawn", reason=why)
    assert shown.status_code == 200
    assert "$25.20" in shown.text or "25.20 paid" in shown.text
    assert settled.house.states[number].stage.value == "closed"  # only shown
    done = await clinician.post(f"{path}/note-withdrawn", reason=why, confirmed="yes")
    assert done.headers["location"] == f"{path}?told=withdrawn"
    state = settled.house.states[number]
    assert state.hold is not None
    assert (state.stage.value, state.hold.code) == ("void", "DOCUMENTATION_CHANGED")
    assert ("clinician", "note_withdrawn") in await acts(settled, number)
    again = await clinician.post(f"{path}/note-withdrawn", reason=why)
    assert again.status_code == 409

    page = await page_of(biller, path)
    assert "Money of payers that is not due" in page
    assert "known on 2026-02-20" in page
    assert "It was sent back to the payer" in page
    assert "It was sent back to the payer" not in await page_of(viewer, path)
    deadlines = await page_of(viewer, "/denials")
    assert "60 days after it was found on 2026-02-20" in deadlines
    calendar = await page_of(viewer, "/denials?view=calendar&month=2026-04")
    assert "21 1 refund" in calendar

    back = f"{path}/overpayment"
    assert (await viewer.post(back, amount="25.20", receipt="C-1")).status_code == 403
    assert (await clinician.post(back, amount="25.20", receipt="C-1")).status_code == 403
    assert (await biller.post(back, amount="1.005", receipt="C-1")).status_code == 422
    part = await supervisor.post(back, amount="25.00", receipt="C-1")
    assert (part.status_code, "25.20 of a payer" in part.text) == (409, True)
    for told in ("returned", "known"):
        booked = await supervisor.post(back, amount="25.20", receipt="C-1")
        assert booked.headers["location"] == f"{path}?told={told}"
    assert (await acts(settled, number)).count(("supervisor", "payer_refund")) == 1
    assert settled.house.states[number].stage.value == "not_billable"
    async with settled.house.database.reading() as reading:
        assert await voids.overpayments(reading) == ()
        assert await ledger.verify(reading) == ()
    assert "receipt C-1" in await page_of(viewer, path)
    assert "60 days after" not in await page_of(viewer, "/denials")


async def test_one_who_sees_another_part_of_the_practice_sees_and_does_nothing(
    settled: Practice,
) -> None:
    number = await settled.house.claim_of("S1", "P04")
    supervisor = await settled.signed_in("supervisor")
    await supervisor.post(
        f"/claims/{number}/note-withdrawn", reason="of another patient", confirmed="yes"
    )
    await settled.let_in(Role.SUPERVISOR, name="elsewhere", locations=("nowhere",))
    other = await settled.signed_in("elsewhere")
    for path in ("note-withdrawn", "overpayment"):
        answer = await other.post(
            f"/claims/{number}/{path}", reason="x", amount="25.20", receipt="C-1", confirmed="yes"
        )
        assert answer.status_code == 404
    assert number not in await page_of(other, "/denials")
