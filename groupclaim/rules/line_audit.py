"""What a payer got wrong, line by line, and by which known pattern.

The claim's own audit (:mod:`groupclaim.rules.payment_audit`) says whether money is missing; this
says where and most likely why, so that one dispute can gather all that one mistake has cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from groupclaim.model.base import Record
from groupclaim.model.claim import Adjustment, ClaimLine, ClaimPayment, ClaimVersion, LinePayment
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding
from groupclaim.model.money import Cents
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.deadlines import months_after
from groupclaim.rules.payment_audit import (
    allowed_amount,
    derived_allowed,
    interest_inside,
    sequestration_due,
    sequestration_taken,
    share,
)
from groupclaim.rules.pricing import Expected, expected_allowed, expected_claim, mispricings
from groupclaim.rules.prompt_pay import Penalty, late_payment_penalty


class Pattern(StrEnum):
    """What most likely went wrong. ``billed_below_contract`` is our own doing: the charge master
    stands below the contract rate. ``network_discount``: a discount of a network that the contract
    does not know (a rental or silent PPO); ``out_of_network``: settled as if there were no
    contract; ``downcoded``: another code was paid than billed."""

    LAST_YEARS_SCHEDULE = "last_years_schedule"
    FACILITY_RATE = "facility_rate"
    WRONG_LICENCE_TIER = "wrong_licence_tier"
    WRONG_LOCALITY = "wrong_locality"
    BILLED_BELOW_CONTRACT = "billed_below_contract"
    DROPPED_UNIT = "dropped_unit"
    DROPPED_ADD_ON = "dropped_add_on"
    DOWNCODED = "downcoded"
    NETWORK_DISCOUNT = "network_discount"
    OUT_OF_NETWORK = "out_of_network"
    DOUBLED_PATIENT_SHARE = "doubled_patient_share"
    UNAGREED_SEQUESTRATION = "unagreed_sequestration"
    PAID_LESS_THAN_ALLOWED = "paid_less_than_allowed"
    MISSING_INTEREST = "missing_interest"
    LATE_TAKEBACK = "late_takeback"
    TAKEBACK_WITHOUT_REVERSAL = "takeback_without_reversal"
    DIFFERS_FROM_ROOM = "differs_from_room"
    UNEXPLAINED = "unexplained"


_NETWORK_DISCOUNT = "131"
"""CARC of a discount that somebody negotiated: of our contract, or of a network that rents it."""
_OUT_OF_NETWORK = frozenset({"242", "279"})
"""CARCs of services that are paid as by a provider of no, or of another, network."""


class LineAudit(Record):
    """One line as the payer settled it, or the claim as a whole (``line`` 0).

    ``shortfall`` is what the payer still owes, below zero what it gave too much; 0 with no
    ``pattern`` when all is as expected. ``working`` is the arithmetic in words.
    """

    line: int
    code: str
    expected: Cents
    allowed: Cents
    shortfall: Cents
    pattern: Pattern | None = None
    working: str


def audit_lines(
    facts: ClaimFacts,
    policy: PayerPolicy,
    fee_schedule: FeeSchedule,
    edits: CodeEdits,
    billed: ClaimVersion,
    payment: ClaimPayment,
) -> tuple[LineAudit, ...]:
    """Each line that ``payment`` settles against what the contract gives for it, then what was
    taken from the claim beside its allowed amount. Empty where nobody can say what is expected.

    Where the payer adjusts the claim as a whole, its lines cannot be told apart and the claim is
    audited as one. At most one audit of each line and pattern.
    """
    expected = expected_claim(facts, policy, fee_schedule, billed.lines)
    if isinstance(expected, Finding):
        return ()
    pricing = _Pricing(facts, policy, fee_schedule, edits)
    if payment.by_line:
        audits = [
            pricing.audit(line, paid, is_first=line is billed.lines[0])
            for line, paid in _matched(billed.lines, payment.lines)
        ]
    else:
        audits = [pricing.audit_whole(billed, payment, expected)]
    return (*audits, *_beside_the_allowed(facts, policy, billed, payment))


def audit_interest(
    policy: PayerPolicy,
    billed: ClaimVersion,
    payment: ClaimPayment,
    *,
    received_on: date,
    paid_on: date,
    interest: Cents,
) -> LineAudit | None:
    """What prompt-pay law gives for a claim received and paid so late, less what is inside the
    payment and the ``interest`` that came beside it; None when nothing is missing."""
    allowed = allowed_amount(payment)
    law = interest_by_law(policy, billed, payment, received_on=received_on, paid_on=paid_on)
    interest += interest_inside(payment)
    if law is None or law.cents <= interest:
        return None
    return LineAudit(
        line=0,
        code=billed.lines[0].code,
        expected=allowed,
        allowed=allowed,
        shortfall=law.cents - interest,
        pattern=Pattern.MISSING_INTEREST,
        working=f"{law.working}; interest paid {interest}",
    )


def interest_by_law(
    policy: PayerPolicy,
    billed: ClaimVersion,
    payment: ClaimPayment,
    *,
    received_on: date,
    paid_on: date,
) -> Penalty | None:
    """What prompt-pay law gives for a claim received and paid so late, whatever came of it."""
    return late_payment_penalty(
        policy,
        billed=billed.charge,
        contracted=allowed_amount(payment),
        paid=payment.paid - interest_inside(payment),
        received_on=received_on,
        paid_on=paid_on,
    )


def takeback_pattern(
    policy: PayerPolicy, *, paid_on: date, taken_on: date, reversed_too: bool
) -> Pattern | None:
    """What is wrong with a payer's taking back on ``taken_on`` what it paid on ``paid_on``: too
    late by law, or with no reversal that says which claim and why."""
    limit = policy.takebacks
    if limit is not None:
        last = (
            months_after(paid_on, limit.months)
            if limit.months is not None
            else paid_on + timedelta(days=limit.days or 0)
        )
        if taken_on > last:
            return Pattern.LATE_TAKEBACK
    return None if reversed_too else Pattern.TAKEBACK_WITHOUT_REVERSAL


_AGREEING_CONTROLS = 2


def room_control(allowed: Mapping[str, Cents]) -> Cents | None:
    """What a payer allows most often for one code in one room, by claim: the control where no
    contract is loaded. None unless at least two claims agree, and more than on anything else."""
    ranked = Counter(allowed.values()).most_common(2)
    if not ranked or ranked[0][1] < _AGREEING_CONTROLS:
        return None
    if len(ranked) > 1 and ranked[1][1] == ranked[0][1]:
        return None
    return ranked[0][0]


def audit_against_room(
    code: str, allowed: Cents, control: Cents, policy: PayerPolicy
) -> LineAudit | None:
    """A claim without a contract against the others of its room and payer; None when alike."""
    difference = control - allowed
    if abs(difference) <= policy.audit.tolerance(control):
        return None
    return LineAudit(
        line=0,
        code=code,
        expected=control,
        allowed=allowed,
        shortfall=difference,
        pattern=Pattern.DIFFERS_FROM_ROOM,
        working=f"the payer allowed {control} for others in the same room, {allowed} here",
    )


# --- what was allowed


@dataclass(frozen=True, slots=True)
class _Said:
    """What the payer says of a line: under which code it was settled, and what was taken off."""

    code: str
    adjustments: tuple[Adjustment, ...] = ()


def _named_by_payer(line: ClaimLine, said: _Said) -> tuple[Pattern, str] | None:
    """The mistake that the payer itself names: it settled another code, took a network's discount,
    or settled as out of network."""
    if said.code != line.code:
        return Pattern.DOWNCODED, f"{line.code} was billed, {said.code} was settled"
    discount = _taken(said.adjustments, {_NETWORK_DISCOUNT})
    if discount > 0:
        return (
            Pattern.NETWORK_DISCOUNT,
            f"{discount} was taken under CARC {_NETWORK_DISCOUNT}, which no contract gives",
        )
    outside = {item.reason for item in said.adjustments} & _OUT_OF_NETWORK
    if outside:
        return Pattern.OUT_OF_NETWORK, f"settled as out of network (CARC {min(outside)})"
    return None


def _taken(adjustments: tuple[Adjustment, ...], reasons: Set[str]) -> Cents:
    """What was taken off for ``reasons`` under any group but the patient's."""
    return Cents(
        sum(item.cents for item in adjustments if item.group != "PR" and item.reason in reasons)
    )


