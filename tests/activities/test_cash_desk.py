"""Payers' money as people handle it: a file brought by hand, and what they decide afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from temporalio.client import Client

from activities import steps
from activities.cash_desk import CashDesk
from activities.front_desk import Refused
from activities.paper_remittance import PaperRemittance, as_835
from groupclaim.lifecycle.events import RemittancePosted
from groupclaim.model.base import InputRefused, parse
from groupclaim.store import audit, files, ledger, work
from groupclaim.store.ledger import Account
from tests.activities.house import START, House
from tests.activities.test_remittance import ROSTER, arrives, balance, paid, x835
from workflows import inbound, remittance


class _Worker:
    """Stands for Temporal: carries a started workflow out at once, each id once."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.started: list[str] = []

    async def start_workflow(self, name: str, arg: Any, **options: Any) -> Any:
        if name not in (inbound.NAME, remittance.NAME):
            return await self._house.switchboard.start_workflow(name, arg, **options)
        self.started.append(options["id"])
        if name == inbound.NAME:
            await self._house.take_in(arg)
        else:
            posted = await self._house.perform(steps.POST_REMITTANCE, arg)
            if posted.state == "posted":
                await self._house.perform(steps.ANNOUNCE_REMITTANCE, arg)
        return self

    async def result(self) -> None:
        return None


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        await made.until_sent()
        yield made


@pytest.fixture
def desk(house: House) -> CashDesk:
    return CashDesk(house.database, house.clock, cast(Client, _Worker(house)))


async def waiting(house: House) -> list[tuple[str, str, int]]:
    """What people have to do about money: code, subject, cents."""
    rows = await house.rows(
        text(
            "SELECT code, subject, cents FROM work_item"
            " WHERE kind = 'money' AND state <> 'resolved' ORDER BY subject"
        )
    )
    return [(row.code, row.subject, row.cents) for row in rows]


def told(house: House) -> list[RemittancePosted]:
    return [what for _, _, what in house.switchboard.signals if isinstance(what, RemittancePosted)]


async def test_a_file_is_posted_once_and_says_so(house: House, desk: CashDesk) -> None:
    claim = await house.claim_of("S1", "P04")
    content = x835(paid(claim, 2520, ("CO", "45", 3480)))
    tried = await desk.try_out(content)
    assert [item.state for item in tried.payments] == ["posted"]
    assert await house.rows(text("SELECT id FROM remittance")) == []
    first = await desk.bring(content, "era.835", "R. Lee")
    again = await desk.bring(content, "copy.835", "R. Lee")
    assert (first.new, again.new, first.payments == again.payments) == (True, False, True)
    (standing,) = first.payments
    assert (standing.state, standing.cents) == ("posted", 2520)
    assert (await balance(house, claim)).payer_open == 0
    rows = await house.rows(text("SELECT SUM(cents) AS n FROM transfer WHERE debit = 'deposits'"))
    assert rows[0].n == 2520
    assert {event.key for event in told(house)} == {f"835:{standing.remittance_id}:1"}
    async with house.database.reading() as reading:
        (entry,) = await audit.entries(reading, first.digest)
    assert (entry.actor, entry.action) == ("R. Lee", "remittance_brought")


async def test_a_file_off_by_a_cent_posts_nothing_and_names_it(
    house: House, desk: CashDesk
) -> None:
    claim = await house.claim_of("S1", "P04")
    brought = await desk.bring(
        x835(paid(claim, 2520, ("CO", "45", 3480)), total=2519), "era.835", "R. Lee"
    )
    (standing,) = brought.payments
    assert (standing.state, standing.difference_cents) == ("suspended", -1)
    (difference,) = await desk.differences(standing.remittance_id)
    assert (difference.level, difference.cents) == ("payment", -1)
    assert told(house) == []
    with pytest.raises(Refused, match="whole copy"):
        await desk.accept(standing.remittance_id, by="R. Lee", second="B", reason="small")
    assert await waiting(house) == [
        ("PAYMENT_SUSPENDED", f"suspended/{standing.remittance_id}", 2519)
    ]
    with pytest.raises(
        Refused, match=r"a refund of 25\.19: T\. Poe: is nobody who has been let in"
    ):
        await desk.return_suspended(standing.remittance_id, by="T. Poe", reason="sent back")
    assert await desk.return_suspended(standing.remittance_id, by="R. Lee", reason="sent back")
    assert await waiting(house) == []


