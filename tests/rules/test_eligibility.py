from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from groupclaim.lifecycle.events import Held
from groupclaim.model.finding import Severity
from groupclaim.model.patient import CoverageCall
from groupclaim.policy.payer import (
    DiagnosisRule,
    EligibilityRule,
    PayerPolicy,
    ReferralRule,
    SessionFrequency,
)
from groupclaim.rules.eligibility import (
    Administrator,
    Benefit,
    BenefitReading,
    BenefitResponse,
    answer_is_stale,
    coverage_limits,
    coverage_on_file,
    read_benefits,
    with_call,
)
from groupclaim.rules.holding import held
from tests.rules.made import STARTS, eligibility, facts, policy


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
    assert rules(read(eb("6", "30"), eb("1", "98"), eb("6", "MH"))) == ["coverage_inactive"]
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


ADMINISTRATOR = Administrator(role="X3", name="Elsewhere Behavioral", payer_id="ELSE1")


def test_scenario_12_a_carve_out_names_the_administrator_to_ask() -> None:
    reading = read(eb("1", "30"), eb("U", "MH", administrator=ADMINISTRATOR))
    assert reading.administrator == ADMINISTRATOR
    assert rules(reading) == ["carve_out"]
    hold = held(reading.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("CARVE_OUT", False)
    assert "Elsewhere Behavioral" in reading.findings[0].sentence
    assert "payer_id ELSE1" in reading.findings[0].fix
    assert reading.answer is not None
    assert not reading.answer.active


@pytest.mark.parametrize(
    ("benefits", "found"),
    [
        ((eb("1", "98"), eb("U", "MH", administrator=ADMINISTRATOR)), ["carve_out"]),
        ((eb("U", "30", administrator=ADMINISTRATOR),), ["carve_out"]),
        # Many payers call the benefit active and name who administers it.
        ((eb("1", "30"), eb("1", "MH", administrator=ADMINISTRATOR)), ["carve_out"]),
        ((eb("1", "30", administrator=ADMINISTRATOR),), []),
        ((eb("1", "MH"), eb("1", "A6", administrator=ADMINISTRATOR)), []),
        ((eb("1", "MH"), eb("U", "MH", administrator=ADMINISTRATOR)), []),
        ((eb("1", "MH"), eb("U", "30", administrator=ADMINISTRATOR)), []),
        ((eb("1", "30"), eb("U", "MH")), []),
    ],
)
def test_when_another_administers(benefits: tuple[Benefit, ...], found: list[str]) -> None:
    assert rules(read(*benefits)) == found


@pytest.mark.parametrize(
    "nobody",
    [
        {"role": "P3", "name": "A Primary Care Doctor", "payer_id": "X"},
        {"role": "PR", "name": "Under Another Name", "payer_id": "PLACEBO"},
        {"role": "PR", "name": "placebo  PLAN"},
    ],
)
def test_a_primary_care_doctor_or_the_payer_itself_is_no_carve_out(nobody: dict[str, str]) -> None:
    reading = read(eb("1", "MH", administrator=Administrator(**nobody)))
    assert (rules(reading), reading.administrator) == ([], None)


def medicare(*benefits: Benefit) -> BenefitReading:
    payer = facts().payer.model_copy(update={"filing_indicator": "MB"})
    return read_benefits(
        BenefitResponse(member_id="MEMBER1", benefits=benefits), facts(payer=payer), "90853", STARTS
    )


@pytest.mark.parametrize(
    ("information", "insurance_type"), [("R", "HN"), ("R", "PR"), ("U", "HN"), ("1", "HN")]
)
def test_medicare_advantage_found_on_a_medicare_inquiry(
    information: str, insurance_type: str
) -> None:
    plan = Administrator(role="PRP", name="Madeup Advantage", payer_id="MADV")
    named = eb(information, "30", insurance_type=insurance_type, administrator=plan)
    reading = medicare(eb("1", "30", insurance_type="MB"), named)
    assert rules(reading) == ["medicare_advantage"]
    assert "Madeup Advantage, payer id MADV" in reading.findings[0].sentence
    assert reading.administrator == plan
    hold = held(reading.findings)
    assert hold is not None
    assert (hold.code, hold.releasable) == ("MEDICARE_ADVANTAGE", False)


def test_what_is_no_medicare_advantage() -> None:
    assert rules(medicare(eb("1", "30", insurance_type="MB"))) == []
    assert rules(read(eb("1", "30", insurance_type="HN"))) == []
    ended = eb("R", "30", insurance_type="HN", last_day=date(2026, 1, 31))
    assert rules(medicare(eb("1", "30", insurance_type="MB"), ended)) == []
    secondary = eb("R", "30", insurance_type="12")
    assert rules(medicare(eb("1", "30", insurance_type="MB"), secondary)) == ["other_payer_named"]


@pytest.mark.parametrize("excluded", ["I", "E"])
def test_an_active_plan_that_excludes_the_service_is_told_to_the_patient(excluded: str) -> None:
    for reading in (
        read(eb("1", "30"), eb(excluded, "MH")),
        read(eb("1", "MH"), eb(excluded, procedure_code="90853")),
    ):
        assert rules(reading) == ["service_not_covered"]
        assert held(reading.findings).code == "NOT_COVERED"
    assert rules(read(eb("6", "30"), eb(excluded, "MH"))) == ["coverage_inactive"]


# --- visits, referral, diagnosis, frequency


def limit(quantity: int, qualifier: str = "VS", period: str = "29", kind: str = "MH") -> Benefit:
    return eb("F", kind, period=period, quantity_qualifier=qualifier, quantity=Decimal(quantity))


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ((), None),
        ((limit(5),), 5),
        ((limit(5), limit(2)), 2),
        ((limit(30, period="23"),), None),
        ((limit(30, period="23"), limit(28, "99", "24")), 2),
        ((limit(30, period="23"), limit(31, "99", "24")), 0),
        ((limit(0, kind="98"),), None),
    ],
)
def test_visits_left(limits: tuple[Benefit, ...], left: int | None) -> None:
    answer = read(eb("1", "30"), *limits).answer
    assert answer is not None
    assert answer.visits_remaining == left


