"""What the clearinghouse sends back, when, and what it remembers."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import oxedi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupclaim.simulator.clearinghouse import (
    Clearinghouse,
    DuplicateInterchange,
    MailboxFile,
    UnknownFile,
    UnreadableInterchange,
)
from groupclaim.simulator.clock import ClockError, DrivenClock
from groupclaim.simulator.raw_log import RawLog, RawLogError
from groupclaim.simulator.world import World, parse_world
from groupclaim.x12 import (
    Adjustment,
    ClaimPayment,
    balance,
    read_271,
    read_277ca,
    read_835,
    read_999,
    read_ta1,
)

START = "2026-02-02T09:00:00-06:00"  # 15:00 UTC

Open = Callable[..., tuple[Clearinghouse, DrivenClock]]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "raw.jsonl"


@pytest.fixture
def open_house(world: World, log_path: Path) -> Iterator[Open]:
    logs = []

    def opened(at: str = START, **options: Any) -> tuple[Clearinghouse, DrivenClock]:
        clock = DrivenClock(datetime.fromisoformat(at))
        logs.append(RawLog(log_path))
        return Clearinghouse(options.pop("world", world), logs[-1], clock, **options), clock

    yield opened
    for log in logs:
        log.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _run_out(house: Clearinghouse, clock: DrivenClock) -> list[MailboxFile]:
    """Go on to the last planned delivery and take everything that is there."""
    while (instant := house.next_delivery_at()) is not None:
        clock.advance(instant)
    return list(house.mailbox())


def _payments(files: list[MailboxFile]) -> dict[str, ClaimPayment]:
    """The claims of all 835 files by CLM01 and payer claim number."""
    return {
        f"{claim.control_number}/{claim.payer_claim_number}": claim
        for file in files
        if file.name.startswith("835")
        for payment in read_835(file.content)[0]
        for claim in payment.claims
    }


def _adjustments(claim: ClaimPayment) -> tuple[Adjustment, ...]:
    return tuple(adjustment for line in claim.lines for adjustment in line.adjustments)


def test_acknowledgments_and_payment_come_in_their_time(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    assert house.next_delivery_at() is None
    received = house.receive("b1.edi", practice.batch(1, practice.claim("C1A")))
    assert (received.control_number, received.sender_id) == ("000000001", "PRACTICE1")
    assert house.mailbox() == ()
    assert house.next_delivery_at() == datetime.fromisoformat("2026-02-02T15:15:00+00:00")

    clock.advance(datetime.fromisoformat("2026-02-02T15:15:00+00:00"))
    ta1, x999 = house.mailbox()
    (interchange,), _ = read_ta1(ta1.content)
    assert (interchange.interchange_control_number, interchange.code) == ("000000001", "A")
    (group,), _ = read_999(x999.content)
    assert (group.group_control_number, group.status) == ("1", "A")
    assert [one.status for one in group.transactions] == ["A"]

    clock.advance(datetime.fromisoformat("2026-02-03T10:59:59+00:00"))
    assert len(house.mailbox()) == 2
    clock.advance(datetime.fromisoformat("2026-02-03T11:00:00+00:00"))
    (report,), problems = read_277ca(house.mailbox()[2].content)
    assert not problems
    assert report.batch_reference == "B1"
    (acknowledged,) = report.claims
    assert (acknowledged.control_number, acknowledged.accepted) == ("C1A", True)
    assert acknowledged.statuses[0].category == "A2"

    assert house.next_delivery_at() == datetime.fromisoformat("2026-02-17T06:00:00+00:00")
    clock.advance(datetime.fromisoformat("2026-02-17T06:00:00+00:00"))
    file = house.mailbox()[3]
    assert house.next_delivery_at() is None
    (payment,), problems = read_835(file.content)
    assert not problems
    assert (payment.payment_date, payment.paid_cents) == (date(2026, 2, 17), 2419)
    assert payment.payer.identifier == "MEDB1"
    assert payment.payee.identifier == "1111111112"
    assert balance(payment) == ()
    (claim,) = payment.claims
    assert claim.payer_claim_number == acknowledged.payer_claim_number
    assert (claim.status, claim.paid_cents, claim.patient_responsibility_cents) == ("1", 2419, 617)
    assert claim.received_on == date(2026, 2, 2)
    assert claim.lines[0].allowed_cents == 3085
    assert claim.lines[0].line_control_number == "LC1A"
    assert set(_adjustments(claim)) == {
        Adjustment("CO", "45", 3415),
        Adjustment("PR", "2", 617),
        Adjustment("CO", "253", 49),
    }


def test_every_835_opens_in_another_library_without_a_complaint(
    open_house: Open, practice: Any
) -> None:
    house, clock = open_house()
    claims = [
        practice.claim("C1A"),
        practice.claim("C2A"),
        practice.claim("C3A", "COMM1", "CI0002"),
        practice.claim("C4A", "COMM1", "CI0002", prior_authorization="AUTH0001"),
    ]
    house.receive("b1.edi", practice.batch(1, *claims))
    house.receive("b2.edi", practice.batch(2, practice.claim("C5A", day=date(2026, 2, 1))))
    files = [file for file in _run_out(house, clock) if file.name.startswith("835")]
    assert len(files) == 2
    for file in files:
        result = oxedi.parse(file.content)
        assert list(result.diagnostics) == []


def test_reissued_member_id(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    old = practice.claim("C1A", "COMM1", "CI0001")
    house.receive("b1.edi", practice.batch(1, old, practice.claim("C2A", "COMM1", "CI0002")))
    clock.advance(datetime.fromisoformat("2026-02-03T15:00:00+00:00"))
    (report,), _ = read_277ca(house.mailbox()[2].content)
    said = {claim.control_number: claim for claim in report.claims}
    assert said["C2A"].accepted
    assert not said["C1A"].accepted
    assert said["C1A"].payer_claim_number == ""
    (status,) = said["C1A"].statuses
    assert (status.category, status.code, status.entity) == ("A7", "164", "IL")

    answer = house.inquire(practice.inquiry("COMM1", "CI0001", day=date(2026, 1, 20)))
    (response,), problems = read_271(answer)
    assert not problems
    assert response.subscriber.member_id == "CI0009"
    assert response.trace_number == "T1"
    house.receive("b2.edi", practice.batch(2, practice.claim("C1B", "COMM1", "CI0009")))
    paid = _payments(_run_out(house, clock))
    assert {key.split("/")[0] for key in paid} == {"C2A", "C1B"}


def test_denied_without_authorization_then_replaced_and_paid(
    open_house: Open, practice: Any
) -> None:
    house, clock = open_house()
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A", "COMM1", "CI0002")))
    (denied,) = _payments(_run_out(house, clock)).values()
    assert (denied.status, denied.paid_cents) == ("4", 0)
    assert _adjustments(denied) == (Adjustment("CO", "197", 6500),)
    replacement = practice.claim(
        "C1B",
        "COMM1",
        "CI0002",
        frequency="7",
        original_reference=denied.payer_claim_number,
        prior_authorization="AUTH0001",
    )
    house.receive("b2.edi", practice.batch(2, replacement))
    paid = {claim.control_number: claim for claim in _payments(_run_out(house, clock)).values()}
    assert (paid["C1B"].status, paid["C1B"].frequency, paid["C1B"].paid_cents) == ("1", "7", 2700)
    assert paid["C1B"].payer_claim_number != denied.payer_claim_number


def test_an_interchange_is_accepted_once(open_house: Open, practice: Any, log_path: Path) -> None:
    house, _ = open_house()
    content = practice.batch(1, practice.claim("C1A"))
    house.receive("b1.edi", content)
    for again in (content, practice.batch(1, practice.claim("C2A"))):
        with pytest.raises(DuplicateInterchange):
            house.receive("b2.edi", again)
    assert [one.name for one in house.interchanges()[1]] == ["b1.edi"]
    assert [line["outcome"] for line in _lines(log_path)] == ["accepted", "refused", "refused"]


def test_accepting_everything_shows_double_sending_in_the_money(
    open_house: Open, practice: Any, log_path: Path
) -> None:
    house, clock = open_house(accept_everything=True)
    content = practice.batch(1, practice.claim("C1A"))
    first = house.receive("b1.edi", content)
    second = house.receive("b1.edi", content)
    assert first.receipt != second.receipt
    assert [line["outcome"] for line in _lines(log_path)] == ["accepted", "accepted"]
    assert len(house.interchanges()[1]) == 2
    files = _run_out(house, clock)
    assert len([file for file in files if file.name.startswith("TA1")]) == 2
    paid = _payments(files)
    assert len(paid) == 2
    assert sorted(claim.paid_cents for claim in paid.values()) == [0, 2419]
    (denied,) = [claim for claim in paid.values() if claim.status == "4"]
    assert _adjustments(denied) == (Adjustment("CO", "18", 6500),)


def test_one_payment_delivered_in_two_files(open_house: Open, practice: Any) -> None:
    house, clock = open_house("2026-02-03T09:00:00-06:00")
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A")))
    files = [file for file in _run_out(house, clock) if file.name.startswith("835")]
    assert len(files) == 2
    (one,), _ = read_835(files[0].content)
    (other,), _ = read_835(files[1].content)
    assert one.interchange_control_number != other.interchange_control_number
    assert (one.trace_number, one.paid_cents) == (other.trace_number, other.paid_cents)
    assert one.claims == other.claims
    assert files[0].id != files[1].id


def test_broken_transaction_set_is_refused_by_the_999(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    content = practice.batch(1, practice.claim("C1A"))
    house.receive("b1.edi", content.replace(b"D8*20260202", b"D8*20261302"))
    ta1, x999 = _run_out(house, clock)
    assert read_ta1(ta1.content)[0][0].code == "A"
    (group,), _ = read_999(x999.content)
    assert (group.status, group.transactions[0].status) == ("R", "R")
    assert (group.received, group.accepted) == (1, 0)


def test_a_broken_set_does_not_stop_its_neighbour(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    good = practice.batch(1, practice.claim("C1A"))
    start, end = good.index(b"ST*837"), good.index(b"GE*1*1~")
    second = good[start:end].replace(b"*0001", b"*0002").replace(b"C1A", b"C2A")
    bad = second.replace(b"*65*UN", b"*x*UN")
    content = good[:end] + bad + good[end:].replace(b"GE*1*1~", b"GE*2*1~")
    house.receive("b1.edi", content)
    files = _run_out(house, clock)
    (group,), _ = read_999(files[1].content)
    assert [one.status for one in group.transactions] == ["A", "R"]
    assert (group.status, group.received, group.accepted) == ("P", 2, 1)
    assert {key.split("/")[0] for key in _payments(files)} == {"C1A"}


def test_broken_envelope_is_refused_by_the_ta1(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    content = practice.batch(1, practice.claim("C1A"))
    house.receive("b1.edi", content.replace(b"IEA*1*000000001", b"IEA*1*000000009"))
    (ta1,) = _run_out(house, clock)
    (interchange,), _ = read_ta1(ta1.content)
    assert (interchange.code, interchange.note_code) == ("R", "001")


def test_claims_for_a_payer_that_does_not_exist(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A", "NONE1")))
    files = _run_out(house, clock)
    (report,), _ = read_277ca(files[2].content)
    assert [claim.accepted for claim in report.claims] == [False]
    assert len(files) == 3


@pytest.mark.parametrize("content", [b"", b"hello", b"ISA*00*", b"\xff\xfe\x00"])
def test_what_is_not_x12_is_refused_and_logged(
    open_house: Open, log_path: Path, content: bytes
) -> None:
    house, _ = open_house()
    with pytest.raises(UnreadableInterchange):
        house.receive("b1.edi", content)
    with pytest.raises(UnreadableInterchange):
        house.inquire(content)
    lines = _lines(log_path)
    assert [(line["channel"], line["outcome"]) for line in lines] == [
        ("batch", "refused"),
        ("eligibility", "refused"),
    ]
    assert base64.b64decode(lines[0]["body"]) == content
    assert house.interchanges()[1] == ()


@pytest.mark.parametrize(
    ("payer_id", "member_id", "last_name", "day", "level", "reason"),
    [
        ("NONE1", "CI0001", "Reissued", date(2026, 2, 2), "20", "79"),
        ("COMM1", "CI7777", "Nobody", date(2026, 2, 2), "22", "75"),
    ],
)
def test_inquiry_that_cannot_be_answered(
    open_house: Open,
    practice: Any,
    payer_id: str,
    member_id: str,
    last_name: str,
    day: date,
    level: str,
    reason: str,
) -> None:
    house, _ = open_house()
    answer = house.inquire(practice.inquiry(payer_id, member_id, last_name, day))
    (response,), _ = read_271(answer)
    assert [(one.level, one.reason) for one in response.rejections] == [(level, reason)]
    assert response.benefits == ()


@pytest.mark.parametrize(
    ("asked_at", "member_id", "last_name", "day", "expected"),
    [
        ("2026-01-30T09:00:00-06:00", "CI0001", "Nobody", date(2026, 1, 30), "CI0001"),
        ("2026-01-30T09:00:00-06:00", "CI0001", "Nobody", date(2026, 2, 2), "CI0009"),
        ("2026-02-03T09:00:00-06:00", "CI0001", "Nobody", date(2026, 1, 30), "CI0009"),
        ("2026-02-03T09:00:00-06:00", "WRONG1", "Reissued", date(2026, 1, 30), "CI0009"),
    ],
)
def test_271_gives_the_id_in_force_on_the_later_day(
    open_house: Open,
    practice: Any,
    asked_at: str,
    member_id: str,
    last_name: str,
    day: date,
    expected: str,
) -> None:
    house, _ = open_house(asked_at)
    (response,), _ = read_271(house.inquire(practice.inquiry("COMM1", member_id, last_name, day)))
    assert response.subscriber.member_id == expected
    assert response.subscriber.changed == (member_id != expected)


def test_271_tells_coverage_authorization_and_patient_share(
    open_house: Open, practice: Any
) -> None:
    house, _ = open_house()
    (response,), _ = read_271(house.inquire(practice.inquiry("COMM1", "CI0002")))
    by_kind = {benefit.information: benefit for benefit in response.benefits}
    assert set(by_kind) == {"1", "B", "C"}
    assert by_kind["1"].authorization == "U"
    assert "A6" in by_kind["1"].service_types
    assert by_kind["B"].cents == 1500
    (response,), _ = read_271(house.inquire(practice.inquiry("COMM1", "CI0003")))
    assert [benefit.information for benefit in response.benefits] == ["6"]
    inside = practice.inquiry("COMM1", "CI0003", day=date(2026, 1, 31))
    (response,), _ = read_271(house.inquire(inside))
    assert response.benefits[0].information == "1"
    assert [(one.qualifier, one.first) for one in response.dates] == [
        ("346", date(2025, 1, 1)),
        ("347", date(2026, 1, 31)),
    ]


def test_acknowledged_files_are_gone(open_house: Open, practice: Any) -> None:
    house, clock = open_house()
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A")))
    with pytest.raises(UnknownFile):
        house.download("nothing")
    clock.advance(datetime.fromisoformat("2026-02-02T16:00:00+00:00"))
    ta1, x999 = house.mailbox()
    house.acknowledge(ta1.id)
    house.acknowledge(ta1.id)
    assert house.mailbox() == (x999,)
    with pytest.raises(UnknownFile):
        house.download(ta1.id)
    with pytest.raises(UnknownFile):
        house.acknowledge("nothing")


def test_raw_log(open_house: Open, practice: Any, log_path: Path) -> None:
    house, clock = open_house()
    batch = practice.batch(1, practice.claim("C1A"))
    house.receive("b1.edi", batch, answer_lost=True)
    inquiry = practice.inquiry("MEDB1", "MB0001")
    answer = house.inquire(inquiry)
    house.inquire(inquiry, answer_lost=True)
    clock.advance(datetime.fromisoformat("2026-02-02T16:00:00+00:00"))
    ta1 = house.mailbox()[0]
    house.download(ta1.id)
    house.acknowledge(ta1.id)
    lines = _lines(log_path)
    assert [line["n"] for line in lines] == [1, 2, 3, 4, 5, 6]
    summary = [
        (line["direction"], line["channel"], line["outcome"], base64.b64decode(line["body"]))
        for line in lines
    ]
    assert summary == [
        ("received", "batch", "accepted_answer_lost", batch),
        ("received", "eligibility", "accepted", inquiry),
        ("sent", "eligibility", "answered", answer),
        ("received", "eligibility", "accepted_answer_lost", inquiry),
        ("sent", "mailbox", "delivered", ta1.content),
        ("received", "mailbox", "accepted", b""),
    ]
    assert lines[0]["at"] == "2026-02-02T15:00:00+00:00"
    assert lines[0]["name"] == "b1.edi"
    assert lines[4]["name"] == lines[5]["name"] == ta1.name
    for line in lines:
        assert line["sha256"] == hashlib.sha256(base64.b64decode(line["body"])).hexdigest()


def test_restart_rebuilds_everything_from_the_log(
    open_house: Open, practice: Any, log_path: Path
) -> None:
    house, clock = open_house(accept_everything=True)
    house.receive("b1.edi", practice.batch(1, practice.claim("C1A", "COMM1", "CI0002")))
    clock.advance(datetime.fromisoformat("2026-02-04T00:00:00+00:00"))
    house.receive("b2.edi", practice.batch(2, practice.claim("C2A")))
    house.receive("b2.edi", practice.batch(2, practice.claim("C2A")))
    for file in house.mailbox()[:2]:
        house.acknowledge(file.id)
    clock.advance(datetime.fromisoformat("2026-02-13T00:00:00+00:00"))
    with log_path.open("ab") as log:
        log.write(b'{"n": 99, "at": "2026-')  # the process died here

    other, other_clock = open_house(accept_everything=True)
    assert other_clock.now() == datetime.fromisoformat("2026-02-04T00:00:00+00:00")
    other_clock.advance(clock.now())
    assert other.interchanges() == house.interchanges()
    assert other.mailbox() == house.mailbox()
    assert other.next_delivery_at() == house.next_delivery_at()
    assert _run_out(other, other_clock) == _run_out(house, clock)
    assert [line["n"] for line in _lines(log_path)] == list(range(1, len(_lines(log_path)) + 1))
    with pytest.raises(DuplicateInterchange):
        open_house()[0].receive("b1.edi", practice.batch(1, practice.claim("C1A")))


def test_a_log_that_is_none_is_refused(open_house: Open, log_path: Path) -> None:
    log_path.write_text('{"n": 1}\n')
    with pytest.raises(RawLogError, match="line 1"):
        open_house()


def test_the_clock_never_moves_back() -> None:
    clock = DrivenClock(datetime.fromisoformat(START))
    with pytest.raises(ClockError):
        clock.advance(datetime.fromisoformat("2026-02-02T14:59:59+00:00"))
    with pytest.raises(ClockError):
        DrivenClock(datetime.fromisoformat("2026-02-02T15:00:00"))
    clock.advance(datetime.fromisoformat("2026-02-02T15:00:00+00:00"))


_CLAIM_FACTS = st.tuples(
    st.sampled_from(["C1A", "C2A", "C3A", "C4A"]),
    st.sampled_from(
        [("MEDB1", "MB0001"), ("MEDB1", "MB0002"), ("COMM1", "CI0002"), ("COMM1", "CI0009")]
    ),
    st.dates(date(2026, 1, 1), date(2026, 1, 4)),
    st.sampled_from(["", "AUTH0001"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_CLAIM_FACTS, min_size=1, max_size=8), st.data())
def test_arrival_and_batching_change_no_payment(
    practice: Any, facts: list[Any], data: st.DataObject
) -> None:
    # With a deductible and repeated claims every rule that looks back is in play.
    world = _world_with_deductible()
    claims = [
        practice.claim(number, *payer, day=day, prior_authorization=authorization)
        for number, payer, day, authorization in facts
    ]
    outcomes = []
    for _ in range(2):
        ordered = data.draw(st.permutations(claims))
        size = data.draw(st.integers(1, len(ordered)))
        with TemporaryDirectory() as folder:
            log = RawLog(Path(folder) / "raw.jsonl")
            clock = DrivenClock(datetime.fromisoformat(START))
            house = Clearinghouse(world, log, clock)
            for start in range(0, len(ordered), size):
                content = practice.batch(start + 1, *ordered[start : start + size])
                house.receive(f"b{start}.edi", content)
            files = _run_out(house, clock)
            outcomes.append({f.name: f.content for f in files if f.name.startswith("835")})
            log.close()
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]


def _world_with_deductible() -> World:
    member: dict[str, Any] = {
        "first_name": "Sam",
        "last_name": "Placeholder",
        "birth_date": "1970-01-01",
        "sex": "M",
        "coverage": [{"from": "2025-01-01", "to": None}],
        "copay_cents": 0,
        "coinsurance_percent": 20,
        "deductible_remaining_cents": 4000,
        "authorization": {"answered": "N", "required": False},
    }
    payers = [
        {
            "payer_id": payer_id,
            "name": "Invented",
            "filing_indicator": "MB",
            "acknowledges_after_hours": 20,
            "pays_after_days": 15,
            "members": [
                {**member, "member_ids": [{"id": one, "from": "2025-01-01", "to": None}]}
                for one in members
            ],
            "authorizations": [],
            "rates": [
                {"code": "90853", "npi": None, "cents": 3085, "from": "2025-01-01", "to": None}
            ],
            "sequestration_basis_points": 200,
            "remittance_copies": [],
        }
        for payer_id, members in (("MEDB1", ["MB0001", "MB0002"]), ("COMM1", ["CI0002", "CI0009"]))
    ]
    return parse_world(json.dumps({"seed": 1, "payers": payers}).encode())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 4))
def test_damaged_bytes_are_answered_or_refused_never_a_crash(
    practice: Any, world: World, place: int, noise: bytes, cut: int
) -> None:
    content = practice.batch(1, practice.claim("C1A"))
    place %= len(content)
    damaged = content[:place] + noise + content[place + cut :]
    with TemporaryDirectory() as folder:
        log = RawLog(Path(folder) / "raw.jsonl")
        clock = DrivenClock(datetime.fromisoformat(START))
        house = Clearinghouse(world, log, clock)
        try:
            house.receive("b1.edi", damaged)
        except UnreadableInterchange:
            assert house.next_delivery_at() is None
        else:
            files = _run_out(house, clock)
            assert files[0].name.startswith("TA1")
        log.close()
