"""Group sessions as people look at them: who came, what became of each claim, and whether the sums
come out. Nothing here names a patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, case, column, exists, func, select, table, true

from groupclaim.lifecycle.state import Step
from groupclaim.model.facts import EligibilityAnswer
from groupclaim.model.finding import Finding
from groupclaim.store import authorizations, claims, practice
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import (
    audited_line,
    claim,
    eligibility,
    group_session,
    note,
    participant,
    remittance_claim,
)

_STANDING = table("participant_standing", column("claim_number"), column("standing"))
_MONEY = table("claim_money", column("claim_number"), column("allowed_cents"), column("paid_cents"))
_COPIES = frozenset({"cloned_note", "note_like_another", "no_individual_section", "member_named"})
"""Rules about what a note shares with another, or says of another."""


@dataclass(frozen=True, slots=True)
class Balance:
    """One session's people and claims, counted from what was put on file, from the claims and from
    the remittances apart, so that the three can disagree."""

    roster: int
    attended: int
    excused: int
    no_show: int
    recorded: bool
    billed: int
    held: int
    not_billable: int
    in_progress: int
    paid: int
    denied: int
    open: int

    @property
    def off(self) -> tuple[str, ...]:
        """Which equations do not come out: ``roster``, ``attended``, ``billed``."""
        there = self.attended + self.excused + self.no_show
        carried = self.billed + self.held + self.not_billable + self.in_progress
        return tuple(
            name
            for name, comes_out in (
                ("roster", self.roster == there or not self.recorded),
                ("attended", self.attended == carried),
                ("billed", self.billed == self.paid + self.denied + self.open),
            )
            if not comes_out
        )


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session in a list."""

    session_id: str
    starts_at: datetime
    service_date: date
    stage: str
    clinician: str
    location: str
    balance: Balance
    allowed_cents: int
    paid_cents: int


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant by the gates that their claim passes.

    ``authorization_left``: units nobody holds of those in force on the day; None without any.
    ``variance_cents``: allowed less the middle of what the same payer allowed for the others in the
    room; None where there is nobody to compare with. ``short_cents``: below the contract."""

    claim_number: str
    payer: str
    attendance: str | None
    minutes: int
    note_signed_at: datetime | None
    documentation: tuple[Finding, ...]
    copies: tuple[Finding, ...]
    authorization_left: int | None
    eligibility: Literal["active", "inactive", "not known", "not asked"]
    stage: str
    hold_code: str | None
    reason: str | None
    standing: str
    allowed_cents: int | None
    paid_cents: int
    short_cents: int
    variance_cents: int | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which sessions: ``rows`` is what the reader may see."""

    rows: ColumnElement[bool]
    stage: str = ""
    first_day: date | None = None
    last_day: date | None = None

    def where(self) -> ColumnElement[bool]:
        terms = [self.rows]
        if self.stage:
            terms.append(group_session.c.stage == self.stage)
        if self.first_day:
            terms.append(group_session.c.service_date >= self.first_day)
        if self.last_day:
            terms.append(group_session.c.service_date <= self.last_day)
        return and_(true(), *terms)


ORDERS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "newest": (group_session.c.starts_at.desc(), group_session.c.id),
    "oldest": (group_session.c.starts_at, group_session.c.id),
}


async def count(reading: Reading, chosen: Chosen) -> int:
    found: int = await reading.scalar(
        select(func.count()).select_from(group_session).where(chosen.where())
    )
    return found


async def lines(
    reading: Reading, chosen: Chosen, *, order: str = "newest", limit: int = 50, offset: int = 0
) -> tuple[SessionLine, ...]:
    """The chosen sessions, at most ``limit``."""
    rows = await reading.rows(
        select(group_session)
        .where(chosen.where())
        .order_by(*ORDERS[order])
        .limit(limit)
        .offset(offset)
    )
    return await _lines(reading, rows)


