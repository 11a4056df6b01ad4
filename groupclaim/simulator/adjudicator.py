"""What a simulated payer decides about claims: pure arithmetic, no clock, no files.

Claims of one payment date are decided together, in the order of their content, so that neither the
order of arrival nor the composition of batches can change a cent. What earlier payment dates
decided enters as a `History` value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeAlias

from groupclaim.simulator.world import Member, Payer
from groupclaim.x12.values import Quantity

# A member (by first id), a service date and a code: what may be billed as an original only once.
Service: TypeAlias = tuple[str, date, str]


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service line as billed; amounts in cents. For a payer after the first ``left_cents`` is
    what those before have left of the charge, and ``paid_before_cents`` what they have paid; for
    the first nothing is said of others (None)."""

    code: str
    modifiers: tuple[str, ...]
    units: Quantity
    charge_cents: int
    service_date: date
    control_number: str
    left_cents: int | None = None
    paid_before_cents: int = 0

    @property
    def before_cents(self) -> int:
        """What the payers before have paid and adjusted."""
        return 0 if self.left_cents is None else self.charge_cents - self.left_cents


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim does not reach adjudication: claim status category, status and entity codes."""

    category: str
    status: str
    entity: str


# Claim status codes (domain reference section 7): member id, frequency code, wrong payer.
_UNKNOWN_MEMBER_ID = Refusal("A7", "164", "IL")
_UNKNOWN_FREQUENCY = Refusal("A7", "535", "")
WRONG_PAYER = Refusal("A3", "116", "PR")

VOID = "8"
"""The frequency code of a claim that takes an earlier one back."""

_DEDUCTIBLE, _COPAY = "1", "3"
_NOTHING_TO_REPLACE = "16"
_PRIOR_PAYER = "23"
_NO_PRIOR_DECISION = "129"


def admit(payer: Payer, member_id: str, frequency: str, received_on: date) -> Member | Refusal:
    """What the payer's front door says on the day of receipt: whose claim it is, or why not.

    The member id must be the one in force on that day, whatever the service date.
    """
    member = payer.member_with(member_id)
    if member is None or member.id_on(received_on) != member_id:
        return _UNKNOWN_MEMBER_ID
    if frequency not in ("1", "7", VOID) or (frequency == VOID and payer.voids == "letter"):
        return _UNKNOWN_FREQUENCY
    return member


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that the payer admitted; `replaces` is the payer's number of an earlier one, `place`
    the payer's place in the order of billing, from 1. `documents`: the control numbers of those
    that it announces (PWK06)."""

    payer_claim_number: str
    control_number: str
    frequency: str
    replaces: str
    member: Member
    rendering_npi: str
    authorization_number: str
    lines: tuple[ServiceLine, ...]
    place: int = 1
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Why a part of a charge is not paid: group code, reason code, cents above zero; in a
    reversal below."""

    group: Literal["CO", "PR", "OA"]
    reason: str
    cents: int


@dataclass(frozen=True, slots=True)
class LineDecision:
    """The payer's answer to one line: charge = paid + sum of adjustments. Denied: allowed None."""

    line: ServiceLine
    allowed_cents: int | None
    paid_cents: int
    adjustments: tuple[Adjustment, ...]

    @property
    def left_cents(self) -> int:
        """What a next payer may be asked for: the patient's share, whoever may be asked for it."""
        return sum(
            one.cents
            for one in self.adjustments
            if one.group == "PR" or (one.group, one.reason) == ("OA", "209")
        )

    def share(self, reason: str) -> int:
        """What the patient is left with for that reason code."""
        return sum(
            one.cents for one in self.adjustments if (one.group, one.reason) == ("PR", reason)
        )


@dataclass(frozen=True, slots=True)
class ClaimDecision:
    """The payer's answer to one claim. `supersedes` is its number for an earlier answer that this
    one takes back (`is_reversal`: every amount with the other sign) or corrects."""

    claim: Claim
    lines: tuple[LineDecision, ...]
    supersedes: str = ""
    is_reversal: bool = False

    @property
    def denied(self) -> bool:
        """True when no line was priced."""
        return all(line.allowed_cents is None for line in self.lines)

    @property
    def is_forwarded(self) -> bool:
        """True when the payer sends the claim on to the next one itself (crossover)."""
        left = any(line.left_cents for line in self.lines)
        return (
            self.claim.member.crossover is not None
            and self.claim.place == 1
            and left
            and not self.is_reversal
        )

    @property
    def charge_cents(self) -> int:
        """What was billed."""
        return sum(decided.line.charge_cents for decided in self.lines)

    @property
    def paid_cents(self) -> int:
        """What the payer pays."""
        return sum(decided.paid_cents for decided in self.lines)

    @property
    def patient_cents(self) -> int:
        """What the payer says the patient owes: everything under group PR."""
        return sum(
            adjustment.cents
            for decided in self.lines
            for adjustment in decided.adjustments
            if adjustment.group == "PR"
        )


