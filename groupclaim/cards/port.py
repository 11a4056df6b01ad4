"""What groupclaim asks of a card processor: charge once, and say what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from groupclaim.model.money import Cents


class InDoubt(Exception):
    """The processor may or may not have charged: ask before anything else is done."""


class NotAnswered(Exception):
    """Nothing was charged, and nothing is known: the same may be tried again later."""


class Misconfigured(Exception):
    """The processor refused the request itself (key, tokens, parameters): a person must look."""


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """One charge. ``key`` names it for ever: the processor charges once for the same key.

    ``customer`` and ``payment_method`` are the processor's tokens; ``begun_at`` is when the charge
    was first written down.
    """

    key: str
    cents: Cents
    customer: str
    payment_method: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class ChargeResult:
    """What became of a charge. ``reference`` is the processor's own id; ``reason`` its code for a
    card that was declined."""

    outcome: Literal["charged", "declined"]
    reference: str
    cents: Cents
    reason: str = ""


class CardProcessor(Protocol):
    async def charge(self, order: ChargeOrder) -> ChargeResult:
        """Charge the card. The same order again gives the same result and charges nothing more.

        Raises :class:`InDoubt` when no answer came, :class:`NotAnswered` when it cannot have been
        charged, :class:`Misconfigured`.
        """

    async def find(self, order: ChargeOrder) -> ChargeResult | None:
        """What became of the order; None when the processor has never heard of it.

        Raises :class:`InDoubt` while it is being worked on, :class:`NotAnswered`,
        :class:`Misconfigured`.
        """

    async def close(self) -> None:
        """Let go of connections."""
