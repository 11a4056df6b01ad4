"""The HTTP adapter: each answer, and each missing answer, becomes the right kind of failure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import httpx2
import pytest
from pydantic import SecretStr

from groupclaim.clearinghouse import http
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.clearinghouse.port import MailboxFile, NoAnswer, NotTaken, Unreachable

BYTES = b"ISA*00*"
DIGEST = sha256(BYTES).hexdigest()
FILE = MailboxFile(
    id="f1", name="999.edi", size=len(BYTES), sha256=DIGEST, created_at="2026-02-03T08:00:00Z"
)


def house(answer: Callable[[httpx2.Request], httpx2.Response]) -> HttpClearinghouse:
    return HttpClearinghouse(
        "http://clearinghouse", SecretStr("secret"), transport=httpx2.MockTransport(answer)
    )


def answering(status: int, **more: object) -> HttpClearinghouse:
    return house(lambda request: httpx2.Response(status, **more))  # type: ignore[arg-type]


def failing(error: Exception) -> HttpClearinghouse:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error

    return house(answer)


async def test_a_taken_batch_gives_its_receipt_and_carries_name_and_token() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(202, json={"receipt": "r1", "sha256": DIGEST})

    receipt = await house(answer).send_batch("837P-1.edi", BYTES)
    assert receipt.receipt == "r1"
    assert seen[0].url.params["name"] == "837P-1.edi"
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].content == BYTES


@pytest.mark.parametrize(
    ("status", "reason", "final"),
    [
        (400, "bad_request", True),
        (409, "duplicate", True),
        (422, "unreadable", True),
        (401, "unauthorized", False),
        (403, "forbidden", False),
    ],
)
async def test_an_answer_that_refuses_says_that_nothing_was_taken(
    status: int, reason: str, final: bool
) -> None:
    with pytest.raises(NotTaken) as caught:
        await answering(status).send_batch("b", BYTES)
    assert (caught.value.reason, caught.value.final) == (reason, final)


async def test_a_status_that_proves_nothing_about_a_batch_is_an_unreachable_mailbox() -> None:
    for status, reason in ((503, "unavailable"), (408, "too_slow"), (405, "wrong_method")):
        with pytest.raises(Unreachable, match=reason):
            await answering(status).list_mailbox()


async def test_retry_after_is_told_on_and_bounded() -> None:
    with pytest.raises(NotTaken) as caught:
        await answering(429, headers={"Retry-After": "7"}).send_batch("b", BYTES)
    assert caught.value.retry_after == timedelta(seconds=7)
    with pytest.raises(Unreachable) as unreachable:
        await answering(503, headers={"Retry-After": "999999"}).list_batches()
    assert unreachable.value.retry_after == timedelta(hours=1)


@pytest.mark.parametrize("status", [301, 404, 405, 408, 429, 500, 502, 503, 504])
async def test_an_answer_that_says_nothing_about_the_batch_leaves_it_unknown(status: int) -> None:
    with pytest.raises(NoAnswer):
        await answering(status).send_batch("b", BYTES)


@pytest.mark.parametrize(
    "content", [b"", b"{}", json.dumps({"receipt": "r", "sha256": "0" * 64}).encode()]
)
async def test_a_receipt_that_does_not_name_our_bytes_leaves_it_unknown(content: bytes) -> None:
    with pytest.raises(NoAnswer):
        await answering(202, content=content).send_batch("b", BYTES)


@pytest.mark.parametrize("error", [httpx2.ConnectError("x"), httpx2.ConnectTimeout("x")])
async def test_a_connection_never_made_means_nothing_was_taken(error: Exception) -> None:
    with pytest.raises(NotTaken) as caught:
        await failing(error).send_batch("b", BYTES)
    assert not caught.value.final


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadTimeout("x"),
        httpx2.WriteError("x"),
        httpx2.RemoteProtocolError("x"),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
async def test_a_connection_that_breaks_leaves_a_batch_unknown_and_a_read_unreachable(
    error: Exception,
) -> None:
    with pytest.raises(NoAnswer):
        await failing(error).send_batch("b", BYTES)
    with pytest.raises(Unreachable):
        await failing(error).list_mailbox()


async def test_a_download_of_other_bytes_than_listed_is_not_given_out() -> None:
    with pytest.raises(Unreachable, match="other_bytes"):
        await answering(200, content=BYTES + b"~").download(FILE)
    with pytest.raises(Unreachable, match="other_bytes"):
        await answering(200, content=b"ISA*01*").download(FILE)
    assert await answering(200, content=BYTES).download(FILE) == BYTES


async def test_an_answer_without_end_is_not_read_to_its_end_packed_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch may have been taken all the same; a question is asked again."""
    monkeypatch.setattr(http, "_LONGEST_ANSWER", 1_000)
    bomb, packed = b"A" * 1_001, {"content-encoding": "gzip"}
    assert len(gzip.compress(bomb)) < 100
    for endless in (
        answering(200, content=bomb),
        answering(200, content=gzip.compress(bomb), headers=packed),
    ):
        with pytest.raises(NoAnswer, match="answer_too_long"):
            await endless.send_batch("b", BYTES)
        with pytest.raises(NoAnswer, match="answer_too_long"):
            await endless.request_authorization(BYTES)
        with pytest.raises(Unreachable, match="answer_too_long"):
            await endless.ask_eligibility(BYTES)
        with pytest.raises(Unreachable, match="answer_too_long"):
            await endless.download(FILE)
    assert await answering(200, content=b"A" * 1_000).ask_eligibility(BYTES) == b"A" * 1_000


