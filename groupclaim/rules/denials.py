"""Denials and rejections: what to do about them without a person, and what only a person can.

A *rejection* (TA1, 999, 277CA) never reached adjudication: the payer has no number for the claim,
and a mended one goes as a new original. A *denial* (835) is a decision: the playbook's ladder for
its reason is climbed from the first rung that can be taken with what is on file, so many times as
the playbook allows, and never the same correction twice. What a group code other than PR takes off
never reaches the patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from groupclaim.lifecycle.state import Step
from groupclaim.model.base import Record
from groupclaim.model.claim import ORIGINAL, REPLACEMENT, ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy
from groupclaim.policy.playbook import Action, DenialReason, Evidence, Playbook, Scope
from groupclaim.rules.authorization import fitting_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY, Coded

CLAIM_REFUSED = "CLAIM_REFUSED"
"""The cause when we ourselves took the claim out of its batch before anything was sent."""

VERIFY_MEMBER_ID = "verify_member_id"

_MEMBER_STATUSES = frozenset({"33", "97", "164"})
"""277CA status codes that say the member was not found as written."""

_UNPROCESSABLE = "MA130"
_PATIENT_RESPONSIBILITY = "PR"
_MEDICAID = "MC"
_UNKNOWN_CODE = ("settle_with_payer", "appeal", "write_off")

_CLAIM_REJECTION = re.compile(r"277CA:(?P<category>[A-Z]\d):(?P<status>[0-9A-Z]+)")
_ADJUSTMENT = re.compile(r"(?P<group>CO|PR|OA|PI|CR)-(?P<reason>[0-9A-Z]+)")


class Denied(Record):
    """One rejection or denial, with what is known of it.

    ``cause`` is ``277CA:<category>:<status>``, ``<group>-<reason>`` of an 835, or anything else for
    a file or transaction set that was refused whole. ``cents``: what is at stake. ``sent`` is the
    version that was denied, ``recoded`` what coding makes of the service by now; ``payer_now`` and
    ``member_now`` are the payer and the member id that the file has by now. ``tried`` are
    ``<cause>:<correction>`` as the claim's state keeps them; ``done`` are actions that a person has
    taken or passed over without success. ``appeals``: levels that the payer has decided against us.
    The days are those left until the limits; below zero they have passed, None where there is none.
    """

    cause: str | None
    remarks: tuple[str, ...] = ()
    cents: Cents = Cents(0)
    sent: ClaimVersion | None = None
    recoded: Coded | None = None
    payer_now: str | None = None
    member_now: str | None = None
    tried: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    appeals: int = 0
    evidence: tuple[Evidence, ...] = ()
    days_to_correct: int | None = None
    days_to_appeal: int | None = None


class DenialDecision(Record):
    """What the playbook says is next.

    Either a ``correction`` with the step to take it up from and the frequency to send with; or a
    hold under ``held``, with the ``action`` that somebody (``who``) must take within ``days`` and
    how many ``people`` decide it; the ``restart`` then is where a person may have it taken up from,
    None where the payer takes nothing of it again. ``offers`` are the rungs above it, which a
    person may take instead. ``level``: of the appeal that is next. ``missing`` is evidence that a
    letter needs.
    """

    rule: str
    playbook: str
    action: str | None = None
    correction: str | None = None
    restart: Step | None = None
    frequency: Literal["1", "7", "8"] = ORIGINAL
    held: str | None = None
    who: str = "groupclaim"
    people: int = 0
    days: int | None = None
    offers: tuple[str, ...] = ()
    level: int | None = None
    category: str | None = None
    scope: Scope = "claim"
    prevented_by: str | None = None
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[Evidence, ...] = ()
    escalated: bool = False
    findings: tuple[Finding, ...]


def is_denial(cause: str | None) -> bool:
    """True for the cause of a payer's decision (835), false for that of a rejection."""
    return _ADJUSTMENT.fullmatch(cause or "") is not None


def decide_denial(
    denied: Denied, facts: ClaimFacts, policy: PayerPolicy, playbook: Playbook
) -> DenialDecision:
    """What to do about ``denied``; the same facts under the same playbook give the same."""
    cause = denied.cause or "refused"
    if cause == CLAIM_REFUSED:
        return _rejection(
            playbook,
            CLAIM_REFUSED,
            "The claim was not sent: it could not be written, or did not pass the outbound check.",
            "Correct each field that a finding names, then release.",
            facts,
        )
    if rejection := _CLAIM_REJECTION.fullmatch(cause):
        if rejection["status"] in _MEMBER_STATUSES and is_new(VERIFY_MEMBER_ID, denied, playbook):
            action = playbook.action(VERIFY_MEMBER_ID)
            # What is rejected was never decided: a replacement still replaces what was before it.
            frequency = denied.sent.frequency if denied.sent else ORIGINAL
            return _correction(VERIFY_MEMBER_ID, action, frequency, denied, None, playbook, facts)
        return _rejected(playbook, f"The payer's front end rejected the claim ({cause}).", facts)
    adjustment = _ADJUSTMENT.fullmatch(cause)
    if adjustment is None:
        return _rejected(playbook, f"The file or its transaction set was refused ({cause}).", facts)
    return _Climb(denied, adjustment["group"], adjustment["reason"], facts, policy, playbook).next()


