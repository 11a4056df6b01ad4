"""The console as one ASGI application: who comes in, what they may ask, and how answers leave.

Every answer carries a strict content security policy; every changing request must come from one of
our own pages (origin and a token of the session); errors say what to do and never what was in the
data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.front_desk import Refused
from groupclaim.console import sign_in
from groupclaim.console.access import SignInNeeded, person_of, unguarded
from groupclaim.console.api.application import create_api
from groupclaim.console.api.door import PATH as API
from groupclaim.console.api.door import problem
from groupclaim.console.console import Console
from groupclaim.console.limits import RateLimit
from groupclaim.console.pages import (
    claims,
    denials,
    disputes,
    policies,
    remittances,
    reports,
    sessions,
    today,
)
from groupclaim.console.show import error_page
from groupclaim.model.base import InputRefused
from groupclaim.store import people
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.work import ChangedMeanwhile

_STATIC = Path(__file__).parent / "static"
_LARGEST_BODY = 10_000_000
_SIGN_INS_A_MINUTE = 20

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class UnguardedRoute(RuntimeError):
    """A route states no permission, so nothing is served."""


def create_app(console: Console) -> FastAPI:
    """The application. Raises :class:`UnguardedRoute` while any route is open by mistake."""
    app = FastAPI(title="groupclaim", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.console = console
    app.state.sign_ins = RateLimit(_SIGN_INS_A_MINUTE, timedelta(minutes=1))
    for part in (
        sign_in,
        today,
        claims,
        sessions,
        remittances,
        denials,
        disputes,
        reports,
        policies,
    ):
        # Not include_router: the walk below must see every single route.
        app.router.routes.extend(part.router.routes)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    open_routes = unguarded(app.routes, open_mounts=frozenset({"/static"}))
    if open_routes:
        raise UnguardedRoute(f"no permission stated: {', '.join(open_routes)}")
    # The API has a door of its own, which asks for a key and a scope.
    app.mount(API, create_api(console), name="api")
    _handle_errors(app)
    limit = RateLimit(console.requests_a_minute, timedelta(minutes=1))

    @app.middleware("http")
    async def _at_the_door(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        request.state.person = None
        response = None
        if request.url.path.startswith(f"{API}/"):
            response = await call_next(request)
        else:
            response = await _refused_at_once(request, console, limit)
        if response is None:
            try:
                await _recognize(request, console)
                response = await call_next(request)
            except SQLAlchemyError as error:
                structlog.get_logger("groupclaim.console").error(
                    "no database", exception_type=type(error).__name__
                )
                response = error_page(request, 503, "The database does not answer. Try again soon.")
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.url.path.startswith("/static/"):
            response.headers["cache-control"] = "no-store"
        if console.secure:
            response.headers["strict-transport-security"] = "max-age=31536000"
        return response

    return app


async def _refused_at_once(request: Request, console: Console, limit: RateLimit) -> Response | None:
    now = console.wall()
    if not limit.admits(request.client.host if request.client else "", now):
        return error_page(request, 429, "Too many requests. Wait a minute.")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > _LARGEST_BODY:
        said = f"That is too large: a request holds at most {_LARGEST_BODY // 1_000_000} MB."
        return error_page(request, 413, said)
    if request.method not in ("GET", "HEAD"):
        if "transfer-encoding" in request.headers:
            return error_page(request, 411, "The length of the request is missing.")
        if request.headers.get("origin", console.origin) != console.origin:
            return error_page(request, 403, "That request came from another site.")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return error_page(request, 403, "That request came from another site.")
    return None


async def _recognize(request: Request, console: Console) -> None:
    """Who asks, by the session cookie. A page that looks for news by itself is no use of it."""
    token = request.cookies.get(sign_in.cookie_name(console.secure))
    if not token or request.url.path.startswith("/static/"):
        return
    now = console.wall()
    async with console.database.reading() as reading:
        found = await people.visit(reading, token, now)
    if found is None:
        return
    here, note = found
    request.state.person = person_of(here, console.database.keyring)
    if note and request.headers.get("x-poll") is None:
        async with console.database.transaction() as tx:
            await people.seen(tx, token, now)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(SignInNeeded)
    async def _sign_in(request: Request, needed: SignInNeeded) -> Response:
        back = request.url.path
        if request.url.query:
            back += f"?{request.url.query}"
        where = f"/sign-in?next={quote(back)}" if request.method == "GET" else "/sign-in"
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"hx-redirect": where})
        return RedirectResponse(where, status_code=303)

    @app.exception_handler(StarletteHTTPException)
    async def _http(request: Request, error: StarletteHTTPException) -> Response:
        if error.status_code == 303 and error.headers:
            return RedirectResponse(error.headers["location"], status_code=303)
        if request.url.path.startswith(f"{API}/"):  # no line break reaches what is mounted there
            return problem(error.status_code, "unknown", "There is no such address.")
        said = error.detail if isinstance(error, HTTPException) else "There is no such page."
        return error_page(request, error.status_code, str(said))

    @app.exception_handler(RequestValidationError)
    async def _fields(request: Request, error: RequestValidationError) -> Response:
        # What was sent is not repeated: it may be anything.
        said = [f"{item['loc'][-1]}: {item['msg'].lower()}" for item in error.errors()]
        return error_page(request, 422, "; ".join(said))

    @app.exception_handler(UnknownRecord)
    async def _unknown(request: Request, error: UnknownRecord) -> Response:
        return error_page(request, 404, "There is nothing of that id that you may see.")

    @app.exception_handler(InputRefused)
    async def _input(request: Request, error: InputRefused) -> Response:
        return error_page(request, 422, str(error))

    @app.exception_handler(ChangedMeanwhile)
    @app.exception_handler(Refused)
    async def _refused(request: Request, error: Exception) -> Response:
        return error_page(request, 409, str(error))

    @app.exception_handler(WorkflowUpdateFailedError)
    async def _update_refused(request: Request, error: WorkflowUpdateFailedError) -> Response:
        return error_page(request, 409, str(getattr(error.cause, "message", "refused")))

    @app.exception_handler(RPCError)
    async def _no_engine(request: Request, error: RPCError) -> Response:
        return error_page(
            request, 503, "Temporal does not answer: reading works, actions wait. Try again soon."
        )

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        structlog.get_logger("groupclaim.console").error("page failed", exc_info=error)
        return error_page(request, 500, "Something went wrong here. It has been noted.")
