"""Other systems are told of what has happened: signed, once by event id, for three days."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from activities import steps
from activities.webhooks import WebhookDesk
from groupclaim.delivery.webhook import WebhookSender, is_ours, signature
from groupclaim.model.base import InputRefused
from groupclaim.store import webhooks, work
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import webhook_delivery
from groupclaim.store.webhooks import Event
from tests.activities.house import START, House
from tests.faults.extent import whole

URL = "https://ehr.example/claims?of=practice"


class System:
    """A system that is told; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        return httpx2.Response(self.status, headers={"location": "https://evil.example/"})

    def sender(self, *addresses: str, private: bool = False) -> WebhookSender:
        async def resolve(host: str, port: int) -> list[str]:
            return list(addresses)

        return WebhookSender(
            private=private,
            transport=httpx2.MockTransport(self),
            resolve=resolve,
            wall=lambda: 1_770_000_000.0,
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as made:
        yield made


async def subscribe(house: House, *events: Event) -> tuple[str, str]:
    async with house.database.transaction() as tx:
        return await webhooks.subscribe(tx, URL, events, START)


async def tell(house: House, sender: WebhookSender) -> steps.WebhooksDelivered:
    desk = WebhookDesk(replace(house.outside, webhooks=sender))
    return await desk.deliver_webhooks(steps.WebhookRound())


async def test_a_hold_is_told_signed_with_ids_and_codes_only(house: House) -> None:
    _, secret = await subscribe(house, Event.HOLD_OPENED)
    await house.open_sessions()
    held = {number: state for number, state in house.states.items() if state.hold}
    system = System()
    told = await tell(house, system.sender("93.184.215.14"))
    assert told == steps.WebhooksDelivered(due=len(held), taken=len(held))
    bodies = {}
    for request in system.requests:
        body = json.loads(request.content)
        bodies[body["data"]["claim_number"]] = body
        signed = b"1770000000." + request.content
        hex_ = hmac.new(secret.encode(), signed, sha256).hexdigest()
        assert request.headers["groupclaim-signature"] == f"t=1770000000,v1={hex_}"
        assert request.headers["groupclaim-event-id"] == body["id"]
        # Sent to the address that was checked, under the name that was given.
        assert str(request.url) == "https://93.184.215.14/claims?of=practice"
        assert request.headers["host"] == "ehr.example"
        assert request.extensions["sni_hostname"] == "ehr.example"
    for number, state in held.items():
        assert state.hold is not None
        assert bodies[number]["event"] == "claim.hold_opened"
        assert bodies[number]["data"] == {
            "claim_number": number,
            "stage": state.stage.value,
            "hold": state.hold.code,
        }
    assert (await tell(house, system.sender("93.184.215.14"))).due == 0


async def test_only_what_was_asked_for_is_told_and_each_fact_once(house: House) -> None:
    await subscribe(house, Event.CLAIM_STAGE_CHANGED, Event.WORK_ITEM_OPENED)
    await house.open_sessions()
    rows = await house.rows(select(webhook_delivery.c.body))
    events = [json.loads(row.body)["event"] for row in rows]
    assert set(events) == {"claim.stage_changed", "work_item.opened"}
    before = len(events)
    for state in house.states.values():  # told again, as after a worker's death
        await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))
    assert len(await house.rows(select(webhook_delivery.c.id))) == before


