"""What people do with the work items of a workflow: one at a time, as they saw them.

An item on the list belongs to the claim, denial or dispute that it is about. As long as that one's
workflow runs, whoever takes, puts off, puts back or finishes the item does so through it: of two
people who act at once the second is refused before anything reaches the history, and told why.
What the workflow has not been told of its items, the store knows: there the revision is compared
again, in the transaction of the change.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities import steps
from workflows.perform import perform_here

UPDATE = "act_on_item"
CHANGED_MEANWHILE = "ChangedMeanwhile"
"""Error type: somebody else was first."""

INPUT_REFUSED = "InputRefused"
"""Error type: what was asked for cannot be done with this item; the details are the problems."""


class ActedOn:
    """A workflow whose work items people act on."""

    def __init__(self) -> None:
        self._standings: dict[str, steps.ItemStanding] = {}
        self._acting: set[str] = set()

    def _stand(self, standings: Iterable[steps.ItemStanding]) -> None:
        """Remember what items of this workflow are now; a revision never goes back."""
        for item in standings:
            known = self._standings.get(item.item)
            if known is None or known.revision < item.revision:
                self._standings[item.item] = item

    def _check_seen(self, item: str | None) -> None:
        """Refuse a decision about an item that was seen, and has been decided since."""
        known = self._standings.get(item or "")
        if known is not None and known.state == "resolved":
            raise ApplicationError(known.changed(), type=CHANGED_MEANWHILE)

    @workflow.update(name=UPDATE, description="Take, put off, put back or finish a work item")
    async def act_on_item(self, act: steps.ItemAct) -> steps.ItemStanding:
        self._acting.add(act.item)
        try:
            acted = await perform_here(steps.ACT_ON_ITEM, act)
        finally:
            self._acting.discard(act.item)
        self._stand((acted.standing,))
        refused = refusal(acted)
        if refused is not None:
            raise refused
        return acted.standing

    @act_on_item.validator
    def _check_act(self, act: steps.ItemAct) -> None:
        if act.workflow_id != workflow.info().workflow_id:
            raise ApplicationError("the item is about something else", type=INPUT_REFUSED)
        if act.item in self._acting:
            raise ApplicationError(
                "changed meanwhile: somebody else is acting on it", type=CHANGED_MEANWHILE
            )
        known = self._standings.get(act.item)
        if known is not None and known.revision > act.revision:
            raise ApplicationError(known.changed(), type=CHANGED_MEANWHILE)


def refusal(acted: steps.ItemActed) -> ApplicationError | None:
    """What the person is answered where the store did not take the act; None where it did."""
    if acted.changed:
        said = acted.standing.changed()
        return ApplicationError(said, type=CHANGED_MEANWHILE, non_retryable=True)
    if acted.problems:
        said = "; ".join(acted.problems)
        return ApplicationError(said, *acted.problems, type=INPUT_REFUSED, non_retryable=True)
    return None