async def line(reading: Reading, session_id: str, rows: ColumnElement[bool]) -> SessionLine:
    """One session. Raises :class:`UnknownRecord` for one that is not among ``rows``."""
    found = await reading.rows(select(group_session).where(group_session.c.id == session_id, rows))
    if not found:
        raise UnknownRecord("session")
    return (await _lines(reading, found))[0]


async def _lines(reading: Reading, rows: Sequence[Row[Any]]) -> tuple[SessionLine, ...]:
    balances = await _balances(reading, rows)
    money = await _money_of(reading, [row.id for row in rows])
    names = await practice.names(reading)
    return tuple(
        SessionLine(
            session_id=row.id,
            starts_at=row.starts_at,
            service_date=row.service_date,
            stage=row.stage,
            clinician=names[row.clinician_id],
            location=names[row.location_id],
            balance=balances[row.id],
            allowed_cents=money.get(row.id, (0, 0))[0],
            paid_cents=money.get(row.id, (0, 0))[1],
        )
        for row in rows
    )


def _decided(*postings: str) -> ColumnElement[bool]:
    return exists().where(
        remittance_claim.c.claim_number == participant.c.claim_number,
        remittance_claim.c.posting.in_(postings),
        remittance_claim.c.reversed_by.is_(None),
    )


async def _balances(reading: Reading, sessions: Sequence[Row[Any]]) -> dict[str, Balance]:
    ids = [row.id for row in sessions]
    people = await reading.rows(
        select(participant.c.session_id, participant.c.attendance, func.count().label("people"))
        .where(participant.c.session_id.in_(ids), participant.c.on_roster)
        .group_by(participant.c.session_id, participant.c.attendance)
    )
    fate = case((_decided("applied"), "paid"), (_decided("denied"), "denied"), else_="open")
    carried = await reading.rows(
        select(
            participant.c.session_id,
            _STANDING.c.standing,
            fate.label("fate"),
            func.count().label("claims"),
        )
        .join(_STANDING, _STANDING.c.claim_number == participant.c.claim_number)
        .where(
            participant.c.session_id.in_(ids),
            participant.c.on_roster,
            participant.c.attendance == "attended",
        )
        .group_by(participant.c.session_id, _STANDING.c.standing, fate)
    )
    return {
        row.id: _balance(
            row.attendance_recorded_at is not None,
            {item.attendance: item.people for item in people if item.session_id == row.id},
            [item for item in carried if item.session_id == row.id],
        )
        for row in sessions
    }


def _balance(recorded: bool, people: dict[str, int], carried: Sequence[Row[Any]]) -> Balance:
    def claims_of(standing: str, fate: str | None = None) -> int:
        return sum(
            item.claims
            for item in carried
            if item.standing == standing and fate in (None, item.fate)
        )

    return Balance(
        roster=sum(people.values()),
        attended=people.get("attended", 0),
        excused=people.get("excused", 0),
        no_show=people.get("no_show", 0),
        recorded=recorded,
        billed=claims_of("billed"),
        held=claims_of("held"),
        not_billable=claims_of("not_billable"),
        in_progress=claims_of("in_progress"),
        paid=claims_of("billed", "paid"),
        denied=claims_of("billed", "denied"),
        open=claims_of("billed", "open"),
    )


