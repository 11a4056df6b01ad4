from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.temporal import PATIENCE_SECONDS
from tests.workflows.outside import Outside, working
from tests.workflows.scene import Scene


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A workflow that waits for ever fails its test instead of stopping the run."""
    here = Path(__file__).parent
    for item in items:
        if (
            here in item.path.parents
            and isinstance(item, pytest.Function)
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _limited(item.obj)


def _limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: Any, **given: Any) -> None:
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            await test(*args, **given)

    return limited


@pytest.fixture
async def scene(
    environment: WorkflowEnvironment, client: Client, task_queue: str
) -> AsyncIterator[Scene]:
    """A scene with a worker at work."""
    outside = Outside()
    async with working(client, task_queue, outside):
        yield Scene(environment, client, task_queue, outside)


@pytest.fixture
def number(task_queue: str) -> str:
    """A claim number that no other test uses."""
    return f"GC{task_queue[-8:].upper()}000"
