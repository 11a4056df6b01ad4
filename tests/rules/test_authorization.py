from datetime import date
from typing import Any

import pytest

from groupclaim.model.finding import Severity
from groupclaim.rules.authorization import check_authorization
from groupclaim.rules.holding import held
from tests.rules.made import authorization, changed, eligibility, facts, policy


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
    assert result.findings == ()


@pytest.mark.parametrize(
    "misfit",
    [
        {"payer": "other-payer"},
        {"patient": "P2"},
        {"codes": ("90834",)},
        {"clinician": "C2"},
        {"to": date(2026, 2, 2)},
        {"from": date(2026, 2, 4)},
    ],
)
def test_all_must_fit(misfit: dict[str, Any]) -> None:
    result = check("Y", authorization(**misfit))
    assert result.authorization is None
    assert held(result.findings).code == "AUTH_REQUIRED"


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
