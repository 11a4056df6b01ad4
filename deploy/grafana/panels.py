"""What the dashboards show: each panel's question, its query, its unit, and where to act on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

P = 'practice=~"$practice"'
PP = 'practice=~"$practice",payer=~"$payer"'
FIGURES = (
    "FROM claim_figures f LEFT JOIN payer p ON p.id = f.payer_key "
    "WHERE $__timeFilter(f.service_date) AND f.payer_key IN (${payer:sqlstring}) "
    "AND f.clinician_id IN (${clinician:sqlstring}) AND f.location_id IN (${location:sqlstring}) "
    "AND f.codes IN (${service_line:sqlstring}) "
)
_SUMS = (
    "COUNT(*) AS claims, SUM(f.billed_cents) / 100.0 AS billed, SUM(f.allowed_cents) / 100.0 AS "
    "allowed, SUM(f.paid_cents) / 100.0 AS paid, SUM(f.payer_open_cents) / 100.0 AS payer_open, "
    "SUM(f.underpaid_cents) / 100.0 AS underpaid "
)
_DENIED = (
    "COUNT(*) AS claims, SUM(f.decided) AS decided, SUM(f.denied) AS denied, "
    "CAST(SUM(f.denied) AS DOUBLE PRECISION) / NULLIF(SUM(f.decided), 0) AS denial_rate "
)


@dataclass(frozen=True, slots=True)
class Panel:
    """``unit`` is Grafana's; ``link`` a page of the console. ``query`` is PromQL or SQL."""

    title: str
    description: str
    query: str
    unit: str = "short"
    legend: str = "{{practice}}"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    link: str = "/"

    @property
    def is_sql(self) -> bool:
        return self.kind == "table"


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def _stat(title: str, text: str, query: str, unit: str = "short", link: str = "/") -> Panel:
    return Panel(title, text, query, unit, kind="stat", link=link)


def _median(metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.5, sum by ({labels}) ({metric}_bucket{{{PP}}}))"


def _late(metric: str) -> str:
    return f"histogram_quantile(0.95, sum by (le) ({metric}_bucket{{{PP}}}))"


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{P}}}[$__rate_interval]))"


