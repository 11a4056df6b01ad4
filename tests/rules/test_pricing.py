from datetime import date
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.model.finding import Finding
from groupclaim.model.money import Cents
from groupclaim.model.practice import (
    Contract,
    FeeScheduleContract,
    PercentOfChargeContract,
    PercentOfMedicareContract,
    PerDiemContract,
)
from groupclaim.rules.pricing import (
    Expected,
    expected_allowed,
    expected_claim,
    expected_split,
    fee_in_force,
    payment_split,
)
from tests.rules.made import (
    SCHEDULE,
    changed,
    clinician,
    eligibility,
    facts,
    fee,
    licence,
    location,
    medicare_contract,
    medicare_facts,
    policy,
    policy_split,
    rates,
)

CENTS = st.integers(0, 1_000_000).map(Cents)


def price(the_facts: object, name: str = "commercial") -> Expected:
    expected = expected_allowed(the_facts, policy(name), SCHEDULE, "90853")  # type: ignore[arg-type]
    assert isinstance(expected, Expected)
    return expected


def test_the_contract_gives_the_rate_by_licence() -> None:
    assert price(facts()).allowed == 2815
    assert price(facts(clinician=clinician(licence("lcsw")))).allowed == 2400


def test_a_rate_for_any_licence_serves_where_none_is_named() -> None:
    contract = rates(("lcsw", 2400), (None, 2600))
    assert price(facts(contracts=(contract,))).allowed == 2600
    lcsw = facts(contracts=(contract,), clinician=clinician(licence("lcsw")))
    assert price(lcsw).allowed == 2400


def test_the_lesser_of_charge_and_rate() -> None:
    expected = price(facts(fees=(fee(2000),)))
    assert (expected.allowed, expected.rate, expected.charge) == (2000, 2815, 2000)
    assert expected.working.endswith("the lesser of it and the charge 20.00: 20.00")


@pytest.mark.parametrize(
    ("locality", "state", "kind", "allowed"),
    [
        ("VA-00", "VA", "psychologist", 3017),  # scenario 18
        ("TX-11", "TX", "lcsw", 2289),  # scenario 19: 75 % of 30.52
        ("TX-31", "TX", "psychologist", 3085),
        ("TX-31", "TX", "nurse_practitioner", 2622),
        ("VA-00", "VA", "lmft", 2263),
        ("VA-00", "VA", "lpc", 2263),
        ("VA-00", "VA", "psychiatrist", 3017),
    ],
)
def test_medicare_pays_by_locality_and_licence(
    locality: str, state: str, kind: str, allowed: int
) -> None:
    expected = price(medicare_facts(locality, state, kind), "medicare-part-b")
    assert expected.allowed == allowed
    assert expected.method == "medicare_physician_fee_schedule"
    assert locality in expected.working


@pytest.mark.parametrize(("place", "allowed"), [("11", 3085), ("19", 2449), ("22", 2449)])
def test_a_facility_is_paid_less(place: str, allowed: int) -> None:
    room = location("TX", "TX-31", place)
    the_facts = medicare_facts("TX-31", "TX", "psychologist", location=room)
    assert price(the_facts, "medicare-part-b").allowed == allowed


def test_the_latest_fee_and_contract_count() -> None:
    older = rates((None, 1000), first=date(2025, 1, 1))
    other = older.model_copy(update={"payer": "other-payer", "effective_from": date(2026, 2, 1)})
    the_facts = facts(
        contracts=(older, rates((None, 2000)), other),
        fees=(fee(5000, date(2025, 1, 1)), fee(6000), fee(7000, date(2026, 2, 4))),
    )
    assert price(the_facts).rate == 2000
    in_force = fee_in_force(the_facts, "90853")
    assert in_force is not None
    assert in_force.cents == 6000
    assert fee_in_force(the_facts, "90834") is None


