"""Sends events to other systems: signed, to public addresses only, following nobody elsewhere.

The header ``groupclaim-signature`` is ``t=SECONDS,v1=HEX``: the time of sending, and HMAC-SHA256
under the subscription's secret over those seconds, a point and the body as sent. A receiver refuses
what is older than five minutes, and takes each ``groupclaim-event-id`` once.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2

_SECONDS = 10.0
_FRESH_SECONDS = 300
_HERE = "127.0.0.1"

Resolve = Callable[[str, int], Awaitable[list[str]]]


def signature(secret: str, seconds: int, body: str) -> str:
    """What ``groupclaim-signature`` says of ``body`` sent at ``seconds`` since 1970."""
    signed = hmac.new(secret.encode(), f"{seconds}.{body}".encode(), sha256).hexdigest()
    return f"t={seconds},v1={signed}"


def is_ours(secret: str, said: str, body: bytes, now: int) -> bool:
    """Whether ``said``, the header ``groupclaim-signature``, signs ``body`` as a receiver checks it
    at ``now`` (seconds since 1970): by who holds the secret, and within five minutes.

    Taking each ``groupclaim-event-id`` once is left to the receiver: within the five minutes a
    replay is signed as well as the first.
    """
    parts = dict(part.partition("=")[::2] for part in said.split(","))
    seconds = parts.get("t", "")
    if not (seconds.isascii() and seconds.isdecimal()) or abs(now - int(seconds)) > _FRESH_SECONDS:
        return False
    wanted = hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), parts.get("v1", "").encode())


async def _addresses(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


@dataclass(frozen=True)
class WebhookSender:
    """``private``: also to addresses inside the practice's own network."""

    private: bool = False
    transport: httpx2.AsyncBaseTransport | None = None
    resolve: Resolve = _addresses
    wall: Callable[[], float] = time.time

    async def send(self, url: str, secret: str, event_id: str, body: str) -> tuple[bool, str]:
        """Whether it was taken (2xx), and the outcome as a code: the status, or what failed. An
        address that nothing can be sent to is told so too: it keeps no other system waiting."""
        try:
            return await self._sent(url, secret, event_id, body)
        except (ValueError, httpx2.InvalidURL):
            return False, "bad_address"

    async def _sent(self, url: str, secret: str, event_id: str, body: str) -> tuple[bool, str]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            address = await self._address(parts.scheme, host, port)
        except OSError:
            return False, "no_address"
        if address is None:
            return False, "private_address"
        named = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{named}:{port}").geturl()
        seconds = int(self.wall())
        headers = {
            "host": parts.netloc,
            "content-type": "application/json",
            "user-agent": "groupclaim",
            "groupclaim-event-id": event_id,
            "groupclaim-signature": signature(secret, seconds, body),
        }
        client = httpx2.AsyncClient(
            timeout=_SECONDS, follow_redirects=False, trust_env=False, transport=self.transport
        )
        try:
            # The name was looked up once and is not asked again: what was checked is what is used.
            async with (
                client,
                asyncio.timeout(_SECONDS),
                client.stream(
                    "POST",
                    target,
                    content=body.encode(),
                    headers=headers,
                    extensions={"sni_hostname": host},
                ) as answer,
            ):
                return answer.is_success, str(answer.status_code)
        except (httpx2.HTTPError, OSError) as error:
            return False, type(error).__name__

    async def _address(self, scheme: str, host: str, port: int) -> str | None:
        """Where to send; None when any address of the host is not a public one."""
        if host == _HERE:
            return _HERE
        if scheme != "https":
            return None
        found = await self.resolve(host, port)
        if not found:
            return None
        if not self.private and not all(ip_address(item).is_global for item in found):
            return None
        return found[0]
