"""Amounts worked by hand; the Medicare ones stand in the domain reference (8.3, 10.4)."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.simulator.adjudicator import (
    Adjustment,
    Claim,
    ClaimDecision,
    History,
    Refusal,
    ServiceLine,
    adjudicate,
    admit,
)
from groupclaim.simulator.world import Payer, World, parse_world

DAY = date(2026, 2, 2)


def _claim(payer: Payer, member_id: str = "MB0001", charge: int = 6500, **changes: Any) -> Claim:
    member = payer.member_with(member_id)
    assert member is not None
    line = ServiceLine("90853", (), 1, charge, DAY, "L1")
    claim = Claim(
        payer_claim_number="PCN1",
        control_number="C0001A",
        frequency="1",
        replaces="",
        member=member,
        rendering_npi="1234567893",
        authorization_number="",
        lines=(line,),
    )
    return replace(claim, **changes)


def _payer(facts: dict[str, Any], position: int = 0) -> Payer:
    return parse_world(json.dumps(facts).encode()).payers[position]


def _decide(payer: Payer, *claims: Claim) -> tuple[ClaimDecision, ...]:
    return adjudicate(payer, History(), claims)[0]


def _adjustments(decision: ClaimDecision) -> list[tuple[str, int]]:
    return [(f"{a.group}-{a.reason}", a.cents) for line in decision.lines for a in line.adjustments]


@pytest.mark.parametrize(
    ("allowed", "patient", "sequestration", "paid"),
    [
        (3085, 617, 49, 2419),  # Austin: 6.17; 24.68 x 2 % = 0.4936
        (3039, 608, 49, 2382),
        (2279, 456, 36, 1787),
        (2583, 517, 41, 2025),
        (3017, 603, 48, 2366),
        (2815, 563, 45, 2207),
        (2289, 458, 37, 1794),  # Dallas LCSW: 4.578 -> 4.58; 18.31 x 2 % = 0.3662
    ],
)
def test_medicare_split(
    world_facts: dict[str, Any], allowed: int, patient: int, sequestration: int, paid: int
) -> None:
    world_facts["payers"][0]["rates"][0]["cents"] = allowed
    payer = _payer(world_facts)
    (decision,) = _decide(payer, _claim(payer))
    assert _adjustments(decision) == [
        ("CO-45", 6500 - allowed),
        ("PR-2", patient),
        ("CO-253", sequestration),
    ]
    assert decision.lines[0].allowed_cents == allowed
    assert (decision.paid_cents, decision.patient_cents) == (paid, patient)
    assert not decision.denied


def test_deductible_then_coinsurance_then_sequestration(world_facts: dict[str, Any]) -> None:
    # Domain reference 8.3: allowed 100, deductible 50 -> patient 10 + 50, CO-253 0.80, paid 39.20.
    payer_facts = world_facts["payers"][0]
    payer_facts["rates"][0]["cents"] = 10_000
    payer_facts["members"][0]["deductible_remaining_cents"] = 5_000
    payer = _payer(world_facts)
    (decision,) = _decide(payer, _claim(payer, charge=10_000))
    assert _adjustments(decision) == [("PR-1", 5000), ("PR-2", 1000), ("CO-253", 80)]
    assert decision.paid_cents == 3920


def test_deductible_is_used_once_across_payment_dates(world_facts: dict[str, Any]) -> None:
    world_facts["payers"][0]["members"][0]["deductible_remaining_cents"] = 4000
    payer = _payer(world_facts)
    first = _claim(payer)
    next_line = replace(first.lines[0], service_date=date(2026, 2, 9))
    second = replace(first, payer_claim_number="PCN2", control_number="C0002A", lines=(next_line,))
    (one,), history = adjudicate(payer, History(), [first])
    (two,), _ = adjudicate(payer, history, [second])
    assert _adjustments(one) == [("CO-45", 3415), ("PR-1", 3085)]
    # 40.00 - 30.85 = 9.15 left; 20 % of 21.70 = 4.34; 2 % of 17.36 = 0.3472.
    assert _adjustments(two) == [("CO-45", 3415), ("PR-1", 915), ("PR-2", 434), ("CO-253", 35)]
    assert two.paid_cents == 1701


def test_charge_below_the_rate_is_the_allowed_amount(world: World) -> None:
    payer = world.payers[0]
    (decision,) = _decide(payer, _claim(payer, charge=2000))
    assert _adjustments(decision) == [("PR-2", 400), ("CO-253", 32)]
    assert decision.lines[0].allowed_cents == 2000
    assert decision.paid_cents == 1568


def test_copay(world: World) -> None:
    payer = world.payers[1]
    (decision,) = _decide(payer, _claim(payer, "CI0009"))
    assert _adjustments(decision) == [("CO-45", 2300), ("PR-3", 1500)]
    assert decision.paid_cents == 2700


def test_copay_is_never_above_the_allowed_amount(world_facts: dict[str, Any]) -> None:
    world_facts["payers"][1]["members"][0]["copay_cents"] = 4500
    payer = _payer(world_facts, 1)
    (decision,) = _decide(payer, _claim(payer, "CI0009"))
    assert _adjustments(decision) == [("CO-45", 2300), ("PR-3", 4200)]
    assert decision.paid_cents == 0
    assert not decision.denied


def test_one_copay_for_a_claim_of_two_lines(world_facts: dict[str, Any]) -> None:
    rates = world_facts["payers"][1]["rates"]
    rates.append({**rates[0], "code": "90785", "cents": 1000})
    payer = _payer(world_facts, 1)
    claim = _claim(payer, "CI0009")
    claim = replace(claim, lines=(replace(claim.lines[0], code="90785"), claim.lines[0]))
    (decision,) = _decide(payer, claim)
    assert [line.adjustments[1] for line in decision.lines] == [
        Adjustment("PR", "3", 1000),
        Adjustment("PR", "3", 500),
    ]
    assert decision.paid_cents == 3700


@pytest.mark.parametrize("number", ["", "AUTH9999"])
def test_missing_authorization_denies_the_full_charge(world: World, number: str) -> None:
    payer = world.payers[1]
    (decision,) = _decide(payer, _claim(payer, "CI0002", authorization_number=number))
    assert decision.denied
    assert _adjustments(decision) == [("CO-197", 6500)]
    assert (decision.paid_cents, decision.patient_cents) == (0, 0)
    assert decision.lines[0].allowed_cents is None


def test_valid_authorization_pays(world: World) -> None:
    payer = world.payers[1]
    claim = _claim(payer, "CI0002", authorization_number="AUTH0001")
    assert _decide(payer, claim)[0].paid_cents == 2700


def test_authorization_must_cover_date_and_code(world_facts: dict[str, Any]) -> None:
    payer = _payer(world_facts, 1)
    claim = _claim(payer, "CI0002", authorization_number="AUTH0001")
    late = replace(claim, lines=(replace(claim.lines[0], service_date=date(2026, 7, 1)),))
    assert _adjustments(_decide(payer, late)[0]) == [("CO-197", 6500)]
    world_facts["payers"][1]["authorizations"][0]["codes"] = ["90834"]
    assert _adjustments(_decide(_payer(world_facts, 1), claim)[0]) == [("CO-197", 6500)]


def test_coverage_and_rate_are_needed(world: World) -> None:
    payer = world.payers[1]
    assert _adjustments(_decide(payer, _claim(payer, "CI0003"))[0]) == [("CO-27", 6500)]
    claim = _claim(payer, "CI0009")
    early = replace(claim, lines=(replace(claim.lines[0], service_date=date(2024, 12, 31)),))
    assert _adjustments(_decide(payer, early)[0]) == [("CO-26", 6500)]
    unpriced = replace(claim, lines=(replace(claim.lines[0], code="90849"),))
    assert _adjustments(_decide(payer, unpriced)[0]) == [("CO-147", 6500)]


def test_second_original_is_a_duplicate_even_under_another_number(world: World) -> None:
    payer = world.payers[0]
    first = _claim(payer)
    second = replace(first, payer_claim_number="PCN2", control_number="C0001B")
    decisions = _decide(payer, second, first)
    assert [_adjustments(decision)[0] for decision in decisions] == [
        ("CO-45", 3415),
        ("CO-18", 6500),
    ]
    _, history = adjudicate(payer, History(), [first])
    (late,), _ = adjudicate(payer, history, [second])
    assert _adjustments(late) == [("CO-18", 6500)]
    assert late.denied


def test_replacement_of_a_denied_claim_is_decided_anew(world: World) -> None:
    payer = world.payers[1]
    denied = _claim(payer, "CI0002")
    replacement = replace(
        denied,
        payer_claim_number="PCN2",
        control_number="C0001B",
        frequency="7",
        replaces="PCN1",
        authorization_number="AUTH0001",
    )
    (first,), history = adjudicate(payer, History(), [denied])
    (second,), history = adjudicate(payer, history, [replacement])
    assert first.denied
    assert _adjustments(second) == [("CO-45", 2300), ("PR-3", 1500)]
    again = replace(replacement, payer_claim_number="PCN3")
    (third,), _ = adjudicate(payer, history, [again])
    assert _adjustments(third) == [("CO-18", 6500)]


def test_replacement_must_name_a_decided_claim_of_that_member(world: World) -> None:
    payer = world.payers[0]
    _, history = adjudicate(payer, History(), [_claim(payer, "MB0002")])
    for number in ("", "PCN9", "PCN1"):
        claim = _claim(payer, payer_claim_number="PCN2", frequency="7", replaces=number)
        (decision,), _ = adjudicate(payer, history, [claim])
        assert _adjustments(decision) == [("CO-16", 6500)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["MB0001", "MB0002"]),
            st.integers(1, 28),
            st.integers(0, 9000),
            st.integers(0, 4),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_every_line_balances_in_any_order(
    world: World, facts: list[tuple[str, int, int, int]], order: Any
) -> None:
    payer = world.payers[0]
    claims = []
    for position, (member_id, day, charge, number) in enumerate(facts):
        claim = _claim(payer, member_id, charge, payer_claim_number=f"PCN{position}")
        line = replace(claim.lines[0], service_date=date(2026, 2, day))
        claims.append(replace(claim, control_number=f"C{number}", lines=(line,)))
    expected = _decide(payer, *claims)
    for decision in expected:
        for decided in decision.lines:
            adjusted = sum(adjustment.cents for adjustment in decided.adjustments)
            assert decided.line.charge_cents == decided.paid_cents + adjusted
            assert decided.paid_cents >= 0
            assert all(adjustment.cents > 0 for adjustment in decided.adjustments)
    order.shuffle(claims)
    assert _decide(payer, *claims) == expected


def test_only_the_member_id_of_the_day_of_receipt_is_admitted(world: World) -> None:
    payer = world.payers[1]
    member = payer.member_with("CI0001")
    invalid = Refusal("A7", "164", "IL")
    assert admit(payer, "CI0001", "1", date(2026, 1, 31)) is member
    assert admit(payer, "CI0001", "1", date(2026, 2, 1)) == invalid
    assert admit(payer, "CI0009", "1", date(2026, 1, 31)) == invalid
    assert admit(payer, "CI0009", "7", date(2026, 2, 1)) is member
    assert admit(payer, "CI7777", "1", date(2026, 2, 1)) == invalid
    assert admit(payer, "CI0009", "8", date(2026, 2, 1)) is member
    by_letter = payer.model_copy(update={"voids": "letter"})
    refused = Refusal("A7", "535", "")
    assert admit(by_letter, "CI0009", "8", date(2026, 2, 1)) == refused
    assert admit(payer, "CI0009", "9", date(2026, 2, 1)) == refused


def test_the_share_of_a_qualified_medicare_beneficiary_is_nobody_s(
    world_facts: dict[str, Any],
) -> None:
    world_facts["payers"][0]["members"][0]["qmb"] = True
    payer = _payer(world_facts)
    (decision,) = _decide(payer, _claim(payer, charge=6000))
    # 20 % of 30.85 is 6.17, not to be collected; 2 % of the 24.68 left is 0.49.
    assert _adjustments(decision) == [("CO-45", 2915), ("OA-209", 617), ("CO-253", 49)]
    assert (decision.paid_cents, decision.patient_cents) == (2419, 0)


def test_each_line_at_its_own_rate(world_facts: dict[str, Any]) -> None:
    payers = world_facts["payers"]
    payers[1]["rates"].append({**payers[1]["rates"][0], "code": "90834", "cents": 8000})
    payers[1]["members"][0].update({"copay_cents": 0, "coinsurance_percent": 20})
    payer = _payer(world_facts, 1)
    lines = (
        ServiceLine("90853", (), 1, 6000, DAY, "L1"),
        ServiceLine("90834", ("59",), 1, 14000, DAY, "L2"),
    )
    (decision,) = _decide(payer, _claim(payer, "CI0001", lines=lines))
    assert [line.allowed_cents for line in decision.lines] == [4200, 8000]
    assert _adjustments(decision) == [
        ("CO-45", 1800),
        ("PR-2", 840),
        ("CO-45", 6000),
        ("PR-2", 1600),
    ]
    assert decision.paid_cents == 3360 + 6400


def test_who_is_another_s_member_is_not_paid_for(world_facts: dict[str, Any]) -> None:
    medicare, commercial = world_facts["payers"]
    medicare["members"][0]["medicare_advantage"] = {"plan": "COMM1", "member_id": "CI0003"}
    commercial["members"][0]["carve_out"] = {"administrator": "MEDB1", "member_id": "MB0002"}
    for position, member_id, reason in ((0, "MB0001", "CO-24"), (1, "CI0001", "CO-109")):
        payer = _payer(world_facts, position)
        (decision,) = _decide(payer, _claim(payer, member_id))
        assert _adjustments(decision) == [(reason, 6500)]


def test_a_number_given_on_request_is_an_authorization(world_facts: dict[str, Any]) -> None:
    member = world_facts["payers"][1]["members"][1]
    member["authorization"]["on_request"] = [
        {
            "decision": "A1",
            "after_hours": 1,
            "number": "AUTH0002",
            "units": 4,
            "from": "2026-02-02",
            "to": "2026-02-28",
        }
    ]
    payer = _payer(world_facts, 1)
    (decision,) = _decide(payer, _claim(payer, "CI0002", authorization_number="AUTH0002"))
    assert not decision.denied
    late = ServiceLine("90853", (), 1, 6500, date(2026, 3, 1), "L1")
    claim = _claim(payer, "CI0002", authorization_number="AUTH0002", lines=(late,))
    assert _decide(payer, claim)[0].denied


@pytest.mark.parametrize(("stands", "replaced"), [(False, None), (True, "50")])
def test_what_is_denied_for_nothing_is_denied_once_or_for_good(
    world_facts: dict[str, Any], stands: bool, replaced: str | None
) -> None:
    denial = {"member_id": "MB0001", "service_date": str(DAY), "reason": "50", "stands": stands}
    world_facts["payers"][0]["denials"] = [denial]
    payer = _payer(world_facts)
    (first,), history = adjudicate(payer, History(), [_claim(payer)])
    assert _adjustments(first) == [("CO-50", 6500)]
    again = _claim(payer, payer_claim_number="PCN2", frequency="7", replaces="PCN1")
    (second,), _ = adjudicate(payer, history, [again])
    assert (second.denied, _adjustments(second)[0][0]) == (
        (False, "CO-45") if replaced is None else (True, f"CO-{replaced}")
    )
    other = _claim(payer, "MB0002")
    assert not _decide(payer, other)[0].denied


@pytest.mark.parametrize(
    ("documents", "replaced"), [(("GC1-1-1",), "CO-45"), ((), "CO-252"), (("",), "CO-252")]
)
def test_what_wants_documents_is_priced_once_a_replacement_announces_them(
    world_facts: dict[str, Any], documents: tuple[str, ...], replaced: str
) -> None:
    denial = {
        "member_id": "MB0001", "service_date": str(DAY), "reason": "252", "stands": False,
        "asks_documents": True,
    }  # fmt: skip
    world_facts["payers"][0]["denials"] = [denial]
    payer = _payer(world_facts)
    # The original is denied whatever it announces: the payer asks for more.
    original = _claim(payer, documents=("UNASKED",))
    (first,), history = adjudicate(payer, History(), [original])
    assert _adjustments(first) == [("CO-252", 6500)]
    again = _claim(
        payer, payer_claim_number="PCN2", frequency="7", replaces="PCN1", documents=documents
    )
    (second,), _ = adjudicate(payer, history, [again])
    assert _adjustments(second)[0][0] == replaced


def test_a_claim_is_decided_later_for_the_service_that_is_delayed(
    world_facts: dict[str, Any],
) -> None:
    delay = {"member_id": "MB0001", "service_date": str(DAY), "days": 40}
    world_facts["payers"][0]["delays"] = [delay]
    payer = _payer(world_facts)
    one, other = (payer.member_with(number) for number in ("MB0001", "MB0002"))
    assert one is not None
    assert other is not None
    assert payer.days_to_pay(one, [DAY]) == 55
    assert payer.days_to_pay(one, [DAY.replace(day=9)]) == 15
    assert payer.days_to_pay(other, [DAY]) == 15
