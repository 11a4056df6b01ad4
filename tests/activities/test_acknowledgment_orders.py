"""Acknowledgments come in any order, twice, or late: the same state, whatever came first."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from activities import steps
from groupclaim import x12
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.intake import PracticeFile
from groupclaim.store import batches, files, practice
from tests.activities.house import SAMPLES, START, House

PATIENTS = ("P01", "P02", "P04")


@dataclass(frozen=True)
class Kept:
    database: sqlite3.Connection
    states: dict[str, ClaimState]


class Scene:
    """Three batches of one claim each, all taken by the clearinghouse and not yet answered."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.batches: list[batches.Batch] = []
        self.sent: list[batches.BatchClaim] = []

    async def send_all(self) -> None:
        house = self.house
        await house.open_sessions()
        for item in house.happenings():
            if item["kind"] not in ("attendance", "note_signed"):
                continue
            await house.move_to(datetime.fromisoformat(item["at"]))
            await house.from_outside(item)
            if item["kind"] == "note_signed":
                cut = await house.cut(item["patient"])
                assert cut is not None
                await house.send(cut)
                async with house.database.reading() as reading:
                    self.batches.append(await batches.read_batch(reading, cut.batch_id))
                    self.sent += await batches.batch_claims(reading, cut.batch_id)

    def kept(self) -> Kept:
        """Everything as it is now."""
        copy = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self._path)) as database:
            database.backup(copy)
        return Kept(copy, dict(self.house.states))

    def again(self, kept: Kept) -> None:
        """As it was then."""
        with closing(sqlite3.connect(self._path)) as database:
            kept.database.backup(database)
        self.house.states = dict(kept.states)

    @property
    def _path(self) -> Path:
        return self.house.log_path.with_name("groupclaim.db")

    async def arrives(self, content: bytes) -> None:
        async with self.house.database.transaction() as tx:
            digest = await files.keep_file(
                tx, self.house.connection_id, "inbound", "999", "x.edi", content, START
            )
        await self.house.take_in(
            steps.FileRef(digest=digest, connection_id=self.house.connection_id)
        )
        await self.house.settle()

    async def outcome(self) -> dict[str, Any]:
        """Everything that the answers may change, but for the order in which rows were written."""

        async def rows(query: str) -> list[tuple[Any, ...]]:
            return sorted((tuple(row) for row in await self.house.rows(text(query))), key=repr)

        return {
            "states": {
                number: state.model_dump(exclude={"seen", "sequence"})
                for number, state in self.house.states.items()
            },
            "kept": await rows(
                "SELECT kind, accepted, batch_id, claim_number, version, codes, "
                "payer_claim_number FROM acknowledgment"
            ),
            "standing": await rows("SELECT * FROM participant_standing"),
            "money": await rows("SELECT * FROM claim_money"),
            "batches": await rows("SELECT id, state, answer FROM batch"),
            "units": await rows("SELECT authorization_id, state FROM authorization_use"),
            "waking": await rows("SELECT workflow_id, due_at FROM wakeup"),
            "work": await rows("SELECT subject, code, state FROM work_item"),
        }

    def state(self, position: int) -> ClaimState:
        return self.house.states[self.sent[position].claim_number]

    # --- what the clearinghouse and the payers write

    def ta1(self) -> bytes:
        return x12.build_ta1(
            envelope(1),
            tuple(
                x12.InterchangeAcknowledgment(
                    batch.interchange_control, "260204", "0100", "A", "000"
                )
                for batch in self.batches
            ),
        )

    def x999(self, *statuses: str) -> bytes:
        """One 999 about all three transaction sets."""
        return x12.build_999(
            envelope(2),
            tuple(
                x12.GroupAcknowledgment(
                    "HC",
                    batch.group_control,
                    status,
                    (x12.TransactionAcknowledgment("837", batch.transaction_control, status),),
                    included=1,
                    received=1,
                    accepted=int(status == "A"),
                    version="005010X222A1",
                )
                for batch, status in zip(self.batches, statuses, strict=True)
            ),
            1,
        )

    def x277ca(self, number: int, name: str, *words: tuple[int, str, str]) -> bytes:
        """What somebody says of claims; the payer's number comes with its acceptance."""
        said = tuple(
            x12.ClaimAcknowledgment(
                self.sent[position].control_number,
                category in ("A1", "A2"),
                (x12.Status(category, code),),
                6000,
                payer_claim_number=f"ICN{position}" if category == "A2" else "",
            )
            for position, category, code in words
        )
        return x12.build_277ca(
            envelope(number),
            x12.ClaimAcknowledgmentReport(
                reference=f"R{number}",
                source=x12.Party(name, "SIMMB", qualifier="PI"),
                receiver=x12.Party("Practice", "MAKEBELIEVE01"),
                batch_reference=self.batches[words[0][0]].batch_id,
                providers=(
                    x12.ProviderAcknowledgment(
                        x12.Party("Practice", "1999900107", qualifier="XX"), said
                    ),
                ),
                statuses=(),
                accepted=True,
            ),
            1,
        )

    def answers(self) -> list[bytes]:
        """The files are taken; of three transaction sets the second is rejected. The clearinghouse
        passes the first claim on and says of the third that it is accepted; the payer takes the
        first and refuses the third."""
        return [
            self.ta1(),
            self.x999("A", "R", "A"),
            self.x277ca(3, "Clearinghouse", (0, "A1", "19"), (2, "A2", "20")),
            self.x277ca(4, "Payer", (0, "A2", "20")),
            self.x277ca(5, "Payer", (2, "A8", "496")),
        ]