class _Pricing:
    def __init__(
        self, facts: ClaimFacts, policy: PayerPolicy, schedule: FeeSchedule, edits: CodeEdits
    ) -> None:
        self._facts, self._policy, self._schedule, self._edits = facts, policy, schedule, edits

    def audit(self, line: ClaimLine, paid: LinePayment | None, *, is_first: bool) -> LineAudit:
        unit = self._unit(line)
        expected = Cents(unit.allowed * line.units)
        if paid is None:
            allowed = Cents(0)
        elif paid.allowed is not None:
            allowed = paid.allowed
        else:
            allowed = derived_allowed(paid.paid, paid.adjustments)
        units_paid = line.units if paid is None or paid.units is None else paid.units
        dropped = (
            allowed == 0
            and not is_first
            and bool(self._edits.add_on(line.code, self._facts.service_date))
        )
        said = _Said(paid.code, paid.adjustments) if paid is not None else _Said(line.code)
        return self._judged(
            paid.position if paid else 0, line, unit, expected, allowed, units_paid, said, dropped
        )

    def audit_whole(
        self, billed: ClaimVersion, payment: ClaimPayment, expected: Expected
    ) -> LineAudit:
        allowed, first = allowed_amount(payment), billed.lines[0]
        if len(billed.lines) == 1:
            unit, code = self._unit(first), first.code
            if len(payment.lines) == 1:
                code = payment.lines[0].code
            said = _Said(code, payment.adjustments)
            return self._judged(0, first, unit, expected.allowed, allowed, first.units, said, False)
        difference = self._beyond(expected.allowed, allowed)
        return LineAudit(
            line=0,
            code=first.code,
            expected=expected.allowed,
            allowed=allowed,
            shortfall=difference,
            pattern=Pattern.UNEXPLAINED if difference else None,
            working=expected.working,
        )

    def _judged(
        self,
        position: int,
        line: ClaimLine,
        unit: Expected,
        expected: Cents,
        allowed: Cents,
        units_paid: int,
        said: _Said,
        dropped_add_on: bool,
    ) -> LineAudit:
        shortfall = self._beyond(expected, allowed)
        pattern, working = None, unit.working
        if shortfall > 0 and dropped_add_on:
            pattern = Pattern.DROPPED_ADD_ON
            working = f"{working}; nothing was allowed for the add-on code"
        elif shortfall > 0 and (named := _named_by_payer(line, said)):
            pattern, why = named
            working = f"{working}; {why}"
        elif shortfall > 0 and (units := self._units_allowed(line, unit, allowed, units_paid)):
            pattern = Pattern.DROPPED_UNIT
            working = f"{line.units} x [{working}]; allowed for {units} of them"
        elif shortfall:
            pattern, working = self._mistaken(line, allowed, working)
        elif unit.rate > unit.charge:
            pattern = Pattern.BILLED_BELOW_CONTRACT
            working = f"{working}; the contract would give {unit.rate}: raise the charge"
        return LineAudit(
            line=position,
            code=line.code,
            expected=expected,
            allowed=allowed,
            shortfall=shortfall,
            pattern=pattern,
            working=working,
        )

    def _units_allowed(
        self, line: ClaimLine, unit: Expected, allowed: Cents, units_paid: int
    ) -> int | None:
        """The units that the allowed amount stands for, when fewer than billed."""
        if 0 < units_paid < line.units:
            return units_paid
        for units in range(1, line.units):
            if not self._beyond(Cents(unit.allowed * units), allowed):
                return units
        return None

    def _mistaken(self, line: ClaimLine, allowed: Cents, working: str) -> tuple[Pattern, str]:
        for wrong in mispricings(
            self._facts,
            self._policy,
            self._schedule,
            line.code,
            place=line.place_of_service,
            modifiers=line.modifiers,
        ):
            if wrong.allowed * line.units == allowed:
                return Pattern(wrong.mistake), f"{working}; allowed as {wrong.working}"
        return Pattern.UNEXPLAINED, working

    def _beyond(self, expected: Cents, allowed: Cents) -> Cents:
        difference = expected - allowed
        return difference if abs(difference) > self._policy.audit.tolerance(expected) else Cents(0)

    def _unit(self, line: ClaimLine) -> Expected:
        priced = expected_allowed(
            self._facts,
            self._policy,
            self._schedule,
            line.code,
            place=line.place_of_service,
            modifiers=line.modifiers,
        )
        if isinstance(priced, Finding):
            raise ValueError("a line without a price is found before")
        return priced


