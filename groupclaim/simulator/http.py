"""The clearinghouse over HTTP: what a practice may ask, and what drives the simulation."""

import asyncio
import hmac
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from groupclaim.simulator.clearinghouse import (
    Clearinghouse,
    DuplicateInterchange,
    UnknownFile,
    UnreadableInterchange,
)
from groupclaim.simulator.clock import ClockError, DrivenClock, WallClock
from groupclaim.simulator.faults import (
    TRANSPORT_KINDS,
    FaultRule,
    FaultRules,
    Faults,
    look_into_mailbox,
)
from groupclaim.simulator.raw_log import RawLog
from groupclaim.simulator.world import World

MAXIMUM_REQUEST_BYTES = 16 * 1024 * 1024

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_X12 = "application/edi-x12"

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def create_application(
    world: World,
    log_path: Path,
    *,
    clock: DrivenClock | WallClock,
    token: str,
    control_token: str,
    accept_everything: bool = False,
    maximum_request_bytes: int = MAXIMUM_REQUEST_BYTES,
    beside: Callable[[Clearinghouse, Faults], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """The application. State is rebuilt from the raw log at `log_path`, which it goes on writing.

    `beside`: another way to the same clearinghouse with the same faults, open while this one is.

    A driven clock is first moved up to the last entry of that log. Raises RawLogError when the log
    cannot be read.
    """
    log = RawLog(log_path)
    house = Clearinghouse(world, log, clock, accept_everything=accept_everything)
    faults = Faults()
    practice = _PracticeRoutes(house, faults, maximum_request_bytes)
    control = _ControlRoutes(house, faults, clock, maximum_request_bytes)

    def route(path: str, method: str, endpoint: Endpoint, needed: str) -> Route:
        return Route(path, _guarded(endpoint, needed), methods=[method])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with nullcontext() if beside is None else beside(house, faults):
            yield
        log.close()

    return Starlette(
        lifespan=lifespan,
        exception_handlers={HTTPException: _refusal},
        routes=[
            route("/eligibility", "POST", practice.ask("eligibility", house.inquire), token),
            route("/authorization", "POST", practice.ask("authorization", house.review), token),
            route("/claim-status", "POST", practice.ask("status", house.tell_status), token),
            route("/batches", "POST", practice.receive, token),
            route("/batches", "GET", practice.interchanges, token),
            route("/mailbox", "GET", practice.mailbox, token),
            route("/mailbox/{file_id}", "GET", practice.download, token),
            route("/mailbox/{file_id}", "DELETE", practice.acknowledge, token),
            route("/control/health", "GET", control.health, control_token),
            route("/control/clock", "PUT", control.move_clock, control_token),
            route("/control/next", "GET", control.next_delivery, control_token),
            route("/control/faults", "PUT", control.replace_faults, control_token),
            route("/control/faults", "GET", control.faults_left, control_token),
        ],
    )


class DroppableProtocol(H11Protocol):
    """HTTP over a connection that an endpoint can cut without answering."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the transport to the requests of this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _DroppedConnection(Response):
    """No answer at all: the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("state", {}).get("transport")
        if transport is None:
            # Called in memory: there is no connection, the caller sees the same kind of error.
            raise ConnectionResetError("connection dropped by a fault rule")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class _PracticeRoutes:
    """What the practice sees of its clearinghouse."""

    def __init__(self, house: Clearinghouse, faults: Faults, maximum_bytes: int) -> None:
        self._house = house
        self._faults = faults
        self._maximum_bytes = maximum_bytes

    def ask(self, channel: str, answered_by: Callable[..., bytes]) -> Endpoint:
        """Inquiries of one transaction: an interchange in, the payer's interchange back."""

        async def inquire(request: Request) -> Response:
            rule = self._faults.take(channel, TRANSPORT_KINDS)
            if (spoiled := await _spoil(rule)) is not None:
                return spoiled
            content = await _body(request, self._maximum_bytes)
            lost = _answer_is_lost(rule)
            try:
                answer = await run_in_threadpool(answered_by, content, answer_lost=lost)
            except UnreadableInterchange as error:
                return JSONResponse({"error": str(error)}, 422)
            return _DroppedConnection() if lost else Response(answer, media_type=_X12)

        return inquire

    async def receive(self, request: Request) -> Response:
        rule = self._faults.take("batch", TRANSPORT_KINDS | {"accept_then_503"})
        if (spoiled := await _spoil(rule)) is not None:
            return spoiled
        name = request.query_params.get("name", "")
        if not _FILE_NAME.fullmatch(name):
            text = "name: needs 1 to 100 letters, digits, dots, dashes or underscores"
            return JSONResponse({"error": text}, 400)
        content = await _body(request, self._maximum_bytes)
        unavailable = rule is not None and rule.kind == "accept_then_503"
        lost = _answer_is_lost(rule) or unavailable
        try:
            received = await run_in_threadpool(self._house.receive, name, content, answer_lost=lost)
        except UnreadableInterchange as error:
            return JSONResponse({"error": str(error)}, 422)
        except DuplicateInterchange:
            return JSONResponse({"error": "duplicate interchange"}, 409)
        if unavailable:
            return _unavailable()
        if lost:
            return _DroppedConnection()
        return JSONResponse({"receipt": received.receipt, "sha256": received.sha256}, 202)

    async def interchanges(self, _: Request) -> Response:
        taken_at, received = await run_in_threadpool(self._house.interchanges)
        listed = [
            {
                "control_number": one.control_number,
                "sender_id": one.sender_id,
                "name": one.name,
                "sha256": one.sha256,
                "received_at": one.received_at.isoformat(),
            }
            for one in received
        ]
        return JSONResponse({"taken_at": taken_at.isoformat(), "interchanges": listed})

    async def mailbox(self, _: Request) -> Response:
        files, rule = await look_into_mailbox(self._house, self._faults, TRANSPORT_KINDS)
        if (spoiled := await _spoil(rule)) is not None:
            return spoiled
        if _answer_is_lost(rule):
            return _DroppedConnection()
        listed = [
            {
                "id": file.id,
                "name": file.name,
                "size": len(file.content),
                "sha256": file.sha256,
                "created_at": file.created_at.isoformat(),
            }
            for file in files
        ]
        return JSONResponse({"files": listed})

    async def download(self, request: Request) -> Response:
        rule = self._faults.take("mailbox", TRANSPORT_KINDS)
        if (spoiled := await _spoil(rule)) is not None:
            return spoiled
        # A download changes nothing, so that losing its answer is the same as losing the request.
        if _answer_is_lost(rule):
            return _DroppedConnection()
        try:
            content = await run_in_threadpool(self._house.download, request.path_params["file_id"])
        except UnknownFile:
            return JSONResponse({"error": "no such file"}, 404)
        return Response(content, media_type=_X12)

    async def acknowledge(self, request: Request) -> Response:
        rule = self._faults.take("mailbox", TRANSPORT_KINDS)
        if (spoiled := await _spoil(rule)) is not None:
            return spoiled
        try:
            await run_in_threadpool(self._house.acknowledge, request.path_params["file_id"])
        except UnknownFile:
            return JSONResponse({"error": "no such file"}, 404)
        return _DroppedConnection() if _answer_is_lost(rule) else Response(status_code=204)


class _ClockSetting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    now: AwareDatetime


class _ControlRoutes:
    """What drives the simulation: its clock and its faults."""

    def __init__(
        self,
        house: Clearinghouse,
        faults: Faults,
        clock: DrivenClock | WallClock,
        maximum_bytes: int,
    ) -> None:
        self._house = house
        self._faults = faults
        self._clock = clock
        self._maximum_bytes = maximum_bytes

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "now": self._clock.now().isoformat()})

    async def move_clock(self, request: Request) -> Response:
        try:
            setting = _ClockSetting.model_validate_json(await _body(request, self._maximum_bytes))
        except ValidationError as error:
            return _invalid(error)
        if isinstance(self._clock, WallClock):
            return JSONResponse({"error": "the simulator runs on the wall clock"}, 409)
        try:
            self._clock.advance(setting.now)
        except ClockError as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({"now": self._clock.now().isoformat()})

    async def next_delivery(self, _: Request) -> Response:
        next_at: datetime | None = await run_in_threadpool(self._house.next_delivery_at)
        return JSONResponse({"next_at": None if next_at is None else next_at.isoformat()})

    async def replace_faults(self, request: Request) -> Response:
        try:
            rules = FaultRules.model_validate_json(await _body(request, self._maximum_bytes))
        except ValidationError as error:
            return _invalid(error)
        self._faults.replace(rules)
        return await self.faults_left(request)

    async def faults_left(self, _: Request) -> Response:
        return JSONResponse(self._faults.left().model_dump(mode="json"))


