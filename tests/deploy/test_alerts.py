"""Each alert fires on its fault and on no other's, after its time; who is told is as routed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, PROMETHEUS, program

RULES: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0][
    "rules"
]
NAMES = [rule["alert"] for rule in RULES]
MAIN = 'practice="main"'
PAYER = f'{MAIN},payer="p1"'
START_LATENCY = "temporal_workflow_task_schedule_to_start_latency_seconds_bucket"

CALM = {
    'up{job="groupclaim-worker",practice="main"}': "1x400",
    'up{job="groupclaim-exporter",practice="main"}': "1x400",
    f"groupclaim_exporter_age_seconds{{{MAIN}}}": "16x400",
    f"groupclaim_acknowledgment_overdue_seconds{{{MAIN}}}": "0x400",
    f'groupclaim_awaiting_answer_claims{{{PAYER},age_days="31-45"}}': "9x400",
    f'groupclaim_deadlines{{{PAYER},days_left="0-2"}}': "9x400",
    f"groupclaim_suspense_oldest_age_seconds{{{MAIN}}}": "259200x400",
    f'groupclaim_underpaid_lines{{{PAYER},pattern="unexplained"}}': "4x400",
    f"groupclaim_ready_oldest_age_seconds{{{MAIN}}}": "345600x400",
    f"groupclaim_encryption_keys_missing{{{MAIN}}}": "0x400",
    f"groupclaim_audit_chain_intact{{{MAIN}}}": "1x400",
    f"groupclaim_audit_oldest_unsealed_age_seconds{{{MAIN}}}": "900x400",
    f"groupclaim_emergency_accesses{{{MAIN}}}": "0x400",
    f'groupclaim_claims{{{PAYER},stage="eligibility",hold_code="COVERAGE_UNKNOWN"}}': "3x400",
    f'groupclaim_batches{{{MAIN},state="accepted"}}': "7x400",
    f"groupclaim_inbound_file_problems{{{MAIN}}}": "0x400",
    f'groupclaim_database_refusals_total{{{MAIN},cause="disk_full"}}': "3x400",
    f'groupclaim_database_refusals_total{{{MAIN},cause="unreachable"}}': "3x400",
    f'groupclaim_exporter_disk_free_ratio{{{MAIN},holds="state"}}': "0.1x400",
}


@dataclass(frozen=True)
class Fault:
    """``series`` planted beside or in place of the calm ones; the alert is pending until ``at``."""

    alert: str
    series: dict[str, str | None]
    before: str
    at: str
    labels: dict[str, str]


FAULTS = [
    Fault(
        "AcknowledgmentMissing",
        {f"groupclaim_acknowledgment_overdue_seconds{{{MAIN}}}": "60x400"},
        "9m", "10m", {"practice": "main"},
    ),
    Fault(
        "ClaimsSilent",
        {f'groupclaim_awaiting_answer_claims{{{PAYER},age_days="46+"}}': "1x400"},
        "59m", "60m", {"practice": "main", "payer": "p1"},
    ),
    Fault(
        "DeadlineAtRisk",
        {f'groupclaim_deadlines{{{PAYER},days_left="overdue"}}': "1x400"},
        "29m", "30m", {"practice": "main", "payer": "p1"},
    ),
    Fault(
        "SuspenseAgeing",
        {f"groupclaim_suspense_oldest_age_seconds{{{MAIN}}}": "259201x400"},
        "14m", "15m", {"practice": "main"},
    ),
    Fault(
        "UnderpaymentPattern",
        {f'groupclaim_underpaid_lines{{{PAYER},pattern="unexplained"}}': "5x400"},
        "59m", "60m", {"practice": "main", "payer": "p1", "pattern": "unexplained"},
    ),
    Fault(
        "ReadyQueueBacklog",
        {f"groupclaim_ready_oldest_age_seconds{{{MAIN}}}": "345601x400"},
        "14m", "15m", {"practice": "main"},
    ),
    Fault(
        # Half of the tasks wait longer than a minute: the 95th percentile is above 30 seconds.
        "TaskBacklog",
        {
            f'{START_LATENCY}{{{MAIN},le="{le}"}}': f"0+{n}x400"
            for le, n in (("1", 50), ("60", 50), ("120", 100), ("+Inf", 100))
        },
        "8m", "13m", {"practice": "main"},
    ),
    Fault(
        "WorkerDown",
        {'up{job="groupclaim-worker",practice="main"}': "0x400"},
        "1m", "2m", {},
    ),
    Fault(
        "DatabaseRefuses",
        {f'groupclaim_database_refusals_total{{{MAIN},cause="disk_full"}}': "0 1x400"},
        "", "1m", {"practice": "main", "cause": "disk_full"},
    ),
    Fault(
        "DatabaseUnreachable",
        {f'groupclaim_database_refusals_total{{{MAIN},cause="unreachable"}}': "0+2x400"},
        "1m", "2m", {"practice": "main"},
    ),
    Fault(
        "DiskNearlyFull",
        {f'groupclaim_exporter_disk_free_ratio{{{MAIN},holds="state"}}': "0.09x400"},
        "4m", "5m", {"practice": "main", "holds": "state"},
    ),
    Fault(
        "EncryptionKeyMissing",
        {
            f"groupclaim_encryption_keys_missing{{{MAIN}}}": "1x400",
            f"groupclaim_audit_chain_intact{{{MAIN}}}": None,
        },
        "", "0m", {"practice": "main"},
    ),
    Fault(
        "AuditChainBroken",
        {f"groupclaim_audit_chain_intact{{{MAIN}}}": "0x400"},
        "", "0m", {"practice": "main"},
    ),
    Fault(
        "AuditUnsealed",
        {f"groupclaim_audit_oldest_unsealed_age_seconds{{{MAIN}}}": "901x400"},
        "4m", "5m", {"practice": "main"},
    ),
    Fault(
        "EmergencyAccessOpen",
        {f"groupclaim_emergency_accesses{{{MAIN}}}": "1x400"},
        "", "0m", {"practice": "main"},
    ),
    Fault(
        "ExporterStale",
        {f"groupclaim_exporter_age_seconds{{{MAIN}}}": "301x400"},
        "1m", "2m", {"practice": "main"},
    ),
    Fault(
        "ExporterStale",
        {'up{job="groupclaim-exporter",practice="main"}': "0x400"},
        "1m", "2m", {},
    ),
    Fault(
        "ConnectionDown",
        {f'groupclaim_connections_down{{{MAIN},way="files"}}': "1x400"},
        "", "0m", {"practice": "main", "way": "files"},
    ),
    Fault(
        "PayerUnreachable",
        {f'groupclaim_claims{{{PAYER},stage="held",hold_code="PAYER_UNREACHABLE"}}': "1x400"},
        "4m", "5m", {"practice": "main", "payer": "p1"},
    ),
    Fault(
        "ClearinghouseUnreachable",
        {f'groupclaim_batches{{{MAIN},state="in_doubt"}}': "1x400"},
        "179m", "180m", {"practice": "main"},
    ),
    Fault(
        "InboundFileProblem",
        {f"groupclaim_inbound_file_problems{{{MAIN}}}": "1x400"},
        "14m", "15m", {"practice": "main"},
    ),
]  # fmt: skip


def group(series: dict[str, str], interval: str, checks: dict[str, dict[str, Any]]) -> Any:
    """One of promtool's tests: at each moment what fires, and that everything else is silent."""
    return {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": at,
                "alertname": name,
                "exp_alerts": [firing[name]] if name in firing else [],
            }
            for at, firing in checks.items()
            for name in NAMES
        ],
    }