@dataclass(frozen=True, slots=True)
class History:
    """What a payer decided on earlier payment dates."""

    billed: frozenset[Service] = frozenset()
    paid: frozenset[Service] = frozenset()
    members_by_claim: Mapping[str, str] = field(default_factory=dict)
    deductible_used_cents: Mapping[str, int] = field(default_factory=dict)


def adjudicate(
    payer: Payer, history: History, claims: Iterable[Claim]
) -> tuple[tuple[ClaimDecision, ...], History]:
    """Decide all claims of one payment date; the decisions come sorted by CLM01.

    The returned history includes them and is what the next payment date starts from.
    """
    desk = _Desk(payer, history)
    ordered = sorted(claims, key=lambda claim: (claim.control_number, claim.payer_claim_number))
    decisions = tuple(desk.decide(claim) for claim in ordered)
    return decisions, desk.history()


def take_back(
    payer: Payer,
    history: History,
    decision: ClaimDecision,
    corrected_allowed_cents: int | None,
    payer_claim_number: str,
) -> tuple[tuple[ClaimDecision, ...], History]:
    """Reverse an earlier answer and, if an amount is given, correct it under another number.

    The reversal says what the answer said with the other sign (domain reference 8.5). Corrected is
    the first line's allowed amount; the deductible is met as before.
    """
    earlier = decision.claim.payer_claim_number
    reversal = replace(
        decision,
        lines=tuple(
            LineDecision(
                replace(decided.line, charge_cents=-decided.line.charge_cents),
                None if decided.allowed_cents is None else -decided.allowed_cents,
                -decided.paid_cents,
                tuple(replace(one, cents=-one.cents) for one in decided.adjustments),
            )
            for decided in decision.lines
        ),
        supersedes=earlier,
        is_reversal=True,
    )
    claim = replace(decision.claim, payer_claim_number=payer_claim_number)
    member = claim.member
    if corrected_allowed_cents is None:
        services = {(member.key, one.line.service_date, one.line.code) for one in decision.lines}
        return (reversal,), replace(history, paid=history.paid - services)
    first, *others = decision.lines
    copay_left = member.copay_cents - sum(decided.share(_COPAY) for decided in others)
    met = first.share(_DEDUCTIBLE)
    answer, _ = _price(payer, member, first.line, corrected_allowed_cents, met, copay_left)
    members = {**history.members_by_claim, payer_claim_number: member.key}
    return (
        (reversal, ClaimDecision(claim, (answer, *others), supersedes=earlier)),
        replace(history, members_by_claim=members),
    )


def void(
    payer: Payer, history: History, claim: Claim, earlier: ClaimDecision | None
) -> tuple[ClaimDecision, History]:
    """Take ``earlier`` back because the practice says that the claim was wrong; refuse what names
    no answer in force, or is not that claim. As if it had never been: the service may be billed
    again, and the deductible that it met is open again.
    """
    if earlier is None or earlier.is_reversal or _billed(earlier.claim) != _billed(claim):
        refused = tuple(
            LineDecision(line, None, 0, (Adjustment("CO", _NOTHING_TO_REPLACE, line.charge_cents),))
            for line in claim.lines
        )
        return ClaimDecision(claim, refused), history
    (reversal,), taken = take_back(payer, history, earlier, None, claim.payer_claim_number)
    key = claim.member.key
    services = {(key, line.service_date, line.code) for line in claim.lines}
    met = sum(decided.share(_DEDUCTIBLE) for decided in earlier.lines)
    used = {**taken.deductible_used_cents}
    used[key] = max(0, used.get(key, 0) - met)
    return reversal, replace(taken, billed=taken.billed - services, deductible_used_cents=used)


def _billed(claim: Claim) -> tuple[str, list[tuple[str, date, int]]]:
    lines = sorted((line.code, line.service_date, line.charge_cents) for line in claim.lines)
    return claim.member.key, lines


