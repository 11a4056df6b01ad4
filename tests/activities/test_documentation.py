"""The documentation check beside the rest of the room: who is held, told and audited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from activities import steps
from groupclaim.lifecycle.state import Stage
from groupclaim.model.session import ProgressNote
from groupclaim.store import audit, claims
from tests.activities.house import House
from tests.activities.test_claim_steps import after_the_session

LATER = datetime.fromisoformat("2026-03-01T12:00:00-06:00")


class Notes:
    """The record system of the house, with what a test writes over it, by session and patient."""

    def __init__(self, house: House) -> None:
        self._notes = house.outside.notes
        self.written: dict[tuple[str, str], dict[str, Any]] = {}

    async def read(self, session: str, patient: str, at: datetime) -> ProgressNote | None:
        found = await self._notes.read(session, patient, at)
        if found is None:
            return None
        return found.model_copy(update=self.written.get((session, patient), {}))

    async def copy(self, session: str, patient: str, *to: tuple[str, str]) -> None:
        """Write the individual section of one note into others."""
        found = await self.read(session, patient, LATER)
        assert found is not None
        section = {
            field: getattr(found, field) for field in ("participation", "progress", "necessity")
        }
        for other in to:
            self.written[other] = section


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P06", "P07"), "S4": ("P01", "P09")}) as made:
        yield made


@pytest.fixture
def notes(house: House) -> Notes:
    made = Notes(house)
    object.__setattr__(house.outside, "notes", made)
    return made


async def found_rules(house: House, claim: str) -> list[str]:
    async with house.database.reading() as reading:
        found = await claims.read_findings(reading, claim, steps.CHECK_DOCUMENTATION.name)
    return [item.rule for item in found]


def hold_of(house: House, claim: str) -> str | None:
    hold = house.states[claim].hold
    return hold.code if hold else None


async def test_a_later_copy_is_held_and_the_earlier_claim_reviewed(
    house: House, notes: Notes
) -> None:
    await notes.copy("S1", "P01", ("S1", "P06"))
    first, copy, other = [await house.claim_of("S1", ref) for ref in ("P01", "P06", "P07")]
    await after_the_session(house)
    assert (hold_of(house, first), hold_of(house, copy), hold_of(house, other)) == (
        "CLONE_REVIEW",
        "CLONED_NOTE",
        None,
    )
    assert house.states[copy].stage is Stage.DOCUMENTATION
    assert await found_rules(house, copy) == ["cloned_note"]
    assert await found_rules(house, first) == []
    # Checked again, the same text tells nobody a second time.
    seen = house.states[first].seen
    step = steps.ClaimStep(claim_number=copy, sequence=9)
    await house.perform(steps.CHECK_DOCUMENTATION, step)
    await house.settle()
    assert house.states[first].seen == seen


async def test_the_same_text_as_weeks_ago_is_held(house: House, notes: Notes) -> None:
    await notes.copy("S1", "P01", ("S4", "P01"))
    await after_the_session(house)
    assert hold_of(house, await house.claim_of("S4", "P01")) == "CLONED_NOTE"
    assert hold_of(house, await house.claim_of("S1", "P01")) is None
    assert hold_of(house, await house.claim_of("S4", "P09")) is None


async def test_another_member_named_is_held_and_the_name_kept_nowhere(
    house: House, notes: Notes
) -> None:
    text = "Sat beside Sampson and spoke of the rent for the first time this winter."
    notes.written["S1", "P01"] = {"participation": text}
    await after_the_session(house)
    claim = await house.claim_of("S1", "P01")
    assert hold_of(house, claim) == "MEMBER_NAMED"
    async with house.database.reading() as reading:
        (finding,) = await claims.read_findings(reading, claim, steps.CHECK_DOCUMENTATION.name)
    assert "note.participation[11:18]:first_name" in finding.evidence
    assert "Sampson" not in finding.model_dump_json()


async def test_a_text_changed_under_its_signature_is_held_until_signed_again(
    house: House, notes: Notes
) -> None:
    await after_the_session(house)
    claim = await house.claim_of("S1", "P06")
    step = steps.ClaimStep(claim_number=claim, sequence=9)
    assert (await house.perform(steps.CHECK_DOCUMENTATION, step)).held is None
    notes.written["S1", "P06"] = {"progress": "Wrote three more pages and read them to a friend."}
    for _ in range(2):  # looking does not make it the signed text
        checked = await house.perform(steps.CHECK_DOCUMENTATION, step)
        assert checked.held.code == "NOTE_UNSIGNED"
    assert await found_rules(house, claim) == ["note_edited_after_signature"]
    signed = datetime.fromisoformat("2026-02-04T09:30:00-06:00")
    notes.written["S1", "P06"]["signed_at"] = signed
    assert (await house.perform(steps.CHECK_DOCUMENTATION, step)).held is None


async def test_process_notes_are_refused_and_never_compared(house: House, notes: Notes) -> None:
    await notes.copy("S1", "P01", ("S1", "P06"))
    notes.written["S1", "P01"] = {"kind": "psychotherapy"}
    await after_the_session(house)
    assert hold_of(house, await house.claim_of("S1", "P01")) == "PROCESS_NOTE"
    assert hold_of(house, await house.claim_of("S1", "P06")) is None


async def test_every_reading_of_a_note_is_audited_under_its_own_claim(
    house: House, notes: Notes
) -> None:
    await after_the_session(house)
    first, second = [await house.claim_of("S1", ref) for ref in ("P01", "P06")]
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, first)
    details = [entry.detail for entry in entries if entry.action == "read_note"]
    assert {"purpose": "documentation check"} in details
    assert {"purpose": "compared with another note", "for": second} in details
