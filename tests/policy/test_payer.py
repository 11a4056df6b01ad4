import os
import re
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.policy.payer import NoPolicy, PolicyBook
from groupclaim.policy.playbook import Playbook, RemarkCode
from groupclaim.policy.tables import parse_table, table_text

DAY = date(2026, 2, 3)


def _text(name: str = "commercial") -> str:
    return (resources.files("groupclaim.policy") / "payers" / f"{name}.toml").read_text()


def _editions(*spans: tuple[str, str | None]) -> str:
    """The commercial edition once for each span."""
    edition = _text().split("effective_from = 2025-01-01")[1]
    return "\n".join(
        f"[[edition]]\neffective_from = {first}\n"
        + (f"effective_to = {last}\n" if last else "")
        + edition
        for first, last in spans
    )


def _problems(**texts: str) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        PolicyBook.read({name.replace("_", "-"): text for name, text in texts.items()})
    return refused.value.problems


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return PolicyBook.load()


@pytest.mark.parametrize(
    ("name", "soft", "hard", "filing", "basis_points", "finalized"),
    [
        ("medicare-part-b", 10, 12, (None, 12), 200, "new_claim_if_unprocessable"),
        ("texas-medicaid", 10, None, (95, None), 0, "replacement"),
        ("texas-commercial", 10, None, (95, None), 0, "replacement"),
        ("commercial", 10, None, (90, None), 0, "replacement"),
        ("virginia-commercial", 10, None, (90, None), 0, "replacement"),
        ("virginia-medicaid", 10, None, (None, 12), 0, "replacement"),
        ("medicaid-managed-care", 10, None, (95, None), 0, "replacement"),
        ("medicare-advantage", 10, 12, (None, 12), 0, "replacement"),
        ("medicare-part-b-texas", 10, 12, (None, 12), 200, "new_claim_if_unprocessable"),
        ("medicare-part-b-virginia", 10, 12, (None, 12), 200, "new_claim_if_unprocessable"),
        ("behavioral-carve-out", 10, 12, (90, None), 0, "replacement"),
    ],
)
def test_what_each_payer_asks_for(
    book: PolicyBook,
    name: str,
    soft: int,
    hard: int | None,
    filing: tuple[int | None, int | None],
    basis_points: int,
    finalized: str,
) -> None:
    policy = book.policy(name, DAY)
    assert (policy.group_size.minimum, policy.group_size.soft, policy.group_size.hard) == (
        2,
        soft,
        hard,
    )
    assert not policy.group_size.verified
    assert (policy.filing_limit.days, policy.filing_limit.months) == filing
    assert policy.sequestration.basis_points == basis_points
    assert policy.corrections.finalized == finalized
    assert policy.units.per_day == 1
    assert "lpc_associate" not in policy.licences.accepted


def test_only_what_was_read_in_a_current_official_text_is_verified(book: PolicyBook) -> None:
    verified = {
        name: {
            group for group, value in book.policy(name, DAY) if getattr(value, "verified", False)
        }
        for name in book.names
    }
    national = {
        "coinsurance",
        "sequestration",
        "filing_limit",
        "appeal_limit",
        "interactive_complexity",
        "after_hours",
    }
    assert verified == {
        "medicare-part-b": national,
        "medicare-part-b-texas": national,
        "medicare-part-b-virginia": national,
        "medicare-advantage": {"interactive_complexity", "after_hours"},
        "texas-medicaid": {"sequestration", "filing_limit", "appeal_limit"},
        "virginia-medicaid": {"sequestration", "filing_limit"},
        "medicaid-managed-care": {"sequestration", "filing_limit"},
        "texas-commercial": {"sequestration", "filing_limit", "prompt_pay"},
        "virginia-commercial": {"sequestration"},
        "commercial": {"sequestration"},
        "behavioral-carve-out": {"sequestration"},
    }


def test_texas_commercial_differs_from_commercial_in_what_its_law_gives(
    book: PolicyBook,
) -> None:
    one, other = book.policy("commercial", DAY), book.policy("texas-commercial", DAY)
    assert {key for key, value in one if getattr(other, key) != value} == {
        "filing_limit",
        "prompt_pay",
        "takebacks",
        "name",
        "version",
    }


