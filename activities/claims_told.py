"""Which claims must be told something, with what waking one needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from activities.outside import Outside
from groupclaim.lifecycle.state import ClaimState
from groupclaim.rules.deadlines import Deadlines
from groupclaim.store import batches, practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import claim


@dataclass(frozen=True, slots=True)
class Known:
    """What the store keeps of a claim to wake it with."""

    payer_key: str
    service_date: date
    state: ClaimState


@dataclass(frozen=True, slots=True)
class Told:
    """A version of a claim that something has happened to; ``control_number`` is its CLM01."""

    claim: Known
    version: int
    control_number: str

    @property
    def claim_number(self) -> str:
        return self.claim.state.claim_number


async def known_claims(reading: Reading, numbers: Sequence[str]) -> dict[str, Known]:
    """The claims of these numbers; one that is not ours is not among them."""
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.payer_key, claim.c.service_date, claim.c.state).where(
            claim.c.claim_number.in_(numbers)
        )
    )
    return {
        row.claim_number: Known(
            row.payer_key, row.service_date, ClaimState.model_validate_json(row.state)
        )
        for row in rows
    }


async def claims_told(reading: Reading, batch_id: str) -> tuple[Told, ...]:
    """The claims of a batch, in its order."""
    items = await batches.batch_claims(reading, batch_id)
    known = await known_claims(reading, [item.claim_number for item in items])
    return tuple(
        Told(known[item.claim_number], item.version, item.control_number) for item in items
    )


class DeadlinesOf:
    """The deadlines of claims, worked out once for each payer and day of service."""

    def __init__(self, outside: Outside, reading: Reading) -> None:
        self._outside = outside
        self._reading = reading
        self._known: dict[tuple[str, date], Deadlines] = {}

    async def of(self, claim: Known) -> Deadlines:
        key = (claim.payer_key, claim.service_date)
        if key not in self._known:
            zone = (await practice.read_practice(self._reading)).time_zone
            payer = await practice.read_payer(self._reading, claim.payer_key)
            policy = self._outside.policies.policy(payer.policy, claim.service_date)
            self._known[key] = Deadlines(policy, self._outside.calendar, zone)
        return self._known[key]