def _matched(
    billed: tuple[ClaimLine, ...], paid: tuple[LinePayment, ...]
) -> list[tuple[ClaimLine, LinePayment | None]]:
    """Each billed line with the paid one that means it: by our line control number, else by code
    with modifiers, by code, by charge. A paid line is used once."""
    left, found = list(paid), dict[int, LinePayment]()
    for means in (
        lambda ours, theirs: ours.line_control_number == theirs.line_control_number,
        lambda ours, theirs: (ours.code, ours.modifiers) == (theirs.code, theirs.modifiers),
        lambda ours, theirs: ours.code == theirs.code,
        lambda ours, theirs: ours.charge == theirs.charge,
    ):
        for place, ours in enumerate(billed):
            theirs = next((item for item in left if place not in found and means(ours, item)), None)
            if theirs is not None:
                found[place] = theirs
                left.remove(theirs)
    return [(ours, found.get(place)) for place, ours in enumerate(billed)]


# --- what was taken from it


def _beside_the_allowed(
    facts: ClaimFacts, policy: PayerPolicy, billed: ClaimVersion, payment: ClaimPayment
) -> list[LineAudit]:
    allowed = allowed_amount(payment)

    def owed(pattern: Pattern, cents: Cents, working: str) -> LineAudit:
        return LineAudit(
            line=0,
            code=billed.lines[0].code,
            expected=allowed,
            allowed=allowed,
            shortfall=cents,
            pattern=pattern,
            working=working,
        )

    found = []
    shared_out = derived_allowed(payment.paid, payment.adjustments)
    unpaid = allowed - shared_out
    if abs(unpaid) > policy.audit.tolerance(allowed):
        working = f"of {allowed} allowed, payment, patient share and reductions make {shared_out}"
        discount = _taken(payment.adjustments, {_NETWORK_DISCOUNT})
        pattern = Pattern.PAID_LESS_THAN_ALLOWED
        if 0 < unpaid <= discount:
            pattern = Pattern.NETWORK_DISCOUNT
            working = f"{working}; {discount} of it was taken under CARC {_NETWORK_DISCOUNT}"
        found.append(owed(pattern, unpaid, working))
    taken, due = sequestration_taken(payment), sequestration_due(payment, allowed, policy)
    if taken - due > 1:  # a cent of the payer's own rounding
        working = f"sequestration of {taken} was taken where {due} was due"
        found.append(owed(Pattern.UNAGREED_SEQUESTRATION, taken - due, working))
    doubled, why = _doubled_share(facts, policy, payment.adjustments, allowed)
    if doubled:
        found.append(owed(Pattern.DOUBLED_PATIENT_SHARE, doubled, why))
    return found


