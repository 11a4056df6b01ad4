import json
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from groupclaim.policy.payer import PolicyBook
from worker.policy_commands import policy

FILES = Path(__file__).parents[1] / "policy" / "files"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, list(arguments))


def _own_folder(tmp_path: Path, old: str, new: str) -> Path:
    text = (resources.files("groupclaim.policy") / "payers" / "commercial.toml").read_text()
    assert old in text
    (tmp_path / "payers").mkdir()
    (tmp_path / "payers" / "commercial.toml").write_text(text.replace(old, new, 1))
    return tmp_path


def test_what_comes_with_groupclaim_is_in_order() -> None:
    result = run("lint")
    assert result.exit_code == 0
    assert "in order" in result.output


def test_a_folder_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    folder = _own_folder(tmp_path, "soft = 10", 'soft = "ten"')
    (folder / "tables").mkdir()
    (folder / "tables" / "conversion_factors.csv").write_text(
        "effective_from,factor,source\n2026-01-01,none,made up\n"
    )
    result = run("lint", str(folder), "--json")
    assert result.exit_code == 1
    problems = json.loads(result.output)["problems"]
    assert [problem.split(": ")[0] for problem in problems] == [
        "commercial.toml:8",
        "tables/conversion_factors.csv:2",
    ]


def test_a_denial_code_without_an_action_is_refused(tmp_path: Path) -> None:
    rows = (resources.files("groupclaim.policy") / "tables" / "adjustment_reasons.csv").read_text()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "adjustment_reasons.csv").write_text(
        rows.replace(",appeal;write_off,", ",,")
    )
    result = run("lint", str(tmp_path))
    assert result.exit_code == 1
    assert "tables/adjustment_reasons.csv:" in result.output
    assert "actions: Field required" in result.output


def test_every_value_is_shown_with_source_and_whether_it_is_verified() -> None:
    result = run("show", "texas-medicaid", "--on", "2026-02-03")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "2025-01-01 to further notice" in text
    assert "filing_limit.days 95 yes 1 Tex. Admin. Code 354.1003" in text
    assert "group_size.soft 10 no" in text
    edition = PolicyBook.load().editions("texas-medicaid")[0]
    for name, group in edition.groups():
        for key in type(group).model_fields:
            assert key in ("source", "verified") or f"{name}.{key}" in text


def test_the_edition_of_a_day_as_json() -> None:
    def shown(day: str) -> list[str]:
        (edition,) = json.loads(run("show", "medicare-part-b", "--on", day, "--json").output)
        modifiers: list[str] = edition["telehealth"]["video_modifiers"]
        return modifiers

    assert (shown("2023-12-31"), shown("2024-01-01")) == (["95"], [])
    assert len(json.loads(run("show", "medicare-part-b", "--json").output)) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nobody"),
        ("show", "commercial", "--on", "2020-01-01"),
        ("diff", "commercial", "nobody"),
        ("diff", "commercial@soon", "commercial"),
        ("import", "pfs", str(FILES / "GPCI2025.csv"), "--into", "own"),
    ],
)
def test_what_is_not_there_is_said(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_differences_of_policies_and_of_editions() -> None:
    result = run("diff", "medicare-part-b@2023-06-01", "medicare-part-b@2026-02-03", "--json")
    assert result.exit_code == 1
    changes = {item["value"]: (item["a"], item["b"]) for item in json.loads(result.output)}
    assert changes["telehealth.video_modifiers"] == ("95", "none")
    assert "units.per_day" not in changes
    same = run("diff", "commercial", "commercial")
    assert (same.exit_code, same.output.strip()) == (0, "no difference")


def test_differences_of_two_folders(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    _own_folder(one, "per_day = 1", "per_day = 1")
    _own_folder(other, "per_day = 1", "per_day = 2")
    changes = json.loads(run("diff", str(one), str(other), "--json").output)
    assert {"value": "commercial@2025-01-01 units.per_day", "a": "1", "b": "2"} in changes
    # and what is like it
    assert any(item["value"].startswith("texas-commercial@") for item in changes)
    assert not any("medicare" in item["value"] for item in changes)


def test_a_quarter_is_loaded_with_one_command(tmp_path: Path) -> None:
    own = tmp_path / "own"
    pairs = [str(FILES / f"ccipra-v313r0-f{number}.txt") for number in (1, 2)]
    result = run("import", "ptp", *pairs, "--into", str(own))
    assert result.exit_code == 0
    assert "ccipra-v313r0-f2.txt: 4 rows of ncci_pairs" in result.output
    result = run("import", "gpci", str(FILES / "GPCI2026.csv"), "--into", str(own), "--json")
    assert json.loads(result.output) == [
        {
            "file": "GPCI2026.csv",
            "from": "2026-01-01",
            "geographic_practice_cost_indices": 11,
        }
    ]
    assert run("lint", str(own)).exit_code == 0
    wrong = run("import", "aoc", pairs[0], "--into", str(own))
    assert wrong.exit_code == 2