def limited(rules_of: Any = None, **changes: Any) -> tuple[list[str], str | None]:
    answer = changes.pop("answer", None) or eligibility()
    findings = coverage_limits(answer, facts(**changes), rules_of or policy())
    hold = held(findings)
    return [item.rule for item in findings], hold.code if hold else None


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (0, (["visits_exhausted"], "VISITS_EXHAUSTED")),
        (1, (["visits_running_out"], None)),
        (3, (["visits_running_out"], None)),
        (4, ([], None)),
        (None, ([], None)),
    ],
)
def test_the_last_visits(left: int | None, expected: tuple[list[str], str | None]) -> None:
    assert limited(answer=eligibility(visits_remaining=left)) == expected


def ruled(**groups: Any) -> PayerPolicy:
    cited = {"source": "an invented manual", "verified": False}
    kinds = {"referral": ReferralRule, "diagnoses": DiagnosisRule, "frequency": SessionFrequency,
             "eligibility": EligibilityRule}  # fmt: skip
    update = {name: kinds[name](**cited, **values) for name, values in groups.items()}
    return policy().model_copy(update=update)


def test_a_referral_is_asked_for_by_policy_or_by_the_payer() -> None:
    missing = (["referral_missing"], "REFERRAL_REQUIRED")
    asked = ruled(referral={"required": True})
    assert limited(asked) == missing
    assert limited(answer=eligibility(referral_required=True)) == missing
    assert limited(asked, answer=eligibility(referral_required=False)) == ([], None)
    on_file = facts().coverage.model_copy(update={"referral": "REF1"})
    assert limited(asked, coverage=on_file) == ([], None)


def test_only_the_policys_own_word_on_referrals_can_be_waived() -> None:
    by_policy = coverage_limits(eligibility(), facts(), ruled(referral={"required": True}))
    assert held(by_policy) == Held(code="REFERRAL_REQUIRED", releasable=True, two_people=True)
    by_payer = coverage_limits(eligibility(referral_required=True), facts(), policy())
    assert held(by_payer) == Held(code="REFERRAL_REQUIRED", releasable=False)


def test_diagnoses_the_payer_does_not_cover() -> None:
    held_for = (["diagnosis_not_covered"], "DIAGNOSIS_NOT_COVERED")
    assert limited(ruled(diagnoses={"not_covered": ("F33", "F41")})) == held_for
    assert limited(ruled(diagnoses={"not_covered": ("F33",)})) == ([], None)


@pytest.mark.parametrize(
    ("diagnoses", "stops"),
    [
        (("F72",), True),
        (("F331", "F730"), True),
        (("F71",), False),
        (("F331", "F411"), False),
    ],
)
def test_a_diagnosis_with_which_medicare_sees_no_benefit_stops_beside_any_other(
    diagnoses: tuple[str, ...], stops: bool
) -> None:
    plan = facts().plan
    assert plan is not None
    found = limited(
        policy("medicare-part-b"), plan=plan.model_copy(update={"diagnoses": diagnoses})
    )
    assert found == ((["diagnosis_not_covered"], "DIAGNOSIS_NOT_COVERED") if stops else ([], None))


def test_a_rule_on_diagnoses_names_some() -> None:
    with pytest.raises(ValueError, match="needs not_covered or cannot_benefit"):
        ruled(diagnoses={})


@pytest.mark.parametrize(
    ("per", "days", "reached"),
    [
        ("week", ("2026-02-02",), True),
        ("week", ("2026-02-01",), False),
        ("week", ("2026-02-05",), False),
        ("month", ("2026-02-01",), True),
        ("month", ("2026-01-31",), False),
    ],
)
def test_more_sessions_than_the_payer_pays(per: str, days: tuple[str, ...], reached: bool) -> None:
    one = ruled(frequency={"most": 1, "per": per})
    found = limited(one, other_session_days=tuple(date.fromisoformat(day) for day in days))
    assert found == ((["frequency_exceeded"], "FREQUENCY_EXCEEDED") if reached else ([], None))


