"""The payers' file: read whole, or refused with every fault named."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from groupclaim.simulator.world import World, WorldError, load_world, parse_world

SAMPLES = Path(__file__).parents[2] / "samples"


def _problems(facts: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(WorldError) as caught:
        parse_world(json.dumps(facts).encode())
    return caught.value.problems


def test_reads_the_world(world: World) -> None:
    payer = world.payer("COMM1")
    assert payer is not None
    member = payer.member_with("CI0001")
    assert member is not None
    assert member.id_on(date(2026, 1, 31)) == "CI0001"
    assert member.id_on(date(2026, 2, 1)) == "CI0009"
    assert member.id_on(date(2024, 12, 31)) is None
    assert payer.member_with("CI0009") is member
    assert payer.member_named("TESTA", "reissued", date(1980, 1, 31), "F") is member
    assert payer.member_named("TESTA", "reissued", date(1980, 1, 30), "F") is None


def test_a_rate_for_the_rendering_npi_goes_first(world: World) -> None:
    payer = world.payer("MEDB1")
    assert payer is not None
    assert payer.rate_cents("90853", "1999999984", date(2026, 2, 2)) == 2289
    assert payer.rate_cents("90853", "1234567893", date(2026, 2, 2)) == 3085
    assert payer.rate_cents("90853", "1234567893", date(2024, 2, 2)) is None
    assert payer.rate_cents("90834", "1234567893", date(2026, 2, 2)) is None


def test_names_every_bad_field_at_once(world_facts: dict[str, Any]) -> None:
    payer = world_facts["payers"][0]
    payer["pays_after_days"] = 0
    payer["members"][0]["sex"] = "X"
    payer["members"][1]["surprise"] = 1
    del world_facts["seed"]
    places = {problem.split(":")[0] for problem in _problems(world_facts)}
    assert places == {
        "seed",
        "payers.0.pays_after_days",
        "payers.0.members.0.sex",
        "payers.0.members.1.surprise",
    }


def test_names_every_contradiction_without_personal_data(world_facts: dict[str, Any]) -> None:
    medicare, commercial = world_facts["payers"]
    commercial["payer_id"] = "MEDB1"
    medicare["acknowledges_after_hours"] = 400
    medicare["members"][1]["member_ids"][0]["id"] = "MB0001"
    medicare["rates"].append(medicare["rates"][0])
    medicare["remittance_copies"] *= 2
    commercial["members"][0]["coinsurance_percent"] = 20
    commercial["members"][0]["member_ids"][0]["to"] = "2026-02-01"
    commercial["members"][2]["coverage"][0]["to"] = "2024-01-31"
    commercial["authorizations"][0]["member_id"] = "CI7777"
    commercial["authorizations"] *= 2
    problems = _problems(world_facts)
    assert [problem.split(": ")[0] for problem in problems] == [
        "payers.payer_id",
        "payers.0.acknowledges_after_hours",
        "payers.0.members.0.member_ids",
        "payers.0.members.1.member_ids",
        "payers.0.rates (90853, any)",
        "payers.0.remittance_copies.payment_date",
        "payers.1.members.0.member_ids",
        "payers.1.members.0",
        "payers.1.members.2.coverage",
        "payers.1.authorizations.number",
        "payers.1.authorizations.0.member_id",
        "payers.1.authorizations.1.member_id",
    ]
    assert not any("MB0001" in problem or "Testa" in problem for problem in problems)


def test_refuses_what_is_not_json() -> None:
    with pytest.raises(WorldError, match="Invalid JSON"):
        parse_world(b"{")


def test_names_what_contradicts_itself_beyond_claims(world_facts: dict[str, Any]) -> None:
    medicare, commercial = world_facts["payers"]
    medicare["members"][0]["medicare_advantage"] = {"plan": "NOONE", "member_id": "X1"}
    commercial["members"][0]["carve_out"] = {"administrator": "MEDB1", "member_id": "X1"}
    commercial["members"][1]["authorization"]["on_request"] = [
        {"decision": "A4", "after_hours": 5},
        {"decision": "A4", "after_hours": 5},
    ]
    commercial["reversals"] = [
        {
            "member_id": "X1",
            "service_date": "2026-02-02",
            "on": "2026-03-02",
            "corrected_allowed_cents": None,
        }
    ]
    commercial["takebacks"] = [
        {
            "announced_on": "2026-03-02",
            "cents": 100,
            "reference_member_id": "X1",
            "service_date": "2026-02-02",
            "taken": [{"payment_date": "2026-03-02", "cents": 101}],
        }
    ]
    commercial["unbalanced"] = [{"payment_date": "2026-03-02", "off_by_cents": 1}] * 2
    assert _problems(world_facts) == (
        "payers.0.members.0.medicare_advantage.plan: no payer has this id",
        "payers.1.members.0.carve_out.administrator: that payer has no member with the member_id"
        " given",
        "payers.1.members.1.authorization.on_request: after_hours must rise",
        "payers.1.unbalanced.payment_date: 2026-03-02 appears 2 times",
        "payers.1.reversals.0.member_id: no member of this payer holds it",
        "payers.1.takebacks.0.reference_member_id: no member of this payer holds it",
        "payers.1.takebacks.0.taken: more than is asked back",
        "payers.1.takebacks.0.taken: before it is announced",
    )


@pytest.mark.parametrize(
    ("review", "said"),
    [
        ({"decision": "A1", "after_hours": 1, "number": "N1"}, "a certification needs number"),
        ({"decision": "A3", "after_hours": 1, "units": 3}, "are of a certification only"),
    ],
)
def test_a_review_is_whole(world_facts: dict[str, Any], review: dict[str, Any], said: str) -> None:
    world_facts["payers"][1]["members"][1]["authorization"]["on_request"] = [review]
    (problem,) = _problems(world_facts)
    assert said in problem


def test_reads_the_payers_of_the_samples() -> None:
    world = load_world(SAMPLES / "payers.json")
    assert len(world.payers) == 8
