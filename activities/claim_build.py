"""Makes a version of the claim: control number, lines, references; nothing unfit ever leaves."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from activities import composing, steps
from activities.coordination import draft_for_next
from activities.on_file import Billed, OnFile, connection_of, on_file
from activities.outside import Outside, performs
from activities.reading import audit_reading, audited_note, digest, sessions_of_the_day
from groupclaim import x12
from groupclaim.lifecycle.events import ClaimBuilt
from groupclaim.model.base import Record
from groupclaim.model.claim import (
    ORIGINAL,
    REPLACEMENT,
    VOID,
    Attachment,
    ClaimLine,
    ClaimParties,
    ClaimVersion,
)
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.identity import VERSION_LETTERS, control_number
from groupclaim.model.letter import Channel
from groupclaim.model.practice import Connection
from groupclaim.model.session import ProgressNote
from groupclaim.rules.authorization import fitting_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY, Coded, code_claim
from groupclaim.rules.deadlines import Deadline, check_filing
from groupclaim.rules.holding import held
from groupclaim.rules.part2 import check_consent
from groupclaim.store import authorizations, batches, claims, denials, remittances, voids
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading, Transaction

_MOST_PROBLEMS = 20

_MOST_ATTACHMENTS = 10
"""PWK segments of one claim (005010X222A1, loop 2300)."""

_SUPPORT_DATA = "OZ"
"""PWK01 of a packet of several kinds of records."""

_TRANSMISSION: dict[Channel, Literal["BM", "EL", "FX"]] = {
    "upload": "EL",
    "fax": "FX",
    "mail": "BM",
    "hand": "BM",
}
"""PWK02 by how a packet left; what goes by hand is on paper: groupclaim's own choice."""


class _Draft(Record):
    """A version as it would be sent, or what stands against it."""

    version: ClaimVersion | None
    findings: tuple[Finding, ...]


