"""The importers, on excerpts in the layout of the real files: values only, no descriptors."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule, NotPriced
from groupclaim.policy.public_files import IMPORTERS, Imported
from tests.policy.test_fee_schedule import LOCALITIES, NATIONAL

FILES = Path(__file__).parent / "files"
OCTOBER_2025, JULY_2026 = date(2025, 10, 1), date(2026, 7, 1)


def load(kind: str, name: str, into: Path, day: date | None = None) -> Imported:
    return IMPORTERS[kind](FILES / name, into, day)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("own")
    load("pprrvu", "PPRRVU2025_Oct.csv", into)
    load("pprrvu", "PPRRVU2026_Jul_nonQPP.csv", into)
    load("gpci", "GPCI2025.csv", into)
    load("gpci", "GPCI2026.csv", into)
    return into


def only_imported(folder: Path) -> FeeSchedule:
    """The schedule of the folder without the rows that come with groupclaim."""
    tables = folder / "tables"
    for table, sources in {
        "physician_fee_schedule_rvus": ("PPRRVU2025_Oct", "PPRRVU2026_Jul_nonQPP"),
        "conversion_factors": ("PPRRVU2025_Oct", "PPRRVU2026_Jul_nonQPP"),
        "geographic_practice_cost_indices": ("GPCI2025", "GPCI2026", "no adjustment"),
    }.items():
        first, *rows = (tables / f"{table}.csv").read_text().splitlines()
        kept = [row for row in rows if row.endswith(tuple(f",{name}" for name in sources))]
        assert kept
        (tables / f"{table}.csv").write_text("\n".join((first, *kept)) + "\n")
    return FeeSchedule.load(folder)


def test_the_reference_amounts_come_out_of_the_files_to_the_cent(folder: Path) -> None:
    schedule = only_imported(folder)

    def price(
        code: str, locality: str, day: date, facility: bool = False, percent: int = 100
    ) -> str:
        return str(
            schedule.medicare_allowed(code, locality, day, facility=facility, percent=percent)
        )

    for code, in_2025, in_2026, facility_2026 in NATIONAL:
        assert price(code, "US-00", OCTOBER_2025) == in_2025
        assert price(code, "US-00", JULY_2026) == in_2026
        assert price(code, "US-00", JULY_2026, facility=True) == facility_2026
    for locality, in_2025, in_2026, facility_2026, at_75, at_85 in LOCALITIES:
        assert price("90853", locality, OCTOBER_2025) == in_2025
        assert price("90853", locality, JULY_2026) == in_2026
        assert price("90853", locality, JULY_2026, facility=True) == facility_2026
        assert price("90853", locality, JULY_2026, percent=75) == at_75
        assert price("90853", locality, JULY_2026, percent=85) == at_85


def test_an_edition_holds_from_its_quarter_and_not_before(tmp_path: Path) -> None:
    imported = load("pprrvu", "PPRRVU2026_Jul_nonQPP.csv", tmp_path)
    assert imported.effective_from == JULY_2026
    assert imported.rows == {"physician_fee_schedule_rvus": 12, "conversion_factors": 1}
    raised = (FILES / "PPRRVU2026_Jul_nonQPP.csv").read_text().replace("33.4009", "34.0000")
    october = tmp_path / "PPRRVU2026_Oct_nonQPP.csv"
    october.write_text(raised.replace("July Release", "October Release"))
    IMPORTERS["pprrvu"](october, tmp_path, None)
    schedule = FeeSchedule.load(tmp_path)

    def price(day: date) -> str:
        return str(schedule.medicare_allowed("90853", "US-00", day, facility=False, percent=100))

    assert price(date(2026, 2, 3)) == "30.39"  # what comes with groupclaim is still there
    assert price(date(2026, 9, 30)) == "30.39"
    assert price(date(2026, 10, 1)) == "30.94"  # 0.91 x 34
    with pytest.raises(NotPriced, match="2027"):
        price(date(2027, 1, 1))


def test_importing_twice_is_importing_once(tmp_path: Path) -> None:
    load("pprrvu", "PPRRVU2025_Oct.csv", tmp_path)
    table = tmp_path / "tables" / "physician_fee_schedule_rvus.csv"
    once = table.read_text()
    load("pprrvu", "PPRRVU2025_Oct.csv", tmp_path)
    assert table.read_text() == once


def test_no_descriptor_is_kept(tmp_path: Path) -> None:
    text = (FILES / "PPRRVU2025_Oct.csv").read_text().replace("placeholder", "DESCRIPTOR")
    (tmp_path / "PPRRVU.csv").write_text(text)
    IMPORTERS["pprrvu"](tmp_path / "PPRRVU.csv", tmp_path / "own", None)
    for table in (tmp_path / "own" / "tables").iterdir():
        assert "DESCRIPTOR" not in table.read_text()


def test_a_bundled_code_and_a_setting_that_does_not_apply_are_not_priced(folder: Path) -> None:
    schedule = FeeSchedule.load(folder)
    with pytest.raises(NotPriced, match=r"does not pay 99050 apart \(status B\)"):
        schedule.medicare_fee("99050", "US-00", JULY_2026, facility=False)
    assert schedule.medicare_fee("96156", "US-00", JULY_2026, facility=False).cents == 8484
    with pytest.raises(NotPriced, match="no facility price of 96156"):
        schedule.medicare_fee("96156", "US-00", JULY_2026, facility=True)


def test_the_floor_of_the_work_index_counts(folder: Path) -> None:
    text = (folder / "tables" / "geographic_practice_cost_indices.csv").read_text()
    assert "2026-01-01,TX-20,1.000,0.910,0.929,GPCI2026" in text.splitlines()


def test_the_floor_counts_in_whichever_order_the_columns_stand(tmp_path: Path) -> None:
    rows = [line.split(",") for line in (FILES / "GPCI2026.csv").read_text().splitlines()]
    turned = [[*row[:4], row[5], row[4], *row[6:]] for row in rows]
    file = tmp_path / "GPCI2026.csv"
    file.write_text("\n".join(",".join(row) for row in turned) + "\n")
    IMPORTERS["gpci"](file, tmp_path, None)
    text = (tmp_path / "tables" / "geographic_practice_cost_indices.csv").read_text()
    assert "2026-01-01,TX-99,1.000,0.949,0.903,GPCI2026" in text.splitlines()


def test_pairs_take_the_place_of_what_was_only_told(tmp_path: Path) -> None:
    load("ptp", "ccipra-v313r0-f1.txt", tmp_path)
    imported = load("ptp", "ccipra-v313r0-f2.txt", tmp_path)
    assert imported.rows == {"ncci_pairs": 4}
    edits = CodeEdits.load(tmp_path)
    day = date(2025, 11, 1)
    pair = edits.pair("90853", "90834", day)
    assert pair is not None
    assert (pair.column_one, pair.indicator, pair.verified) == ("90853", "1", True)
    families = edits.pair("90853", "90849", day)
    assert families is not None
    assert families.indicator == "0"
    assert edits.pair("90853", "90837", day) is None  # not in the files: nothing is told of it
    assert edits.pair("90853", "99213", date(2024, 12, 31)) is not None  # its last day
    assert edits.pair("90853", "99213", date(2025, 1, 1)) is None
    assert edits.pair("90853", "90785", date(2013, 1, 1)) is None  # deleted the day it began
    earlier = edits.pair("90853", "90832", date(2014, 9, 30))
    assert earlier is not None
    assert earlier.column_one == "90832"


def test_unit_limits(tmp_path: Path) -> None:
    imported = load("mue", "MCR_MUE_PractitionerServices_Eff_10-01-2025.csv", tmp_path)
    assert imported.effective_from == OCTOBER_2025
    edits = CodeEdits.load(tmp_path)
    group = edits.unit_limit("90853", "practitioner", OCTOBER_2025)
    assert group is not None
    assert (group.units, group.adjudication, group.verified) == (1, "2", True)
    complexity = edits.unit_limit("90785", "practitioner", OCTOBER_2025)
    before = edits.unit_limit("90785", "practitioner", date(2025, 9, 30))
    assert complexity is not None
    assert before is not None
    assert (complexity.units, before.units) == (3, 1)
    hospital = edits.unit_limit("90853", "outpatient_hospital", OCTOBER_2025)
    assert hospital is not None
    assert hospital.units == 5


def test_add_ons(tmp_path: Path) -> None:
    load("aoc", "AOC_V2025Q4_01-MCR.txt", tmp_path)
    edits = CodeEdits.load(tmp_path)

    def primaries(day: date) -> set[str]:
        return {item.primary for item in edits.add_on("90785", day)}

    assert primaries(date(2025, 6, 30)) == {"90853", "90834"}  # day 181 of 2025, its last
    assert primaries(date(2025, 7, 1)) == {"90853"}
    assert edits.add_on("90833", date(2025, 7, 1)) == ()  # the contractor defines with what


WRONG: list[tuple[str, str, Callable[[str], str], list[str]]] = [
    (
        "pprrvu",
        "PPRRVU2025_Oct.csv",
        lambda text: text.replace("90853,,placeholder,A,,0.65", "90853,,placeholder,A,,?").replace(
            "90834,,placeholder,A,,2.45", "90834,,placeholder,A,,2.46"
        ),
        ["17: 90834: the parts add up to 3.23", "22: work: Input should be a valid decimal"],
    ),
    ("pprrvu", "GPCI2025.csv", str, ["1: no line begins HCPCS,MOD"]),
    (
        "pprrvu",
        "PPRRVU2025_Oct.csv",
        lambda text: text.replace("2025 National", "National"),
        ["1: the title names no year and month"],
    ),
    (
        "pprrvu",
        "PPRRVU2025_Oct.csv",
        lambda text: text.replace("BASE,FACTOR", "BASE,FACTORS"),
        ["10: no column CONV FACTOR"],
    ),
    ("gpci", "PPRRVU2025_Oct.csv", str, ["1: no line has the columns State"]),
    (
        "gpci",
        "GPCI2025.csv",
        lambda text: text.replace("2025 MP GPCI", "MP") + "1,TX,31,AUSTIN,1,1.05,0.9\n",
        ["3: no column for the MP index"],
    ),
    (
        "gpci",
        "GPCI2025.csv",
        lambda text: text + "1,TX,31,AUSTIN,1,1.05,0.9\n",
        ["15: TX-31 has other indices"],
    ),
    ("ptp", "AOC_V2025Q4_01-MCR.txt", str, ["1: no line begins Column 1"]),
    (
        "ptp",
        "ccipra-v313r0-f2.txt",
        lambda text: text.replace("20141001", "2014/1/1").replace("\t9\t", "\t7\t"),
        ["4: a date is not written", "6: indicator"],
    ),
    ("mue", "MCR_MUE_PractitionerServices_Eff_10-01-2025.csv", str, []),
    (
        "aoc",
        "AOC_V2025Q4_01-MCR.txt",
        lambda text: text.replace("90785\t\t90853\t\t2013001", "90785\t\t90853\t\t2013-1"),
        ["4: a date is not written YYYYDDD"],
    ),
    ("aoc", "ccipra-v313r0-f1.txt", str, ["1: no line has a column for the add-on code"]),
]


@pytest.mark.parametrize(("kind", "name", "change", "problems"), WRONG)
def test_every_problem_of_a_file_is_told_with_its_line_and_nothing_is_written(
    tmp_path: Path, kind: str, name: str, change: Callable[[str], str], problems: list[str]
) -> None:
    # Without its day in the name a file of unit limits says nothing of when it holds.
    file = tmp_path / ("unnamed.csv" if kind == "mue" else name)
    file.write_text(change((FILES / name).read_text()))
    with pytest.raises(InputRefused) as refused:
        IMPORTERS[kind](file, tmp_path / "own", None)
    expected = problems or ["1: the file's name has no day"]
    assert len(refused.value.problems) == len(expected)
    for told, problem in zip(refused.value.problems, expected, strict=True):
        assert told.startswith(f"{file.name}:{problem}")
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("kind", sorted(IMPORTERS))
def test_a_cell_without_end_is_refused_by_its_line(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "endless.csv"
    file.write_text("first\n" + '"' + "A" * 200_000 + "\n")
    with pytest.raises(InputRefused, match=r"endless\.csv:2: a cell that is too long"):
        IMPORTERS[kind](file, tmp_path / "own", OCTOBER_2025)
    assert not (tmp_path / "own").exists()


def test_a_day_can_be_given_for_a_file_that_names_none(tmp_path: Path) -> None:
    file = tmp_path / "unnamed.csv"
    file.write_bytes((FILES / "MCR_MUE_PractitionerServices_Eff_10-01-2025.csv").read_bytes())
    assert IMPORTERS["mue"](file, tmp_path, date(2026, 1, 1)).effective_from == date(2026, 1, 1)
