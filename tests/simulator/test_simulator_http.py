"""The clearinghouse over HTTP: tokens, answers, faults; and the real process."""

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from groupclaim.simulator.clock import DrivenClock, WallClock
from groupclaim.simulator.http import create_application
from groupclaim.simulator.world import World
from groupclaim.x12 import read_271, read_835, read_ta1
from tests.temporal import PATIENCE_SECONDS

PRACTICE = {"Authorization": "Bearer practice-token"}
CONTROL = {"Authorization": "Bearer control-token"}
START = "2026-02-02T09:00:00-06:00"

Connect = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def connect(world: World, tmp_path: Path) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connected(**options: Any) -> httpx2.AsyncClient:
            clock = options.pop("clock", None) or DrivenClock(datetime.fromisoformat(START))
            application = create_application(
                world,
                tmp_path / "raw.jsonl",
                clock=clock,
                token="practice-token",
                control_token="control-token",
                **options,
            )
            await stack.enter_async_context(application.router.lifespan_context(application))
            transport = httpx2.ASGITransport(app=application)
            return httpx2.AsyncClient(
                transport=transport, base_url="http://clearinghouse", headers=PRACTICE
            )

        yield connected


async def _set_faults(client: httpx2.AsyncClient, *rules: dict[str, Any]) -> None:
    answer = await client.put("/control/faults", json={"rules": rules}, headers=CONTROL)
    assert answer.status_code == 200, answer.text


async def _set_clock(client: httpx2.AsyncClient, now: str) -> httpx2.Response:
    return await client.put("/control/clock", json={"now": now}, headers=CONTROL)


async def _listing(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/mailbox")
    assert answer.status_code == 200
    files: list[dict[str, Any]] = answer.json()["files"]
    return files


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/eligibility", PRACTICE),
        ("POST", "/authorization", PRACTICE),
        ("POST", "/claim-status", PRACTICE),
        ("POST", "/batches?name=b.edi", PRACTICE),
        ("GET", "/batches", PRACTICE),
        ("GET", "/mailbox", PRACTICE),
        ("GET", "/mailbox/x", PRACTICE),
        ("DELETE", "/mailbox/x", PRACTICE),
        ("GET", "/control/health", CONTROL),
        ("PUT", "/control/clock", CONTROL),
        ("GET", "/control/next", CONTROL),
        ("PUT", "/control/faults", CONTROL),
        ("GET", "/control/faults", CONTROL),
    ],
)
async def test_each_route_asks_for_its_own_token(
    connect: Connect, method: str, path: str, needed: dict[str, str]
) -> None:
    client = await connect()
    other = CONTROL if needed is PRACTICE else PRACTICE
    for headers in (other, {"Authorization": ""}, {"Authorization": "Basic x"}):
        answer = await client.request(method, path, headers=headers)
        assert answer.status_code == 401
    answer = await client.request(method, path, headers=needed)
    assert answer.status_code in (200, 404, 422)


async def test_a_batch_from_receipt_to_payment(connect: Connect, practice: Any) -> None:
    client = await connect()
    content = practice.batch(1, practice.claim("C1A"))
    answer = await client.post("/batches?name=b1.edi", content=content)
    assert answer.status_code == 202
    digest = hashlib.sha256(content).hexdigest()
    assert answer.json()["sha256"] == digest
    assert answer.json()["receipt"]
    answer = await client.post("/batches?name=b1.edi", content=content)
    assert (answer.status_code, answer.json()) == (409, {"error": "duplicate interchange"})
    assert (await client.get("/batches")).json() == {
        "taken_at": "2026-02-02T15:00:00+00:00",
        "interchanges": [
            {
                "control_number": "000000001",
                "sender_id": "PRACTICE1",
                "name": "b1.edi",
                "sha256": digest,
                "received_at": "2026-02-02T15:00:00+00:00",
            }
        ],
    }
    assert await _listing(client) == []
    while next_at := (await client.get("/control/next", headers=CONTROL)).json()["next_at"]:
        assert (await _set_clock(client, next_at)).json() == {"now": next_at}
    files = await _listing(client)
    assert [file["name"].split("-")[0] for file in files] == ["TA1", "999", "277CA", "835"]
    payment = files[-1]
    answer = await client.get(f"/mailbox/{payment['id']}")
    assert hashlib.sha256(answer.content).hexdigest() == payment["sha256"]
    assert len(answer.content) == payment["size"]
    assert payment["created_at"] == "2026-02-17T06:00:00+00:00"
    assert read_835(answer.content)[0][0].paid_cents == 2419
    for _ in range(2):
        assert (await client.delete(f"/mailbox/{payment['id']}")).status_code == 204
    assert (await client.get(f"/mailbox/{payment['id']}")).status_code == 404
    assert (await client.delete("/mailbox/nothing")).status_code == 404
    assert await _listing(client) == files[:-1]