def _doubled_share(
    facts: ClaimFacts,
    policy: PayerPolicy,
    adjustments: tuple[Adjustment, ...],
    allowed: Cents,
) -> tuple[Cents, str]:
    """What the payer left to the patient beyond the benefit it told us: a copay and a coinsurance
    where the plan has one of them, or one of them too high. Without a benefit told, both at once
    are one too many: the smaller."""
    deductible = share(adjustments, {"1"})
    coinsurance, copay = share(adjustments, {"2"}), share(adjustments, {"3"})
    benefit = facts.eligibility
    told_copay = benefit.copay if benefit else None
    told_percent = benefit.coinsurance_percent if benefit else None
    if told_copay is None and told_percent is None:
        doubled = min(copay, coinsurance)
        return doubled, f"a copay of {copay} and a coinsurance of {coinsurance} for one visit"
    due_copay = min(told_copay or Cents(0), max(allowed - deductible, Cents(0)))
    due_coinsurance = max(allowed - deductible, Cents(0)).share(told_percent or 0, 100)
    excess = copay + coinsurance - due_copay - due_coinsurance
    # Only one of them told leaves the other open, unless both were taken.
    known = (told_copay is not None or not copay) and (told_percent is not None or not coinsurance)
    if not known and not (copay and coinsurance):
        return Cents(0), ""
    if excess <= policy.audit.tolerance(allowed):
        return Cents(0), ""
    return excess, (
        f"the patient was left {copay} copay and {coinsurance} coinsurance; the benefit gives "
        f"{due_copay} and {due_coinsurance}"
    )