async def test_what_is_not_taken_is_tried_for_three_days_and_is_then_a_work_item(
    house: House,
) -> None:
    key, _ = await subscribe(house, Event.HOLD_OPENED)
    data = {"claim_number": "GC0"}
    async with house.database.transaction() as tx:
        await webhooks.note(tx, Event.HOLD_OPENED, "one", data, START)
    system, at, tried = System(), START, []
    system.status = 302
    sender = system.sender("93.184.215.14")

    async def items() -> list[Any]:
        async with house.database.reading() as reading:
            wanted = work.Wanted(code="WEBHOOK_UNDELIVERED")
            return list(await work.items(reading, wanted, at))

    while not tried or tried[-1] < START + timedelta(days=3):
        await house.move_to(at)
        if (await tell(house, sender)).due:
            tried.append(at)
        at += timedelta(seconds=30)
        if len(tried) > 9:
            at = at - timedelta(seconds=30) + timedelta(minutes=30)
    waits = [round((b - a).total_seconds()) for a, b in pairwise(tried)]
    assert waits[:7] == [30, 60, 120, 240, 480, 960, 1920]
    assert max(waits) <= 3600
    (item,) = await items()
    assert (item.subject, item.queue) == (f"webhook/{key}", "engineers")
    # Nothing but the address that was given was asked: a redirect is no answer.
    assert {request.headers["host"] for request in system.requests} == {"ehr.example"}
    assert (await tell(house, sender)).due == 0
    system.status = 204
    async with house.database.transaction() as tx:
        await webhooks.note(tx, Event.HOLD_OPENED, "two", data, at)
    await house.move_to(at)
    assert (await tell(house, sender)).taken == 1
    assert await items() == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("10.0.0.5",),
        ("93.184.215.14", "169.254.169.254"),
        ("::1",),
        ("fd00::1",),
        ("127.0.0.1",),
        (),
    ],
)
async def test_nothing_is_sent_into_the_practices_own_network(addresses: tuple[str, ...]) -> None:
    system = System()
    sender = system.sender(*addresses)
    assert await sender.send(URL, "secret", "e1", "{}") == (False, "private_address")
    assert system.requests == []


@pytest.mark.parametrize(
    "url",
    ["https://ehr.example:99999/", "https://" + "a" * 64 + ".example/", "https://[ehr.example/"],
)
async def test_an_address_kept_before_that_is_none_keeps_no_other_waiting(url: str) -> None:
    assert await WebhookSender().send(url, "secret", "e1", "{}") == (False, "bad_address")


async def test_a_private_address_is_told_where_that_is_allowed() -> None:
    system = System()
    sender = system.sender("10.0.0.5", private=True)
    assert await sender.send(URL, "secret", "e1", "{}") == (True, "200")
    assert system.requests[0].url.host == "10.0.0.5"


async def test_this_machine_is_told_in_the_clear_and_no_other() -> None:
    system = System()
    sender = system.sender("93.184.215.14")
    assert (await sender.send("http://127.0.0.1:9/x", "s", "e", "{}"))[0]
    assert await sender.send("http://ehr.example/x", "s", "e", "{}") == (False, "private_address")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://ehr.example/", "http only on 127.0.0.1"),
        ("ftp://ehr.example/", "https"),
        ("https://user:word@ehr.example/", "without a name"),
        ("https://ehr.example/#part", "fragment"),
        ("https://" + "a" * 500, "1 to 500"),
        ("https://ehr.example:99999/", "a port"),
        ("https://ehr.example:port/", "a port"),
        ("https://" + "a" * 64 + ".example/", "labels"),
        ("https://ehr..example/", "labels"),
        ("https://[ehr.example/", "a host"),
        ("https://b\u00fccher.example/", "ASCII"),
    ],
)
async def test_an_address_that_cannot_be_told_is_refused(house: House, url: str, said: str) -> None:
    async with house.database.transaction() as tx:
        with pytest.raises(InputRefused, match=said):
            await webhooks.subscribe(tx, url, [Event.HOLD_OPENED], START)


async def test_one_removed_is_told_nothing_more(house: House) -> None:
    key, _ = await subscribe(house, Event.HOLD_OPENED)
    await house.open_sessions()
    async with house.database.transaction() as tx:
        await webhooks.unsubscribe(tx, key, START)
    assert (await tell(house, System().sender("93.184.215.14"))).due == 0
    async with house.database.reading() as reading:
        assert await webhooks.subscriptions(reading) == ()


async def test_what_was_told_is_deleted_after_a_month_and_what_waits_is_not(house: House) -> None:
    gone, _ = await subscribe(house, Event.HOLD_OPENED)
    await subscribe(house, Event.HOLD_OPENED, Event.WORK_ITEM_OPENED)
    async with house.database.transaction() as tx:
        for name in ("one", "two"):
            await webhooks.note(tx, Event.HOLD_OPENED, name, {}, START)
    system = System()
    sender = system.sender("93.184.215.14")
    await tell(house, sender)
    system.status = 500
    async with house.database.transaction() as tx:
        await webhooks.note(tx, Event.WORK_ITEM_OPENED, "three", {}, START)
        await webhooks.note(tx, Event.HOLD_OPENED, "four", {}, START)
        await webhooks.unsubscribe(tx, gone, START)
    await tell(house, sender)
    assert len(await house.rows(select(webhook_delivery.c.id))) == 7
    await house.move_to(START + timedelta(days=30))
    await tell(house, sender)
    assert len(await house.rows(select(webhook_delivery.c.id))) == 7
    await house.move_to(START + timedelta(days=30, seconds=1))
    await tell(house, sender)
    # The last two were given up by then, on the look before.
    assert await house.rows(select(webhook_delivery.c.id)) == []


