"""Pricing: what a payer should allow for a line, and how an allowed amount is split.

Every amount comes with its working: the arithmetic in words, as a person would check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, NamedTuple, Protocol

from groupclaim.model.base import Record
from groupclaim.model.claim import Modifier
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.model.practice import (
    Contract,
    ContractRate,
    Fee,
    FeeScheduleContract,
    LicenceKind,
    MedicareContract,
    PercentOfChargeContract,
    PercentOfMedicareContract,
    PerDiemContract,
    ProcedureCode,
)
from groupclaim.policy.codes import places_of_service
from groupclaim.policy.fee_schedule import FeeSchedule, NotPriced
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.licences import billing_licence

_NONE = Cents(0)


class Expected(Record):
    """What the payer should allow for one line, before any patient share.

    ``rate`` is what contract and licence give; ``allowed`` the lesser of it and the charge.
    ``working`` is the arithmetic in words.
    """

    allowed: Cents
    charge: Cents
    rate: Cents
    method: Literal[
        "fee_schedule",
        "medicare_physician_fee_schedule",
        "percent_of_medicare",
        "percent_of_charge",
        "per_diem",
    ]
    working: str


class PricedLine(Protocol):
    """What of a service line its price depends on."""

    @property
    def code(self) -> ProcedureCode: ...
    @property
    def modifiers(self) -> tuple[Modifier, ...]: ...
    @property
    def place_of_service(self) -> str: ...
    @property
    def units(self) -> int: ...


class Split(Record):
    """A charge in parts: they always add up to it. ``working`` is the arithmetic in words."""

    contractual: Cents
    deductible: Cents
    copay: Cents
    coinsurance: Cents
    sequestration: Cents
    paid: Cents
    working: str = ""

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
    facts: ClaimFacts,
    policy: PayerPolicy,
    fee_schedule: FeeSchedule,
    code: str,
    *,
    place: str | None = None,
    modifiers: tuple[Modifier, ...] = (),
) -> Expected | Finding:
    """What the payer should allow for one unit of ``code``, or the finding that nobody can say.

    ``place`` is the line's place of service; by default that of how the patient took part.
    """
    fee = fee_in_force(facts, code)
    if fee is None:
        return _no_rate("no_fee", "The practice has no fee for the code on the day.", facts, code)
    contract = contract_in_force(facts)
    if contract is None:
        return _no_rate(
            "no_contract", "No contract with the payer is in force on the day.", facts, code
        )
    licence = billing_licence(facts, policy)
    if licence is None:
        return _no_rate(
            "no_licence_to_price", "No licence is valid to price the code by.", facts, code
        )
    place = place or place_of_service(facts, policy)
    try:
        asked = _Asked(
            code,
            licence.kind,
            _is_facility(policy, place),
            facts.location.medicare_locality,
            modifiers,
            fee,
        )
        rate, working = _rate(contract, facts, policy, fee_schedule, asked)
    except _Unpriced as unpriced:
        return _no_rate("no_rate", str(unpriced), facts, code)
    allowed = min(fee.cents, rate)
    return Expected(
        allowed=allowed,
        charge=fee.cents,
        rate=rate,
        method=contract.method,
        working=f"{working}; the lesser of it and the charge {fee.cents}: {allowed}",
    )


class Mispricing(Record):
    """What one unit would be allowed if the payer had made one mistake; ``working`` as words."""

    mistake: Literal["last_years_schedule", "facility_rate", "wrong_licence_tier", "wrong_locality"]
    allowed: Cents
    working: str


_USUAL_TIERS = (75, 85, 70)
"""Percentages of the full fee that payers take by licence (Medicare: 75 and 85): seen also where
the contract names none, or already named a rate for the licence."""


def mispricings(
    facts: ClaimFacts,
    policy: PayerPolicy,
    fee_schedule: FeeSchedule,
    code: str,
    *,
    place: str,
    modifiers: tuple[Modifier, ...] = (),
) -> tuple[Mispricing, ...]:
    """What :func:`expected_allowed` would be with one thing mistaken, the likeliest first; empty
    where it is a finding."""
    fee, contract = fee_in_force(facts, code), contract_in_force(facts)
    licence = billing_licence(facts, policy)
    if fee is None or contract is None or licence is None:
        return ()
    facility, locality = _is_facility(policy, place), facts.location.medicare_locality
    right = _Asked(code, licence.kind, facility, locality, modifiers, fee)
    before = _contract_before(facts, contract)
    wrong: list[tuple[str, Contract, _Asked, int]] = []
    if before is not None:
        wrong.append(("last_years_schedule", before, right, 100))
    wrong.append(("last_years_schedule", contract, right._replace(years_back=1), 100))
    wrong.append(("facility_rate", contract, right._replace(facility=not facility), 100))
    wrong += [
        ("wrong_licence_tier", contract, right._replace(licence=kind), 100)
        for kind in LicenceKind
        if kind is not licence.kind
    ]
    wrong += [("wrong_licence_tier", contract, right, percent) for percent in _USUAL_TIERS]
    wrong += [
        ("wrong_locality", contract, right._replace(locality=other), 100)
        for other in fee_schedule.localities(facts.service_date)
        if other != locality
    ]
    found = []
    for mistake, priced_by, asked, percent in wrong:
        try:
            rate, working = _rate(priced_by, facts, policy, fee_schedule, asked)
        except _Unpriced:
            continue
        if percent != 100:
            rate = rate.share(percent, 100)
            working += f"; {percent} % once more = {rate}"
        values = {"mistake": mistake, "allowed": min(fee.cents, rate), "working": working}
        found.append(Mispricing.model_validate(values))
    return tuple(found)


def _contract_before(facts: ClaimFacts, contract: Contract) -> Contract | None:
    """The payer's last contract that began before ``contract``."""
    return max(
        (
            item
            for item in facts.contracts
            if item.payer == contract.payer and item.effective_from < contract.effective_from
        ),
        key=lambda item: item.effective_from,
        default=None,
    )


