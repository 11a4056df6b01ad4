"""Everything that activities reach outside of the process, and how they are registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, get_type_hints

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client

from activities.notes import NoteSource
from activities.steps import Step
from groupclaim.cards.port import CardProcessor
from groupclaim.clearinghouse.port import Clearinghouse
from groupclaim.delivery.port import Delivery
from groupclaim.delivery.webhook import WebhookSender
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store.database import Database

Desk = TypeVar("Desk")
Input = TypeVar("Input", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the steps work with. Times come from the practice clock of ``database``."""

    database: Database
    clearinghouse: Clearinghouse
    notes: NoteSource
    policies: PolicyBook
    fees: FeeSchedule
    edits: CodeEdits
    calendar: BusinessCalendar
    playbook: Playbook
    letters: Delivery
    client: Client
    task_queue: str
    cards: CardProcessor | None = None
    """Charges patients' cards; None where the practice has no processor."""
    patient_letters: Delivery | None = None
    """Who takes what patients are told to them; None where a person does."""
    webhooks: WebhookSender = field(default_factory=WebhookSender)
    webhooks_kept: timedelta = timedelta(days=30)
    """How long what other systems were told stays in the store."""
    production: bool = False
    """False marks every interchange as a test (ISA15)."""


def performs(
    step: Step[Input, Output],
) -> Callable[
    [Callable[[Desk, Input], Awaitable[Output]]], Callable[[Desk, Input], Awaitable[Output]]
]:
    """Registers a method as the activity of ``step``; its annotations must be the step's own."""

    def registered(
        method: Callable[[Desk, Input], Awaitable[Output]],
    ) -> Callable[[Desk, Input], Awaitable[Output]]:
        hints = [hint for _, hint in get_type_hints(method).items()]
        if hints != [step.input, step.output]:
            raise TypeError(f"{step.name}: takes and gives other records than its step declares")
        return activity.defn(name=step.name)(method)

    return registered


def performed_by(desk: object) -> list[Callable[..., Awaitable[BaseModel]]]:
    """The activities of one desk, bound to it."""
    return [
        getattr(desk, name)
        for name, method in vars(type(desk)).items()
        if hasattr(method, "__temporal_activity_definition")
    ]