def test_a_finding_can_cite_the_policy(book: PolicyBook) -> None:
    policy = book.policy("texas-medicaid", DAY)
    source = policy.source(policy.filing_limit)
    assert (source.policy, source.version, source.verified) == (
        "texas-medicaid",
        policy.version,
        True,
    )
    assert source.citation == "1 Tex. Admin. Code 354.1003"


def test_the_version_is_of_the_content_not_of_its_spelling() -> None:
    def version(text: str) -> str:
        return PolicyBook.read({"made-up": text}).policy("made-up", DAY).version

    text = _text()
    assert version(text) == version("# a remark\n" + text)
    assert version(text) != version(text.replace("soft = 10", "soft = 11"))


def test_each_day_has_its_edition() -> None:
    text = _editions(("2025-01-01", "2025-12-31"), ("2026-01-01", None)).replace(
        "soft = 10", "soft = 8", 1
    )
    book = PolicyBook.read({"made-up": text})
    assert book.policy("made-up", date(2025, 12, 31)).group_size.soft == 8
    assert book.policy("made-up", date(2026, 1, 1)).group_size.soft == 10
    with pytest.raises(NoPolicy, match="'made-up' has no edition in force on 2024-12-31"):
        book.policy("made-up", date(2024, 12, 31))
    with pytest.raises(NoPolicy, match="no payer policy is named 'other'"):
        book.policy("other", DAY)


def test_an_ended_policy_is_not_in_force() -> None:
    book = PolicyBook.read({"made-up": _editions(("2025-01-01", "2025-12-31"))})
    with pytest.raises(NoPolicy):
        book.policy("made-up", date(2026, 1, 1))


