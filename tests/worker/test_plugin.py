"""What is counted of an attempt that fails: what the database said, through whatever wraps it."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from worker.plugin import StepInterceptor


class Step(ActivityInboundInterceptor):
    """The end of the chain: an activity that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            raise self._error
        except OperationalError as error:
            raise ApplicationError("the step failed") from error


def counted(cause: str) -> float:
    value = REGISTRY.get_sample_value("groupclaim_database_refusals_total", {"cause": cause})
    assert value is not None, "told as zero from the start"
    return value


def said(code: int) -> Exception:
    error = sqlite3.OperationalError("said by the driver")
    error.sqlite_errorcode = code
    return OperationalError("INSERT", {}, error)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (said(sqlite3.SQLITE_FULL), "disk_full"),
        (said(sqlite3.SQLITE_IOERR_WRITE), "disk_error"),
        (said(sqlite3.SQLITE_CORRUPT), "damaged"),
        (said(sqlite3.SQLITE_CONSTRAINT), None),
        (ApplicationError("a payer does not answer"), None),
    ],
)
async def test_why_the_database_refuses_is_counted(error: Exception, cause: str | None) -> None:
    causes = ("disk_full", "read_only", "disk_error", "damaged", "unreachable")
    before = {name: counted(name) for name in causes}
    attempt = StepInterceptor().intercept_activity(Step(error))
    given = ExecuteActivityInput(fn=said, args=(), executor=None, headers={})
    with pytest.raises(ApplicationError):
        await ActivityEnvironment().run(attempt.execute_activity, given)
    assert {name for name in causes if counted(name) > before[name]} == ({cause} - {None})