class ClaimBuild:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.BUILD_CLAIM)
    async def build_claim(self, step: steps.ClaimStep) -> ClaimBuilt:
        """Make the next version. One made by an earlier attempt is kept as it is."""
        outside = self._outside
        if step.frequency == VOID:
            return await self._build_void(step)
        if step.payer > 1:
            return await self._build_for_next(step)
        async with outside.database.transaction() as tx:
            found = await on_file(outside, tx, step.claim_number)
            replaced = await _replaced(tx, step)
            announced = (
                await denials.documents_sent(tx, step.claim_number)
                if step.frequency == REPLACEMENT
                else ()
            )
            sent_at = await batches.first_unanswered_sending(tx, step.claim_number)
            elsewhere = await sessions_of_the_day(tx, found.facts)
            billed, coverage = found.billed, found.facts.coverage
            number = await claims.begin_version(
                tx, step.claim_number, step.version, step.sequence, found.now
            )
            if billed is not None and coverage is not None:
                _, connection = await connection_of(tx, billed.payer)
                await audit_reading(tx, found.facts, "claim build", found.now)
        if billed is None or coverage is None:
            return await self._held(step, found, found.lacks)
        note = await audited_note(outside, found.facts, found.now)
        coded = code_claim(
            found.facts,
            billed.policy,
            outside.fees,
            note=note,
            edits=outside.edits,
            elsewhere=elsewhere,
        )
        parties = composing.claim_parties(
            found.facts, billed.payer, coverage, billed.policy, coded.rendering
        )
        findings = (
            *check_consent(found.facts, _today(found)),
            *_filing(step, found, billed),
            *coded.findings,
        )
        again_from = None
        if sent_at is not None and step.frequency == ORIGINAL and not step.corrections:
            again_from = billed.deadlines.may_be_sent_again(sent_at)
        too_early = again_from is not None and found.now < again_from.at
        if again_from is not None and too_early:
            findings = (*findings, _duplicate(step.claim_number, again_from))
        hold = held(findings, step.waivers)
        version = None
        if hold is None:
            draft = _draft(step, number, found, coded, parties, replaced, announced, note)
            findings = (*findings, *draft.findings)
            if draft.version is not None:
                findings = (
                    *findings,
                    *await asyncio.to_thread(
                        _outbound_findings, found, connection, draft.version, outside.production
                    ),
                )
                version = draft.version
        look_at = again_from.at if again_from is not None and too_early else None
        return await self._kept(step, found, version, findings, look_at)

    async def _build_void(self, step: steps.ClaimStep) -> ClaimBuilt:
        """The version that takes back what the payer at ``step.payer`` has: the same values, the
        payer's number, frequency 8. It reserves nothing and is held by no rule of billing."""
        outside, claim_number = self._outside, step.claim_number
        async with outside.database.transaction() as tx:
            number = await claims.begin_version(
                tx, claim_number, step.version, step.sequence, await practice_now(tx)
            )
        async with outside.database.reading() as reading:
            payers = await voids.held_by_payers(reading, claim_number)
            theirs = next((one for one in payers if one.place == step.payer), None)
            base = theirs.version if theirs is not None else None
            found = await on_file(
                outside, reading, claim_number, parties=base.parties if base else None
            )
            if theirs is None or base is None or theirs.number is None:
                return await self._kept(step, found, None, (_no_reference(claim_number),))
            _, connection = await connection_of(reading, base.parties.payer)
        if number > len(VERSION_LETTERS):
            return await self._kept(step, found, None, (_too_many(claim_number, number),))
        control = control_number(claim_number, number)
        version = ClaimVersion.model_validate(
            {
                **dict(base),
                "version": number,
                "made_by": step.sequence,
                "control_number": control,
                "frequency": VOID,
                "original_reference": theirs.number,
                "lines": tuple(
                    line.model_copy(update={"line_control_number": f"{control}L{place}"})
                    for place, line in enumerate(base.lines, 1)
                ),
            }
        )
        refused = await asyncio.to_thread(
            _outbound_findings, found, connection, version, outside.production
        )
        return await self._kept(step, found, version, refused)

    async def _build_for_next(self, step: steps.ClaimStep) -> ClaimBuilt:
        """The version for a payer after the first: what that one got, with its decision."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            number = await claims.begin_version(
                tx, step.claim_number, step.version, step.sequence, await practice_now(tx)
            )
        async with outside.database.reading() as reading:
            draft = await draft_for_next(outside, reading, step, number)
            version, findings = draft.version, draft.findings
            if version is not None:
                _, connection = await connection_of(reading, version.parties.payer)
        if version is not None:
            refused = await asyncio.to_thread(
                _outbound_findings, draft.found, connection, version, outside.production
            )
            findings = (*findings, *refused)
        return await self._kept(step, draft.found, version, findings)

    async def _kept(
        self,
        step: steps.ClaimStep,
        found: OnFile,
        version: ClaimVersion | None,
        findings: tuple[Finding, ...],
        look_at: datetime | None = None,
    ) -> ClaimBuilt:
        """Keep the version, unless something holds it; then it is looked at again, where
        ``look_at`` is given then."""
        hold = held(findings, step.waivers)
        async with self._outside.database.transaction() as tx:
            reserves = version is not None and version.frequency != VOID
            if hold is None and reserves and version and version.prior_authorization is not None:
                findings = (*findings, *await _reserve(tx, found))
                hold = held(findings, step.waivers)
            await claims.replace_findings(
                tx, step.claim_number, steps.BUILD_CLAIM.name, findings, found.now
            )
            if hold is None and version is not None:
                version = await claims.make_version(tx, version, found.now)
        if hold is not None or version is None:
            due_at = min(found.look_again(), look_at) if look_at else found.look_again()
            return ClaimBuilt(at=found.now, held=hold, due_at=due_at)
        return ClaimBuilt(at=found.now, version=version.version)

    async def _held(
        self, step: steps.ClaimStep, found: OnFile, findings: tuple[Finding, ...]
    ) -> ClaimBuilt:
        async with self._outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.BUILD_CLAIM.name, findings, found.now
            )
        return ClaimBuilt(at=found.now, held=held(findings), due_at=found.look_again())


def _filing(step: steps.ClaimStep, found: OnFile, billed: Billed) -> tuple[Finding, ...]:
    """Only a first claim to the first payer is counted from the day of service: replacements and
    the next payer's claims have limits of their own."""
    if step.frequency != ORIGINAL or step.payer != 1:
        return ()
    return check_filing(billed.deadlines, step.claim_number, found.facts.service_date, found.now)


def _duplicate(claim_number: str, again_from: Deadline) -> Finding:
    return Finding(
        rule="duplicate_too_early",
        severity=Severity.BLOCK,
        sentence=f"The claim was sent before and nobody refused it: it may not come again yet "
        f"({again_from.working}).",
        fix="Nothing: it is built again on that day. A corrected claim may go at once.",
        evidence=(claim_number,),
        hold="DUPLICATE_BLOCK",
        source=again_from.source,
    )