# --- how old an answer may be


@pytest.mark.parametrize(
    ("asked", "rule", "stale"),
    [
        ("2026-01-04T09:00:00-06:00", None, False),
        ("2026-01-03T09:00:00-06:00", None, True),
        ("2026-01-31T09:00:00-06:00", {"answer_days": 3}, False),
        ("2026-01-30T09:00:00-06:00", {"answer_days": 3}, True),
        ("2026-01-31T23:30:00-06:00", {"answer_days": 30, "each_month": True}, True),
        ("2026-02-01T00:30:00-06:00", {"answer_days": 30, "each_month": True}, False),
        ("2026-02-20T09:00:00-06:00", {"answer_days": 1}, False),
    ],
)
def test_when_the_payer_is_asked_again(
    asked: str, rule: dict[str, Any] | None, stale: bool
) -> None:
    answer = eligibility(checked_at=datetime.fromisoformat(asked))
    rules_of = ruled(eligibility=rule) if rule else policy().model_copy(
        update={"eligibility": None}
    )  # fmt: skip
    assert answer_is_stale(facts(eligibility=answer), rules_of) is stale


def test_without_an_answer_nothing_is_stale() -> None:
    assert not answer_is_stale(facts(eligibility=None), policy())


# --- by telephone


def call(**changes: Any) -> CoverageCall:
    values = {
        "patient": "P1",
        "payer": "the-payer",
        "reference": "CALL-1",
        "person": "Invented Agent",
        "called_at": STARTS,
        "from": date(2026, 2, 1),
        "to": date(2026, 2, 28),
        "active": True,
        "authorization_required": "N",
    }
    return CoverageCall.model_validate(values | changes)


def by_telephone(reading: BenefitReading, **changes: Any) -> BenefitReading:
    return with_call(reading, facts(coverage_calls=(call(**changes),)))


@pytest.mark.parametrize(
    "said",
    [(), (eb("6", "MH"),), (eb("I", "MH"), eb("1", "30"))],
)
def test_a_call_is_evidence_where_the_271_finds_no_coverage(said: tuple[Benefit, ...]) -> None:
    reading = by_telephone(read(*said))
    assert rules(reading) == ["coverage_by_telephone"]
    assert "CALL-1" in reading.findings[0].sentence
    assert "Invented Agent" not in reading.findings[0].model_dump_json()
    assert reading.answer is not None
    assert (reading.answer.active, reading.answer.call) == (True, "CALL-1")
    assert reading.answer.authorization_required == "N"


def test_a_call_answers_for_a_payer_whose_system_is_silent() -> None:
    reading = by_telephone(read(rejections=("42",)), copay_cents=1500)
    assert reading.answer is not None
    assert (reading.answer.active, reading.answer.copay) == (True, 1500)
    inactive = by_telephone(read(rejections=("42",)), active=False)
    assert held(inactive.findings).code == "COVERAGE_INACTIVE"


def test_a_call_settles_what_the_271_leaves_open_and_no_more() -> None:
    open_answer = by_telephone(read(eb("1", "MH")), visits_remaining=7, referral_required=True)
    assert open_answer.answer is not None
    assert open_answer.answer.authorization_required == "N"
    assert (open_answer.answer.visits_remaining, open_answer.answer.referral_required) == (7, True)
    stated = by_telephone(read(eb("1", "MH", authorization="Y"), limit(2)), visits_remaining=7)
    assert stated.answer is not None
    assert stated.answer.authorization_required == "Y"
    assert stated.answer.visits_remaining == 2


def test_a_call_never_overrules_that_another_pays() -> None:
    reading = by_telephone(read(eb("U", "MH", administrator=ADMINISTRATOR)))
    assert held(reading.findings).code == "CARVE_OUT"


def test_a_call_that_says_no_warns_beside_a_271_that_says_yes() -> None:
    reading = by_telephone(read(eb("1", "MH")), active=False)
    assert rules(reading) == ["coverage_by_telephone", "coverage_contradicted"]
    assert held(reading.findings) is None


@pytest.mark.parametrize("other", [{"patient": "P2"}, {"payer": "other"}, {"to": date(2026, 2, 2)}])
def test_a_call_about_something_else_says_nothing(other: dict[str, Any]) -> None:
    reading = read(eb("6", "MH"))
    assert by_telephone(reading, **other) == reading


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
    assert reading.answer is not None
    assert reading.answer.qualified_medicare_beneficiary
    assert not read(eb("1", "30")).answer.qualified_medicare_beneficiary


@pytest.mark.parametrize("missing", ["payer", "coverage"])
def test_nothing_on_file_covers_the_day(missing: str) -> None:
    hold = held(coverage_on_file(facts(**{missing: None})))
    assert hold is not None
    assert (hold.code, hold.releasable) == ("COVERAGE_INACTIVE", False)
    assert coverage_on_file(facts()) == ()
