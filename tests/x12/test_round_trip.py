"""Build, read, compare: what a builder wrote, its reader reads back, unchanged and silently."""

from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, settings

from groupclaim import x12
from tests.x12 import strategies
from tests.x12.examples import BILLING, RECEIVER, SUBMITTER, envelope

# These records are large: shrinking a failure takes minutes and rarely helps.
round_trip = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def as_read(record, **values):
    """The record with the fields that only reading fills."""
    known = {
        "sender_id": "GROUPCLAIM01",
        "receiver_id": "CLEARINGHOUSE1",
        "interchange_control_number": "000000001",
        "control_number": "0001",
    }
    fields = {k: v for k, v in known.items() if k in record.__dataclass_fields__}
    return replace(record, **{**fields, **values})


@round_trip
@given(strategies.claims, strategies.claims)
def test_837p(first, second):
    data = x12.build_837p(envelope(), SUBMITTER, RECEIVER, BILLING, [first, second], 1, "BATCH1")
    (transaction,), problems = x12.read_837p(data)
    assert problems == ()
    assert transaction.claims == (first, second)
    assert transaction.billing_groups[0].billing_provider == BILLING
    assert (transaction.submitter, transaction.receiver) == (SUBMITTER, RECEIVER)
    assert (transaction.batch_reference, transaction.complete) == ("BATCH1", True)
    again = x12.build_837p(
        envelope(), SUBMITTER, RECEIVER, BILLING, transaction.claims, 1, "BATCH1"
    )
    assert again == data


@round_trip
@given(strategies.payments(), strategies.payments())
def test_835(first, second):
    data = x12.build_835(envelope(), [first, second], 1)
    payments, problems = x12.read_835(data)
    # The records are made up of parts that need not fit together; nothing else may be wrong.
    assert {p.code for p in problems} <= {"clp05_balance", "patient_missing", "clp_duplicate"}
    assert (*payments[0].problems, *payments[1].problems) == problems
    assert [replace(p, problems=()) for p in payments] == [
        as_read(first),
        as_read(second, control_number="0002"),
    ]
    assert x12.build_835(envelope(), payments, 1) == data
    streamed_problems = x12.Problems()
    streamed = list(x12.stream_835(data, streamed_problems))
    assert tuple(streamed_problems) == problems
    assert [r for r in streamed if isinstance(r, x12.ClaimPayment)] == [
        *first.claims,
        *second.claims,
    ]
    assert [r for r in streamed if isinstance(r, x12.Payment)] == [
        replace(p, claims=()) for p in payments
    ]


@round_trip
@given(strategies.inquiries)
def test_270(inquiry):
    data = x12.build_270(envelope(), inquiry, 1)
    read, problems = x12.read_270(data)
    assert problems == ()
    assert read == (as_read(inquiry),)
    assert x12.build_270(envelope(), read[0], 1) == data


@round_trip
@given(strategies.responses)
def test_271(response):
    data = x12.build_271(envelope(), response, 1)
    read, problems = x12.read_271(data)
    assert problems == ()
    assert read == (as_read(response),)
    assert x12.build_271(envelope(), read[0], 1) == data


@round_trip
@given(strategies.interchange_acknowledgments, strategies.interchange_acknowledgments)
def test_ta1(first, second):
    data = x12.build_ta1(envelope(), [first, second])
    read, problems = x12.read_ta1(data)
    assert problems == ()
    assert read == (as_read(first, **_ends(first)), as_read(second, **_ends(second)))


def _ends(ack):
    return {"interchange_control_number": ack.interchange_control_number}


@round_trip
@given(strategies.group_acknowledgments, strategies.interchange_acknowledgments)
def test_999(group, interchange):
    data = x12.build_999(envelope(), [group], 1, interchanges=[interchange])
    read, problems = x12.read_999(data)
    assert problems == ()
    assert read == (as_read(group),)
    assert x12.build_999(envelope(), read, 1, interchanges=[interchange]) == data
    assert [a.code for a in x12.read_ta1(data)[0]] == [interchange.code]


@round_trip
@given(strategies.reports)
def test_277ca(report):
    data = x12.build_277ca(envelope(), report, 1)
    read, problems = x12.read_277ca(data)
    assert problems == ()
    assert read == (as_read(report),)
    assert x12.build_277ca(envelope(), read[0], 1) == data


@round_trip
@given(strategies.status_inquiries)
def test_276(inquiry):
    data = x12.build_276(envelope(), inquiry, 1)
    read, problems = x12.read_276(data)
    assert problems == ()
    assert read == (as_read(inquiry),)
    assert x12.build_276(envelope(), read[0], 1) == data


@round_trip
@given(strategies.status_responses)
def test_277(response):
    data = x12.build_277(envelope(), response, 1)
    read, problems = x12.read_277(data)
    assert problems == ()
    assert read == (as_read(response),)
    assert x12.build_277(envelope(), read[0], 1) == data


@round_trip
@given(strategies.authorization_requests)
def test_278_request(request):
    data = x12.build_278_request(envelope(), request, 1)
    read, problems = x12.read_278_requests(data)
    assert problems == ()
    assert read == (as_read(request),)
    assert x12.build_278_request(envelope(), read[0], 1) == data
    assert x12.read_278_responses(data) == ((), ())


@round_trip
@given(strategies.authorization_responses)
def test_278_response(response):
    data = x12.build_278_response(envelope(), response, 1)
    read, problems = x12.read_278_responses(data)
    assert problems == ()
    assert read == (as_read(response),)
    assert x12.build_278_response(envelope(), read[0], 1) == data
