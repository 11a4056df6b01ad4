from datetime import date, timedelta
from typing import Any

import pytest

from groupclaim.model.finding import Severity
from groupclaim.model.practice import LicenceKind
from groupclaim.rules.coding import Coded, code_claim
from groupclaim.rules.holding import held
from groupclaim.rules.pricing import expected_allowed
from tests.rules.made import (
    SCHEDULE,
    changed,
    clinician,
    facts,
    fee,
    licence,
    location,
    medicare_contract,
    medicare_facts,
    other_service,
    payer,
    plan,
    policy,
    rates,
)


def code(the_facts: Any = None, rules: Any = None, **options: Any) -> Coded:
    return code_claim(the_facts or facts(), rules or policy(), SCHEDULE, **options)


def rule_ids(coded: Coded) -> list[str]:
    return [finding.rule for finding in coded.findings]


def test_one_line_of_one_unit() -> None:
    coded = code()
    (line,) = coded.lines
    assert coded.findings == ()
    assert (line.code, line.units, line.modifiers, line.charge) == ("90853", 1, (), 6000)
    assert line.place_of_service == coded.place_of_service == "11"
    assert line.service_date == date(2026, 2, 3)
    assert coded.diagnoses == ("F331", "F411")
    assert line.diagnosis_pointers == (1, 2)


def test_the_diagnosis_of_the_note_comes_first_and_is_pointed_to() -> None:
    coded = code(diagnosis="F41.1")
    assert coded.diagnoses == ("F411", "F331")
    assert coded.lines[0].diagnosis_pointers == (1,)


@pytest.mark.parametrize("words", ["", "  ", "low mood", "F", "331F"])
def test_words_in_place_of_a_diagnosis_are_not_put_on_the_claim(words: str) -> None:
    coded = code(diagnosis=words)
    assert coded.diagnoses == ("F331", "F411")
    assert coded.lines[0].diagnosis_pointers == (1, 2)
    assert code(facts(plan=None), diagnosis=words).lines == ()


def test_a_line_points_to_at_most_four_of_at_most_twelve() -> None:
    many = tuple(f"F{number}" for number in range(10, 22))
    coded = code(facts(plan=plan(diagnoses=many)), diagnosis="F331")
    assert coded.diagnoses == ("F331", *many[:11])
    assert code(facts(plan=plan(diagnoses=many))).lines[0].diagnosis_pointers == (1, 2, 3, 4)


def test_without_any_diagnosis_there_is_no_line() -> None:
    coded = code(facts(plan=None))
    assert coded.lines == ()
    assert held(coded.findings, ("PLAN_INVALID",)).code == "PLAN_INVALID"
    assert code(facts(plan=None), diagnosis="F331").lines != ()


def test_modifiers_follow_payer_and_licence() -> None:
    wants_degree = changed(
        "texas-medicaid", "licences", modifiers={LicenceKind.PSYCHOLOGIST: ("AH",)}
    )
    assert code(rules=wants_degree).lines[0].modifiers == ("AH",)


# --- group size


@pytest.mark.parametrize(
    ("size", "rule", "hold", "releasable"),
    [
        (2, None, None, None),
        (10, None, None, None),
        (11, "group_size_review", "GROUP_SIZE_REVIEW", True),
        (12, "group_size_review", "GROUP_SIZE_REVIEW", True),
        # 12 is not verified for the practice's own contractor (T16): above it holds, it does not
        # forbid.
        (13, "group_size_exceeded", "GROUP_SIZE_EXCEEDED", True),
        (1, "group_of_fewer_than_two", "GROUP_OF_ONE", False),
        (None, "group_of_fewer_than_two", "GROUP_OF_ONE", False),
    ],
)
def test_scenario_1_the_size_of_the_room(
    size: int | None, rule: str | None, hold: str | None, releasable: bool | None
) -> None:
    the_facts = medicare_facts("TX-31", "TX", "psychologist", group_size=size)
    coded = code(the_facts, policy("medicare-part-b"))
    assert rule_ids(coded) == ([rule] if rule else [])
    found = held(coded.findings)
    assert (found and found.code, found and found.releasable) == (hold, releasable)
    if hold and releasable:
        assert held(coded.findings, (hold,)) is None


def test_a_verified_ceiling_forbids() -> None:
    verified = changed("medicare-part-b", "group_size", verified=True)
    coded = code(medicare_facts("TX-31", "TX", "psychologist", group_size=13), verified)
    assert held(coded.findings).releasable is False
    assert held(coded.findings, ("GROUP_SIZE_EXCEEDED",)) is not None
    # above the soft limit a person decides, whatever is verified
    coded = code(medicare_facts("TX-31", "TX", "psychologist", group_size=11), verified)
    assert held(coded.findings, ("GROUP_SIZE_REVIEW",)) is None