@pytest.mark.parametrize(
    ("the_facts", "name", "rule"),
    [
        (facts(fees=()), "commercial", "no_fee"),
        (facts(contracts=()), "commercial", "no_contract"),
        (facts(payer=None), "commercial", "no_contract"),
        (facts(location=location("VA")), "commercial", "no_licence_to_price"),
        (facts(contracts=(rates(("lcsw", 1)),)), "commercial", "no_rate"),
        (medicare_facts("CA-05", "TX", "lcsw"), "medicare-part-b", "no_rate"),
        (medicare_facts("TX-31", "TX", "lpc_associate"), "medicare-part-b", "no_rate"),
        (facts(contracts=(medicare_contract(),)), "commercial", "no_rate"),
    ],
)
def test_what_nobody_can_price_is_a_finding(the_facts: object, name: str, rule: str) -> None:
    finding = expected_allowed(the_facts, policy(name), SCHEDULE, "90853")  # type: ignore[arg-type]
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.hold, finding.releasable) == (rule, "NO_RATE", False)


@pytest.mark.parametrize(
    ("allowed", "patient", "sequestration", "paid"),
    [
        (3039, 608, 49, 2382),  # domain reference 10.4
        (2279, 456, 36, 1787),
        (2583, 517, 41, 2025),
        (3017, 603, 48, 2366),
        (2815, 563, 45, 2207),
        (3085, 617, 49, 2419),
        (2263, 453, 36, 1774),
    ],
)
def test_medicares_split(allowed: int, patient: int, sequestration: int, paid: int) -> None:
    split = policy_split(Cents(6000), Cents(allowed), policy("medicare-part-b"))
    assert (split.patient, split.sequestration, split.paid) == (patient, sequestration, paid)
    assert split.contractual == 6000 - allowed


def test_sequestration_takes_from_the_payers_part_after_the_deductible() -> None:
    """The contractor's example: 100 allowed, 50 deductible left, 39.20 paid."""
    split = policy_split(Cents(10000), Cents(10000), policy("medicare-part-b"), Cents(5000))
    assert (split.deductible, split.coinsurance, split.sequestration, split.paid) == (
        5000,
        1000,
        80,
        3920,
    )


def test_a_payer_without_a_coinsurance_of_its_own_leaves_nothing_to_the_patient() -> None:
    split = policy_split(Cents(6000), Cents(2815), policy("commercial"))
    assert (split.patient, split.sequestration, split.paid) == (0, 0, 2815)


def test_a_copay_above_the_allowed_amount_is_cut_to_it() -> None:
    split = payment_split(Cents(6000), Cents(3000), copay=Cents(4000))
    assert (split.copay, split.paid) == (3000, 0)


def test_without_any_share_the_payer_pays_what_it_allows() -> None:
    split = payment_split(Cents(6000), Cents(3000))
    assert (split.patient, split.sequestration, split.paid) == (0, 0, 3000)


@given(
    charge=CENTS,
    part=st.integers(0, 100),
    deductible=CENTS,
    copay=CENTS,
    percent=st.integers(0, 100),
    basis_points=st.integers(0, 10_000),
)
def test_the_parts_always_add_up_to_the_charge(
    charge: Cents, part: int, deductible: Cents, copay: Cents, percent: int, basis_points: int
) -> None:
    allowed = charge.share(part, 100)
    split = payment_split(
        charge,
        allowed,
        deductible=deductible,
        copay=copay,
        coinsurance_percent=percent,
        sequestration_basis_points=basis_points,
    )
    assert split.total == charge
    parts = (
        split.contractual,
        split.deductible,
        split.copay,
        split.coinsurance,
        split.sequestration,
        split.paid,
    )
    assert min(parts) >= 0
    assert split.patient <= allowed
    assert split.contractual == charge - allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"charge": 100, "allowed": 101},
        {"charge": 100, "allowed": -1},
        {"charge": 100, "allowed": 50, "deductible": -1},
        {"charge": 100, "allowed": 50, "copay": -1},
        {"charge": 100, "allowed": 50, "coinsurance_percent": 101},
        {"charge": 100, "allowed": 50, "coinsurance_percent": -1},
        {"charge": 100, "allowed": 50, "sequestration_basis_points": -1},
        {"charge": 100, "allowed": 50, "sequestration_basis_points": 10_001},
    ],
)
def test_impossible_amounts_are_refused(wrong: dict[str, int]) -> None:
    amounts = {
        key: value if key.endswith(("percent", "points")) else Cents(value)
        for key, value in wrong.items()
    }
    with pytest.raises(ValueError, match="needs"):
        payment_split(**amounts)  # type: ignore[arg-type]


