"""The clearinghouse over HTTP. Each call is one request: trying again is for whoever calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from types import TracebackType
from typing import TypeVar

import httpx2
from pydantic import BaseModel, SecretStr, ValidationError

from groupclaim.clearinghouse.port import (
    DUPLICATE,
    NO_SUCH_SERVICE,
    Listing,
    MailboxFile,
    NoAnswer,
    NotTaken,
    Receipt,
    Unreachable,
)
from groupclaim.model.base import Record

_READ_SECONDS = 20.0
_SEND_SECONDS = 45.0
_LONGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_PAUSE = timedelta(hours=1)
_X12 = {"Content-Type": "application/edi-x12"}

_NEVER_LEFT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
# In memory, as tests call it, a cut connection is an OSError of its own.
_BROKEN = (httpx2.TransportError, httpx2.DecodingError, TimeoutError, OSError)

_REFUSED_FOR_GOOD = {400: "bad_request", 409: DUPLICATE, 413: "too_large", 415: "wrong_type",
                     422: "unreadable"}  # fmt: skip
_REFUSED_FOR_NOW = {401: "unauthorized", 403: "forbidden", 429: "throttled"}
_NOT_ANSWERED = {405: "wrong_method", 408: "too_slow", 503: "unavailable"}
"""What a gateway also says in the place of a clearinghouse that has taken the file already: of a
question it means that there was no answer, of a batch it proves nothing."""
_NO_ANSWER_TO_A_QUESTION = {**_REFUSED_FOR_NOW, **_NOT_ANSWERED}

Answer = TypeVar("Answer", bound=BaseModel)


class _MailboxListing(Record):
    files: tuple[MailboxFile, ...]


class HttpClearinghouse:
    """The adapter of :class:`groupclaim.clearinghouse.port.Clearinghouse` for the HTTP protocol.

    Close it when done, or use it as an asynchronous context.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=httpx2.Timeout(_READ_SECONDS, connect=5.0, pool=5.0),
            transport=transport,
            follow_redirects=False,
        )

    async def __aenter__(self) -> HttpClearinghouse:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def ask_eligibility(self, inquiry: bytes) -> bytes:
        return await self._inquire("/eligibility", inquiry)

    async def request_authorization(self, request: bytes) -> bytes:
        try:
            return await self._offer("/authorization", request, {}, _READ_SECONDS)
        except NoAnswer as error:
            if str(error) == "status_404":  # a clearinghouse that takes no 278 at all
                raise NotTaken(NO_SUCH_SERVICE, final=True) from None
            raise

    async def ask_authorization(self, inquiry: bytes) -> bytes:
        return await self._inquire("/authorization", inquiry, may_lack=True)

    async def ask_claim_status(self, inquiry: bytes) -> bytes:
        return await self._inquire("/claim-status", inquiry, may_lack=True)

    async def _inquire(self, path: str, inquiry: bytes, *, may_lack: bool = False) -> bytes:
        """The answer to a question; ``may_lack``: not every clearinghouse takes such questions."""
        status, answer = await self._ask("POST", path, inquiry)
        if status == 404 and may_lack:
            raise NotTaken(NO_SUCH_SERVICE, final=True)
        if status == 422:
            raise NotTaken("unreadable", final=True)
        if status != 200:
            raise Unreachable(f"status_{status}")
        return answer

    async def send_batch(self, name: str, content: bytes) -> Receipt:
        answer = await self._offer("/batches", content, {"name": name}, _SEND_SECONDS)
        try:
            receipt = Receipt.model_validate_json(answer)
        except ValidationError:
            raise NoAnswer("unreadable_receipt") from None
        if receipt.sha256 != sha256(content).hexdigest():
            raise NoAnswer("receipt_of_other_bytes")
        return receipt

    async def _offer(
        self, path: str, content: bytes, parameters: dict[str, str], seconds: float
    ) -> bytes:
        """The answer to what was offered once; raises NotTaken or NoAnswer."""
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(
                    "POST",
                    path,
                    params=parameters,
                    content=content,
                    headers=_X12,
                    timeout=httpx2.Timeout(seconds, connect=5.0, pool=5.0),
                ) as response,
            ):
                answer = await _body(response)
        except _NEVER_LEFT as error:
            raise NotTaken(_kind(error)) from None
        except _BROKEN as error:
            raise NoAnswer(_kind(error)) from None
        status = response.status_code
        if status in _REFUSED_FOR_GOOD:
            raise NotTaken(_REFUSED_FOR_GOOD[status], final=True)
        # Only who has not let us in says when to come again: a 429 without that may be anyone's.
        if status in _REFUSED_FOR_NOW and (status != 429 or "Retry-After" in response.headers):
            raise NotTaken(_REFUSED_FOR_NOW[status], retry_after=_pause(response))
        if status not in (200, 201, 202):
            raise NoAnswer(f"status_{status}")
        if answer is None:
            raise NoAnswer("answer_too_long")
        return answer

    async def list_batches(self) -> Listing:
        return await self._read("/batches", Listing)

    async def list_mailbox(self) -> tuple[MailboxFile, ...]:
        return (await self._read("/mailbox", _MailboxListing)).files

    async def download(self, file: MailboxFile) -> bytes | None:
        status, content = await self._ask("GET", f"/mailbox/{file.id}")
        if status == 404:
            return None
        if status != 200:
            raise Unreachable(f"status_{status}")
        if len(content) != file.size or sha256(content).hexdigest() != file.sha256:
            raise Unreachable("other_bytes_than_listed")
        return content

    async def acknowledge(self, file_id: str) -> None:
        status, _ = await self._ask("DELETE", f"/mailbox/{file_id}")
        if status not in (200, 204, 404):
            raise Unreachable(f"status_{status}")

    async def _read(self, path: str, record: type[Answer]) -> Answer:
        status, content = await self._ask("GET", path)
        if status != 200:
            raise Unreachable(f"status_{status}")
        try:
            return record.model_validate_json(content)
        except ValidationError:
            raise Unreachable("unreadable_answer") from None

    async def _ask(self, method: str, path: str, content: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of a request that changes nothing, or nothing that a repeat would not."""
        try:
            async with asyncio.timeout(_READ_SECONDS), self._answer(method, path, content) as got:
                if (reason := _NO_ANSWER_TO_A_QUESTION.get(got.status_code)) is not None:
                    raise Unreachable(reason, retry_after=_pause(got))
                if (body := await _body(got)) is None:
                    raise Unreachable("answer_too_long")
                return got.status_code, body
        except _BROKEN as error:
            raise Unreachable(_kind(error)) from None

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, content: bytes | None
    ) -> AsyncIterator[httpx2.Response]:
        headers = _X12 if content is not None else None
        async with self._client.stream(method, path, content=content, headers=headers) as response:
            yield response


async def _body(response: httpx2.Response) -> bytes | None:
    """What is answered, unpacked; None where it is longer than any answer is."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            return None
    return bytes(body)


def _pause(response: httpx2.Response) -> timedelta | None:
    """Retry-After in seconds; the form with a date is not worth a clock here."""
    text = response.headers.get("Retry-After", "")
    if not text.isdecimal():
        return None
    return min(timedelta(seconds=int(text[:6])), _LONGEST_PAUSE)


def _kind(error: BaseException) -> str:
    """The failure's kind: its text may quote what was sent."""
    return type(error).__name__
