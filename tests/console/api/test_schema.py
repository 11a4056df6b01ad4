"""Made-up requests of every kind, over the wire: no failure here, and answers as described."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from groupclaim.console.access import Permission
from groupclaim.store import api_keys
from tests.console.visitor import practice_at
from tests.temporal import PATIENCE_SECONDS

_EXAMPLES = 15


async def test_made_up_requests_are_answered_as_described(tmp_path: Path) -> None:
    async with practice_at(tmp_path, requests_a_minute=100_000) as practice:
        now = practice.wall()
        async with practice.house.database.transaction() as tx:
            scopes = [item.value for item in Permission]
            ends = now + timedelta(days=1)
            token = await api_keys.add_key(tx, "fuzz", scopes, api_keys.Limits(), now, ends)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            server = uvicorn.Server(uvicorn.Config(practice.app, log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                tried = await asyncio.to_thread(_try_all, f"http://127.0.0.1:{port}", token)
            finally:
                server.should_exit = True
                await serving
    assert tried == 17


def _try_all(address: str, token: str) -> int:
    """Made-up requests to every operation; how many operations there are."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answered(case: schemathesis.Case) -> None:
            headers = {"authorization": f"Bearer {token}"}
            if case.method != "GET":
                headers["idempotency-key"] = uuid4().hex
            case.call_and_validate(
                headers=headers,
                timeout=PATIENCE_SECONDS,
                checks=[
                    not_a_server_error,
                    status_code_conformance,
                    content_type_conformance,
                    response_schema_conformance,
                ],
            )

        answered()
        tried += 1
    return tried