async def test_a_whole_copy_ends_what_there_was_to_do(house: House, desk: CashDesk) -> None:
    item = paid(await house.claim_of("S1", "P04"), 2520, ("CO", "45", 3480))
    await desk.bring(x835(item, total=2519), "wrong", "A")
    (second,) = (await desk.bring(x835(item), "right", "A")).payments
    assert len(await waiting(house)) == 2
    await desk.accept(second.remittance_id, by="R. Lee", second=None, reason="corrected")
    assert await waiting(house) == []


async def test_waiting_money_is_not_resolved_by_saying_so(house: House, desk: CashDesk) -> None:
    item = paid(await house.claim_of("S1", "P04"), 2520, ("CO", "45", 3480))
    await desk.bring(x835(item, total=2519), "wrong", "A")
    (row,) = await house.rows(text("SELECT id, revision FROM work_item WHERE kind = 'money'"))
    async with house.database.transaction() as tx:
        with pytest.raises(InputRefused, match="clearing the money"):
            await work.resolve(tx, row.id, "A", row.revision, START)


async def test_what_holds_no_payment_is_refused(desk: CashDesk) -> None:
    for content in (b"", b"no X12 at all", x835()[:40]):
        with pytest.raises(Refused, match="no payment"):
            await desk.bring(content, "x", "R. Lee")


async def test_a_corrected_amount_is_accepted_and_told(house: House, desk: CashDesk) -> None:
    claim = await house.claim_of("S1", "P04")
    item = paid(claim, 2520, ("CO", "45", 3480))
    await desk.bring(x835(item, total=2519), "wrong", "A")
    (second,) = (await desk.bring(x835(item), "right", "A")).payments
    assert second.state == "suspended"
    for _ in range(2):  # cut short after the decision, it is taken again
        done = await desk.accept(second.remittance_id, by="R. Lee", second=None, reason="corrected")
        assert done.state == "posted"
    assert (await balance(house, claim)).payer_open == 0
    assert {event.key for event in told(house)} == {f"835:{second.remittance_id}:1"}


async def test_a_second_payment_of_one_trace_needs_somebody_else(
    house: House, desk: CashDesk
) -> None:
    claims = [await house.claim_of("S1", ref) for ref in ("P04", "P06")]
    await desk.bring(x835(paid(claims[0], 2520, ("CO", "45", 3480))), "one", "A")
    other = x835(paid(claims[1], 1315, ("CO", "45", 3185), ("PR", "3", 1500)))
    (second,) = (await desk.bring(other, "two", "A")).payments
    for by_whom in (None, " r. LEE "):
        with pytest.raises(Refused, match="second person"):
            await desk.accept(
                second.remittance_id, by="R. Lee", second=by_whom, reason="two checks"
            )
    done = await desk.accept(second.remittance_id, by="R. Lee", second="B", reason="two checks")
    assert done.state == "posted"


