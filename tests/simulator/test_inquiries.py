"""What payers answer to 270, 278 and 276."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from x12sdk.io import X12ModelReader

from groupclaim.simulator.clearinghouse import Clearinghouse, UnreadableInterchange
from groupclaim.simulator.clock import DrivenClock
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import parse_world
from groupclaim.x12 import (
    AuthorizationRequest,
    AuthorizationResponse,
    Benefit,
    ClaimStatusInquiry,
    ClaimStatusResponse,
    Decision,
    Envelope,
    Member,
    Party,
    Period,
    Rejection,
    Service,
    Status,
    build_276,
    build_278_request,
    read_271,
    read_277,
    read_278_responses,
)

START = "2026-02-02T15:00:00+00:00"
PROVIDER = Party("INVENTED GROUP", "1111111112", qualifier="XX")
GRANT = {"number": "AUTH0777", "units": 12, "from": "2026-02-01", "to": "2026-06-30"}

Open = Callable[..., tuple[Clearinghouse, DrivenClock]]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "raw.jsonl"


@pytest.fixture
def open_house(world_facts: dict[str, Any], log_path: Path) -> Iterator[Open]:
    logs = []

    def opened(facts: dict[str, Any] | None = None) -> tuple[Clearinghouse, DrivenClock]:
        clock = DrivenClock(datetime.fromisoformat(START))
        logs.append(RawLog(log_path))
        world = parse_world(json.dumps(facts or world_facts).encode())
        return Clearinghouse(world, logs[-1], clock), clock

    yield opened
    for log in logs:
        log.close()


def _member(facts: dict[str, Any], member_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        member
        for payer in facts["payers"]
        for member in payer["members"]
        if member["member_ids"][0]["id"] == member_id
    )
    return found


def _envelope() -> Envelope:
    return Envelope(
        sender_id="PRACTICE1",
        receiver_id="CLEAR1",
        interchange_control_number=7,
        group_control_number=7,
        at=datetime(2026, 2, 2, 15, 0, tzinfo=UTC),
        test=True,
    )


# --- 271: others who pay ------------------------------------------------------------------------


def _benefits(house: Clearinghouse, question: bytes) -> tuple[Benefit, ...]:
    answer = house.inquire(question)
    (response,), problems = read_271(answer)
    assert problems == ()
    with X12ModelReader(answer.decode()) as reader:
        assert len(list(reader.models())) == 1
    return response.benefits


def test_a_carve_out_names_its_administrator_and_nothing_else_of_mental_health(
    open_house: Open, world_facts: dict[str, Any], practice: Any
) -> None:
    _member(world_facts, "CI0002")["carve_out"] = {"administrator": "MEDB1", "member_id": "MB0001"}
    house, _ = open_house()
    plan, other = _benefits(house, practice.inquiry("COMM1", "CI0002"))
    assert (plan.information, plan.service_types) == ("1", ("30",))
    assert (other.information, other.service_types) == ("U", ("MH", "A4", "A6", "CF"))
    (entity,) = other.entities
    assert (entity.role, entity.qualifier, entity.identifier) == ("PR", "PI", "MEDB1")
    assert [(one.qualifier, one.value) for one in other.references] == [("1W", "MB0001")]


def test_medicare_names_the_plan_that_has_taken_its_place(
    open_house: Open, world_facts: dict[str, Any], practice: Any
) -> None:
    plan = {"plan": "COMM1", "member_id": "CI0003"}
    _member(world_facts, "MB0001")["medicare_advantage"] = plan
    world_facts["payers"][1]["filing_indicator"] = "16"
    house, _ = open_house()
    _, other = _benefits(house, practice.inquiry("MEDB1", "MB0001"))
    assert (other.information, other.insurance_type) == ("R", "HN")
    (entity,) = other.entities
    assert (entity.role, entity.identifier) == ("PRP", "COMM1")


def test_a_qualified_medicare_beneficiary_is_named_so(
    open_house: Open, world_facts: dict[str, Any], practice: Any
) -> None:
    _member(world_facts, "MB0001")["qmb"] = True
    house, _ = open_house()
    types = {one.insurance_type for one in _benefits(house, practice.inquiry("MEDB1", "MB0001"))}
    assert types == {"MB", "QM", ""}
    types = {one.insurance_type for one in _benefits(house, practice.inquiry("MEDB1", "MB0002"))}
    assert "QM" not in types


# --- 278 ----------------------------------------------------------------------------------------


def _request(member_id: str = "CI0002", payer_id: str = "COMM1", **changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "reference": "R7",
        "trace_number": "T7",
        "trace_originator": "1741234567",
        "reviewer": Party("INVENTED PAYER", payer_id, qualifier="PI"),
        "requester": PROVIDER,
        "subscriber": Member("Authorized", "Testa", member_id, date(1980, 1, 31), "F"),
        "service_type": "A6",
        "first_day": date(2026, 2, 2),
        "last_day": date(2026, 4, 26),
        "services": (Service("90853", units=12),),
        **changes,
    }
    return build_278_request(_envelope(), AuthorizationRequest(**facts), 1)


def _answer(content: bytes) -> AuthorizationResponse:
    (response,), problems = read_278_responses(content)
    assert problems == ()
    assert response.trace_number == "T7"
    return response


@pytest.mark.parametrize("decision", ["A1", "A2"])
def test_a_certification_has_number_units_and_days_when_its_hours_are_over(
    open_house: Open, world_facts: dict[str, Any], decision: str
) -> None:
    _member(world_facts, "CI0002")["authorization"]["on_request"] = [
        {"decision": decision, "after_hours": 6, **GRANT}
    ]
    house, clock = open_house()
    held = _answer(house.review(_request()))
    assert (held.decision, held.is_final) == (None, False)
    assert held.rejections == (Rejection("20", "42", "Y", "Y"),)
    asked = _request(is_inquiry=True)
    clock.advance(datetime.fromisoformat("2026-02-02T20:59:00Z"))
    assert _answer(house.review(asked)).decision is None
    clock.advance(datetime.fromisoformat("2026-02-02T21:00:00Z"))
    told = _answer(house.review(asked))
    assert told.decision == Decision(decision, "AUTH0777")
    assert told.is_final
    assert told.dates == (Period("007", date(2026, 2, 1), date(2026, 6, 30)),)
    assert [one.units for one in told.services] == [12]
    assert told.deliveries[0].quantity == 12
    # Asked for again, nothing begins anew.
    assert _answer(house.review(_request())).decision == told.decision
    assert house.next_delivery_at() is None


def test_pended_then_certified(open_house: Open, world_facts: dict[str, Any]) -> None:
    _member(world_facts, "CI0002")["authorization"]["on_request"] = [
        {"decision": "A4", "after_hours": 1},
        {"decision": "A1", "after_hours": 72, **GRANT},
    ]
    house, clock = open_house()
    house.review(_request())
    told = []
    for at in ("2026-02-02T16:00:00Z", "2026-02-05T14:59:00Z", "2026-02-05T15:00:00Z"):
        clock.advance(datetime.fromisoformat(at))
        answer = _answer(house.review(_request(is_inquiry=True)))
        assert answer.decision is not None
        told.append((answer.decision.action, answer.is_final))
    assert told == [("A4", False), ("A4", False), ("A1", True)]


def test_not_certified_and_the_reason_in_words(
    open_house: Open, world_facts: dict[str, Any]
) -> None:
    _member(world_facts, "CI0002")["authorization"]["on_request"] = [
        {"decision": "A3", "after_hours": 0, "reason": "Not certified: try something else first."}
    ]
    house, _ = open_house()
    answer = _answer(house.review(_request()))
    assert answer.decision == Decision("A3")
    assert answer.note == "NOT CERTIFIED TRY SOMETHING ELSE FIRST."


def test_a_payer_that_takes_no_request_says_to_call(open_house: Open) -> None:
    house, _ = open_house()
    assert _answer(house.review(_request())).decision == Decision("CT")


def test_requests_about_nobody_and_inquiries_after_nothing(open_house: Open) -> None:
    house, _ = open_house()
    stranger = Member("Nobody", "Testa", "XX1", date(1980, 1, 31), "F")
    for question, reason in (
        (_request(subscriber=stranger), ("22", "75", "C")),
        (_request(payer_id="NOONE"), ("20", "79", "C")),
        (_request(is_inquiry=True), ("EV", "AA", "N")),
    ):
        answer = _answer(house.review(question))
        assert (answer.decision, answer.rejections) == (None, (Rejection(*reason),))
    with pytest.raises(UnreadableInterchange):
        house.review(b"hello")
    with pytest.raises(UnreadableInterchange, match="278"):
        house.review(_status())


def test_a_request_is_remembered_and_logged(
    open_house: Open, world_facts: dict[str, Any], log_path: Path
) -> None:
    _member(world_facts, "CI0002")["authorization"]["on_request"] = [
        {"decision": "A1", "after_hours": 6, **GRANT}
    ]
    house, _ = open_house()
    house.review(_request(), answer_lost=True)
    again, clock = open_house()
    clock.advance(datetime.fromisoformat("2026-02-02T21:00:00Z"))
    answer = again.review(_request(is_inquiry=True))
    lines = [json.loads(line) for line in log_path.read_text().splitlines()]
    assert [(one["channel"], one["direction"], one["outcome"]) for one in lines] == [
        ("authorization", "received", "accepted_answer_lost"),
        ("authorization", "received", "accepted"),
        ("authorization", "sent", "answered"),
    ]
    assert base64.b64decode(lines[2]["body"]) == answer
    assert b"HCR*A1*AUTH0777" in answer


# --- 276 ----------------------------------------------------------------------------------------


def _status(number: str = "C1A", member_id: str = "MB0001", **changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "reference": "R8",
        "trace_number": "T8",
        "payer": Party("INVENTED PAYER", changes.pop("payer_id", "MEDB1"), qualifier="PI"),
        "receiver": Party("INVENTED GROUP", "PRACTICE1"),
        "provider": PROVIDER,
        "subscriber": Member("Invented", "Testa", member_id, date(1980, 1, 31), "F"),
        "patient_control_number": number,
        "charge_cents": 6500,
        "service_date": date(2026, 2, 2),
        **changes,
    }
    return build_276(_envelope(), ClaimStatusInquiry(**facts), 1)


def _told(house: Clearinghouse, **asked: Any) -> ClaimStatusResponse:
    answer = house.tell_status(_status(**asked))
    (response,), problems = read_277(answer)
    assert problems == ()
    assert response.trace_number == "T8"
    return response


def test_the_status_of_a_claim_from_receipt_to_payment(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    assert _told(house).statuses == (Status("D0", "35"),)
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A")))
    told = []
    for at in ("2026-02-02T15:00:00Z", "2026-02-03T11:00:00Z", "2026-02-10T03:00:00Z"):
        clock.advance(datetime.fromisoformat(at))
        told.append(_told(house).statuses)
    assert told == [(Status("A1", "19", "PR"),), (Status("A2", "20"),), (Status("P1", "45"),)]
    clock.advance(datetime.fromisoformat("2026-02-17T06:00:00Z"))
    answer = _told(house)
    (paid,) = answer.information
    assert paid.statuses == (Status("F1", "65"),)
    assert (paid.charge_cents, paid.paid_cents, paid.paid_on) == (6500, 2419, date(2026, 2, 17))
    (file,) = [one for one in house.mailbox() if one.name.startswith("835")]
    assert paid.payment_trace in file.name
    assert answer.payer_claim_number.startswith("P")
    # By the payer's number alone it is found too, and by no other.
    number = answer.payer_claim_number
    by_number = _told(house, number="", payer_claim_number=number)
    assert by_number.patient_control_number == "C1A"
    assert _told(house, payer_claim_number="P0").statuses == (Status("D0", "35"),)


def test_what_is_not_the_member_s_claim_is_not_found(open_house: Open, practice: Any) -> None:
    house, _ = open_house()
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A")))
    for asked in (
        {"member_id": "MB0002"},
        {"payer_id": "COMM1"},
        {"payer_id": "NOONE"},
        {"number": "C2A"},
        {"charge_cents": 6400},
        {"service_date": date(2026, 2, 1)},
    ):
        assert _told(house, **asked).statuses == (Status("D0", "35"),)


def test_denied_refused_and_reversed(
    open_house: Open, world_facts: dict[str, Any], practice: Any
) -> None:
    world_facts["payers"][0]["reversals"] = [
        {"member_id": "MB0001", "service_date": "2026-02-02", "on": "2026-02-20",
         "corrected_allowed_cents": None},
        {"member_id": "MB0002", "service_date": "2026-02-02", "on": "2026-02-20",
         "corrected_allowed_cents": 3000},
    ]  # fmt: skip
    house, clock = open_house()
    claims = [
        practice.claim("C1A"),
        practice.claim("C2A", member_id="MB0002"),
        practice.claim("C3A", "COMM1", "CI0002"),
        practice.claim("C4A", "COMM1", "CI0001"),
    ]
    house.receive("b1.edi", practice.batch(1, *claims))
    clock.advance(datetime.fromisoformat("2026-02-20T06:00:00Z"))
    asked = [
        {"number": "C1A"},
        {"number": "C2A", "member_id": "MB0002"},
        {"number": "C3A", "member_id": "CI0002", "payer_id": "COMM1"},
        {"number": "C4A", "member_id": "CI0009", "payer_id": "COMM1"},
    ]
    told = [_told(house, **one) for one in asked]
    assert [one.statuses for one in told] == [
        (Status("P1", "45"),),
        (Status("F3", "65"),),
        (Status("F2", "585"),),
        (Status("A7", "164", "IL"),),
    ]
    # 20 % of 30.00 is 6.00; of the 24.00 left 2 % is 0.48.
    assert told[1].information[0].paid_cents == 2352
    with pytest.raises(UnreadableInterchange, match="276"):
        house.tell_status(_request())
