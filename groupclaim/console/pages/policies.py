"""Payers' policies: every value with its source, its days, and whether anyone has read it there."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from groupclaim.console.access import Allow, Permission, Person
from groupclaim.console.show import page
from groupclaim.policy.payer import NoPolicy
from groupclaim.store import practice

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]


@router.get("/policies")
async def policies(request: Request, person: Viewer) -> Response:
    """Every policy with what is in force today and how much of it is not verified."""
    console = request.app.state.console
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
    today = now.astimezone(ZoneInfo(zone)).date()
    rows = []
    for name in console.policies.names:
        editions = console.policies.editions(name)
        try:
            current = console.policies.policy(name, today)
        except NoPolicy:
            current = None
        groups = list(current.groups()) if current else []
        rows.append(
            {
                "name": name,
                "editions": len(editions),
                "current": current,
                "groups": len(groups),
                "unverified": [key for key, group in groups if not group.verified],
            }
        )
    return page(
        request, "policies.html", person, zone=zone, now=now, rows=rows, playbook=console.playbook
    )


@router.get("/policies/{name}")
async def policy(request: Request, person: Viewer, name: str) -> Response:
    """Every edition of one policy, the latest first."""
    console = request.app.state.console
    now = await console.clock.now()
    try:
        editions = console.policies.editions(name)
    except NoPolicy:
        raise HTTPException(404, "There is no such policy.") from None
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
    return page(
        request,
        "policy.html",
        person,
        zone=zone,
        now=now,
        today=now.astimezone(ZoneInfo(zone)).date(),
        name=name,
        editions=list(reversed(editions)),
    )