def fires(name: str, labels: dict[str, str]) -> dict[str, Any]:
    rule = next(rule for rule in RULES if rule["alert"] == name)
    return {name: {"exp_labels": rule["labels"] | labels, "exp_annotations": rule["annotations"]}}


def run(groups: list[Any], folder: Path, every: str = "1m") -> subprocess.CompletedProcess[str]:
    file = folder / "tests.yml"
    rules = [str(PROMETHEUS / name) for name in ("recording.yml", "alerts.yml")]
    content = {
        "rule_files": rules,
        "evaluation_interval": every,
        "group_eval_order": ["groupclaim-recording", "groupclaim"],
        "tests": groups,
    }
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False
    )


def planted(fault: Fault) -> dict[str, str]:
    series = CALM | fault.series
    return {name: values for name, values in series.items() if values is not None}


def test_nothing_fires_on_a_calm_day_and_each_alert_on_its_fault_only(tmp_path: Path) -> None:
    groups = [group(CALM, "1m", {"1m": {}, "200m": {}})]
    for fault in FAULTS:
        checks = {fault.before: {}} if fault.before else {}
        firing = {fault.at: fires(fault.alert, fault.labels)}
        groups.append(group(planted(fault), "1m", checks | firing))
    done = run(groups, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def decisions(denied: tuple[int, int], applied: tuple[int, int]) -> dict[str, str]:
    """For 35 days, hour by hour: so many decisions a day before and in the last seven days."""
    series = {}
    for name, (before, after) in (("denied", denied), ("applied", applied)):
        points, value = [], 0.0
        for hour in range(36 * 24):
            points.append(f"{value:g}")
            value += (before if hour < 28 * 24 else after) / 24
        series[f'groupclaim_payer_decisions_total{{{PAYER},decision="{name}"}}'] = " ".join(points)
    return series


@pytest.mark.parametrize(
    ("denied", "applied", "alerted"),
    [
        ((1, 3), (19, 17), True),  # 5 % and then 15 %
        ((0, 2), (20, 18), True),  # never before, and then 10 %
        ((1, 1), (19, 19), False),  # as always
        ((2, 4), (18, 16), False),  # 10 % and then 20 %: not more than twice
        ((0, 1), (40, 39), False),  # 2.5 %: under the least share
        ((0, 1), (2, 1), False),  # half, of 14 decisions: too few
    ],
)
def test_a_payer_denies_more_than_before(
    denied: tuple[int, int], applied: tuple[int, int], alerted: bool, tmp_path: Path
) -> None:
    labels = {"practice": "main", "payer": "p1"}
    expected = [fires("DenialRateJump", labels)["DenialRateJump"]] if alerted else []
    done = run(
        [
            {
                "interval": "1h",
                "input_series": [
                    {"series": name, "values": values}
                    for name, values in decisions(denied, applied).items()
                ],
                "alert_rule_test": [
                    {"eval_time": "35d", "alertname": "DenialRateJump", "exp_alerts": expected}
                ],
            }
        ],
        tmp_path,
        every="1h",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_planted_and_has_its_page() -> None:
    assert {fault.alert for fault in FAULTS} | {"DenialRateJump"} == set(NAMES)
    for rule in RULES:
        page = (DEPLOY.parent / rule["annotations"]["runbook"]).read_text()
        assert f"# {rule['alert']}\n" in page
        assert "**Then.**" in page
    pages = {path.name for path in (DEPLOY / "runbooks").iterdir()}
    assert pages == {Path(rule["annotations"]["runbook"]).name for rule in RULES}


def test_the_configuration_of_prometheus_and_its_rules_are_valid() -> None:
    checks = (
        ("config", "prometheus.yml"),
        ("config", "kubernetes.yml"),
        ("rules", "recording.yml"),
    )
    for check, file in checks:
        subprocess.run(
            [program("promtool"), "check", check, PROMETHEUS / file],
            check=True,
            capture_output=True,
        )


ROUTES = {
    ("billing", "critical"): "billing-urgent",
    ("billing", "warning"): "billing",
    ("privacy", "critical"): "privacy",
    ("privacy", "warning"): "privacy",
    ("operations", "critical"): "operations-urgent",
    ("operations", "warning"): "operations",
}


def test_every_alert_reaches_those_who_must_act() -> None:
    amtool, file = program("amtool"), DEPLOY / "alertmanager" / "alertmanager.yml"
    subprocess.run([amtool, "check-config", file], check=True, capture_output=True)
    for rule in RULES:
        labels = rule["labels"] | {"alertname": rule["alert"], "practice": "main"}
        told = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={file}"]
            + [f"{name}={value}" for name, value in labels.items()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert told == ROUTES[labels["team"], labels["severity"]], rule["alert"]