async def _money_of(reading: Reading, session_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """What payers allowed and paid, by session."""
    of = await reading.rows(
        select(claim.c.claim_number, claim.c.session_id).where(claim.c.session_id.in_(session_ids))
    )
    amounts = await _amounts(reading, [row.claim_number for row in of])
    sums: dict[str, tuple[int, int]] = {}
    for row in of:
        allowed, paid = sums.get(row.session_id, (0, 0))
        money = amounts[row.claim_number]
        sums[row.session_id] = (
            allowed + int(money.allowed_cents or 0),
            paid + int(money.paid_cents or 0),
        )
    return sums


async def _amounts(reading: Reading, numbers: Sequence[str]) -> dict[str, Row[Any]]:
    """What payers allowed and paid, by claim."""
    # By number, not by a join: the view adds up what each claim's transfers say, and a database
    # does that for all claims there are before it joins.
    rows = await reading.rows(select(_MONEY).where(_MONEY.c.claim_number.in_(numbers)))
    return {row.claim_number: row for row in rows}


async def seats(reading: Reading, session_id: str) -> tuple[Seat, ...]:
    """Everyone on a session's roster, by claim number."""
    short = (
        select(func.coalesce(func.sum(audited_line.c.shortfall_cents), 0))
        .where(audited_line.c.claim_number == participant.c.claim_number)
        .scalar_subquery()
    )
    rows = await reading.rows(
        select(
            participant,
            claim.c.stage,
            claim.c.hold_code,
            claim.c.reason,
            claim.c.payer_key,
            claim.c.service_date,
            case((note.c.withdrawn_at.is_(None), note.c.signed_at)).label("signed_at"),
            eligibility.c.document.label("answer"),
            _STANDING.c.standing,
            short.label("short"),
        )
        .join(claim, claim.c.claim_number == participant.c.claim_number)
        .join(_STANDING, _STANDING.c.claim_number == participant.c.claim_number)
        .outerjoin(eligibility, eligibility.c.claim_number == participant.c.claim_number)
        .outerjoin(
            note,
            and_(
                note.c.session_id == participant.c.session_id,
                note.c.patient_id == participant.c.patient_id,
            ),
        )
        .where(participant.c.session_id == session_id, participant.c.on_roster)
        .order_by(participant.c.claim_number)
    )
    names = await practice.names(reading)
    amounts = await _amounts(reading, [row.claim_number for row in rows])
    return tuple([await _seat(reading, row, rows, amounts, names) for row in rows])


async def _seat(
    reading: Reading,
    row: Row[Any],
    room: Sequence[Row[Any]],
    amounts: Mapping[str, Row[Any]],
    names: Mapping[str, str],
) -> Seat:
    found = await claims.read_findings(reading, row.claim_number, Step.CHECK_DOCUMENTATION)
    return Seat(
        claim_number=row.claim_number,
        payer=names.get(row.payer_key, "no payer"),
        attendance=row.attendance,
        minutes=row.minutes,
        note_signed_at=row.signed_at,
        documentation=tuple(item for item in found if item.rule not in _COPIES),
        copies=tuple(item for item in found if item.rule in _COPIES),
        authorization_left=await _left(reading, row),
        eligibility=_eligible(reading, row.answer),
        stage=row.stage,
        hold_code=row.hold_code,
        reason=row.reason,
        standing=row.standing,
        allowed_cents=amounts[row.claim_number].allowed_cents,
        paid_cents=amounts[row.claim_number].paid_cents,
        short_cents=int(row.short),
        variance_cents=_variance(row, room, amounts),
    )


def _eligible(
    reading: Reading, document: bytes | None
) -> Literal["active", "inactive", "not known", "not asked"]:
    if document is None:
        return "not asked"
    answer = reading.unseal(eligibility, document, EligibilityAnswer)
    if not answer.member_known:
        return "not known"
    return "active" if answer.active else "inactive"


async def _left(reading: Reading, row: Row[Any]) -> int | None:
    permits = await authorizations.of_patient(reading, row.patient_id, row.claim_number)
    left: list[int] = [
        item.units - item.used for item in permits if item.in_force(row.service_date)
    ]
    return sum(left, start=0) if left else None


def _variance(
    row: Row[Any], room: Sequence[Row[Any]], amounts: Mapping[str, Row[Any]]
) -> int | None:
    allowed = amounts[row.claim_number].allowed_cents
    others = [
        amounts[item.claim_number].allowed_cents
        for item in room
        if item.payer_key == row.payer_key
        and item.claim_number != row.claim_number
        and amounts[item.claim_number].allowed_cents is not None
    ]
    if allowed is None or not others:
        return None
    between: float = allowed - median(others)
    return round(between)