def envelope(number: int) -> x12.Envelope:
    return x12.Envelope(
        sender_id="SIMCLEAR01",
        receiver_id="MAKEBELIEVE01",
        interchange_control_number=number,
        group_control_number=number,
        at=datetime(2026, 2, 5, tzinfo=UTC),
        test=True,
    )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with House(tmp_path, {"S1": PATIENTS}) as house:
        made = Scene(house)
        await made.send_all()
        yield made


def is_as_it_must_be(scene: Scene) -> None:
    taken, rejected_by_999, rejected_by_277 = (scene.state(place) for place in range(3))
    assert (taken.stage.value, taken.hold) == ("accepted", None)
    assert rejected_by_999.hold is not None
    assert (rejected_by_999.hold.code, rejected_by_999.cause) == ("REJECTED", "999:R")
    assert rejected_by_277.hold is not None
    assert (rejected_by_277.hold.code, rejected_by_277.cause) == ("REJECTED", "277CA:A8:496")


async def test_every_order_of_arrival_ends_in_the_same_state(scene: Scene) -> None:
    """By induction: for every set of answers, whichever came last makes no difference; so no order
    of them does. For five answers that is 80 arrivals instead of 120 orders of five."""
    answers = scene.answers()
    known: dict[frozenset[int], tuple[Kept, dict[str, Any]]] = {
        frozenset(): (scene.kept(), await scene.outcome())
    }
    for size in range(1, len(answers) + 1):
        for chosen in map(frozenset, combinations(range(len(answers)), size)):
            for last in sorted(chosen):
                scene.again(known[chosen - {last}][0])
                await scene.arrives(answers[last])
                outcome = await scene.outcome()
                if chosen not in known:
                    known[chosen] = scene.kept(), outcome
                assert outcome == known[chosen][1], f"{sorted(chosen)}, {last} last"
    is_as_it_must_be(scene)
    for twice in answers:  # the same bytes once more
        await scene.arrives(twice)
    assert await scene.outcome() == outcome


async def alerts(scene: Scene, position: int) -> list[dict[str, Any]]:
    found = await scene.house.rows(
        text("SELECT claim_number, detail FROM claim_event WHERE kind = 'alert' ORDER BY id")
    )
    return [
        json.loads(row.detail) if isinstance(row.detail, str) else row.detail
        for row in found
        if row.claim_number == scene.sent[position].claim_number
    ]


async def wait_until(scene: Scene, end: datetime) -> None:
    """Let time pass, waking everybody at the moment that they wait for."""
    while (due := await scene.house.next_wakeup()) is not None and due <= end:
        await scene.house.move_to(max(due, await scene.house.clock.now()))
        await scene.house.wake(await scene.house.clock.now())


async def test_silence_is_told_of_before_it_is_late_and_late_answers_still_count(
    scene: Scene,
) -> None:
    sent_at = scene.batches[0].sent_at
    assert sent_at is not None
    await wait_until(scene, sent_at + timedelta(hours=26))
    told = [alert for alert in await alerts(scene, 0) if "batch" in alert]
    # TA1 after 4 hours, the 999 after 24: people hear of it after 4, 18 (three quarters) and 24.
    by = (sent_at + timedelta(hours=24)).timestamp()
    assert [(one.get("expected"), one.get("missing"), one["level"]) for one in told] == [
        ("999", "TA1", 0),
        ("999", None, 0),
        (None, "999", 3),
    ]
    assert datetime.fromisoformat(told[1]["by"]).timestamp() == by
    for content in reversed(scene.answers()):
        await scene.arrives(content)
    is_as_it_must_be(scene)


async def test_a_missing_277ca_is_told_of_before_it_is_late(scene: Scene) -> None:
    await scene.arrives(scene.x999("A", "A", "A"))
    state = scene.state(0)
    assert state.stage is Stage.ACKNOWLEDGED
    assert state.since is not None
    # Tuesday 3 February, three business days: Friday the 6th at the same hour; told of at three
    # quarters of these 72 hours.
    due = state.since + timedelta(hours=72)
    assert state.due_at == state.since + timedelta(hours=54)
    await wait_until(scene, state.since + timedelta(hours=54))
    assert [one["status"] for one in await alerts(scene, 0) if "status" in one] == ["expected"]
    assert scene.state(0).due_at == due
    await wait_until(scene, due)
    assert [one["status"] for one in await alerts(scene, 0) if "status" in one] == [
        "expected",
        "late",
    ]


async def test_a_connection_may_say_itself_when_it_answers(scene: Scene) -> None:
    async with scene.house.quietly() as tx:
        data = json.loads((SAMPLES / "practice.json").read_text())
        (line,) = data["connections"]
        line |= {"hours_to_ta1": 2, "hours_to_999": 12, "hours_to_277ca": 40}
        await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))
    await scene.arrives(scene.x999("A", "A", "A"))
    state = scene.state(0)
    assert state.since is not None
    assert state.due_at == state.since + timedelta(hours=30)
