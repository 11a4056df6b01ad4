"""The notes of a JSON file, as the record system would have shown them at that moment."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from activities.notes import JsonNotes
from groupclaim.model.base import InputRefused

SIGNED_AT = datetime.fromisoformat("2026-02-03T18:20:00-06:00")


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "notes.json"
    path.write_text(json.dumps(content))
    return path


async def test_before_its_signature_a_note_is_unsigned(tmp_path: Path) -> None:
    note = {"topic": "t", "signed_by": "C1", "signed_at": SIGNED_AT.isoformat()}
    notes = JsonNotes(written(tmp_path, {"S1": {"P01": note}}))
    early = await notes.read("S1", "P01", SIGNED_AT - timedelta(minutes=1))
    signed = await notes.read("S1", "P01", SIGNED_AT)
    assert early is not None
    assert signed is not None
    assert (early.signed_by, early.signed_at, early.topic) == (None, None, "t")
    assert signed.signed_at == SIGNED_AT
    assert await notes.read("S1", "P02", SIGNED_AT) is None
    assert await notes.read("S2", "P01", SIGNED_AT) is None


async def test_a_signature_without_an_offset_is_meant_where_the_session_was_held(
    tmp_path: Path,
) -> None:
    note = {"signed_by": "C1", "signed_at": "2026-02-03T18:20:00"}
    notes = JsonNotes(written(tmp_path, {"S1": {"P01": note}}))
    there = SIGNED_AT.astimezone(ZoneInfo("America/Chicago"))
    early = await notes.read("S1", "P01", there - timedelta(minutes=1))
    signed = await notes.read("S1", "P01", there)
    assert early is not None
    assert signed is not None
    assert (early.signed_at, signed.signed_at) == (None, SIGNED_AT)


def test_every_fault_of_the_file_is_named_without_its_content(tmp_path: Path) -> None:
    content = {
        "S1": {"P01": {"attended": "secret"}},
        "S2": [],
        "S3": {"P02": {"unknown": "secret"}},
    }
    with pytest.raises(InputRefused) as caught:
        JsonNotes(written(tmp_path, content))
    assert len(caught.value.problems) == 3
    assert "secret" not in str(caught.value)
    assert "sessions[0].notes[0].attended" in str(caught.value)


async def test_a_changed_file_is_read_again_and_a_half_written_one_gives_no_answer(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, {"S1": {"P01": {"topic": "first"}}})
    notes = JsonNotes(path)

    async def topic() -> str | None:
        note = await notes.read("S1", "P01", SIGNED_AT)
        return note.topic if note else None

    assert await topic() == "first"
    written(tmp_path, {"S1": {"P01": {"topic": "second"}}})
    assert await topic() == "second"
    path.write_text('{"S1": {"P01": {"topic": "thi')
    for _ in range(2):
        with pytest.raises(OSError, match="no JSON"):
            await topic()
    path.write_text("[" * 200_000)
    with pytest.raises(OSError, match="nested too deep"):
        await topic()
    with pytest.raises(InputRefused, match="nested too deep"):
        JsonNotes(path)
    written(tmp_path, {"S1": {"P01": {"secret": "fourth"}}})
    with pytest.raises(OSError, match=r"sessions\[0\].notes\[0\].secret"):
        await topic()
    written(tmp_path, {"S1": {"P01": {"topic": "fifth"}}})
    assert await topic() == "fifth"
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        await topic()
