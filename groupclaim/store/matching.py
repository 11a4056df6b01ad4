"""Whom a payment is for, which claim and line of ours it speaks of, and how that was found out.

A payment is ours by its payee (N1*PE): by National Provider Identifier or tax id. A claim: by the
number we gave it; else by the payer's own number for it, from its acknowledgment or an earlier
payment, with the same charge; else by member, day of service and charge, if that is one claim only.
A line: by the number we gave it (REF*6R); else by code with modifiers, by code, by charge and day.
Payers cut claim numbers, drop modifiers and put others in their place.

Which of a patient's payers has decided is said by the version that it answers and by CLP02; one
that got the claim by crossover answers the version of the payer before it and may say 1. Then its
own identifier (N104, REF*2U) says so, where it is the payer of a later coverage on file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sqlalchemy import select

from groupclaim.model.claim import VOID, ClaimLine, ClaimVersion
from groupclaim.model.identity import split_control_number
from groupclaim.model.practice import Practice
from groupclaim.rules.coordination import rank
from groupclaim.store.database import Reading
from groupclaim.store.schema import (
    acknowledgment,
    claim,
    claim_version,
    coverage,
    payer,
    practice,
    remittance_claim,
)
from groupclaim.x12.remittance import ClaimPayment, LinePayment, Payment, PaymentParty

ClaimMatchedBy = Literal["claim_number", "payer_claim_number", "member_date_charge", "person"]
LineMatchedBy = Literal["line_number", "code_and_modifiers", "code", "charge_and_date"]

_AT_ONCE = 500
"""Claims looked up together: enough to be quick, few enough to hold in memory with their lines."""

_LONGEST = 50
"""Characters of a payer's claim number as we keep it (X12 CLP07)."""


@dataclass(frozen=True, slots=True)
class LineMatch:
    """``our_line`` is our line control number."""

    our_line: str
    by: LineMatchedBy


@dataclass(frozen=True, slots=True)
class Match:
    """The version of ours that a claim of a payment means, and the place of the payer that decided:
    of the one the version was made for, unless another has got it by crossover. ``lines`` in the
    payment's order. ``is_void``: it takes another back."""

    claim_number: str
    version: int
    payer_sequence: int
    by: ClaimMatchedBy
    lines: tuple[LineMatch | None, ...] = ()
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """``claims`` and ``withheld`` (the claims that provider adjustments refer to) by position in
    the payment, from 1."""

    claims: dict[int, Match]
    withheld: dict[int, str]


async def payee_of_another(reading: Reading, payment: Payment) -> str:
    """Why a payment is another practice's: it names its payee, and not as any practice of ours.

    Empty for one of ours, and for one that names nobody: what it is for, its claims say then.
    """
    said = _identifiers(payment.payee, ("XX", "FI"), ("TJ",))
    if not said:
        return ""
    for row in await reading.rows(select(practice.c.document)):
        ours = reading.unseal(practice, row.document, Practice)
        if said & {ours.npi, ours.tax_id}:
            return ""
    return f"the payee is another practice: N1*PE says {payment.payee.qualifier or 'REF'} " + (
        payment.payee.identifier or min(said)
    )


def _identifiers(
    party: PaymentParty, qualifiers: tuple[str, ...], references: tuple[str, ...]
) -> set[str]:
    """Letters and digits alone: some write a tax id with a hyphen."""
    said = [party.identifier] if party.qualifier in qualifiers else []
    said += [item.value for item in party.references if item.qualifier in references]
    return {text for item in said if (text := "".join(filter(str.isalnum, item)))}


async def match_payment(reading: Reading, payment: Payment) -> Matched:
    """Find the claims and lines of ours that a payment speaks of. Reads only."""
    found: dict[int, Match] = {}
    named = _identifiers(payment.payer, (payment.payer.qualifier,), ("2U",))
    payers = {
        row.payer_id
        for row in await reading.rows(select(payer.c.payer_id).where(payer.c.payer_id.in_(named)))
    }
    for start in range(0, len(payment.claims), _AT_ONCE):
        part = payment.claims[start : start + _AT_ONCE]
        numbers = [_number(paid.control_number) for paid in part]
        versions = await _versions(reading, {ours[0] for ours in numbers if ours})
        for position, (paid, said) in enumerate(zip(part, numbers, strict=True), start + 1):
            if (
                said is not None
                and (known := _named(versions, *said, rank(paid.status, 1))) is not None
            ):
                match = _match(known, paid, "claim_number")
                by_another = payers and known.parties.payer.payer_id not in payers
                if by_another and known.payer_sequence == 1:
                    place = await _place_of(reading, known.claim_number, payers)
                    match = replace(match, payer_sequence=max(place or 1, match.payer_sequence))
                found[position] = match
            elif (other := await _otherwise(reading, paid)) is not None:
                found[position] = other
    withheld: dict[int, str] = {}
    for position, item in enumerate(payment.provider_adjustments, 1):
        about = await _claim_of_reference(reading, item.reference, payment, found)
        if about is not None:
            withheld[position] = about
    return Matched(found, withheld)


