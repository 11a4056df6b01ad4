"""Roster files: what is read, what is refused, and that no cell is ever repeated in a text."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Any

import pytest
from openpyxl import Workbook

from groupclaim.model import roster_file
from groupclaim.model.base import InputRefused
from groupclaim.model.roster_file import OnFile, RosterFile, read_roster

KNOWN = OnFile(
    zones={"L1": "America/Chicago", "L2": "America/New_York"},
    clinician=lambda ref: ref in ("C1", "C2"),
    patient=lambda ref: ref.startswith("P"),
)
HEADER = "session,patient,clinician,location,starts,ends"
FIRST = "S1,P1,C1,L1,2026-02-03 17:00,2026-02-03 18:00"


def rows(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *lines)).encode()


def told(file: RosterFile) -> list[str]:
    return [str(problem) for problem in file.problems]


def excel(*lines: tuple[Any, ...], header: str = HEADER) -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.append(header.split(","))
    for line in lines:
        sheet.append(line)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def packed(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return out.getvalue()


def test_rows_of_one_session_become_its_roster() -> None:
    file = read_roster(
        rows(FIRST, "S1,P2,,,,", "S2,P1,C2,L2,2/4/2026 5:00 PM,2/4/2026 18:15"), KNOWN
    )
    assert told(file) == []
    first, second = file.sessions
    assert (first.ref, first.roster, first.mode) == ("S1", ("P1", "P2"), "in_person")
    assert first.starts_at == datetime.fromisoformat("2026-02-03T17:00:00-06:00")
    assert second.ends_at == datetime.fromisoformat("2026-02-04T18:15:00-05:00")
    assert [item.row for item in file.rows] == [2, 3, 4]


def test_every_column_is_taken_over() -> None:
    header = ",".join(roster_file.COLUMNS)
    line = (
        "S1,P1,C1,L1,2026-02-03T17:00:00-06:00,2026-02-03T18:00:00-06:00,mixed,Grief,psychotherapy,"
        "peer,2,99051,yes,audio_only,home,tx,YES,y"
    )
    (session,) = read_roster(rows(line, "S1,P2" + "," * 16, header=header), KNOWN).sessions
    assert (session.topic, session.led_by, session.units) == ("Grief", "peer", 2)
    assert (session.after_hours, session.part2_programme) == ("99051", True)
    assert session.interactive_complexity == ("P1",)
    (remote,) = session.remote
    assert (remote.patient, remote.medium, remote.place) == ("P1", "audio_only", "home")
    assert (remote.state, remote.consented) == ("TX", True)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_order_separators_marks_and_line_ends_of_spreadsheets(separator: str) -> None:
    names = ["Ends", " starts ", "LOCATION", "clinician", "patient", "session", "topic"]
    cells = ["2026-02-03 18:00", "2026-02-03 17:00", "L1", "C1", "P1", "S1", '"one\r\ntwo, three"']
    again = [*cells[:4], "P2", *cells[5:]]
    text = "\r\n".join(separator.join(line) for line in (names, cells, [""] * 7, again))
    file = read_roster(b"\xef\xbb\xbf" + text.encode(), KNOWN)
    assert told(file) == []
    (session,) = file.sessions
    assert (session.roster, session.topic) == (("P1", "P2"), "one\r\ntwo, three")
    assert [item.row for item in file.rows] == [2, 4]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("S1,Z9,C1,L1,2026-02-03 17:00,2026-02-03 18:00", "row 3, patient: no such patient"),
        ("S1,,,,,", "row 3, patient: is empty"),
        (",P2,,,,", "row 3, session: is empty"),
        ("S1,P1,,,,", "row 3, patient: stands in row 2"),
        ("S1,P2,C2,,,", "row 3, clinician: not as in row 2"),
        ("S2,P2,C9,L1,2026-02-03 19:00,2026-02-03 20:00", "row 3, clinician: no such clinician"),
        ("S2,P2,C1,L9,2026-02-03 19:00,2026-02-03 20:00", "row 3, location: no such location"),
        ("S2,P2,C1,L1,,2026-02-03 20:00", "row 3, starts: is empty in every row"),
        ("S2,P2,C1,L1,tomorrow,2026-02-03 20:00", "row 3, starts: not a date and time"),
        ("S2,P2,C1,L1,2026-02-03,2026-02-03 20:00", "row 3, starts: not a date and time"),
        ("S2,P2,C1,L1,2026-02-03 19:00,2026-02-03 19:00", "row 3, session: ends_at: not after"),
        ("S2,P2,C1,L1,2026-03-08 02:30,2026-03-08 04:00", "row 3, starts: does not exist"),
        ("S2,P2,C1,L1,2026-11-01 01:30,2026-11-01 04:00", "row 3, starts: comes twice"),
        ("S1,P2,,,,,Jane Doe", "row 3, column 7: a cell without a heading"),
    ],
)
def test_a_wrong_row_is_named_and_keeps_its_session_back(line: str, problem: str) -> None:
    file = read_roster(rows(FIRST, line), KNOWN)
    (only,) = told(file)
    assert only.startswith(problem)
    spoilt = line.partition(",")[0]
    assert [item.ref for item in file.sessions] == ([] if spoilt == "S1" else ["S1"])


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("mode", "by phone", "mode: one of in_person, mixed, telehealth"),
        ("mode", "telehealth", "medium: needed for each patient"),
        ("medium", "audio_video", "medium: given although the session is in person"),
        ("place", "home", "place: given without a medium"),
        ("activity", "family_psychotherapy", "activity: one of"),
        ("led_by", "nobody", "led_by: one of"),
        ("units", "two", "units: a whole number"),
        ("units", "99", "units: Input should be less than"),
        ("after_hours", "99999", "after_hours: one of"),
        ("part2_programme", "perhaps", "part2_programme: yes or no"),
    ],
)
def test_a_cell_that_its_column_does_not_take(column: str, cell: str, problem: str) -> None:
    file = read_roster(rows(f"{FIRST},{cell}", header=f"{HEADER},{column}"), KNOWN)
    assert any(item.startswith(f"row 2, {problem}") for item in told(file))
    assert file.sessions == ()
    assert read_roster(rows(f"{FIRST},", header=f"{HEADER},{column}"), KNOWN).problems == ()


def test_all_problems_are_told_at_once_and_no_cell_is_repeated() -> None:
    secret = "=HYPERLINK(Dorothy Gale)"
    lines = [f"{secret},{secret},{secret},{secret},{secret},{secret},{secret}"] * 3
    file = read_roster(rows(*lines), KNOWN)
    assert len(file.problems) >= 9
    assert "Dorothy" not in " ".join(told(file))
    with pytest.raises(InputRefused) as refused:
        read_roster(rows(FIRST, header=f"{HEADER},{secret}"), KNOWN)
    assert "Dorothy" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no row"),
        (b"\n \n", "holds no row"),
        (rows(FIRST, header="session,patient"), "clinician is missing"),
        (rows(FIRST, header=f"{HEADER},nickname"), "column 7: no such column"),
        (rows(FIRST, header=f"{HEADER},Starts"), "starts stands there twice"),
        (rows('S1,"P1'), "a quote that is not closed"),
        (rows(FIRST).decode().encode("utf-16"), "UTF-8"),
        (rows(FIRST) + b"\0", "zero bytes"),
        (b"PK\x03\x04 nothing", "not a readable Excel file"),
        (packed(note_xml=b"<x/>"), "not a readable Excel file"),
        (packed(a_xml=b"<!DOCTYPE x [<!ENTITY y 'z'>]><x/>"), "declarations"),
        (packed(sheet1=b"<!DOCTYPE x [<!ENTITY y 'z'>]><x/>"), "declarations"),
        (packed(a_xml="<!DOCTYPE x [<!ENTITY y 'z'>]><x/>".encode("utf-16")), "declarations"),
        (packed(a_xml="<!DOCTYPE x [<!ENTITY y 'z'>]><x/>".encode("utf-16-be")), "declarations"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        read_roster(content, KNOWN)


def test_a_file_may_not_be_too_large_packed_or_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(xl__sheet_xml=b" " * (roster_file.MOST_BYTES_UNPACKED + 1))
    assert len(bomb) < 100_000
    with pytest.raises(InputRefused, match="unpacks to more than 50 MB"):
        read_roster(bomb, KNOWN)
    with pytest.raises(InputRefused, match="larger than 5 MB"):
        read_roster(b"x" * (roster_file.MOST_BYTES + 1), KNOWN)
    monkeypatch.setattr(roster_file, "MOST_ROWS", 2)
    assert len(read_roster(rows(FIRST, "S1,P2,,,,"), KNOWN).rows) == 2
    for large in (rows(FIRST, "S1,P2,,,,", "S1,P3,,,,"), excel(*[("S1", "P1")] * 3)):
        with pytest.raises(InputRefused, match="more than 2 rows"):
            read_roster(large, KNOWN)


def test_an_excel_file_goes_the_same_way() -> None:
    starts, ends = datetime(2026, 2, 3, 17), datetime(2026, 2, 3, 18)  # noqa: DTZ001
    known = OnFile(zones={"7": "America/Chicago"}, clinician=lambda ref: ref == "C1",
                   patient=lambda ref: ref in ("12", "P2"))  # fmt: skip
    file = read_roster(excel(("S1", 12, "C1", 7.0, starts, ends), ("S1", "P2")), known)
    assert told(file) == []
    (session,) = file.sessions
    assert (session.roster, session.location) == (("12", "P2"), "7")
    assert session.starts_at == datetime.fromisoformat("2026-02-03T17:00:00-06:00")
    wrong = read_roster(excel(("S1", "nobody", "C1", "7", starts, ends)), known)
    assert told(wrong) == ["row 2, patient: no such patient on file"]
    with pytest.raises(InputRefused, match="row 2, column 2: a formula"):
        read_roster(excel(("S1", "=A1", "C1", "7", starts, ends)), known)


def test_a_lying_excel_part_is_not_unpacked_beyond_its_word() -> None:
    """A part whose declared size is false fails; it is never read further than that."""
    good = excel(("S1", "P1"))
    with zipfile.ZipFile(io.BytesIO(good)) as package:
        part = next(item for item in package.infolist() if item.filename.endswith("sheet1.xml"))
    size = part.file_size.to_bytes(4, "little")
    assert good.count(size) >= 1
    lying = good.replace(size, (10).to_bytes(4, "little"))
    with pytest.raises(InputRefused, match="not a readable Excel file"):
        read_roster(lying, KNOWN)


def test_an_excel_file_damaged_anywhere_is_refused_or_read() -> None:
    """Each tenth byte in turn: what cannot be unpacked is told like what is no Excel file."""
    good = excel(("S1", "P1"))
    refused = 0
    for place in range(4, len(good), 10):
        damaged = bytearray(good)
        damaged[place] ^= 0xFF
        try:
            read_roster(bytes(damaged), KNOWN)
        except InputRefused:
            refused += 1
    assert refused > 100
