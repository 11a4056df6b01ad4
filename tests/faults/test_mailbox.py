"""What the mailbox may do: show everything again, never show something, speak of several sets."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from activities import steps
from groupclaim import x12
from groupclaim.clearinghouse.port import MailboxFile
from groupclaim.lifecycle.events import Acknowledged
from tests.activities.house import House
from tests.activities.test_inbound import arrives, envelope
from tests.activities.test_sample_practice import differences, run_to_the_end

BOOKS = (
    "SELECT key, debit, credit, cents FROM transfer",
    "SELECT trace, state FROM remittance",
    "SELECT kind, batch_id, claim_number, version, accepted, codes FROM acknowledgment",
    "SELECT claim_number, stage, reason, version FROM claim",
)


async def books(house: House) -> list[list[str]]:
    return [sorted(repr(tuple(row)) for row in await house.rows(text(query))) for query in BOOKS]


async def test_all_that_ever_lay_in_the_mailbox_comes_again_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """There is no cursor to lose: the mailbox is listed whole each time. Here what was fetched and
    acknowledged is forgotten too, and every file is there again under another id."""
    async with House(tmp_path) as house:
        await run_to_the_end(house)
        before = await books(house)
        contents = {
            f"again-{place}": base64.b64decode(entry["body"])
            for place, entry in enumerate(house.wire())
            if entry["channel"] == "mailbox" and entry["direction"] == "sent"
        }
        assert len(contents) > 10
        async with house.database.transaction() as tx:
            await tx.execute(text("DELETE FROM mailbox_item"))
        house.switchboard.started.clear()  # the engine has forgotten as well

        async def listed() -> tuple[MailboxFile, ...]:
            return tuple(
                MailboxFile(
                    id=name,
                    name=name,
                    size=len(content),
                    sha256=sha256(content).hexdigest(),
                    created_at=datetime.fromisoformat("2026-02-03T00:00:00+00:00"),
                )
                for name, content in contents.items()
            )

        async def download(file: MailboxFile) -> bytes:
            return contents[file.id]

        async def acknowledge(file_id: str) -> None:
            contents.pop(file_id, None)

        for name, method in (
            ("list_mailbox", listed),
            ("download", download),
            ("acknowledge", acknowledge),
        ):
            monkeypatch.setattr(house.clearinghouse, name, method)
        record_property("tries", len(contents))
        await house.poll()
        assert contents == {}
        after = await books(house)
        # The same files again give copies of their payments' rows, each named a duplicate.
        states = [row for row in after[1] if row not in before[1]]
        assert all("duplicate" in row for row in states)
        record_property("doubled", len(after[0]) - len(before[0]))
        assert (after[0], after[2], after[3]) == (before[0], before[2], before[3])
        assert await differences(house) == []


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P05", "P08")}) as made:
        await made.until_sent()
        yield made


@pytest.mark.parametrize("ours", ["A", "R"])
async def test_of_three_sets_in_one_999_only_ours_counts(house: House, ours: str) -> None:
    other = "R" if ours == "A" else "A"
    sets = tuple(
        x12.TransactionAcknowledgment("837", number, status)
        for number, status in (("0007", other), ("0001", ours), ("0008", other))
    )
    accepted = sum(item.status == "A" for item in sets)
    content = x12.build_999(
        envelope(1),
        (
            x12.GroupAcknowledgment(
                "HC",
                "1",
                "P",
                sets,
                included=3,
                received=3,
                accepted=accepted,
                version="005010X222A1",
            ),
        ),
        1,
    )
    await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, await arrives(house, content))
    told = [what for _, _, what in house.switchboard.signals if isinstance(what, Acknowledged)]
    assert len(told) == 2
    assert {event.accepted for event in told} == {ours == "A"}
    await house.settle()
    rows = await house.rows(text("SELECT standing, reason FROM participant_standing"))
    assert sum(row.reason == "REJECTED" for row in rows) == (2 if ours == "R" else 0)
