import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.model.claim import ClaimPayment
from groupclaim.model.finding import Severity
from groupclaim.model.money import Cents
from groupclaim.rules.holding import held
from groupclaim.rules.payment_audit import Audit, allowed_amount, audit_payment
from groupclaim.rules.pricing import Expected, expected_allowed, payment_split
from tests.rules.made import SCHEDULE, changed, facts, medicare_facts, payment, policy, policy_split

COMMERCIAL, MEDICARE = policy(), policy("medicare-part-b")


def expected(allowed: int, charge: int = 6000) -> Expected:
    return Expected(
        allowed=Cents(allowed),
        charge=Cents(charge),
        rate=Cents(allowed),
        method="fee_schedule",
        working="as agreed",
    )


def audit(allowed: int, paid: ClaimPayment, name: str = "commercial") -> Audit:
    return audit_payment(expected(allowed), paid, policy(name))


def rule_ids(result: Audit) -> list[str]:
    return [finding.rule for finding in result.findings]


def test_scenario_17_underpaid_by_6_05() -> None:
    priced = expected_allowed(facts(), COMMERCIAL, SCHEDULE, "90853")
    assert isinstance(priced, Expected)
    result = audit_payment(priced, payment(6000, 2210, ("CO", "45", 3790)), COMMERCIAL)
    assert (result.outcome, result.allowed, result.expected, result.shortfall) == (
        "underpaid",
        2210,
        2815,
        605,
    )
    assert result.patient == 0
    assert rule_ids(result) == ["underpaid"]
    assert "6.05 too little" in result.findings[0].sentence
    hold = held(result.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("UNDERPAYMENT_REVIEW", True)


def test_scenario_18_medicare_in_virginia_is_correct() -> None:
    priced = expected_allowed(
        medicare_facts("VA-00", "VA", "psychologist"), MEDICARE, SCHEDULE, "90853"
    )
    assert isinstance(priced, Expected)
    paid = payment(
        6000, 2366, ("CO", "45", 2983), ("PR", "2", 603), ("CO", "253", 48), allowed=3017
    )
    result = audit_payment(priced, paid, MEDICARE)
    assert (result.outcome, result.shortfall, result.patient) == ("as_expected", 0, 603)
    assert result.findings == ()


def test_scenario_19_three_quarters_for_a_social_worker_are_correct() -> None:
    priced = expected_allowed(medicare_facts("TX-11", "TX", "lcsw"), MEDICARE, SCHEDULE, "90853")
    assert isinstance(priced, Expected)
    split = policy_split(Cents(6000), Cents(2289), MEDICARE)
    paid = payment(
        6000,
        split.paid,
        ("CO", "45", split.contractual),
        ("PR", "2", split.coinsurance),
        ("CO", "253", split.sequestration),
        allowed=2289,
    )
    result = audit_payment(priced, paid, MEDICARE)
    assert (result.outcome, result.findings) == ("as_expected", ())


def test_paid_is_not_compared_with_allowed() -> None:
    """22.07 paid of 28.15 allowed: coinsurance and sequestration, not an underpayment."""
    paid = payment(6000, 2207, ("CO", "45", 3185), ("PR", "2", 563), ("CO", "253", 45))
    result = audit(2815, paid, "medicare-part-b")
    assert (result.outcome, result.allowed, result.findings) == ("as_expected", 2815, ())


def test_the_shortfall_is_of_the_allowed_amount_also_with_a_patient_share() -> None:
    paid = payment(6000, 1768, ("CO", "45", 3790), ("PR", "2", 442))
    result = audit(2815, paid)
    assert (result.outcome, result.shortfall, result.patient) == ("underpaid", 605, 442)


@pytest.mark.parametrize(
    ("allowed", "outcome", "shortfall"),
    [
        (2815, "as_expected", 0),
        (2801, "as_expected", 0),  # 14 cents: 0.5 % of 28.15
        (2800, "underpaid", 15),
        (2829, "as_expected", 0),
        (2830, "overpaid", -15),
    ],
)
def test_the_tolerance_and_both_sides_of_it(allowed: int, outcome: str, shortfall: int) -> None:
    result = audit(2815, payment(6000, allowed, ("CO", "45", 6000 - allowed)))
    assert (result.outcome, result.shortfall) == (outcome, shortfall)


def test_small_amounts_are_tolerated_by_cents() -> None:
    assert audit(500, payment(6000, 495, ("CO", "45", 5505))).outcome == "as_expected"
    assert audit(500, payment(6000, 494, ("CO", "45", 5506))).outcome == "underpaid"


def test_overpayment_is_reviewed() -> None:
    result = audit(2815, payment(6000, 4250, ("CO", "45", 1750)))
    assert rule_ids(result) == ["overpaid"]
    assert held(result.findings) is not None
    assert held(result.findings).code == "OVERPAYMENT_REVIEW"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("adjustments", "paid", "allowed"),
    [
        ((("CO", "45", 3185),), 2815, 2815),
        ((("CO", "45", 3185), ("PR", "1", 1000)), 1815, 2815),
        ((("CO", "45", 3185), ("PR", "3", 1500), ("CO", "253", 26)), 1289, 2815),
        ((("CO", "45", 3185), ("CO", "104", 100), ("OA", "161", 15)), 2700, 2815),
        ((("CO", "45", 3185), ("CO", "237", 50), ("CO", "144", -25)), 2790, 2815),
        ((("PR", "96", 6000),), 0, 0),  # not covered at all: nothing is allowed
        ((("CO", "197", 6000),), 0, 0),
    ],
)
def test_the_allowed_amount_is_derived_where_it_is_not_said(
    adjustments: tuple[tuple[str, str, int], ...], paid: int, allowed: int
) -> None:
    assert allowed_amount(payment(6000, paid, *adjustments)) == allowed


