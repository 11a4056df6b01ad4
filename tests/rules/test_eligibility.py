from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from groupclaim.model.finding import Severity
from groupclaim.rules.eligibility import (
    Benefit,
    BenefitReading,
    BenefitResponse,
    coverage_on_file,
    read_benefits,
)
from groupclaim.rules.holding import held
from tests.rules.made import STARTS, facts


def eb(information: str, *service_types: str, **values: Any) -> Benefit:
    return Benefit(information=information, service_types=service_types, **values)


def read(*benefits: Benefit, **response: Any) -> BenefitReading:
    return read_benefits(
        BenefitResponse(member_id="MEMBER1", benefits=benefits, **response),
        facts(),
        "90853",
        STARTS,
    )


def rules(reading: BenefitReading) -> list[str]:
    return [finding.rule for finding in reading.findings]


def test_an_active_plan_is_covered() -> None:
    reading = read(eb("1", "30", authorization="N"))
    assert reading.findings == ()
    assert reading.answer is not None
    assert reading.answer.active
    assert reading.answer.member_known
    assert reading.answer.authorization_required == "N"
    assert reading.answer.member_id == "MEMBER1"
    assert reading.answer.checked_at == STARTS


@pytest.mark.parametrize("information", ["1", "2", "3", "4", "5"])
def test_every_active_code_counts(information: str) -> None:
    reading = read(eb(information, "30"))
    assert reading.answer is not None
    assert reading.answer.active


