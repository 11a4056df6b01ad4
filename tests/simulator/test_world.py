"""The payers' file: read whole, or refused with every fault named."""

import json
from datetime import date
from typing import Any

import pytest

from groupclaim.simulator.world import World, WorldError, parse_world


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