class _Climb:
    """The ladder of one denial, from its first rung."""

    def __init__(
        self,
        denied: Denied,
        group: str,
        code: str,
        facts: ClaimFacts,
        policy: PayerPolicy,
        playbook: Playbook,
    ) -> None:
        self._denied, self._group, self._code = denied, group, code
        self._facts, self._policy, self._playbook = facts, policy, playbook
        self._reason: DenialReason | None = playbook.reason(code)

    def next(self) -> DenialDecision:
        open_rungs: list[str] = []
        for name in self._ladder():
            action = self._playbook.action(name)
            if action.kind == "resend":
                frequency = self._frequency(action)
                if frequency is not None and not open_rungs and self._cures(name):
                    return _correction(
                        name, action, frequency, self._denied, self._reason, self._playbook,
                        self._facts,
                    )  # fmt: skip
            elif self._can_be_taken(name, action):
                open_rungs.append(name)
        first, *others = open_rungs or ["write_off"]
        return self._person(first, tuple(others))

    def _ladder(self) -> tuple[str, ...]:
        """The rungs in order: of the remark code where the reason itself says little."""
        reason = self._reason
        rungs = reason.actions if reason else _UNKNOWN_CODE
        if reason is None or reason.by_remark:
            known = [self._playbook.remark(code) for code in self._denied.remarks]
            rungs = (*(name for item in known if item for name in item.actions), *rungs)
        if self._group == _PATIENT_RESPONSIBILITY and "bill_patient" not in rungs:
            place = rungs.index("write_off") if "write_off" in rungs else len(rungs)
            rungs = (*rungs[:place], "bill_patient", *rungs[place:])
        return tuple(dict.fromkeys(rungs))

    def _can_be_taken(self, name: str, action: Action) -> bool:
        if action.kind == "letter" and name == "appeal":
            return self._next_level() is not None
        if action.kind == "patient":
            return self._patient_may_be_billed() and name not in self._denied.done
        return action.kind == "write_off" or name not in self._denied.done

    def _next_level(self) -> int | None:
        """The next level of appeal that is open: there, in time, and for an amount it takes."""
        limit = self._policy.appeal_limit
        level, left = self._denied.appeals + 1, self._denied.days_to_appeal
        if level > len(limit.levels) or _UNPROCESSABLE in self._denied.remarks:
            return None
        if left is not None and left < 0:
            return None
        return level if int(self._denied.cents) >= limit.levels[level - 1].least_cents else None

    def _patient_may_be_billed(self) -> bool:
        """Only what carries group code PR, and not where a rule protects the patient: Medicaid,
        a QMB, or a remark that says so."""
        answer, payer = self._facts.eligibility, self._facts.payer
        if self._group != _PATIENT_RESPONSIBILITY or payer is None:
            return False
        protected = any(
            (item := self._playbook.remark(code)) is not None and item.protects_patient
            for code in self._denied.remarks
        )
        qmb = answer is not None and answer.qualified_medicare_beneficiary
        return not (protected or qmb or payer.filing_indicator == _MEDICAID)

    def _frequency(self, action: Action) -> Literal["1", "7"] | None:
        """How the mended claim is sent; None when it must be reopened or appealed instead, or the
        time to correct it has passed."""
        if action.other_payer:
            return ORIGINAL
        left = self._denied.days_to_correct
        if left is not None and left < 0:
            return None
        if self._policy.corrections.finalized == "replacement":
            return REPLACEMENT
        return ORIGINAL if _UNPROCESSABLE in self._denied.remarks else None

    def _cures(self, name: str) -> bool:
        """Whether the correction is new and what is on file differs from what was sent."""
        return is_new(name, self._denied, self._playbook) and self._differs(name)

    def _differs(self, name: str) -> bool:
        denied, facts = self._denied, self._facts
        sent, now = denied.sent, denied.recoded
        if name == "add_authorization":
            authorization = fitting_authorization(facts, GROUP_PSYCHOTHERAPY)
            carried = sent.prior_authorization if sent else None
            return authorization is not None and authorization.number != carried
        if name == VERIFY_MEMBER_ID:
            said = sent.parties.subscriber.member_id if sent else None
            return denied.member_now is not None and denied.member_now != said
        if name == "correct_payer":
            went_to = sent.parties.payer.ref if sent else None
            return denied.payer_now is not None and denied.payer_now != went_to
        if sent is None or now is None or not now.lines:
            return False
        if name == "correct_modifier":
            return [line.modifiers for line in sent.lines] != [
                line.modifiers for line in now.lines
            ] and [line.code for line in sent.lines] == [line.code for line in now.lines]
        if name == "correct_place_of_service":
            return sent.place_of_service != now.place_of_service
        return (sent.diagnoses, _said(sent)) != (now.diagnoses, _said(now))

    def _person(self, name: str, offers: tuple[str, ...]) -> DenialDecision:
        action, reason, denied = self._playbook.action(name), self._reason, self._denied
        rule = f"denial:{self._code}:{name}"
        people: int = action.people or 0
        # What the claim would refuse to do again is not offered to a person either.
        again = is_new(name, denied, self._playbook)
        frequency = self._frequency(action) if again else None
        left = min(self._days_left(), default=None)
        limits = (denied.days_to_correct, denied.days_to_appeal)
        failed = len(denied.tried) + denied.appeals
        escalated = failed >= self._playbook.escalate_after_failures or any(
            days is not None and days < self._playbook.escalate_days_left for days in limits
        )
        evidence = reason.evidence if reason else ()
        missing = tuple(item for item in evidence if item not in denied.evidence)
        return DenialDecision(
            rule=rule,
            playbook=self._playbook.version,
            action=name,
            restart=Step(action.restart) if action.restart and frequency is not None else None,
            frequency=frequency or ORIGINAL,
            held="DENIED",
            who="supervisor" if escalated else action.who,
            people=people,
            days=action.days,
            offers=offers,
            level=self._next_level() if name == "appeal" else None,
            category=reason.category if reason else None,
            scope=reason.scope if reason else "claim",
            prevented_by=reason.prevented_by if reason else None,
            evidence=evidence,
            missing=missing if action.kind == "letter" else (),
            escalated=escalated,
            findings=(
                Finding(
                    rule=rule,
                    severity=Severity.BLOCK,
                    sentence=" ".join(self._sentences(escalated, left)),
                    fix=" ".join(self._fixes(action, missing)),
                    evidence=(self._facts.claim_number,),
                    hold="DENIED",
                    releasable=True,
                    source=self._playbook.source(rule),
                ),
            ),
        )

    def _days_left(self) -> Iterator[int]:
        for days in (self._denied.days_to_correct, self._denied.days_to_appeal):
            if days is not None and days >= 0:
                yield days

    def _sentences(self, escalated: bool, left: int | None) -> Iterator[str]:
        kind = f", {self._reason.category}" if self._reason else ""
        patient = "" if self._group == _PATIENT_RESPONSIBILITY else "; the patient owes nothing"
        yield f"The payer denied the claim ({self._group}-{self._code}{kind}){patient}."
        if self._denied.days_to_appeal is not None and self._denied.days_to_appeal < 0:
            yield "The time to appeal has passed."
        if self._denied.days_to_correct is not None and self._denied.days_to_correct < 0:
            yield "The time to correct it has passed."
        if escalated:
            days = f", {left} days are left" if left is not None else ""
            yield f"A supervisor looks: {len(self._denied.tried)} corrections tried{days}."

    def _fixes(self, action: Action, missing: tuple[Evidence, ...]) -> Iterator[str]:
        yield action.what
        if self._reason:
            yield self._reason.advice
        if action.kind == "letter" and missing:
            yield f"Not on file yet: {', '.join(missing)}."
        if self._reason and self._reason.prevented_by:
            yield f"{self._reason.prevented_by} stops such a claim before it is sent."


