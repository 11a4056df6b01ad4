"""Stripe's PaymentIntents over HTTP. Each call is one request: trying again is for whoever calls.

The order's key travels twice: as ``Idempotency-Key``, by which Stripe answers a repeated request
with its first result, and as metadata of the intent, by which the order is found again when that
memory (at least 24 hours) is over. Nothing personal is sent: no name, no service, no date.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from groupclaim.cards.port import ChargeOrder, ChargeResult, InDoubt, Misconfigured, NotAnswered

STRIPE = "https://api.stripe.com"
_METADATA = "groupclaim_charge"
_PAGE = 100
_MARGIN = timedelta(minutes=10)
"""How far Stripe's clock may be behind ours."""

_NEVER_LEFT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_BROKEN = (httpx2.TransportError, httpx2.DecodingError, TimeoutError, OSError)
_DECLINED = ("requires_payment_method", "requires_action", "canceled")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _PaymentError(_Answer):
    type: str = ""
    code: str = ""
    decline_code: str | None = None
    payment_intent: _Intent | None = None


class _Intent(_Answer):
    id: str
    amount: int
    status: str
    metadata: dict[str, str] = {}
    last_payment_error: _PaymentError | None = None


class _Failure(_Answer):
    error: _PaymentError


class _Page(_Answer):
    data: list[_Intent]
    has_more: bool


class StripeCards:
    """The adapter of :class:`groupclaim.cards.port.CardProcessor`. Close it when done."""

    def __init__(
        self,
        secret_key: SecretStr,
        base_url: str = STRIPE,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {secret_key.get_secret_value()}"},
            timeout=httpx2.Timeout(40.0, connect=5.0, pool=5.0),
            transport=transport,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def charge(self, order: ChargeOrder) -> ChargeResult:
        form = {
            "amount": str(int(order.cents)),
            "currency": "usd",
            "customer": order.customer,
            "payment_method": order.payment_method,
            "off_session": "true",
            "confirm": "true",
            f"metadata[{_METADATA}]": order.key,
        }
        try:
            response = await self._client.post(
                "/v1/payment_intents", data=form, headers={"Idempotency-Key": order.key}
            )
        except _NEVER_LEFT as error:
            raise NotAnswered(type(error).__name__) from None
        except _BROKEN as error:
            raise InDoubt(type(error).__name__) from None
        if response.status_code == 200:
            return _result(_read(_Intent, response), order)
        if response.status_code == 402:
            failure = _read(_Failure, response).error
            intent = failure.payment_intent
            return ChargeResult(
                "declined",
                intent.id if intent else "",
                order.cents,
                failure.decline_code or failure.code or "declined",
            )
        if response.status_code == 429:
            raise NotAnswered("throttled")
        if response.status_code == 409 or response.status_code >= 500:
            # 409: the first request of this key is still being worked on.
            raise InDoubt(f"status {response.status_code}")
        raise Misconfigured(f"status {response.status_code}")

    async def find(self, order: ChargeOrder) -> ChargeResult | None:
        after: str | None = None
        while True:
            query: dict[str, str] = {
                "customer": order.customer,
                "created[gte]": str(int((order.begun_at - _MARGIN).timestamp())),
                "limit": str(_PAGE),
            }
            if after is not None:
                query["starting_after"] = after
            try:
                response = await self._client.get("/v1/payment_intents", params=query)
            except _BROKEN as error:
                raise NotAnswered(type(error).__name__) from None
            if response.status_code != 200:
                if response.status_code == 429 or response.status_code >= 500:
                    raise NotAnswered(f"status {response.status_code}")
                raise Misconfigured(f"status {response.status_code}")
            page = _read(_Page, response)
            for intent in page.data:
                if intent.metadata.get(_METADATA) == order.key:
                    return _result(intent, order)
            if not page.has_more or not page.data:
                return None
            after = page.data[-1].id


def _read(record: type[Any], response: httpx2.Response) -> Any:
    try:
        return record.model_validate_json(response.content)
    except ValidationError:
        raise InDoubt("an answer that cannot be read") from None


def _result(intent: _Intent, order: ChargeOrder) -> ChargeResult:
    if intent.amount != order.cents:
        raise Misconfigured("the charge of this key is of another amount")
    if intent.status == "succeeded":
        return ChargeResult("charged", intent.id, order.cents)
    if intent.status in _DECLINED:
        error = intent.last_payment_error
        reason = (error.decline_code or error.code) if error else ""
        return ChargeResult("declined", intent.id, order.cents, reason or intent.status)
    raise InDoubt(f"the charge is {intent.status}")
