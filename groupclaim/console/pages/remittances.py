"""Payers' payments: each with whether it comes out, one payment's claims, and unapplied cash."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, true

from groupclaim.console.access import Allow, Permission, Person, sees_all
from groupclaim.console.pages.claims import check_seen
from groupclaim.console.show import chosen, page
from groupclaim.store import ledger, practice, remittances
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.provider_adjustments import forward_balances
from groupclaim.store.schema import (
    audited_line,
    bank_deposit,
    claim_version,
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
)

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Cashier = Annotated[Person, Depends(Allow(Permission.MONEY))]
Text = Annotated[str, Form(max_length=2000)]

PAGE = 50
TABS = {
    "": "All",
    "posted": "Posted",
    "suspense": "Suspense",
    "reversals": "Reversals",
    "denied": "Denied",
    "provider": "Provider-level",
    "duplicates": "Duplicates",
    "unapplied": "Unapplied cash",
}
_SORTS = ("newest", "oldest", "amount")
_ORDER: dict[str, tuple[ColumnElement[Any], ...]] = {
    "newest": (remittance.c.payment_date.desc(), remittance.c.id.desc()),
    "oldest": (remittance.c.payment_date, remittance.c.id),
    "amount": (remittance.c.paid_cents.desc(), remittance.c.id),
}
GROUPS = {
    "CO": "by contract, never asked of the patient",
    "PR": "the patient's share",
    "OA": "settled elsewhere",
    "PI": "the payer's own decision",
}


def _posting(kind: str) -> ColumnElement[bool]:
    return exists().where(
        remittance_claim.c.remittance_id == remittance.c.id, remittance_claim.c.posting == kind
    )


_WHERE: dict[str, ColumnElement[bool]] = {
    "": true(),
    "posted": remittance.c.state == "posted",
    "suspense": and_(remittance.c.state == "suspended", remittance.c.returned_at.is_(None)),
    "reversals": _posting("reversal"),
    "denied": _posting("denied"),
    "provider": exists().where(provider_adjustment.c.remittance_id == remittance.c.id),
    "duplicates": remittance.c.state == "duplicate",
}


def _payments() -> Select[Any]:
    """Payments with their sums: what claims add up to, what was taken besides, what the bank got.
    Nothing is known of the parts of one that has not been read or is a copy."""
    claims_total = (
        select(func.coalesce(func.sum(remittance_claim.c.paid_cents), 0))
        .where(remittance_claim.c.remittance_id == remittance.c.id)
        .scalar_subquery()
    )
    besides = (
        select(func.coalesce(func.sum(provider_adjustment.c.cents), 0))
        .where(provider_adjustment.c.remittance_id == remittance.c.id)
        .scalar_subquery()
    )
    read = remittance.c.state.in_(("posted", "suspended"))
    return select(
        remittance,
        case((read, claims_total)).label("claims_cents"),
        case((read, besides)).label("besides_cents"),
        case((read, remittance.c.paid_cents - claims_total + besides)).label("off_cents"),
        bank_deposit.c.cents.label("deposited_cents"),
    ).outerjoin(bank_deposit, bank_deposit.c.remittance_id == remittance.c.id)


async def _called(reading: Reading, payer_ids: set[str]) -> dict[str, str]:
    """What the practice calls the payers that name themselves so in remittances: by the claims that
    they have paid. One that has paid none of ours keeps its own number."""
    names = await practice.names(reading)
    called = {}
    for payer_id in payer_ids:
        key = await reading.scalar(
            select(claim_version.c.payer_key)
            .join(
                remittance_claim,
                and_(
                    remittance_claim.c.claim_number == claim_version.c.claim_number,
                    remittance_claim.c.version == claim_version.c.version,
                ),
            )
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(remittance.c.payer_id == payer_id)
            .limit(1)
        )
        called[payer_id] = names.get(key or "", payer_id)
    return called


@router.get("/remittances")
async def payments(
    request: Request, person: Viewer, tab: str = "", sort: str = "", number: int = 1
) -> Response:
    """The payments. They concern the whole practice: who sees a part of it sees none."""
    console = request.app.state.console
    tab, sort = chosen(tab, tuple(TABS), "tab"), chosen(sort, _SORTS, "sort")
    number = max(number, 1)
    start = (number - 1) * PAGE
    now = await console.clock.now()
    rows: Any = ()
    unapplied: Any = ()
    forward: Any = ()
    total = 0
    counts: dict[str, int] = {}
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        if sees_all(person):
            waiting = await ledger.unapplied_items(reading)
            counts = {
                name: await reading.scalar(
                    select(func.count()).select_from(remittance).where(where)
                )
                for name, where in _WHERE.items()
            }
            counts["unapplied"] = len(waiting)
            total = counts[tab]
            if tab == "unapplied":
                unapplied = waiting[start : start + PAGE]
            else:
                query = _payments().where(_WHERE[tab]).order_by(*_ORDER[sort])
                rows = await reading.rows(query.limit(PAGE).offset(start))
            if tab == "provider":
                forward = await forward_balances(reading)
        names = await _called(reading, {item.payer_id for item in (*rows, *unapplied, *forward)})
    return page(
        request,
        "remittances.html",
        person,
        zone=zone,
        now=now,
        whole=sees_all(person),
        tabs=TABS,
        tab=tab,
        sort=sort,
        counts=counts,
        rows=rows,
        unapplied=unapplied,
        forward=forward,
        payers=names,
        total=total,
        shown=len(rows) + len(unapplied),
        more=start + PAGE < total,
        number=number,
        told=request.query_params.get("told", ""),
    )


@router.get("/remittances/{remittance_id}")
async def payment(request: Request, person: Viewer, remittance_id: str) -> Response:
    """One payment: its claims and lines, what was taken off and why, what does not come out."""
    console = request.app.state.console
    _check_whole(person)
    key = _key(remittance_id)
    off = await console.cash.differences(key)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        row = await reading.first(_payments().where(remittance.c.id == key))
        if row is None:
            raise UnknownRecord("remittance")
        parts = await remittances.page(reading, key)
        cuts = await reading.rows(
            select(remittance_adjustment)
            .where(remittance_adjustment.c.remittance_id == key)
            .order_by(
                remittance_adjustment.c.claim_position,
                remittance_adjustment.c.line_position,
                remittance_adjustment.c.position,
            )
        )
        remarks = await reading.rows(
            select(remittance_claim.c.position, remittance_claim.c.remarks).where(
                remittance_claim.c.remittance_id == key
            )
        )
        audited = await reading.rows(
            select(audited_line).where(audited_line.c.remittance_id == key)
        )
        names = await _called(reading, {row.payer_id})
    return page(
        request,
        "remittance.html",
        person,
        zone=zone,
        now=now,
        payment=row,
        parts=parts,
        off=off,
        cuts=cuts,
        remarks={item.position: item.remarks.split() for item in remarks},
        told=request.query_params.get("told", ""),
        audited={(item.claim_position, item.line_position): item for item in audited},
        payers=names,
        groups=GROUPS,
        playbook=console.playbook,
    )


@router.post("/unapplied")
async def assign(
    request: Request, person: Cashier, item: Text, claim: Text, reason: Text
) -> Response:
    """Apply money without a claim to the claim that a person names."""
    console = request.app.state.console
    _check_whole(person)
    async with console.database.reading() as reading:
        await check_seen(reading, person, claim.strip())
    await console.cash.assign(item, claim.strip(), by=person.name, reason=reason)
    return RedirectResponse("/remittances?tab=unapplied&told=assigned", status_code=303)


@router.post("/unapplied/return")
async def return_unapplied(request: Request, person: Cashier, item: Text, reason: Text) -> Response:
    """Note that money without a claim went back to the payer, by who may give so much back."""
    console = request.app.state.console
    _check_whole(person)
    await console.cash.return_unapplied(item, by=person.name, reason=reason)
    return RedirectResponse("/remittances?tab=unapplied&told=returned", status_code=303)


@router.post("/unapplied/settle")
async def settle(
    request: Request,
    person: Cashier,
    item: Text,
    account: Annotated[
        Literal["takeback", "interest", "withheld", "other_adjustment", "write_off"], Form()
    ],
    reason: Text,
) -> Response:
    """Book a provider-level amount as what the payer's letter says it is."""
    console = request.app.state.console
    _check_whole(person)
    await console.cash.settle(
        item, ledger.Account(account), by=person.name, second=None, reason=reason
    )
    return RedirectResponse("/remittances?tab=unapplied&told=settled", status_code=303)


@router.post("/remittances/{remittance_id}/accept")
async def accept(request: Request, person: Cashier, remittance_id: str, reason: Text) -> Response:
    """Post a payment that stands in suspense because another has its name."""
    console = request.app.state.console
    _check_whole(person)
    await console.cash.accept(_key(remittance_id), by=person.name, second=None, reason=reason)
    return RedirectResponse(f"/remittances/{remittance_id}?told=accepted", status_code=303)


@router.post("/remittances/{remittance_id}/return")
async def return_suspended(
    request: Request, person: Cashier, remittance_id: str, reason: Text
) -> Response:
    """Note that the money of a payment in suspense went back, by who may give so much back."""
    console = request.app.state.console
    _check_whole(person)
    await console.cash.return_suspended(_key(remittance_id), by=person.name, reason=reason)
    return RedirectResponse(f"/remittances/{remittance_id}?told=returned", status_code=303)


def _check_whole(person: Person) -> None:
    """Raises UnknownRecord for who sees a part of the practice."""
    if not sees_all(person):
        raise UnknownRecord("remittance")


def _key(remittance_id: str) -> int:
    if not remittance_id.isdecimal() or len(remittance_id) > 17:
        raise UnknownRecord("remittance")
    return int(remittance_id)
