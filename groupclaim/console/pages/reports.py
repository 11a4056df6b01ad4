"""Reports: billed, allowed, paid, denied and open, by whom and for how long."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from groupclaim.console.access import Allow, Permission, Person, sees_all
from groupclaim.console.show import chosen, day, page
from groupclaim.store import audit, practice, reports

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Worker = Annotated[Person, Depends(Allow(Permission.WORK))]

PAGE = 50


@router.get("/reports")
async def show(
    request: Request,
    person: Viewer,
    kind: str = "",
    first: str = "",
    last: str = "",
    number: int = 1,
) -> Response:
    """One report over a span of days of service. They add up the practice: who sees a part of it
    sees none."""
    console = request.app.state.console
    kind, since, until = _asked(kind, first, last)
    number = max(number, 1)
    now = await console.clock.now()
    rows: list[dict[str, Any]] = []
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        if sees_all(person):
            today = now.astimezone(ZoneInfo(zone)).date()
            rows = await reports.report(reading, kind, today, since, until)
    start = (number - 1) * PAGE
    return page(
        request,
        "reports.html",
        person,
        zone=zone,
        now=now,
        whole=sees_all(person),
        kinds=reports.KINDS,
        kind=kind,
        first=first,
        last=last,
        rows=rows[start : start + PAGE],
        total=len(rows),
        more=start + PAGE < len(rows),
        number=number,
        heading=_heading,
        figure=reports.figure,
    )


def _heading(column: str) -> str:
    return reports.heading(column).replace("_", " ")


@router.get("/reports/export")
async def export(
    request: Request, person: Worker, kind: str = "", first: str = "", last: str = ""
) -> Response:
    """The same as a file for a spreadsheet. Each export is in the audit log."""
    console = request.app.state.console
    kind, since, until = _asked(kind, first, last)
    if not sees_all(person):
        raise HTTPException(404, "Reports concern the whole practice.")
    now = await console.clock.now()
    async with console.database.transaction() as tx:
        today = now.astimezone(ZoneInfo(await practice.time_zone(tx))).date()
        rows = await reports.report(tx, kind, today, since, until)
        detail = {"report": kind, "first": first, "last": last, "rows": len(rows)}
        await audit.record(tx, now, person.name, "export_report", kind, detail)
    return Response(
        reports.as_csv(rows),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{kind}.csv"'},
    )


def _asked(kind: str, first: str, last: str) -> tuple[reports.Kind, date | None, date | None]:
    name: Any = chosen(kind, reports.KINDS, "kind")
    since, until = day(first, "first"), day(last, "last")
    if since and until and until < since:
        raise HTTPException(422, "last: before first")
    return name, since, until