def test_what_the_payer_says_it_allowed_counts() -> None:
    assert allowed_amount(payment(6000, 2210, ("CO", "45", 3790), allowed=2815)) == 2815


def test_allowed_in_full_but_not_all_paid() -> None:
    """The payer says 28.15 and keeps 6.05 back under a code that is no share of anybody's."""
    paid = payment(6000, 2210, ("CO", "45", 3185), ("PI", "B8", 605), allowed=2815)
    result = audit(2815, paid)
    assert (result.outcome, result.shortfall) == ("underpaid", 605)
    assert rule_ids(result) == ["paid_less_than_allowed"]


def test_co_amounts_never_reach_the_patient() -> None:
    paid = payment(6000, 0, ("CO", "45", 3185), ("CO", "3", 2815))
    result = audit(2815, paid)
    assert result.patient == 0
    assert result.outcome == "underpaid"


def test_a_wrong_patient_total_is_told_and_group_pr_counts() -> None:
    result = audit(2815, payment(6000, 2815, ("CO", "45", 3185), patient=3185))
    assert result.patient == 0
    assert rule_ids(result) == ["patient_share_differs"]
    assert held(result.findings) is None


def test_copay_and_coinsurance_for_one_visit_are_told() -> None:
    paid = payment(6000, 752, ("CO", "45", 3185), ("PR", "3", 1500), ("PR", "2", 563))
    result = audit(2815, paid)
    assert [(item.rule, item.severity) for item in result.findings] == [
        ("double_patient_share", Severity.WARN)
    ]
    assert result.outcome == "as_expected"


def test_a_copay_above_the_allowed_amount_is_told() -> None:
    paid = payment(6000, 0, ("CO", "45", 3000), ("PR", "3", 4000), allowed=3000)
    assert "patient_share_above_allowed" in rule_ids(audit(3000, paid))


@pytest.mark.parametrize(
    ("name", "taken", "told"),
    [
        ("medicare-part-b", 48, False),
        ("medicare-part-b", 49, False),  # a cent of rounding
        ("medicare-part-b", 50, True),
        ("medicare-part-b", 0, True),
        ("commercial", 0, False),
        ("commercial", 48, True),
    ],
)
def test_sequestration_is_checked(name: str, taken: int, told: bool) -> None:
    reductions = (("CO", "253", taken),) if taken else ()
    paid = payment(6000, 2414 - taken, ("CO", "45", 2983), ("PR", "2", 603), *reductions)
    result = audit(3017, paid, name)
    assert rule_ids(result) == (["sequestration"] if told else [])
    assert result.outcome == "as_expected"


def test_the_tolerance_is_the_policys() -> None:
    exact = changed("commercial", "audit", tolerance_cents=0, tolerance_basis_points=0)
    result = audit_payment(expected(2815), payment(6000, 2814, ("CO", "45", 3186)), exact)
    assert (result.outcome, result.shortfall) == ("underpaid", 1)


def test_no_personal_data_only_numbers_of_claim_and_remittance() -> None:
    result = audit(2815, payment(6000, 2210, ("CO", "45", 3790)))
    assert result.findings[0].evidence == ("GC0000000000XA", "remittance/7/1")


@given(
    rate=st.integers(1, 20_000),
    charge=st.integers(1, 20_000),
    deductible=st.integers(0, 5_000),
    copay=st.integers(0, 5_000),
    percent=st.integers(0, 100),
    said=st.booleans(),
)
def test_a_payment_split_as_expected_is_audited_as_expected(
    rate: int, charge: int, deductible: int, copay: int, percent: int, said: bool
) -> None:
    allowed = min(rate, charge)
    split = payment_split(
        Cents(charge),
        Cents(allowed),
        deductible=Cents(deductible),
        copay=Cents(copay),
        coinsurance_percent=percent,
        sequestration_basis_points=200,
    )
    paid = payment(
        charge,
        split.paid,
        ("CO", "45", split.contractual),
        ("PR", "1", split.deductible),
        ("PR", "3", split.copay),
        ("PR", "2", split.coinsurance),
        ("CO", "253", split.sequestration),
        allowed=allowed if said else None,
    )
    result = audit(allowed, paid, "medicare-part-b")
    assert (result.outcome, result.shortfall, result.patient) == ("as_expected", 0, split.patient)
    assert set(rule_ids(result)) <= {"double_patient_share"}


@given(allowed=st.integers(0, 6000), agreed=st.integers(0, 6000))
def test_the_shortfall_is_the_difference_or_nothing(allowed: int, agreed: int) -> None:
    result = audit(agreed, payment(6000, allowed, ("CO", "45", 6000 - allowed)))
    tolerance = COMMERCIAL.audit.tolerance(Cents(agreed))
    if abs(agreed - allowed) <= tolerance:
        assert (result.outcome, result.shortfall) == ("as_expected", 0)
    else:
        assert result.shortfall == agreed - allowed
        assert result.outcome == ("underpaid" if agreed > allowed else "overpaid")


def test_a_qualified_beneficiarys_share_is_part_of_what_medicare_allowed() -> None:
    """Of 30.85 the 6.17 of a qualified beneficiary come as OA-209: nobody is short of them, and
    sequestration is 2 % of the other 24.68, 0.49."""
    cuts = (("CO", "45", 2915), ("OA", "209", 617), ("CO", "253", 49))
    for allowed in (3085, None):
        result = audit(3085, payment(6000, 2419, *cuts, allowed=allowed), "medicare-part-b")
        assert (result.outcome, result.allowed, result.shortfall) == ("as_expected", 3085, 0)
        assert result.findings == ()
