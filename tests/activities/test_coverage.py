"""What a payer's answer leads to: a second question, a hold, evidence by telephone, consent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from activities import composing, steps
from groupclaim import x12
from groupclaim.model.claim import ClaimLine, ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization, CoverageCall
from groupclaim.rules.part2 import NOTICE
from groupclaim.store import audit, authorizations, claims, practice
from tests.activities.house import KEYRING, SAMPLES, START, House
from tests.rules import made

ROSTER = {"S1": ("P01", "P06", "P08")}
Benefits = tuple[x12.Benefit, ...]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        yield made


@pytest.fixture
async def claim(house: House) -> str:
    return await house.claim_of("S1", "P06")


def eb(information: str, *kinds: str, **values: Any) -> x12.Benefit:
    return x12.Benefit(information, service_types=kinds, **values)


def entity(payer_id: str = "ELSE1", **values: Any) -> x12.RelatedEntity:
    return x12.RelatedEntity(
        **{"role": "X3", "name": "ELSEWHERE BEHAVIORAL", "qualifier": "PI",
           "identifier": payer_id, **values}
    )  # fmt: skip


class Payers:
    """Answers each 270 as the payer asked would: benefits by payer id."""

    def __init__(self, house: House, answers: dict[str, Benefits]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._answers = answers
        house.clearinghouse.ask_eligibility = self._answer  # type: ignore[method-assign]

    async def _answer(self, question: bytes) -> bytes:
        (inquiry,), problems = x12.read_270(question)
        assert not problems
        payer_id = inquiry.payer.identifier
        self.asked.append((payer_id, inquiry.subscriber.member_id))
        response = x12.EligibilityResponse(
            reference=inquiry.reference,
            trace_number=inquiry.trace_number,
            trace_originator=inquiry.trace_originator,
            payer=inquiry.payer,
            provider=inquiry.provider,
            subscriber=x12.Member("A", "B", f"{payer_id}MEMBER"),
            benefits=self._answers[payer_id],
        )
        frame = x12.Envelope(
            sender_id="PAYER0",
            receiver_id="PRACTICE0",
            interchange_control_number=1,
            group_control_number=1,
            at=START,
            test=True,
        )
        return x12.build_271(frame, response, 1)


async def check(house: House, claim: str, sequence: int = 1) -> Any:
    return await house.perform(
        steps.CHECK_ELIGIBILITY, steps.ClaimStep(claim_number=claim, sequence=sequence)
    )


async def sample(house: House, change: Callable[[dict[str, Any]], None]) -> practice.Loaded:
    """Load the sample practice as ``change`` makes it."""
    data = PracticeFile.model_validate_json((SAMPLES / "practice.json").read_bytes())
    raw = data.model_dump(mode="json", by_alias=True)
    change(raw)
    file = PracticeFile.model_validate_json(json.dumps(raw))
    async with house.database.transaction() as tx:
        return await practice.load_practice(tx, file)


def add_administrator(raw: dict[str, Any]) -> None:
    template = next(item for item in raw["payers"] if item["ref"] == "placebo-health")
    raw["payers"].append(
        {**template, "ref": "elsewhere", "name": "Elsewhere Behavioral", "payer_id": "ELSE1"}
    )
    contract = next(item for item in raw["contracts"] if item["payer"] == "placebo-health")
    raw["contracts"].append({**contract, "payer": "elsewhere"})


CARVED_OUT = (eb("1", "30"), eb("U", "MH", entities=(entity(),)))


async def test_scenario_12_an_administrator_not_on_file_is_named(house: House, claim: str) -> None:
    payers = Payers(house, {"SIMPLC": CARVED_OUT})
    checked = await check(house, claim)
    assert (checked.held.code, checked.held.releasable) == ("CARVE_OUT", False)
    async with house.database.reading() as reading:
        (finding,) = [
            item
            for item in await claims.read_findings(reading, claim, "check_eligibility")
            if item.hold
        ]
    assert "ELSEWHERE BEHAVIORAL, payer id ELSE1" in finding.sentence
    assert [asked for asked, _ in payers.asked] == ["SIMPLC"]


async def test_scenario_12_the_administrator_on_file_is_asked_and_billed(
    house: House, claim: str
) -> None:
    await sample(house, add_administrator)
    payers = Payers(
        house,
        {"SIMPLC": CARVED_OUT, "ELSE1": (eb("1", "MH", authorization="N"),)},
    )
    checked = await check(house, claim)
    assert checked.held is None
    assert [asked for asked, _ in payers.asked] == ["SIMPLC", "ELSE1"]
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
        key = await reading.scalar(
            text("SELECT payer_key FROM claim WHERE claim_number = :n").bindparams(n=claim)
        )
    assert facts.payer is not None
    assert facts.eligibility is not None
    assert (facts.payer.ref, facts.eligibility.member_id) == ("elsewhere", "ELSE1MEMBER")
    assert facts.coverage is not None
    assert facts.coverage.payer == "placebo-health"
    assert facts.contracts[0].payer == "elsewhere"
    assert key == KEYRING.payer_key("elsewhere")


async def test_asked_again_the_coverages_own_payer_comes_first(house: House, claim: str) -> None:
    await sample(house, add_administrator)
    answers = {"SIMPLC": CARVED_OUT, "ELSE1": (eb("1", "MH"),)}
    payers = Payers(house, answers)
    await check(house, claim)
    answers["SIMPLC"] = (eb("1", "MH"),)
    await check(house, claim, 2)
    assert [asked for asked, _ in payers.asked] == ["SIMPLC", "ELSE1", "SIMPLC"]
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
    assert facts.payer is not None
    assert facts.payer.ref == "placebo-health"


async def test_the_member_id_may_stand_where_the_administrators_own_would(
    house: House, claim: str
) -> None:
    await sample(house, add_administrator)
    named = entity("ANOTHERID9", qualifier="MI")
    payers = Payers(
        house, {"SIMPLC": (eb("1", "MH", entities=(named,)),), "ELSE1": (eb("1", "MH"),)}
    )
    assert (await check(house, claim)).held is None
    assert payers.asked[1] == ("ELSE1", "ANOTHERID9")


async def test_the_member_id_there_may_stand_with_the_benefit(house: House, claim: str) -> None:
    await sample(house, add_administrator)
    elsewhere = eb("U", "MH", entities=(entity(),), references=(x12.Reference("1W", "THEIRS7"),))
    payers = Payers(house, {"SIMPLC": (elsewhere,), "ELSE1": (eb("1", "MH"),)})
    assert (await check(house, claim)).held is None
    assert payers.asked[1] == ("ELSE1", "THEIRS7")


async def test_the_plan_that_medicare_names_is_asked_and_billed(house: House) -> None:
    claim = await house.claim_of("S1", "P01")
    named = eb("R", "30", insurance_type="HN", entities=(entity(role="PRP"),))
    answers = {"SIMMB": (eb("1", "30", insurance_type="MB"), named), "ELSE1": (eb("1", "MH"),)}
    payers = Payers(house, answers)
    assert (await check(house, claim)).held.code == "MEDICARE_ADVANTAGE"
    await sample(house, add_administrator)
    assert (await check(house, claim, 2)).held is None
    assert [asked for asked, _ in payers.asked] == ["SIMMB", "SIMMB", "ELSE1"]
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
        rules = {
            item.rule for item in await claims.read_findings(reading, claim, "check_eligibility")
        }
    assert facts.payer is not None
    assert facts.payer.ref == "elsewhere"
    assert "medicare_advantage_billed" in rules
    assert "medicare_advantage" not in rules


async def test_an_administrator_that_refers_again_is_not_followed(house: House, claim: str) -> None:
    await sample(house, add_administrator)
    payers = Payers(
        house, {"SIMPLC": CARVED_OUT, "ELSE1": (eb("U", "MH", entities=(entity("THIRD"),)),)}
    )
    assert (await check(house, claim)).held.code == "CARVE_OUT"
    assert len(payers.asked) == 2


async def test_an_administrator_that_does_not_cover_holds(house: House, claim: str) -> None:
    await sample(house, add_administrator)
    Payers(house, {"SIMPLC": CARVED_OUT, "ELSE1": (eb("6", "MH"),)})
    assert (await check(house, claim)).held.code == "COVERAGE_INACTIVE"


async def test_a_corrected_coverage_ends_what_the_old_payer_said(house: House, claim: str) -> None:
    await sample(house, add_administrator)
    Payers(house, {"SIMPLC": CARVED_OUT, "ELSE1": (eb("1", "MH"),)})
    await check(house, claim)

    def move(raw: dict[str, Any]) -> None:
        add_administrator(raw)
        for item in raw["coverages"]:
            if item["patient"] == "P06":
                item["payer"] = "sample-mutual"
                item["priority"] = 1
                item["from"] = "2026-01-15"
        raw["coverages"].append(
            {**next(i for i in raw["coverages"] if i["patient"] == "P06"),
             "payer": "placebo-health", "from": "2025-01-01", "to": "2026-01-14"}
        )  # fmt: skip

    await sample(house, move)
    async with house.database.transaction() as tx:
        await tx.execute(text("DELETE FROM coverage WHERE payer_key = :k AND patient_id = :p")
                         .bindparams(k=KEYRING.payer_key("placebo-health"),
                                     p=KEYRING.patient_id("P06")))  # fmt: skip
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
    assert facts.payer is not None
    assert facts.payer.ref == "sample-mutual"


async def test_visits_used_up_hold(house: House, claim: str) -> None:
    none_left = eb("F", "MH", period="29", quantity_qualifier="VS", quantity=0)
    Payers(house, {"SIMPLC": (eb("1", "MH"), none_left)})
    assert (await check(house, claim)).held.code == "VISITS_EXHAUSTED"


async def test_a_call_lets_a_claim_go_on_that_the_271_stopped(house: House, claim: str) -> None:
    Payers(house, {"SIMPLC": (eb("6", "MH"),)})
    assert (await check(house, claim)).held.code == "COVERAGE_INACTIVE"
    call = CoverageCall.model_validate(
        {"patient": "P06", "payer": "placebo-health", "reference": "CALL-77",
         "person": "Invented Agent", "called_at": START, "from": date(2026, 2, 1),
         "to": date(2026, 2, 28), "active": True, "authorization_required": "N"}
    )  # fmt: skip
    async with house.database.transaction() as tx:
        loaded = await practice.record_coverage_call(tx, call)
        assert (await practice.record_coverage_call(tx, call)).unchanged == 1
    assert loaded.patients == (KEYRING.patient_id("P06"),)
    assert (await check(house, claim, 2)).held is None
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
    assert facts.eligibility is not None
    assert (facts.eligibility.call, facts.eligibility.authorization_required) == ("CALL-77", "N")


# --- substance-use records


def flag(*consents: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        patient = next(item for item in raw["patients"] if item["ref"] == "P06")
        patient.update(part2=True, part2_consents=list(consents))

    return change


CONSENT = {"ref": "c1", "scope": "payment", "signed_on": "2026-01-05"}


async def test_without_consent_the_payer_is_not_even_asked(house: House, claim: str) -> None:
    payers = Payers(house, {"SIMPLC": (eb("1", "MH"),)})
    assert (await sample(house, flag())).patients == (KEYRING.patient_id("P06"),)
    checked = await check(house, claim)
    assert (checked.held.code, checked.held.releasable) == ("PART2_CONSENT", False)
    assert payers.asked == []
    assert await disclosures(house) == []


async def test_with_consent_the_disclosure_and_its_notice_are_recorded(
    house: House, claim: str
) -> None:
    Payers(house, {"SIMPLC": (eb("1", "MH"),)})
    await sample(house, flag(CONSENT))
    assert (await check(house, claim)).held is None
    (detail,) = await disclosures(house)
    assert (detail["notice"], detail["what"]) == ("42-CFR-2.32-a-2", "270")


async def test_a_consent_revoked_before_the_claim_is_made_stops_it(
    house: House, claim: str
) -> None:
    Payers(house, {"SIMPLC": (eb("1", "MH"),)})
    await sample(house, flag(CONSENT))
    assert (await check(house, claim)).held is None
    await sample(house, flag({**CONSENT, "revoked_on": "2026-02-01"}))
    built = await house.perform(steps.BUILD_CLAIM, steps.ClaimStep(claim_number=claim, sequence=5))
    assert built.held.code == "PART2_CONSENT"


async def disclosures(house: House) -> list[Mapping[str, Any]]:
    claim = await house.claim_of("S1", "P06")
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, claim)
    return [entry.detail for entry in entries if entry.action == "part2_disclosure"]


# --- units


async def test_the_check_reserves_a_unit_and_holds_who_comes_too_late(house: House) -> None:
    first, second = [await house.claim_of("S1", patient) for patient in ("P01", "P06")]
    permit = Authorization.model_validate(
        {"patient": "P06", "payer": "placebo-health", "number": "ONE", "codes": ("90853",),
         "units": 1, "from": date(2026, 1, 1), "to": date(2026, 6, 30)}
    )  # fmt: skip
    Payers(house, {"SIMPLC": (eb("1", "MH", authorization="Y"),)})
    await check(house, second)
    async with house.database.transaction() as tx:
        await practice.record_authorization(tx, permit)
        # Somebody else's claim, for the sake of the test, has the only unit.
        await authorizations.reserve(tx, first, permit, START)
    step = steps.ClaimStep(claim_number=second, sequence=2)
    held = (await house.perform(steps.CHECK_AUTHORIZATION, step)).held
    assert held.code == "AUTH_EXHAUSTED"
    async with house.database.transaction() as tx:
        await authorizations.release(tx, first, START + timedelta(days=1))
    assert (await house.perform(steps.CHECK_AUTHORIZATION, step)).held is None
    async with house.database.reading() as reading:
        assert (await authorizations.units(reading, permit)).reserved == 1


def test_the_claim_carries_the_notice_and_the_referral() -> None:
    line = ClaimLine(
        line_control_number="L1", code="90853", charge=Cents(6000), units=1,
        place_of_service="11", diagnosis_pointers=(1,), service_date=date(2026, 2, 3),
    )  # fmt: skip
    plain = made.facts()
    flagged = made.facts(
        patient=plain.patient.model_copy(update={"part2": True}),
        coverage=plain.coverage.model_copy(update={"referral": "REF77"}),
    )

    def sent(facts: ClaimFacts) -> str:
        parties = composing.claim_parties(
            facts, facts.payer, facts.coverage, made.policy(), facts.clinician
        )
        version = ClaimVersion(
            claim_number="GC0000000000X", version=1, control_number="GC0000000000XA",
            frequency="1", parties=parties, diagnoses=("F1020",), place_of_service="11",
            lines=(line,),
        )  # fmt: skip
        claim = composing.professional_claim(version, facts.practice)
        frame = x12.Envelope(
            sender_id="PRACTICE0", receiver_id="PAYER0", interchange_control_number=1,
            group_control_number=1, at=START + timedelta(days=9), test=True,
        )  # fmt: skip
        content = composing.batch_bytes(frame, facts.practice, (claim,), 1, "B1")
        assert x12.check_outbound(content) == ()
        return content.decode()

    assert NOTICE.text.upper() in sent(flagged)
    assert "REF*9F*REF77" in sent(flagged)
    assert "NTE*" not in sent(plain)
