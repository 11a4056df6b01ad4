"""Questions that a payer answers: coverage (270), authorization (278), claim status (276).

Nothing here keeps state; the same arguments give the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from groupclaim.simulator.transactions import (
    Correspondent,
    UnreadableInterchange,
    only_interchange,
)
from groupclaim.simulator.world import Member, Payer, Review, World
from groupclaim.x12 import (
    AuthorizationRequest,
    AuthorizationResponse,
    Benefit,
    ClaimStatusInquiry,
    ClaimStatusResponse,
    Decision,
    Delivery,
    EligibilityInquiry,
    EligibilityResponse,
    Period,
    Problem,
    Reference,
    Rejection,
    RelatedEntity,
    Status,
    StatusInformation,
    X12WriteError,
    build_271,
    build_277,
    build_278_response,
    read_270,
    read_276,
    read_278_requests,
)
from groupclaim.x12 import Member as Insured

# What a payer says about psychotherapy: plan, mental health, psychiatric, psychotherapy, mental
# health provider outpatient (service type codes, domain reference 5.2).
_BEHAVIOURAL_SERVICES = ("MH", "A4", "A6", "CF")
_WHOLE_PLAN = ("30",)

# The claim filing indicator as EB04 spells it; its code list has neither CI nor 16.
_INSURANCE_TYPES = {"MB": "MB", "MC": "MC", "CI": "C1", "16": "HN"}
_MEDICARE_RISK_PLAN, _QUALIFIED_BENEFICIARY = "HN", "QM"

# AAA03 of a payer and of a member that are not known, with the follow-up (correct and resend).
_UNKNOWN_PAYER = Rejection("20", "79", "C")
_UNKNOWN_MEMBER = Rejection("22", "75", "C")
_UNKNOWN_REQUEST = Rejection("EV", "AA", "N")
# The request is held and will be answered: do not send it again.
_ANSWER_FOLLOWS = Rejection("20", "42", "Y", "Y")

Question = TypeVar("Question")


@dataclass(frozen=True, slots=True)
class Inquiry(Generic[Question]):
    """One interchange with its only question."""

    control_number: str
    correspondent: Correspondent
    question: Question


def read_eligibility(content: bytes) -> Inquiry[EligibilityInquiry]:
    """Read one 270 interchange with one question. Raises UnreadableInterchange."""
    return _read(content, "270", read_270)


def read_review(content: bytes) -> Inquiry[AuthorizationRequest]:
    """Read one 278 interchange with one request. Raises UnreadableInterchange."""
    return _read(content, "278", read_278_requests)


def read_status(content: bytes) -> Inquiry[ClaimStatusInquiry]:
    """Read one 276 interchange with one question. Raises UnreadableInterchange."""
    return _read(content, "276", read_276)


def _read(
    content: bytes,
    kind: str,
    reader: Callable[[bytes], tuple[tuple[Question, ...], tuple[Problem, ...]]],
) -> Inquiry[Question]:
    interchange = only_interchange(content)
    questions, problems = reader(content)
    if problems:
        raise UnreadableInterchange(
            "; ".join(f"segment {problem.segment_number}: {problem.text}" for problem in problems)
        )
    if len(questions) != 1:
        raise UnreadableInterchange(f"needs one {kind} about one person, has {len(questions)}")
    return Inquiry(interchange.control_number, interchange.correspondent, questions[0])


def find_member(payer: Payer, asked: Insured) -> Member | None:
    """Whom the payer takes the person asked about for: by member id, else by name and birth."""
    member = payer.member_with(asked.member_id)
    if member is None and asked.birth_date is not None:
        member = payer.member_named(asked.first_name, asked.last_name, asked.birth_date, asked.sex)
    return member


def _as_known(member: Member, asked: Insured, day: date) -> Insured:
    """The person under the member id in force on that day."""
    in_force = member.id_on(day) or member.member_ids[-1].id
    return Insured(
        last_name=member.last_name,
        first_name=member.first_name,
        member_id=in_force,
        birth_date=member.birth_date,
        sex=member.sex,
        changed=in_force != asked.member_id,
    )


# --- coverage -----------------------------------------------------------------------------------


def answer_eligibility(
    inquiry: Inquiry[EligibilityInquiry], world: World, at: datetime, number: int
) -> bytes:
    """The 271: the payer's view of this person on the service date.

    Raises UnreadableInterchange when the question holds something that no answer can repeat.
    """
    question = inquiry.question
    payer = world.payer(question.payer.identifier)
    if payer is None:
        return _answer(inquiry, at, number, rejections=(_UNKNOWN_PAYER,))
    asked = question.subscriber
    member = find_member(payer, asked)
    if member is None:
        return _answer(inquiry, at, number, rejections=(_UNKNOWN_MEMBER,))
    service_date = question.service_date or at.date()
    found = _as_known(member, asked, max(service_date, at.date()))
    if not member.covered_on(service_date):
        return _answer(inquiry, at, number, found, (Benefit("6", "IND", _WHOLE_PLAN),))
    dates = tuple(
        period
        for covered in member.coverage
        if service_date in covered
        for period in _plan_dates(covered.first, covered.last)
    )
    benefits = (
        Benefit("1", "IND", _WHOLE_PLAN, insurance_type=_INSURANCE_TYPES[payer.filing_indicator]),
        *_benefits(world, payer, member, question),
    )
    return _answer(inquiry, at, number, found, benefits, dates)


def _benefits(
    world: World, payer: Payer, member: Member, question: EligibilityInquiry
) -> tuple[Benefit, ...]:
    """What is said of behavioural services; of one who is another's, only whose (5.3)."""
    services = _BEHAVIOURAL_SERVICES
    if member.carve_out is not None:
        other, member_id = member.carve_out.administrator, member.carve_out.member_id
        return (Benefit("U", "IND", services, **_elsewhere(world, other, "PR", member_id)),)
    if member.medicare_advantage is not None:
        plan, member_id = member.medicare_advantage.plan, member.medicare_advantage.member_id
        return (
            Benefit(
                "R",
                "IND",
                _WHOLE_PLAN,
                insurance_type=_MEDICARE_RISK_PLAN,
                **_elsewhere(world, plan, "PRP", member_id),
            ),
        )
    authorization = member.authorization.answered
    benefits = [
        Benefit("1", "IND", services, authorization=authorization, in_network="Y"),
        Benefit("C", "IND", services, period="29", cents=member.deductible_remaining_cents),
    ]
    if member.qmb:
        benefits.append(Benefit("1", "IND", _WHOLE_PLAN, insurance_type=_QUALIFIED_BENEFICIARY))
    if member.copay_cents:
        benefits.append(Benefit("B", "IND", services, cents=member.copay_cents))
    if member.coinsurance_percent:
        percent = Decimal(member.coinsurance_percent) / 100
        benefits.append(Benefit("A", "IND", services, percent=percent))
    if question.procedure_code:
        benefits.append(
            Benefit(
                "1",
                "IND",
                authorization=authorization,
                in_network="Y",
                procedure_code=question.procedure_code,
            )
        )
    return tuple(benefits)