def test_a_policy_may_set_another_coinsurance() -> None:
    half = changed("medicare-part-b", "coinsurance", percent=50)
    assert policy_split(Cents(6000), Cents(3000), half).coinsurance == 1500


# --- other methods of contracts


def contract(method: type, **values: object) -> Any:
    names: dict[type, str] = {
        FeeScheduleContract: "fee_schedule",
        PercentOfMedicareContract: "percent_of_medicare",
        PercentOfChargeContract: "percent_of_charge",
        PerDiemContract: "per_diem",
    }
    return method.model_validate(  # type: ignore[attr-defined]
        {"payer": "the-payer", "from": "2026-01-01", "method": names[method]} | values
    )


def priced(agreed: Contract, kind: str = "psychologist", place: str = "11") -> Expected:
    return price(
        facts(
            contracts=(agreed,),
            clinician=clinician(licence(kind)),
            location=location("TX", "TX-31", place),
        )
    )


@pytest.mark.parametrize(
    ("percent", "year", "kind", "allowed"),
    [
        (100, None, "psychologist", 3085),
        (110, None, "psychologist", 3394),  # 30.85 x 1.1 = 33.935
        (110, 2026, "psychologist", 3394),
        (110, 2025, "psychologist", 3122),  # frozen: 28.38 x 1.1 = 31.218
        (110, 2025, "lcsw", 2342),  # 31.22 x 75 % = 23.415
        (300, 2025, "psychologist", 6000),  # 85.14: the charge is less
    ],
)
def test_a_percentage_of_medicare_of_the_named_year(
    percent: int, year: int | None, kind: str, allowed: int
) -> None:
    expected = priced(
        contract(
            PercentOfMedicareContract, percent=percent, year=year, licence_percent={"lcsw": 75}
        ),
        kind,
    )
    assert expected.allowed == allowed
    assert f"schedule {year or 2026}, TX-31" in expected.working
    assert f"{percent} % by contract" in expected.working


def test_a_year_without_a_schedule_is_not_priced() -> None:
    agreed = contract(PercentOfMedicareContract, percent=100, year=2024)
    finding = expected_allowed(facts(contracts=(agreed,)), policy(), SCHEDULE, "90853")
    assert isinstance(finding, Finding)
    assert "2024" in finding.sentence


@pytest.mark.parametrize(("place", "allowed"), [("10", 3085), ("11", 3085), ("02", 2449)])
def test_without_a_schedule_of_the_payer_the_national_table_tells_the_setting(
    place: str, allowed: int
) -> None:
    assert priced(contract(PercentOfMedicareContract, percent=100), place=place).allowed == allowed


@pytest.mark.parametrize(("percent", "allowed"), [(100, 6000), (45, 2700), (1, 60)])
def test_a_percentage_of_the_charge(percent: int, allowed: int) -> None:
    expected = priced(contract(PercentOfChargeContract, percent=percent))
    assert expected.allowed == allowed
    assert f"{percent} % of the charge 60.00" in expected.working


def test_a_per_diem_pays_nothing_apart() -> None:
    expected = priced(contract(PerDiemContract, includes=["90853"]))
    assert (expected.allowed, expected.rate, expected.method) == (0, 0, "per_diem")
    assert "as a whole" in expected.working


RATES = [
    {"code": "90853", "cents": 3000},
    {"code": "90853", "cents": 2500, "setting": "facility"},
    {"code": "90853", "cents": 2900, "modifier": "95"},
    {"code": "90853", "cents": 2000, "licence": "lcsw"},
]


