"""Makes `dashboards/*.json` for Grafana 11.6 from `panels.py`: `make dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    GridPos,
    VariableRefresh,
)

from deploy.grafana.panels import BOARDS, SQL_BOARDS, SQL_VARIABLES, Board, Panel

DASHBOARDS = Path(__file__).with_name("dashboards")
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="groupclaim-prometheus")
POSTGRES = DataSourceRef(type_val="grafana-postgresql-datasource", uid="groupclaim-postgres")

_WIDTHS = {"stat": 4, "timeseries": 12, "table": 24}
_HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}


class SqlQuery(Dataquery, builder.Builder[Dataquery]):
    """A query of the PostgreSQL data source, which the SDK has no builder for."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, Any]:
        return {
            "refId": "A", "format": "table", "rawQuery": True, "editorMode": "code",
            "rawSql": self._sql, "datasource": POSTGRES.to_json(),
        }  # fmt: skip


def _panel(item: Panel, position: GridPos, number: int) -> Any:
    kinds: dict[str, Any] = {
        "stat": stat.Panel,
        "timeseries": timeseries.Panel,
        "table": table.Panel,
    }
    built = (
        kinds[item.kind]()
        .id(number)
        .title(item.title)
        .description(item.description)
        .unit(item.unit)
        .datasource(POSTGRES if item.is_sql else PROMETHEUS)
        .grid_pos(position)
        .links([
            dashboard.DashboardLink("Open in the console")
            .type(DashboardLinkType.LINK)
            .url("${console}" + item.link)
            .target_blank(True)
        ])
    )  # fmt: skip
    if item.is_sql:
        counts = DynamicConfigValue(id_val="unit", value="short")
        share = DynamicConfigValue(id_val="unit", value="percentunit")
        built = built.override_by_regexp("^(claims|lines|decided|denied)$", [counts])
        return built.override_by_name("denial_rate", [share]).with_target(SqlQuery(item.query))
    query = prometheus.Dataquery().ref_id("A").expr(item.query).legend_format(item.legend)
    return built.with_target(query.range())


def _chosen(
    name: str, query: str, source: DataSourceRef, regex: str = "", everything: str | None = None
) -> Any:
    chosen = (
        dashboard.QueryVariable(name)
        .label(name.replace("_", " "))
        .query(query)
        .datasource(source)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .regex(regex)
        .multi(True)
        .include_all(True)
    )
    return chosen if everything is None else chosen.all_value(everything)


def build(board: Board) -> str:
    """One dashboard as Grafana's JSON. Panels follow each other in rows of 24 columns."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["groupclaim"])
        .refresh("1m")
        .time("now-90d" if board.uid in SQL_BOARDS else "now-24h", "now")
        .timezone("browser")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.ConstantVariable("console")
            .label("address of the console")
            .value("http://127.0.0.1:8300")
        )
        .with_variable(
            _chosen(
                "practice", "label_values(groupclaim_exporter_age_seconds, practice)", PROMETHEUS
            )
        )
        .with_variable(
            _chosen(
                "payer",
                'query_result(groupclaim_payer_info{practice=~"$practice"})',
                PROMETHEUS,
                '/payer="(?<value>[^"]+)".*payer_id="(?<text>[^"]+)"/',
                # In SQL a choice is a list of keys; in PromQL all is also who has no payer.
                None if board.uid in SQL_BOARDS else ".*",
            )
        )
    )
    if board.uid in SQL_BOARDS:
        for name, query in SQL_VARIABLES.items():
            made = made.with_variable(_chosen(name, query, POSTGRES))
    x = y = tallest = 0
    for number, item in enumerate(board.panels, 1):
        width, height = _WIDTHS[item.kind], _HEIGHTS[item.kind]
        if x + width > 24:
            x, y, tallest = 0, y + tallest, 0
        made = made.with_panel(_panel(item, GridPos(h=height, w=width, x=x, y=y), number))
        x, tallest = x + width, max(tallest, height)
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def files() -> dict[Path, str]:
    return {DASHBOARDS / f"{board.uid}.json": build(board) for board in BOARDS}


if __name__ == "__main__":
    DASHBOARDS.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_text(content)
