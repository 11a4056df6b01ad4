"""What is done again after an older copy was restored sends nothing that may have been sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from activities import steps
from activities.recovery import Recovery
from groupclaim import x12
from tests.activities.house import House
from tests.activities.test_authorization_request import ROSTER, Reviewer


def copied(here: Path, to: Path) -> None:
    with closing(sqlite3.connect(here)) as read, closing(sqlite3.connect(to)) as written:
        read.backup(written)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_request_for_authorization_of_the_lost_hour_is_asked_after_and_not_sent_again(
    tmp_path: Path, arrived: bool
) -> None:
    """One that arrived and was granted is on file again; of one that the payer does not know it
    stays in doubt until the grace period has passed."""
    async with House(tmp_path, ROSTER) as house:
        payer = Reviewer(house, x12.Decision("A1", "GRANTED7"))
        number = await house.claim_of("S3", "P23")
        step = steps.ClaimStep(claim_number=number, sequence=1)
        await house.perform(steps.CHECK_ELIGIBILITY, step)
        database, copy = tmp_path / "groupclaim.db", tmp_path / "copy.db"
        copied(database, copy)
        asked = step.model_copy(update={"sequence": 2})
        assert (await house.perform(steps.CHECK_AUTHORIZATION, asked)).held is None
        assert len(payer.requests) == 1
        if not arrived:
            payer.requests.clear()
        sent = len(payer.bytes)

        copied(copy, database)
        assert await house.rows(text("SELECT trace FROM authorization_request")) == []
        recovery = Recovery(house.outside, datetime.now(UTC))
        await recovery._run(steps.CHECK_AUTHORIZATION.name, asked)
        await recovery.ask_after_request(asked)
        assert len(payer.bytes) == sent
        assert len(payer.inquiries) == 1
        (request,) = await house.rows(text("SELECT state FROM authorization_request"))
        assert request.state == ("certified" if arrived else "asking")
        uses = await house.rows(text("SELECT claim_number, state FROM authorization_use"))
        assert [tuple(row) for row in uses] == ([(number, "reserved")] if arrived else [])