def test_without_a_known_ceiling_a_large_room_is_reviewed() -> None:
    coded = code(facts(group_size=30), policy("texas-medicaid"))
    assert rule_ids(coded) == ["group_size_review"]


def test_a_payer_may_want_a_larger_group() -> None:
    four = changed("commercial", "group_size", minimum=4)
    coded = code(facts(group_size=3), four)
    assert rule_ids(coded) == ["group_size_below_minimum"]
    assert held(coded.findings).code == "GROUP_SIZE_REVIEW"
    assert rule_ids(code(facts(group_size=4), four)) == []


def test_one_alone_is_never_waived() -> None:
    assert held(code(facts(group_size=1)).findings, ("GROUP_OF_ONE",)) is not None


@pytest.mark.parametrize(
    ("minutes", "instead"),
    [
        (15, ()),
        (16, ("90832",)),
        (37, ("90832",)),
        (38, ("90834",)),
        (52, ("90834",)),
        (53, ("90837",)),
        (120, ("90837",)),
    ],
)
def test_one_alone_may_have_had_individual_therapy(minutes: int, instead: tuple[str, ...]) -> None:
    assert code(facts(group_size=1, minutes=minutes)).suggestions == instead
    assert code(facts(group_size=2, minutes=minutes)).suggestions == ()


# --- licence


@pytest.mark.parametrize(
    "unlicensed",
    [
        {"clinician": clinician(licence("psychologist", "VA"))},
        {"clinician": clinician(licence("psychologist", valid_to="2026-02-02"))},
        {"clinician": clinician(licence("psychologist", valid_from="2026-02-04"))},
        {"location": location("VA")},
    ],
)
def test_no_licence_where_and_when_the_session_was(unlicensed: dict[str, Any]) -> None:
    coded = code(facts(**unlicensed))
    assert rule_ids(coded) == ["licence_not_valid"]
    assert coded.lines == ()
    # it can be asked for again, but not waived
    assert held(coded.findings).releasable
    assert held(coded.findings, ("LICENCE_NOT_ACCEPTED",)) is not None


def test_a_licence_the_payer_does_not_accept() -> None:
    counsellor = facts(clinician=clinician(licence("lpc")), contracts=(rates((None, 2000)),))
    refuses = changed("commercial", "licences", accepted=(LicenceKind.PSYCHOLOGIST,))
    coded = code(counsellor, refuses)
    assert rule_ids(coded) == ["licence_not_accepted"]
    assert held(coded.findings).code == "RENDERING_NOT_PAYABLE"
    assert held(coded.findings, ("RENDERING_NOT_PAYABLE",)) is None  # unverified: may be released
    verified = changed(
        "commercial", "licences", accepted=(LicenceKind.PSYCHOLOGIST,), verified=True
    )
    assert held(code(counsellor, verified).findings, ("RENDERING_NOT_PAYABLE",)) is not None


def _associate(supervised_by: str | None, name: str, **options: Any) -> Any:
    supervisor = (
        clinician(licence(supervised_by)).model_copy(update={"ref": "C9", "npi": "1999900107"})
        if supervised_by
        else None
    )
    return facts(
        payer=payer(name),
        clinician=clinician(licence("lpc_associate")),
        supervisor=supervisor,
        **options,
    )


def test_supervised_work_is_billed_under_the_supervisor_where_the_payer_says_so() -> None:
    the_facts = _associate("psychologist", "medicare-part-b", contracts=(medicare_contract(),))
    coded = code(the_facts, policy("medicare-part-b"))
    assert coded.findings == ()
    assert coded.rendering.ref == "C9"
    priced = expected_allowed(the_facts, policy("medicare-part-b"), SCHEDULE, "90853")
    assert priced.allowed == 3085  # at the supervisor's rate
    assert code().rendering.ref == "C1"


@pytest.mark.parametrize("supervisor", [None, "lcsw"])
def test_supervised_work_without_a_fitting_supervisor_is_held(supervisor: str | None) -> None:
    the_facts = _associate(supervisor, "medicare-part-b", contracts=(medicare_contract(),))
    coded = code(the_facts, policy("medicare-part-b"))
    assert rule_ids(coded) == ["supervisor_missing", "no_rate"]
    assert held(coded.findings).code == "RENDERING_NOT_PAYABLE"
    # and a waiver makes no rate
    assert held(coded.findings, ("RENDERING_NOT_PAYABLE",)).code == "NO_RATE"


def test_a_payer_that_pays_no_supervised_work() -> None:
    contracts = (rates((None, 2000)),)
    coded = code(
        _associate("psychologist", "texas-medicaid", contracts=contracts), policy("texas-medicaid")
    )
    assert rule_ids(coded) == ["supervised_not_billable"]
    assert coded.rendering.ref == "C1"
    assert held(coded.findings).code == "RENDERING_NOT_PAYABLE"