def _guarded(endpoint: Endpoint, token: str) -> Endpoint:
    """Let only requests with that bearer token through."""
    expected = f"Bearer {token}".encode()

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            headers = {"WWW-Authenticate": "Bearer"}
            return JSONResponse({"error": "unauthorized"}, 401, headers)
        return await endpoint(request)

    return guarded


async def _spoil(rule: FaultRule | None) -> Response | None:
    """Carry out what a rule does before the request is looked at; the answer if it is final."""
    if rule is None:
        return None
    if rule.kind == "slow":
        await asyncio.sleep(rule.seconds)
    if rule.kind == "drop_before":
        return _DroppedConnection()
    if rule.kind == "server_error":
        return _unavailable()
    if rule.kind == "throttle":
        headers = {"Retry-After": str(math.ceil(rule.seconds))}
        return JSONResponse({"error": "too many requests"}, 429, headers)
    return None


def _unavailable() -> Response:
    return JSONResponse({"error": "service unavailable"}, 503)


def _answer_is_lost(rule: FaultRule | None) -> bool:
    return rule is not None and rule.kind == "lose_answer"


async def _body(request: Request, maximum_bytes: int) -> bytes:
    """The request's body, read no further than allowed."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > maximum_bytes:
            raise HTTPException(413, f"a request may not exceed {maximum_bytes} bytes")
    return bytes(content)


async def _refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _invalid(error: ValidationError) -> Response:
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
    return JSONResponse({"error": "; ".join(problems)}, 422)
