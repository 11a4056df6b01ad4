"""The console as a process: who may come in first, where it listens, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from pydantic import SecretStr

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.second_look import SecondLook
from groupclaim.console.app import create_app
from groupclaim.console.codec_server import CodecServer, create_codec_server
from groupclaim.console.console import Console
from groupclaim.console.oidc import IdentityProvider
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store import audit, people
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from worker.codec import EncryptingCodec
from worker.process import SettingsRefused, connect, open_books, payload_keys
from worker.settings import Settings, is_here

FIRST_USER = "owner"


def wall_time() -> datetime:
    return datetime.now(UTC)


async def serve_console(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve the console until SIGTERM or SIGINT. Raises :class:`SettingsRefused`."""
    address = listening_address(settings)
    provider = _identity_provider(settings)
    database = await open_books(settings)
    try:
        client = await connect(settings, database.keyring)
        clock = PracticeClock(database)
        policies = PolicyBook.load(settings.policies)
        console = Console(
            database=database,
            desk=FrontDesk(database, clock, client),
            cash=CashDesk(database, clock, client),
            second_look=SecondLook(database, clock, client, policies),
            clock=clock,
            policies=policies,
            playbook=Playbook.load(settings.policies),
            origin=settings.console.rstrip("/"),
            wall=wall_time,
            identity_provider=provider,
        )
        await let_in_the_first(database, tell)
        server = uvicorn.Server(serving(settings, create_app(console), *address))
        tell(f"console        {console.origin}")
        await server.serve()
    finally:
        if provider is not None:
            await provider.close()
        await database.close()


async def serve_codec(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve the codec server until SIGTERM or SIGINT. Raises :class:`SettingsRefused`."""
    host, _ = listening_address(settings)
    origin = urlsplit(settings.console)
    keyring = Keyring.load(settings.keys_file)
    migrate(settings.database_url)
    database = Database.connect(settings.database_url, keyring)
    codec = EncryptingCodec(payload_keys(keyring), keyring.current)
    server = CodecServer(
        database=database,
        clock=PracticeClock(database),
        decode=codec.decode,
        ui=settings.temporal_ui.rstrip("/"),
        secure=origin.scheme == "https",
        wall=wall_time,
    )
    try:
        listening = uvicorn.Server(
            serving(settings, create_codec_server(server), host, settings.codec_port)
        )
        tell(f"codec server   {origin.scheme}://{origin.hostname}:{settings.codec_port}")
        tell(f"asked only by  {server.ui}")
        await listening.serve()
    finally:
        await database.close()


def serving(settings: Settings, application: Any, host: str, port: int) -> uvicorn.Config:
    """How an application is served. Who asks is counted by their own address only where the proxy
    in front is named: anybody may write ``X-Forwarded-For``. Raises :class:`SettingsRefused`."""
    proxies = [item.strip() for item in settings.console_proxies.split(",") if item.strip()]
    for item in proxies:
        try:
            ip_network(item)
        except ValueError:
            raise SettingsRefused(
                "console_proxies: addresses or networks, as 10.0.0.5,172.16.0.0/12"
            ) from None
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
    )


def listening_address(settings: Settings) -> tuple[str, int]:
    """Where to listen. In the clear only on this machine: elsewhere a proxy brings encryption."""
    parts = urlsplit(settings.console)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise SettingsRefused("console: an address as https://claims.example")
    if parts.scheme == "http" and not is_here(host):
        raise SettingsRefused("console: http only on 127.0.0.1; elsewhere https, by a proxy")
    if parts.scheme == "https" and not settings.console_port:
        raise SettingsRefused("console_port: the port that the proxy in front passes on to")
    if parts.scheme == "https":
        return "0.0.0.0", settings.console_port  # noqa: S104 - behind a proxy, in a container
    return host, settings.console_port or parts.port or 80


def _identity_provider(settings: Settings) -> IdentityProvider | None:
    if not settings.identity_provider:
        return None
    if not settings.identity_client or settings.identity_secret is None:
        raise SettingsRefused("identity_provider: needs identity_client and identity_secret")
    if not settings.identity_provider.startswith("https://"):
        raise SettingsRefused("identity_provider: an https address")
    return IdentityProvider(
        settings.identity_provider,
        settings.identity_client,
        SecretStr(settings.identity_secret.read_text().strip()),
        several_factors=settings.identity_factors,
    )


async def let_in_the_first(database: Database, tell: Callable[[str], None]) -> None:
    """Where nobody has ever been let in, let ``owner`` in, with a password that is good once."""
    now = wall_time()
    async with database.transaction() as tx:
        if await people.anyone(tx):
            return
        account = people.Account(name=FIRST_USER)
        password = await people.add_user(tx, account, people.Role.SUPERVISOR, now)
        await audit.record(tx, now, "console", "add_user", FIRST_USER, {"role": "supervisor"})
    tell(f"sign in        {FIRST_USER} / {password}  (to be changed at the first sign-in)")