@pytest.mark.parametrize("information", ["6", "7", "8", "I"])
def test_inactive_or_not_covered_holds_and_nobody_may_release_it(information: str) -> None:
    reading = read(eb(information, "30"))
    assert reading.answer is not None
    assert not reading.answer.active
    hold = held(reading.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("COVERAGE_INACTIVE", False)


def test_mental_health_counts_before_office_visit_before_the_plan() -> None:
    assert rules(read(eb("1", "30"), eb("1", "98"), eb("I", "MH"))) == ["coverage_inactive"]
    assert rules(read(eb("6", "30"), eb("1", "98"))) == []
    assert rules(read(eb("6", "30"), eb("6", "98"), eb("1", "A6"))) == []
    for service_type in ("MH", "A4", "A6", "A8", "CF"):
        assert rules(read(eb("1", "30"), eb("6", service_type))) == ["coverage_inactive"]


def test_a_benefit_of_the_procedure_counts_before_all() -> None:
    reading = read(
        eb("1", "MH", authorization="N"),
        eb("1", procedure_code="90853", authorization="Y"),
        eb("6", procedure_code="90834"),
    )
    assert reading.answer is not None
    assert reading.answer.active
    assert reading.answer.authorization_required == "Y"


def test_a_plan_not_in_force_on_the_day_is_no_coverage() -> None:
    ended = eb("1", "30", last_day=date(2026, 2, 2))
    begins = eb("1", "30", first_day=date(2026, 2, 4))
    assert rules(read(ended)) == ["coverage_inactive"]
    assert rules(read(begins)) == ["coverage_inactive"]
    assert rules(read(eb("6", "30", last_day=date(2026, 2, 2)))) == ["coverage_inactive"]
    assert rules(read(eb("1", "30", first_day=date(2026, 2, 3), last_day=date(2026, 2, 3)))) == []


def test_what_is_said_of_another_day_gives_way_to_what_is_said_of_this_one() -> None:
    past = eb("6", "MH", last_day=date(2025, 12, 31))
    assert rules(read(past, eb("1", "30"))) == []
    assert rules(read(eb("1", "MH", last_day=date(2025, 12, 31)), eb("6", "30"))) == [
        "coverage_inactive"
    ]


def test_some_covered_some_not_is_told_and_goes_on() -> None:
    reading = read(eb("1", "A6"), eb("I", "A4"))
    assert rules(reading) == ["coverage_mixed"]
    assert held(reading.findings) is None


@pytest.mark.parametrize(
    ("answers", "required"),
    [
        ((), "U"),
        ((("N", "MH"),), "N"),
        ((("N", "MH"), ("Y", "A6")), "Y"),
        ((("N", "MH"), ("U", "A6")), "U"),
        ((("Y", "30"), ("N", "MH")), "N"),
        ((("Y", "30"), ("", "MH")), "Y"),
    ],
)
def test_the_nearest_word_on_authorization_counts(
    answers: tuple[tuple[str, str], ...], required: str
) -> None:
    reading = read(
        eb("1", "30"), *(eb("1", kind, authorization=answer) for answer, kind in answers)
    )
    assert reading.answer is not None
    assert reading.answer.authorization_required == required


def test_what_the_patient_pays_is_read_in_network() -> None:
    reading = read(
        eb("1", "30"),
        eb("B", "98", cents=4000),
        eb("B", "MH", cents=1500, in_network="Y"),
        eb("B", "MH", cents=9000, in_network="N"),
        eb("A", "MH", percent=Decimal("0.2")),
    )
    assert reading.answer is not None
    assert (reading.answer.copay, reading.answer.coinsurance_percent) == (1500, 20)


def test_out_of_network_benefits_count_where_there_are_no_others() -> None:
    reading = read(eb("1", "30", in_network="N"), eb("B", "MH", cents=9000, in_network="N"))
    assert reading.answer is not None
    assert reading.answer.active
    assert reading.answer.copay == 9000


def test_a_percentage_that_is_not_whole_is_left_out() -> None:
    reading = read(eb("1", "30"), eb("A", "MH", percent=Decimal("0.125")))
    assert reading.answer is not None
    assert reading.answer.coinsurance_percent is None


@pytest.mark.parametrize("reason", ["72", "75", "71", "52"])
def test_a_rejected_question_holds_as_unknown(reason: str) -> None:
    reading = read(rejections=(reason,))
    assert rules(reading) == ["member_unknown"]
    assert reason in reading.findings[0].sentence
    assert reading.answer is not None
    assert (reading.answer.member_known, reading.answer.active) == (False, False)
    hold = held(reading.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("COVERAGE_UNKNOWN", False)


@pytest.mark.parametrize("reason", ["42", "80"])
def test_a_payer_out_of_order_is_asked_again(reason: str) -> None:
    reading = read(rejections=(reason,))
    assert reading.answer is None
    assert rules(reading) == ["eligibility_not_answered"]
    assert held(reading.findings) is None


def test_an_empty_answer_is_not_coverage() -> None:
    reading = read()
    assert rules(reading) == ["coverage_not_stated"]
    assert held(reading.findings) is not None


def test_a_carve_out_is_held_for_the_administrator() -> None:
    reading = read(eb("1", "30"), eb("U", "MH", administrator=True))
    assert rules(reading) == ["carve_out"]
    hold = held(reading.findings)
    assert hold is not None
    assert hold.code == "COVERAGE_UNKNOWN"
    assert rules(read(eb("1", "98"), eb("U", "MH", administrator=True))) == ["carve_out"]
    assert rules(read(eb("U", "30", administrator=True))) == ["carve_out"]
    assert rules(read(eb("1", "MH"), eb("U", "MH", administrator=True))) == []
    assert rules(read(eb("1", "MH"), eb("U", "30", administrator=True))) == []
    assert rules(read(eb("1", "30"), eb("U", "MH"))) == []


def test_a_reissued_member_id_is_told() -> None:
    reading = read_benefits(
        BenefitResponse(member_id="MEMBER2", benefits=(eb("1", "30"),)), facts(), "90853", STARTS
    )
    assert rules(reading) == ["member_id_changed"]
    assert held(reading.findings) is None
    assert reading.answer is not None
    assert reading.answer.member_id == "MEMBER2"
    assert "MEMBER" not in reading.findings[0].model_dump_json()


def test_a_qualified_medicare_beneficiary_owes_nothing() -> None:
    reading = read(eb("1", "30", insurance_type="QM"))
    assert [(item.rule, item.severity) for item in reading.findings] == [
        ("qualified_medicare_beneficiary", Severity.WARN)
    ]
    past = eb("1", "30", insurance_type="QM", last_day=date(2025, 12, 31))
    assert "qualified_medicare_beneficiary" not in rules(read(past, eb("1", "30")))


@pytest.mark.parametrize("missing", ["payer", "coverage"])
def test_nothing_on_file_covers_the_day(missing: str) -> None:
    hold = held(coverage_on_file(facts(**{missing: None})))
    assert hold is not None
    assert (hold.code, hold.releasable) == ("COVERAGE_INACTIVE", False)
    assert coverage_on_file(facts()) == ()
