"""What systems ask: where sessions and claims stand and why, and what waits for a person."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select, text

from activities.front_desk import Refused, WorkAct
from groupclaim.console.access import Permission
from groupclaim.console.api.door import REFUSALS, Caller, Scope
from groupclaim.console.api.intake import Once
from groupclaim.console.api.seen import check_claim, check_session, sessions_seen
from groupclaim.lifecycle.state import Stage
from groupclaim.lifecycle.why import Why, why
from groupclaim.model.base import Instant, Record
from groupclaim.store import claims, waiting, work
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import claim, group_session, participant

router = APIRouter(responses=REFUSALS)
Looks = Annotated[Caller, Depends(Scope(Permission.VIEW))]
Releases = Annotated[Caller, Depends(Scope(Permission.RELEASE))]
Works = Annotated[Caller, Depends(Scope(Permission.WORK))]


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a zero byte")
    return value


Id = Annotated[str, AfterValidator(_storable)]
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
After = Annotated[
    Id, Query(max_length=64, description="`next` of the answer before; empty: from the start")
]


class Session(BaseModel):
    session_id: str
    service_date: date
    starts_at: datetime
    stage: str
    attendance_recorded: bool


class SessionPage(BaseModel):
    """``next`` is what to ask for ``after`` to get more; null at the end."""

    sessions: list[Session]
    next: str | None


class Participant(BaseModel):
    patient_id: str
    claim_number: str
    attendance: str | None
    on_roster: bool
    stage: str
    hold: str | None


class SessionStatus(Session):
    participants: list[Participant]


class Claim(BaseModel):
    """``hold`` is the code of why it does not go on; ``due_at`` when it is looked at again."""

    claim_number: str
    session_id: str
    payer_key: str
    service_date: date
    stage: str
    hold: str | None
    reason: str | None
    due_at: datetime | None
    updated_at: datetime


class ClaimPage(BaseModel):
    """``next`` is what to ask for ``after`` to get more; null at the end."""

    claims: list[Claim]
    next: str | None


class FindingSaid(BaseModel):
    """What a rule found. It names no person."""

    rule: str
    severity: str
    sentence: str
    fix: str
    hold: str | None
    releasable: bool
    citation: str | None


class Money(BaseModel):
    """In cents. charge = paid + contractual + patient + payer_open."""

    charge_cents: int
    allowed_cents: int | None
    paid_cents: int
    contractual_cents: int
    patient_cents: int
    patient_paid_cents: int
    patient_open_cents: int
    payer_open_cents: int


class ClaimStatus(Claim):
    version: int
    why: Why
    findings: list[FindingSaid]
    money: Money | None


class WorkItem(BaseModel):
    """Something for a person to do. ``code`` says why, ``queue`` who acts."""

    id: str
    kind: str
    subject: str
    claim_number: str | None
    session_id: str | None
    payer_key: str | None
    code: str
    queue: str
    cents: int
    opened_at: datetime
    due_at: datetime | None
    state: work.WorkState
    assignee: str | None
    pended_until: datetime | None
    resolved_at: datetime | None
    revision: int


class WorkPage(BaseModel):
    """``more``: there are others behind ``offset`` and these."""

    items: list[WorkItem]
    more: bool


class Act(Record):
    """What is done with an item that was seen at ``revision``. ``to``: whom it is given to, null
    for nobody; ``until`` when it is put off to; ``text`` is kept encrypted."""

    kind: Literal["assign", "pend", "reopen", "resolve", "comment"]
    revision: Annotated[int, Field(ge=0, le=2**31 - 1)]
    to: Annotated[Id, Field(max_length=80)] | None = None
    until: Instant | None = None
    text: Annotated[Id, Field(max_length=2000)] = ""


@router.get("/sessions")
async def list_sessions(
    request: Request,
    caller: Looks,
    stage: Literal["open", "closed"] | None = None,
    after: After = "",
    limit: Limit = 50,
) -> SessionPage:
    """Sessions, in the order of their ids."""
    query = select(group_session).where(caller.rows, group_session.c.id > after)
    if stage is not None:
        query = query.where(group_session.c.stage == stage)
    async with request.app.state.console.database.reading() as reading:
        rows = await reading.rows(query.order_by(group_session.c.id).limit(limit + 1))
    found = [_session(row) for row in rows[:limit]]
    return SessionPage(sessions=found, next=found[-1].session_id if len(rows) > limit else None)


def _session(row: Any) -> Session:
    return Session(
        session_id=row.id,
        service_date=row.service_date,
        starts_at=row.starts_at,
        stage=row.stage,
        attendance_recorded=row.attendance_recorded_at is not None,
    )


@router.get("/sessions/{session_id}")
async def show_session(
    request: Request, caller: Looks, session_id: Annotated[Id, Path(max_length=64)]
) -> SessionStatus:
    """Where a session and each of its participants stand."""
    async with request.app.state.console.database.reading() as reading:
        await check_session(reading, caller, session_id)
        row = await reading.first(select(group_session).where(group_session.c.id == session_id))
        rows = await reading.rows(
            select(participant, claim.c.stage, claim.c.hold_code)
            .join(claim, claim.c.claim_number == participant.c.claim_number)
            .where(participant.c.session_id == session_id)
            .order_by(participant.c.claim_number)
        )
    return SessionStatus(
        **_session(row).model_dump(),
        participants=[
            Participant(
                patient_id=item.patient_id,
                claim_number=item.claim_number,
                attendance=item.attendance,
                on_roster=item.on_roster,
                stage=item.stage,
                hold=item.hold_code,
            )
            for item in rows
        ],
    )


@router.get("/claims")
async def list_claims(
    request: Request,
    caller: Looks,
    stage: Stage | None = None,
    hold: Annotated[Id | None, Query(max_length=40)] = None,
    session: Annotated[Id | None, Query(max_length=64)] = None,
    after: After = "",
    limit: Limit = 50,
) -> ClaimPage:
    """Claims, in the order of their numbers."""
    query = select(claim).where(
        claim.c.session_id.in_(sessions_seen(caller)), claim.c.claim_number > after
    )
    for column, value in (("stage", stage), ("hold_code", hold), ("session_id", session)):
        if value is not None:
            query = query.where(claim.c[column] == str(value))
    async with request.app.state.console.database.reading() as reading:
        rows = await reading.rows(query.order_by(claim.c.claim_number).limit(limit + 1))
    found = [_claim(row) for row in rows[:limit]]
    return ClaimPage(claims=found, next=found[-1].claim_number if len(rows) > limit else None)


def _claim(row: Any) -> Claim:
    return Claim(
        claim_number=row.claim_number,
        session_id=row.session_id,
        payer_key=row.payer_key,
        service_date=row.service_date,
        stage=row.stage,
        hold=row.hold_code,
        reason=row.reason,
        due_at=row.due_at,
        updated_at=row.updated_at,
    )


@router.get("/claims/{number}")
async def show_claim(
    request: Request, caller: Looks, number: Annotated[Id, Path(max_length=16)]
) -> ClaimStatus:
    """Where a claim stands: why, what the rules found, and its money."""
    async with request.app.state.console.database.reading() as reading:
        await check_claim(reading, caller, number)
        row = await reading.first(select(claim).where(claim.c.claim_number == number))
        state = await claims.load_state(reading, number)
        found = await claims.read_findings(reading, number)
        reasons = why(state, await waiting.suspended(reading, number))
        money = await reading.first(
            text("SELECT * FROM claim_money WHERE claim_number = :claim").bindparams(claim=number)
        )
    return ClaimStatus(
        **_claim(row).model_dump(),
        version=state.version,
        why=reasons,
        findings=[
            FindingSaid(
                rule=item.rule,
                severity=item.severity.value,
                sentence=item.sentence,
                fix=item.fix,
                hold=item.hold,
                releasable=item.releasable,
                citation=item.source.citation if item.source else None,
            )
            for item in found
        ],
        money=Money(**{name: getattr(money, name) for name in Money.model_fields})
        if money is not None
        else None,
    )


class Release(Record):
    """Lets a claim go on although ``code`` holds it. ``until``: when that ends, if it does.
    ``item``: the work item that was seen; decided by somebody else since, it is refused."""

    code: Annotated[Id, Field(min_length=1, max_length=40)]
    reason: Annotated[Id, Field(min_length=1, max_length=2000)]
    until: Instant | None = None
    item: Annotated[Id, Field(max_length=64)] | None = None


class Released(BaseModel):
    claim_number: str
    stage: Stage
    hold: str | None


@router.post("/claims/{number}/release")
async def release_hold(
    request: Request,
    caller: Releases,
    idempotency_key: Once,
    number: Annotated[Id, Path(max_length=16)],
    release: Release,
) -> Released:
    """Let a held claim go on, with a reason. What takes two people, or a person within a limit of
    money, is refused: a system is nobody who has been let in."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_claim(reading, caller, number)
        state = await claims.load_state(reading, number)
    if state.hold is not None and state.hold.two_people:
        raise Refused("this hold is waived by two people, at the console")
    named = console.database.keyring.opaque("release", f"{caller.key.id}|{idempotency_key}")
    after = await console.desk.release_hold(
        number,
        code=release.code,
        by=caller.name,
        reason=release.reason,
        until=release.until,
        request=named,
        item=release.item,
    )
    return Released(claim_number=number, stage=after["stage"], hold=after["hold_code"])


