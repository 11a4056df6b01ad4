"""Which claims must be told something, with what waking one needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select

from activities.on_file import LOOK_AGAIN
from activities.outside import Outside
from groupclaim.lifecycle.state import ClaimState
from groupclaim.policy.payer import NoPolicy
from groupclaim.rules.deadlines import Deadlines
from groupclaim.store import practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import batch_claim, claim, claim_version


@dataclass(frozen=True, slots=True)
class Known:
    """What the store keeps of a claim to wake it with."""

    payer_key: str
    service_date: date
    state: ClaimState


@dataclass(frozen=True, slots=True)
class Told:
    """A version of a claim that something has happened to; ``control_number`` is its CLM01,
    ``policy`` names the rules of the payer to whom it went."""

    claim: Known
    version: int
    control_number: str
    policy: str

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
    items = await reading.rows(
        select(batch_claim, claim_version.c.policy)
        .join(
            claim_version,
            (claim_version.c.claim_number == batch_claim.c.claim_number)
            & (claim_version.c.version == batch_claim.c.version),
        )
        .where(batch_claim.c.batch_id == batch_id)
        .order_by(batch_claim.c.position)
    )
    known = await known_claims(reading, [item.claim_number for item in items])
    return tuple(
        Told(known[item.claim_number], item.version, item.control_number, item.policy)
        for item in items
    )


class DeadlinesOf:
    """By when the payers should answer claims that were sent, by the policy that each version was
    made under. Where that is not on file any more, it is looked again after a week: what others
    say of their claims must not wait for it."""

    def __init__(self, outside: Outside, reading: Reading, connection_id: str) -> None:
        self._outside = outside
        self._reading = reading
        self._connection_id = connection_id
        self._known: dict[tuple[str, date], Deadlines | None] = {}

    async def acknowledgment_ta1(self, sent_at: datetime) -> datetime:
        connection = await practice.read_connection(self._reading, self._connection_id)
        return sent_at + timedelta(hours=connection.hours_to_ta1)

    async def acknowledgment_999(self, told: Told, sent_at: datetime) -> datetime:
        deadlines = await self._of(told)
        if deadlines is None:
            return sent_at + LOOK_AGAIN
        connection = await practice.read_connection(self._reading, self._connection_id)
        return deadlines.acknowledgment_999(sent_at, connection.hours_to_999).at

    async def acknowledgment_277ca(self, told: Told, sent_at: datetime) -> datetime:
        deadlines = await self._of(told)
        if deadlines is None:
            return sent_at + LOOK_AGAIN
        connection = await practice.read_connection(self._reading, self._connection_id)
        return deadlines.acknowledgment_277ca(sent_at, connection.hours_to_277ca).at

    async def status_inquiry(self, told: Told, received_at: datetime) -> datetime:
        """When a payer that took the claim is first asked what became of it; where it is not asked,
        when it should have decided."""
        deadlines = await self._of(told)
        if deadlines is None:
            return received_at + LOOK_AGAIN
        return (deadlines.status_inquiry(received_at) or deadlines.remittance(received_at)).at

    async def _of(self, told: Told) -> Deadlines | None:
        key = (told.policy, told.claim.service_date)
        if key not in self._known:
            zone = (await practice.read_practice(self._reading)).time_zone
            try:
                policy = self._outside.policies.policy(*key)
            except NoPolicy:
                self._known[key] = None
            else:
                self._known[key] = Deadlines(policy, self._outside.calendar, zone)
        return self._known[key]
