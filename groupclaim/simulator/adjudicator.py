"""What a simulated payer decides about claims: pure arithmetic, no clock, no files.

Claims of one payment date are decided together, in the order of their content, so that neither the
order of arrival nor the composition of batches can change a cent. What earlier payment dates
decided enters as a `History` value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from groupclaim.simulator.world import Member, Payer
from groupclaim.x12.values import Quantity

# A member (by first id), a service date and a code: what may be billed as an original only once.
Service: TypeAlias = tuple[str, date, str]


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service line as billed; the charge in cents."""

    code: str
    modifiers: tuple[str, ...]
    units: Quantity
    charge_cents: int
    service_date: date
    control_number: str


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


def admit(payer: Payer, member_id: str, frequency: str, received_on: date) -> Member | Refusal:
    """What the payer's front door says on the day of receipt: whose claim it is, or why not.

    The member id must be the one in force on that day, whatever the service date.
    """
    member = payer.member_with(member_id)
    if member is None or member.id_on(received_on) != member_id:
        return _UNKNOWN_MEMBER_ID
    if frequency not in ("1", "7"):
        return _UNKNOWN_FREQUENCY
    return member


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that the payer admitted; `replaces` is the payer's number of an earlier one."""

    payer_claim_number: str
    control_number: str
    frequency: str
    replaces: str
    member: Member
    rendering_npi: str
    authorization_number: str
    lines: tuple[ServiceLine, ...]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Why a part of a charge is not paid: group code, reason code, cents above zero."""

    group: Literal["CO", "PR"]
    reason: str
    cents: int


@dataclass(frozen=True, slots=True)
class LineDecision:
    """The payer's answer to one line: charge = paid + sum of adjustments. Denied: allowed None."""

    line: ServiceLine
    allowed_cents: int | None
    paid_cents: int
    adjustments: tuple[Adjustment, ...]


@dataclass(frozen=True, slots=True)
class ClaimDecision:
    """The payer's answer to one claim."""

    claim: Claim
    lines: tuple[LineDecision, ...]

    @property
    def denied(self) -> bool:
        """True when no line was priced."""
        return all(line.allowed_cents is None for line in self.lines)

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
                refused = Adjustment("CO", denial or "147", line.charge_cents)
                answer = LineDecision(line, None, 0, (refused,) if line.charge_cents else ())
            else:
                answer, copay_left = self._price(claim.member, line, rate, copay_left)
                self._paid.add(service)
            self._billed.add(service)
            decided.append(answer)
        self._members_by_claim[claim.payer_claim_number] = claim.member.key
        return ClaimDecision(claim, tuple(decided))

    def _denial(self, claim: Claim, line: ServiceLine, service: Service) -> str | None:
        """The claim adjustment reason code for which the line is not priced."""
        if claim.frequency == "7":
            if self._members_by_claim.get(claim.replaces) != claim.member.key:
                return "16"  # replaces nothing that this payer decided for this member
            # Only what is denied can be replaced; what is paid would be paid a second time.
            if service in self._paid:
                return "18"
        elif service in self._billed:
            return "18"
        if not claim.member.covered_on(line.service_date):
            started = any(period.first <= line.service_date for period in claim.member.coverage)
            return "27" if started else "26"
        if claim.member.authorization.required and not self._authorized(claim, line):
            return "197"
        return None

    def _authorized(self, claim: Claim, line: ServiceLine) -> bool:
        return any(
            authorization.number == claim.authorization_number
            and claim.member.holds(authorization.member_id)
            and line.code in authorization.codes
            and line.service_date in authorization
            for authorization in self._payer.authorizations
        )

    def _price(
        self, member: Member, line: ServiceLine, rate_cents: int, copay_left: int
    ) -> tuple[LineDecision, int]:
        """Lesser of charge and rate, then deductible, copay or coinsurance, sequestration."""
        allowed = min(line.charge_cents, rate_cents)
        used = self._deductible_used.get(member.key, 0)
        deductible = min(allowed, member.deductible_remaining_cents - used)
        self._deductible_used[member.key] = used + deductible
        rest = allowed - deductible
        copay = min(copay_left, rest)
        coinsurance = _share(rest, member.coinsurance_percent * 100)
        payer_part = rest - copay - coinsurance
        # Sequestration takes from the payer's part only, never from the allowed amount.
        sequestration = _share(payer_part, self._payer.sequestration_basis_points)
        adjustments = (
            Adjustment("CO", "45", line.charge_cents - allowed),
            Adjustment("PR", "1", deductible),
            Adjustment("PR", "3", copay),
            Adjustment("PR", "2", coinsurance),
            Adjustment("CO", "253", sequestration),
        )
        kept = tuple(adjustment for adjustment in adjustments if adjustment.cents)
        return LineDecision(line, allowed, payer_part - sequestration, kept), copay_left - copay


def _share(cents: int, basis_points: int) -> int:
    """That share of an amount, rounded half up to a cent."""
    return (cents * basis_points + 5_000) // 10_000
