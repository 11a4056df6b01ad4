"""What a worker process makes of its settings, and the schedules that it leaves behind."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig
from temporalio.worker import Worker

from activities import schedules, steps
from activities.front_desk import FrontDesk
from activities.schedules import schedule_mailboxes
from activities.steps import TASK_QUEUE
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.clearinghouse.port import MailboxFile, SeparateWays
from groupclaim.simulator.sftp import load_or_generate_host_key
from groupclaim.store import audit
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.store.world import NOW, practice_file
from tests.temporal import PATIENCE_SECONDS
from worker import process
from worker.process import (
    KeyLost,
    SettingsRefused,
    deployment,
    encryption,
    open_books,
    open_cards,
    open_clearinghouse,
    run_worker,
)
from worker.settings import Settings
from workflows import mailbox, sampling

# --- the clearinghouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text("a-token\n")
    load_or_generate_host_key(tmp_path / "host_key")
    return Settings(
        state=tmp_path,
        clearinghouse="http://127.0.0.1:1",
        clearinghouse_token=tmp_path / "token",
        files="sftp://practice@127.0.0.1:1",
        files_host_key=tmp_path / "host_key.pub",
        files_login=tmp_path / "token",
    )


async def test_files_go_where_the_settings_say(settings: Settings) -> None:
    by_sftp = open_clearinghouse(settings)
    by_http = open_clearinghouse(settings.model_copy(update={"files": ""}))
    assert isinstance(by_sftp, SeparateWays)
    assert isinstance(by_http, HttpClearinghouse)
    await by_sftp.close()
    await by_http.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clearinghouse": ""}, "clearinghouse"),
        ({"clearinghouse_token": None}, "clearinghouse_token"),
        ({"files_host_key": None}, "files_host_key"),
        ({"files_login": None}, "files_login"),
        ({"files": "ftp://practice@127.0.0.1"}, "files: address"),
        ({"files_host_key": Path("/nonexistent")}, "files: host key"),
    ],
)
def test_settings_without_a_way_are_refused(
    settings: Settings, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsRefused, match=named):
        open_clearinghouse(settings.model_copy(update=change))


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("https://clearinghouse.example", True),
        ("http://127.0.0.1:8400", True),
        ("http://localhost:8400", True),
        ("http://clearinghouse.example", False),
        ("http://10.0.0.5", False),
        ("http://127.0.0.1.example", False),
        ("clearinghouse.example", False),
    ],
)
async def test_in_production_nothing_leaves_this_machine_in_the_clear(
    settings: Settings, address: str, taken: bool
) -> None:
    (settings.state / "stripe").write_text("a-key")
    where = {"clearinghouse": address, "cards": address, "cards_key": settings.state / "stripe"}
    tried = settings.model_copy(update=where)
    production = tried.model_copy(update={"production": True})
    await open_clearinghouse(tried).close()  # every interchange says that it is a test
    for named, opened, of in (
        ("clearinghouse", open_clearinghouse, production),
        ("cards", open_cards, tried),
    ):
        if taken:
            made: Any = opened(of)
            await made.close()
        else:
            with pytest.raises(SettingsRefused, match=f"{named}: an https address"):
                opened(of)


async def test_inquiries_go_one_way_and_files_the_other() -> None:
    asked: list[str] = []

    class Way:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, call: str) -> Any:
            async def called(*_: object) -> None:
                asked.append(f"{self.name}.{call}")

            return called

    both: Any = SeparateWays(inquiries=Way("inquiries"), files=Way("files"))  # type: ignore[arg-type]
    file = MailboxFile(id="f", name="f", size=0, sha256="0" * 64, created_at=NOW)
    await both.ask_eligibility(b"")
    await both.request_authorization(b"")
    await both.ask_authorization(b"")
    await both.ask_claim_status(b"")
    await both.send_batch("b", b"")
    await both.list_batches()
    await both.list_mailbox()
    await both.download(file)
    await both.acknowledge("f")
    await both.close()
    assert asked == [
        "inquiries.ask_eligibility",
        "inquiries.request_authorization",
        "inquiries.ask_authorization",
        "inquiries.ask_claim_status",
        *("files." + call for call in ("send_batch", "list_batches", "list_mailbox", "download")),
        "files.acknowledge",
        "files.close",
        "inquiries.close",
    ]


# --- the connection to Temporal


def test_the_connection_is_encrypted_as_the_settings_say(
    tmp_path: Path, settings: Settings
) -> None:
    for name in ("certificate", "key", "authority"):
        (tmp_path / name).write_text(name)
    assert encryption(settings) is False
    assert encryption(settings.model_copy(update={"temporal_api_key": "k"})) is True
    mutual = encryption(
        settings.model_copy(
            update={
                "temporal_certificate": tmp_path / "certificate",
                "temporal_certificate_key": tmp_path / "key",
                "temporal_authority": tmp_path / "authority",
            }
        )
    )
    assert isinstance(mutual, TLSConfig)
    assert (mutual.client_cert, mutual.client_private_key) == (b"certificate", b"key")
    assert mutual.server_root_ca_cert == b"authority"
    with pytest.raises(SettingsRefused, match="both or neither"):
        encryption(settings.model_copy(update={"temporal_certificate": tmp_path / "key"}))


async def test_a_versioned_worker_works_once_its_build_is_current(
    client: Client, task_queue: str
) -> None:
    """As a rollout does: workers of the new build poll, then it is made current."""
    mailboxes = Mailboxes()
    async with Worker(
        client,
        task_queue=task_queue,
        activities=[mailboxes.poll],
        deployment_config=deployment(task_queue),
    ):
        await client.start_workflow(
            mailbox.NAME,
            steps.ConnectionRef(connection_id="c1"),
            id=f"mailbox-{task_queue}",
            task_queue=task_queue,
        )
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace, deployment_name="groupclaim", build_id=task_queue
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await client.workflow_service.set_worker_deployment_current_version(request)
                    break
                except RPCError:
                    await asyncio.sleep(0.2)
            await mailboxes.looked_into("c1", 1)
            await client.get_workflow_handle(f"mailbox-{task_queue}").result()
    assert mailboxes.looks == ["c1"]


async def test_a_worker_exports_the_head_of_the_log_and_stops_when_its_key_file_is_lost(
    client: Client, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SEAL_INTERVAL", timedelta(seconds=0.2))
    (tmp_path / "notes.json").write_text("{}")
    head = tmp_path / "head.json"
    where = {
        "temporal": client.service_client.config.target_host,
        "notes": tmp_path / "notes.json",
        "audit_head": head,
    }
    settings = settings.model_copy(update=where)
    database = await open_books(settings)
    await PracticeClock(database).set_stored(NOW)  # so that it leaves no schedules behind
    running = asyncio.create_task(run_worker(settings))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in (1, 2):  # the second once it works already
                async with database.transaction() as tx:
                    await audit.record(tx, NOW, "biller-1", "claim_viewed", f"GC{number}")
                while not head.exists() or json.loads(head.read_text())["number"] < number:
                    assert not running.done()
                    await asyncio.sleep(0.05)
            kept = audit.Head.model_validate_json(head.read_text())
            async with database.reading() as reading:
                assert await audit.verify(reading, kept) is None
                assert await audit.sealed_to(reading) == 2
            settings.keys_file.rename(tmp_path / "elsewhere.json")
            with pytest.raises(KeyLost, match="is gone while its keys are in use"):
                await running
    finally:
        running.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
        await database.close()


# --- the mailboxes


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    keyring = Keyring.load_or_generate(tmp_path / "keys.json")
    url = f"sqlite:///{tmp_path}/store.db"
    migrate(url)
    opened = Database.connect(url, keyring)
    yield opened
    await opened.close()


class Mailboxes:
    """The step that looks into a mailbox, and how often it was asked for each connection."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self._looked = asyncio.Event()

    @activity.defn(name=steps.POLL_MAILBOX.name)
    async def poll(self, connection: steps.ConnectionRef) -> steps.Polled:
        self.looks.append(connection.connection_id)
        self._looked.set()
        return steps.Polled(files=0)

    async def looked_into(self, connection: str, times: int) -> None:
        while self.looks.count(connection) < times:
            await self._looked.wait()
            self._looked.clear()


