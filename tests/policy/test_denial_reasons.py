import csv
from importlib import resources

import pytest

from groupclaim.policy.denial_reasons import denial_reason, remark_code


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("197", "authorization"),
        ("296", "authorization"),
        ("18", "duplicate"),
        ("29", "filing time"),
        ("50", "necessity"),
        ("97", "coding"),
        ("109", "other payer"),
        ("27", "coverage"),
        ("B7", "enrolment"),
        ("151", "necessity"),
        ("252", "records"),
        ("119", "benefit limit"),
        ("45", "pricing"),
    ],
)
def test_a_code_has_its_category_and_advice(code: str, category: str) -> None:
    reason = denial_reason(code)
    assert reason is not None
    assert (reason.code, reason.category) == (code, category)
    assert reason.action.endswith(".")


def test_an_unknown_code_has_no_reason() -> None:
    assert denial_reason("9999") is None


def test_every_code_has_a_known_category_a_meaning_and_advice() -> None:
    def rows(name: str) -> list[dict[str, str]]:
        table = resources.files("groupclaim.policy") / "tables" / f"{name}.csv"
        return list(csv.DictReader(table.read_text().splitlines()))

    categories = {row["category"] for row in rows("denial_categories")}
    reasons, remarks = rows("adjustment_reasons"), rows("remark_codes")
    assert len({row["code"] for row in reasons}) == len(reasons) >= 120
    assert len({row["code"] for row in remarks}) == len(remarks) >= 60
    for row in (*reasons, *remarks):
        assert row["category"] in categories
        assert row["meaning"]
    for row in reasons:
        assert row["action"].endswith(".")


def test_remark_codes() -> None:
    unprocessable = remark_code("MA130")
    assert unprocessable is not None
    assert (unprocessable.category, "new claim" in unprocessable.meaning) == ("coding", True)
    assert all(
        (item := remark_code(code)) is not None and item.category == "patient share"
        for code in ("N781", "N782", "N783")
    )
    assert remark_code("Z999") is None
