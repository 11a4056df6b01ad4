"""Coming in and leaving: password or identity provider, emergency access, sign-out."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from groupclaim.console.access import Allow, Permission, Person, Public
from groupclaim.console.console import Console
from groupclaim.console.oidc import Attempt, SignInFailed
from groupclaim.console.show import page
from groupclaim.model.base import InputRefused
from groupclaim.store import audit, people

router = APIRouter()

Anyone = Annotated[Person | None, Depends(Public())]
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Text = Annotated[str, Form(max_length=500)]


def cookie_name(secure: bool) -> str:
    """``__Host-`` binds the cookie to this host and to encrypted connections."""
    return "__Host-groupclaim" if secure else "groupclaim"


def _attempt_cookie(secure: bool) -> str:
    return "__Host-groupclaim-attempt" if secure else "groupclaim-attempt"


def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def _inside(path: str) -> str:
    """``path`` when it is one of ours, else the first page: never another site."""
    if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"


@router.get("/health")
async def health(request: Request, person: Anyone) -> Response:
    """For probes: the console answers and its database too."""
    console = _console(request)
    async with console.database.reading() as reading:
        await people.anyone(reading)
    return Response("ok", media_type="text/plain")


@router.get("/sign-in")
async def ask(request: Request, person: Anyone, next: str = "/") -> Response:  # noqa: A002
    if person is not None:
        return RedirectResponse(_inside(next), status_code=303)
    return _form(request, next)


def _form(request: Request, back: str, said: str = "", status: int = 200) -> Response:
    provider = _console(request).identity_provider is not None
    return page(
        request,
        "sign_in.html",
        None,
        status=status,
        back=_inside(back),
        said=said,
        provider=provider,
    )


@router.post("/sign-in")
async def sign_in(
    request: Request,
    anyone: Anyone,
    name: Text,
    password: Text,
    next: Text = "/",  # noqa: A002
) -> Response:
    console = _console(request)
    now = console.wall()
    if not request.app.state.sign_ins.admits(request.client.host if request.client else "", now):
        return _form(request, next, "Too many attempts. Wait a minute.", 429)
    async with console.database.transaction() as tx:
        found = await people.check_password(tx, name, password, now)
        user = found if isinstance(found, people.User) else None
        outcome = "sign_in" if user else "sign_in_refused"
        subject = user.id if user else "unknown user"
        await audit.record(tx, now, user.account.name if user else "nobody", outcome, subject)
        token = await people.begin_visit(tx, user.id, now) if user else ""
    if isinstance(found, datetime):
        return _form(request, next, "Too many wrong passwords. Locked for 15 minutes.", 403)
    if user is None:
        return _form(request, next, "Name and password do not belong together.", 403)
    return _come_in(console, token, "/password" if user.must_change else _inside(next))


def _come_in(console: Console, token: str, where: str) -> Response:
    response = RedirectResponse(where, status_code=303)
    response.set_cookie(
        cookie_name(console.secure),
        token,
        max_age=int(people.ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=console.secure,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/sign-in/provider")
async def to_provider(request: Request, anyone: Anyone) -> Response:
    """Send the browser to the identity provider."""
    console = _console(request)
    if console.identity_provider is None:
        raise HTTPException(404, "There is no such page.")
    try:
        where, attempt = await console.identity_provider.begin(_redirect_uri(console))
    except SignInFailed as failed:
        return _form(request, "/", str(failed), 503)
    response = RedirectResponse(where, status_code=303)
    response.set_cookie(
        _attempt_cookie(console.secure),
        urlsafe_b64encode(json.dumps(asdict(attempt)).encode()).decode(),
        max_age=600,
        path="/",
        secure=console.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _redirect_uri(console: Console) -> str:
    return f"{console.origin}/sign-in/answer"


@router.get("/sign-in/answer")
async def from_provider(
    request: Request, anyone: Anyone, code: str = "", state: str = ""
) -> Response:
    """The identity provider sent the browser back."""
    console = _console(request)
    provider = console.identity_provider
    kept = request.cookies.get(_attempt_cookie(console.secure), "")
    if provider is None or not kept or not code:
        return _form(request, "/", "The sign-in was not completed. Begin again.", 403)
    now = console.wall()
    try:
        attempt = Attempt(**json.loads(urlsafe_b64decode(kept)))
        subject = await provider.finish(code, state, attempt, _redirect_uri(console), now)
    except (ValueError, TypeError):
        return _form(request, "/", "The sign-in was not completed. Begin again.", 403)
    except SignInFailed as failed:
        return _form(request, "/", str(failed), 403)
    async with console.database.transaction() as tx:
        user = await people.of_subject(tx, subject)
        who = user.account.name if user else "nobody"
        outcome = "sign_in" if user else "sign_in_refused"
        await audit.record(tx, now, who, outcome, user.id if user else "unknown user")
        token = await people.begin_visit(tx, user.id, now) if user else ""
    if user is None:
        said = "You are known there, but nobody has let you in here. Ask an administrator."
        return _form(request, "/", said, 403)
    response = _come_in(console, token, "/")
    response.delete_cookie(_attempt_cookie(console.secure), path="/", secure=console.secure)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, person: Viewer) -> Response:
    console = _console(request)
    name = cookie_name(console.secure)
    async with console.database.transaction() as tx:
        await people.end_visit(tx, request.cookies.get(name, ""))
        await audit.record(tx, console.wall(), person.name, "sign_out", person.user.id)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(name, path="/", secure=console.secure)
    return response


@router.get("/password")
async def password_form(request: Request, person: Viewer) -> Response:
    if not person.user.local:
        raise HTTPException(404, "There is no such page.")
    return page(request, "password.html", person, said="")


@router.post("/password")
async def change_password(
    request: Request, person: Viewer, current: Text, new: Text, again: Text
) -> Response:
    """A new password; every session ends, and this one begins anew."""
    console = _console(request)
    now = console.wall()
    said = "" if new == again else "The two new passwords differ."
    if not said:
        try:
            async with console.database.transaction() as tx:
                known = await people.check_password(tx, person.name, current, now)
                if not isinstance(known, people.User):
                    said = "The current password is wrong."
                else:
                    await people.change_password(tx, person.user.id, new)
                    await audit.record(tx, now, person.name, "change_password", person.user.id)
                    token = await people.begin_visit(tx, person.user.id, now)
        except InputRefused as refused:
            said = str(refused)
    if said:
        return page(request, "password.html", person, status=422, said=said)
    return _come_in(console, token, "/")


@router.post("/emergency")
async def begin_emergency(request: Request, person: Viewer, reason: Text) -> Response:
    """Emergency access: see what the role does not show, for hours, with a reason and an alert."""
    console = _console(request)
    now = console.wall()
    async with console.database.transaction() as tx:
        until = await people.begin_emergency(tx, person.user.id, reason, now)
        detail = {"reason": reason, "until": until.isoformat()}
        await audit.record(tx, now, person.name, "emergency_access", person.user.id, detail)
    return RedirectResponse("/", status_code=303)


@router.post("/emergency/end")
async def end_emergency(request: Request, person: Viewer) -> Response:
    console = _console(request)
    now = console.wall()
    async with console.database.transaction() as tx:
        await people.end_emergency(tx, person.user.id, now)
        await audit.record(tx, now, person.name, "emergency_access_ended", person.user.id)
    return RedirectResponse("/", status_code=303)