async def _place_of(reading: Reading, claim_number: str, payers: set[str]) -> int | None:
    """The place among the patient's coverages on the day of service of the one payer so called."""
    rows = await reading.rows(
        select(payer.c.payer_id)
        .join(coverage, coverage.c.payer_key == payer.c.id)
        .join(claim, claim.c.patient_id == coverage.c.patient_id)
        .where(
            claim.c.claim_number == claim_number,
            coverage.c.effective_from <= claim.c.service_date,
            coverage.c.effective_to.is_(None) | (coverage.c.effective_to >= claim.c.service_date),
        )
        .order_by(coverage.c.priority)
    )
    places = [place for place, row in enumerate(rows, 1) if row.payer_id in payers]
    return places[0] if len(places) == 1 else None


def _number(control_number: str) -> tuple[str, int | None] | None:
    """Claim and version of a CLM01 of ours; no version where its letter is missing, as some payers
    and people write it."""
    text = control_number.strip()
    whole = split_control_number(text)
    if whole is not None:
        return whole
    cut = split_control_number(f"{text}A")
    return (cut[0], None) if cut is not None else None


def _named(
    versions: Mapping[tuple[str, int], ClaimVersion],
    claim_number: str,
    version: int | None,
    place: int,
) -> ClaimVersion | None:
    """The version of that number; without one the newest made for the payer at ``place``, else the
    newest; one that takes another back is only meant where it is named."""
    if version is not None:
        return versions.get((claim_number, version))
    return max(
        (known for (number, _), known in versions.items() if number == claim_number),
        key=lambda known: (known.frequency != VOID, known.payer_sequence == place, known.version),
        default=None,
    )


def _match(ours: ClaimVersion, paid: ClaimPayment, by: ClaimMatchedBy) -> Match:
    lines = match_lines(ours.lines, paid.lines)
    place = rank(paid.status, ours.payer_sequence)
    return Match(ours.claim_number, ours.version, place, by, lines, ours.frequency == VOID)


async def _match_to(
    reading: Reading, claim_number: str, version: int, paid: ClaimPayment, by: ClaimMatchedBy
) -> Match:
    return _match((await _versions(reading, {claim_number}))[claim_number, version], paid, by)


async def match_by_hand(
    reading: Reading, claim_number: str, paid: ClaimPayment, place: int | None
) -> Match | None:
    """``paid`` as of the claim that a person named: its newest version for the payer at ``place``,
    without one for that which CLP02 says, else its newest; None when none was made."""
    versions = await _versions(reading, {claim_number})
    known = _named(versions, claim_number, None, place or rank(paid.status, 1))
    if known is None:
        return None
    match = _match(known, paid, "person")
    return replace(match, payer_sequence=place or match.payer_sequence)


async def _versions(
    reading: Reading, claim_numbers: Iterable[str]
) -> dict[tuple[str, int], ClaimVersion]:
    rows = await reading.rows(
        select(
            claim_version.c.claim_number, claim_version.c.version, claim_version.c.document
        ).where(claim_version.c.claim_number.in_(sorted(claim_numbers)))
    )
    return {
        (row.claim_number, row.version): reading.unseal(claim_version, row.document, ClaimVersion)
        for row in rows
    }


async def _otherwise(reading: Reading, paid: ClaimPayment) -> Match | None:
    by_payer = await _by_payer_number(reading, paid)
    if by_payer is not None:
        return await _match_to(reading, *by_payer, paid, "payer_claim_number")
    by_member = await _by_member(reading, paid)
    if by_member is not None:
        return await _match_to(reading, *by_member, paid, "member_date_charge")
    return None


async def _by_payer_number(reading: Reading, paid: ClaimPayment) -> tuple[str, int] | None:
    numbers = {paid.payer_claim_number} | {
        item.value for item in paid.references if item.qualifier == "F8"
    }
    # None, or one that no acknowledgment can have given.
    numbers = {text for text in numbers if text and len(text) <= _LONGEST and "\0" not in text}
    if not numbers:
        return None
    for table in (acknowledgment, remittance_claim):
        known = await reading.first(
            select(table.c.claim_number, table.c.version)
            .join(
                claim_version,
                (claim_version.c.claim_number == table.c.claim_number)
                & (claim_version.c.version == table.c.version),
            )
            .where(
                table.c.payer_claim_number.in_(sorted(numbers)),
                claim_version.c.charge_cents == abs(paid.charge_cents),
            )
            .order_by(*(column.desc() for column in table.primary_key.columns))
            .limit(1)
        )
        if known is not None:
            return known.claim_number, known.version
    return None


