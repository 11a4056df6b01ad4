"""One worker process: connects, takes tasks until it is told to stop, ends cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import TLSConfig
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.measures import count_refusal
from activities.notes import JsonNotes
from activities.outside import Outside
from activities.registry import every_activity
from activities.schedules import schedule_mailboxes
from activities.steps import TASK_QUEUE
from groupclaim import __version__
from groupclaim.cards.stripe import StripeCards
from groupclaim.clearinghouse.circuit import GuardedClearinghouse
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.clearinghouse.port import Clearinghouse, SeparateWays
from groupclaim.clearinghouse.sftp import LoginRefused, SftpFiles, SftpLogin
from groupclaim.delivery.folder import PickUpFolder
from groupclaim.delivery.port import ByHand
from groupclaim.delivery.webhook import WebhookSender
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store.connection_down import ConnectionDiary
from groupclaim.store.database import Database, migrate
from groupclaim.store.key_use import missing_keys
from groupclaim.store.keys import Keyring
from worker import telemetry
from worker.audit_head import seal_and_export
from worker.capacity import STEPS_AT_ONCE, workflows_held
from worker.plugin import groupclaim_plugin
from worker.settings import Settings, is_here

SEAL_INTERVAL = timedelta(seconds=60)


class SettingsRefused(ValueError):
    """A setting that this process needs is missing or unusable; the text names it."""


class KeyLost(SettingsRefused):
    """A key is missing that something is written under; the text names it by its id."""


async def open_books(settings: Settings, *, short: bool = False) -> Database:
    """The database of the settings, brought to this release's schema, with its keys; ``short`` as
    in :meth:`Database.connect`.

    A key file is made only where nothing has been written yet. Raises :class:`KeyLost` where it is
    missing, or lacks a key that something is written under.
    """
    migrate(settings.database_url)
    if not await asyncio.to_thread(settings.keys_file.exists):
        empty = Database.connect(settings.database_url, Keyring.generate())
        try:
            await check_keys(empty, settings.keys_file, made_now=True)
        finally:
            await empty.close()
    keyring = Keyring.load_or_generate(settings.keys_file)
    database = Database.connect(settings.database_url, keyring, short=short)
    try:
        await check_keys(database, settings.keys_file)
    except BaseException:
        await database.close()
        raise
    return database


async def check_keys(database: Database, file: Path, *, made_now: bool = False) -> None:
    """Raises :class:`KeyLost` when something is written under a key that ``database`` lacks, or
    when the file of the keys that it has is gone: what is written under them could be lost."""
    async with database.reading() as reading:
        missing = await missing_keys(reading)
    if missing:
        raise KeyLost(
            f"{file}: something is written under {', '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not there. Bring the newest key file back "
            "from where its copy is kept; no new key can read what is written"
        )
    if not made_now and not await asyncio.to_thread(file.exists):
        raise KeyLost(f"{file}: is gone while its keys are in use. Bring it back before any start")


async def connect(settings: Settings, keyring: Keyring, *, metrics: bool = False) -> Client:
    """A client that speaks to the server as all of groupclaim does."""
    port = settings.sdk_metrics_port
    address = f"{settings.metrics_host}:{port}" if port else None
    return await Client.connect(
        settings.temporal,
        namespace=settings.namespace,
        api_key=settings.temporal_api_key or None,
        tls=encryption(settings),
        plugins=[groupclaim_plugin(payload_keys(keyring), keyring.current)],
        runtime=telemetry.temporal_runtime(address) if metrics else None,
    )


def encryption(settings: Settings) -> TLSConfig | bool:
    """How the connection is encrypted: by certificates, as an API key asks, or not at all."""
    pair = (settings.temporal_certificate, settings.temporal_certificate_key)
    if None in pair and any(pair):
        raise SettingsRefused("temporal_certificate and temporal_certificate_key: both or neither")
    certificate, key, authority = (
        path.read_bytes() if path else None for path in (*pair, settings.temporal_authority)
    )
    if certificate or authority:
        return TLSConfig(
            client_cert=certificate, client_private_key=key, server_root_ca_cert=authority
        )
    return bool(settings.temporal_api_key)


def deployment(build: str) -> WorkerDeploymentConfig:
    """With a build id, workflows move to a new worker only once it is made current; all of ours
    then upgrade with it, since recorded histories prove that they replay."""
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion("groupclaim", build or __version__),
        use_worker_versioning=bool(build),
        default_versioning_behavior=(
            VersioningBehavior.AUTO_UPGRADE if build else VersioningBehavior.UNSPECIFIED
        ),
    )


def worker_settings(build: str = "") -> dict[str, Any]:
    """How a worker takes and keeps its tasks; ``build`` as in :func:`deployment`."""
    return {
        "deployment_config": deployment(build),
        "max_cached_workflows": workflows_held(),
        "max_concurrent_activities": STEPS_AT_ONCE,
        # A worker that dies keeps its workflows' next tasks for this long.
        "sticky_queue_schedule_to_start_timeout": timedelta(seconds=2),
        "graceful_shutdown_timeout": timedelta(seconds=30),
    }


def payload_keys(keyring: Keyring) -> dict[str, bytes]:
    """The keys of what Temporal keeps for us, by their ids."""
    return {key_id: keyring.derived("payload", key_id) for key_id in keyring.key_ids}


def open_clearinghouse(settings: Settings) -> Clearinghouse:
    """The way to the payers that these settings describe; nothing is asked of anyone yet.

    Raises :class:`SettingsRefused`.
    """
    if not settings.clearinghouse or settings.clearinghouse_token is None:
        raise SettingsRefused("clearinghouse and clearinghouse_token: both are needed by a worker")
    if settings.production:
        _check_encrypted("clearinghouse", settings.clearinghouse)
    login = _files_login(settings)
    http = HttpClearinghouse(
        settings.clearinghouse, SecretStr(settings.clearinghouse_token.read_text().strip())
    )
    return http if login is None else SeparateWays(inquiries=http, files=SftpFiles(login))


def open_cards(settings: Settings) -> StripeCards | None:
    """The card processor of these settings; None where no key is given.

    Raises :class:`SettingsRefused`.
    """
    if settings.cards_key is None:
        return None
    _check_encrypted("cards", settings.cards)
    return StripeCards(SecretStr(settings.cards_key.read_text().strip()), settings.cards)


def _check_encrypted(setting: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_here(parts.hostname or ""):
        raise SettingsRefused(f"{setting}: an https address; http only to this machine")


def _files_login(settings: Settings) -> SftpLogin | None:
    if not settings.files:
        return None
    if settings.files_host_key is None or settings.files_login is None:
        raise SettingsRefused("files: needs files_host_key and files_login beside it")
    # It names hosts, users and files of everyone at the level of info.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        return SftpLogin.read(settings.files, settings.files_host_key, settings.files_login)
    except LoginRefused as error:
        raise SettingsRefused(f"files: {error}") from None


def open_outside(
    settings: Settings,
    database: Database,
    client: Client,
    clearinghouse: Clearinghouse,
    cards: StripeCards | None = None,
) -> Outside:
    """What the steps of these settings work with. Raises :class:`SettingsRefused`."""
    if settings.notes is None:
        raise SettingsRefused("notes: the file of progress notes is needed by a worker")
    return Outside(
        database=database,
        clearinghouse=clearinghouse,
        notes=JsonNotes(settings.notes),
        policies=PolicyBook.load(settings.policies),
        fees=FeeSchedule.load(settings.policies),
        edits=CodeEdits.load(settings.policies),
        calendar=BusinessCalendar(),
        playbook=Playbook.load(settings.policies),
        letters=PickUpFolder(settings.letters) if settings.letters else ByHand(),
        patient_letters=PickUpFolder(settings.patient_letters)
        if settings.patient_letters
        else None,
        client=client,
        task_queue=TASK_QUEUE,
        webhooks=WebhookSender(private=settings.webhook_private),
        webhooks_kept=timedelta(days=settings.webhook_days),
        production=settings.production,
        cards=cards,
    )


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; steps under way get 30 seconds to end.

    Ends the same way, with :class:`KeyLost`, within a minute of a key having gone missing.
    """
    log = structlog.get_logger("groupclaim.worker")
    clearinghouse = open_clearinghouse(settings)
    database = await open_books(settings, short=True)
    client = await connect(settings, database.keyring, metrics=True)
    if settings.metrics_port:
        telemetry.serve_metrics(settings.metrics_host, settings.metrics_port)
    cards = open_cards(settings)
    guarded = GuardedClearinghouse(clearinghouse, ConnectionDiary(database))
    outside = open_outside(settings, database, client, guarded, cards)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            activities=every_activity(outside),
            **worker_settings(settings.build),
        ):
            await schedule_mailboxes(client, database)
            log.info("worker started", temporal=settings.temporal)
            while not stop.is_set():
                try:
                    await check_keys(database, settings.keys_file)
                    await seal_and_export(database, settings.audit_head)
                except SQLAlchemyError as error:
                    # Steps come again by themselves: a worker that ended would only be late.
                    cause = count_refusal(error)
                    log.error(
                        "the database refuses",
                        state=cause.value if cause else None,
                        exception_type=type(error).__name__,
                    )
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), SEAL_INTERVAL.total_seconds())
            log.info("worker stopping")
    except KeyLost:
        log.error("an encryption key is missing: the worker stops", state="missing")
        raise
    finally:
        await clearinghouse.close()
        if cards is not None:
            await cards.close()
        await database.close()
