"""One Temporal development server for the whole run, and a task queue of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.temporal import start_environment

# How long an example takes says more of what else the machine does than of us. `make test` plays
# the same examples everywhere; `make properties` draws others each time.
_slow = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, suppress_health_check=_slow, derandomize=True)
settings.register_profile("drawn", deadline=None, suppress_health_check=_slow, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """The server, with every search attribute; it starts when a test first asks for it."""
    async with await start_environment() as started:
        yield started


@pytest.fixture
def client(environment: WorkflowEnvironment) -> Client:
    """A client with the product's plugin and the payload key of the tests."""
    return environment.client


@pytest.fixture
def task_queue() -> str:
    return f"test-{uuid4().hex[:8]}"