async def test_eligibility(connect: Connect, practice: Any) -> None:
    client = await connect()
    answer = await client.post("/eligibility", content=practice.inquiry("MEDB1", "MB0001"))
    assert answer.status_code == 200
    (response,), problems = read_271(answer.content)
    assert not problems
    assert response.benefits[0].information == "1"
    answer = await client.post("/eligibility", content=b"hello")
    assert answer.status_code == 422
    batch = practice.batch(1, practice.claim("C1A"))
    assert (await client.post("/eligibility", content=batch)).status_code == 422


@pytest.mark.parametrize("path", ["/authorization", "/claim-status"])
async def test_the_other_inquiries_take_only_their_own(
    connect: Connect, practice: Any, path: str
) -> None:
    client = await connect()
    for content in (b"hello", practice.inquiry("MEDB1", "MB0001")):
        assert (await client.post(path, content=content)).status_code == 422
    await _set_faults(client, {"on": "authorization", "kind": "server_error", "times": 1})
    status = (await client.post("/authorization", content=b"hello")).status_code
    assert status == 503


async def test_unusable_requests(connect: Connect, practice: Any) -> None:
    client = await connect(maximum_request_bytes=2000)
    answer = await client.post("/batches?name=b1.edi", content=b"not X12")
    assert answer.status_code == 422
    assert "interchange" in answer.json()["error"]
    content = practice.batch(1, practice.claim("C1A"))
    for name in ("", "../b1.edi", "a b", "x" * 101):
        answer = await client.post("/batches", params={"name": name}, content=content)
        assert (answer.status_code, "name" in answer.json()["error"]) == (400, True)
    answer = await client.post("/batches?name=b1.edi", content=b"x" * 2001)
    assert answer.status_code == 413
    assert (await client.get("/batches")).json()["interchanges"] == []


async def test_accepting_everything(connect: Connect, practice: Any) -> None:
    client = await connect(accept_everything=True)
    content = practice.batch(1, practice.claim("C1A"))
    for _ in range(2):
        answer = await client.post("/batches?name=b1.edi", content=content)
        assert answer.status_code == 202
    assert len((await client.get("/batches")).json()["interchanges"]) == 2


async def test_clock(connect: Connect) -> None:
    client = await connect()
    health = (await client.get("/control/health", headers=CONTROL)).json()
    assert health == {"status": "ok", "now": "2026-02-02T15:00:00+00:00"}
    assert (await _set_clock(client, "2026-02-02T14:59:00+00:00")).status_code == 409
    answer = await _set_clock(client, "2026-02-02T10:00:00")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("now: ")
    assert (await _set_clock(client, "2026-02-02T10:00:00-06:00")).status_code == 200
    assert (await client.get("/control/next", headers=CONTROL)).json() == {"next_at": None}


async def test_the_wall_clock_cannot_be_set(connect: Connect) -> None:
    client = await connect(clock=WallClock())
    assert (await _set_clock(client, "2126-02-02T14:59:00+00:00")).status_code == 409


async def test_bad_fault_rules_are_refused_with_all_problems(connect: Connect) -> None:
    client = await connect()
    rules = [
        {"on": "batch", "kind": "duplicate", "times": 1},
        {"on": "elsewhere", "kind": "slow", "times": 0},
    ]
    answer = await client.put("/control/faults", json={"rules": rules}, headers=CONTROL)
    assert answer.status_code == 422
    places = [problem.split(": ")[0] for problem in answer.json()["error"].split("; ")]
    assert places == ["rules.0", "rules.1.on", "rules.1.times"]


