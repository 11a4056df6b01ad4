"""What people ask groupclaim to do again: run the rules over a claim, ask its payer for its status.

Who asked stands in the audit log before the claim is told. Whether there is anything to look at is
the claim's own word; when its payer may first be asked is its policy's.
"""

from __future__ import annotations

from typing import Literal

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.front_desk import Refused
from groupclaim.lifecycle.transition import look_again_refused
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.payer import NoPolicy, PolicyBook
from groupclaim.rules.deadlines import Deadlines
from groupclaim.store import audit, claims, practice
from groupclaim.store.clock import PracticeClock, practice_now
from groupclaim.store.database import Database, Reading
from workflows import claim

What = Literal["rules", "status"]


class SecondLook:
    def __init__(
        self, database: Database, clock: PracticeClock, client: Client, policies: PolicyBook
    ) -> None:
        self._database = database
        self._clock = clock
        self._client = client
        self._policies = policies
        self._calendar = BusinessCalendar()

    async def refusal(self, reading: Reading, number: str, what: What) -> str | None:
        """Why it cannot be asked for now, for people; None where it can. Raises UnknownRecord."""
        state = await claims.load_state(reading, number)
        refused = look_again_refused(state, what)
        if refused is not None or what == "rules":
            return refused
        now = await practice_now(reading)
        version = await claims.read_version(reading, number, state.version)
        facts = await practice.claim_facts(reading, number, version.parties)
        if facts.payer is None:
            return "no payer of it is on file"
        try:
            policy = self._policies.policy(facts.payer.policy, facts.service_date)
        except NoPolicy:
            return "no policy of its payer is on file"
        deadlines = Deadlines(policy, self._calendar, facts.practice.time_zone)
        first = deadlines.status_inquiry(state.since or now)
        if first is None:
            return "its payer is not asked by 276"
        # An inquiry proves nothing early.
        if now < first.at:
            return f"its payer may be asked from {first.at:%Y-%m-%d} on"
        return None

    async def ask(self, number: str, what: What, *, by: str, request: str) -> claim.ClaimStanding:
        """Have the claim looked at again; the same ``request`` once. Raises UnknownRecord, Refused
        and :class:`temporalio.client.WorkflowUpdateFailedError`."""
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            refused = await self.refusal(tx, number, what)
            if refused is not None:
                raise Refused(refused)
            key = f"look_again|{number}|{request}"
            if await claims.append_event(tx, number, key, now, "asked", by, {"for": what}):
                await audit.record(tx, now, by, f"ask_{what}", number, {"request": request})
        handle = self._client.get_workflow_handle(claim.workflow_id(number))
        try:
            progress: claim.ClaimStanding = await handle.execute_update(
                "look_again",
                claim.LookAgain(what=what, at=now, request=request),
                result_type=claim.ClaimStanding,
                id=f"look_again:{request}",
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise Refused("the claim is not open: it has ended or not begun") from None
            raise
        return progress
