"""Every metric of groupclaim, from the code that makes it; writes `metrics.md` when run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from activities.measures import MEASURES
from groupclaim.store import watch
from worker.exporter import TIMES, Exporter
from worker.settings import Settings

TABLE = Path(__file__).with_name("metrics.md")


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: str
    labels: tuple[str, ...]
    source: str
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


def catalogue() -> tuple[Metric, ...]:
    """In the order of workers, then the exporter's figures, times and its own."""
    measured = [
        Metric(
            f"{item._name}_total" if item._type == "counter" else item._name,
            item._type,
            tuple(item._labelnames),
            "worker",
            item._documentation,
        )
        for item in MEASURES
    ]
    figures = [
        Metric(item.name, item.kind, item.labels, "exporter", item.help) for item in watch.FAMILIES
    ]
    times = [
        Metric(name, "histogram", ("payer",), "exporter", text) for name, (text, _) in TIMES.items()
    ]
    own = [
        Metric(
            f"{item.name}_total" if item.type == "counter" else item.name,
            item.type,
            ("holds",) if item.name.endswith("_disk_free_ratio") else (),
            "exporter",
            item.documentation,
        )
        for item in Exporter(Settings()).registry.collect()
        if item.name.startswith("groupclaim_exporter")
    ]
    return (*measured, *figures, *times, *own)


def table() -> str:
    """The table of all metrics, in Markdown."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{x}`' for x in metric.labels)} "
        f"| {metric.source} | {metric.meaning} |"
        for metric in catalogue()
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            "Made by `make dashboards` from the code; a test compares. Workers count while they",
            "work and start at zero with the process: read rates from them. The exporter reads",
            "the database: its figures are true after any restart, and what claims took is counted",
            "once for each claim, from rows that are written once. `payer` is the key of a payer",
            "on file; `groupclaim_payer_info` joins it with the id on the wire. No label holds a",
            "claim, a patient or a clinician. The Temporal SDK adds its own (`temporal_*`).",
            "",
            "| Metric | Kind | Labels | From | Meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    TABLE.write_text(table())