@pytest.mark.parametrize(
    ("kind", "place", "modifiers", "allowed"),
    [
        ("psychologist", "11", (), 3000),
        ("psychologist", "22", (), 2500),
        ("psychologist", "11", ("95",), 2900),
        ("psychologist", "22", ("95",), 2900),  # a modifier says more than a setting
        ("lcsw", "11", (), 2000),  # a rate of the licence is not reduced again
        ("lcsw", "22", ("95",), 2000),
        ("lmft", "11", (), 2250),  # 75 % of the rate for any licence
    ],
)
def test_the_rate_that_says_most_of_the_line_counts(
    kind: str, place: str, modifiers: tuple[str, ...], allowed: int
) -> None:
    agreed = contract(FeeScheduleContract, rates=RATES, licence_percent={"lmft": 75, "lcsw": 75})
    the_facts = facts(contracts=(agreed,), clinician=clinician(licence(kind)))
    expected = expected_allowed(
        the_facts, policy(), SCHEDULE, "90853", place=place, modifiers=modifiers
    )
    assert isinstance(expected, Expected)
    assert expected.allowed == allowed


class Line(NamedTuple):
    code: str
    units: int = 1
    modifiers: tuple[str, ...] = ()
    place_of_service: str = "11"


def test_a_claim_is_the_sum_of_its_lines() -> None:
    the_facts = medicare_facts("US-00", "TX", "psychologist").model_copy(
        update={"fees": (fee(), fee(2000).model_copy(update={"code": "90785"}))}
    )
    medicare = policy("medicare-part-b")
    both = expected_claim(the_facts, medicare, SCHEDULE, (Line("90853"), Line("90785")))
    assert isinstance(both, Expected)
    assert (both.allowed, both.charge) == (3039 + 1470, 8000)
    assert "[90853 x 1: " in both.working
    twice = expected_claim(the_facts, medicare, SCHEDULE, (Line("90853", units=2),))
    assert isinstance(twice, Expected)
    assert (twice.allowed, twice.charge) == (6078, 12000)
    one = expected_claim(the_facts, medicare, SCHEDULE, (Line("90853"),))
    assert one == expected_allowed(the_facts, medicare, SCHEDULE, "90853")
    missing = expected_claim(the_facts, medicare, SCHEDULE, (Line("90853"), Line("90834")))
    assert isinstance(missing, Finding)
    assert missing.rule == "no_fee"


# --- workings


def test_medicares_working_can_be_checked_by_hand() -> None:
    expected = price(medicare_facts("TX-11", "TX", "lcsw"), "medicare-part-b")
    assert expected.working == (
        "Medicare physician fee schedule 2026, TX-11, non-facility: (0.67 x 1.009 + 0.23 x 0.996 + "
        "0.01 x 0.858) x 33.4009 = 30.52; 75 % for lcsw = 22.89; the lesser of it and the charge "
        "60.00: 22.89"
    )


def test_the_working_of_a_split() -> None:
    split = policy_split(Cents(6000), Cents(3017), policy("medicare-part-b"), Cents(1000))
    assert split.working == (
        "allowed 30.17 - deductible 10.00 = 20.17; copay 0.00; 20 % coinsurance of 20.17 = 4.03; "
        "payer's part 20.17 - 0.00 - 4.03 = 16.14; sequestration 2 % = 0.32; paid 15.82"
    )


@pytest.mark.parametrize(
    ("benefit", "name", "patient", "paid"),
    [
        ({"copay": Cents(1500)}, "commercial", 1500, 1315),
        ({"coinsurance_percent": 20}, "commercial", 563, 2252),
        ({}, "commercial", 0, 2815),
        ({}, "medicare-part-b", 563, 2207),  # the policy's own 20 % and sequestration
        ({"coinsurance_percent": 0}, "medicare-part-b", 0, 2759),
        ({"copay": Cents(4000)}, "commercial", 2815, 0),  # never more than is allowed
    ],
)
def test_the_split_follows_the_patients_benefit_then_the_policy(
    benefit: dict[str, Any], name: str, patient: int, paid: int
) -> None:
    the_facts = facts(eligibility=eligibility(**benefit))
    split = expected_split(the_facts, policy(name), price(the_facts))
    assert (split.patient, split.paid) == (patient, paid)
    assert split.total == 6000