@router.get("/work-items")
async def list_work(
    request: Request,
    caller: Looks,
    code: Annotated[Id | None, Query(max_length=40)] = None,
    queue: Annotated[Id | None, Query(max_length=40)] = None,
    state: Literal["open", "pended", "resolved"] = "open",
    order: Literal["due", "amount", "oldest"] = "due",
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Limit = 50,
) -> WorkPage:
    """What waits for a person."""
    console = request.app.state.console
    wanted = work.Wanted(
        code=code,
        queue=queue,
        pended=state == "pended",
        resolved=state == "resolved",
        sessions=None if caller.sees_all else sessions_seen(caller),
    )
    now = await console.clock.now()
    async with console.database.reading() as reading:
        found = await work.items(reading, wanted, now, order=order, limit=limit + 1, offset=offset)
    return WorkPage(items=[_item(item) for item in found[:limit]], more=len(found) > limit)


def _item(item: work.WorkItem) -> WorkItem:
    return WorkItem(**{name: getattr(item, name) for name in WorkItem.model_fields})


ItemId = Annotated[Id, Path(max_length=64)]


@router.get("/work-items/{item_id}")
async def show_work(request: Request, caller: Looks, item_id: ItemId) -> WorkItem:
    """One item, in whatever state."""
    async with request.app.state.console.database.reading() as reading:
        return _item(await _seen(reading, caller, item_id))


@router.post("/work-items/{item_id}/acts")
async def act(
    request: Request, caller: Works, idempotency_key: Once, item_id: ItemId, act: Act
) -> WorkItem:
    """Give an item to somebody, put it off, put it back, finish it or comment it. Refused when it
    has changed since it was seen; a claim's hold ends with its release."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await _seen(reading, caller, item_id)
    done = await console.desk.act_on(
        item_id,
        WorkAct(act.kind, to=act.to, until=act.until, text=act.text, revision=act.revision),
        caller.name,
        f"{caller.key.id}|{idempotency_key}",
    )
    return _item(done)


async def _seen(reading: Reading, caller: Caller, item_id: str) -> work.WorkItem:
    found = await work.read_item(reading, item_id)
    if not caller.sees_all:
        wanted = work.Wanted(sessions=sessions_seen(caller), item=item_id)
        if not await work.items(reading, wanted, found.opened_at, limit=1):
            raise UnknownRecord("a work item of that id")
    return found