BOARDS = (
    Board(
        "groupclaim-progress",
        "Claim progress",
        "Where claims stand, how old they are and what comes due.",
        (
            _stat(
                "Open claims", "Claims that have not ended.", f"sum(groupclaim_open_claims{{{PP}}})"
            ),
            _stat(
                "Held claims",
                "Claims that a person or a fact must let go on.",
                f'sum(groupclaim_claims{{{PP},hold_code!=""}})',
            ),
            _stat(
                "Open sessions",
                "Sessions of which not every claim has ended.",
                f'sum(groupclaim_sessions{{{P},stage="open"}})',
                link="/sessions",
            ),
            _stat(
                "Ready, not yet in a batch",
                "Claims that wait for the next cut-off.",
                f"sum(groupclaim_ready_claims{{{P}}})",
            ),
            Panel(
                "Claims by stage",
                "Every claim by the step it has come to.",
                f"sum by (stage) (groupclaim_claims{{{PP}}})",
                legend="{{stage}}",
            ),
            Panel(
                "Holds by code",
                "Held claims by code; `groupclaim holds` explains each.",
                f'sum by (hold_code) (groupclaim_claims{{{PP},hold_code!=""}})',
                legend="{{hold_code}}",
            ),
            Panel(
                "Next dates",
                "By days left. Overdue: nothing has looked at them, an alert.",
                f"sum by (days_left) (groupclaim_deadlines{{{PP}}})",
                legend="{{days_left}}",
            ),
            Panel(
                "Ageing",
                "Open claims by days since the service.",
                f"sum by (age_days) (groupclaim_open_claims{{{PP}}})",
                legend="{{age_days}}",
            ),
            Panel(
                "Waiting for the payer",
                "Sent and not decided, by days in their stage.",
                f"sum by (age_days) (groupclaim_awaiting_answer_claims{{{PP}}})",
                legend="{{age_days}}",
            ),
            Panel(
                "Oldest ready claim",
                "How long it waits for a batch.",
                f"groupclaim_ready_oldest_age_seconds{{{P}}}",
                "s",
            ),
            Panel(
                "Session to sent, median",
                "Of all claims on file, from the session's beginning.",
                _median("groupclaim_claim_session_to_sent_seconds"),
                "s",
                "median",
            ),
            Panel(
                "Session to sent, 95th percentile",
                "Of all claims on file.",
                _late("groupclaim_claim_session_to_sent_seconds"),
                "s",
                "p95",
            ),
        ),
    ),
    Board(
        "groupclaim-denials",
        "Denials and follow-up",
        "What payers deny, what people must do, and what it is worth.",
        (
            Panel(
                "Decisions in seven days",
                "Posted decisions of payers.",
                f"sum by (decision) (increase(groupclaim_payer_decisions_total{{{PP}}}[7d]))",
                legend="{{decision}}",
                link="/denials",
            ),
            Panel(
                "Share denied, seven days",
                "By payer; an alert compares it with four weeks.",
                f"groupclaim:payer_denials:ratio7d{{{PP}}}",
                "percentunit",
                "{{payer}}",
                link="/denials",
            ),
            Panel(
                "Work by who must act",
                "Open and pended work items by the one whose turn it is.",
                f"sum by (queue) (groupclaim_work_items{{{P}}})",
                legend="{{queue}}",
            ),
            Panel(
                "Money at risk",
                "Held claims: what is owed, or would be billed.",
                f"sum by (hold_code) (groupclaim_money_at_risk_dollars{{{PP}}})",
                "currencyUSD",
                "{{hold_code}}",
            ),
            Panel(
                "New holds",
                "Claims put on hold each second, by code.",
                _rate("groupclaim_claim_holds_total", "hold_code"),
                "ops",
                "{{hold_code}}",
            ),
            Panel(
                "Disputes",
                "With payers, by state.",
                f"sum by (kind, state) (groupclaim_disputes{{{PP}}})",
                legend="{{kind}} {{state}}",
                link="/denials",
            ),
            Panel(
                "Errors among billed claims",
                "By the newest reviewed audit sample: found, with its exact 95 % interval.",
                f"groupclaim_audit_sample_error_ratio{{{P}}}",
                "percentunit",
                "{{bound}}",
            ),
            Panel(
                "Denials by category",
                "Open ones and those that have ended, with what became of them.",
                f"sum by (category, outcome) (groupclaim_denials{{{PP}}})",
                legend="{{category}} {{outcome}}",
                link="/denials",
            ),
            Panel(
                "Denials by cause",
                "The ten group and reason codes that come most often.",
                f"topk(10, sum by (cause) (groupclaim_denials_by_cause{{{P}}}))",
                legend="{{cause}}",
                link="/denials",
            ),
            Panel(
                "Overturned",
                "Share of the denials that have ended on which the payer has paid since.",
                f"sum by (payer) (groupclaim_denials_overturned{{{PP}}}) / "
                f'sum by (payer) (groupclaim_denials{{{PP},outcome!="open"}})',
                "percentunit",
                "{{payer}}",
                link="/denials",
            ),
            Panel(
                "Recovered from denials",
                "What payers have paid on denied claims, by category.",
                f"sum by (category) (groupclaim_denial_recovered_dollars{{{PP}}})",
                "currencyUSD",
                "{{category}}",
                link="/denials",
            ),
            Panel(
                "How long denials take",
                "From arrival to end, in the middle, by payer.",
                _median("groupclaim_denial_open_seconds", "payer"),
                "s",
                "{{payer}}",
                link="/denials",
            ),
            Panel(
                "Denials by clinician and cause",
                "How many, for how much, overturned, and what came back.",
                "SELECT d.clinician_id AS clinician, d.cause, COUNT(*) AS denials, "
                "SUM(d.denied_cents) / 100.0 AS denied, SUM(CASE WHEN d.outcome IS NOT NULL AND "
                "d.recovered_cents > 0 THEN 1 ELSE 0 END) AS overturned, "
                "SUM(d.recovered_cents) / 100.0 AS recovered FROM denial_figures d "
                "WHERE $__timeFilter(d.service_date) AND d.payer_key IN (${payer:sqlstring}) "
                "AND d.clinician_id IN (${clinician:sqlstring}) "
                "GROUP BY d.clinician_id, d.cause ORDER BY denials DESC",
                kind="table",
                link="/denials",
            ),
            Panel(
                "Denial rate by clinician",
                "Of claims decided; keys as in the console.",
                f"SELECT f.clinician_id AS clinician, {_DENIED}{FIGURES}GROUP BY f.clinician_id "
                "ORDER BY denied DESC",
                kind="table",
                link="/denials",
            ),
            Panel(
                "Denial rate by location",
                "Of claims decided.",
                f"SELECT f.location_id AS location, {_DENIED}{FIGURES}GROUP BY f.location_id "
                "ORDER BY denied DESC",
                kind="table",
                link="/denials",
            ),
            Panel(
                "Denial rate by service line",
                "By the codes that were billed.",
                f"SELECT f.codes AS service_line, {_DENIED}{FIGURES}GROUP BY f.codes "
                "ORDER BY denied DESC",
                kind="table",
                link="/denials",
            ),
        ),
    ),
    Board(
        "groupclaim-money",
        "Money and underpayments",
        "From charge to cash, to the cent from the ledger; and what was paid short.",
        (
            Panel(
                "What became of the charges",
                "The parts add up to the charge.",
                f"sum by (part) (groupclaim_claim_dollars{{{PP}}})",
                "currencyUSD",
                "{{part}}",
                link="/remittances",
            ),
            Panel(
                "Receivable by age",
                "What payers still owe, by days since the service.",
                f"sum by (age_days) (groupclaim_receivable_dollars{{{PP}}})",
                "currencyUSD",
                "{{age_days}}",
                link="/remittances",
            ),
            Panel(
                "Paid short",
                "Open shortfall by known pattern.",
                f"sum by (pattern) (groupclaim_underpaid_dollars{{{PP}}})",
                "currencyUSD",
                "{{pattern}}",
                link="/remittances",
            ),
            Panel(
                "Lines paid short",
                "Five alike of one payer are an alert.",
                f"sum by (payer, pattern) (groupclaim_underpaid_lines{{{PP}}})",
                legend="{{payer}} {{pattern}}",
                link="/remittances",
            ),
            _stat(
                "Payments in suspense",
                "Nothing of them is posted.",
                f"sum(groupclaim_suspended_payments{{{P}}})",
                link="/remittances",
            ),
            _stat(
                "Dollars in suspense",
                "What they amount to.",
                f"sum(groupclaim_suspended_dollars{{{P}}})",
                "currencyUSD",
                "/remittances",
            ),
            _stat(
                "Oldest in suspense",
                "Above three days it is an alert.",
                f"max(groupclaim_suspense_oldest_age_seconds{{{P}}})",
                "s",
                "/remittances",
            ),
            _stat(
                "Unapplied dollars",
                "Payers' money without a claim.",
                f"sum(groupclaim_unapplied_dollars{{{P}}})",
                "currencyUSD",
                "/remittances",
            ),
            _stat(
                "Unapplied entries",
                "A person or a later file clears them.",
                f"sum(groupclaim_unapplied_items{{{P}}})",
                link="/remittances",
            ),
            Panel(
                "By payer",
                "Claims with a service in the chosen time.",
                f"SELECT COALESCE(p.payer_id, f.payer_key) AS payer, {_SUMS}{FIGURES}"
                "GROUP BY 1 ORDER BY payer_open DESC",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
            Panel(
                "By clinician",
                "Keys as in the console.",
                f"SELECT f.clinician_id AS clinician, {_SUMS}{FIGURES}GROUP BY 1 "
                "ORDER BY payer_open DESC",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
            Panel(
                "By location",
                "Keys as in the console.",
                f"SELECT f.location_id AS location, {_SUMS}{FIGURES}GROUP BY 1 "
                "ORDER BY payer_open DESC",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
            Panel(
                "By service line",
                "By the codes that were billed.",
                f"SELECT f.codes AS service_line, {_SUMS}{FIGURES}GROUP BY 1 "
                "ORDER BY payer_open DESC",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
            Panel(
                "By month of service",
                "What each month came to.",
                f"SELECT date_trunc('month', f.service_date) AS month, {_SUMS}{FIGURES}"
                "GROUP BY 1 ORDER BY 1",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
            Panel(
                "Underpayments",
                "By payer, code and pattern, with what has come since.",
                "SELECT p.payer_id AS payer, u.code, u.pattern, u.state, COUNT(*) AS lines, "
                "SUM(u.underpaid_cents) / 100.0 AS underpaid, SUM(u.recovered_cents) / 100.0 AS "
                "recovered FROM underpayments u JOIN payer p ON p.id = u.payer_key "
                "WHERE $__timeFilter(u.service_date) AND u.payer_key IN (${payer:sqlstring}) "
                "GROUP BY 1, 2, 3, 4 ORDER BY underpaid DESC",
                "currencyUSD",
                kind="table",
                link="/remittances",
            ),
        ),
    ),
    Board(
        "groupclaim-payers",
        "Payers",
        "How each payer answers, decides and pays.",
        (
            Panel(
                "Open claims by payer",
                "`groupclaim_payer_info` joins key and id.",
                f"sum by (payer) (groupclaim_open_claims{{{PP}}})",
                legend="{{payer}}",
            ),
            Panel(
                "Owed by payer",
                "Open receivable.",
                f"sum by (payer) (groupclaim_receivable_dollars{{{PP}}})",
                "currencyUSD",
                "{{payer}}",
                link="/remittances",
            ),
            Panel(
                "Sent to answer, median",
                "Until the first 277CA, of all claims on file.",
                _median("groupclaim_claim_sent_to_answer_seconds", "payer"),
                "s",
                "{{payer}}",
            ),
            Panel(
                "Sent to cash, median",
                "Until the first money, of all claims on file.",
                _median("groupclaim_claim_sent_to_cash_seconds", "payer"),
                "s",
                "{{payer}}",
            ),
            Panel(
                "Sent to cash, 95th percentile",
                "Of all chosen payers.",
                _late("groupclaim_claim_sent_to_cash_seconds"),
                "s",
                "p95",
            ),
            Panel(
                "Silent more than 45 days",
                "Sent and not decided by the payer: an alert.",
                f'sum by (payer) (groupclaim_awaiting_answer_claims{{{PP},age_days="46+"}})',
                legend="{{payer}}",
            ),
            Panel(
                "Cannot be reached",
                "Claims held because the payer does not answer: an alert.",
                f'sum by (payer) (groupclaim_claims{{{PP},hold_code="PAYER_UNREACHABLE"}})',
                legend="{{payer}}",
            ),
            Panel(
                "Authorizations by units left",
                "In force; look at those with 0 to 2.",
                f"sum by (units_left) (groupclaim_authorizations{{{PP}}})",
                legend="{{units_left}}",
            ),
            Panel(
                "Payers on file",
                "Key and id on the wire.",
                f"sum by (payer, payer_id) (groupclaim_payer_info{{{PP}}})",
                legend="{{payer_id}} {{payer}}",
                link="/policies",
            ),
        ),
    ),
    Board(
        "groupclaim-engine",
        "Workers and engine",
        "Whether the machinery runs: workers, Temporal's SDK, files, the exporter, the safeguards.",
        (
            _stat(
                "Targets up",
                "Workers, SDK and exporter that Prometheus reaches.",
                f'sum(up{{{P},job=~"groupclaim-.*"}})',
            ),
            _stat(
                "Age of the figures",
                "Above five minutes it is an alert.",
                f"max(groupclaim_exporter_age_seconds{{{P}}})",
                "s",
            ),
            _stat(
                "Audit log intact", "1, or an alert.", f"min(groupclaim_audit_chain_intact{{{P}}})"
            ),
            _stat(
                "Keys missing", "0, or an alert.", f"sum(groupclaim_encryption_keys_missing{{{P}}})"
            ),
            _stat(
                "Emergency accesses",
                "Open now; each is an alert.",
                f"sum(groupclaim_emergency_accesses{{{P}}})",
            ),
            _stat(
                "Files with a problem",
                "Nobody could read them.",
                f"sum(groupclaim_inbound_file_problems{{{P}}})",
                link="/remittances",
            ),
            Panel(
                "Steps",
                "Attempts each second, by step.",
                _rate("groupclaim_steps_total", "step"),
                "ops",
                "{{step}}",
            ),
            Panel(
                "Share of attempts that failed",
                "They are tried again; a high share is a fault.",
                f"groupclaim:step_failures:ratio5m{{{P}}}",
                "percentunit",
                "{{step}}",
            ),
            Panel(
                "Retries",
                "Attempts after the first, each second.",
                _rate("groupclaim_step_retries_total", "step"),
                "ops",
                "{{step}}",
            ),
            Panel(
                "Step time, 95th percentile",
                "One attempt.",
                f"groupclaim:step_duration_seconds:p95_5m{{{P}}}",
                "s",
                "{{step}}",
            ),
            Panel(
                "Batches",
                "By state.",
                f"sum by (state) (groupclaim_batches{{{P}}})",
                legend="{{state}}",
            ),
            Panel(
                "Claims in a batch, median",
                "As cut since the workers started.",
                f"histogram_quantile(0.5, sum by (le) (groupclaim_batch_claims_bucket{{{P}}}))",
                legend="median",
            ),
            Panel(
                "Sendings",
                "By outcome, each second.",
                _rate("groupclaim_batch_sendings_total", "outcome"),
                "ops",
                "{{outcome}}",
            ),
            Panel(
                "Acknowledgment overdue",
                "The longest missing TA1 or 999: an alert.",
                f"groupclaim_acknowledgment_overdue_seconds{{{P}}}",
                "s",
            ),
            Panel(
                "Batches without an acknowledgment",
                "Taken, and no TA1 or 999 yet.",
                f"groupclaim_unacknowledged_batches{{{P}}}",
            ),
            Panel(
                "X12 files",
                "Built, read, faulty or refused, each second.",
                _rate("groupclaim_x12_files_total", "direction, outcome"),
                "ops",
                "{{direction}} {{outcome}}",
            ),
            Panel(
                "Payments",
                "Posted or suspended, each second.",
                _rate("groupclaim_remittances_total", "state"),
                "ops",
                "{{state}}",
                link="/remittances",
            ),
            Panel(
                "Task start, 95th percentile",
                "How long a workflow task waits for a worker.",
                f"groupclaim:task_start_latency_seconds:p95_5m{{{P}}}",
                "s",
                "p95",
            ),
            Panel(
                "Workflow tasks",
                "Median time of one, by type.",
                "histogram_quantile(0.5, sum by (le, workflow_type) "
                f"(temporal_workflow_task_execution_latency_seconds_bucket{{{P}}}))",
                "s",
                "{{workflow_type}}",
            ),
            Panel(
                "Free slots",
                "Of the workers, by kind of task.",
                f"sum by (worker_type) (temporal_worker_task_slots_available{{{P}}})",
                legend="{{worker_type}}",
            ),
            Panel(
                "Workflows completed",
                "Each second, by type.",
                f"sum by (workflow_type) (rate(temporal_workflow_completed_total{{{P}}}"
                "[$__rate_interval]))",
                "ops",
                "{{workflow_type}}",
            ),
            Panel(
                "Cached workflows",
                "Held in the workers' memory.",
                f"sum(temporal_sticky_cache_size{{{P}}})",
                legend="cached",
            ),
            Panel(
                "Requests to Temporal",
                "Each second, by operation.",
                f"sum by (operation) (rate(temporal_request_total{{{P}}}[$__rate_interval]))",
                "ops",
                "{{operation}}",
            ),
            Panel(
                "Oldest unsealed audit entry",
                "A quarter of an hour is an alert.",
                f"groupclaim_audit_oldest_unsealed_age_seconds{{{P}}}",
                "s",
            ),
            Panel(
                "Reading the database",
                "How long the exporter's last reading took.",
                f"groupclaim_exporter_reading_seconds{{{P}}}",
                "s",
            ),
            Panel(
                "Failed readings",
                "In the last hour.",
                f"increase(groupclaim_exporter_failures_total{{{P}}}[1h])",
            ),
        ),
    ),
)

SQL_BOARDS = tuple(board.uid for board in BOARDS if any(item.is_sql for item in board.panels))

SQL_VARIABLES = {
    "clinician": "SELECT DISTINCT clinician_id FROM claim_figures ORDER BY 1",
    "location": "SELECT DISTINCT location_id FROM claim_figures ORDER BY 1",
    "service_line": "SELECT DISTINCT codes FROM claim_figures ORDER BY 1",
}