def expected_claim(
    facts: ClaimFacts, policy: PayerPolicy, fee_schedule: FeeSchedule, lines: Iterable[PricedLine]
) -> Expected | Finding:
    """What the payer should allow for a claim of ``lines`` (at least one), or the finding that
    nobody can say for one of them."""
    parts: list[tuple[PricedLine, Expected]] = []
    for line in lines:
        priced = expected_allowed(
            facts,
            policy,
            fee_schedule,
            line.code,
            place=line.place_of_service,
            modifiers=line.modifiers,
        )
        if isinstance(priced, Finding):
            return priced
        parts.append((line, priced))
    first = parts[0][1]
    if len(parts) == 1 and parts[0][0].units == 1:
        return first

    def total(amounts: Iterable[tuple[PricedLine, Cents]]) -> Cents:
        return Cents(sum(amount * line.units for line, amount in amounts))

    return Expected(
        allowed=total((line, item.allowed) for line, item in parts),
        charge=total((line, item.charge) for line, item in parts),
        rate=total((line, item.rate) for line, item in parts),
        method=first.method,
        working=" + ".join(f"[{line.code} x {line.units}: {item.working}]" for line, item in parts),
    )


def place_of_service(facts: ClaimFacts, policy: PayerPolicy) -> str:
    """Where the payer wants the service to have been, by how this patient took part."""
    remote = facts.taken_part_remotely
    if remote is None:
        return facts.location.place_of_service
    telehealth = policy.telehealth
    place = telehealth.home_place if remote.place == "home" else telehealth.elsewhere_place
    return place or facts.location.place_of_service


def expected_split(
    facts: ClaimFacts, policy: PayerPolicy, expected: Expected, deductible: Cents = _NONE
) -> Split:
    """How the payer should split what it allows: by the patient's own benefit as the payer told
    it, else by the policy. ``deductible`` is what is left of it."""
    benefit = facts.eligibility
    copay = benefit.copay if benefit and benefit.copay is not None else _NONE
    percent = benefit.coinsurance_percent if benefit else None
    if percent is None:
        percent = policy.coinsurance.percent if policy.coinsurance else 0
    return payment_split(
        expected.charge,
        expected.allowed,
        deductible=deductible,
        copay=copay,
        coinsurance_percent=percent,
        sequestration_basis_points=policy.sequestration.basis_points,
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
        working=(
            f"allowed {allowed} - deductible {deductible} = {after_deductible}; copay {copay}; "
            f"{coinsurance_percent} % coinsurance of {after_deductible} = {coinsurance}; payer's "
            f"part {after_deductible} - {copay} - {coinsurance} = {payer_part}; sequestration "
            f"{sequestration_basis_points / 100:g} % = {sequestration}; paid "
            f"{payer_part - sequestration}"
        ),
    )


def contract_in_force(facts: ClaimFacts) -> Contract | None:
    """The contract with the payer on the day of service; the latest counts."""
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


