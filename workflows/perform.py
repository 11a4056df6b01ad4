"""Carrying out a step, and waiting for a moment: what every workflow here does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.steps import Step
from groupclaim.model.base import Instant, Message

Input = TypeVar("Input", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)


async def perform(step: Step[Input, Output], what: Input, summary: str | None = None) -> Output:
    """The result of ``step``; its name, patience and summary show in the history."""
    result: Output = await workflow.execute_activity(
        step.name,
        what,
        result_type=step.output,
        start_to_close_timeout=step.patience.start_to_close,
        heartbeat_timeout=step.patience.heartbeat,
        retry_policy=step.patience.retry,
        summary=summary,
        priority=step.priority,
    )
    return result


async def perform_here(step: Step[Input, Output], what: Input) -> Output:
    """Like :func:`perform`, for a short idempotent write that needs one history event, not six."""
    result: Output = await workflow.execute_local_activity(
        step.name,
        what,
        result_type=step.output,
        start_to_close_timeout=step.patience.start_to_close,
        retry_policy=step.patience.retry,
    )
    return result


def not_approved(why: str) -> ApplicationError:
    """Ends an update that asked for what was not theirs to decide; ``why`` names who may."""
    return ApplicationError(why, type="NotApproved", non_retryable=True)


class Wake(Message):
    """The practice clock has been moved to ``now``."""

    now: Instant


class Alarm:
    """Waits for a moment of the practice clock.

    In production the engine's durable timer rings. Where the practice clock is a stored instant
    there is no timer (``timer_seconds`` is None): whoever moves the clock sends a wake-up.
    """

    def __init__(self, moved_to: Instant | None = None) -> None:
        self.moved_to = moved_to

    def moved(self, wake: Wake) -> None:
        if self.moved_to is None or wake.now > self.moved_to:
            self.moved_to = wake.now

    async def until(
        self,
        due_at: Instant | None,
        timer_seconds: float | None,
        summary: str,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        """Return when ``due_at`` has come, or as soon as ``unless`` holds.

        ``summary`` names the timer in Temporal's own pages.
        """
        timed = due_at is not None and timer_seconds is not None
        try:
            await workflow.wait_condition(
                lambda: unless() or self._rung(due_at),
                timeout=timedelta(seconds=max(timer_seconds or 0.0, 0.0)) if timed else None,
                timeout_summary=summary,
            )
        except TimeoutError:
            return

    def _rung(self, due_at: Instant | None) -> bool:
        return due_at is not None and self.moved_to is not None and self.moved_to >= due_at
