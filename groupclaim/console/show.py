"""How pages are written: templates, and how amounts, times and codes read on them."""

from __future__ import annotations

import secrets
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import QueryParams

from groupclaim.console.access import Person
from groupclaim.model.money import Cents

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _money(cents: int | None) -> str:
    """Dollars with thousands apart; a dash for none."""
    if cents is None:
        return "–"
    text = str(Cents(abs(cents)))
    whole, _, part = text.partition(".")
    return f"{'−' if cents < 0 else ''}{int(whole):,}.{part}"


def _moment(at: datetime | str | None, zone: str) -> str:
    """In the practice's time zone, to the minute."""
    if at is None:
        return "–"
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def _local(at: datetime, zone: str) -> str:
    """As a form's field for day and time takes it, in the practice's time zone."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def _utc(at: datetime | str | None) -> str:
    if at is None:
        return ""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment.astimezone(ZoneInfo('UTC')):%Y-%m-%d %H:%M} UTC"


def _words(code: str | None) -> str:
    return (code or "–").replace("_", " ")


def _link(query: QueryParams, **changes: str | int) -> str:
    """The query of this page with some values changed, as a link's ``?...``."""
    values = {name: value for name, value in query.items() if name != "told"}
    return "?" + urlencode({**values, **changes})


def _request_key() -> str:
    """Names one decision: the form sent twice decides once."""
    return secrets.token_hex(16)


_TEMPLATES.filters.update(money=_money, moment=_moment, local=_local, utc=_utc, words=_words)
_TEMPLATES.globals.update(link=_link, request_key=_request_key)


def page(
    request: Request,
    template: str,
    person: Person | None,
    *,
    zone: str = "UTC",
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """``template`` filled with ``context``, for ``person`` and in their practice's time zone."""
    served = {getattr(route, "path", "") for route in request.app.routes}
    text = _TEMPLATES.get_template(template).render(
        person=person,
        zone=zone,
        path=request.url.path,
        query=request.query_params,
        pages_served=served,
        **context,
    )
    return HTMLResponse(text, status_code=status)


def error_page(request: Request, status: int, said: str) -> HTMLResponse:
    """What went wrong, in a sentence that says what to do."""
    person: Person | None = getattr(request.state, "person", None)
    return page(request, "error.html", person, status=status, code=status, said=said)


def chosen(value: str | None, allowed: tuple[str, ...], name: str) -> str:
    """One of ``allowed``, the first when none is given. Sorting and filtering go by such lists:
    what a browser sends never becomes part of a query's text."""
    if not value:
        return allowed[0]
    if value not in allowed:
        raise HTTPException(422, f"{name}: one of {', '.join(item or 'all' for item in allowed)}")
    return value


def day(value: str | None, name: str) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise HTTPException(422, f"{name}: a day as 2026-03-31") from None


def dollars(value: str, name: str) -> Cents:
    """An amount that somebody typed, as 12.50 or 1,200."""
    try:
        amount = Decimal(value.strip().removeprefix("$").replace(",", ""))
    except InvalidOperation:
        raise HTTPException(422, f"{name}: an amount as 12.50") from None
    if not amount.is_finite() or not 0 < amount < 1_000_000 or amount * 100 % 1:
        raise HTTPException(422, f"{name}: an amount above zero in whole cents, as 12.50")
    return Cents(int(amount * 100))