async def test_mailboxes_are_looked_into_again_and_again_by_the_wall_clock(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "MAILBOX_INTERVAL", timedelta(seconds=1))
    desk = FrontDesk(database, PracticeClock(database), client)
    await desk.load(practice_file(), by="front-desk")
    connections = await desk.connections()
    handles = [client.get_schedule_handle(mailbox.workflow_id(one)) for one in connections]
    mailboxes = Mailboxes()
    try:
        async with Worker(client, task_queue=TASK_QUEUE, activities=[mailboxes.poll]):
            # Each worker that starts schedules them; the second one finds them scheduled.
            await schedule_mailboxes(client, database)
            await schedule_mailboxes(client, database)
            async with asyncio.timeout(PATIENCE_SECONDS):
                for connection in connections:
                    await mailboxes.looked_into(connection, times=2)
        assert set(mailboxes.looks) == set(connections)
        drawing = await client.get_schedule_handle(sampling.WORKFLOW_ID).describe()
        (every,) = drawing.schedule.spec.intervals
        assert every.every == schedules.SAMPLING_INTERVAL
    finally:
        for handle in (*handles, client.get_schedule_handle(sampling.WORKFLOW_ID)):
            await handle.delete()


async def test_a_stored_clock_has_no_schedules(client: Client, database: Database) -> None:
    """Who moves the clock looks into the mailboxes."""
    clock = PracticeClock(database)
    desk = FrontDesk(database, clock, client)
    await clock.set_stored(NOW)
    await desk.load(practice_file(), by="front-desk")
    await schedule_mailboxes(client, database)
    (connection, *_) = await desk.connections()
    with pytest.raises(RPCError, match="not found"):
        await client.get_schedule_handle(mailbox.workflow_id(connection)).describe()
    with pytest.raises(RPCError, match="not found"):
        await client.get_schedule_handle(sampling.WORKFLOW_ID).describe()