async def _reserve(tx: Transaction, found: OnFile) -> tuple[Finding, ...]:
    """Hold a unit of the authorization that the claim names; a finding when another claim has taken
    the last one meanwhile."""
    facts = found.facts
    authorization = fitting_authorization(facts, GROUP_PSYCHOTHERAPY)
    if authorization is not None and await authorizations.reserve(
        tx, facts.claim_number, authorization, found.now
    ):
        return ()
    return (
        Finding(
            rule="authorization_exhausted",
            severity=Severity.BLOCK,
            sentence="The last unit of the authorization was taken by another claim.",
            fix="Request more units and record the extended authorization.",
            evidence=(facts.claim_number, facts.patient_id),
            hold="AUTH_EXHAUSTED",
        ),
    )


def _today(found: OnFile) -> date:
    return found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()


async def _replaced(reading: Reading, step: steps.ClaimStep) -> str | None:
    """The payer's own number of the claim to be replaced or voided: of its last decision, else of
    its acknowledgment."""
    if step.frequency == ORIGINAL:
        return None
    for payment in reversed(await remittances.claim_payments(reading, step.claim_number)):
        if payment.payer_claim_number:
            return payment.payer_claim_number
    return await batches.payer_claim_number(reading, step.claim_number)


def _draft(
    step: steps.ClaimStep,
    number: int,
    found: OnFile,
    coded: Coded,
    parties: ClaimParties,
    replaced: str | None,
    announced: tuple[denials.Letter, ...],
    note: ProgressNote | None,
) -> _Draft:
    facts = found.facts
    if step.frequency != ORIGINAL and replaced is None:
        return _Draft(
            version=None,
            findings=(_no_reference(step.claim_number),),
        )
    if number > len(VERSION_LETTERS):
        return _Draft(
            version=None,
            findings=(_too_many(step.claim_number, number),),
        )
    control = control_number(step.claim_number, number)
    authorization = fitting_authorization(facts, GROUP_PSYCHOTHERAPY)
    return _Draft(
        version=ClaimVersion.model_validate(
            {
                "claim_number": step.claim_number,
                "version": number,
                "control_number": control,
                "made_by": step.sequence,
                "note_digest": digest(note) if note is not None else None,
                "parties": parties,
                "frequency": step.frequency,
                "original_reference": replaced,
                "prior_authorization": authorization.number if authorization else None,
                "diagnoses": coded.diagnoses,
                "place_of_service": coded.place_of_service,
                "patient_paid": facts.copay_paid,
                "attachments": tuple(
                    Attachment(
                        report_type=_SUPPORT_DATA,
                        transmission=_TRANSMISSION[item.channel],
                        control_number=item.delivery_key,
                    )
                    for item in announced[-_MOST_ATTACHMENTS:]
                ),
                "lines": tuple(
                    ClaimLine(line_control_number=f"{control}L{place}", **dict(line))
                    for place, line in enumerate(coded.lines, 1)
                ),
            }
        ),
        findings=(),
    )


def _no_reference(claim_number: str) -> Finding:
    return _refused(
        claim_number,
        "no_original_reference",
        "The payer's number of the claim to be replaced or taken back is not known.",
        "Ask the payer for its claim number.",
    )


def _too_many(claim_number: str, number: int) -> Finding:
    return _refused(
        claim_number,
        "too_many_versions",
        f"The claim has been made {number - 1} times already.",
        "Settle the claim with the payer by other means.",
    )


def _outbound_findings(
    found: OnFile, connection: Connection, version: ClaimVersion, production: bool
) -> tuple[Finding, ...]:
    """What a payer would refuse in an 837P with nothing but this claim."""
    facts = found.facts
    try:
        claim = composing.professional_claim(version, facts.practice)
        frame = composing.envelope(connection, facts.practice, 1, 1, found.now, test=not production)
        content = composing.batch_bytes(frame, facts.practice, (claim,), 1, "CHECK")
    except x12.X12WriteError as error:
        return tuple(
            _refused(facts.claim_number, "unwritable", problem, "Correct the named field.")
            for problem in error.problems[:_MOST_PROBLEMS]
        )
    return tuple(
        _refused(
            facts.claim_number,
            problem.code,
            f"{problem.loop} {problem.element or problem.segment}: {problem.text}.".lstrip(),
            problem.repair or "Correct the named field.",
        )
        for problem in x12.check_outbound(content)[:_MOST_PROBLEMS]
    )


def _refused(claim_number: str, rule: str, sentence: str, fix: str) -> Finding:
    return Finding(
        rule=f"outbound:{rule}",
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=fix,
        evidence=(claim_number,),
        hold="CLAIM_REFUSED",
    )
