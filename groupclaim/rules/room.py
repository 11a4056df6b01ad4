"""The room: how many were treated, by whom, where, and whether they could be there at all.

What concerns a whole session, decided for each participant by their own payer: a room too large
for one payer is not too large for another. Coding, claim build, the dry run and
the replay all judge by :func:`check_room`, so they decide alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.session import Activity, GroupSession
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.licences import rendering_clinician, under_supervision, valid_licences
from groupclaim.rules.pricing import place_of_service


@dataclass(frozen=True, slots=True)
class Engagement:
    """Another session of the same day that the clinician or the patient of a claim is recorded in.

    ``same_patient``: the patient attended it, or is invited and nobody has said yet who came.
    """

    session_id: str
    starts_at: datetime
    ends_at: datetime
    same_clinician: bool = False
    same_patient: bool = False
    service: str = "90853"


def service_of(session: GroupSession) -> str:
    """The code of what a session gives: group psychotherapy, or that of several families."""
    return "90849" if session.activity is Activity.FAMILY_PSYCHOTHERAPY else "90853"


def check_room(
    facts: ClaimFacts, policy: PayerPolicy, elsewhere: Sequence[Engagement] = ()
) -> tuple[Finding, ...]:
    """What the room means for one participant's claim: people treated against the payer's limits,
    who led it and under which licence and enrolment, the setting, and the other sessions of the
    day, in whatever order they are listed."""
    others = sorted(
        (item for item in elsewhere if item.session_id != facts.session_id),
        key=lambda item: item.session_id,
    )
    return (
        *_size(facts, policy),
        *_leader(facts),
        *_licence(facts, policy),
        *_enrolment(facts, policy),
        *_setting(facts, policy),
        *_leader_twice(facts, others),
        *_patient_elsewhere(facts, policy, others),
    )


def _evidence(facts: ClaimFacts) -> tuple[str, ...]:
    return (facts.claim_number, facts.session_id)


def _size(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    if facts.session.activity is Activity.FAMILY_PSYCHOTHERAPY:
        return ()  # families are counted, not people: that is for coding
    return group_size_findings(facts.group_size, policy, _evidence(facts))


def group_size_findings(
    size: int | None, policy: PayerPolicy, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    """What the number of people treated means to one payer, whoever pays for the others."""
    limits = policy.group_size
    source, releasable = policy.source(limits), not limits.verified
    if size is None or size < 2:
        return (
            Finding(
                rule="group_of_fewer_than_two",
                severity=Severity.BLOCK,
                sentence="The attendance on file does not show a group of at least two.",
                fix="Correct the attendance if it is wrong; else ask the clinician whether "
                "individual therapy was given and documented.",
                evidence=evidence,
                hold="GROUP_OF_ONE",
            ),
        )
    if limits.hard is not None and size > limits.hard:
        return (
            Finding(
                rule="group_size_exceeded",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; the payer accepts at most {limits.hard}.",
                fix="Correct the attendance if it is wrong; else do not bill this payer.",
                evidence=evidence,
                hold="GROUP_SIZE_EXCEEDED",
                releasable=releasable,
                source=source,
            ),
        )
    if size > limits.soft:
        return (
            Finding(
                rule="group_size_review",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; above {limits.soft} a supervisor looks.",
                fix="Confirm that each note shows individual work, then release with the reason.",
                evidence=evidence,
                hold="GROUP_SIZE_REVIEW",
                releasable=True,
                source=source,
            ),
        )
    if size < limits.minimum:
        return (
            Finding(
                rule="group_size_below_minimum",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; the payer asks for {limits.minimum}.",
                fix="Correct the attendance if it is wrong; else do not bill this payer.",
                evidence=evidence,
                hold="GROUP_SIZE_REVIEW",
                releasable=releasable,
                source=source,
            ),
        )
    return ()


def _leader(facts: ClaimFacts) -> tuple[Finding, ...]:
    if facts.session.led_by == "clinician":
        return ()
    return (
        Finding(
            rule="led_without_licence",
            severity=Severity.BLOCK,
            sentence="Nobody with a licence led the group; led by a peer or an unlicensed "
            "facilitator it is no psychotherapy.",
            fix="Correct who led it if that is wrong; else the session cannot be billed as 90853.",
            evidence=_evidence(facts),
            hold="LICENCE_NOT_ACCEPTED",
        ),
    )


def _licence(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    valid = valid_licences(facts)
    if not valid:
        return (
            Finding(
                rule="licence_not_valid",
                severity=Severity.BLOCK,
                sentence="The clinician has no licence in the state of the session on that day.",
                fix="Record the licence if there is one; else the session cannot be billed.",
                evidence=_evidence(facts),
                hold="LICENCE_NOT_ACCEPTED",
            ),
        )
    if rendering_clinician(facts, policy) != facts.clinician:
        return ()
    if under_supervision(facts, policy):
        return (_supervised(facts, policy),)
    if any(item.kind in policy.licences.accepted for item in valid):
        return ()
    kinds = ", ".join(sorted({item.kind.value for item in valid}))
    return (
        Finding(
            rule="licence_not_accepted",
            severity=Severity.BLOCK,
            sentence=f"The payer is not known to accept the clinician's licence ({kinds}).",
            fix="Settle with credentialing whether this clinician may bill the payer.",
            evidence=_evidence(facts),
            hold="RENDERING_NOT_PAYABLE",
            releasable=not policy.licences.verified,
            source=policy.source(policy.licences),
        ),
    )


def _supervised(facts: ClaimFacts, policy: PayerPolicy) -> Finding:
    supervision = policy.supervision
    refused = supervision.billing == "not_billable"
    return Finding(
        rule="supervised_not_billable" if refused else "supervisor_missing",
        severity=Severity.BLOCK,
        sentence="The payer does not pay for work under supervision by this licence."
        if refused
        else "The payer pays supervised work only under a supervisor with a licence that it takes.",
        fix="Do not bill this payer; release only with the payer's own word."
        if refused
        else "Record the clinician's supervisor, with a licence valid on the day.",
        evidence=_evidence(facts),
        hold="RENDERING_NOT_PAYABLE",
        releasable=not supervision.verified,
        source=policy.source(supervision),
    )


def _enrolment(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    """Whether whom the claim names as rendering was enrolled with the payer that day, where the
    practice keeps enrolments of that clinician at all."""
    enrolments = rendering_clinician(facts, policy).enrolments
    if enrolments is None or facts.payer is None:
        return ()
    with_payer = [item for item in enrolments if item.payer == facts.payer.ref]
    if any(item.in_force(facts.service_date) for item in with_payer):
        return ()
    return (
        Finding(
            rule="not_enrolled",
            severity=Severity.BLOCK,
            sentence="The rendering clinician was not enrolled with the payer on the day of "
            + ("service." if with_payer else "service: no enrolment with it is on file."),
            fix="Ask the payer for the effective date and load it; services before it are not "
            "paid to this clinician.",
            evidence=_evidence(facts),
            hold="RENDERING_NOT_PAYABLE",
        ),
    )


def _setting(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    settings = policy.settings
    if place_of_service(facts, policy) not in settings.paid_as_a_whole:
        return ()
    return (
        Finding(
            rule="setting_paid_as_a_whole",
            severity=Severity.BLOCK,
            sentence="The place of service is one whose day is paid as a whole, the group with it.",
            fix="Correct the place of service if it is wrong; else the group is part of that day.",
            evidence=_evidence(facts),
            hold="CONTRACT_CHECK",
            releasable=True,
            source=policy.source(settings),
        ),
    )


def _overlap(facts: ClaimFacts, other: Engagement) -> bool:
    """One begins before the other has ended; back to back is no overlap."""
    session = facts.session
    return other.starts_at < session.ends_at and session.starts_at < other.ends_at


def _leader_twice(facts: ClaimFacts, others: Sequence[Engagement]) -> tuple[Finding, ...]:
    at_once = [
        item
        for item in others
        if item.same_clinician and not item.same_patient and _overlap(facts, item)
    ]
    return _conflict(
        facts,
        "clinician_in_two_sessions",
        "The clinician led another session at the same time.",
        at_once,
    )


def _patient_elsewhere(
    facts: ClaimFacts, policy: PayerPolicy, others: Sequence[Engagement]
) -> tuple[Finding, ...]:
    """One patient in two places at once, twice in the same group, or in two groups on one day."""
    own = [item for item in others if item.same_patient]
    same = service_of(facts.session)
    at_once = [item for item in own if _overlap(facts, item)]
    twice = [item for item in at_once if item.same_clinician and item.service == same]
    findings = list(
        _conflict(
            facts,
            "patient_in_two_sessions",
            "The patient is recorded in another session at the same time.",
            [item for item in at_once if item not in twice],
        )
    )
    if twice:
        findings.append(
            Finding(
                rule="session_recorded_twice",
                severity=Severity.BLOCK,
                sentence="The same service of this patient by this clinician at this time is on "
                "file under another session too.",
                fix="Find out which of the two took place and take the patient off the other.",
                evidence=(*_evidence(facts), *(item.session_id for item in twice)),
                hold="DUPLICATE",
                releasable=True,
            )
        )
    groups = [item for item in own if item.service == same and item not in at_once]
    if 1 + len(groups) > policy.units.per_day:
        findings.append(
            Finding(
                rule="two_groups_on_one_day",
                severity=Severity.BLOCK,
                sentence=f"The patient was in {1 + len(groups)} groups that day; the payer pays "
                f"{policy.units.per_day}.",
                fix="A coder decides which one is billed, then releases with the reason.",
                evidence=(*_evidence(facts), *(item.session_id for item in groups)),
                hold="SAME_DAY_SERVICE",
                releasable=not policy.units.verified,
                source=policy.source(policy.units),
            )
        )
    return tuple(findings)


def _conflict(
    facts: ClaimFacts, rule: str, sentence: str, others: Sequence[Engagement]
) -> tuple[Finding, ...]:
    if not others:
        return ()
    return (
        Finding(
            rule=rule,
            severity=Severity.BLOCK,
            sentence=sentence,
            fix="Correct the times or the attendance of the session that is wrong.",
            evidence=(*_evidence(facts), *(item.session_id for item in others)),
            hold="SESSION_CONFLICT",
        ),
    )
