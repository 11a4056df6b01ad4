"""A local stand-in for Stripe's PaymentIntents: charges like it, forgets answers on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SECRET = "sk_test_invented"


@dataclass
class StandIn:
    """``intents`` is what was really charged or tried. ``lose_answers``: so many charges are made
    and never answered. ``forgetful``: idempotency keys are not remembered, as after a day."""

    intents: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    by_key: dict[str, dict[str, Any]] = field(default_factory=dict)
    lose_answers: int = 0
    refuse: list[int] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    status: str = "succeeded"
    forgetful: bool = False
    page: int = 100
    on_charge: Callable[[], None] | None = None

    @property
    def charged(self) -> list[int]:
        return [item["amount"] for item in self.intents if item["status"] == "succeeded"]

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/payment_intents", self._charge, methods=["POST"]),
                Route("/v1/payment_intents", self._list, methods=["GET"]),
            ]
        )

    async def _charge(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return JSONResponse({"error": {"type": "invalid_request_error"}}, 401)
        if self.refuse:
            return JSONResponse({"error": {"type": "api_error"}}, self.refuse.pop(0))
        form = dict(parse_qsl((await request.body()).decode()))
        key = request.headers["idempotency-key"]
        self.requests.append({**form, "key": key})
        known = None if self.forgetful else self.by_key.get(key)
        if known is None:
            if self.on_charge is not None:
                self.on_charge()
            declined = form["payment_method"] in self.declined
            known = {
                "id": f"pi_{len(self.intents) + 1}",
                "object": "payment_intent",
                "amount": int(form["amount"]),
                "status": "requires_payment_method" if declined else self.status,
                "customer": form["customer"],
                "metadata": {"groupclaim_charge": form["metadata[groupclaim_charge]"]},
                "last_payment_error": {"type": "card_error", "code": "card_declined",
                                       "decline_code": "insufficient_funds"} if declined else None,
            }  # fmt: skip
            self.intents.append(known)
            self.by_key[key] = known
        if self.lose_answers:
            self.lose_answers -= 1
            raise TimeoutError
        if known["status"] == "requires_payment_method":
            error = {**known["last_payment_error"], "payment_intent": known}
            return JSONResponse({"error": error}, 402)
        return JSONResponse(known)

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        found = [item for item in reversed(self.intents) if item["customer"] == query["customer"]]
        if "starting_after" in query:
            ids = [item["id"] for item in found]
            found = found[ids.index(query["starting_after"]) + 1 :]
        return JSONResponse(
            {"object": "list", "data": found[: self.page], "has_more": len(found) > self.page}
        )
