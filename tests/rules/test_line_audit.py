"""Each pattern found, not found, and at its edge; amounts from domain knowledge, by hand.

Medicare 2026 in Austin (TX-31): 30.85, facility 24.49, social worker 75 % 23.14, nurse practitioner
85 % 26.22; 2025: 28.38; Dallas (TX-11) 30.52. The tolerance of 30.85 is 0.5 %: 15 cents.
"""

from datetime import date
from typing import Any

import pytest

from groupclaim.model.claim import Adjustment, ClaimLine, ClaimPayment, ClaimVersion, LinePayment
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.model.practice import ContractRate, Fee
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.line_audit import (
    LineAudit,
    Pattern,
    audit_against_room,
    audit_interest,
    audit_lines,
    room_control,
    takeback_pattern,
)
from groupclaim.rules.payment_audit import allowed_amount
from tests.rules.made import (
    DAY,
    SCHEDULE,
    clinician,
    eligibility,
    facts,
    fee,
    licence,
    medicare_facts,
    payment,
    policy,
    rates,
)

COMMERCIAL, MEDICARE = policy(), policy("medicare-part-b")
AUSTIN = medicare_facts("TX-31", "TX", "psychologist")
EDITS = CodeEdits.packaged()


def billed(*lines: tuple[str, int, int], place: str = "11") -> ClaimVersion:
    """A version of lines (code, charge of one unit, units)."""
    return ClaimVersion.model_construct(
        claim_number="GC0000000000X",
        version=1,
        control_number="GC0000000000XA",
        frequency="1",
        diagnoses=("F331",),
        place_of_service=place,
        lines=tuple(
            ClaimLine(
                line_control_number=f"L{position}",
                code=code,
                charge=Cents(charge * units),
                units=units,
                place_of_service=place,
                diagnosis_pointers=(1,),
                service_date=DAY,
            )
            for position, (code, charge, units) in enumerate(lines or (("90853", 6000, 1),), 1)
        ),
    )


def audited(
    allowed: int,
    of: ClaimFacts | None = None,
    rules: PayerPolicy = COMMERCIAL,
    version: ClaimVersion | None = None,
) -> LineAudit:
    """The audit of a payment that says what it allowed, and leaves nothing else out."""
    version = version or billed()
    charge = version.charge
    paid = payment(charge, allowed, ("CO", "45", charge - allowed), allowed=allowed)
    if rules is MEDICARE:
        taken = Cents(allowed).share(2, 100)
        paid = payment(
            charge,
            allowed - taken,
            ("CO", "45", charge - allowed),
            ("CO", "253", taken),
            allowed=allowed,
        )
    found = audit_lines(of or facts(), rules, SCHEDULE, EDITS, version, paid)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("allowed", "pattern", "shortfall"),
    [
        (3085, None, 0),
        (3070, None, 0),  # within 15 cents
        (3069, Pattern.UNEXPLAINED, 16),
        (2838, Pattern.LAST_YEARS_SCHEDULE, 247),
        (2837, Pattern.UNEXPLAINED, 248),
        (2839, Pattern.UNEXPLAINED, 246),
        (2449, Pattern.FACILITY_RATE, 636),
        (2450, Pattern.UNEXPLAINED, 635),
        (2314, Pattern.WRONG_LICENCE_TIER, 771),
        (2622, Pattern.WRONG_LICENCE_TIER, 463),
        (2621, Pattern.UNEXPLAINED, 464),
        (3052, Pattern.WRONG_LOCALITY, 33),
        (3017, Pattern.WRONG_LOCALITY, 68),  # Virginia
        (3051, Pattern.UNEXPLAINED, 34),
        (3301, Pattern.WRONG_LOCALITY, -216),  # the District of Columbia: too much
    ],
)
def test_medicare_in_austin(allowed: int, pattern: Pattern | None, shortfall: int) -> None:
    found = audited(allowed, AUSTIN, MEDICARE)
    assert (found.pattern, found.shortfall, found.expected) == (pattern, shortfall, 3085)


def test_the_non_facility_rate_of_a_facility_is_an_overpayment() -> None:
    found = audited(3085, AUSTIN, MEDICARE, billed(place="22"))
    assert (found.expected, found.shortfall) == (2449, -636)
    assert found.pattern is Pattern.FACILITY_RATE