@pytest.mark.parametrize(
    ("spans", "problem"),
    [
        (
            (("2025-01-01", "2025-06-30"), ("2025-06-30", None)),
            "edition[1].effective_from: overlaps edition[0]",
        ),
        (
            (("2025-01-01", None), ("2026-01-01", None)),
            "edition[1].effective_from: overlaps edition[0]",
        ),
        (
            (("2026-01-02", None), ("2025-01-01", "2025-12-31")),
            "edition[0].effective_from: a gap after edition[1]",
        ),
        (
            (("2025-02-01", "2025-01-31"),),
            "edition[0].effective_to: before effective_from",
        ),
    ],
)
def test_editions_that_overlap_or_leave_a_gap_are_refused(
    spans: tuple[tuple[str, str | None], ...], problem: str
) -> None:
    text = _editions(*spans)
    (told,) = _problems(made_up=text)
    assert told.split(": ", 1)[1] == problem
    line = int(told.split(":")[1])
    assert text.splitlines()[line - 1].startswith(problem.split(".")[1].split(":")[0])


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [
        ("payers/own.toml", b"a = " + b"[" * 100_000, "own.toml:1: not TOML that is taken: nested"),
        ("payers/own.toml", b"a = " + b"{a = " * 100_000, "own.toml:1: not TOML that is taken: ne"),
        ("payers/own.toml", b"\xff\xfea", "payers/own.toml: 1 problem\n  file: not UTF-8"),
        ("payers/own.toml", None, "payers/own.toml: 1 problem\n  file: larger than 50 MB"),
        ("playbook.toml", b"a = " + b"[" * 100_000, "playbook.toml:1: not TOML that is taken"),
        ("playbook.toml", b"\xff\xfea", "playbook.toml: 1 problem\n  file: not UTF-8"),
        ("tables/remark_codes.csv", b"\xff\xfea", "remark_codes.csv: 1 problem\n  file: not UTF-8"),
        ("tables/remark_codes.csv", b"A" * 200_000, "remark_codes.csv:1: a cell that is too long"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_by_name(
    tmp_path: Path, place: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content or b"")
    if content is None:
        os.truncate(path, 50 * 1024 * 1024 + 1)
    load = PolicyBook.load if place.startswith("payers") else Playbook.load
    with pytest.raises(InputRefused) as refused:
        load(tmp_path)
    assert reason in str(refused.value)


def test_a_table_with_a_cell_without_end_is_refused_by_its_line() -> None:
    header, *_ = table_text("remark_codes").splitlines()
    with pytest.raises(InputRefused, match=r"own\.csv:2: a cell that is too long"):
        parse_table("own.csv", f"{header}\n{'A' * 200_000}\n", RemarkCode)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("soft = 10", 'soft = "10"', "group_size.soft: Input should be a valid integer"),
        ("soft = 10", "soft = true", "group_size.soft: Input should be a valid integer"),
        ("soft = 10", "soft = 10.0", "group_size.soft: Input should be a valid integer"),
        ("soft = 10", "soft = 1", "group_size: needs minimum <= soft <= hard"),
        ("soft = 10", "soft = 10\nhard = 9", "group_size: needs minimum <= soft <= hard"),
        ("soft = 10", "sofft = 10", "group_size.sofft: Extra inputs are not permitted"),
        ("minimum = 2", "minimum = 1", "group_size.minimum: Input should be greater than"),
        ("days = 90", "days = 90\nmonths = 3", "filing_limit: needs either days or months"),
        ("[30, 10]", "[10, 30]", "filing_limit: warn_days_before: needs falling numbers"),
        ('"lcsw", ', '"lcsv", ', "licences.accepted[3]: Input should be"),
        ('"replacement"', '"void"', "corrections.finalized: Input should be"),
        ('"start_time", ', '"begin", ', "documentation.required[0]: Input should be"),
        ("effective_from = 2025-01-01", "", "effective_from: Field required"),
        (
            "effective_from = 2025-01-01",
            'effective_from = "2025-01-01"',
            "effective_from: Input should be a valid date",
        ),
        (
            "effective_from = 2025-01-01",
            'effective_from = 2025-01-01\neffective_to = "soon"',
            "effective_to: Input should be a valid date",
        ),
        ("tolerance_basis_points = 50", "tolerance_basis_points = 10001", "audit.tolerance_basis"),
        ("verified = false", 'verified = "no"', "group_size.verified: Input should be a valid"),
        ('source = "general', 'note = "general', "group_size.source: Field required"),
        (
            "effective_from = 2025-01-01",
            'effective_from = 2025-01-01\nversion = "mine"',
            "version: Extra inputs are not permitted",
        ),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_file_key_and_reason(
    old: str, new: str, problem: str
) -> None:
    assert old in _text()
    text = _text().replace(old, new, 1)
    found = [line for line in _problems(made_up=text) if f": edition[0].{problem}" in line]
    assert found
    key = problem.split(":")[0].split("[")[0]
    table, _, value = key.rpartition(".")
    place = text.splitlines()[int(found[0].split(":")[1]) - 1]
    assert place.startswith((value, f"[edition.{table or value}]", "[[edition]]"))


def test_all_problems_of_all_files_are_told_at_once() -> None:
    problems = _problems(
        one=_text().replace("soft = 10", 'soft = "ten"') + "\n[unknown]\nkey = 1\n",
        two="[[edition]\n",
        three="name = 'no edition'\n",
        four=_editions(("2025-01-01", "2025-06-30"), ("2025-08-01", None)).replace(
            "per_day = 1", "per_day = 0", 1
        ),
    )
    assert [line.split(":")[0] for line in problems] == [
        "one.toml",
        "one.toml",
        "two.toml",
        "three.toml",
        "three.toml",
        "four.toml",
        "four.toml",
    ]
    told = [re.sub(r":\d+:", ":", line) for line in problems]
    assert "one.toml: unknown: unknown key" in told
    assert "three.toml: edition: needs at least one [[edition]]" in told
    assert "four.toml: edition[1].effective_from: a gap after edition[0]" in told
    assert any(line.startswith("two.toml:1: not TOML") for line in problems)


def test_the_tolerance_is_the_larger_of_cents_and_share(book: PolicyBook) -> None:
    audit = book.policy("commercial", DAY).audit
    assert audit.tolerance(Cents(900)) == 5
    assert audit.tolerance(Cents(2815)) == 14  # 0.5 % of 28.15 is 14.075 cents


def test_every_policy_is_in_force_in_both_years_of_the_fee_schedule(book: PolicyBook) -> None:
    day = date(2025, 1, 1)
    while day.year < 2027:
        for name in book.names:
            assert book.policy(name, day).name == name
        day += timedelta(days=31)


# --- like another policy


_LIKE = """
[[edition]]
like = "commercial"
effective_from = 2025-01-01
"""


def _like(text: str = _LIKE, **others: str) -> PolicyBook:
    return PolicyBook.read({"commercial": _text(), "made-up": text, **others})


def test_an_edition_like_another_policy_takes_what_it_does_not_state() -> None:
    text = (
        _LIKE
        + """
[edition.units]
per_day = 2
source = "made up"
verified = true
"""
    )
    made, base = _like(text).policy("made-up", DAY), _like().policy("commercial", DAY)
    assert {key for key, value in made if getattr(base, key) != value} == {
        "units",
        "name",
        "version",
    }
    assert made.units.per_day == 2


def test_it_changes_on_the_days_on_which_the_other_changes() -> None:
    base = _editions(("2025-01-01", "2025-12-31"), ("2026-01-01", None)).replace(
        "soft = 10", "soft = 8", 1
    )
    book = PolicyBook.read({"commercial": base, "made-up": _LIKE})
    assert [item.effective_from for item in book.editions("made-up")] == [
        date(2025, 1, 1),
        date(2026, 1, 1),
    ]
    assert book.policy("made-up", date(2025, 12, 31)).group_size.soft == 8
    assert book.policy("made-up", date(2026, 1, 1)).group_size.soft == 10


def test_like_its_own_policy_means_like_the_edition_before() -> None:
    text = (
        _LIKE.replace("2025-01-01", "2025-01-01\neffective_to = 2025-12-31")
        + "[edition.units]\nper_day = 2\nsource = 'made up'\nverified = true\n"
        + '[[edition]]\nlike = "made-up"\neffective_from = 2026-01-01\n'
    )
    assert _like(text).policy("made-up", DAY).units.per_day == 2


def test_a_group_can_be_left_out() -> None:
    text = _LIKE + 'without = ["session_length"]\n'
    assert _like().policy("made-up", DAY).session_length is not None
    assert _like(text).policy("made-up", DAY).session_length is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_LIKE.replace("commercial", "nobody"), "3: edition[0].like: no policy is named 'nobody'"),
        (
            _LIKE.replace("2025-01-01", "2024-12-31"),
            "3: edition[0].like: commercial has no edition on 2024-12-31",
        ),
        (_LIKE.replace("commercial", "made-up"), "3: edition[0].like: made-up has no edition on"),
        (
            _LIKE + 'without = ["untis"]\n',
            "5: edition[0].without: there is no group 'untis'",
        ),
        (
            _LIKE + "[edition.units]\nper_day = 0\nsource = 'x'\nverified = true\n",
            "6: edition[0].units.per_day: Input should be greater than 0",
        ),
        (
            _LIKE + "[edition.unit]\nper_day = 1\n",
            "5: edition[0].unit: Extra inputs are not permitted",
        ),
    ],
)
def test_what_is_wrong_with_an_edition_like_another_is_told_with_its_line(
    text: str, problem: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        _like(text)
    assert any(line.startswith(f"made-up.toml:{problem}") for line in refused.value.problems)


def test_two_policies_like_each_other_are_refused() -> None:
    with pytest.raises(InputRefused) as refused:
        PolicyBook.read(
            {
                "one": _LIKE.replace("commercial", "other"),
                "other": _LIKE.replace("commercial", "one"),
            }
        )
    assert any("is itself like" in line for line in refused.value.problems)


def test_what_is_wrong_in_the_other_policy_is_told_once_and_where_it_stands() -> None:
    with pytest.raises(InputRefused) as refused:
        PolicyBook.read({"commercial": _text().replace("soft = 10", "soft = 1"), "made-up": _LIKE})
    (problem,) = refused.value.problems
    assert problem.startswith("commercial.toml:")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('home_place = "10"', 'home_place = "98"', "telehealth.home_place: no place of service 98"),
        ('["95"]', '["96"]', "telehealth.video_modifiers: no modifier 96"),
    ],
)
def test_a_code_that_no_table_explains_is_refused(old: str, new: str, problem: str) -> None:
    text = _text().replace(old, new, 1)
    (told,) = _problems(made_up=text)
    assert told.endswith(problem)
    assert new in text.splitlines()[int(told.split(":")[1]) - 1]


