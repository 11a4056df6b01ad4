"""From what is on file to the records that X12 is written from, and back: pure, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from groupclaim import x12
from groupclaim.model.authorization_request import AuthorizationDecision, RequestedAuthorization
from groupclaim.model.claim import (
    Adjustment,
    ClaimParties,
    ClaimVersion,
    Facility,
    PriorDecision,
    Rendering,
    Subscriber,
)
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.model.patient import Coverage
from groupclaim.model.practice import Address, Clinician, Connection, Payer, Practice
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.eligibility import Administrator, Benefit, BenefitResponse
from groupclaim.rules.part2 import notice_for

_MENTAL_HEALTH, _PSYCHOTHERAPY = "MH", "A6"
_GROUP_NUMBER = "6P"
_MEMBER_ID, _MEMBER_THERE = "MI", "1W"
_RANGES, _BEGINS, _ENDS = ("291", "292", "307"), ("346", "348", "356"), ("347", "349", "357")
"""DTP01 of plan, benefit and eligibility: as a range (or its first day alone), begin and end."""


def envelope(
    connection: Connection, practice: Practice, number: int, group: int, at: datetime, *, test: bool
) -> x12.Envelope:
    """ISA and GS of an interchange to ``connection``, dated by the practice's own time zone."""
    return x12.Envelope(
        sender_id=connection.sender_id,
        receiver_id=connection.receiver_id,
        interchange_control_number=number,
        group_control_number=group,
        at=at.astimezone(ZoneInfo(practice.time_zone)),
        test=test,
    )


# --- eligibility


def inquiry(facts: ClaimFacts, payer: Payer, member_id: str, trace: str) -> x12.EligibilityInquiry:
    """The question whether the payer covers group psychotherapy of this patient on that day."""
    practice, patient = facts.practice, facts.patient
    return x12.EligibilityInquiry(
        reference=trace,
        trace_number=trace,
        # TRN03: ten characters, a 1 before the employer identification number.
        trace_originator=f"1{practice.tax_id}",
        payer=x12.Party(payer.name, payer.payer_id, qualifier="PI"),
        provider=x12.Party(practice.name, practice.npi, qualifier="XX"),
        subscriber=x12.Member(
            patient.last_name,
            patient.first_name,
            member_id,
            birth_date=patient.birth_date,
            sex=patient.sex,
        ),
        service_date=facts.service_date,
        service_types=(_MENTAL_HEALTH,),
        procedure_code=GROUP_PSYCHOTHERAPY,
    )


def known_member_id(facts: ClaimFacts) -> str:
    """The member id of the payer to bill: as it last gave it, else as on file."""
    answer, coverage = facts.eligibility, facts.coverage
    return (answer.member_id if answer else None) or (coverage.member_id if coverage else "")


def benefits(response: x12.EligibilityResponse) -> BenefitResponse:
    """What one 271 says, as the rules look at it."""
    member = response.subscriber
    plan = _days(response.dates)
    return BenefitResponse(
        member_id=member.member_id or None,
        group_number=next(
            (item.value for item in member.references if item.qualifier == _GROUP_NUMBER), None
        ),
        benefits=tuple(_benefit(item, plan) for item in response.benefits),
        rejections=tuple(
            item.reason
            for item in (
                *response.rejections,
                *(each for benefit in response.benefits for each in benefit.rejections),
            )
        ),
    )


_Days = tuple[date | None, date | None]


def _benefit(item: x12.Benefit, plan: _Days) -> Benefit:
    own = _days(item.dates)
    first, last = own if own != (None, None) else plan
    return Benefit(
        information=item.information,
        service_types=item.service_types,
        insurance_type=item.insurance_type,
        period=item.period,
        cents=None if item.cents is None else Cents(item.cents),
        percent=item.percent,
        quantity_qualifier=item.quantity_qualifier,
        quantity=None if item.quantity is None else Decimal(item.quantity),
        authorization=item.authorization,
        in_network=item.in_network,
        procedure_code=item.procedure_code,
        first_day=first,
        last_day=last,
        administrator=_administrator(item),
    )