def test_a_social_worker_paid_in_full_is_an_overpayment() -> None:
    worker = medicare_facts("TX-31", "TX", "lcsw")
    assert audited(2314, worker, MEDICARE).pattern is None
    found = audited(3085, worker, MEDICARE)
    assert (found.pattern, found.shortfall) == (Pattern.WRONG_LICENCE_TIER, -771)


def test_the_contract_before_is_last_years_schedule() -> None:
    before = rates(("psychologist", 2700), first=date(2025, 1, 1), last=date(2025, 12, 31))
    known = facts(contracts=(before, rates(("psychologist", 2815), ("lcsw", 2400))))
    assert audited(2700, known).pattern is Pattern.LAST_YEARS_SCHEDULE
    assert audited(2700).pattern is Pattern.UNEXPLAINED  # nobody knows of an earlier contract
    assert audited(2701, known).pattern is Pattern.UNEXPLAINED


def test_the_rate_of_another_licence_or_its_share_once_more() -> None:
    assert audited(2400).pattern is Pattern.WRONG_LICENCE_TIER
    worker = facts(clinician=clinician(licence("lcsw")))
    # 24.00 is the social worker's own rate; 75 % of it once more is 18.00.
    found = audited(1800, worker)
    assert (found.pattern, found.shortfall) == (Pattern.WRONG_LICENCE_TIER, 600)
    assert audited(1801, worker).pattern is Pattern.UNEXPLAINED
    assert audited(2210).pattern is Pattern.UNEXPLAINED  # scenario 17


@pytest.mark.parametrize(("charge", "below"), [(2814, True), (2815, False), (2816, False)])
def test_a_charge_below_the_contract_is_our_own_doing(charge: int, below: bool) -> None:
    known = facts(fees=(fee(charge),))
    found = audited(min(charge, 2815), known, version=billed(("90853", charge, 1)))
    assert found.pattern is (Pattern.BILLED_BELOW_CONTRACT if below else None)
    assert found.shortfall == 0


def test_a_dropped_unit() -> None:
    """Two units of 28.15: 56.30; one of them was allowed."""
    two = billed(("90853", 6000, 2))
    found = audited(2815, version=two)
    assert (found.pattern, found.expected, found.shortfall) == (Pattern.DROPPED_UNIT, 5630, 2815)
    assert audited(5630, version=two).pattern is None
    assert audited(3500, version=two).pattern is Pattern.UNEXPLAINED
    paid = by_line(
        ("90853", 6000 * 2, 2000, (("CO", "45", 10_000),)), units=1
    )  # one unit, and that too low
    known = audit_lines(facts(), COMMERCIAL, SCHEDULE, EDITS, two, paid)
    assert (known[0].pattern, known[0].shortfall) == (Pattern.DROPPED_UNIT, 3630)


def by_line(
    *lines: tuple[str, int, int, tuple[tuple[str, str, int], ...]], units: int | None = None
) -> ClaimPayment:
    """A payment of lines (code, charge, paid, adjustments), in this order."""
    made = tuple(
        LinePayment(
            position=position,
            code=code,
            units=units,
            charge=Cents(charge),
            paid=Cents(paid),
            allowed=None,
            line_control_number=f"L{position}",
            adjustments=tuple(
                Adjustment(group=group, reason=reason, cents=Cents(cents))
                for group, reason, cents in adjustments
            ),
        )
        for position, (code, charge, paid, adjustments) in enumerate(lines, 1)
    )
    whole = payment(sum(line.charge for line in made), sum(line.paid for line in made))
    adjustments = tuple(item for line in made for item in line.adjustments)
    return whole.model_copy(update={"lines": made, "adjustments": adjustments})


def with_complexity() -> ClaimFacts:
    contract = rates(("psychologist", 2815), ("lcsw", 2400))
    listed = (*contract.rates, ContractRate(code="90785", cents=Cents(1400)))
    added = Fee(code="90785", cents=Cents(2000), effective_from=date(2026, 1, 1))
    return facts(contracts=(contract.model_copy(update={"rates": listed}),), fees=(fee(), added))


def settled(
    paid: int, *adjustments: tuple[str, str, int], code: str = "90853"
) -> list[tuple[Pattern | None, int]]:
    """60.00 billed under a contract of 28.15, settled as told."""
    audits = audit_lines(
        facts(), COMMERCIAL, SCHEDULE, EDITS, billed(), by_line((code, 6000, paid, adjustments))
    )
    return [(item.pattern, item.shortfall) for item in audits]