def test_a_folder_of_ones_own_adds_policies_and_stands_in_for_others(tmp_path: Path) -> None:
    (tmp_path / "payers").mkdir()
    (tmp_path / "payers" / "commercial.toml").write_text(_text().replace("soft = 10", "soft = 7"))
    (tmp_path / "payers" / "our-plan.toml").write_text(_LIKE)
    book = PolicyBook.load(tmp_path)
    assert book.policy("commercial", DAY).group_size.soft == 7
    assert book.policy("our-plan", DAY).group_size.soft == 7
    assert book.policy("texas-commercial", DAY).group_size.soft == 7
    assert book.policy("medicare-part-b", DAY) == PolicyBook.load().policy("medicare-part-b", DAY)


# --- values by date and payer


@pytest.mark.parametrize(
    ("name", "day", "video", "audio", "home"),
    [
        ("medicare-part-b", date(2023, 12, 31), ("95",), ("93",), "10"),  # T15
        ("medicare-part-b", date(2024, 1, 1), (), ("93",), "10"),
        ("medicare-advantage", DAY, (), ("93",), "10"),
        ("texas-medicaid", DAY, ("95",), ("93",), "10"),
        ("virginia-medicaid", DAY, ("GT",), ("93",), None),
        ("medicaid-managed-care", DAY, ("95",), ("FQ",), "10"),
        ("commercial", DAY, ("95",), ("93",), "10"),
    ],
)
def test_telehealth_modifiers_by_payer_and_day(
    book: PolicyBook,
    name: str,
    day: date,
    video: tuple[str, ...],
    audio: tuple[str, ...],
    home: str | None,
) -> None:
    telehealth = book.policy(name, day).telehealth
    assert (telehealth.video_modifiers, telehealth.audio_modifiers) == (video, audio)
    assert telehealth.home_place == home