def _elsewhere(world: World, payer_id: str, role: str, member_id: str) -> dict[str, Any]:
    """Who pays instead (2120), and the person's member id there (REF*1W)."""
    other = world.payer(payer_id)
    name = "" if other is None else other.name
    return {
        "references": (Reference("1W", member_id),),
        "entities": (RelatedEntity(role, name, payer_id, "PI"),),
    }


def _plan_dates(first: date, last: date | None) -> tuple[Period, ...]:
    begin = Period("346", first, first)
    return (begin,) if last is None else (begin, Period("347", last, last))


def _answer(
    inquiry: Inquiry[EligibilityInquiry],
    at: datetime,
    number: int,
    subscriber: Insured | None = None,
    benefits: tuple[Benefit, ...] = (),
    dates: tuple[Period, ...] = (),
    rejections: tuple[Rejection, ...] = (),
) -> bytes:
    question = inquiry.question
    response = EligibilityResponse(
        reference=question.reference,
        trace_number=question.trace_number,
        trace_originator=question.trace_originator,
        payer=question.payer,
        provider=question.provider,
        subscriber=subscriber or question.subscriber,
        benefits=benefits,
        rejections=rejections,
        dates=dates,
    )
    try:
        return build_271(inquiry.correspondent.envelope(number, at), response, 1)
    except X12WriteError as error:
        raise UnreadableInterchange(str(error)) from None