def test_a_rented_networks_discount_is_named() -> None:
    """CO-45 31.85 and a further 8.15 under CO-131: 20.00 allowed, 8.15 short."""
    rented = (("CO", "45", 3185), ("CO", "131", 815))
    assert settled(2000, *rented) == [(Pattern.NETWORK_DISCOUNT, 815)]
    # By PI it is the payer's own doing, and named alike.
    assert settled(2000, ("CO", "45", 3185), ("PI", "131", 815)) == [
        (Pattern.NETWORK_DISCOUNT, 815)
    ]
    # The contract's own discount under that code leaves nothing to dispute.
    assert settled(2815, ("CO", "131", 3185)) == [(None, 0)]
    # 28.15 said to be allowed (AMT*B6), 20.00 paid: the discount came off afterwards.
    paid = payment(6000, 2000, ("CO", "45", 3185), ("CO", "131", 815), allowed=2815)
    found = audit_lines(facts(), COMMERCIAL, SCHEDULE, EDITS, billed(), paid)
    assert [(item.pattern, item.shortfall) for item in found if item.shortfall] == [
        (Pattern.NETWORK_DISCOUNT, 815)
    ]


def test_another_code_settled_than_billed_is_downcoded() -> None:
    """90853 billed, 90849 settled at 21.00: 7.15 short; at the right amount nothing is."""
    assert settled(2100, ("CO", "45", 3900), code="90849") == [(Pattern.DOWNCODED, 715)]
    assert settled(2815, ("CO", "45", 3185), code="90849") == [(None, 0)]
    # Even where the amount is another licence's by chance: the payer says what it did.
    assert settled(2400, ("CO", "45", 3600), code="90849") == [(Pattern.DOWNCODED, 415)]
    assert settled(2400, ("CO", "45", 3600)) == [(Pattern.WRONG_LICENCE_TIER, 415)]


def test_settled_as_out_of_network_is_named() -> None:
    """CO-242 takes 10.00 of the 28.15."""
    away = (("CO", "45", 3185), ("CO", "242", 1000))
    assert settled(1815, *away) == [(Pattern.OUT_OF_NETWORK, 1000)]
    assert settled(1815, ("CO", "45", 4185)) == [(Pattern.UNEXPLAINED, 1000)]


def test_a_copay_above_the_allowed_amount_leaves_only_that_to_the_patient() -> None:
    """A copay of 40.00 on 28.15 allowed: the payer pays nothing and the patient owes 28.15."""
    assert settled(0, ("CO", "45", 3185), ("PR", "3", 2815)) == [(None, 0)]


def test_every_pattern_that_payers_are_known_for_has_a_name() -> None:
    """Old schedule, licence tier, facility, locality, charge below contract, rental network, out of
    network, unit or line dropped, downcoded, doubled share, sequestration, interest, takeback."""
    assert {item.value for item in Pattern} == {
        "last_years_schedule", "wrong_licence_tier", "facility_rate", "wrong_locality",
        "billed_below_contract", "network_discount", "out_of_network", "dropped_unit",
        "dropped_add_on", "downcoded", "doubled_patient_share", "unagreed_sequestration",
        "missing_interest", "late_takeback", "takeback_without_reversal",
        "paid_less_than_allowed", "differs_from_room", "unexplained",
    }  # fmt: skip


def test_a_dropped_add_on() -> None:
    version = billed(("90853", 6000, 1), ("90785", 2000, 1))
    group = ("90853", 6000, 2815, (("CO", "45", 3185),))
    known = with_complexity()

    def found(*lines: Any) -> list[tuple[Any, int]]:
        audits = audit_lines(known, COMMERCIAL, SCHEDULE, EDITS, version, by_line(*lines))
        return [(item.pattern, item.shortfall) for item in audits]

    dropped = [(None, 0), (Pattern.DROPPED_ADD_ON, 1400)]
    assert found(group, ("90785", 2000, 0, (("CO", "97", 2000),))) == dropped
    assert found(group) == dropped  # it is not even named
    assert found(group, ("90785", 2000, 1400, (("CO", "45", 600),))) == [(None, 0), (None, 0)]
    low = found(group, ("90785", 2000, 1000, (("CO", "45", 1000),)))
    assert low == [(None, 0), (Pattern.UNEXPLAINED, 400)]


