"""The door of the API: keys, limits, requests that come again, and how refusals read.

A key comes in the header ``Authorization: Bearer``; a browser's session opens nothing here. Every
change names itself by ``Idempotency-Key``. Refusals are problem documents (RFC 9457) that list all
problems at once and never repeat what was sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import BaseRoute
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.front_desk import Refused
from groupclaim.console.access import Permission, rows_within
from groupclaim.console.console import Console
from groupclaim.console.limits import RateLimit
from groupclaim.model.base import InputRefused, describe_details
from groupclaim.store import api_keys
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.work import ChangedMeanwhile

PATH = "/api/v1"
DESCRIPTION = f"{PATH}/openapi.json"
"""Open to everyone: it says what may be asked, and holds nothing of the practice."""

MOST_BYTES = 10_000_000
MOST_PROBLEMS = 100
_STRANGERS_A_MINUTE = 60
_LONGEST_IDEMPOTENCY_KEY = 200
_READING = ("GET", "HEAD", "OPTIONS")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). ``problems`` names every field and its reason, never
    the value that was sent."""

    type: str = Field(examples=["urn:groupclaim:problem:input"])
    title: str
    status: int
    problems: list[str] = Field(default_factory=list)


_PROBLEM_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": _PROBLEM_CONTENT}
    for status, said in {
        400: "The request lacks its Idempotency-Key.",
        401: "No key, or one that is unknown, revoked or expired.",
        403: "The key does not include this.",
        404: "There is nothing of that id that the key may see.",
        409: "What is there does not allow this now; the problems say why.",
        411: "The request does not say how long it is.",
        413: f"The request is larger than {MOST_BYTES} bytes.",
        422: "The input is refused, or the Idempotency-Key was used for another request.",
        429: "Too many requests in this minute.",
        503: "The database or Temporal does not answer; the same request may be sent again.",
    }.items()
}


