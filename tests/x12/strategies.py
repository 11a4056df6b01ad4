"""Hypothesis strategies for the records of groupclaim.x12, as a builder writes them back."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from string import ascii_uppercase, digits

from hypothesis import strategies as st

from groupclaim import x12

NAME_CHARACTERS = ascii_uppercase + digits + "'-.,&"
names = st.lists(st.text(NAME_CHARACTERS, min_size=1, max_size=10), min_size=1, max_size=2).map(
    " ".join
)
identifiers = st.text(ascii_uppercase + digits + "-_.", min_size=1, max_size=20)
codes = st.text(ascii_uppercase + digits, min_size=1, max_size=3)
procedure_codes = st.sampled_from(["90853", "90785", "90837", "H0005"])
modifiers = st.lists(st.sampled_from(["59", "XE", "HO", "95"]), max_size=4).map(tuple)
days = st.dates(date(1920, 1, 1), date(2039, 12, 31))
cents = st.integers(-(10**8), 10**8)
charges = st.integers(0, 10**8)
quantities = st.one_of(
    st.integers(0, 999),
    st.decimals(Decimal("0.1"), 99, places=1).filter(lambda d: d != d.to_integral_value()),
)


def optional(strategy):
    return st.one_of(st.just(""), strategy)


def few(strategy, most=3):
    return st.lists(strategy, max_size=most).map(tuple)


addresses = st.builds(
    x12.Address, names, names, st.just("TX"), st.just("761020001"), optional(names)
)
people = st.builds(x12.Person, names, names, identifiers, optional(names))
providers = st.builds(x12.Provider, names, names, st.just("1234567893"))
rendering = st.builds(x12.Provider, names, names, st.just("1234567893"), optional(identifiers))


@st.composite
def adjustments(draw, amounts=cents):
    """Grouped as a builder writes them: all of one group together."""
    found = draw(
        st.lists(
            st.builds(
                x12.Adjustment,
                st.sampled_from(["CO", "PR", "OA", "PI"]),
                st.sampled_from(["45", "1", "253", "A1", "B16"]),
                amounts,
                st.one_of(st.none(), quantities),
            ),
            max_size=14,
        )
    )
    order = list(dict.fromkeys(a.group_code for a in found))
    return tuple(sorted(found, key=lambda a: order.index(a.group_code)))


line_adjudications = st.builds(
    x12.LineAdjudication,
    identifiers,
    charges,
    procedure_codes,
    modifiers,
    quantities,
    adjustments(),
    st.one_of(st.none(), days),
    st.one_of(st.none(), charges),
)
service_lines = st.builds(
    x12.ServiceLine,
    optional(identifiers),
    procedure_codes,
    cents,
    days,
    modifiers,
    quantities,
    optional(st.sampled_from(["11", "10", "02"])),
    st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
    optional(identifiers),
    st.none(),
    optional(names),
    st.one_of(st.none(), rendering),
    few(line_adjudications, 2),
)
other_payers = st.builds(
    x12.OtherPayer,
    st.sampled_from("PST"),
    people,
    names,
    identifiers,
    st.sampled_from(["18", "19"]),
    optional(identifiers),
    st.sampled_from(["CI", "MB"]),
    *[st.one_of(st.none(), charges)] * 3,
    adjustments(),
    st.one_of(st.none(), days),
    optional(identifiers),
)
subscribers = st.builds(
    x12.Subscriber,
    names,
    names,
    identifiers,
    st.one_of(st.none(), days),
    optional(st.sampled_from("FMU")),
    st.one_of(st.none(), addresses),
    optional(identifiers),
    optional(names),
)
dependents = st.builds(
    x12.Dependent,
    names,
    names,
    days,
    st.sampled_from("FMU"),
    addresses,
    st.sampled_from(["01", "19", "G8"]),
    optional(names),
)
claims = st.builds(
    x12.ProfessionalClaim,
    control_number=identifiers,
    charge_cents=cents,
    place_of_service=st.sampled_from(["11", "10"]),
    diagnoses=st.lists(st.sampled_from(["F331", "F4310", "F1020"]), max_size=12).map(tuple),
    subscriber=subscribers,
    payer=st.builds(x12.Payer, names, identifiers, st.sampled_from(["CI", "MB", "MC"])),
    lines=few(service_lines),
    frequency=st.sampled_from("178"),
    rendering=st.one_of(st.none(), rendering),
    original_reference=optional(identifiers),
    prior_authorization=optional(identifiers),
    referral_number=optional(identifiers),
    referring=st.one_of(st.none(), providers),
    supervising=st.one_of(st.none(), providers),
    facility=st.one_of(st.none(), st.builds(x12.Facility, names, st.just("1234567893"), addresses)),
    dependent=st.one_of(st.none(), dependents),
    patient_paid_cents=charges,
    note=optional(names),
    responsibility=st.sampled_from("PST"),
    delay_reason=optional(st.sampled_from(["1", "7", "11"])),
    attachments=few(st.builds(x12.Attachment, codes, codes, optional(identifiers))),
    other_payers=few(other_payers, 2),
)

references = st.builds(x12.Reference, st.sampled_from(["0K", "1S", "EA", "F8"]), identifiers)
amounts = st.builds(x12.Amount, st.sampled_from(["AU", "I", "F5", "KH"]), cents)
dates = days.flatmap(
    lambda day: st.builds(
        x12.Period, st.sampled_from(["232", "233", "009"]), st.just(day), st.just(day)
    )
)


@st.composite
def line_payments(draw):
    first = draw(st.one_of(st.none(), days))
    last = draw(st.one_of(st.none(), days)) if first is not None else None
    submitted = draw(optional(procedure_codes))
    return x12.LinePayment(
        draw(procedure_codes),
        draw(cents),
        draw(cents),
        draw(modifiers),
        draw(quantities),
        first,
        last,
        draw(adjustments()),
        draw(optional(identifiers)),
        draw(st.one_of(st.none(), cents)),
        draw(few(st.sampled_from(["N130", "M15", "MA01"]))),
        submitted,
        draw(modifiers) if submitted else (),
        draw(st.one_of(st.none(), quantities)),
        draw(optional(codes)),
        "HC",
        draw(st.one_of(st.none(), st.just(x12.Provider("", "", "1234567893")))),
        draw(few(references)),
        draw(few(amounts)),
        draw(few(dates)),
    )


parties = st.builds(
    x12.PaymentParty,
    names,
    identifiers,
    st.sampled_from(["XV", "PI", "FI"]),
    st.one_of(st.none(), addresses),
    few(references),
    names,
    optional(st.just("8005550100")),
)
named_payers = st.builds(x12.PaymentParty, names, identifiers, st.just("PI"))
claim_payments = st.builds(
    x12.ClaimPayment,
    control_number=identifiers,
    status=st.sampled_from(["1", "2", "4", "19", "22", "25"]),
    charge_cents=cents,
    paid_cents=cents,
    patient_responsibility_cents=cents,
    filing_indicator=st.sampled_from(["12", "MB", "MC"]),
    payer_claim_number=optional(identifiers),
    place_of_service=optional(st.just("11")),
    frequency=optional(st.sampled_from("178")),
    adjustments=adjustments(),
    lines=few(line_payments()),
    patient=st.one_of(st.none(), people),
    subscriber=st.one_of(st.none(), people),
    corrected=st.one_of(st.none(), people),
    rendering=st.one_of(st.none(), providers),
    crossover_payer=st.one_of(st.none(), named_payers),
    corrected_payer=st.one_of(st.none(), named_payers),
    remark_codes=st.lists(st.sampled_from(["MA01", "N1"]), max_size=5).map(tuple),
    received_on=st.one_of(st.none(), days),
    coverage_expired_on=st.one_of(st.none(), days),
    references=few(references),
    amounts=few(amounts),
    dates=few(dates),
)


@st.composite
def payments(draw):
    provider_adjustments = draw(
        st.lists(
            st.builds(
                x12.ProviderAdjustment,
                st.just("1234567893"),
                st.sampled_from(["WO", "FB", "L6", "72"]),
                cents,
                optional(identifiers),
                st.just(date(2026, 12, 31)),
            ),
            max_size=9,
        ).map(tuple)
    )
    return x12.Payment(
        draw(identifiers),
        draw(identifiers),
        draw(days),
        draw(charges),
        draw(parties),
        draw(parties),
        draw(few(claim_payments)),
        provider_adjustments,
        draw(st.sampled_from(["ACH", "CHK", "NON"])),
        draw(st.sampled_from("IH")),
        draw(
            st.one_of(
                st.none(),
                st.builds(x12.BankTransfer, *[st.from_regex(r"[0-9]{9}", fullmatch=True)] * 4),
            )
        ),
        draw(st.one_of(st.none(), days)),
        draw(st.booleans()),
    )


@st.composite
def periods(draw, qualifiers=("291", "346", "347")):
    first = draw(days)
    last = draw(st.one_of(st.just(first), days.filter(lambda d: d >= first)))
    return x12.Period(draw(st.sampled_from(qualifiers)), first, last)


@st.composite
def members(draw):
    return x12.Member(
        draw(names),
        draw(names),
        draw(optional(identifiers)),
        draw(st.one_of(st.none(), days)),
        draw(optional(st.sampled_from("FMU"))),
        draw(st.one_of(st.none(), addresses)),
        draw(optional(names)),
        draw(few(references)),
    )


named_parties = st.builds(
    x12.Party, names, identifiers, qualifier=st.sampled_from(["PI", "XX", "XV"])
)
inquiries = st.builds(
    x12.EligibilityInquiry,
    reference=identifiers,
    trace_number=identifiers,
    trace_originator=identifiers,
    payer=named_parties,
    provider=named_parties,
    subscriber=members(),
    service_date=st.one_of(st.none(), days),
    service_types=few(codes),
    procedure_code=optional(procedure_codes),
    dependent=st.one_of(st.none(), members()),
    dependent_relationship=st.just("19"),
)


def rejections(*levels):
    return few(
        st.builds(x12.Rejection, st.sampled_from(levels), codes, codes, st.sampled_from("YN")), 2
    )


entities = st.builds(
    x12.RelatedEntity,
    st.sampled_from(["VN", "PR", "X3"]),
    names,
    identifiers,
    st.just("PI"),
    st.one_of(st.none(), addresses),
    optional(names),
    optional(st.just("8005550100")),
    optional(identifiers),
)
deliveries = st.builds(
    x12.Delivery,
    codes,
    st.one_of(st.none(), quantities),
    optional(codes),
    st.one_of(st.none(), quantities),
    codes,
    st.one_of(st.none(), quantities),
)


@st.composite
def benefits(draw):
    coded = draw(optional(procedure_codes))
    return x12.Benefit(
        draw(codes),
        draw(optional(codes)),
        draw(few(codes)),
        draw(optional(codes)),
        draw(optional(names)),
        draw(optional(codes)),
        draw(st.one_of(st.none(), cents)),
        draw(st.one_of(st.none(), st.decimals(0, 1, places=2))),
        draw(optional(codes)),
        draw(st.one_of(st.none(), quantities)),
        draw(optional(st.sampled_from("YNU"))),
        draw(optional(st.sampled_from("YNWU"))),
        coded,
        draw(modifiers) if coded else (),
        draw(few(deliveries, 2)),
        draw(few(references, 2)),
        draw(few(periods(), 2)),
        draw(few(names, 2)),
        draw(few(entities, 2)),
        draw(rejections("EB")),
    )


def in_order(found):
    """Rejections as the levels come in a file."""
    return tuple(sorted(found, key=lambda rejection: rejection.level))


responses = st.builds(
    x12.EligibilityResponse,
    reference=identifiers,
    trace_number=identifiers,
    payer=named_parties,
    provider=named_parties,
    subscriber=members(),
    benefits=few(benefits()),
    rejections=rejections("20", "21", "22").map(in_order),
    dates=few(periods()),
    dependent=st.one_of(st.none(), members()),
    trace_originator=identifiers,
)

interchange_acknowledgments = st.builds(
    x12.InterchangeAcknowledgment,
    st.from_regex(r"[0-9]{9}", fullmatch=True),
    st.just("260209"),
    st.just("1700"),
    st.sampled_from("AER"),
    st.sampled_from(["000", "001", "022"]),
)
places = st.one_of(st.none(), st.integers(1, 999))
element_errors = st.builds(
    x12.ElementError, st.integers(1, 99), codes, places, st.none(), optional(codes), optional(names)
)
segment_errors = st.builds(
    x12.SegmentError,
    codes,
    st.integers(1, 99999),
    codes,
    optional(codes),
    few(identifiers.map("CLM01:".__add__)),
    few(element_errors),
)
transaction_acknowledgments = st.builds(
    x12.TransactionAcknowledgment,
    st.just("837"),
    identifiers,
    st.sampled_from("AERMWX"),
    few(codes),
    few(segment_errors),
    st.just("005010X222A1"),
)
group_acknowledgments = st.builds(
    x12.GroupAcknowledgment,
    st.just("HC"),
    identifiers,
    st.sampled_from("AERP"),
    few(transaction_acknowledgments),
    *[st.integers(0, 999)] * 3,
    few(codes),
    st.just("005010X222A1"),
)

statuses = st.builds(x12.Status, codes, codes, optional(codes))
some_statuses = st.lists(statuses, min_size=1, max_size=5).map(tuple)
line_acknowledgments = st.builds(
    x12.LineAcknowledgment,
    procedure_codes,
    optional(identifiers),
    some_statuses,
    charges,
    modifiers,
    quantities,
    st.booleans(),
    st.one_of(st.none(), days),
)
claim_acknowledgments = st.builds(
    x12.ClaimAcknowledgment,
    identifiers,
    st.booleans(),
    some_statuses,
    charges,
    days,
    optional(identifiers),
    optional(identifiers),
    people,
    st.one_of(st.none(), days),
    st.none(),
    few(line_acknowledgments, 2),
)


@st.composite
def provider_acknowledgments(draw):
    found = draw(st.one_of(st.just(()), some_statuses))
    return x12.ProviderAcknowledgment(
        draw(named_parties),
        draw(few(claim_acknowledgments)),
        found,
        draw(st.booleans()) if found else True,
    )


reports = st.builds(
    x12.ClaimAcknowledgmentReport,
    identifiers,
    named_parties,
    named_parties,
    identifiers,
    few(provider_acknowledgments(), 2),
    days,
    days,
    some_statuses,
    st.booleans(),
    *[st.one_of(st.none(), st.integers(0, 9999))] * 2,
    *[st.one_of(st.none(), charges)] * 2,
    charges,
    identifiers,
)


def plain_members():
    """A member without what a status inquiry does not carry."""
    return st.builds(x12.Member, names, names, optional(identifiers), middle_name=optional(names))


@st.composite
def spans(draw):
    """First and last day as the readers give them: the last only if it is another."""
    first = draw(st.one_of(st.none(), days))
    last = draw(st.one_of(st.none(), days)) if first is not None else None
    return first, None if last == first else last


def with_span(build, first, last):
    return st.tuples(build, spans()).map(
        lambda pair: replace(pair[0], **{first: pair[1][0], last: pair[1][1]})
    )


information = st.builds(
    x12.StatusInformation,
    st.lists(statuses, min_size=1, max_size=3).map(tuple),
    st.one_of(st.none(), days),
    st.one_of(st.none(), cents),
    st.one_of(st.none(), cents),
    st.one_of(st.none(), days),
    st.one_of(st.none(), days),
    optional(identifiers),
)
status_lines = with_span(
    st.builds(
        x12.StatusLine,
        procedure_codes,
        cents,
        modifiers,
        quantities,
        line_control_number=optional(identifiers),
    ),
    "service_date",
    "last_service_date",
)
answered_lines = st.tuples(status_lines, cents, few(information, 2)).map(
    lambda parts: replace(parts[0], paid_cents=parts[1], information=parts[2])
)
status_inquiries = with_span(
    st.builds(
        x12.ClaimStatusInquiry,
        identifiers,
        identifiers,
        named_parties,
        named_parties,
        named_parties,
        plain_members(),
        optional(identifiers),
        optional(identifiers),
        st.one_of(st.none(), charges),
        dependent=st.one_of(
            st.none(),
            st.builds(
                x12.Member,
                names,
                names,
                birth_date=st.one_of(st.none(), days),
                sex=optional(st.sampled_from("FMU")),
            ),
        ),
        lines=few(status_lines, 2),
        references=few(st.builds(x12.Reference, st.sampled_from(["BLT", "D9"]), identifiers), 2),
    ),
    "service_date",
    "last_service_date",
)
status_responses = with_span(
    st.builds(
        x12.ClaimStatusResponse,
        identifiers,
        identifiers,
        named_parties,
        named_parties,
        named_parties,
        plain_members(),
        few(information),
        optional(identifiers),
        optional(identifiers),
        dependent=st.one_of(st.none(), plain_members()),
        lines=few(answered_lines, 2),
        references=few(st.builds(x12.Reference, st.sampled_from(["BLT", "D9"]), identifiers), 2),
    ),
    "service_date",
    "last_service_date",
)


def reviewed_members():
    return members().map(lambda member: replace(member, references=()))


contacts = st.builds(
    x12.Party,
    names,
    identifiers,
    optional(names),
    optional(st.just("8005550100")),
    qualifier=st.sampled_from(["XX", "46"]),
)
decisions = st.builds(
    x12.Decision,
    st.sampled_from(["A1", "A3", "A4", "CT"]),
    optional(identifiers),
    optional(codes),
)
asked_services = with_span(
    st.builds(
        x12.Service,
        procedure_codes,
        modifiers,
        st.one_of(st.none(), cents),
        st.one_of(st.none(), quantities),
        deliveries=few(deliveries, 2),
    ),
    "service_date",
    "last_service_date",
)
decided_services = st.tuples(
    asked_services,
    st.one_of(st.none(), decisions),
    optional(identifiers),
    rejections("SS"),
    few(periods(("007", "036")), 2),
).map(
    lambda parts: replace(
        parts[0],
        decision=parts[1],
        authorization_number=parts[2],
        rejections=parts[3],
        dates=parts[4],
    )
)
EVENT = {
    "reference": identifiers,
    "trace_number": identifiers,
    "trace_originator": identifiers,
    "reviewer": named_parties,
    "requester": contacts,
    "subscriber": reviewed_members(),
    "service_type": codes,
    "category": st.sampled_from(["HS", "SC"]),
    "place_of_service": optional(st.sampled_from(["11", "10"])),
    "authorization_number": optional(identifiers),
    "diagnoses": few(st.sampled_from(["F331", "F4310"]), 2),
    "deliveries": few(deliveries, 2),
    "provider": st.one_of(st.none(), rendering),
    "note": optional(names),
    "dependent": st.one_of(st.none(), reviewed_members()),
}
authorization_requests = with_span(
    st.builds(
        x12.AuthorizationRequest,
        **EVENT,
        certification=st.sampled_from(["I", "R", "3"]),
        services=few(asked_services, 2),
    ),
    "first_day",
    "last_day",
)
authorization_responses = with_span(
    st.builds(
        x12.AuthorizationResponse,
        **EVENT,
        decision=st.one_of(st.none(), decisions),
        services=few(decided_services, 2),
        rejections=rejections("20", "21", "22", "EV").map(in_order),
        dates=few(periods(("007", "036")), 2),
        is_final=st.booleans(),
    ),
    "first_day",
    "last_day",
)