# --- faults of the door, and of who is behind it

SENT = 1_770_000_000


class Receiver(System):
    """A system that checks what it is told as the README says, and keeps each event once."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret
        self.kept: list[str] = []
        self.tellings = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().__call__(request)
        said = request.headers["groupclaim-signature"]
        assert is_ours(self._secret, said, request.content, SENT)
        if answer.status_code == 200:
            self.tellings += 1
            if request.headers["groupclaim-event-id"] not in self.kept:
                self.kept.append(request.headers["groupclaim-event-id"])
        return answer


@pytest.mark.parametrize(
    ("said", "body", "now", "taken"),
    [
        (signature("s", SENT, "{}"), b"{}", SENT, True),
        (signature("s", SENT, "{}"), b"{}", SENT + 300, True),
        (signature("s", SENT, "{}"), b"{}", SENT + 301, False),
        (signature("s", SENT, "{}"), b"{}", SENT + 3 * 86_400, False),
        (signature("s", SENT, "{}"), b"{}", SENT - 301, False),
        (signature("other", SENT, "{}"), b"{}", SENT, False),
        (signature("s", SENT, "{}"), b"{} ", SENT, False),
        (signature("s", SENT, "{}").replace(str(SENT), str(SENT + 1)), b"{}", SENT, False),
        ("", b"{}", SENT, False),
        (f"t={SENT},v1=", b"{}", SENT, False),
        ("t=-1,v1=00", b"{}", SENT, False),
        ("t=\u0661,v1=\xe9", b"{}", SENT, False),
    ],
)
def test_what_is_unsigned_late_or_changed_is_not_ours(
    said: str, body: bytes, now: int, taken: bool
) -> None:
    assert is_ours("s", said, body, now) is taken


async def note_many(house: House, count: int) -> None:
    async with house.database.transaction() as tx:
        for place in range(count):
            await webhooks.note(tx, Event.HOLD_OPENED, str(place), {"claim_number": "GC0"}, START)


async def test_thousands_at_once_and_told_again_are_taken_once_each(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    """The worker dies after every fourth round's answers: what it had sent goes again."""
    count = 10_000 if whole() else 200
    _, secret = await subscribe(house, Event.HOLD_OPENED)
    await note_many(house, count)
    receiver = Receiver(secret)
    sender = receiver.sender("93.184.215.14")
    for place in range(count):
        if place % 4 == 0:
            async with house.database.reading() as reading:
                due = await webhooks.due(reading, START, 20)
            for item in due:
                await sender.send(item.url, item.secret, item.event_id, item.body)
        if (await tell(house, sender)).due == 0:
            break
    assert receiver.tellings > count
    record_property("tries", count)
    record_property("lost", count - len(receiver.kept))
    assert len(receiver.kept) == len(set(receiver.kept)) == count


async def test_a_system_switched_off_for_three_days_misses_nothing(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    key, secret = await subscribe(house, Event.HOLD_OPENED)
    await note_many(house, 30)
    receiver = Receiver(secret)
    receiver.status = 503
    sender = receiver.sender("93.184.215.14")
    at = START
    while at <= START + timedelta(hours=74):
        await house.move_to(at)
        while (await tell(house, sender)).due == 20:
            pass
        at += timedelta(hours=1)
    assert receiver.kept == []
    receiver.status = 200
    assert (await tell(house, sender)).due == 0  # given up: people have been told
    async with house.database.transaction() as tx:
        assert await webhooks.resend(tx, key, at) == 30
    await house.move_to(at)
    while (await tell(house, sender)).due:
        pass
    record_property("tries", 30)
    record_property("lost", 30 - len(receiver.kept))
    assert len(receiver.kept) == receiver.tellings == 30
    async with house.database.transaction() as tx:
        assert await webhooks.resend(tx, key, at) == 0
        with pytest.raises(UnknownRecord):
            await webhooks.resend(tx, "nobody", at)
