from datetime import date
from pathlib import Path

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.policy.edits import CodeEdits

DAY = date(2026, 2, 3)
EDITS = CodeEdits.packaged()


@pytest.mark.parametrize("individual", ["90832", "90833", "90834", "90836", "90837", "90838"])
def test_individual_psychotherapy_is_column_two_of_the_group(individual: str) -> None:
    """T2: since 2014-10-01; before it was the other way round."""
    for one, other in ((individual, "90853"), ("90853", individual)):
        pair = EDITS.pair(one, other, DAY)
        assert pair is not None
        assert (pair.column_one, pair.column_two, pair.indicator) == ("90853", individual, "1")
        assert not pair.verified
    earlier = EDITS.pair("90853", individual, date(2014, 9, 30))
    assert earlier is not None
    assert earlier.column_two == "90853"
    on_the_day = EDITS.pair("90853", individual, date(2014, 10, 1))
    assert on_the_day is not None
    assert on_the_day.column_two == individual


def test_several_families_are_column_two_and_an_unknown_indicator_stays_unknown() -> None:
    families = EDITS.pair("90849", "90853", DAY)
    assert families is not None
    assert (families.column_two, families.indicator) == ("90849", "1")
    family = EDITS.pair("90847", "90834", DAY)
    assert family is not None
    assert family.indicator is None


def test_codes_without_a_pair() -> None:
    assert EDITS.pair("90853", "97150", DAY) is None


def test_unit_limits_by_setting() -> None:
    practitioner = EDITS.unit_limit("90853", "practitioner", DAY)
    hospital = EDITS.unit_limit("90853", "outpatient_hospital", DAY)
    assert practitioner is not None
    assert hospital is not None
    assert (practitioner.units, hospital.units) == (1, 5)
    assert EDITS.unit_limit("90853", "practitioner", date(2012, 12, 31)) is None


def test_what_interactive_complexity_stands_with() -> None:
    primaries = {item.primary for item in EDITS.add_on("90785", DAY)}
    assert "90853" in primaries
    assert not primaries & {"90839", "90840", "90846", "90847", "90849"}
    assert EDITS.add_on("90853", DAY) == ()


def test_every_wrong_row_of_a_table_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "ncci_pairs.csv").write_text(
        "effective_from,effective_to,column_one,column_two,indicator,source,verified\n"
        "2020-01-01,,90853,90834,1,made up,false\n"
        "2020-01-01,,90853,9083,1,made up,false\n"
        "2020-13-01,,90853,90834,2,made up,false\n"
    )
    with pytest.raises(InputRefused) as refused:
        CodeEdits.load(tmp_path)
    assert [line.split(": ")[0] for line in refused.value.problems] == [
        "tables/ncci_pairs.csv:3",
        "tables/ncci_pairs.csv:4",
        "tables/ncci_pairs.csv:4",
    ]
    (tmp_path / "tables" / "ncci_pairs.csv").write_text("column_one,column_too\n90853,90834\n")
    with pytest.raises(InputRefused, match="1: column_too: unknown column"):
        CodeEdits.load(tmp_path)
