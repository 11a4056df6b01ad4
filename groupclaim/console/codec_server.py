"""Decrypts payloads for Temporal's own web UI, for people who may see personal data.

The protocol is that of Temporal's remote data encoders: POST ``/decode`` of ``{"payloads": [...]}``
gives the same in the clear. Nothing is encrypted here. Whoever asks is known by their session at
the console, whose cookie browsers send to every port of its host, and must see the whole practice:
a payload may be of anybody. Each look is noted in the audit log. The UI asking again by itself
keeps nobody signed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from groupclaim.console.access import Permission, person_of, sees_all
from groupclaim.console.limits import RateLimit
from groupclaim.console.sign_in import cookie_name
from groupclaim.store import audit, people
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database

MOST_BYTES = 20_000_000
"""A page of a history: 1,000 events, of which Temporal takes none above 2 MB."""

_REQUESTS_A_MINUTE = 600
_LONGEST_NAMESPACE = 255

Decode = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


@dataclass(frozen=True, slots=True)
class CodecServer:
    """What it works with. ``ui`` is the address of Temporal's UI as browsers see it, the only page
    that may ask; ``secure``: the console is reached by https, so its cookie is named for that.
    ``decode`` raises RuntimeError for a payload whose key is not there."""

    database: Database
    clock: PracticeClock
    decode: Decode
    ui: str
    secure: bool
    wall: Callable[[], datetime]


def create_codec_server(server: CodecServer) -> Starlette:
    """The codec server as an ASGI application."""
    limit = RateLimit(_REQUESTS_A_MINUTE, timedelta(minutes=1))
    allowed = {
        "access-control-allow-origin": server.ui,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type, x-namespace",
        "cache-control": "no-store",
        "vary": "origin",
        "x-content-type-options": "nosniff",
    }

    def refused(status: int, said: str) -> Response:
        return JSONResponse({"message": said}, status, headers=allowed)

    async def decode(request: Request) -> Response:
        if request.headers.get("origin") != server.ui:
            return JSONResponse({"message": "Only Temporal's UI may ask."}, 403)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allowed)
        if not limit.admits(request.client.host if request.client else "", server.wall()):
            return refused(429, "Too many requests. Wait a minute.")
        length = request.headers.get("content-length", "")
        # A body in chunks has no length, whatever the other header says.
        if (
            "transfer-encoding" in request.headers
            or not length.isdigit()
            or int(length) > MOST_BYTES
        ):
            return refused(413, f"At most {MOST_BYTES} bytes.")
        namespace = request.headers.get("x-namespace", "")
        if len(namespace) > _LONGEST_NAMESPACE or not namespace.isprintable():
            return refused(400, "x-namespace: the name of a namespace")
        try:
            return await _decoded(request, namespace)
        except SQLAlchemyError as error:
            structlog.get_logger("groupclaim.codec").error(
                "no database", exception_type=type(error).__name__
            )
            return refused(503, "The database does not answer. Try again soon.")

    async def _decoded(request: Request, namespace: str) -> Response:
        token = request.cookies.get(cookie_name(server.secure), "")
        async with server.database.reading() as reading:
            found = await people.visit(reading, token, server.wall())
        if found is None:
            return refused(401, "Sign in at the console first.")
        person = person_of(found[0], server.database.keyring)
        if person.user.must_change or not person.may(Permission.REVEAL):
            return refused(403, "Your role does not include this.")
        if not sees_all(person):  # of whom a payload is, nobody knows before it is opened
            return refused(403, "You see a part of the practice: a payload may be of another.")
        try:
            given = Parse(await request.body(), Payloads())
        except (ParseError, UnicodeDecodeError, RecursionError):
            return refused(400, 'Payloads as {"payloads": [{"metadata": ..., "data": ...}]}')
        count = len(given.payloads)
        now = await server.clock.now()
        async with server.database.transaction() as tx:
            await audit.record(
                tx, now, person.name, "decode_payloads", f"temporal/{namespace}", {"count": count}
            )
        try:
            clear = await server.decode(given.payloads)
        except (RuntimeError, KeyError, ValueError):
            return refused(400, "A payload is not of this practice, or its key is not there.")
        return Response(
            MessageToJson(Payloads(payloads=clear)), media_type="application/json", headers=allowed
        )

    return Starlette(routes=[Route("/decode", decode, methods=["POST", "OPTIONS"])])
