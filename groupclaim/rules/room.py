"""The room: how many were treated, by whom, where, and whether they could be there at all.

What concerns a whole session, decided for each participant by their own payer: a room too large
for one payer is not too large for another (domain.md 1, T1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from groupclaim.model.finding import Finding, Severity
from groupclaim.policy.payer import PayerPolicy


@dataclass(frozen=True, slots=True)
class Engagement:
    """One session that somebody takes part in: by whom it is led, where, when, with whom.

    Ids are opaque. ``patients`` lists those treated; before attendance is final, those invited.
    ``service`` is a session's code where it is not group psychotherapy.
    """

    session_id: str
    clinician_id: str
    location_id: str
    starts_at: datetime
    ends_at: datetime
    patients: frozenset[str]
    remote: frozenset[str] = field(default=frozenset())
    service: str = "90853"

    def overlaps(self, other: Engagement) -> bool:
        """One begins before the other has ended; back to back is no overlap."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


@dataclass(frozen=True, slots=True)
class Treated:
    """One patient treated in the room, with the rules of who pays (None: nobody on file)."""

    claim_number: str
    patient_id: str
    policy: PayerPolicy | None


@dataclass(frozen=True, slots=True)
class Room:
    """A session with those treated in it, and what its clinician and patients did besides.

    ``licensed``: somebody with a licence valid on the day led it; a peer or an unlicensed
    facilitator alone gives no psychotherapy. ``elsewhere`` lists the other sessions of the same
    day, ``place_of_service`` the two digits of the setting.
    """

    session: Engagement
    treated: tuple[Treated, ...]
    licensed: bool
    place_of_service: str
    elsewhere: tuple[Engagement, ...] = ()


_BUNDLED_PLACES = {
    "52": "a partial hospitalization programme",
    "51": "an inpatient psychiatric stay",
    "21": "an inpatient hospital stay",
}
"""Settings whose day is paid as a whole (domain.md 1, H0015 and G0410); unverified."""


def check_conflicts(
    here: Engagement, elsewhere: Sequence[Engagement], person: Treated
) -> tuple[Finding, ...]:
    """The findings about ``person`` that the other sessions of the day give rise to."""
    others = [item for item in elsewhere if item.session_id != here.session_id]
    return _about(person, (*_leader_twice(here, others), *_patient_elsewhere(here, others, person)))


def check_room(room: Room) -> dict[str, tuple[Finding, ...]]:
    """The findings about each participant, by claim number; the order of the roster is nothing to
    it. A finding about the whole room stands with each of them, judged by their own payer."""
    whole = (*_leader(room), *_setting(room))
    return {
        person.claim_number: (
            *_about(person, (*_size(room, person), *whole)),
            *check_conflicts(room.session, room.elsewhere, person),
        )
        for person in room.treated
    }


def _about(person: Treated, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(
        finding.model_copy(update={"evidence": (person.claim_number, *finding.evidence)})
        for finding in findings
    )


def _size(room: Room, person: Treated) -> tuple[Finding, ...]:
    if person.policy is None:
        return ()
    return group_size_findings(len(room.treated), person.policy, (room.session.session_id,))


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


def _leader(room: Room) -> tuple[Finding, ...]:
    if room.licensed:
        return ()
    return (
        Finding(
            rule="led_without_licence",
            severity=Severity.BLOCK,
            sentence="Nobody with a licence valid on the day led the group; led by a peer or an "
            "unlicensed facilitator it is no psychotherapy.",
            fix="Record the licence if there is one; else the session cannot be billed as 90853.",
            evidence=(room.session.session_id, room.session.clinician_id),
            hold="LICENCE_NOT_ACCEPTED",
        ),
    )


def _setting(room: Room) -> tuple[Finding, ...]:
    setting = _BUNDLED_PLACES.get(room.place_of_service)
    if setting is None:
        return ()
    return (
        Finding(
            rule="setting_paid_as_a_whole",
            severity=Severity.BLOCK,
            sentence=f"The place of service is that of {setting}, whose day is paid as a whole.",
            fix="Correct the place of service if it is wrong; else the group is part of that day.",
            evidence=(room.session.session_id,),
            hold="CONTRACT_CHECK",
            releasable=True,
        ),
    )


def _leader_twice(here: Engagement, others: Sequence[Engagement]) -> tuple[Finding, ...]:
    return _conflict(
        "clinician_in_two_sessions",
        "The clinician led another session at the same time.",
        [
            other
            for other in others
            if other.clinician_id == here.clinician_id and other.overlaps(here)
        ],
        here,
    )


def _patient_elsewhere(
    here: Engagement, sessions: Sequence[Engagement], person: Treated
) -> tuple[Finding, ...]:
    """One patient in two places at once, or in two groups on one day."""
    others = [other for other in sessions if person.patient_id in other.patients]
    at_once = [other for other in others if other.overlaps(here)]
    findings = list(
        _conflict(
            "patient_in_two_sessions",
            "The patient is recorded in another session at the same time.",
            at_once,
            here,
        )
    )
    groups = [
        other for other in others if other.service == here.service and not other.overlaps(here)
    ]
    if person.policy is not None and 1 + len(groups) > person.policy.units.per_day:
        findings.append(
            Finding(
                rule="two_groups_on_one_day",
                severity=Severity.BLOCK,
                sentence=f"The patient was in {1 + len(groups)} groups that day; the payer pays "
                f"{person.policy.units.per_day}.",
                fix="A coder decides which one is billed, then releases with the reason.",
                evidence=(here.session_id, *_ids(groups)),
                hold="SAME_DAY_SERVICE",
                releasable=not person.policy.units.verified,
                source=person.policy.source(person.policy.units),
            )
        )
    return tuple(findings)


def _conflict(
    rule: str, sentence: str, others: Sequence[Engagement], here: Engagement
) -> tuple[Finding, ...]:
    if not others:
        return ()
    return (
        Finding(
            rule=rule,
            severity=Severity.BLOCK,
            sentence=sentence,
            fix="Correct the times or the attendance of the session that is wrong.",
            evidence=(here.session_id, *_ids(others)),
            hold="SESSION_CONFLICT",
        ),
    )


def _ids(engagements: Sequence[Engagement]) -> list[str]:
    return sorted(item.session_id for item in engagements)
