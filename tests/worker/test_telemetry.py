"""What a process writes into its logs: listed fields only, and never the text of an exception."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from worker.telemetry import TELL_VALUES, configure_logging

SECRET = "Testa Invented"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_over() -> None:
    """A task that another test left behind says so when it is collected: not among these lines."""
    gc.collect()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What has been logged so far, as JSON objects."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    root = logging.getLogger()
    before = root.handlers, root.level
    configure_logging("info")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers, root.level = before
    for name in TELL_VALUES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def failing() -> None:
    raise ValueError(SECRET)


def test_a_line_is_one_json_object_with_time_level_and_logger(lines: Lines) -> None:
    structlog.get_logger("worker").info("worker is ready", task_queue="groupclaim", port=7233)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "worker is ready",
        "level": "info",
        "logger": "worker",
        "task_queue": "groupclaim",
        "port": 7233,
    }


@pytest.mark.parametrize("field", ["patient", "member_id", "last_name", "birth_date", "note"])
def test_fields_that_are_not_on_the_list_never_appear(lines: Lines, field: str) -> None:
    structlog.get_logger("worker").warning("told", claim_number="GC1", **{field: SECRET})
    logging.getLogger("library").warning("told", extra={field: SECRET, "claim_number": "GC2"})
    told = lines()
    assert [line["claim_number"] for line in told] == ["GC1", "GC2"]
    assert SECRET not in str(told)
    assert not any(field in line for line in told)


def test_an_exception_tells_its_type_and_place_never_its_text(lines: Lines) -> None:
    for log in (structlog.get_logger("worker"), logging.getLogger("library")):
        try:
            failing()
        except ValueError:
            log.exception("a step failed")
    told = lines()
    assert len(told) == 2
    for line in told:
        assert line["exception_type"] == "ValueError"
        assert line["exception_place"].startswith("failing:")
    assert SECRET not in str(told)
    assert "Traceback" not in str(told)


def test_an_exception_given_as_an_argument_tells_only_its_type(lines: Lines) -> None:
    logging.getLogger("library").error("cannot do %s: %s", "it", ValueError(SECRET))
    (line,) = lines()
    assert line["event"] == "cannot do it: ValueError"


def test_an_exception_written_into_a_message_tells_only_its_type(lines: Lines) -> None:
    """As the engine's library does where it cannot tell the engine of one."""
    try:
        try:
            failing()
        except ValueError as first:
            raise RuntimeError(f"not told: {first}") from None
    except RuntimeError as error:
        said = f"original error: {error.__context__}, {error}"
        logging.getLogger("library").warning(said)
        logging.getLogger("library").warning("it: %(error)s", {"error": error})
    assert [line["event"] for line in lines()] == [
        "original error: ValueError, RuntimeError",
        "it: RuntimeError",
    ]


async def test_a_task_that_failed_unseen_tells_no_text(lines: Lines) -> None:
    async def fail() -> None:
        failing()

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert line["exception_type"] == "ValueError"
    assert SECRET not in str(line)


def test_the_context_that_the_engine_adds_is_flattened_and_filtered(lines: Lines) -> None:
    logging.getLogger("temporalio.activity").warning(
        "told",
        extra={"temporal_activity": {"activity_type": "check_coding", "header": SECRET}},
    )
    (line,) = lines()
    assert line["activity_type"] == "check_coding"
    assert SECRET not in str(line)


def test_below_the_level_nothing_is_written(lines: Lines) -> None:
    structlog.get_logger("worker").debug("told")
    logging.getLogger("library").debug("told")
    assert lines() == []


@pytest.mark.parametrize("library", TELL_VALUES)
def test_a_library_that_tells_values_is_silent_at_every_level(lines: Lines, library: str) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger(f"{library}.part").debug("SELECT ... ('%s',)", SECRET)
    logging.getLogger(library).info("GET https://payer/%s", SECRET)
    assert lines() == []
    logging.getLogger(library).warning("told")
    assert len(lines()) == 1
