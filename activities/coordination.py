"""The payers after the first: whose turn it is, and the claim that the next one gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from activities import steps
from activities.on_file import OnFile, on_file
from activities.outside import Outside
from groupclaim.model.claim import (
    ORIGINAL,
    REPLACEMENT,
    ClaimLine,
    ClaimParties,
    ClaimVersion,
    PriorDecision,
)
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.identity import VERSION_LETTERS, control_number
from groupclaim.model.patient import Coverage
from groupclaim.policy.payer import NoPolicy, PayerPolicy
from groupclaim.rules.authorization import fitting_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.coordination import (
    Decided,
    Turn,
    for_the_next_payer_alone,
    whose_turn,
)
from groupclaim.rules.part2 import check_consent
from groupclaim.store import claims, coordination, practice
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord

_MEDICARE = "MB"
_MEDICARE_AND_ADVANTAGE = (_MEDICARE, "16")


@dataclass(frozen=True, slots=True)
class NextPayer:
    """Whose turn it is, with the frequency of the claim it would get. ``open_is_theirs``: what is
    open may be billed to them alone, or they have decided on figures that have changed."""

    turn: Turn
    frequency: Literal["1", "7"]
    open_is_theirs: bool


async def next_payer(
    outside: Outside,
    reading: Reading,
    step: steps.ClaimStep,
    found: OnFile,
    decided: Mapping[int, Decided],
) -> NextPayer | None:
    """The payer whose decision is awaited before anything is the patient's; None when there is
    none. A first coverage that is not the one billed first counts too: it is billed, and the payer
    that has decided in its place is corrected after it."""
    facts = found.facts
    covers = await practice.coverages(reading, facts.patient_id, facts.service_date)
    first = decided.get(1)
    if first is None or not covers:
        return None
    base = await coordination.paid_version(reading, step.claim_number, first.payment)
    if base is None:
        return None
    theirs = for_the_next_payer_alone(first.payment) or owes_nothing(base.parties)
    if base.parties.coverage.payer not in {cover.payer for cover in covers}:
        return None  # it has paid for a coverage that was taken off since: a person looks at that
    if base.parties.coverage.payer != covers[0].payer:
        newest = await claims.read_version(reading, step.claim_number, step.version)
        to_first = newest.parties.coverage.payer == covers[0].payer
        rebilled = newest.payer_sequence == 1 and to_first
        what: Literal["await", "wrong_order"] = "await" if rebilled else "wrong_order"
        return NextPayer(Turn(what=what, payer=1), ORIGINAL, theirs)
    billed = await coordination.billed(reading, step.claim_number, step.version)
    prior = {
        place: await _prior(reading, step.claim_number, decided, covers, place) for place in billed
    }
    policy = _policy(outside, base.parties.payer.policy, facts.service_date)
    turn = whose_turn(
        len(covers),
        decided,
        {place: told for place, told in prior.items() if told is not None},
        billed,
        policy.coordination.crossover_days if policy else 0,
        _local(found),
    )
    if turn is None:
        return None
    # One that decided on figures that have changed leaves open what it has not been told of.
    theirs = theirs or (turn.what == "changed" and turn.payer in decided)
    frequency = await _frequency(outside, reading, step, covers[turn.payer - 1], facts.service_date)
    return NextPayer(turn, frequency, theirs)


def owes_nothing(parties: ClaimParties) -> bool:
    """Whether Medicare has said that the patient is a qualified beneficiary, from whom its
    deductible, coinsurance and copay may not be collected (42 U.S.C. 1396a(n)(3))."""
    answer = parties.answer
    return (
        answer is not None
        and answer.qualified_medicare_beneficiary
        and parties.payer.filing_indicator in _MEDICARE_AND_ADVANTAGE
    )


async def _frequency(
    outside: Outside, reading: Reading, step: steps.ClaimStep, cover: Coverage, day: date
) -> Literal["1", "7"]:
    """A payer that has the claim already gets a replacement, where it takes any."""
    known = await coordination.payers_number(reading, step.claim_number, step.version, cover.payer)
    payer = await practice.read_payer(reading, reading.keyring.payer_key(cover.payer))
    policy = _policy(outside, payer.policy, day)
    if known is None or policy is None or policy.corrections.finalized != "replacement":
        return ORIGINAL
    return REPLACEMENT


def _policy(outside: Outside, name: str, day: date) -> PayerPolicy | None:
    try:
        return outside.policies.policy(name, day)
    except NoPolicy:
        return None


def _local(found: OnFile) -> date:
    return found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()


async def _prior(
    reading: Reading,
    claim_number: str,
    decided: Mapping[int, Decided],
    covers: tuple[Coverage, ...],
    place: int,
) -> tuple[PriorDecision, ...] | None:
    """What the payer at ``place`` has to be told; None where it cannot be."""
    told = []
    for before in range(1, place):
        decision = decided.get(before)
        version = (
            await coordination.paid_version(reading, claim_number, decision.payment)
            if decision
            else None
        )
        if decision is None or version is None:
            return None
        parties = version.parties
        if version.payer_sequence != before:  # it got the claim by crossover
            parties = await _parties(reading, version.parties, covers[before - 1], None)
        try:
            told.append(await coordination.prior_decision(reading, decision, version, parties))
        except coordination.Unmatched:
            return None
    return tuple(told)


async def _parties(
    reading: Reading, first: ClaimParties, cover: Coverage, policy: PayerPolicy | None
) -> ClaimParties:
    """The same said to another payer: whom it insures under which number is its coverage's."""
    payer = await practice.read_payer(reading, reading.keyring.payer_key(cover.payer))
    subscriber = first.subscriber.model_copy(
        update={"member_id": cover.member_id, "group_number": cover.group_number}
    )
    changes: dict[str, object] = {
        "payer": payer,
        "coverage": cover,
        "answer": None,
        "subscriber": subscriber,
    }
    if policy is not None:
        changes |= {"policy_from": policy.effective_from, "policy_version": policy.version}
    return first.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class DraftForNext:
    """A version for a payer after the first, with what is on file about it; or what stands against
    it."""

    found: OnFile
    version: ClaimVersion | None
    findings: tuple[Finding, ...]