async def _by_member(reading: Reading, paid: ClaimPayment) -> tuple[str, int] | None:
    """The one claim of this member, days and charge; None when two would fit as well."""
    people = (paid.subscriber, paid.patient, paid.corrected)
    members = {person.member_id.strip() for person in people if person is not None}
    days = {line.service_date for line in paid.lines if line.service_date is not None}
    if not any(members) or not days:
        return None
    keyed = reading.keyring
    rows = await reading.rows(
        select(claim_version.c.claim_number, claim_version.c.version)
        .join(claim, claim.c.claim_number == claim_version.c.claim_number)
        .join(coverage, coverage.c.patient_id == claim.c.patient_id)
        .where(
            coverage.c.member_id_index.in_(
                sorted(keyed.blind_index("coverage.member_id", text) for text in members if text)
            ),
            claim.c.service_date.in_(sorted(days)),
            claim_version.c.charge_cents == abs(paid.charge_cents),
        )
        .order_by(claim_version.c.claim_number, claim_version.c.version.desc())
    )
    if len({row.claim_number for row in rows}) != 1:
        return None
    number = rows[0].claim_number
    fitting = {row.version for row in rows}
    # Of the versions for several payers the one that names this member id is meant.
    _, _, version = max(
        (known.frequency != VOID, known.parties.coverage.member_id in members, known.version)
        for known in (await _versions(reading, {number})).values()
        if known.version in fitting
    )
    return number, version


async def _claim_of_reference(
    reading: Reading, reference: str, payment: Payment, found: dict[int, Match]
) -> str | None:
    """PLB03-2 often carries our claim number or the payer's."""
    for part in reference.split():
        ours = split_control_number(part)
        if ours is not None and ours in await _versions(reading, {ours[0]}):
            return ours[0]
        for position, paid in enumerate(payment.claims, 1):
            if position in found and part in (paid.payer_claim_number, paid.control_number):
                return found[position].claim_number
        if len(part) <= _LONGEST and "\0" not in part:
            known: str | None = await reading.scalar(
                select(remittance_claim.c.claim_number)
                .where(
                    remittance_claim.c.payer_claim_number == part,
                    remittance_claim.c.claim_number.is_not(None),
                )
                .limit(1)
            )
            if known is not None:
                return known
    return None


# --- lines


def match_lines(
    ours: Sequence[ClaimLine], paid: Sequence[LinePayment]
) -> tuple[LineMatch | None, ...]:
    """Which line of ours each paid line means. By its number a payer may name a line of ours
    twice, when it has split it; otherwise each is taken once."""
    free = {line.line_control_number: line for line in ours}
    found: list[LineMatch | None] = [None] * len(paid)
    for place, line in enumerate(paid):
        if line.line_control_number in {item.line_control_number for item in ours}:
            found[place] = LineMatch(line.line_control_number, "line_number")
            free.pop(line.line_control_number, None)
    for by, fits in _LINE_RULES:
        for place, line in enumerate(paid):
            if found[place] is not None:
                continue
            number = next((key for key, item in free.items() if fits(item, line)), None)
            if number is not None:
                found[place] = LineMatch(number, by)
                del free[number]
    return tuple(found)


def _codes(paid: LinePayment) -> tuple[str, ...]:
    return tuple(code for code in (paid.submitted_code, paid.code) if code)


def _with_modifiers(ours: ClaimLine, paid: LinePayment) -> bool:
    said = [(paid.code, sorted(paid.modifiers))]
    if paid.submitted_code or paid.submitted_modifiers:
        said.append((paid.submitted_code or paid.code, sorted(paid.submitted_modifiers)))
    return (ours.code, sorted(ours.modifiers)) in said


def _same_code(ours: ClaimLine, paid: LinePayment) -> bool:
    return ours.code in _codes(paid)


def _charge_and_date(ours: ClaimLine, paid: LinePayment) -> bool:
    day: date | None = paid.service_date
    return abs(paid.charge_cents) == ours.charge and day in (None, ours.service_date)


_LINE_RULES: tuple[tuple[LineMatchedBy, Callable[[ClaimLine, LinePayment], bool]], ...] = (
    ("code_and_modifiers", _with_modifiers),
    ("code", _same_code),
    ("charge_and_date", _charge_and_date),
)
