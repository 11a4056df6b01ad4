"""Reports: what was billed, allowed, paid and left open, by whom and for how long.

All amounts are whole cents, rates hundredths of a percent. They add up the views ``claim_figures``,
``underpayments`` and ``denial_figures``; dashboards may read the views themselves.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any, Literal, get_args

from sqlalchemy import bindparam, select, text
from sqlalchemy.types import Date

from groupclaim.lifecycle.state import NEVER_FILED
from groupclaim.store import practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import claim, claim_event, figures_by

Kind = Literal[
    "payer",
    "provider",
    "location",
    "service-line",
    "ageing",
    "underpayments",
    "denials",
    "denials-by-provider",
    "denials-by-month",
    "losses",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_COLUMNS = {
    "payer": "payer_key",
    "provider": "clinician_id",
    "location": "location_id",
    "service-line": "codes",
}
_BUCKETS = (("0_to_30", 0, 30), ("31_to_60", 31, 60), ("61_to_90", 61, 90), ("91_to_120", 91, 120))
_REVENUE_DAYS = 90

Rows = list[dict[str, Any]]


async def report(
    reading: Reading,
    kind: Kind,
    as_of: date,
    first: date | None = None,
    last: date | None = None,
) -> Rows:
    """One report of the claims whose service was from ``first`` to ``last``, as of ``as_of``.

    Days in A/R are what is open of all claims over the net revenue of a day, taken from the
    services of the last 90 days; None without revenue.
    """
    span = {"first": first or date.min, "last": last or date.max}
    names = await practice.names(reading)
    if kind == "ageing":
        return await _ageing(reading, as_of, span, names)
    if kind == "underpayments":
        return await _underpayments(reading, span, names)
    if kind == "losses":
        return await _losses(reading, span, names)
    if kind in _DENIALS:
        return await _denials(reading, kind, span, names)
    column = _COLUMNS[kind]
    within = figures_by(column, "WHERE service_date BETWEEN :first AND :last")
    days = await _days_in_receivables(reading, column, as_of)
    rows = []
    for row in await _select(reading, f"{within} ORDER BY {column}", span):
        figures = dict(row)
        key = figures.pop("group_key")
        rows.append(
            {kind.replace("-", "_"): names.get(key, key), **figures, "days_in_ar": days.get(key)}
        )
    return rows


async def _days_in_receivables(reading: Reading, column: str, as_of: date) -> dict[str, float]:
    """By group: (open with payers and patients) / (net revenue of 90 days / 90), to a tenth."""
    rows = await _select(
        reading,
        f"SELECT {column} AS group_key, SUM(payer_open_cents + patient_open_cents) AS open_cents, "  # noqa: S608 - constants only
        "SUM(CASE WHEN service_date > :first AND service_date <= :last "
        "THEN billed_cents - contractual_cents ELSE 0 END) AS revenue_cents "
        f"FROM claim_figures GROUP BY {column}",
        {"first": as_of - timedelta(days=_REVENUE_DAYS), "last": as_of},
    )
    return {
        row["group_key"]: round(int(row["open_cents"]) * _REVENUE_DAYS / int(revenue), 1)
        for row in rows
        if (revenue := row["revenue_cents"]) and revenue > 0
    }


async def _ageing(
    reading: Reading, as_of: date, span: dict[str, date], names: dict[str, str]
) -> Rows:
    """What is open by payer and age, counted from the service and from the first billing."""
    rows = await _select(
        reading,
        "SELECT payer_key, service_date, first_billed_at, "
        "payer_open_cents + patient_open_cents AS open_cents FROM claim_figures "
        "WHERE service_date BETWEEN :first AND :last "
        "AND payer_open_cents + patient_open_cents <> 0 ORDER BY payer_key",
        span,
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        for basis, since in (
            ("service", _day(row["service_date"])),
            ("first billed", _day(row["first_billed_at"])),
        ):
            payer = names.get(row["payer_key"], row["payer_key"])
            buckets = found.setdefault(
                (payer, basis),
                {
                    "payer": payer,
                    "counted_from": basis,
                    **{f"{name}_cents": 0 for name, _, _ in _BUCKETS},
                    "over_120_cents": 0,
                    "open_cents": 0,
                },
            )
            age = max((as_of - since).days, 0) if since else 0
            bucket = next((name for name, _, most in _BUCKETS if age <= most), "over_120")
            buckets[f"{bucket}_cents"] += int(row["open_cents"])
            buckets["open_cents"] += int(row["open_cents"])
    return list(found.values())


async def _underpayments(reading: Reading, span: dict[str, date], names: dict[str, str]) -> Rows:
    rows = await _select(
        reading,
        "SELECT dispute_id, payer_key, code, pattern, claim_number, service_date, expected_cents, "
        "allowed_cents, underpaid_cents, recovered_cents, state FROM underpayments "
        "WHERE service_date BETWEEN :first AND :last "
        "ORDER BY dispute_id, service_date, claim_number",
        span,
    )
    found = []
    for row in rows:
        values = dict(row)
        payer = values.pop("payer_key")
        values["service_date"] = _day(values["service_date"])
        found.append({"payer": names.get(payer, payer), **values})
    return found


_DENIALS: dict[str, str] = {
    "denials": "payer",
    "denials-by-provider": "provider",
    "denials-by-month": "month",
}


async def _denials(
    reading: Reading, kind: Kind, span: dict[str, date], names: dict[str, str]
) -> Rows:
    """Denials by cause and by payer, clinician or the month in which the payer decided.

    ``overturned_rate``: of those concluded, on how many the payer has paid since; ``lead_days``:
    from its decision to the end, in the middle; ``denial_share_rate``: of all denials listed.
    """
    rows = await _select(
        reading,
        "SELECT payer_key, clinician_id, cause, category, prevented_by, decided_on, denied_cents, "
        "outcome, concluded_at, recovered_cents FROM denial_figures "
        "WHERE service_date BETWEEN :first AND :last",
        span,
    )
    by = _DENIALS[kind]
    groups: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        key = {
            "payer": names.get(row["payer_key"], row["payer_key"]),
            "provider": names.get(row["clinician_id"], row["clinician_id"]),
            "month": str(_day(row["decided_on"]))[:7],
        }[by]
        groups.setdefault((key, row["cause"]), []).append(row)
    return [
        {by: key, "cause": cause, **_denial_figures(found, len(rows))}
        for (key, cause), found in sorted(groups.items())
    ]


def _denial_figures(found: list[Any], of: int) -> dict[str, Any]:
    ended = [row for row in found if row["outcome"] is not None]
    won = sum(row["recovered_cents"] > 0 for row in ended)
    days = [
        (last - first).days
        for row in ended
        if (first := _day(row["decided_on"])) and (last := _day(row["concluded_at"]))
    ]
    return {
        "category": found[0]["category"],
        "prevented_by": found[0]["prevented_by"],
        "denials": len(found),
        "denial_share_rate": len(found) * 10_000 // of,
        "denied_cents": sum(int(row["denied_cents"]) for row in found),
        "open": len(found) - len(ended),
        "overturned_rate": won * 10_000 // len(ended) if ended else None,
        "lead_days": median(days) if days else None,
        "recovered_cents": sum(int(row["recovered_cents"]) for row in found),
    }


_GIVEN_UP = {"review": "UNDERPAID", "undecided": "UNDECIDED"}
"""Why, by the key of a write-off: a shortfall was let stand, or a payer never decided. That of a
denial is its cause."""


async def _losses(reading: Reading, span: dict[str, date], names: dict[str, str]) -> Rows:
    """What people gave up, by payer and cause; of what was never sent, what it would have charged.

    What a payer has decided after all, or was taken back since, is not lost. ``loss_share_rate``:
    of all that is listed.
    """
    written_off = await _select(
        reading,
        "SELECT t.claim_number, t.key, t.debit, t.cents, f.payer_key, f.payer_open_cents, d.cause "
        "FROM transfer t JOIN claim_figures f ON f.claim_number = t.claim_number "
        "LEFT JOIN denial d ON d.claim_number = t.claim_number "
        "AND t.key = 'write_off|' || t.claim_number || '|denial|' || d.number "
        "WHERE t.kind = 'write_off' AND f.service_date BETWEEN :first AND :last ORDER BY t.id",
        span,
    )
    why: dict[str, tuple[str, str]] = {}
    lost: dict[str, int] = {}
    for row in written_off:
        number, cents = row["claim_number"], int(row["cents"])
        cause = row["cause"] or _GIVEN_UP[row["key"].split("|")[2]]
        why[number] = (row["payer_key"], cause)
        lost.setdefault(number, min(0, int(row["payer_open_cents"])))
        lost[number] += cents if row["debit"] == "write_off" else -cents
    for row in await reading.execute(_NEVER_SENT, span):
        why[row.claim_number] = (row.payer_key, NEVER_FILED)
        lost[row.claim_number] = row.detail["written_off"]
    groups: dict[tuple[str, str], list[int]] = {}
    for number, cents in lost.items():
        if cents > 0:
            payer, cause = why[number]
            groups.setdefault((names.get(payer, payer), cause), []).append(cents)
    of = sum(map(sum, groups.values()))
    return [
        {
            "payer": payer,
            "cause": cause,
            "claims": len(each),
            "lost_cents": sum(each),
            "loss_share_rate": sum(each) * 10_000 // of,
        }
        for (payer, cause), each in sorted(groups.items(), key=lambda group: -sum(group[1]))
    ]


_NEVER_SENT = (
    select(claim.c.claim_number, claim.c.payer_key, claim_event.c.detail)
    .join(claim_event, claim_event.c.claim_number == claim.c.claim_number)
    .where(
        claim.c.stage == "not_billable",
        claim.c.reason == NEVER_FILED,
        claim.c.service_date.between(bindparam("first"), bindparam("last")),
        claim_event.c.kind == "decision",
        claim_event.c.key.startswith("write_off|"),
    )
)


async def _select(reading: Reading, query: str, days: dict[str, date]) -> list[Any]:
    statement = text(query).bindparams(*(bindparam(name, type_=Date()) for name in days))
    return list((await reading.execute(statement, days)).mappings())


def _day(value: Any) -> date | None:
    """A day as one database gives it, or as text as the other does; of an instant, its UTC day."""
    if isinstance(value, str):
        return date.fromisoformat(value[:10])
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    return value if isinstance(value, date) else None


# --- how figures read, in a table and in a spreadsheet

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell must not begin with: a spreadsheet would take the text for a formula (OWASP, CSV
injection)."""


def heading(column: str) -> str:
    return column.removesuffix("_cents")


def figure(column: str, value: Any) -> str:
    """A figure for a person: amounts in dollars, rates in percent; empty for none."""
    percent = " %" if column.endswith("_rate") and value is not None else ""
    return f"{cell(column, value)}{percent}"


def as_csv(rows: Rows) -> str:
    """The rows under their headings, amounts and rates as numbers, text never as a formula."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([heading(column) for column in rows[0]] if rows else ["nothing"])
    for row in rows:
        writer.writerow([cell(column, value) for column, value in row.items()])
    return written.getvalue()


def cell(column: str, value: Any) -> Any:
    """A figure for a spreadsheet: amounts and rates as numbers, text never as a formula."""
    if value is None:
        return ""
    if column.endswith("_cents"):
        sign = "-" if value < 0 else ""
        return f"{sign}{abs(value) // 100}.{abs(value) % 100:02d}"
    if column.endswith("_rate"):
        return f"{value / 100:.2f}"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
