"""Coordination of benefits: whose turn it is after a payer has decided, and what the next is told.

A payer's place is that of its coverage in the order of billing: 1 is first. Times are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.claim import ClaimPayment, PriorDecision
from groupclaim.model.money import Cents

MOST_PAYERS = 3

_RANKS = {"2": 2, "20": 2, "3": 3, "21": 3}
_FORWARDED = frozenset({"19", "20", "21"})
"""CLP02: processed as primary, secondary, tertiary, and forwarded to a further payer."""

_CROSSED_OVER = frozenset({"MA07", "MA18", "N89"})
"""RARCs: the claim has been sent on to the patient's other insurer."""

_NOT_COLLECTIBLE = frozenset({"N781", "N782", "N783"})
_NEXT_PAYERS_ALONE = ("OA", "209")
"""What may not be collected from the patient but may be billed to the next payer."""


class Decided(Record):
    """A payer's decision in force: its figures as the next payer is told them."""

    payment: ClaimPayment
    decided_on: date


class Billed(Record):
    """The newest version made for a payer after the first. ``alive``: it waits for a batch or has
    left and was not rejected. ``prior`` is what it says of the payers before."""

    alive: bool
    prior: tuple[PriorDecision, ...]


class Turn(Record):
    """Whose turn it is and what to do: see :class:`groupclaim.lifecycle.events.BalanceSettled`.

    ``until`` is the last day of a crossover's wait.
    """

    what: Literal["bill", "crossover", "await", "changed", "wrong_order"]
    payer: int
    until: date | None = None


def rank(status: str, payer_sequence: int) -> int:
    """The place of the payer that a decision comes from: as CLP02 says, or the version decided.
    Some payers say 1 whatever their place; one that got the claim by crossover answers the version
    that the payer before it was sent."""
    return max(_RANKS.get(status, 1), payer_sequence)


def was_forwarded(payment: ClaimPayment) -> bool:
    """Whether the payer says that it has sent the claim on to the next one itself."""
    return payment.status in _FORWARDED or bool(_CROSSED_OVER.intersection(payment.remarks))


def not_collectible(payments: Sequence[ClaimPayment]) -> Cents:
    """What of a first payer's decision nobody may be asked for, where no later payer is there: the
    share of a qualified Medicare beneficiary. Nothing, once a later payer has decided."""
    if any(payment.payer_sequence > 1 for payment in payments):
        return Cents(0)
    return Cents(
        sum(
            item.cents
            for payment in payments
            for item in payment.adjustments
            if (item.group, item.reason) == _NEXT_PAYERS_ALONE
            or (item.group == "PR" and _NOT_COLLECTIBLE.intersection(payment.remarks))
        )
    )


def for_the_next_payer_alone(payment: ClaimPayment) -> bool:
    """Whether what is open may be billed to a next payer and never to the patient."""
    return bool(_NOT_COLLECTIBLE.intersection(payment.remarks)) or any(
        (item.group, item.reason) == _NEXT_PAYERS_ALONE for item in payment.adjustments
    )


def whose_turn(
    payers: int,
    decided: Mapping[int, Decided],
    prior: Mapping[int, tuple[PriorDecision, ...]],
    billed: Mapping[int, Billed],
    crossover_days: int,
    today: date,
) -> Turn | None:
    """The first payer after the first that has not decided, or was told figures that have changed;
    None when every one of the ``payers`` has decided, or nothing is left to the next.

    ``decided`` and ``billed`` by place; ``prior[n]`` is what the payer at place n has to be told.
    """
    for place in range(2, min(payers, MOST_PAYERS) + 1):
        before, made = decided.get(place - 1), billed.get(place)
        if before is None:
            return None
        told_otherwise = made is not None and made.alive and made.prior != prior.get(place)
        if place in decided:
            if told_otherwise:
                return Turn(what="changed", payer=place)
            continue
        left = before.payment.adjusted("PR") > 0 or for_the_next_payer_alone(before.payment)
        if not left:
            return None
        if made is not None and made.alive:
            return Turn(what="changed" if told_otherwise else "await", payer=place)
        until = before.decided_on + timedelta(days=crossover_days)
        if made is None and was_forwarded(before.payment) and today < until:
            return Turn(what="crossover", payer=place, until=until)
        return Turn(what="bill", payer=place)
    return None