class _Desk:
    """One day's work of a payer: the history grows with each claim decided."""

    def __init__(self, payer: Payer, history: History) -> None:
        self._payer = payer
        self._billed = set(history.billed)
        self._paid = set(history.paid)
        self._members_by_claim = dict(history.members_by_claim)
        self._deductible_used = dict(history.deductible_used_cents)

    def history(self) -> History:
        return History(
            billed=frozenset(self._billed),
            paid=frozenset(self._paid),
            members_by_claim=self._members_by_claim,
            deductible_used_cents=self._deductible_used,
        )

    def decide(self, claim: Claim) -> ClaimDecision:
        copay_left = claim.member.copay_cents
        decided: list[LineDecision] = []
        for line in claim.lines:
            service = (claim.member.key, line.service_date, line.code)
            denial = self._denial(claim, line, service)
            rate = self._payer.rate_cents(line.code, claim.rendering_npi, line.service_date)
            if denial is not None or rate is None:
                # 147: the payer has no rate on file.
                refused = Adjustment("CO", denial or "147", line.charge_cents - line.before_cents)
                before = Adjustment("OA", _PRIOR_PAYER, line.before_cents)
                kept = tuple(one for one in (before, refused) if one.cents)
                answer = LineDecision(line, None, 0, kept)
            else:
                used = self._deductible_used.get(claim.member.key, 0)
                left = claim.member.deductible_remaining_cents - used
                answer, met = _price(self._payer, claim.member, line, rate, left, copay_left)
                self._deductible_used[claim.member.key] = used + met
                copay_left -= answer.share(_COPAY)
                self._paid.add(service)
            self._billed.add(service)
            decided.append(answer)
        self._members_by_claim[claim.payer_claim_number] = claim.member.key
        return ClaimDecision(claim, tuple(decided))

    def _denial(self, claim: Claim, line: ServiceLine, service: Service) -> str | None:
        """The claim adjustment reason code for which the line is not priced."""
        if claim.frequency == "7":
            if self._members_by_claim.get(claim.replaces) != claim.member.key:
                return (
                    _NOTHING_TO_REPLACE  # replaces nothing that this payer decided for this member
                )
            # Only what is denied can be replaced; what is paid would be paid a second time.
            if service in self._paid:
                return "18"
        elif service in self._billed:
            return "18"
        if not claim.member.covered_on(line.service_date):
            started = any(period.first <= line.service_date for period in claim.member.coverage)
            return "27" if started else "26"
        if claim.member.medicare_advantage is not None:
            return "24"
        if claim.member.carve_out is not None:
            return "109"
        if claim.place > 1 and line.left_cents is None:
            return _NO_PRIOR_DECISION
        if claim.member.authorization.required and not self._payer.authorized(
            claim.authorization_number, claim.member, line.code, line.service_date
        ):
            return "197"
        return self._payer.denial_of(
            claim.member, line.service_date, claim.frequency, claim.documents
        )


def _price(
    payer: Payer,
    member: Member,
    line: ServiceLine,
    rate_cents: int,
    deductible_left: int,
    copay_left: int,
) -> tuple[LineDecision, int]:
    """Lesser of charge and rate, then deductible, copay or coinsurance, sequestration; with it what
    of the deductible is met. The share of a qualified Medicare beneficiary is nobody's to pay.

    After another payer it covers what that one left, up to where both have paid what it allows.
    """
    allowed = min(line.charge_cents, rate_cents)
    covered = allowed
    if line.left_cents is not None:
        covered = max(0, min(line.left_cents, allowed - line.paid_before_cents))
    deductible = min(covered, deductible_left)
    rest = covered - deductible
    copay = min(copay_left, rest)
    coinsurance = _share(rest, member.coinsurance_percent * 100)
    payer_part = rest - copay - coinsurance
    # Sequestration takes from the payer's part only, never from the allowed amount.
    sequestration = _share(payer_part, payer.sequestration_basis_points)
    share = (
        (Adjustment("OA", "209", deductible + copay + coinsurance),)
        if member.qmb
        else (
            Adjustment("PR", _DEDUCTIBLE, deductible),
            Adjustment("PR", _COPAY, copay),
            Adjustment("PR", "2", coinsurance),
        )
    )
    adjustments = (
        Adjustment("OA", _PRIOR_PAYER, line.before_cents),
        Adjustment("CO", "45", line.charge_cents - line.before_cents - covered),
        *share,
        Adjustment("CO", "253", sequestration),
    )
    kept = tuple(adjustment for adjustment in adjustments if adjustment.cents)
    return LineDecision(line, allowed, payer_part - sequestration, kept), deductible


def _share(cents: int, basis_points: int) -> int:
    """That share of an amount, rounded half up to a cent."""
    return (cents * basis_points + 5_000) // 10_000
