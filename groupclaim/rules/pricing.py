"""Pricing: what a payer should allow for a line, and how an allowed amount is split."""

from __future__ import annotations

from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.model.practice import Contract, Fee, FeeScheduleContract, LicenceKind
from groupclaim.policy.fee_schedule import FeeSchedule, NotPriced
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.licences import billing_licence

_NONE = Cents(0)


class Expected(Record):
    """What the payer should allow for one unit, before any patient share.

    ``rate`` is what contract and licence give; ``allowed`` the lesser of it and the charge.
    ``working`` is the arithmetic in words.
    """

    allowed: Cents
    charge: Cents
    rate: Cents
    method: Literal["fee_schedule", "medicare_physician_fee_schedule"]
    working: str


class Split(Record):
    """A charge in parts: they always add up to it."""

    contractual: Cents
    deductible: Cents
    copay: Cents
    coinsurance: Cents
    sequestration: Cents
    paid: Cents

    @property
    def patient(self) -> Cents:
        return self.deductible + self.copay + self.coinsurance

    @property
    def total(self) -> Cents:
        return self.contractual + self.patient + self.sequestration + self.paid


def fee_in_force(facts: ClaimFacts, code: str) -> Fee | None:
    """What the practice charges for ``code`` on the day of service; the latest fee counts."""
    return max(
        (fee for fee in facts.fees if fee.code == code and fee.in_force(facts.service_date)),
        key=lambda fee: fee.effective_from,
        default=None,
    )


def expected_allowed(
    facts: ClaimFacts, policy: PayerPolicy, fee_schedule: FeeSchedule, code: str
) -> Expected | Finding:
    """What the payer should allow for ``code``, or the finding that nobody can say."""
    fee = fee_in_force(facts, code)
    if fee is None:
        return _no_rate("no_fee", "The practice has no fee for the code on the day.", facts, code)
    contract = _contract_in_force(facts)
    if contract is None:
        return _no_rate(
            "no_contract", "No contract with the payer is in force on the day.", facts, code
        )
    licence = billing_licence(facts, policy)
    if licence is None:
        return _no_rate(
            "no_licence_to_price", "No licence is valid to price the code by.", facts, code
        )
    if isinstance(contract, FeeScheduleContract):
        rate = _contract_rate(contract, licence.kind, code)
        if rate is None:
            return _no_rate(
                "no_rate", "The contract has no rate for the code and licence.", facts, code
            )
        working = f"contract rate for {code}, {licence.kind}: {rate}"
    else:
        schedule = policy.physician_fee_schedule
        percent = schedule.percent.get(licence.kind) if schedule else None
        if schedule is None or percent is None:
            return _no_rate(
                "no_rate", "The payer's policy has no percentage for the licence.", facts, code
            )
        facility = facts.location.place_of_service in schedule.facility_places
        locality = facts.location.medicare_locality
        try:
            rate = fee_schedule.medicare_allowed(
                code, locality, facts.service_date, facility=facility, percent=percent
            )
        except NotPriced as error:
            return _no_rate("no_rate", f"{str(error).capitalize()}.", facts, code)
        setting = "facility" if facility else "non-facility"
        working = (
            f"Medicare physician fee schedule {facts.service_date.year}, {locality}, {setting}, "
            f"{percent} % for {licence.kind}: {rate}"
        )
    allowed = min(fee.cents, rate)
    return Expected(
        allowed=allowed,
        charge=fee.cents,
        rate=rate,
        method=contract.method,
        working=f"{working}; the lesser of it and the charge {fee.cents}: {allowed}",
    )


def payment_split(
    charge: Cents,
    allowed: Cents,
    *,
    deductible: Cents = _NONE,
    copay: Cents = _NONE,
    coinsurance_percent: int = 0,
    sequestration_basis_points: int = 0,
) -> Split:
    """How a payer splits a charge: deductible, then copay, then coinsurance on what is left before
    the copay, then sequestration on the payer's part. No share exceeds what is left of the allowed
    amount. Raises ValueError when the allowed amount exceeds the charge or anything is negative.
    """
    if not 0 <= allowed <= charge or deductible < 0 or copay < 0:
        raise ValueError("needs 0 <= allowed <= charge, and no negative share")
    if not 0 <= coinsurance_percent <= 100 or not 0 <= sequestration_basis_points <= 10_000:
        raise ValueError("needs percentages between none and all")
    deductible = min(deductible, allowed)
    after_deductible = allowed - deductible
    copay = min(copay, after_deductible)
    coinsurance = min(after_deductible.share(coinsurance_percent, 100), after_deductible - copay)
    payer_part = after_deductible - copay - coinsurance
    sequestration = payer_part.share(sequestration_basis_points, 10_000)
    return Split(
        contractual=charge - allowed,
        deductible=deductible,
        copay=copay,
        coinsurance=coinsurance,
        sequestration=sequestration,
        paid=payer_part - sequestration,
    )


def medicare_split(
    charge: Cents, allowed: Cents, policy: PayerPolicy, deductible: Cents = _NONE
) -> Split:
    """The split by the policy's own coinsurance and sequestration, as law fixes Medicare's."""
    return payment_split(
        charge,
        allowed,
        deductible=deductible,
        coinsurance_percent=policy.coinsurance.percent if policy.coinsurance else 0,
        sequestration_basis_points=policy.sequestration.basis_points,
    )


def _contract_in_force(facts: ClaimFacts) -> Contract | None:
    return max(
        (
            contract
            for contract in facts.contracts
            if facts.payer is not None
            and contract.payer == facts.payer.ref
            and contract.in_force(facts.service_date)
        ),
        key=lambda contract: contract.effective_from,
        default=None,
    )


def _contract_rate(contract: FeeScheduleContract, licence: LicenceKind, code: str) -> Cents | None:
    """The rate for the licence, else the one for any licence."""
    by_licence = {rate.licence: rate.cents for rate in contract.rates if rate.code == code}
    return by_licence.get(licence, by_licence.get(None))


def _no_rate(rule: str, sentence: str, facts: ClaimFacts, code: str) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=f"Load the fee and the contract rate for {code}, then release the hold.",
        evidence=(facts.claim_number,),
        hold="NO_RATE",
    )