def _administrator(item: x12.Benefit) -> Administrator | None:
    """The other entity of a benefit, one that administers it before any other; the member id there
    may stand where its own identifier would, or with the benefit."""
    with_it = next((one.value for one in item.references if one.qualifier == _MEMBER_THERE), None)
    named = [
        Administrator(
            role=entity.role,
            name=entity.name,
            payer_id=entity.identifier or None if entity.qualifier != _MEMBER_ID else None,
            member_id=entity.identifier or None if entity.qualifier == _MEMBER_ID else with_it,
        )
        for entity in item.entities
    ]
    return next((item for item in named if item.administers), named[0] if named else None)


def _days(dates: Iterable[x12.Period]) -> _Days:
    """First and last day of a plan or benefit, from its range or from its begin and end."""
    first: date | None = None
    last: date | None = None
    for item in dates:
        if item.qualifier in _RANGES and item.first != item.last:
            first, last = item.first, item.last
        elif item.qualifier in (*_RANGES, *_BEGINS):
            first = first or item.first
        elif item.qualifier in _ENDS:
            last = item.last
    return first, last


# --- authorization


def authorization_request(
    facts: ClaimFacts,
    payer: Payer,
    clinician: Clinician,
    asked: RequestedAuthorization,
    trace: str,
    *,
    is_inquiry: bool = False,
) -> x12.AuthorizationRequest:
    """The request for a weekly series of group psychotherapy, or the inquiry after it."""
    practice, patient = facts.practice, facts.patient
    return x12.AuthorizationRequest(
        reference=trace,
        trace_number=trace,
        trace_originator=f"1{practice.tax_id}",
        reviewer=x12.Party(payer.name, payer.payer_id, qualifier="PI"),
        requester=x12.Party(
            practice.name,
            practice.npi,
            qualifier="XX",
            contact_name=practice.contact.name,
            contact_phone=practice.contact.phone,
        ),
        subscriber=x12.Member(
            patient.last_name,
            patient.first_name,
            known_member_id(facts),
            birth_date=patient.birth_date,
            sex=patient.sex,
        ),
        service_type=_PSYCHOTHERAPY,
        certification=asked.certification,
        authorization_number=asked.extends or "",
        first_day=asked.first_day,
        last_day=asked.last_day,
        diagnoses=facts.plan.diagnoses if facts.plan else (),
        deliveries=(x12.Delivery("VS", 1, "WK", None, "35", asked.units),),
        services=(
            x12.Service(
                GROUP_PSYCHOTHERAPY,
                units=asked.units,
                service_date=asked.first_day,
                last_service_date=asked.last_day,
            ),
        ),
        provider=x12.Provider(
            clinician.last_name, clinician.first_name, clinician.npi, clinician.taxonomy
        ),
        is_inquiry=is_inquiry,
        is_urgent=asked.urgent,
    )


def authorization_decision(
    response: x12.AuthorizationResponse, at: datetime
) -> AuthorizationDecision:
    """What one 278 answer says of group psychotherapy: a decision on the service before one on the
    whole event."""
    services = [item for item in response.services if item.code == GROUP_PSYCHOTHERAPY]
    decided = [item for item in services if item.decision is not None]
    service = next(iter([*decided, *services]), None)
    said = (service.decision if service else None) or response.decision
    rejections = (*response.rejections, *(service.rejections if service else ()))
    # BHT06 19: the payer has the request, and its decision follows.
    follows = said is None and not response.is_final
    first, last = _certified_days(response, service)
    number = (said.number if said else "") or (service.authorization_number if service else "")
    units = _certified_units(response, service)
    return AuthorizationDecision(
        at=at,
        action=said.action if said else "A4" if follows else "",
        number=number or response.authorization_number or None,
        reason=said.reason if said else "",
        units=units,
        first_day=first,
        last_day=last,
        clinician_npi=response.provider.npi or None if response.provider else None,
        rejections=tuple(item.reason for item in rejections),
        follow_ups=tuple(item.follow_up for item in rejections),
    )


_EFFECTIVE, _EXPIRES = "007", "036"


