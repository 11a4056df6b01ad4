from datetime import date, timedelta
from typing import Any

import pytest

from groupclaim.model.finding import Severity
from groupclaim.policy.payer import Visits
from groupclaim.rules.authorization import check_authorization, forecast
from groupclaim.rules.holding import held
from tests.rules.made import DAY, authorization, changed, eligibility, facts, policy


def check(required: str, *authorizations: Any, rules: Any = None) -> Any:
    return check_authorization(
        facts(eligibility=eligibility(required), authorizations=authorizations),
        rules or policy(),
        "90853",
    )


def test_scenario_10_required_and_none_on_file_holds() -> None:
    result = check("Y")
    assert result.authorization is None
    hold = held(result.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("AUTH_REQUIRED", False)
    assert result.findings[0].rule == "authorization_required"


def test_scenario_11_twelve_of_twelve_used_holds_as_exhausted() -> None:
    result = check("Y", authorization(units=12, used=12))
    hold = held(result.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("AUTH_EXHAUSTED", False)
    assert result.authorization is None


def test_one_unit_left_is_enough() -> None:
    one_left = authorization(units=12, used=11)
    result = check("Y", one_left)
    assert result.authorization == one_left
    assert [item.rule for item in result.findings] == ["authorization_running_out"]
    assert held(result.findings) is None


def test_an_extension_is_asked_for_before_the_last_unit_is_gone() -> None:
    def told(used: int) -> list[str]:
        return [item.rule for item in check("Y", authorization(units=12, used=used)).findings]

    assert (told(9), told(10)) == ([], ["authorization_running_out"])


@pytest.mark.parametrize(
    ("misfit", "told"),
    [
        ({"payer": "other-payer"}, "another payer"),
        ({"codes": ("90834",)}, "other codes"),
        ({"clinician": "C2"}, "another clinician"),
        ({"to": date(2026, 2, 2)}, "outside of its dates"),
        ({"from": date(2026, 2, 4)}, "outside of its dates"),
    ],
)
def test_all_must_fit(misfit: dict[str, Any], told: str) -> None:
    result = check("Y", authorization(**misfit))
    assert result.authorization is None
    hold = held(result.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("AUTH_MISMATCH", False)
    assert told in result.findings[0].sentence


@pytest.mark.parametrize(
    "another_matter",
    [{"patient": "P2"}, {"payer": "other-payer", "codes": ("90834",)}],
)
def test_what_has_nothing_to_do_with_the_service_is_no_mismatch(
    another_matter: dict[str, Any],
) -> None:
    hold = held(check("Y", authorization(**another_matter)).findings)
    assert hold is not None
    assert hold.code == "AUTH_REQUIRED"


def test_a_used_up_authorization_that_fits_counts_before_one_that_does_not() -> None:
    result = check("Y", authorization(used=12), authorization(number="AUTH2", codes=("90834",)))
    assert held(result.findings).code == "AUTH_EXHAUSTED"


def test_a_misfit_holds_nothing_where_no_authorization_is_asked_for() -> None:
    assert held(check("N", authorization(codes=("90834",))).findings) is None


@pytest.mark.parametrize(
    "fit",
    [
        {"clinician": "C1"},
        {"codes": ("90834", "90853")},
        {"from": date(2026, 2, 3), "to": date(2026, 2, 3)},
    ],
)
def test_what_fits_is_taken(fit: dict[str, Any]) -> None:
    assert check("Y", authorization(**fit)).authorization is not None


def test_the_one_that_ends_first_is_used_first() -> None:
    sooner = authorization(number="SOONER", to=date(2026, 3, 31))
    used_up = authorization(number="USEDUP", to=date(2026, 2, 28), used=12)
    assert check("Y", authorization(), sooner, used_up).authorization == sooner


@pytest.mark.parametrize(
    ("required", "rule", "severity"),
    [
        ("N", "authorization_not_required", Severity.INFO),
        ("U", "authorization_unknown", Severity.WARN),
    ],
)
def test_not_required_or_unknown_goes_on(required: str, rule: str, severity: Severity) -> None:
    result = check(required)
    assert [(item.rule, item.severity) for item in result.findings] == [(rule, severity)]
    assert held(result.findings) is None


def test_one_that_fits_is_named_even_when_none_is_asked_for() -> None:
    assert check("N", authorization()).authorization == authorization()


def test_a_payer_may_want_the_unknown_settled_first() -> None:
    strict = changed("commercial", "authorization", when_unknown="hold")
    result = check("U", rules=strict)
    hold = held(result.findings)
    assert (hold.code, hold.releasable) == ("AUTH_REQUIRED", True)
    assert held(result.findings, ("AUTH_REQUIRED",)) is None
    assert result.findings[0].source.policy == "commercial"


def test_without_an_answer_the_need_is_unknown() -> None:
    result = check_authorization(facts(eligibility=None), policy(), "90853")
    assert [item.rule for item in result.findings] == ["authorization_unknown"]


def test_no_authorization_number_is_told() -> None:
    result = check("Y", authorization(number="TELLTALE", used=12))
    assert "TELLTALE" not in result.findings[0].model_dump_json()


# --- visits after which the payer asks for one

THIRTY = Visits(before_authorization=30, source="an archived manual", verified=False)


def after_visits(count: int, required: str = "U", **values: Any) -> Any:
    days = tuple(DAY - timedelta(days=1) for _ in range(count))
    return check_authorization(
        facts(eligibility=eligibility(required), other_session_days=days),
        policy().model_copy(update={"visits": THIRTY.model_copy(update=values)}),
        "90853",
    )


def test_above_the_visit_count_an_authorization_is_needed() -> None:
    assert held(after_visits(29).findings) is None
    hold = held(after_visits(30).findings)
    assert hold is not None
    # It rests on an unverified value: two people may waive it.
    assert (hold.code, hold.releasable, hold.two_people) == ("AUTH_REQUIRED", True, True)
    assert held(after_visits(30).findings, ("AUTH_REQUIRED",)) is None
    assert held(after_visits(30, verified=True).findings).releasable is False


def test_the_payers_own_no_counts_before_the_visit_count() -> None:
    assert held(after_visits(30, "N").findings) is None


# --- how long one lasts

FIRST = date(2026, 2, 10)


def weekly(left: int, scheduled: tuple[date, ...] = (), **permit: Any) -> Any:
    return forecast(authorization(**permit), left, scheduled, FIRST - timedelta(days=7))


def test_a_weekly_series_runs_out_of_units() -> None:
    ahead = weekly(3)
    assert (ahead.last_covered, ahead.runs_out_on, ahead.because) == (
        date(2026, 2, 24), date(2026, 3, 3), "units",
    )  # fmt: skip


def test_a_weekly_series_runs_out_of_days() -> None:
    ahead = weekly(30, to=date(2026, 2, 24))
    assert (ahead.last_covered, ahead.runs_out_on, ahead.because) == (
        date(2026, 2, 24), date(2026, 3, 3), "dates",
    )  # fmt: skip
    assert weekly(30, to=date(2026, 2, 23)).runs_out_on == date(2026, 2, 24)


def test_nothing_left_covers_nothing() -> None:
    ahead = weekly(0)
    assert (ahead.last_covered, ahead.runs_out_on) == (None, FIRST)


def test_what_is_scheduled_comes_first() -> None:
    twice = (date(2026, 2, 5), date(2026, 2, 6))
    assert weekly(2, twice).runs_out_on == date(2026, 2, 13)
    assert weekly(1, twice).runs_out_on == date(2026, 2, 6)


def test_an_authorization_that_has_not_begun_waits_for_its_first_day() -> None:
    ahead = weekly(1, **{"from": date(2026, 2, 20)})
    assert (ahead.last_covered, ahead.runs_out_on) == (date(2026, 2, 24), date(2026, 3, 3))
