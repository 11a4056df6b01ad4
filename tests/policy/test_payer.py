from datetime import date, timedelta
from importlib import resources

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.policy.payer import NoPolicy, PolicyBook

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
    assert verified == {
        "medicare-part-b": {"coinsurance", "sequestration", "filing_limit", "appeal_limit"},
        "texas-medicaid": {"sequestration", "filing_limit", "appeal_limit"},
        "texas-commercial": {"sequestration", "filing_limit"},
        "commercial": {"sequestration"},
    }


def test_texas_commercial_differs_from_commercial_in_its_filing_limit_alone(
    book: PolicyBook,
) -> None:
    one, other = book.policy("commercial", DAY), book.policy("texas-commercial", DAY)
    assert {key for key, value in one if getattr(other, key) != value} == {
        "filing_limit",
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
    assert _problems(made_up=_editions(*spans)) == [f"made-up.toml: {problem}"]


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
    problems = _problems(made_up=_text().replace(old, new, 1))
    assert any(line.startswith(f"made-up.toml: edition[0].{problem}") for line in problems)


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
    assert "one.toml: unknown: unknown key" in problems
    assert "three.toml: edition: needs at least one [[edition]]" in problems
    assert "four.toml: edition[1].effective_from: a gap after edition[0]" in problems
    assert any(line.startswith("two.toml: not TOML") for line in problems)


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