def test_medicare_asks_for_a_visit_in_person_from_2028(book: PolicyBook) -> None:
    def months(day: date) -> int | None:
        return book.policy("medicare-part-b", day).telehealth.in_person_visit_months

    assert months(date(2027, 12, 31)) is None  # T9
    assert months(date(2028, 1, 1)) == 6


def test_medicare_takes_counsellors_since_2024(book: PolicyBook) -> None:
    def accepted(day: date) -> bool:
        return "lpc" in book.policy("medicare-part-b", day).licences.accepted

    assert not accepted(date(2023, 12, 31))
    assert accepted(date(2024, 1, 1))


def test_the_clock_of_authorizations_changes_in_2026(book: PolicyBook) -> None:
    for name in ("medicare-advantage", "medicaid-managed-care"):
        assert book.policy(name, date(2025, 12, 31)).authorization.decision_days == 14
        assert book.policy(name, date(2026, 1, 1)).authorization.decision_days == 7
        assert book.policy(name, DAY).authorization.urgent_decision_hours == 72


@pytest.mark.parametrize(
    ("name", "law_days"),
    [("texas-commercial", 30), ("virginia-commercial", 40), ("medicare-part-b", 30)],
)
def test_prompt_pay(book: PolicyBook, name: str, law_days: int) -> None:
    prompt = book.policy(name, DAY).prompt_pay
    assert prompt is not None
    assert prompt.days_electronic == law_days
    assert book.policy("commercial", DAY).prompt_pay is None
    # Medicare's law binds Medicare; a plan in its place pays as its contract says.
    assert book.policy("medicare-advantage", DAY).prompt_pay is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("to_day = 90, ", "to_day = 40, ", "tiers: needs rising days"),
        ("{ percent = 100,", "{ to_day = 99, percent = 100,", "tiers: needs rising days"),
        ('"texas_tiers"', '"simple_interest"', "tiers: given exactly when"),
        ("rates = [{ effective_from = 2003-09-01, basis_points = 1800 }]", "", "rates: needed"),
        ("days = 180", "days = 180\nmonths = 6", "needs either days or months"),
    ],
)
def test_penalties_that_make_no_sense_are_refused(old: str, new: str, problem: str) -> None:
    texas = _text("texas-commercial")
    assert old in texas
    problems = _problems(commercial=_text(), made_up=texas.replace(old, new, 1))
    assert any(problem in line for line in problems), problems