def test_lines_too_low_and_too_high_are_both_told() -> None:
    version = billed(("90853", 6000, 1), ("90785", 2000, 1))
    paid = by_line(
        ("90853", 6000, 2400, (("CO", "45", 3600),)), ("90785", 2000, 1500, (("CO", "45", 500),))
    )
    audits = audit_lines(with_complexity(), COMMERCIAL, SCHEDULE, EDITS, version, paid)
    assert [(item.code, item.shortfall) for item in audits] == [("90853", 415), ("90785", -100)]
    assert [item.pattern for item in audits] == [Pattern.WRONG_LICENCE_TIER, Pattern.UNEXPLAINED]


def test_a_payer_that_changes_codes_and_modifiers_is_matched_all_the_same() -> None:
    version = billed(("90853", 6000, 1), ("90785", 2000, 1))
    paid = by_line(
        ("90785", 2000, 1400, (("CO", "45", 600),)), ("90832", 6000, 2815, (("CO", "45", 3185),))
    )
    unnamed = tuple(line.model_copy(update={"line_control_number": ""}) for line in paid.lines)
    paid = paid.model_copy(update={"lines": unnamed})
    audits = audit_lines(with_complexity(), COMMERCIAL, SCHEDULE, EDITS, version, paid)
    assert [(item.line, item.code, item.shortfall) for item in audits] == [
        (2, "90853", 0),
        (1, "90785", 0),
    ]


def test_nothing_is_said_without_a_contract() -> None:
    paid = payment(6000, 2210, ("CO", "45", 3790))
    unknown = facts(contracts=())
    assert audit_lines(unknown, COMMERCIAL, SCHEDULE, EDITS, billed(), paid) == ()


def shares(
    told: dict[str, Any], *adjustments: tuple[str, str, int], rules: PayerPolicy = COMMERCIAL
) -> list[tuple[Any, int]]:
    """What is found beside an allowed amount of 28.15 of which ``adjustments`` are taken."""
    known = facts(eligibility=eligibility(**told))
    taken = sum(cents for _, _, cents in adjustments)
    paid = payment(6000, 2815 - taken, ("CO", "45", 3185), *adjustments, allowed=2815)
    audits = audit_lines(known, rules, SCHEDULE, EDITS, billed(), paid)
    assert (audits[0].pattern, audits[0].shortfall) == (None, 0)
    return [(item.pattern, item.shortfall) for item in audits[1:]]


DOUBLED = Pattern.DOUBLED_PATIENT_SHARE


@pytest.mark.parametrize(
    ("told", "adjustments", "found"),
    [
        # The plan has a copay of 15.00; 20 % of 28.15 is 5.63.
        ({"copay": 1500}, (("PR", "3", 1500), ("PR", "2", 563)), [(DOUBLED, 563)]),
        ({"copay": 1500}, (("PR", "3", 1500),), []),
        ({"copay": 1500}, (("PR", "3", 1514),), []),  # 14 cents: within 0.5 % of 28.15
        ({"copay": 1500}, (("PR", "3", 1515),), [(DOUBLED, 15)]),
        ({"copay": 1000}, (("PR", "3", 2000),), [(DOUBLED, 1000)]),
        ({"coinsurance_percent": 20}, (("PR", "2", 563),), []),
        ({"coinsurance_percent": 20}, (("PR", "2", 1126),), [(DOUBLED, 563)]),
        (
            {"copay": 1500, "coinsurance_percent": 20},
            (("PR", "3", 1500), ("PR", "2", 563)),
            [],
        ),
        ({}, (("PR", "3", 1500), ("PR", "2", 563)), [(DOUBLED, 563)]),
        ({}, (("PR", "3", 1500),), []),
        ({"copay": 1500}, (("PR", "2", 563),), []),  # nobody said that there is no coinsurance
        ({"copay": 1500}, (("PR", "1", 2815),), []),  # the deductible
        ({"copay": 4000}, (("PR", "3", 2815),), []),  # a copay above what is allowed
    ],
)
def test_a_doubled_patient_share(
    told: dict[str, int],
    adjustments: tuple[tuple[str, str, int], ...],
    found: list[tuple[Pattern, int]],
) -> None:
    values = {key: Cents(value) if key == "copay" else value for key, value in told.items()}
    assert shares(values, *adjustments) == found


@pytest.mark.parametrize(("taken", "found"), [(56, True), (2, True), (1, False), (0, False)])
def test_sequestration_that_nobody_agreed_to(taken: int, found: bool) -> None:
    """2 % of 28.15 is 0.56; a commercial contract knows none, and a cent is rounding."""
    owed = [(Pattern.UNAGREED_SEQUESTRATION, taken)] if found else []
    assert shares({}, *((("CO", "253", taken),) if taken else ())) == owed