async def draft_for_next(
    outside: Outside, reading: Reading, step: steps.ClaimStep, version_number: int
) -> DraftForNext:
    """The claim as the first payer got it, for the payer at ``step.payer``, with the figures of
    those before, as that version."""
    number = step.claim_number
    found = await on_file(outside, reading, number, step.version)
    facts = found.facts
    covers = await practice.coverages(reading, facts.patient_id, facts.service_date)
    decided = await coordination.decisions(reading, number)
    base = (
        await coordination.paid_version(reading, number, decided[1].payment)
        if 1 in decided
        else None
    )
    if base is None or step.payer > len(covers):
        return _stopped(found, "no_turn")
    cover = covers[step.payer - 1]
    try:
        payer = await practice.read_payer(reading, reading.keyring.payer_key(cover.payer))
        policy = outside.policies.policy(payer.policy, facts.service_date)
    except (NoPolicy, UnknownRecord):
        return _stopped(found, "no_policy")
    prior = await _prior(reading, number, decided, covers, step.payer)
    if prior is None:
        return _stopped(found, "prior_decision_unmatched")
    if payer.filing_indicator == _MEDICARE and cover.medicare_secondary is None:
        return _stopped(found, "medicare_secondary_reason")
    if version_number > len(VERSION_LETTERS):
        return _stopped(found, "too_many_versions")
    parties = await _parties(reading, base.parties, cover, policy)
    found = await on_file(outside, reading, number, parties=parties)
    replaced = None
    if step.frequency != ORIGINAL:
        replaced = await coordination.payers_number(reading, number, step.version, cover.payer)
    if step.frequency != ORIGINAL and replaced is None:
        return _stopped(found, "no_original_reference")
    control = control_number(number, version_number)
    permit = fitting_authorization(found.facts, GROUP_PSYCHOTHERAPY)
    version = ClaimVersion.model_validate(
        {
            **dict(base),
            "version": version_number,
            "made_by": step.sequence,
            "control_number": control,
            "parties": parties,
            "payer_sequence": step.payer,
            "prior": prior,
            "frequency": step.frequency,
            "original_reference": replaced,
            "prior_authorization": permit.number if permit else None,
            "patient_paid": found.facts.copay_paid,
            "lines": tuple(
                ClaimLine.model_validate(
                    {**dict(line), "line_control_number": f"{control}L{place}"}
                )
                for place, line in enumerate(base.lines, 1)
            ),
        }
    )
    return DraftForNext(found, version, check_consent(found.facts, _local(found)))


_STOPS = {
    "no_turn": (
        "No coverage, or no decision, stands before this payer.",
        "Load the coverages in their order, then release.",
    ),
    "no_policy": (
        "The next payer, or its rules for the day, are not on file.",
        "Load payer and policy, then release.",
    ),
    "prior_decision_unmatched": (
        "The lines of the remittance before are not those of the claim.",
        "Bill the next payer on paper with that remittance, then release.",
    ),
    "medicare_secondary_reason": (
        "Medicare is not told why it pays after another payer (SBR05).",
        "Load medicare_secondary with the Medicare coverage, then release.",
    ),
    "too_many_versions": (
        "The claim has been made too many times.",
        "Settle the claim with the payer by other means.",
    ),
    "no_original_reference": (
        "The payer's number of the claim to be replaced is not known.",
        "Ask the payer for its claim number.",
    ),
}
"""What stands against a claim for a later payer: the sentence, and its repair."""


def _stopped(found: OnFile, rule: str) -> DraftForNext:
    sentence, fix = _STOPS[rule]
    finding = Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=fix,
        evidence=(found.facts.claim_number,),
        hold="CLAIM_REFUSED",
    )
    return DraftForNext(found, None, (finding,))
