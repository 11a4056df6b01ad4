"""One denial, worked as the playbook says until it is corrected, paid, or given up.

The claim waits meanwhile. What the file can mend, the claim has mended by itself before this
begins; here are the rungs that need a person, a letter or the payer: the playbook names the next
one each time something has happened, an authorization is asked for where the payer takes such a
request after the service, letters are drafted and sent once approved, people decide, and every
deadline is told of before it passes.
"""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from workflows.acting import ActedOn
from workflows.messages import DenialStart as DenialStart
from workflows.perform import Alarm, Wake, not_approved, perform

NAME = "DenialWorkflow"

WRITE_OFF = "write_off"
_AGREED = frozenset({"approve", "bill_patient"})
"""Choices to which the plan's ``people`` must agree."""


def workflow_id(claim_number: str, denial: int) -> str:
    return f"denial/{claim_number}/{denial}"


@workflow.defn(name=NAME)
class DenialWorkflow(ActedOn):
    @workflow.init
    def __init__(self, start: DenialStart) -> None:
        super().__init__()
        self._claim_number, self._denial = start.claim_number, start.denial
        self._news, self._follow_ups = start.news, start.follow_ups
        self._seen = list(start.seen)
        self._alarm = Alarm(start.woken_at)
        self._plan: steps.DenialPlan | None = None
        self._planned = -1
        self._deciding = False

    @workflow.run
    async def run(self, start: DenialStart) -> None:
        while True:
            news = self._news
            plan = await self._next(news)
            if plan.next == "draft":
                await perform(steps.DRAFT_LETTER, self._ref(news), "draft the letter")
                self._news += 1
            elif plan.next == "send":
                await perform(steps.SEND_LETTER, self._ref(news), "send the letter")
                self._news += 1
            elif plan.next == "ask":
                await perform(
                    steps.ASK_AFTERWARDS, self._ref(news), "ask for the authorization afterwards"
                )
                self._news += 1
            elif plan.next == "conclude":
                if workflow.all_handlers_finished() and self._news == news:
                    return
                await workflow.wait_condition(workflow.all_handlers_finished)
            else:
                await self._until_something_happens(plan, news)
                if (
                    workflow.info().is_continue_as_new_suggested()
                    and workflow.all_handlers_finished()
                ):
                    self._continue_as_new()

    async def _next(self, news: int) -> steps.DenialPlan:
        """The playbook's next rung; the claim is told where its denial stands."""
        plan = await perform(steps.PLAN_DENIAL, self._ref(news), "what the playbook says")
        self._plan, self._planned = plan, news
        self._stand(plan.items)
        workflow.set_current_details(_told(plan))
        if plan.next not in ("draft", "send", "ask"):
            await perform(steps.ANNOUNCE_DENIAL, self._ref(news), "tell the claim")
        return plan

    async def _until_something_happens(self, plan: steps.DenialPlan, news: int) -> None:
        """Until a person decides, the claim has news, or somebody must be reminded."""
        await self._alarm.until(
            plan.due_at,
            plan.timer_seconds,
            f"{plan.who}: {plan.action}",
            unless=lambda: self._news != news,
        )
        if self._news == news:
            self._follow_ups += 1
            alert = steps.DenialAlert(
                claim_number=self._claim_number, denial=self._denial, follow_ups=self._follow_ups
            )
            await perform(steps.FOLLOW_UP_DENIAL, alert, "a reminder")
            self._news += 1

    def _ref(self, news: int) -> steps.DenialRef:
        return steps.DenialRef(claim_number=self._claim_number, denial=self._denial, news=news)

    def _continue_as_new(self) -> None:
        workflow.continue_as_new(
            DenialStart(
                claim_number=self._claim_number,
                denial=self._denial,
                news=self._news,
                follow_ups=self._follow_ups,
                seen=tuple(self._seen[-50:]),
                woken_at=self._alarm.moved_to,
            )
        )

    @workflow.signal(name="look_again", description="The claim has news of this denial")
    def look_again(self) -> None:
        self._news += 1

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    # --- what people decide: refused before it reaches the history

    @workflow.update(name="decide", description="A person's decision on the denial, with a reason")
    async def decide(self, choice: steps.DenialChoice) -> steps.DenialPlan:
        if choice.request not in self._seen:
            self._deciding = True
            try:
                recorded = await perform(steps.RECORD_DENIAL_CHOICE, choice, choice.choice)
            finally:
                self._deciding = False
            if recorded.refused is not None:
                raise not_approved(recorded.refused)
            self._seen.append(choice.request)
            self._news += 1
            news = self._news
            await workflow.wait_condition(lambda: self._planned >= news)
        return self.plan()

    @decide.validator
    def _check_choice(self, choice: steps.DenialChoice) -> None:
        if choice.request in self._seen:
            return
        self._check_seen(choice.item)
        plan = self._plan
        if self._deciding or self._planned != self._news:
            raise ValueError("somebody has just decided: look at what is next, then decide")
        if plan is None or not plan.choices:
            raise ValueError("nothing is to be decided at the moment")
        if choice.choice not in plan.choices:
            raise ValueError(f"{choice.choice}: one of {', '.join(plan.choices)}")
        if not choice.reason.strip() or not choice.by.strip():
            raise ValueError("a decision needs who decides and a reason")
        if choice.choice in ("record_receipt", "upheld", "overturned") and not choice.reference:
            raise ValueError("reference: needed, of the receipt or of the payer's answer")
        people = plan.people if choice.choice in _AGREED else 1
        if choice.choice == WRITE_OFF:
            people = plan.people_to_write_off
        second = (choice.second or "").strip().casefold()
        if people > 1 and (not second or second == choice.by.strip().casefold()):
            raise ValueError(f"{choice.choice} needs a second person who agrees")

    @workflow.query(name="plan", description="What is next, who does it, by when")
    def plan(self) -> steps.DenialPlan:
        if self._plan is None:
            raise ValueError("the playbook has not been asked yet")
        return self._plan


def _told(plan: steps.DenialPlan) -> str:
    due = f" by {plan.due_at:%Y-%m-%d %H:%M}" if plan.due_at else ""
    return (
        f"**Next** {plan.action or plan.next}: {plan.what}\n\n**Who** {plan.who}{due}\n\n"
        f"**May choose** {', '.join(plan.choices) or 'nothing'}\n\n**Otherwise** {plan.otherwise}"
    )
