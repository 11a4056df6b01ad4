"""A payer that asks for documents (CO-252) reads the replacement that announces them, and pays.

P06 (Placebo): 60.00 charged, 28.15 by contract, a copay of 15.00 taken at the session; the payer
pays 13.15 and takes 31.85 off.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from activities import steps
from groupclaim import x12
from groupclaim.lifecycle.state import Stage
from groupclaim.store import ledger
from tests.activities import test_voids as taken
from tests.activities.house import SAMPLES, House
from tests.activities.test_denial import announced, choose, plan, ref_of, sent_again


def asking(*, stands: bool) -> bytes:
    """The payers of the sample; Placebo wants documents, and with ``stands`` is content with
    none."""
    facts = json.loads((SAMPLES / "payers.json").read_text())
    (placebo,) = [one for one in facts["payers"] if one["payer_id"] == "SIMPLC"]
    placebo["denials"] = [
        {
            "member_id": "PLC900000106", "service_date": "2026-02-03", "reason": "252",
            "stands": stands, "asks_documents": True,
        }
    ]  # fmt: skip
    return json.dumps(facts).encode()


@pytest.mark.parametrize("stands", [False, True])
async def test_documents_announced_by_a_replacement_are_read_by_the_payer(
    tmp_path: Path, stands: bool
) -> None:
    rosters = {"S1": ("P04", "P06")}
    async with House(tmp_path, rosters, payers=asking(stands=stands)) as house:
        await house.until_sent()
        claim = await house.claim_of("S1", "P06")
        await taken._until(house, "2026-03-05", lambda: house.states[claim].denial == 1)
        assert (house.states[claim].stage, house.states[claim].cause) == (
            Stage.CORRECTION, "CO-252",
        )  # fmt: skip
        assert (await plan(house, claim)).next == "draft"
        await house.perform(steps.DRAFT_LETTER, await ref_of(claim))
        await choose(house, claim, "approve")
        await house.perform(steps.SEND_LETTER, await ref_of(claim))
        await choose(house, claim, "record_receipt", reference="COUNTER 12")
        await choose(house, claim, "send_again")
        await announced(house, claim)
        (sent,) = (await sent_again(house, claim)).claims
        assert (sent.frequency, sent.attachments) == (
            "7", (x12.Attachment("OZ", "BM", f"{claim}-1-1"),),
        )  # fmt: skip
        day = (await house.clock.now() + timedelta(days=40)).date()
        state = house.states
        await taken._until(
            house, str(day), lambda: state[claim].stage is Stage.CLOSED or state[claim].denial == 2
        )
        async with house.database.reading() as reading:
            left = await ledger.balance(reading, claim)
        if stands:
            # Asked for again: it is denied anew, and that is another denial with its own work.
            assert (state[claim].stage, state[claim].denial) == (Stage.CORRECTION, 2)
            assert (left.payer_open, left.patient_open) == (6000, -1500)
            return
        assert state[claim].stage is Stage.CLOSED
        assert (left.charge, left.payer_open, left.patient_open) == (6000, 0, 0)
        books = await taken._books(house, claim)
        assert (books["clearing"], books["contractual"], books["patient_cash"]) == (
            1315, 3185, 1500,
        )  # fmt: skip