def _certified_days(response: x12.AuthorizationResponse, service: x12.Service | None) -> _Days:
    """From the payer's own dates of certification, else those of the service, else the event's."""
    dates = (*(service.dates if service else ()), *response.dates)
    effective = next((item for item in dates if item.qualifier == _EFFECTIVE), None)
    expires = next((item for item in dates if item.qualifier == _EXPIRES), None)
    first: date | None = None
    last: date | None = None
    if service is not None and service.service_date is not None:
        first, last = service.service_date, service.last_service_date
    elif response.first_day is not None:
        first, last = response.first_day, response.last_day
    if effective is not None:
        first, last = effective.first, effective.last if effective.last != effective.first else last
    if expires is not None:
        last = expires.first
    return first, last


def _certified_units(
    response: x12.AuthorizationResponse, service: x12.Service | None
) -> int | None:
    if service is not None and service.units is not None:
        return int(service.units)
    for item in (*(service.deliveries if service else ()), *response.deliveries):
        if item.quantity is not None:
            weekly = item.unit == "WK" and item.periods is not None
            return int(item.quantity * (item.periods or 1)) if weekly else int(item.quantity)
    return None


# --- status


def status_inquiry(
    version: ClaimVersion, practice: Practice, receiver_id: str, trace: str, payer_number: str
) -> x12.ClaimStatusInquiry:
    """The question what became of one version of a claim."""
    parties = version.parties
    subscriber = parties.subscriber
    return x12.ClaimStatusInquiry(
        reference=trace,
        trace_number=trace,
        payer=x12.Party(parties.payer.name, parties.payer.payer_id, qualifier="PI"),
        receiver=x12.Party(practice.name, receiver_id),
        provider=x12.Party(practice.name, practice.npi, qualifier="XX"),
        subscriber=x12.Member(
            subscriber.last_name,
            subscriber.first_name,
            subscriber.member_id,
            birth_date=subscriber.birth_date,
            sex=subscriber.sex,
        ),
        patient_control_number=version.control_number,
        payer_claim_number=payer_number,
        charge_cents=version.charge,
        service_date=min(line.service_date for line in version.lines),
        last_service_date=max(line.service_date for line in version.lines),
    )


# --- claims


def claim_parties(
    facts: ClaimFacts, payer: Payer, coverage: Coverage, policy: PayerPolicy, rendering: Clinician
) -> ClaimParties:
    """To whom and of whom a claim speaks that is made of ``facts`` now."""
    patient, answer, place = facts.patient, facts.eligibility, facts.location
    own_group, said_group = coverage.group_number, answer.group_number if answer else None
    # The coverage's group number belongs to its own payer, not to whom that one refers.
    carved_out = answer is not None and answer.carve_out is not None
    notice = notice_for(facts)
    return ClaimParties(
        payer=payer,
        policy_from=policy.effective_from,
        policy_version=policy.version,
        coverage=coverage,
        answer=answer,
        subscriber=Subscriber(
            last_name=patient.last_name,
            first_name=patient.first_name,
            birth_date=patient.birth_date,
            sex=patient.sex,
            address=patient.address,
            # As the payer itself gave it when it was asked about this very coverage.
            member_id=(answer.member_id if answer else None) or coverage.member_id,
            group_number=said_group if carved_out else own_group or said_group,
        ),
        rendering=Rendering(
            last_name=rendering.last_name,
            first_name=rendering.first_name,
            npi=rendering.npi,
            taxonomy=rendering.taxonomy,
        ),
        facility=Facility(name=place.name, address=place.address)
        if place.address != facts.practice.address
        else None,
        # 42 CFR 2.32: the notice goes with what is disclosed.
        note=notice.text if notice else "",
    )