class _Unpriced(Exception):
    """Nobody can say what the contract pays; the text says why."""


class _Asked(NamedTuple):
    """What a rate is asked for. ``years_back`` asks the Medicare schedule of an earlier year."""

    code: str
    licence: LicenceKind
    facility: bool
    locality: str
    modifiers: tuple[Modifier, ...]
    fee: Fee
    years_back: int = 0


def _rate(
    contract: Contract,
    facts: ClaimFacts,
    policy: PayerPolicy,
    fee_schedule: FeeSchedule,
    asked: _Asked,
) -> tuple[Cents, str]:
    """What ``contract`` pays, and the working. Raises :class:`_Unpriced`."""
    match contract:
        case FeeScheduleContract():
            rate = _listed(contract, asked)
            if rate is None:
                raise _Unpriced("The contract has no rate for the code and licence.")
            working = (
                f"contract rate for {asked.code}, {rate.licence or 'any licence'}: {rate.cents}"
            )
            if rate.licence is not None:
                return rate.cents, working
            return _reduced(rate.cents, contract.licence_percent, asked.licence, working)
        case MedicareContract():
            schedule = policy.physician_fee_schedule
            percent = schedule.percent.get(asked.licence) if schedule else None
            if percent is None:
                raise _Unpriced("The payer's policy has no percentage for the licence.")
            full, working = _medicare(fee_schedule, asked, facts.service_date)
            return _reduced(full, {asked.licence: percent}, asked.licence, working)
        case PercentOfMedicareContract():
            day = date(contract.year, 1, 1) if contract.year else facts.service_date
            full, working = _medicare(fee_schedule, asked, day)
            rate_cents = full.share(contract.percent, 100)
            working += f"; {contract.percent} % by contract = {rate_cents}"
            return _reduced(rate_cents, contract.licence_percent, asked.licence, working)
        case PercentOfChargeContract():
            rate_cents = asked.fee.cents.share(contract.percent, 100)
            return rate_cents, (
                f"{contract.percent} % of the charge {asked.fee.cents} = {rate_cents}"
            )
        case PerDiemContract():
            if asked.code not in contract.includes:
                raise _Unpriced("The contract pays by the day and does not name the code.")
            return _NONE, f"{asked.code} is inside the day that the contract pays as a whole: 0.00"


def _is_facility(policy: PayerPolicy, place: str) -> bool:
    """Whether the fee is the facility's: by the payer's policy, else as the national table says."""
    if policy.physician_fee_schedule is not None:
        return place in policy.physician_fee_schedule.facility_places
    known = places_of_service().get(place)
    return known is not None and known.facility


def _medicare(fee_schedule: FeeSchedule, asked: _Asked, day: date) -> tuple[Cents, str]:
    if asked.years_back:
        # The schedule is made anew each January: a day that every year has stands for the year.
        day = date(day.year - asked.years_back, day.month, min(day.day, 28))
    try:
        fee = fee_schedule.medicare_fee(asked.code, asked.locality, day, facility=asked.facility)
    except NotPriced as error:
        raise _Unpriced(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    return fee.cents, fee.working


def _reduced(
    cents: Cents, by_licence: Mapping[LicenceKind, int], licence: LicenceKind, working: str
) -> tuple[Cents, str]:
    """The licence's share, rounded once more: the full fee was rounded to the cent before."""
    percent = by_licence.get(licence, 100)
    if percent == 100:
        return cents, working
    reduced = cents.share(percent, 100)
    return reduced, f"{working}; {percent} % for {licence} = {reduced}"


def _listed(contract: FeeScheduleContract, asked: _Asked) -> ContractRate | None:
    """The rate that names most of licence, modifier and setting, in this order, and nothing that
    the line is not."""
    setting = "facility" if asked.facility else "non_facility"
    fitting = [
        rate
        for rate in contract.rates
        if rate.code == asked.code
        and rate.licence in (None, asked.licence)
        and rate.setting in (None, setting)
        and (rate.modifier is None or rate.modifier in asked.modifiers)
    ]
    return max(
        fitting,
        key=lambda rate: (
            rate.licence is not None,
            rate.modifier is not None,
            rate.setting is not None,
        ),
        default=None,
    )


def _no_rate(rule: str, sentence: str, facts: ClaimFacts, code: str) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=f"Load the fee and the contract rate for {code}, then release the hold.",
        evidence=(facts.claim_number,),
        hold="NO_RATE",
    )