@pytest.mark.parametrize(
    ("channel", "method", "path"),
    [
        ("batch", "POST", "/batches?name=b1.edi"),
        ("eligibility", "POST", "/eligibility"),
        ("mailbox", "GET", "/mailbox"),
        ("mailbox", "GET", "/mailbox/x"),
        ("mailbox", "DELETE", "/mailbox/x"),
    ],
)
async def test_outage_throttling_and_lost_requests(
    connect: Connect, tmp_path: Path, channel: str, method: str, path: str
) -> None:
    client = await connect()
    await _set_faults(
        client,
        {"on": channel, "kind": "server_error", "times": 2},
        {"on": channel, "kind": "throttle", "times": 1, "seconds": 2.5},
        {"on": channel, "kind": "drop_before", "times": 1},
    )
    for _ in range(2):
        assert (await client.request(method, path, content=b"x")).status_code == 503
    left = (await client.get("/control/faults", headers=CONTROL)).json()["rules"]
    assert [rule["kind"] for rule in left] == ["throttle", "drop_before"]
    answer = await client.request(method, path, content=b"x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    with pytest.raises(ConnectionResetError):
        await client.request(method, path, content=b"x")
    assert (tmp_path / "raw.jsonl").read_bytes() == b""
    answer = await client.request(method, path, content=b"x")
    assert answer.status_code in (200, 404, 422)
    assert (await client.get("/control/faults", headers=CONTROL)).json() == {"rules": []}


async def test_slow(connect: Connect) -> None:
    client = await connect()
    await _set_faults(client, {"on": "mailbox", "kind": "slow", "times": 1, "seconds": 0.2})
    started = time.monotonic()
    assert await _listing(client) == []
    assert time.monotonic() - started >= 0.2


async def test_lost_answers(connect: Connect, practice: Any, tmp_path: Path) -> None:
    client = await connect()
    await _set_faults(
        client,
        {"on": "batch", "kind": "lose_answer", "times": 1},
        {"on": "eligibility", "kind": "lose_answer", "times": 1},
        {"on": "mailbox", "kind": "lose_answer", "times": 3},
    )
    content = practice.batch(1, practice.claim("C1A"))
    with pytest.raises(ConnectionResetError):
        await client.post("/batches?name=b1.edi", content=content)
    with pytest.raises(ConnectionResetError):
        await client.post("/eligibility", content=practice.inquiry("MEDB1", "MB0001"))
    outcomes = [json.loads(line)["outcome"] for line in (tmp_path / "raw.jsonl").open()]
    assert outcomes == ["accepted_answer_lost", "accepted_answer_lost"]
    assert len((await client.get("/batches")).json()["interchanges"]) == 1
    assert (await client.post("/batches?name=b1.edi", content=content)).status_code == 409

    await _set_clock(client, "2026-02-02T16:00:00+00:00")
    with pytest.raises(ConnectionResetError):
        await client.get("/mailbox")
    await _set_faults(client)
    ta1, x999 = await _listing(client)
    await _set_faults(client, {"on": "mailbox", "kind": "lose_answer", "times": 2})
    with pytest.raises(ConnectionResetError):
        await client.get(f"/mailbox/{ta1['id']}")
    with pytest.raises(ConnectionResetError):
        await client.delete(f"/mailbox/{ta1['id']}")
    assert await _listing(client) == [x999]


async def test_taken_and_then_unavailable(connect: Connect, practice: Any, tmp_path: Path) -> None:
    client = await connect()
    await _set_faults(client, {"on": "batch", "kind": "accept_then_503", "times": 1})
    content = practice.batch(1, practice.claim("C1A"))
    assert (await client.post("/batches?name=b1.edi", content=content)).status_code == 503
    outcomes = [json.loads(line)["outcome"] for line in (tmp_path / "raw.jsonl").open()]
    assert outcomes == ["accepted_answer_lost"]
    assert (await client.post("/batches?name=b1.edi", content=content)).status_code == 409


async def test_mailbox_in_disorder(connect: Connect, practice: Any) -> None:
    client = await connect()
    rules = [
        {"on": "mailbox", "kind": kind, "times": 1}
        for kind in ("out_of_order", "duplicate", "malformed")
    ]
    await _set_faults(client, *rules)
    # An empty mailbox can neither be out of order nor hold a file twice.
    (garbage,) = await _listing(client)
    content = (await client.get(f"/mailbox/{garbage['id']}")).content
    assert hashlib.sha256(content).hexdigest() == garbage["sha256"]
    assert read_ta1(content)[1] != ()
    await client.delete(f"/mailbox/{garbage['id']}")

    await client.post("/batches?name=b1.edi", content=practice.batch(1, practice.claim("C1A")))
    await _set_clock(client, "2026-02-02T16:00:00+00:00")
    x999, ta1 = await _listing(client)
    assert x999["name"].startswith("999")
    first, second, again = await _listing(client)
    assert (first, second) == (ta1, x999)
    assert again["sha256"] == x999["sha256"]
    assert again["id"] != x999["id"]
    await client.delete(f"/mailbox/{again['id']}")
    assert await _listing(client) == [ta1, x999]


@contextmanager
def _process(folder: Path, world: dict[str, Any], *options: str) -> Iterator[tuple[Any, str]]:
    """The simulator as its own process; gives it and its address."""
    files = {
        "payers.json": json.dumps(world),
        "token": "practice-token\n",
        "control-token": "control-token\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "groupclaim.simulator", "--port", "0"]
    command += ["--payers", str(folder / "payers.json"), "--log", str(folder / "raw.jsonl")]
    command += ["--token-file", str(folder / "token")]
    command += ["--control-token-file", str(folder / "control-token"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            port = json.loads(process.stdout.readline())["port"]
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def test_live_process_loses_connections_stops_cleanly_and_remembers(
    tmp_path: Path, world_facts: dict[str, Any], practice: Any
) -> None:
    content = practice.batch(1, practice.claim("C1A"))
    with _process(tmp_path, world_facts, "--clock", START) as (process, address):
        async with httpx2.AsyncClient(
            base_url=address, headers=PRACTICE, timeout=PATIENCE_SECONDS
        ) as client:
            await _set_faults(
                client,
                {"on": "batch", "kind": "drop_before", "times": 1},
                {"on": "batch", "kind": "lose_answer", "times": 1},
            )
            for accepted in (0, 1):
                with pytest.raises(httpx2.TransportError):
                    await client.post("/batches?name=b1.edi", content=content)
                listing = (await client.get("/batches")).json()
                assert len(listing["interchanges"]) == accepted
            answer = await client.post("/batches?name=b1.edi", content=content)
            assert answer.status_code == 409
            await _set_clock(client, "2026-02-17T06:00:00+00:00")
            files = await _listing(client)
            assert len(files) == 4
            await client.delete(f"/mailbox/{files[0]['id']}")
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        assert errors == b""

    with _process(tmp_path, world_facts, "--clock", START) as (process, address):
        async with httpx2.AsyncClient(
            base_url=address, headers=PRACTICE, timeout=PATIENCE_SECONDS
        ) as client:
            health = (await client.get("/control/health", headers=CONTROL)).json()
            assert health["now"] == "2026-02-17T06:00:00+00:00"
            assert await _listing(client) == files[1:]
            assert (await client.get("/batches")).json()["interchanges"] == listing["interchanges"]


@pytest.mark.parametrize("broken", ["payers", "token", "clock"])
def test_command_line_refuses_what_it_cannot_use(
    tmp_path: Path, world_facts: dict[str, Any], capfd: Any, broken: str
) -> None:
    from groupclaim.simulator.__main__ import main

    if broken == "payers":
        world_facts["payers"][0]["pays_after_days"] = 0
    (tmp_path / "payers.json").write_text(json.dumps(world_facts))
    (tmp_path / "token").write_text("" if broken == "token" else "practice-token")
    arguments = ["--payers", str(tmp_path / "payers.json"), "--log", str(tmp_path / "raw.jsonl")]
    arguments += ["--token-file", str(tmp_path / "token")]
    arguments += ["--control-token-file", str(tmp_path / "token")]
    arguments += ["--clock", "2026-02-02T09:00:00" if broken == "clock" else START]
    assert main(arguments) == 2
    said = {"payers": "payers.0.pays_after_days", "token": "token file", "clock": "offset"}
    assert said[broken] in capfd.readouterr().err