def professional_claim(version: ClaimVersion, practice: Practice) -> x12.ProfessionalClaim:
    """One version of a claim as the 837P carries it."""
    parties = version.parties
    subscriber, rendering, facility = parties.subscriber, parties.rendering, parties.facility
    return x12.ProfessionalClaim(
        control_number=version.control_number,
        charge_cents=version.charge,
        place_of_service=version.place_of_service,
        diagnoses=version.diagnoses,
        subscriber=x12.Subscriber(
            subscriber.last_name,
            subscriber.first_name,
            subscriber.member_id,
            birth_date=subscriber.birth_date,
            sex=subscriber.sex,
            address=_address(subscriber.address),
            group_number=subscriber.group_number or "",
        ),
        payer=x12.Payer(parties.payer.name, parties.payer.payer_id, parties.payer.filing_indicator),
        lines=tuple(
            x12.ServiceLine(
                line.line_control_number,
                line.code,
                line.charge,
                line.service_date,
                modifiers=line.modifiers,
                units=line.units,
                diagnosis_pointers=line.diagnosis_pointers,
                adjudications=tuple(_line_decided(item, place) for item in version.prior),
            )
            for place, line in enumerate(version.lines)
        ),
        frequency=version.frequency,
        rendering=x12.Provider(
            rendering.last_name, rendering.first_name, rendering.npi, rendering.taxonomy
        ),
        original_reference=version.original_reference or "",
        prior_authorization=version.prior_authorization or "",
        referral_number=parties.coverage.referral or "",
        note=parties.note,
        attachments=tuple(
            x12.Attachment(item.report_type, item.transmission, item.control_number)
            for item in version.attachments
        ),
        facility=x12.Facility(facility.name, practice.npi, _address(facility.address))
        if facility
        else None,
        patient_paid_cents=version.patient_paid,
        responsibility=_RESPONSIBILITY[version.payer_sequence - 1],
        insurance_type=(parties.coverage.medicare_secondary or "") if version.prior else "",
        other_payers=tuple(
            _decided(item, _RESPONSIBILITY[place], subscriber)
            for place, item in enumerate(version.prior)
        ),
    )


_RESPONSIBILITY = "PST"
"""SBR01 by place: primary, secondary, tertiary."""


def _decided(prior: PriorDecision, responsibility: str, insured: Subscriber) -> x12.OtherPayer:
    """A payer before (2320, 2330): AMT*D, its number, and what it adjusted at no line. The date of
    its decision stands at each line instead (2430 DTP*573)."""
    return x12.OtherPayer(
        responsibility,
        x12.Person(insured.last_name, insured.first_name, prior.member_id),
        prior.payer.name,
        prior.payer.payer_id,
        group_number=prior.group_number or "",
        filing_indicator=prior.payer.filing_indicator,
        paid_cents=prior.paid,
        adjustments=_adjusted(prior.adjustments),
        payer_claim_number=prior.payer_claim_number or "",
    )


def _line_decided(prior: PriorDecision, place: int) -> x12.LineAdjudication:
    """What a payer before decided on one line (2430): SVD, every CAS triplet, DTP*573."""
    line = prior.lines[place]
    return x12.LineAdjudication(
        prior.payer.payer_id,
        line.paid,
        line.code,
        modifiers=line.modifiers,
        adjustments=_adjusted(line.adjustments),
        decided_on=prior.decided_on,
    )


def _adjusted(adjustments: Sequence[Adjustment]) -> tuple[x12.Adjustment, ...]:
    return tuple(x12.Adjustment(item.group, item.reason, item.cents) for item in adjustments)


def batch_bytes(
    frame: x12.Envelope,
    practice: Practice,
    claims: Sequence[x12.ProfessionalClaim],
    transaction: int,
    reference: str,
) -> bytes:
    """The 837P with ``claims``; the same arguments give the same bytes.

    Raises :class:`groupclaim.x12.X12WriteError` naming every element that cannot be written.
    """
    return x12.build_837p(
        frame,
        submitter=x12.Party(
            practice.name,
            frame.sender_id,
            contact_name=practice.contact.name,
            contact_phone=practice.contact.phone,
        ),
        receiver=x12.Party(frame.receiver_id, frame.receiver_id),
        billing_provider=x12.BillingProvider(
            practice.name,
            practice.npi,
            practice.tax_id,
            _address(practice.address),
            taxonomy=practice.taxonomy,
        ),
        claims=claims,
        transaction_control_number=transaction,
        batch_reference=reference,
    )


def _address(address: Address) -> x12.Address:
    return x12.Address(address.line, address.city, address.state, address.zip)
