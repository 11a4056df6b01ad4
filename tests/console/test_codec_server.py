"""Payloads in the clear only for a person who may see them, on Temporal's own page, and noted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.protobuf.json_format import MessageToDict
from sqlalchemy import select
from starlette.applications import Starlette
from temporalio.api.common.v1 import Payload, Payloads

from groupclaim.console.codec_server import CodecServer, create_codec_server
from groupclaim.model.approval import Role
from groupclaim.store.schema import audit_entry
from tests.console.visitor import ORIGIN, Practice, practice_at
from worker.codec import EncryptingCodec

UI = "http://127.0.0.1:8233"
ASKED = {"origin": UI, "x-namespace": "default", "content-type": "application/json"}
SECRET = b'"a thing to keep"'


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


def codec() -> EncryptingCodec:
    return EncryptingCodec({"k1": bytes(range(32))}, "k1")


def server(practice: Practice) -> Starlette:
    return create_codec_server(
        CodecServer(
            database=practice.house.database,
            clock=practice.house.clock,
            decode=codec().decode,
            ui=UI,
            secure=False,
            wall=practice.wall,
        )
    )


async def ask(
    practice: Practice, name: str | None, body: Any, headers: dict[str, str] = ASKED
) -> httpx2.Response:
    transport = httpx2.ASGITransport(server(practice))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        if name is not None:
            http.cookies.update(dict((await practice.signed_in(name)).http.cookies))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.post("/decode", content=content, headers=headers)


async def encrypted() -> dict[str, Any]:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=SECRET)
    made: dict[str, Any] = MessageToDict(Payloads(payloads=await codec().encode([payload])))
    return made


async def noted(practice: Practice) -> list[tuple[str, str]]:
    rows = await practice.house.rows(
        select(audit_entry.c.actor, audit_entry.c.subject).where(
            audit_entry.c.action == "decode_payloads"
        )
    )
    return [(row.actor, row.subject) for row in rows]


async def test_a_biller_sees_it_in_the_clear_and_the_look_is_noted(practice: Practice) -> None:
    answer = await ask(practice, "biller", await encrypted())
    (payload,) = answer.json()["payloads"]
    expected = MessageToDict(Payload(metadata={"encoding": b"json/plain"}, data=SECRET))
    assert payload == expected
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["cache-control"] == "no-store"
    assert await noted(practice) == [("biller", "temporal/default")]


@pytest.mark.parametrize(("name", "status"), [(None, 401), ("viewer", 403), ("administrator", 403)])
async def test_nobody_else_does(practice: Practice, name: str | None, status: int) -> None:
    answer = await ask(practice, name, await encrypted())
    assert answer.status_code == status
    assert "payloads" not in answer.json()
    assert await noted(practice) == []


async def test_who_sees_a_part_of_the_practice_sees_no_payload(practice: Practice) -> None:
    """Nobody can tell whose a payload is: a clinician's own or another's."""
    await practice.let_in(Role.BILLER, name="away", locations=("no-such-place",))
    for name in ("clinician", "away"):
        answer = await ask(practice, name, await encrypted())
        assert (answer.status_code, "payloads" in answer.json()) == (403, False), name
    assert await noted(practice) == []


async def test_a_session_that_has_ended_shows_nothing(practice: Practice) -> None:
    transport = httpx2.ASGITransport(server(practice))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        http.cookies.update(dict((await practice.signed_in("biller")).http.cookies))
        body = json.dumps(await encrypted()).encode()
        assert (await http.post("/decode", content=body, headers=ASKED)).status_code == 200
        practice.wall.pass_(timedelta(minutes=15))
        assert (await http.post("/decode", content=body, headers=ASKED)).status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ORIGIN])
async def test_another_page_may_not_ask(practice: Practice, origin: str) -> None:
    answer = await ask(practice, "biller", await encrypted(), {**ASKED, "origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert await noted(practice) == []


async def test_what_cannot_be_read_is_refused_without_its_text(practice: Practice) -> None:
    for body in (b"{", {"payloads": [{"metadata": []}]}, b"\xff\xfe", b"[" * 100_000):
        answer = await ask(practice, "biller", body)
        assert answer.status_code == 400
    other = EncryptingCodec({"k2": bytes(32)}, "k2")
    made = await other.encode([Payload(data=SECRET)])
    answer = await ask(practice, "biller", MessageToDict(Payloads(payloads=made)))
    assert (answer.status_code, "its key is not there" in answer.text) == (400, True)
    large = await ask(practice, "biller", b"", {**ASKED, "content-length": "20000001"})
    assert large.status_code == 413
    chunked = {**ASKED, "content-length": "2", "transfer-encoding": "chunked"}
    assert (await ask(practice, "biller", b"{}", chunked)).status_code == 413


async def test_the_browsers_question_before_is_answered_for_the_ui_alone(
    practice: Practice,
) -> None:
    transport = httpx2.ASGITransport(server(practice))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        answer = await http.options("/decode", headers={"origin": UI})
        assert answer.status_code == 204
        assert "x-namespace" in answer.headers["access-control-allow-headers"]
        refused = await http.options("/decode", headers={"origin": "https://evil.example"})
        assert refused.status_code == 403
