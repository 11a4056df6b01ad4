"""One request for authorization and its payer: 278 out, 278 back, inquiries in between."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from pydantic import ValidationError

from activities import composing
from activities.disclosure import record_disclosure
from activities.inquiries import control_number
from activities.on_file import Billed, OnFile, connection_of
from activities.outside import Outside
from groupclaim import x12
from groupclaim.clearinghouse.port import DUPLICATE, NoAnswer, NotTaken, Unreachable
from groupclaim.model.authorization_request import (
    OPEN_REQUESTS,
    AuthorizationDecision,
    RequestState,
)
from groupclaim.model.patient import Authorization
from groupclaim.rules.authorization_request import certified_authorization, state_after
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.licences import rendering_clinician
from groupclaim.rules.part2 import is_part2
from groupclaim.store import audit, files, practice
from groupclaim.store import authorization_requests as requests
from groupclaim.store.authorization_requests import AuthorizationRequest
from groupclaim.store.database import Transaction

FIRST_LOOK = timedelta(minutes=30)
"""How soon one asks again while it is not known whether the payer has the request."""

_GRACE = timedelta(minutes=30)
"""From then on a payer that does not know a request never got it."""

_EXPECTED = timedelta(days=7)
_RHYTHM = timedelta(days=1)
"""Where a policy that took requests when one was made takes none any more."""

_MOST_RESENT = 5
"""How often a request goes again because the payer asks for that."""

_UNWRITABLE = ("C",)


class AuthorizationExchange:
    """What is said to a payer about one claim's authorization, and what it answers.

    Nothing here raises for what a payer says or does not say: it is kept with the request.
    """

    def __init__(self, outside: Outside, found: OnFile, billed: Billed) -> None:
        self._outside = outside
        self._found = found
        self._billed = billed
        rule = billed.policy.authorization_requests
        self._rhythm = timedelta(hours=rule.hours_between_inquiries) if rule else _RHYTHM

    async def advance(self, request: AuthorizationRequest) -> None:
        """Send a new request; ask what became of one that has left, when its time has come."""
        if request.state not in OPEN_REQUESTS:
            return
        if request.next_at is not None and request.next_at > self._found.now:
            return
        if request.state is RequestState.NEW:
            await self._send(request)
        else:
            await self._inquire(request)

    async def _send(self, request: AuthorizationRequest) -> None:
        found, payer = self._found, self._billed.payer
        written = await self._written(request, is_inquiry=False)
        if written is None:
            unwritable = AuthorizationDecision(at=found.now, follow_ups=_UNWRITABLE)
            await self._decided(request, unwritable)
            return
        deadline = self._billed.deadlines.authorization_decision(
            found.now, urgent=request.asked.urgent
        )
        async with self._outside.database.transaction() as tx:
            connection_id, _ = await connection_of(tx, payer)
            if request.file_digest is not None:  # it did not arrive: the same bytes go again
                written = (await files.read_file(tx, request.file_digest)).content
            digest = await files.keep_file(
                tx,
                connection_id,
                "outbound",
                "278",
                f"278-{request.trace}.edi",
                written,
                found.now,
            )
            decide_by = deadline.at if deadline else found.now + _EXPECTED
            if not await requests.begin(tx, request.trace, digest, found.now, decide_by, _GRACE):
                return
            await self._disclose(tx)
        try:
            answered = await self._outside.clearinghouse.request_authorization(written)
        except NoAnswer:
            await self._nothing_known(request)
        except NotTaken as error:
            await self._not_taken(request, error)
        else:
            await self._read(request, answered, is_inquiry=False)

    async def _not_taken(self, request: AuthorizationRequest, error: NotTaken) -> None:
        if error.reason == DUPLICATE:
            await self._nothing_known(request)
        elif error.final:
            refused = AuthorizationDecision(at=self._found.now, follow_ups=("N",))
            await self._decided(request, refused)
        else:
            # Never sooner, however short a pause was asked for: each look is a step of the claim.
            later = self._found.now + max(error.retry_after or FIRST_LOOK, FIRST_LOOK)
            async with self._outside.database.transaction() as tx:
                await requests.not_taken(tx, request.trace, later)

    async def _inquire(self, request: AuthorizationRequest) -> None:
        found = self._found
        written = await self._written(request, is_inquiry=True)
        if written is None:
            await self._nothing_known(request)
            return
        try:
            answered = await self._outside.clearinghouse.ask_authorization(written)
        except NotTaken as error:
            if error.final:  # nobody here answers inquiries: a person asks
                await self._decided(request, AuthorizationDecision(at=found.now, action="CT"))
            else:
                await self._nothing_known(request)
        except Unreachable:
            await self._nothing_known(request)
        else:
            async with self._outside.database.transaction() as tx:
                await self._disclose(tx)
            await self._read(request, answered, is_inquiry=True)

    async def _disclose(self, tx: Transaction) -> None:
        facts, now = self._found.facts, self._found.now
        if is_part2(facts):
            await record_disclosure(tx, facts.claim_number, self._billed.payer, "278", now)

    async def _written(self, request: AuthorizationRequest, *, is_inquiry: bool) -> bytes | None:
        """The 278; None when what is on file cannot be written."""
        facts, payer = self._found.facts, self._billed.payer
        async with self._outside.database.reading() as reading:
            _, connection = await connection_of(reading, payer)
        number = control_number(f"{request.trace}{request.inquiries if is_inquiry else ''}")
        clinician = rendering_clinician(facts, self._billed.policy)
        try:
            frame = composing.envelope(
                connection,
                facts.practice,
                number,
                number,
                self._found.now,
                test=not self._outside.production,
            )
            record = composing.authorization_request(
                facts, payer, clinician, request.asked, request.trace, is_inquiry=is_inquiry
            )
            written = x12.build_278_request(frame, record, 1)
        except x12.X12WriteError:
            return None
        return None if await asyncio.to_thread(x12.check_outbound, written) else written

    # --- what the payer says

    async def _read(
        self, request: AuthorizationRequest, answered: bytes, *, is_inquiry: bool
    ) -> None:
        async with self._outside.database.transaction() as tx:
            connection_id, _ = await connection_of(tx, self._billed.payer)
            name = f"278-{request.trace}-{request.inquiries}.edi"
            await files.keep_file(
                tx, connection_id, "inbound", "278", name, answered, self._found.now
            )
        responses, _ = await asyncio.to_thread(x12.read_278_responses, answered)
        response = next(
            (
                item
                for item in responses
                if item.complete and (item.trace_number or item.reference) == request.trace
            ),
            None,
        )
        if response is None:
            await self._nothing_known(request)
            return
        decision = composing.authorization_decision(response, self._found.now)
        if decision.action or not is_inquiry:
            await self._decided(request, decision)
        elif decision.unknown_request:
            await self._unknown_to_payer(request)
        else:
            await self._nothing_known(request)

    async def _nothing_known(self, request: AuthorizationRequest) -> None:
        """Ask again: soon while it is in doubt whether the payer has it, then in its rhythm."""
        apart = self._rhythm
        if request.state is not RequestState.PENDED:
            apart = min(FIRST_LOOK * (1 << min(request.inquiries, 10)), apart)
        async with self._outside.database.transaction() as tx:
            await requests.look_again(tx, request.trace, self._found.now + apart)

    async def _unknown_to_payer(self, request: AuthorizationRequest) -> None:
        """The payer says that it has no such request. After the grace period that proves that it
        never arrived; one that the payer had once is for a person to ask about."""
        now = self._found.now
        if request.state is RequestState.PENDED:
            lost = AuthorizationDecision(at=now, action="CT", rejections=("AA",))
            await self._decided(request, lost)
        elif request.absent_from is not None and now >= request.absent_from:
            async with self._outside.database.transaction() as tx:
                await requests.not_taken(tx, request.trace, None)
        else:
            await self._nothing_known(request)

    async def _decided(
        self, request: AuthorizationRequest, decision: AuthorizationDecision
    ) -> None:
        """Keep what the payer said; an authorization that it gave goes on file with it."""
        now, state = self._found.now, state_after(decision)
        next_look: datetime = now + self._rhythm
        async with self._outside.database.transaction() as tx:
            request = await requests.read(tx, request.trace)
            if state is RequestState.NEW and request.inquiries < _MOST_RESENT:
                await requests.not_taken(tx, request.trace, next_look)
                return
            given = None
            if state is RequestState.NEW:
                state = RequestState.UNUSABLE
            elif state is RequestState.CERTIFIED:
                given = await self._given(tx, request, decision)
                state = RequestState.CALL if given is None else state
            next_at = next_look if state is RequestState.PENDED else None
            kept = await requests.decided(tx, request.trace, state, decision, next_at)
            if kept and given is not None:
                await practice.record_authorization(tx, given)
                await audit.record(
                    tx,
                    now,
                    "groupclaim",
                    "authorization_certified",
                    self._found.facts.claim_number,
                    {"request": request.trace, "action": decision.action},
                )

    async def _given(
        self, tx: Transaction, request: AuthorizationRequest, decision: AuthorizationDecision
    ) -> Authorization | None:
        """The authorization to put on file; None when its number is none that a claim can carry."""
        facts = await practice.claim_facts(tx, request.claim_number)
        try:
            return certified_authorization(
                facts, self._billed.payer.ref, GROUP_PSYCHOTHERAPY, request.asked, decision
            )
        except ValidationError:
            return None
