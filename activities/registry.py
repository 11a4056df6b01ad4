"""Every activity of the house, in one list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from activities.attendance import Room
from activities.authorization import Authorization
from activities.balance import BalanceDesk
from activities.cards import CardDesk
from activities.claim_build import ClaimBuild
from activities.coding import Coding
from activities.denial import Denial
from activities.denial_work import DenialWork
from activities.dispute import DisputeDesk
from activities.documentation import Documentation
from activities.eligibility import Eligibility
from activities.follow_up import FollowUp
from activities.inbound import Inbound
from activities.messages import Messages
from activities.outside import Outside, performed_by
from activities.payment_audit import PaymentAudit
from activities.progress import Progress
from activities.queue import Queue
from activities.remittance import Remittances
from activities.sampling import Sampling
from activities.status import ClaimStatus
from activities.submission import Submission
from activities.voids import VoidDesk
from activities.webhooks import WebhookDesk
from activities.work_items import WorkDesk


def every_activity(outside: Outside) -> list[Callable[..., Awaitable[BaseModel]]]:
    """What a worker offers: each step of ``activities.steps``, done with ``outside``."""
    messages = Messages(outside.client, outside.task_queue)
    desks: tuple[object, ...] = (
        Eligibility(outside),
        Authorization(outside),
        Room(outside, messages),
        Documentation(outside, messages),
        Coding(outside),
        ClaimBuild(outside),
        Queue(outside, messages),
        Submission(outside, messages),
        Inbound(outside, messages),
        Remittances(outside, messages),
        Denial(outside),
        DenialWork(outside, messages),
        PaymentAudit(outside, messages),
        DisputeDesk(outside, messages),
        BalanceDesk(outside),
        CardDesk(outside),
        VoidDesk(outside, messages),
        FollowUp(outside),
        ClaimStatus(outside),
        Progress(outside),
        Sampling(outside),
        WebhookDesk(outside),
        WorkDesk(outside),
    )
    return [activity for desk in desks for activity in performed_by(desk)]