def problem(status: int, code: str, title: str, problems: Iterable[str] = ()) -> JSONResponse:
    listed = list(problems)
    if len(listed) > MOST_PROBLEMS:
        listed = [*listed[:MOST_PROBLEMS], f"and {len(listed) - MOST_PROBLEMS} more"]
    document = Problem(
        type=f"urn:groupclaim:problem:{code}", title=title, status=status, problems=listed
    )
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(
        document.model_dump(), status, headers=headers, media_type="application/problem+json"
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """The system that asks, and how far it reaches."""

    key: api_keys.ApiKey
    rows: ColumnElement[bool]
    """Which rows of ``group_session`` it sees; claims belong to a session."""

    @property
    def name(self) -> str:
        """Who did it, for the audit log."""
        return f"api:{self.key.name}"

    @property
    def sees_all(self) -> bool:
        return not (self.key.limits.practices or self.key.limits.locations)

    def check_location(self, locations: Sequence[str]) -> None:
        allowed = self.key.limits.locations
        if allowed and not set(locations) <= set(allowed):
            raise HTTPException(403, "The key is limited to other locations.")

    def check_practice(self, practice: str) -> None:
        allowed = self.key.limits.practices
        if allowed and practice not in allowed:
            raise HTTPException(403, "The key is limited to another practice.")

    def check_whole_practice(self, practice: str) -> None:
        """What concerns the practice or a patient belongs to no single location."""
        self.check_practice(practice)
        if self.key.limits.locations:
            raise HTTPException(403, "The key is limited to locations.")


_BEARER = HTTPBearer(auto_error=False, description="A key of `groupclaim api-key add`.")


class Scope:
    """A route's dependency: the system that asks, if its key includes ``permission``."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self,
        request: Request,
        shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Caller:
        caller: Caller = request.state.caller
        if self.permission.value not in caller.key.scopes:
            raise HTTPException(403, f"The key does not include the scope {self.permission.value}.")
        return caller


def scope_of(route: BaseRoute) -> Scope | None:
    """The scope that ``route`` asks for; None when it asks for none."""
    if isinstance(route, APIRoute):
        for dependant in route.dependant.dependencies:
            if isinstance(dependant.call, Scope):
                return dependant.call
    return None


def guard(api: FastAPI, console: Console) -> None:
    """Put the door in front of ``api``."""
    strangers = RateLimit(_STRANGERS_A_MINUTE, timedelta(minutes=1))
    callers = RateLimit(console.requests_a_minute, timedelta(minutes=1))

    @api.middleware("http")
    async def _at_the_door(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.url.path == DESCRIPTION:
            return await call_next(request)
        now = console.wall()
        try:
            caller = await _caller(request, console, now)
            address = request.client.host if request.client else ""
            if caller is None:
                if not strangers.admits(address, now):
                    return problem(429, "rate", "Too many requests without a key. Wait a minute.")
                return problem(401, "key", "No key, or one that is unknown, revoked or expired.")
            if not callers.admits(caller.key.id, now):
                return problem(429, "rate", "Too many requests of this key. Wait a minute.")
            request.state.caller = caller
            if request.method in _READING:
                return await call_next(request)
            return _refused_change(request) or await _once(request, call_next, console, caller, now)
        except SQLAlchemyError as error:
            _log("no database", error)
            return problem(503, "database", "The database does not answer. Try again soon.")

    _handle_errors(api)


async def _caller(request: Request, console: Console, now: datetime) -> Caller | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not token:
        return None
    async with console.database.reading() as reading:
        key = await api_keys.of_token(reading, token.strip(), now)
    if key is None:
        return None
    if api_keys.is_to_note(key, now):
        async with console.database.transaction() as tx:
            await api_keys.used(tx, key.id, now)
    limits = key.limits
    return Caller(key, rows_within(limits.practices, limits.locations, console.database.keyring))


def _refused_change(request: Request) -> Response | None:
    """Why a change is not looked at; None when it is."""
    length = request.headers.get("content-length", "")
    # A body in chunks has no length, whatever the other header says.
    if not length.isdigit() or "transfer-encoding" in request.headers:
        return problem(411, "length", "Say how long the request is: Content-Length.")
    if int(length) > MOST_BYTES:
        return problem(413, "size", f"Larger than {MOST_BYTES} bytes.")
    if not 0 < len(request.headers.get("idempotency-key", "")) <= _LONGEST_IDEMPOTENCY_KEY:
        return problem(
            400,
            "idempotency-key",
            f"Each change needs a header Idempotency-Key of 1 to {_LONGEST_IDEMPOTENCY_KEY} "
            "characters.",
        )
    return None


async def _once(
    request: Request,
    call_next: Callable[[Request], Awaitable[Response]],
    console: Console,
    caller: Caller,
    now: datetime,
) -> Response:
    """The answer kept for this very request, or a new one that is kept once it has had its effect.

    A crash between effect and keeping is harmless: what is handed in twice changes nothing, and an
    act on a work item names the revision that it saw.
    """
    name = request.headers["idempotency-key"]
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    asked += await request.body()
    try:
        async with console.database.reading() as reading:
            digest = api_keys.request_digest(reading, asked)
            kept = await api_keys.kept_answer(reading, caller.key.id, name, digest)
        if kept is not None:
            return _answer(kept)
        response = await call_next(request)
        parts = [part async for part in getattr(response, "body_iterator")]  # noqa: B009
        text = b"".join(parts)
        if response.status_code >= 300:
            headers = {k: v for k, v in response.headers.items() if k != "content-length"}
            return Response(text, response.status_code, headers)
        given = api_keys.Answer(response.status_code, text.decode())
        async with console.database.transaction() as tx:
            return _answer(await api_keys.keep_answer(tx, caller.key.id, name, digest, given, now))
    except api_keys.OtherRequest:
        return problem(422, "idempotency-key", "This Idempotency-Key was used for another request.")


def _answer(kept: api_keys.Answer) -> Response:
    return Response(kept.text, kept.status, media_type="application/json")


def _log(event: str, error: Exception) -> str:
    """Note a failure without its text, which may hold what was sent; a number to ask for it by."""
    number = secrets.token_hex(8)
    structlog.get_logger("groupclaim.api").error(
        event, exception_type=type(error).__name__, number=number
    )
    return number


def _handle_errors(api: FastAPI) -> None:
    @api.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem(422, "input", "The input is refused.", describe_details(error.errors()))

    @api.exception_handler(InputRefused)
    async def _input(request: Request, error: InputRefused) -> Response:
        return problem(422, "input", "The input is refused.", error.problems)

    @api.exception_handler(StarletteHTTPException)
    async def _http(request: Request, error: StarletteHTTPException) -> Response:
        codes = {403: "scope", 404: "unknown", 405: "method"}
        return problem(
            error.status_code, codes.get(error.status_code, "refused"), str(error.detail)
        )

    @api.exception_handler(UnknownRecord)
    async def _unknown(request: Request, error: UnknownRecord) -> Response:
        return problem(404, "unknown", "There is nothing of that id that the key may see.")

    @api.exception_handler(ChangedMeanwhile)
    @api.exception_handler(Refused)
    async def _refused(request: Request, error: Exception) -> Response:
        return problem(409, "refused", "This is not possible now.", [str(error)])

    @api.exception_handler(WorkflowUpdateFailedError)
    async def _update(request: Request, error: WorkflowUpdateFailedError) -> Response:
        said = str(getattr(error.cause, "message", "refused"))
        return problem(409, "refused", "This is not possible now.", [said])

    @api.exception_handler(RPCError)
    async def _no_engine(request: Request, error: RPCError) -> Response:
        return problem(503, "temporal", "Temporal does not answer: send the same request again.")

    @api.exception_handler(SQLAlchemyError)
    async def _no_database(request: Request, error: SQLAlchemyError) -> Response:
        _log("no database", error)
        return problem(503, "database", "The database does not answer. Try again soon.")

    @api.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        return problem(500, "bug", f"Something went wrong here, noted as {_log('failed', error)}.")
