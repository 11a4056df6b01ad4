"""The port to whoever takes a packet to a payer. Sent means received by someone: a receipt.

A packet is known by its key. Handing it over again under the same key does nothing; without a
receipt it is neither sent nor failed, but in doubt, and the port is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whoever received the packet says so under this ``reference``."""

    reference: str


class NotDelivered(Exception):
    """The adapter could not take the packet: nothing has left. The text names no one."""


class Delivery(Protocol):
    async def deliver(self, key: str, content: bytes) -> Receipt | None:
        """Hand over the packet ``key``, once; None while nobody has confirmed it.

        Raises :class:`NotDelivered`.
        """
        ...

    async def receipt(self, key: str) -> Receipt | None:
        """The receipt of a packet that was handed over; None while there is none."""
        ...


class ByHand:
    """A person takes each packet to the payer, and records the receipt that they were given."""

    async def deliver(self, key: str, content: bytes) -> Receipt | None:
        return None

    async def receipt(self, key: str) -> Receipt | None:
        return None
