"""Scenarios 4 to 9 of the domain reference (section 14), telehealth, and what stands beside 90853.

Each row gives the exact decision, the lines with their amounts, and the reasons.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Severity
from groupclaim.model.money import Cents
from groupclaim.model.practice import (
    Contract,
    Fee,
    FeeScheduleContract,
    LicenceKind,
    PerDiemContract,
)
from groupclaim.model.session import (
    Activity,
    Family,
    GroupSession,
    ProgressNote,
    RemotePart,
    RemoteParticipant,
)
from groupclaim.policy.edits import CodeEdits, EditPair
from groupclaim.policy.payer import PayerPolicy, PolicyBook
from groupclaim.policy.tables import packaged
from groupclaim.rules.coding import Coded, WithheldLine, code_claim
from groupclaim.rules.holding import held
from groupclaim.rules.pricing import Expected, expected_claim
from tests.rules.made import (
    BOOK,
    DAY,
    SCHEDULE,
    changed,
    facts,
    location,
    medicare_contract,
    medicare_facts,
    note,
    other_service,
    payer,
    policy,
)

ALL_CODES = {"90853": 2815, "90834": 9000, "90837": 12000, "90785": 1200, "90849": 3500}


def fees(**more: int) -> tuple[Fee, ...]:
    charges = {"90853": 6000, "90834": 15000, "90837": 20000, "90785": 2000, "90849": 8000}
    return tuple(
        Fee.model_validate({"code": code, "cents": cents, "from": "2026-01-01"})
        for code, cents in (charges | more).items()
    )


def contract(**more: int) -> FeeScheduleContract:
    return FeeScheduleContract.model_validate(
        {
            "payer": "the-payer",
            "from": "2026-01-01",
            "method": "fee_schedule",
            "rates": [{"code": code, "cents": cents} for code, cents in (ALL_CODES | more).items()],
        }
    )


def session(**changes: Any) -> GroupSession:
    values = facts().session.model_dump() | changes
    return GroupSession.model_validate(values)


def case(name: str = "commercial", **changes: Any) -> ClaimFacts:
    return facts(**{"payer": payer(name), "contracts": (contract(),), "fees": fees()} | changes)


def decide(
    the_facts: ClaimFacts,
    name: str = "commercial",
    *,
    rules: PayerPolicy | None = None,
    own_note: ProgressNote | None = None,
    edits: CodeEdits | None = None,
) -> tuple[str, list[tuple[str, str, int, str, int, int]], list[str], Coded]:
    """The decision, the lines (code, modifiers, units, place, charge, allowed) and the reasons."""
    chosen = rules or policy(name)
    coded = code_claim(the_facts, chosen, SCHEDULE, note=own_note or note(), edits=edits)
    hold = held(coded.findings)
    lines = []
    for line in coded.lines:
        priced = expected_claim(the_facts, chosen, SCHEDULE, (line,))
        allowed = priced.allowed if isinstance(priced, Expected) else -1
        lines.append(
            (
                line.code,
                ":".join(line.modifiers),
                line.units,
                line.place_of_service,
                int(line.charge),
                int(allowed),
            )
        )
    return (
        f"hold {hold.code}" if hold else "bill",
        lines,
        [item.rule for item in coded.findings],
        coded,
    )


GROUP = ("90853", "", 1, "11", 6000, 2815)


# --- scenarios 4 and 5: individual therapy the same day


@pytest.mark.parametrize("hours", [-2, 3])
@pytest.mark.parametrize(("name", "modifier"), [("commercial", "59"), ("medicare-advantage", "XE")])
def test_scenario_4_two_lines_and_the_modifier_on_the_individual_one(
    name: str, modifier: str, hours: int
) -> None:
    """Whatever the order in time: 90834 is column two."""
    beside = other_service("90834", hours, separate_note=True)
    decision, lines, reasons, coded = decide(case(name, other_services=(beside,)), name)
    assert decision == "bill"
    assert lines == [GROUP, ("90834", modifier, 1, "11", 15000, 9000)]
    assert reasons == ["same_day_individual"]
    assert coded.withheld == ()
    assert f"modifier {modifier} stands on 90834" in coded.findings[0].sentence


@pytest.mark.parametrize(
    ("service", "why"),
    [
        (other_service("90834", 3), "no separate signed note"),
        (other_service("90834", 0.5, separate_note=True), "its time overlaps"),
        (other_service("90834", 0.99, separate_note=True), "its time overlaps"),
        (other_service("90837", 3, separate_note=True), "45 minutes are 90834"),
    ],
)
def test_scenario_5_the_group_goes_and_the_individual_line_stays(service: Any, why: str) -> None:
    decision, lines, reasons, coded = decide(case(other_services=(service,)))
    assert (decision, lines, reasons) == ("bill", [GROUP], ["not_distinct"])
    assert coded.withheld == (
        WithheldLine(code=service.code, modifiers=("59",), reason="NOT_DISTINCT"),
    )
    assert why in coded.findings[0].sentence


def test_individual_therapy_that_begins_as_the_group_ends_is_distinct() -> None:
    beside = other_service("90834", 1, separate_note=True)
    assert [line[0] for line in decide(case(other_services=(beside,)))[1]] == ["90853", "90834"]


def _edits(indicator: str | None, one: str = "90853", two: str = "90834") -> CodeEdits:
    pair = EditPair.model_validate(
        {
            "effective_from": DAY,
            "column_one": one,
            "column_two": two,
            "indicator": indicator,
            "source": "made up",
            "verified": True,
        }
    )
    return CodeEdits((pair,), (), ())


@pytest.mark.parametrize(
    ("indicator", "codes", "reasons"),
    [
        ("1", ["90853", "90834"], ["same_day_individual"]),
        ("0", ["90853"], ["not_distinct"]),
        (None, ["90853"], ["not_distinct"]),
        ("9", ["90853"], []),  # the pair does not apply: nothing to say of the other service
    ],
)
def test_the_indicator_of_the_pair_decides(
    indicator: str | None, codes: list[str], reasons: list[str]
) -> None:
    the_facts = case(other_services=(other_service("90834", separate_note=True),))
    _, lines, found, _ = decide(the_facts, edits=_edits(indicator))
    assert ([line[0] for line in lines], found) == (codes, reasons)


def test_where_the_group_is_column_two_it_takes_the_modifier() -> None:
    the_facts = case(other_services=(other_service("90834", separate_note=True),))
    _, lines, _, _ = decide(the_facts, edits=_edits("1", "90834", "90853"))
    assert [line[:2] for line in lines] == [("90853", "59"), ("90834", "")]


def test_a_payer_that_pays_both_wants_no_modifier() -> None:
    allows = changed("commercial", "same_day", with_individual="allow")
    the_facts = case(other_services=(other_service("90834", separate_note=True),))
    assert [line[:2] for line in decide(the_facts, rules=allows)[1]] == [
        ("90853", ""),
        ("90834", ""),
    ]


def test_a_second_line_without_a_rate_holds_the_claim() -> None:
    the_facts = case(
        other_services=(other_service("90834", separate_note=True),),
        contracts=(contract().model_copy(update={"rates": contract().rates[:1]}),),
    )
    assert decide(the_facts)[0] == "hold NO_RATE"


# --- scenario 6: interactive complexity


MEMBERS = tuple(f"P{number}" for number in range(1, 11))


def _complexity(ref: str) -> tuple[ClaimFacts, ProgressNote]:
    """Asked for all ten, described for the first six."""
    factor = "SECRET: the parent's anger had to be managed during the session"
    described = MEMBERS.index(ref) < 6
    base = case(
        session=session(roster=MEMBERS, interactive_complexity=MEMBERS), group_size=len(MEMBERS)
    )
    the_facts = base.model_copy(update={"patient": base.patient.model_copy(update={"ref": ref})})
    return the_facts, note(interactive_complexity=factor if described else "")


def test_scenario_6_interactive_complexity_only_where_described() -> None:
    with_it = []
    for ref in MEMBERS:
        the_facts, own = _complexity(ref)
        decision, lines, reasons, coded = decide(the_facts, own_note=own)
        assert decision == "bill"
        if len(lines) == 2:
            assert lines == [GROUP, ("90785", "", 1, "11", 2000, 1200)]
            assert reasons == []
            with_it.append(ref)
        else:
            assert (lines, reasons) == ([GROUP], ["interactive_complexity_unsupported"])
            assert [item.code for item in coded.withheld] == ["90785"]
    assert with_it == list(MEMBERS[:6])


def test_it_is_never_added_unasked_or_without_a_note() -> None:
    the_facts, own = _complexity("P1")
    unasked = the_facts.model_copy(update={"session": session(roster=MEMBERS)})
    assert decide(unasked, own_note=own)[1] == [GROUP]
    coded = code_claim(the_facts, policy(), SCHEDULE)
    assert [line.code for line in coded.lines] == ["90853"]


@pytest.mark.parametrize(
    ("name", "severity"),
    [("texas-medicaid", Severity.INFO), ("virginia-medicaid", Severity.WARN)],
)
def test_a_payer_that_does_not_pay_it_apart(name: str, severity: Severity) -> None:
    the_facts, own = _complexity("P1")
    the_facts = the_facts.model_copy(update={"payer": payer(name)})
    _, lines, reasons, coded = decide(the_facts, name, own_note=own)
    assert [line[0] for line in lines] == ["90853"]
    assert reasons == ["interactive_complexity_not_paid"]
    assert coded.findings[0].severity is severity


def test_an_add_on_does_not_stand_without_its_primary() -> None:
    the_facts, own = _complexity("P1")
    edits = CodeEdits((), (), ())
    _, lines, reasons, _ = decide(the_facts, own_note=own, edits=edits)
    assert (lines, reasons) == ([GROUP], ["add_on_without_primary"])


# --- scenario 7: units


@pytest.mark.parametrize(
    ("asked", "billed", "reasons"),
    [(1, 1, []), (2, 1, ["units_over_max"]), (8, 1, ["units_over_max"])],
)
def test_scenario_7_units_above_the_day_are_taken_off(
    asked: int, billed: int, reasons: list[str]
) -> None:
    decision, lines, found, coded = decide(case(session=session(units=asked), minutes=120))
    assert (decision, found) == ("bill", reasons)
    assert lines == [("90853", "", billed, "11", 6000, 2815)]  # and no 59 to split
    if reasons:
        assert coded.findings[0].severity is Severity.WARN


def test_the_lower_of_payer_and_national_limit_counts() -> None:
    two_a_day = changed("commercial", "units", per_day=2)
    the_facts = case(session=session(units=2))
    assert decide(the_facts, rules=two_a_day)[1][0][2] == 1  # the national limit is one
    no_limit = CodeEdits((), (), ())
    _, lines, found, _ = decide(the_facts, rules=two_a_day, edits=no_limit)
    assert (lines[0][2], lines[0][4], found) == (2, 12000, [])


# --- scenario 8: what is no psychotherapy


@pytest.mark.parametrize(
    ("activity", "name", "suggestions"),
    [
        ("education", "texas-medicaid", ("H2027",)),
        ("education", "virginia-medicaid", ("H2027",)),
        ("education", "medicaid-managed-care", ("H2027",)),
        ("substance_use_counselling", "texas-medicaid", ("H0005",)),
        ("education", "medicare-part-b", ()),
        ("education", "commercial", ()),
        ("recreation", "texas-medicaid", ()),
        ("support", "commercial", ()),
        ("daily_living", "commercial", ()),
    ],
)
def test_scenario_8_an_excluded_activity_is_held(
    activity: str, name: str, suggestions: tuple[str, ...]
) -> None:
    contracts: tuple[Contract, ...] = (contract(), medicare_contract())
    the_facts = case(name, session=session(activity=activity), contracts=contracts)
    decision, _, reasons, coded = decide(the_facts, name)
    assert decision == "hold EXCLUDED_ACTIVITY"
    assert reasons[0] == "excluded_activity"
    assert coded.suggestions == suggestions
    assert all(code in coded.findings[0].fix for code in suggestions)


def test_psychotherapy_is_not_excluded() -> None:
    assert decide(case(session=session(activity="psychotherapy")))[0] == "bill"


# --- scenario 9: several families


FAMILIES = tuple(
    Family(billed=f"P{number}", members=(f"P{number}", f"P{number + 1}")) for number in (1, 3, 5)
)


def _families(ref: str, name: str, families: tuple[Family, ...] = FAMILIES) -> ClaimFacts:
    members = tuple(item for family in families for item in family.members)
    room = session(
        activity=Activity.FAMILY_PSYCHOTHERAPY,
        roster=members,
        families=[item.model_dump() for item in families],
    )
    base = (
        medicare_facts("TX-31", "TX", "psychologist", fees=fees())
        if name == "medicare-part-b"
        else case(name)
    )
    patient = base.patient.model_copy(update={"ref": ref})
    return base.model_copy(update={"session": room, "patient": patient, "group_size": len(members)})


def test_scenario_9_three_families_are_three_claims_that_the_contractor_must_confirm() -> None:
    billed = []
    for ref in ("P1", "P2", "P3", "P4", "P5", "P6"):
        decision, lines, reasons, _ = decide(_families(ref, "medicare-part-b"), "medicare-part-b")
        if lines:
            assert decision == "hold MAC_COVERAGE_REVIEW"
            assert reasons == ["family_group_coverage"]
            # (0.67 x 1.002 + 0.52 x 1.058 + 0.02 x 0.886) x 33.4009 = 41.39
            assert lines == [("90849", "", 1, "11", 8000, 4139)]
            billed.append(ref)
        else:
            assert (decision, reasons) == ("hold DUPLICATE", ["family_billed_once"])
    assert billed == ["P1", "P3", "P5"]


def test_a_contractor_that_has_answered_lets_it_go() -> None:
    coded = decide(_families("P1", "medicare-part-b"), "medicare-part-b")[3]
    assert held(coded.findings, ("MAC_COVERAGE_REVIEW",)) is None
    pays = changed("medicare-part-b", "family_group", payment="separate")
    assert decide(_families("P1", "medicare-part-b"), rules=pays)[0] == "bill"


def test_one_family_alone_is_no_group_of_families() -> None:
    decision, _, reasons, coded = decide(_families("P1", "commercial", FAMILIES[:1]))
    assert (decision, reasons) == ("hold GROUP_SIZE_REVIEW", ["one_family"])
    assert coded.suggestions == ("90847", "90846")
    assert decide(_families("P1", "commercial", FAMILIES[:2]))[2] == ["family_group_coverage"]


# --- telehealth


def _remote(medium: str, place: str = "home", consented: bool = True) -> dict[str, Any]:
    part = RemoteParticipant.model_validate(
        {"patient": "P1", "medium": medium, "place": place, "consented": consented}
    )
    return {"session": session(mode="mixed", remote=[part.model_dump()])}


@pytest.mark.parametrize(
    ("name", "medium", "place", "line", "decision"),
    [
        # Medicare 2026: no 95 on 02 and 10 (T15); 10 is paid as an office, 02 as a facility
        ("medicare-part-b", "audio_video", "home", ("", "10", 3085), "bill"),
        ("medicare-part-b", "audio_video", "elsewhere", ("", "02", 2449), "bill"),
        ("medicare-part-b", "audio_only", "home", ("93", "10", 3085), "bill"),
        ("commercial", "audio_video", "home", ("95", "10", 2815), "bill"),
        ("commercial", "audio_only", "home", ("93", "10", 2815), "hold TELEHEALTH_TABLE_CHECK"),
        ("texas-medicaid", "audio_video", "home", ("95", "10", 2815), "bill"),
        ("texas-medicaid", "audio_only", "home", ("93", "10", 2815),
         "hold TELEHEALTH_TABLE_CHECK"),
        ("virginia-medicaid", "audio_video", "home", ("GT", "11", 2815),
         "hold TELEHEALTH_TABLE_CHECK"),
        ("medicaid-managed-care", "audio_only", "elsewhere", ("FQ", "02", 2815),
         "hold TELEHEALTH_TABLE_CHECK"),
    ],
)  # fmt: skip
def test_a_remote_patients_line_by_payer(
    name: str, medium: str, place: str, line: tuple[str, str, int], decision: str
) -> None:
    if name == "medicare-part-b":
        the_facts = medicare_facts("TX-31", "TX", "psychologist", **_remote(medium, place))
    else:
        the_facts = case(name, **_remote(medium, place))
    found, lines, _, coded = decide(the_facts, name)
    (only,) = lines
    assert found == decision
    assert (only[1], only[3], only[5]) == line
    assert coded.place_of_service == line[1]
    if decision != "bill":
        assert held(coded.findings, ("TELEHEALTH_TABLE_CHECK",)) is None  # unverified: releasable


def test_in_a_mixed_room_each_patient_has_their_own_line() -> None:
    the_facts = case(**_remote("audio_video"))
    in_room = the_facts.model_copy(
        update={"patient": the_facts.patient.model_copy(update={"ref": "P2"})}
    )
    assert decide(the_facts)[1][0][1:4] == ("95", 1, "10")
    assert decide(in_room)[1][0][1:4] == ("", 1, "11")


def test_the_final_attendance_counts_over_what_was_planned() -> None:
    part = RemotePart(medium="audio_video", place="elsewhere", consented=True)
    the_facts = case(**_remote("audio_video"), remote=part)
    assert decide(the_facts)[1][0][3] == "02"


def test_sound_alone_needs_the_patients_consent() -> None:
    consented = medicare_facts("TX-31", "TX", "psychologist", **_remote("audio_only"))
    without = medicare_facts(
        "TX-31", "TX", "psychologist", **_remote("audio_only", consented=False)
    )
    assert decide(consented, "medicare-part-b")[2] == []
    decision, _, reasons, _ = decide(without, "medicare-part-b")
    assert (decision, reasons) == ("hold TELEHEALTH_TABLE_CHECK", ["audio_only_without_consent"])
    with_picture = medicare_facts(
        "TX-31", "TX", "psychologist", **_remote("audio_video", consented=False)
    )
    assert decide(with_picture, "medicare-part-b")[2] == []


def test_a_visit_in_person_is_asked_for_only_from_home() -> None:
    asks = changed("medicare-part-b", "telehealth", in_person_visit_months=6)
    home = medicare_facts("TX-31", "TX", "psychologist", **_remote("audio_video"))
    elsewhere = medicare_facts("TX-31", "TX", "psychologist", **_remote("audio_video", "elsewhere"))
    assert decide(home, rules=asks)[2] == ["in_person_visit"]
    assert decide(elsewhere, rules=asks)[2] == []


def test_a_verified_refusal_of_a_medium_cannot_be_waived() -> None:
    refuses = changed("commercial", "telehealth", audio="not_covered", verified=True)
    coded = decide(case(**_remote("audio_only")), rules=refuses)[3]
    assert held(coded.findings, ("TELEHEALTH_TABLE_CHECK",)) is not None


# --- modifiers, settings, duplicates, per diem, after hours


def test_degree_modifiers_stand_on_every_line_after_those_that_change_the_payment() -> None:
    asks = changed("commercial", "licences", modifiers={LicenceKind.PSYCHOLOGIST: ("AH",)})
    beside = other_service("90834", separate_note=True)
    the_facts = case(other_services=(beside,), **_remote("audio_video"))
    _, lines, _, _ = decide(the_facts, rules=asks)
    assert [line[:2] for line in lines] == [("90853", "95:AH"), ("90834", "59:AH")]


@pytest.mark.parametrize(
    ("place", "reasons"),
    [("11", []), ("19", ["hospital_outpatient"]), ("22", ["hospital_outpatient"]), ("53", [])],
)
def test_hospital_outpatient_services_are_marked(place: str, reasons: list[str]) -> None:
    decision, _, found, _ = decide(case(location=location("TX", "TX-31", place)))
    assert (decision, found) == ("bill", reasons)


@pytest.mark.parametrize(
    ("other", "decision"),
    [
        (other_service("90853", 0, billed_elsewhere=True), "hold DUPLICATE"),
        (other_service("90853", 0.5, billed_elsewhere=True), "hold DUPLICATE"),
        (other_service("90853", 1, billed_elsewhere=True), "hold SAME_DAY_SERVICE"),
        (other_service("90853", 0), "hold SAME_DAY_SERVICE"),
        (other_service("90853", 0, clinician="C2", billed_elsewhere=True), "hold SAME_DAY_SERVICE"),
    ],
)
def test_the_same_service_billed_before_is_a_duplicate(other: Any, decision: str) -> None:
    assert decide(case(other_services=(other,)))[0] == decision


def test_inside_a_per_diem_nothing_is_billed_apart() -> None:
    bundle = PerDiemContract.model_validate(
        {"payer": "the-payer", "from": "2026-01-01", "method": "per_diem", "includes": ["90853"]}
    )
    decision, lines, reasons, _ = decide(case(contracts=(bundle,)))
    assert (decision, reasons) == ("hold CONTRACT_CHECK", ["inside_per_diem"])
    assert lines[0][5] == 0
    other = bundle.model_copy(update={"includes": ("H0015",)})
    assert decide(case(contracts=(other,)))[0] == "hold NO_RATE"


@pytest.mark.parametrize(
    ("payment", "codes", "severity"),
    [
        ("separate", ["90853", "99051"], None),
        ("bundled", ["90853"], Severity.INFO),
        ("not_covered", ["90853"], Severity.INFO),
        ("review", ["90853"], Severity.WARN),
    ],
)
def test_evenings_and_weekends(payment: str, codes: list[str], severity: Severity | None) -> None:
    rules = changed("commercial", "after_hours", payment=payment)
    the_facts = case(
        session=session(after_hours="99051"),
        fees=fees(**{"99051": 1500}),
        contracts=(contract(**{"99051": 500}),),
    )
    decision, lines, _, coded = decide(the_facts, rules=rules)
    assert decision == "bill"
    assert [line[0] for line in lines] == codes
    assert [item.severity for item in coded.findings] == ([severity] if severity else [])


# --- properties


def _names() -> list[str]:
    return list(BOOK.names)


@given(name=st.sampled_from(_names()), size=st.integers(2, 20), units=st.integers(1, 4))
def test_an_unrelated_payer_changes_no_decision(name: str, size: int, units: int) -> None:
    """Neither its policy in the book, nor its contract among those on file."""
    the_facts = case(
        name,
        group_size=size,
        session=session(units=units),
        contracts=(contract(), medicare_contract()),
    )
    unrelated = contract(**{"90853": 1}).model_copy(update={"payer": "another-payer"})
    with_it = the_facts.model_copy(update={"contracts": (unrelated, *the_facts.contracts)})
    texts = {"another": '[[edition]]\nlike = "commercial"\neffective_from = 2025-01-01\n'}
    larger = PolicyBook.read(_texts() | texts)
    before = code_claim(the_facts, BOOK.policy(name, DAY), SCHEDULE, note=note())
    after = code_claim(with_it, larger.policy(name, DAY), SCHEDULE, note=note())
    assert before == after


def _texts() -> dict[str, str]:
    return {
        file.name.removesuffix(".toml"): file.read_text()
        for file in (packaged() / "payers").iterdir()
        if file.name.endswith(".toml")
    }


@given(
    name=st.sampled_from(_names()),
    units=st.integers(1, 20),
    services=st.lists(
        st.builds(
            other_service,
            st.sampled_from(["90832", "90834", "90837", "90849", "90853", "99213", "H0015"]),
            st.floats(-9, 9),
            separate_note=st.booleans(),
            billed_elsewhere=st.booleans(),
        ),
        max_size=4,
    ),
)
def test_what_leaves_is_always_within_its_limits(
    name: str, units: int, services: list[Any]
) -> None:
    the_facts = case(
        name,
        session=session(units=units),
        other_services=tuple(services),
        contracts=(contract(**{"90832": 6000}),),
        fees=fees(**{"90832": 11000}),
    )
    coded = code_claim(the_facts, policy(name), SCHEDULE, note=note())
    assert coded.lines[0].code == "90853"
    assert coded.lines[0].units <= policy(name).units.per_day
    for line in coded.lines:
        assert len(line.modifiers) == len(set(line.modifiers)) <= 4
        assert not {"59", "XE"} <= set(line.modifiers)
    # order among the other services is nothing to the decision
    turned = the_facts.model_copy(update={"other_services": tuple(reversed(services))})
    again = code_claim(turned, policy(name), SCHEDULE, note=note())
    assert sorted(str(item) for item in again.findings) == sorted(
        str(item) for item in coded.findings
    )
    assert sorted(str(line) for line in again.lines) == sorted(str(line) for line in coded.lines)
    assert Cents(sum(line.charge for line in coded.lines)) > 0