# --- authorization ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a payer says to a 278: a decision; that it wants to be called (`call`); or neither yet.

    `is_final` is False while another answer follows.
    """

    review: Review | None = None
    call: bool = False
    is_final: bool = True


def answer_review(
    inquiry: Inquiry[AuthorizationRequest],
    member: Member,
    said: Reviewed | None,
    at: datetime,
    number: int,
) -> bytes:
    """The 278 response about a member (domain reference 5.4); None: to an inquiry after a request
    that never came.

    Raises UnreadableInterchange when the request holds something that no answer can repeat.
    """
    request = inquiry.question
    values: dict[str, Any] = {"subscriber": _as_known(member, request.subscriber, at.date())}
    if said is None:
        return _respond(inquiry, at, number, rejections=(_UNKNOWN_REQUEST,), **values)
    review = said.review
    units = None
    if review is not None:
        values["decision"] = Decision(review.decision, review.number or "")
        values["note"] = review.reason
        if review.first is not None and review.last is not None:
            units = review.units
            values["dates"] = (Period("007", review.first, review.last),)
            values["deliveries"] = (Delivery("VS", units),)
    elif said.call:
        values["decision"] = Decision("CT")
    else:
        values["rejections"] = (_ANSWER_FOLLOWS,)
    return _respond(inquiry, at, number, units=units, is_final=said.is_final, **values)


def refuse_review(
    inquiry: Inquiry[AuthorizationRequest], payer: Payer | None, at: datetime, number: int
) -> bytes:
    """The 278 response to a request for nobody's member, or to no payer."""
    rejections = (_UNKNOWN_PAYER if payer is None else _UNKNOWN_MEMBER,)
    return _respond(inquiry, at, number, rejections=rejections)


def _respond(
    inquiry: Inquiry[AuthorizationRequest],
    at: datetime,
    number: int,
    *,
    units: int | None = None,
    **values: Any,
) -> bytes:
    request = inquiry.question
    facts = {
        "subscriber": request.subscriber,
        "decision": None,
        **values,
    }
    response = AuthorizationResponse(
        reference=request.reference,
        trace_number=request.trace_number,
        trace_originator=request.trace_originator,
        reviewer=request.reviewer,
        requester=request.requester,
        service_type=request.service_type,
        category=request.category,
        certification=request.certification,
        place_of_service=request.place_of_service,
        first_day=request.first_day,
        last_day=request.last_day,
        diagnoses=request.diagnoses,
        services=request.services
        if units is None
        else tuple(replace(one, units=units) for one in request.services),
        provider=request.provider,
        dependent=request.dependent,
        **facts,
    )
    try:
        return build_278_response(inquiry.correspondent.envelope(number, at), response, 1)
    except X12WriteError as error:
        raise UnreadableInterchange(str(error)) from None


# --- claim status -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClaimOnRecord:
    """What a payer has of a claim: how it was billed, and what it says about it now."""

    control_number: str
    payer_claim_number: str
    charge_cents: int
    service_dates: frozenset[date]
    information: StatusInformation

    def is_asked_about(self, question: ClaimStatusInquiry) -> bool:
        """True when everything that names a claim in the question fits this one."""
        first = question.service_date
        last = question.last_service_date or first
        return (
            question.patient_control_number in ("", self.control_number)
            and question.payer_claim_number in ("", self.payer_claim_number)
            and question.charge_cents in (None, self.charge_cents)
            and (
                first is None
                or last is None
                or any(first <= day <= last for day in self.service_dates)
            )
        )


# Claim status category and code (domain reference section 7): the claim is not found.
_NOT_FOUND = Status("D0", "35")


def answer_status(
    inquiry: Inquiry[ClaimStatusInquiry], claim: ClaimOnRecord | None, at: datetime, number: int
) -> bytes:
    """The 277 about one claim; None: the payer has no such claim.

    Raises UnreadableInterchange when the question holds something that no answer can repeat.
    """
    question = inquiry.question
    response = ClaimStatusResponse(
        reference=question.reference,
        trace_number=question.trace_number,
        payer=question.payer,
        receiver=question.receiver,
        provider=question.provider,
        subscriber=question.subscriber,
        dependent=question.dependent,
        information=(
            StatusInformation((_NOT_FOUND,), at.date()) if claim is None else claim.information,
        ),
        patient_control_number=(
            question.patient_control_number if claim is None else claim.control_number
        ),
        payer_claim_number="" if claim is None else claim.payer_claim_number,
        service_date=question.service_date if claim is None else min(claim.service_dates),
    )
    try:
        return build_277(inquiry.correspondent.envelope(number, at), response, 1)
    except X12WriteError as error:
        raise UnreadableInterchange(str(error)) from None