def test_kept_back_without_a_name() -> None:
    assert shares({}, ("PI", "B8", 605)) == [(Pattern.PAID_LESS_THAN_ALLOWED, 605)]
    assert shares({}, ("PI", "B8", 14)) == []


@pytest.mark.parametrize(
    ("name", "paid_on", "interest", "owed"),
    [
        # Received 02-04. Texas: due 03-06; half of 60.00 - 28.15 is 15.93.
        ("texas-commercial", date(2026, 3, 6), 0, None),
        ("texas-commercial", date(2026, 3, 7), 0, 1593),
        ("texas-commercial", date(2026, 3, 7), 1592, 1),
        ("texas-commercial", date(2026, 3, 7), 1593, None),
        # Virginia: 28.15 x 6 % x 365 / 365 = 1.69 on day 395.
        ("virginia-commercial", date(2027, 3, 6), 0, 169),
        ("commercial", date(2027, 3, 6), 0, None),
    ],
)
def test_missing_interest(name: str, paid_on: date, interest: int, owed: int | None) -> None:
    found = audit_interest(
        policy(name),
        billed(),
        payment(6000, 2815, ("CO", "45", 3185)),
        received_on=date(2026, 2, 4),
        paid_on=paid_on,
        interest=Cents(interest),
    )
    assert (found.shortfall if found else None) == owed
    if found:
        assert found.pattern is Pattern.MISSING_INTEREST


@pytest.mark.parametrize(("inside", "owed"), [(169, None), (100, 69), (0, 169)])
def test_interest_inside_the_payment_is_paid_and_is_not_allowed_amount(
    inside: int, owed: int | None
) -> None:
    """28.15 on day 395 at 6 % a year bears 1.69, of which some came as CAS 225."""
    cuts = [("CO", "45", 3185)] + ([("OA", "225", -inside)] if inside else [])
    paid = payment(6000, 2815 + inside, *cuts)
    assert allowed_amount(paid) == 2815
    found = audit_interest(
        policy("virginia-commercial"),
        billed(),
        paid,
        received_on=date(2026, 2, 4),
        paid_on=date(2027, 3, 6),
        interest=Cents(0),
    )
    assert (found.shortfall if found else None) == owed


@pytest.mark.parametrize(
    ("name", "taken_on", "reversed_too", "pattern"),
    [
        # Paid 2026-01-05: the 180th day after it is 2026-07-04, twelve months end 2027-01-05.
        ("texas-commercial", date(2026, 7, 4), True, None),
        ("texas-commercial", date(2026, 7, 5), True, Pattern.LATE_TAKEBACK),
        ("texas-commercial", date(2026, 7, 4), False, Pattern.TAKEBACK_WITHOUT_REVERSAL),
        ("virginia-commercial", date(2027, 1, 5), True, None),
        ("virginia-commercial", date(2027, 1, 6), True, Pattern.LATE_TAKEBACK),
        ("commercial", date(2029, 1, 1), True, None),
        ("commercial", date(2026, 2, 1), False, Pattern.TAKEBACK_WITHOUT_REVERSAL),
    ],
)
def test_takebacks(name: str, taken_on: date, reversed_too: bool, pattern: Pattern | None) -> None:
    found = takeback_pattern(
        policy(name), paid_on=date(2026, 1, 5), taken_on=taken_on, reversed_too=reversed_too
    )
    assert found is pattern


@pytest.mark.parametrize(
    ("allowed", "control"),
    [
        ((2815, 2815, 2210), 2815),
        ((2815, 2815), 2815),
        ((2815, 2210), None),
        ((2815, 2815, 2210, 2210), None),  # nobody knows which is right
        ((2815,), None),
        ((), None),
    ],
)
def test_the_room_as_its_own_control(allowed: tuple[int, ...], control: int | None) -> None:
    by_claim = {str(place): Cents(cents) for place, cents in enumerate(allowed)}
    assert room_control(by_claim) == control


def test_a_claim_against_its_room() -> None:
    found = audit_against_room("90853", Cents(2210), Cents(2815), COMMERCIAL)
    assert found is not None
    assert (found.pattern, found.shortfall) == (Pattern.DIFFERS_FROM_ROOM, 605)
    assert audit_against_room("90853", Cents(2801), Cents(2815), COMMERCIAL) is None
    assert audit_against_room("90853", Cents(2800), Cents(2815), COMMERCIAL) is not None