async def test_a_file_that_has_gone_is_no_error() -> None:
    assert await answering(404).download(FILE) is None
    await answering(404).acknowledge("f1")


async def test_an_unreadable_listing_is_unreachable_never_empty() -> None:
    for content in (b"[]", b'{"taken_at": "2026-02-03", "interchanges": []}', b"{"):
        with pytest.raises(Unreachable):
            await answering(200, content=content).list_batches()


async def test_a_refused_inquiry_is_told_from_an_unanswered_one() -> None:
    with pytest.raises(NotTaken):
        await answering(422).ask_eligibility(BYTES)
    with pytest.raises(Unreachable):
        await answering(500).ask_eligibility(BYTES)
    assert await answering(200, content=b"271").ask_eligibility(BYTES) == b"271"


async def test_an_authorization_is_requested_once_and_asked_about_as_often_as_wanted() -> None:
    with pytest.raises(NoAnswer):
        await failing(httpx2.ReadTimeout("x")).request_authorization(BYTES)
    with pytest.raises(NoAnswer):
        await answering(503).request_authorization(BYTES)
    with pytest.raises(NotTaken):
        await failing(httpx2.ConnectError("x")).request_authorization(BYTES)
    with pytest.raises(NotTaken, match="duplicate"):
        await answering(409).request_authorization(BYTES)
    with pytest.raises(Unreachable):
        await answering(503).ask_authorization(BYTES)
    for lacking in (answering(404).request_authorization, answering(404).ask_authorization,
                    answering(404).ask_claim_status):  # fmt: skip
        with pytest.raises(NotTaken, match="no_such_service"):
            await lacking(BYTES)
    answered = answering(200, content=b"278")
    assert await answered.request_authorization(BYTES) == b"278"
    assert await answered.ask_authorization(BYTES) == b"278"


async def test_a_status_inquiry_is_answered_refused_or_unanswered() -> None:
    assert await answering(200, content=b"277").ask_claim_status(BYTES) == b"277"
    with pytest.raises(NotTaken):
        await answering(422).ask_claim_status(BYTES)
    with pytest.raises(Unreachable):
        await answering(503).ask_claim_status(BYTES)