def test_of_two_licences_the_accepted_one_bills() -> None:
    both = clinician(licence("lpc_associate"), licence("psychologist"))
    assert code(facts(clinician=both)).findings == ()


# --- fee and contract


@pytest.mark.parametrize(
    ("missing", "rule"),
    [
        ({"fees": ()}, "no_fee"),
        ({"fees": (fee(last=date(2026, 2, 2)),)}, "no_fee"),
        ({"contracts": ()}, "no_contract"),
        ({"contracts": (rates((None, 1), last=date(2026, 2, 2)),)}, "no_contract"),
        ({"contracts": (rates(("lcsw", 2400)),)}, "no_rate"),
    ],
)
def test_without_fee_or_rate_nothing_leaves(missing: dict[str, Any], rule: str) -> None:
    coded = code(facts(**missing))
    assert rule_ids(coded) == [rule]
    hold = held(coded.findings)
    assert (hold.code, hold.releasable) == ("NO_RATE", True)
    assert held(coded.findings, ("NO_RATE",)) is not None


# --- other services of the day


@pytest.mark.parametrize("hours", [-3, 3])
def test_individual_therapy_without_a_note_of_its_own_stays_off_the_claim(hours: int) -> None:
    coded = code(facts(other_services=(other_service("90834", hours),)))
    assert rule_ids(coded) == ["not_distinct"]
    assert coded.findings[0].severity is Severity.WARN
    assert [line.code for line in coded.lines] == ["90853"]
    assert coded.lines[0].modifiers == ()
    assert held(coded.findings) is None


def test_individual_therapy_that_overlaps_is_told() -> None:
    coded = code(facts(other_services=(other_service("90834", 0.5, billed_elsewhere=True),)))
    assert "overlaps" in coded.findings[0].sentence
    assert coded.findings[0].severity is Severity.WARN
    assert held(coded.findings) is None


@pytest.mark.parametrize("hours_after", [-0.75, 1])
def test_one_right_before_or_after_the_group_does_not_overlap(hours_after: float) -> None:
    beside = other_service("90834", hours_after, billed_elsewhere=True)
    coded = code(facts(other_services=(beside,)))
    assert "59 or XE" in coded.findings[0].sentence
    assert coded.findings[0].severity is Severity.INFO


def test_individual_therapy_billed_elsewhere_is_only_noted() -> None:
    coded = code(facts(other_services=(other_service("90834", billed_elsewhere=True),)))
    assert [item.severity for item in coded.findings] == [Severity.INFO]


def test_a_payer_that_pays_only_one_of_both() -> None:
    denies = changed("commercial", "same_day", with_individual="deny")
    coded = code(facts(other_services=(other_service("90837"),)), denies)
    hold = held(coded.findings)
    assert (hold.code, hold.releasable) == ("SAME_DAY_SERVICE", True)
    allows = changed("commercial", "same_day", with_individual="allow")
    elsewhere = other_service("90837", billed_elsewhere=True)
    assert code(facts(other_services=(elsewhere,)), allows).findings == ()


@pytest.mark.parametrize("other", ["90839", "90840", "90846", "90847", "H0015", "G0410"])
def test_a_coder_looks_at_what_nobody_has_settled(other: str) -> None:
    coded = code(facts(other_services=(other_service(other),)))
    assert rule_ids(coded) == ["same_day_service"]
    assert held(coded.findings, ("SAME_DAY_SERVICE",)) is None


def test_two_groups_in_a_day_are_held() -> None:
    coded = code(facts(other_services=(other_service("90853", clinician="C2"),)))
    assert rule_ids(coded) == ["same_day_service"]
    assert "2 group sessions" in coded.findings[0].sentence
    twice = changed("commercial", "units", per_day=2)
    assert code(facts(other_services=(other_service("90853"),)), twice).findings == ()


@pytest.mark.parametrize(
    "irrelevant",
    [
        other_service("99213"),
        other_service("97150"),
        other_service("90834", patient="P2"),
        other_service("90834", hours_after=24),
        other_service("90834", clinician="C2"),  # NCCI pairs touch one clinician's services
    ],
)
def test_what_does_not_concern_the_claim_is_left_alone(irrelevant: Any) -> None:
    assert code(facts(other_services=(irrelevant,))).findings == ()


def test_the_day_is_the_local_one() -> None:
    """A service at 23:30 of the day before, in Chicago, is already the next day in UTC."""
    late = other_service("90853")
    starts = late.starts_at.replace(hour=23, minute=30) - timedelta(days=1)
    before = late.model_copy(
        update={"starts_at": starts, "ends_at": starts + timedelta(minutes=20)}
    )
    assert code(facts(other_services=(before,))).findings == ()
