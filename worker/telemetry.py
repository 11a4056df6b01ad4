"""Logs and metrics of a process: JSON lines without personal data, Prometheus endpoints.

The logs allow a list of fields rather than forbidding some: what is not on it cannot be logged by
accident. Workflow and activity code logs through the SDK's loggers, which end here too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from temporalio import activity, workflow
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

_ALLOWED_FIELDS = frozenset(
    {
        "event", "level", "logger", "timestamp", "exception_type", "exception_place",
        "workflow_id", "workflow_type", "run_id", "activity_type", "attempt", "task_queue",
        "claim_number", "session_id", "batch_id", "connection_id", "remittance_id", "digest",
        "step", "stage", "hold_code", "rule", "count", "seconds", "outcome", "port", "address",
        "key_id", "state", "database", "temporal",
    }
)  # fmt: skip


TELL_VALUES = ("aiosqlite", "httpcore2", "httpx2", "sqlalchemy")
"""Libraries that log, below warnings, what a statement or a request holds."""


def configure_logging(level: str = "info") -> None:
    """Write every log of this process to standard error, one JSON object a line."""
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_without_exceptions_as_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _flatten_temporal,
                _exception_without_values,
                _first_line_of_message,
                _only_allowed,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for talkative in TELL_VALUES:
        logging.getLogger(talkative).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )


def _flatten_temporal(
    logger: Any, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for nested in ("temporal_workflow", "temporal_activity"):
        entry.update(entry.pop(nested, None) or {})
    return entry


def _exception_without_values(
    logger: Any, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep an exception's type and place: its text may hold a person's data."""
    raised = entry.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    if isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        entry["exception_type"] = type(raised).__name__
        trace = raised.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            code = trace.tb_frame.f_code
            entry["exception_place"] = f"{code.co_qualname}:{trace.tb_lineno}"
    return entry


def _without_exceptions_as_arguments(record: logging.LogRecord) -> bool:
    """A library may write an exception into its message: of it, too, only the type is kept."""

    def kept(item: object) -> object:
        return type(item).__name__ if isinstance(item, BaseException) else item

    if isinstance(record.args, tuple):
        record.args = tuple(map(kept, record.args))
    elif record.args:
        record.args = {name: kept(item) for name, item in record.args.items()}
    error = sys.exc_info()[1]
    while isinstance(record.msg, str) and error is not None:
        if str(error):
            record.msg = record.msg.replace(str(error), type(error).__name__)
        error = error.__context__
    return True


def _first_line_of_message(
    logger: Any, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Of a message only its first line: what asyncio adds below describes objects in full."""
    entry["event"] = str(entry.get("event", "")).partition("\n")[0]
    return entry


def _only_allowed(
    logger: Any, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {key: value for key, value in entry.items() if key in _ALLOWED_FIELDS}


def temporal_runtime(sdk_metrics_address: str | None) -> Runtime:
    """The SDK's runtime, with its own Prometheus endpoint at ``host:port`` when one is given."""
    metrics = (
        PrometheusConfig(
            bind_address=sdk_metrics_address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
        if sdk_metrics_address
        else None
    )
    logs = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics, logging=logs))


def serve_metrics(host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve this process's business metrics at ``host:port/metrics``."""
    start_http_server(port, addr=host, registry=registry)