def _said(claim: ClaimVersion | Coded) -> list[tuple[str, tuple[str, ...], int, str]]:
    return [(line.code, line.modifiers, line.units, line.place_of_service) for line in claim.lines]


def is_new(correction: str, denied: Denied, playbook: Playbook) -> bool:
    """Not tried for this cause, and fewer corrections tried than a claim may have."""
    return (
        f"{denied.cause}:{correction}" not in denied.tried
        and len(denied.tried) < playbook.most_corrections
    )


def _correction(
    name: str,
    action: Action,
    frequency: Literal["1", "7", "8"],
    denied: Denied,
    reason: DenialReason | None,
    playbook: Playbook,
    facts: ClaimFacts,
) -> DenialDecision:
    rule = f"denial:{(denied.cause or '').partition('-')[2] or 'rejected'}:{name}"
    return DenialDecision(
        rule=rule,
        playbook=playbook.version,
        action=name,
        correction=name,
        restart=Step(action.restart) if action.restart else None,
        frequency=frequency,
        category=reason.category if reason else None,
        scope=reason.scope if reason else "claim",
        prevented_by=reason.prevented_by if reason else None,
        evidence=reason.evidence if reason else (),
        findings=(
            Finding(
                rule=rule,
                severity=Severity.INFO,
                sentence=f"{denied.cause}: {action.what}",
                evidence=(facts.claim_number,),
                source=playbook.source(rule),
            ),
        ),
    )


def _rejected(playbook: Playbook, sentence: str, facts: ClaimFacts) -> DenialDecision:
    fix = "Mend what the acknowledgment names, then release: it is sent again as it was meant."
    return _rejection(playbook, "REJECTED", sentence, fix, facts)


def _rejection(
    playbook: Playbook, hold: str, sentence: str, fix: str, facts: ClaimFacts
) -> DenialDecision:
    return DenialDecision(
        rule=hold.lower(),
        playbook=playbook.version,
        held=hold,
        who="biller",
        findings=(
            Finding(
                rule=hold.lower(),
                severity=Severity.BLOCK,
                sentence=sentence,
                fix=fix,
                evidence=(facts.claim_number,),
                hold=hold,
                releasable=True,
            ),
        ),
    )