async def test_unapplied_cash_is_assigned_and_the_claim_told(house: House, desk: CashDesk) -> None:
    claim = await house.claim_of("S1", "P04")
    stranger = replace(
        paid(claim, 2520, ("CO", "45", 3480)), control_number="X", payer_claim_number=""
    )
    (standing,) = (await desk.bring(x835(stranger), "era", "A")).payments
    item = f"{standing.remittance_id}/1"
    assert await waiting(house) == [("UNAPPLIED_CASH", f"unapplied/{item}", 2520)]
    assert await desk.assign(item, claim, by="R. Lee", reason="letter", dry_run=True)
    assert len(await waiting(house)) == 1
    assert (await balance(house, claim)).payer_open == 6000
    assert told(house) == []
    assert await desk.assign(item, claim, by="R. Lee", reason="letter")
    assert not await desk.assign(item, claim, by="R. Lee", reason="letter")
    assert (await balance(house, claim)).payer_open == 0
    assert len({event.key for event in told(house)}) == 1
    await house.settle()
    assert house.states[claim].stage == "closed"
    async with house.database.reading() as reading:
        assert await ledger.unapplied_items(reading) == ()
    assert await waiting(house) == []
    async with house.database.reading() as reading:
        actions = [entry.action for entry in await audit.entries(reading, claim)]
    assert actions.count("unapplied_assigned") == 1


async def test_items_are_named_as_they_are_listed(house: House, desk: CashDesk) -> None:
    for item in ("1", "a/1", "1/plb", "1/2/3", "1/\u0661"):
        with pytest.raises(Refused, match="as `groupclaim unapplied list` shows it"):
            await desk.return_unapplied(item, by="R. Lee", reason="x")
    with pytest.raises(Refused, match="claim's money"):
        await desk.settle("1/1", Account.INTEREST, by="R. Lee", second=None, reason="x")


async def test_a_cleared_file_is_acknowledged_at_the_next_look(
    house: House, desk: CashDesk
) -> None:
    file = await arrives(house, b"ISA*broken BPR*")
    await house.perform(steps.READ_FILE, file)
    async with house.database.transaction() as tx:
        (problem,) = await files.standing_problems(tx)
        await files.record_fetched(tx, house.connection_id, "M1", "x", file.digest, START)
    assert await desk.clear_file(problem.digest[:16], by="R. Lee", reason="typed in by hand")
    assert not await desk.clear_file(problem.digest[:16], by="R. Lee", reason="again")
    async with house.database.reading() as reading:
        assert await files.standing_problems(reading) == ()
        assert await files.is_cleared(reading, file.digest)


def typed(**changes: Any) -> dict[str, Any]:
    line = {
        "code": "90853", "service_date": "2026-02-03", "charge_cents": 6000, "paid_cents": 2520,
        "adjustments": [{"group": "CO", "reason": "45", "cents": 3480}],
    }  # fmt: skip
    claim = {"claim": "GC", "status": "1", "lines": [line]}
    return {
        "payer_name": "PAYER", "payer_id": "SIMTXM", "trace": "4711",
        "payment_date": "2026-02-20", "paid_cents": 2520, "claims": [claim], **changes,
    }  # fmt: skip


async def test_paper_is_posted_like_any_other(house: House, desk: CashDesk) -> None:
    claim = await house.claim_of("S1", "P04")
    content = typed()
    content["claims"][0]["claim"] = claim  # as printed, without the letter of its version
    paper = parse(PaperRemittance, content, "paper")
    made = as_835(paper, "1999900107", "PRACTICE")
    assert made == as_835(paper, "1999900107", "PRACTICE")
    brought = await desk.bring(made, "paper", "A")
    assert [item.state for item in brought.payments] == ["posted"]
    assert not (await desk.bring(made, "paper", "A")).new
    assert (await balance(house, claim)).payer_open == 0


def test_paper_that_does_not_come_out_is_refused_by_each_sum() -> None:
    content = typed(paid_cents=2521)
    content["claims"][0]["lines"][0]["paid_cents"] = 2500
    with pytest.raises(InputRefused) as refused:
        as_835(parse(PaperRemittance, content, "paper"), "1999900107", "PRACTICE")
    assert refused.value.problems == [
        "claims[0].lines[0]: SVC03 = SVC02 - CAS differs by -0.20",
        "claims[0]: CLP04 = CLP03 - CAS of claim and lines differs by -0.20",
        "payment: BPR02 = sum(CLP04) - sum(PLB) differs by 0.21",
    ]
