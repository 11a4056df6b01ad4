"""A missing authorization is asked for by 278, once; every answer is a result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from activities import steps
from groupclaim import x12
from groupclaim.clearinghouse.port import NoAnswer, NotTaken, Unreachable
from groupclaim.model.patient import Authorization
from groupclaim.store import audit, authorizations, claims, practice
from tests.activities.house import START, House, Reaper
from tests.activities.test_coverage import sample

ROSTER = {"S3": ("P17", "P21", "P23")}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SERVICE = date(2026, 2, 9)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        yield made


@pytest.fixture
async def claim(house: House) -> str:
    """Of a patient whose payer asks for an authorization, and none is on file."""
    number = await house.claim_of("S3", "P23")
    await house.perform(steps.CHECK_ELIGIBILITY, steps.ClaimStep(claim_number=number, sequence=1))
    return number


class Reviewer:
    """A payer that reviews requests. It never tells one request from another: what it is sent twice
    it has twice. ``says`` is its present decision; a request that is ``lost`` never arrives."""

    def __init__(self, house: House, says: x12.Decision | None = None) -> None:
        self.says = says or x12.Decision("A4")
        self.units: int | None = None
        self.days: tuple[date, date] | None = None
        self.rejections: tuple[x12.Rejection, ...] = ()
        self.requests: list[x12.AuthorizationRequest] = []
        self.inquiries: list[x12.AuthorizationRequest] = []
        self.bytes: list[bytes] = []
        self.fails: list[Exception | None] = []
        self.lost, self.is_final = False, True
        house.clearinghouse.request_authorization = self._request  # type: ignore[method-assign]
        house.clearinghouse.ask_authorization = self._inquire  # type: ignore[method-assign]

    async def _request(self, content: bytes) -> bytes:
        (request,), problems = x12.read_278_requests(content)
        assert not problems
        assert not request.is_inquiry
        assert x12.check_outbound(content) == ()
        fails = self.fails.pop(0) if self.fails else None
        if not (fails and self.lost):
            self.requests.append(request)
            self.bytes.append(content)
        if fails is not None:
            raise fails
        return self._answer(request)

    async def _inquire(self, content: bytes) -> bytes:
        (inquiry,), problems = x12.read_278_requests(content)
        assert not problems
        assert inquiry.is_inquiry
        assert x12.check_outbound(content) == ()
        self.inquiries.append(inquiry)
        if self.fails and (fails := self.fails.pop(0)) is not None:
            raise fails
        if inquiry.trace_number not in {item.trace_number for item in self.requests}:
            return self._answer(inquiry, rejections=(x12.Rejection("EV", "AA", "N"),))
        return self._answer(inquiry)

    def _answer(
        self,
        request: x12.AuthorizationRequest,
        rejections: tuple[x12.Rejection, ...] = (),
    ) -> bytes:
        rejections = rejections or self.rejections
        (service,) = request.services
        if self.units is not None:
            service = replace(service, units=self.units)
        if self.days is not None:
            first, last = self.days
            service = replace(service, service_date=first, last_service_date=last)
        response = x12.AuthorizationResponse(
            reference=request.reference,
            trace_number=request.trace_number,
            trace_originator=request.trace_originator,
            reviewer=request.reviewer,
            requester=request.requester,
            subscriber=request.subscriber,
            decision=None if rejections else self.says,
            service_type="A6",
            services=(service,),
            rejections=rejections,
            is_final=self.is_final,
        )
        frame = x12.Envelope(
            sender_id="PAYER0",
            receiver_id="PRACTICE0",
            interchange_control_number=1,
            group_control_number=1,
            at=START,
            test=True,
        )
        return x12.build_278_response(frame, response, 1)


async def check(house: House, claim: str, sequence: int = 2, **values: Any) -> Any:
    return await house.perform(
        steps.CHECK_AUTHORIZATION,
        steps.ClaimStep(claim_number=claim, sequence=sequence, **values),
    )


async def rules(house: House, claim: str) -> list[str]:
    async with house.database.reading() as reading:
        found = await claims.read_findings(reading, claim, "check_authorization")
    return [item.rule for item in found]


async def alerts(house: House, claim: str) -> list[int]:
    async with house.database.reading() as reading:
        events = await claims.timeline(reading, claim)
    return [item.detail["level"] for item in events if item.kind == "alert"]


async def test_granted_at_once_goes_on_file_and_a_unit_is_reserved(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    checked = await check(house, claim)
    assert checked.held is None
    (request,) = reviewer.requests
    # Twelve weekly sessions from the day of service: 9 February to 3 May, unless the plan ends.
    assert (request.certification, request.category, request.service_type) == ("I", "HS", "A6")
    assert request.first_day == SERVICE
    assert [item.code for item in request.services] == ["90853"]
    assert not request.is_urgent
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, claim)
        (given,) = facts.authorizations
        units = await authorizations.units(reading, given)
        noted = await audit.entries(reading, claim)
    assert facts.plan is not None
    weeks = min(12, (facts.plan.valid_to - SERVICE).days // 7 + 1)
    last = min(facts.plan.valid_to, SERVICE + timedelta(days=83))
    assert (given.number, given.units, given.codes) == ("SMUAUTH0023", weeks, ("90853",))
    assert (given.effective_from, given.effective_to) == (SERVICE, last)
    assert (units.granted, units.reserved) == (weeks, 1)
    assert [item.action for item in noted].count("authorization_certified") == 1
    # Asked again, it is on file: nobody is asked.
    assert (await check(house, claim)).held is None
    assert len(reviewer.requests) == 1


async def test_pended_is_asked_after_by_inquiry_until_granted(house: House, claim: str) -> None:
    reviewer = Reviewer(house)
    checked = await check(house, claim)
    assert (checked.held.code, checked.held.releasable) == ("AUTH_PENDED", False)
    assert checked.due_at == START + 24 * HOUR
    # Looked at too early, nobody is asked.
    assert (await check(house, claim, 3)).due_at == START + 24 * HOUR
    assert reviewer.inquiries == []
    await house.move_to(START + 24 * HOUR)
    assert (await check(house, claim, 4)).held.code == "AUTH_PENDED"
    reviewer.says = x12.Decision("A1", "SMUAUTH0023")
    await house.move_to(START + 48 * HOUR)
    assert (await check(house, claim, 5)).held is None
    assert len(reviewer.requests) == 1
    trace = reviewer.requests[0].trace_number
    assert [item.trace_number for item in reviewer.inquiries] == [trace] * 2


async def test_an_answer_that_says_that_the_decision_follows_is_pended(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house)
    reviewer.rejections, reviewer.is_final = (x12.Rejection("EV", "42", "P"),), False
    for sequence, now in ((2, START), (3, START + DAY)):
        await house.move_to(now)
        checked = await check(house, claim, sequence)
        assert (checked.held.code, checked.due_at) == ("AUTH_PENDED", now + DAY)
    assert (len(reviewer.requests), len(reviewer.inquiries)) == (1, 1)


async def test_people_are_told_before_the_payers_time_ends_and_when_it_has(
    house: House, claim: str
) -> None:
    Reviewer(house)
    now, told = START, []
    checked = await check(house, claim)
    for sequence in range(3, 14):
        now = checked.due_at
        await house.move_to(now)
        before = await alerts(house, claim)
        checked = await check(house, claim, sequence)
        if await alerts(house, claim) != before:
            told.append(now - START)
    # Seven days is the policy's own expectation where no law gives the payer a clock.
    assert told == [6 * DAY, 7 * DAY]
    assert await alerts(house, claim) == [1, 2]


async def test_refused_holds_with_the_category_and_a_later_letter_clears_it(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A3", reason="52"))
    checked = await check(house, claim)
    assert (checked.held.code, checked.held.releasable) == ("AUTH_REFUSED", False)
    async with house.database.reading() as reading:
        (finding,) = [
            item
            for item in await claims.read_findings(reading, claim, "check_authorization")
            if item.hold == "AUTH_REFUSED"
        ]
    assert "day of service" in finding.sentence
    assert (await check(house, claim, 3)).held.code == "AUTH_REFUSED"
    assert len(reviewer.requests) == 1
    assert reviewer.inquiries == []
    given = Authorization.model_validate(
        {"patient": "P23", "payer": "sample-mutual", "number": "APPEALED1", "codes": ("90853",),
         "units": 4, "from": SERVICE, "to": SERVICE + 28 * DAY}
    )  # fmt: skip
    async with house.database.transaction() as tx:
        await practice.record_authorization(tx, given)
    assert (await check(house, claim, 4)).held is None


@pytest.mark.parametrize(
    ("decision", "held", "rule"),
    [
        (x12.Decision("CT"), "AUTH_REQUIRED", "authorization_request_call"),
        (x12.Decision("A1"), "AUTH_REQUIRED", "authorization_request_call"),
        (x12.Decision("A1", "no such #"), "AUTH_REQUIRED", "authorization_request_call"),
        (x12.Decision("C"), "AUTH_REFUSED", "authorization_cancelled"),
        (x12.Decision("NA"), None, "authorization_not_needed"),
    ],
)
async def test_other_answers(
    house: House, claim: str, decision: x12.Decision, held: str | None, rule: str
) -> None:
    reviewer = Reviewer(house, decision)
    for sequence in (2, 3):
        checked = await check(house, claim, sequence)
        assert (checked.held.code if checked.held else None) == held
        assert rule in await rules(house, claim)
    assert len(reviewer.requests) == 1


async def test_modified_counts_with_its_own_limits(house: House, claim: str) -> None:
    reviewer = Reviewer(house, x12.Decision("A6", "LESS1"))
    reviewer.units, reviewer.days = 4, (SERVICE, date(2026, 3, 8))
    assert (await check(house, claim)).held is None
    assert "authorization_modified" in await rules(house, claim)
    async with house.database.reading() as reading:
        (given,) = (await practice.claim_facts(reading, claim)).authorizations
    assert (given.units, given.effective_to) == (4, date(2026, 3, 8))


async def test_certified_for_other_days_does_not_cover_the_session(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A6", "LATER1"))
    reviewer.days = (date(2026, 3, 1), date(2026, 4, 30))
    assert (await check(house, claim)).held.code == "AUTH_MISMATCH"
    assert (await check(house, claim, 3)).held.code == "AUTH_MISMATCH"
    assert len(reviewer.requests) == 1


# --- when the answer is lost


async def test_a_lost_answer_is_found_by_inquiry_never_by_a_second_request(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reviewer.fails = [NoAnswer("ReadTimeout"), Unreachable("status_500")]
    checked = await check(house, claim)
    assert (checked.held.code, checked.due_at) == ("AUTH_PENDED", START + HOUR / 2)
    assert "authorization_request_in_doubt" in await rules(house, claim)
    await house.move_to(checked.due_at)
    checked = await check(house, claim, 3)
    assert (checked.held.code, checked.due_at) == ("AUTH_PENDED", START + 3 * HOUR / 2)
    await house.move_to(checked.due_at)
    assert (await check(house, claim, 4)).held is None
    assert (len(reviewer.requests), len(reviewer.inquiries)) == (1, 2)


async def test_a_request_that_never_arrived_goes_again_as_the_same_bytes(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reviewer.fails, reviewer.lost = [NoAnswer("ConnectionResetError")], True
    checked = await check(house, claim)
    # Too early: the payer that does not know it yet may still come to know it.
    assert (checked.held.code, reviewer.requests) == ("AUTH_PENDED", [])
    await house.move_to(START + HOUR / 2)
    checked = await check(house, claim, 3)
    assert checked.held.code == "AUTH_PENDED"
    await house.move_to(checked.due_at)
    assert (await check(house, claim, 4)).held is None
    assert (len(reviewer.requests), len(reviewer.inquiries)) == (1, 1)
    kept = await house.rows(text("SELECT COUNT(*) AS n FROM x12_file WHERE direction='outbound' "
                                 "AND kind='278'"))  # fmt: skip
    assert kept[0].n == 1


async def test_a_clearinghouse_that_is_busy_is_asked_later(house: House, claim: str) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reviewer.fails, reviewer.lost = [NotTaken("throttled", retry_after=2 * HOUR)], True
    checked = await check(house, claim)
    assert (checked.held.code, checked.due_at) == ("AUTH_PENDED", START + 2 * HOUR)
    await house.move_to(checked.due_at)
    assert (await check(house, claim, 3)).held is None
    assert len(reviewer.requests) == 1


async def test_a_pause_of_seconds_is_no_reason_to_look_every_minute(
    house: House, claim: str
) -> None:
    """While the way to the payers is paused, each refusal says to come again within seconds."""
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reviewer.fails, reviewer.lost = [NotTaken("paused", retry_after=HOUR / 3600)], True
    checked = await check(house, claim)
    assert (checked.held.code, checked.due_at) == ("AUTH_PENDED", START + HOUR / 2)
    await house.move_to(checked.due_at)
    assert (await check(house, claim, 3)).held is None
    assert len(reviewer.requests) == 1


@pytest.mark.parametrize("reason", ["unreadable", "no_such_service"])
async def test_who_takes_no_278_leaves_it_to_a_person(
    house: House, claim: str, reason: str
) -> None:
    reviewer = Reviewer(house)
    reviewer.fails, reviewer.lost = [NotTaken(reason, final=True)], True
    assert (await check(house, claim)).held.code == "AUTH_REQUIRED"
    assert (await check(house, claim, 3)).held.code == "AUTH_REQUIRED"
    assert reviewer.inquiries == []


async def test_where_nobody_answers_inquiries_a_lost_answer_is_for_a_person(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house)
    reviewer.fails = [NoAnswer("ReadTimeout"), NotTaken("no_such_service", final=True)]
    assert (await check(house, claim)).held.code == "AUTH_PENDED"
    await house.move_to(START + HOUR / 2)
    assert (await check(house, claim, 3)).held.code == "AUTH_REQUIRED"
    assert "authorization_request_call" in await rules(house, claim)
    assert (len(reviewer.requests), len(reviewer.inquiries)) == (1, 1)


@pytest.mark.parametrize("seed", range(4))
async def test_workers_that_die_anywhere_send_one_request(
    house: House, claim: str, seed: int
) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reaper = Reaper(seed, share=0.3)
    house.unleash(reaper)
    for name in ("request_authorization", "ask_authorization"):
        reaper.surround(house.clearinghouse, name)
    now, sequence = START, 2
    while (checked := await check(house, claim, sequence)).held is not None:
        assert checked.held.code == "AUTH_PENDED"
        now, sequence = checked.due_at, sequence + 1
        await house.clock.move_to(now)
    assert len(reviewer.requests) == 1
    async with house.quietly() as tx:
        (given,) = (await practice.claim_facts(tx, claim)).authorizations
        assert (await authorizations.units(tx, given)).reserved == 1


async def test_what_the_payer_could_not_work_on_is_asked_again_once_it_is_corrected(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house, x12.Decision("A1", "SMUAUTH0023"))
    reviewer.rejections = (x12.Rejection("22", "72", "C"),)
    for sequence in (2, 3):
        assert (await check(house, claim, sequence)).held.code == "AUTH_REQUIRED"
    assert "authorization_request_unusable" in await rules(house, claim)
    assert len(reviewer.requests) == 1
    reviewer.rejections = ()

    def renamed(raw: dict[str, Any]) -> None:
        (patient,) = [item for item in raw["patients"] if item["ref"] == "P23"]
        patient["last_name"] = "Corrected"

    await sample(house, renamed)
    assert (await check(house, claim, 4)).held is None
    first, second = reviewer.requests
    assert first.trace_number != second.trace_number


async def test_a_payer_that_asks_to_come_again_is_obeyed_five_times(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house)
    reviewer.rejections = (x12.Rejection("20", "42", "R"),)
    now = START
    for sequence in range(2, 8):
        checked = await check(house, claim, sequence)
        now += DAY
        await house.move_to(now)
    assert checked.held.code == "AUTH_REQUIRED"
    assert len(reviewer.requests) == 6
    assert len(set(reviewer.bytes)) == 1


# --- what is asked for


async def test_an_extension_is_asked_for_where_the_units_are_used_up(
    house: House, claim: str
) -> None:
    used_up = Authorization.model_validate(
        {"patient": "P23", "payer": "sample-mutual", "number": "OLD1", "codes": ("90853",),
         "units": 12, "used": 12, "from": date(2025, 10, 1), "to": date(2026, 3, 31)}
    )  # fmt: skip
    async with house.database.transaction() as tx:
        await practice.record_authorization(tx, used_up)
    reviewer = Reviewer(house)
    assert (await check(house, claim)).held.code == "AUTH_PENDED"
    (request,) = reviewer.requests
    assert (request.certification, request.authorization_number) == ("4", "OLD1")
    reviewer.says, reviewer.units = x12.Decision("A1", "OLD1"), 8
    await house.move_to(START + DAY)
    assert (await check(house, claim, 3)).held is None
    async with house.database.reading() as reading:
        (given,) = (await practice.claim_facts(reading, claim)).authorizations
    # Eight more under the number of the old twelve, all of which are used.
    assert (given.units, given.used, given.effective_from) == (20, 12, date(2025, 10, 1))


async def test_an_extension_that_nobody_grants_leaves_the_claim_exhausted(
    house: House, claim: str
) -> None:
    used_up = Authorization.model_validate(
        {"patient": "P23", "payer": "sample-mutual", "number": "OLD1", "codes": ("90853",),
         "units": 12, "used": 12, "from": date(2025, 10, 1), "to": date(2026, 3, 31)}
    )  # fmt: skip
    async with house.database.transaction() as tx:
        await practice.record_authorization(tx, used_up)
    Reviewer(house, x12.Decision("CT"))
    assert (await check(house, claim)).held.code == "AUTH_EXHAUSTED"


async def test_nobody_is_asked_after_the_service_or_where_a_person_has_waived_it(
    house: House, claim: str
) -> None:
    reviewer = Reviewer(house)
    await house.move_to(datetime.fromisoformat("2026-02-10T09:00:00-06:00"))
    assert (await check(house, claim)).held.code == "AUTH_REQUIRED"
    assert reviewer.requests == []


async def test_an_urgent_plan_is_asked_for_as_urgent(house: House, claim: str) -> None:
    def urgent(raw: dict[str, Any]) -> None:
        for plan in raw["treatment_plans"]:
            if plan["patient"] == "P23":
                plan["urgent"] = True

    await sample(house, urgent)
    reviewer = Reviewer(house)
    await check(house, claim)
    assert [item.is_urgent for item in reviewer.requests] == [True]
