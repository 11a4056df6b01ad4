"""What became of the sessions and the money, read from the store's views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Row, text
from temporalio.client import Client

from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.lifecycle.why import why
from groupclaim.model.money import Cents
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.payer import NoPolicy, PolicyBook
from groupclaim.rules.deadlines import Deadline, Deadlines
from groupclaim.store import ledger, practice, waiting
from groupclaim.store.claims import (
    load_state,
    read_findings,
    read_version,
    rules_of_version,
)
from groupclaim.store.database import Database, Reading
from groupclaim.store.practice import claim_facts
from workflows import claim

_CLAIMS = text(
    """SELECT s.session_id, s.claim_number, s.standing, s.reason, s.stage, c.payer_key,
       g.service_date, m.charge_cents, m.allowed_cents, m.paid_cents, m.contractual_cents,
       m.patient_cents, m.patient_open_cents, m.payer_open_cents,
       (SELECT COALESCE(SUM(CASE WHEN t.debit = 'other_adjustment' THEN t.cents
                                 WHEN t.credit = 'other_adjustment' THEN -t.cents ELSE 0 END), 0)
          FROM transfer t WHERE t.claim_number = s.claim_number) AS other_cents
  FROM participant_standing s
  JOIN claim c ON c.claim_number = s.claim_number
  JOIN group_session g ON g.id = s.session_id
  JOIN claim_money m ON m.claim_number = s.claim_number
  ORDER BY g.service_date, s.session_id, s.claim_number"""
)
RESTING = (
    "closed", "not_billable", "held", "patient_balance", "underpayment_review", "accepted"
)  # fmt: skip
"""Stages in which nothing more happens by itself but reminders."""

_MONEY = ("billed", "allowed", "paid", "contractual", "patient", "other", "open", "held")


def open_money(items: ledger.OpenItems) -> dict[str, list[dict[str, Any]]]:
    """Money that waits for a person, by kind; amounts in cents."""
    return {
        "suspended_payments": [
            {
                "remittance": item.remittance_id,
                "payer": item.payer_id,
                "trace": item.trace,
                "date": item.payment_date,
                "paid_cents": item.paid,
                "difference_cents": item.difference,
                "reason": item.reason,
            }
            for item in items.suspended
        ],
        "unapplied_cash": [
            {
                "payer": item.payer_id,
                "claim": item.claim,
                "unapplied_cents": item.cents,
                "remittances": ", ".join(str(number) for number in item.remittances),
                "reasons": "; ".join(item.reasons),
            }
            for item in items.unapplied
        ],
        "patient_credits": [
            {
                "claim_number": item.claim_number,
                "stage": item.stage,
                "hold": item.hold,
                "credit_cents": item.cents,
            }
            for item in items.patient_credits
        ],
    }


async def settled(database: Database) -> bool:
    """True when every claim has ended, stands in a hold or balance that a person must resolve, or
    is the payer's to decide."""
    async with database.reading() as reading:
        claims = (await reading.execute(_CLAIMS)).all()
    return all(row.stage in RESTING for row in claims)


async def headline(database: Database, moment: datetime) -> str:
    """One line of progress: the day, and how many claims stand where."""
    async with database.reading() as reading:
        claims = (await reading.execute(_CLAIMS)).all()
    counts: dict[str, int] = {}
    for row in claims:
        counts[row.stage] = counts.get(row.stage, 0) + 1
    told = ", ".join(f"{count} {stage.replace('_', ' ')}" for stage, count in counts.items())
    return f"{moment:%a %Y-%m-%d}  {told}"


async def outcome(database: Database, client: Client) -> dict[str, Any]:
    """The run in figures, as ``groupclaim demo --json`` prints it; amounts in cents."""
    async with database.reading() as reading:
        claims = (await reading.execute(_CLAIMS)).all()
        payers = {
            key: (await practice.read_payer(reading, key)).name
            for key in sorted({row.payer_key for row in claims} - {practice.NO_PAYER})
        }
        sessions = {
            row.session_id: (await practice.claim_facts(reading, row.claim_number)).session.ref
            for row in claims
        }
        held_back = {
            row.claim_number: await practice.usual_charge(reading, row.claim_number)
            for row in claims
            if row.standing == "held"
        }
        versions = await reading.scalar(
            text("SELECT COUNT(*) FROM batch_claim b JOIN batch s ON s.id = b.batch_id"
                 " WHERE s.state = 'accepted'")
        )  # fmt: skip
        repeated = await reading.scalar(
            text("SELECT COUNT(*) FROM remittance WHERE state = 'duplicate'")
        )
    lengths = [await _history_length(client, row.claim_number) for row in claims]
    standings = [row.standing for row in claims]
    return {
        "sessions": len({row.session_id for row in claims}),
        "claims": {
            "roster": len(claims),
            **{
                standing: standings.count(standing)
                for standing in ("billed", "held", "not_billable", "in_progress")
            },
            "versions_sent": versions,
        },
        "repeated_remittances": repeated,
        "money": _money(claims, held_back),
        "by_session": _grouped(
            claims, [f"{row.service_date} {sessions[row.session_id]}" for row in claims], held_back
        ),
        "by_payer": _grouped(
            claims, [payers.get(row.payer_key, "no coverage") for row in claims], held_back
        ),
        "reasons": _reasons(claims),
        "history_events_per_claim": {"p50": int(median(lengths)), "max": max(lengths)},
    }


def _money(claims: Sequence[Row[Any]], held_back: Mapping[str, int]) -> dict[str, int]:
    """billed = paid + contractual + patient + other (nobody's) + open (with the payer); held was
    never billed."""
    return {
        "billed": sum(row.charge_cents for row in claims),
        "allowed": sum(row.allowed_cents or 0 for row in claims),
        "paid": sum(row.paid_cents for row in claims),
        "contractual": sum(row.contractual_cents for row in claims),
        "patient": sum(row.patient_cents for row in claims),
        "other": sum(row.other_cents for row in claims),
        "open": sum(row.payer_open_cents for row in claims),
        "held": sum(held_back.get(row.claim_number, 0) for row in claims),
    }


def _grouped(
    claims: Sequence[Row[Any]], names: Sequence[str], held_back: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    groups: dict[str, list[Row[Any]]] = {}
    for name, row in zip(names, claims, strict=True):
        groups.setdefault(name, []).append(row)
    return {
        name: {"claims": len(rows), **_money(rows, held_back)}
        for name, rows in sorted(groups.items())
    }


def _reasons(claims: Sequence[Row[Any]]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for row in claims:
        name = f"{row.stage}: {row.reason}" if row.reason else row.stage
        reasons[name] = reasons.get(name, 0) + 1
    return dict(sorted(reasons.items()))


async def _history_length(client: Client, claim_number: str) -> int:
    described = await client.get_workflow_handle(claim.workflow_id(claim_number)).describe()
    return described.history_length


def show(outcome: dict[str, Any], console: Console) -> None:
    """The outcome as tables for a person; the same in calm and in chaos. Amounts in dollars."""
    for title, groups in (
        ("By session", outcome["by_session"]),
        ("By payer", {**outcome["by_payer"], "all": {
            "claims": outcome["claims"]["roster"], **outcome["money"]}}),
    ):  # fmt: skip
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for column in ("claims", *_MONEY):
            table.add_column(column, justify="right")
        for name, figures in groups.items():
            table.add_row(
                name,
                str(figures["claims"]),
                *(str(Cents(figures[column])) for column in _MONEY),
            )
        console.print(table)
    table = Table(title="Where the claims stand", title_justify="left")
    table.add_column("stage and reason")
    table.add_column("claims", justify="right")
    for name, count in outcome["reasons"].items():
        table.add_row(name, str(count))
    console.print(table)
    table = Table(title="The judge", title_justify="left")
    table.add_column("invariant")
    table.add_column("holds")
    for name, holds in outcome["invariants"].items():
        table.add_row(name, "yes" if holds else Text("NO", style="bold red"))
    console.print(table)


# --- one session, one claim, for people who look into them


async def participants(database: Database, session: str) -> list[dict[str, Any]]:
    """Each roster row of a session, named by the practice's id of it or by ours."""
    async with database.reading() as reading:
        for session_id in (session, database.keyring.session_id(session)):
            rows = await _dicts(
                reading,
                """SELECT s.patient_id, s.claim_number, s.attendance, s.standing, s.reason, s.stage,
                          m.charge_cents, m.paid_cents, m.patient_open_cents, m.payer_open_cents
                     FROM participant_standing s JOIN claim_money m USING (claim_number)
                    WHERE s.session_id = :session ORDER BY s.claim_number""",
                session=session_id,
            )
            if rows:
                return rows
    raise practice.UnknownRecord("a session of that id")


async def claims(database: Database, *, stage: str, hold: str) -> list[dict[str, Any]]:
    """All claims, or those at one stage or under one hold."""
    async with database.reading() as reading:
        return await _dicts(
            reading,
            """SELECT c.claim_number, c.service_date, c.stage, c.hold_code, c.reason, c.version,
                      c.due_at, m.charge_cents, m.paid_cents, m.patient_open_cents,
                      m.payer_open_cents
                 FROM claim c JOIN claim_money m USING (claim_number)
                WHERE (:stage = '' OR c.stage = :stage) AND (:hold = '' OR c.hold_code = :hold)
                ORDER BY c.service_date, c.claim_number""",
            stage=stage,
            hold=hold,
        )


async def claim_page(database: Database, number: str) -> dict[str, Any]:
    """Everything about one claim that is no personal data."""
    async with database.reading() as reading:
        state = await load_state(reading, number)
        return {
            "claim": state.model_dump(mode="json", exclude={"seen"}),
            "versions": [
                {**row, "rules": await rules_of_version(reading, number, row["version"])}
                for row in await _dicts(
                    reading,
                    """SELECT v.version, v.control_number, v.frequency, v.charge_cents,
                              v.created_at, b.interchange_control
                         FROM claim_version v
                         LEFT JOIN batch_claim c
                                ON c.claim_number = v.claim_number AND c.version = v.version
                         LEFT JOIN batch b ON b.id = c.batch_id
                        WHERE v.claim_number = :claim ORDER BY v.version""",
                    claim=number,
                )
            ],
            "findings": await _dicts(
                reading,
                """SELECT step, rule, severity, sentence, fix, hold, source_policy, source_version,
                          source_verified
                     FROM finding WHERE claim_number = :claim ORDER BY id""",
                claim=number,
            ),
            "events": await _dicts(
                reading,
                """SELECT at, kind, actor, detail FROM claim_event
                    WHERE claim_number = :claim ORDER BY id""",
                claim=number,
            ),
            "money": await _dicts(
                reading,
                """SELECT posted_at, kind, debit, credit, cents, remittance_id FROM transfer
                    WHERE claim_number = :claim ORDER BY id""",
                claim=number,
            ),
        }


async def why_claim(database: Database, number: str) -> dict[str, Any]:
    """The answers to why a claim is where it is, and what the rules found."""
    async with database.reading() as reading:
        state = await load_state(reading, number)
        blocking = [
            finding.sentence
            for finding in await read_findings(reading, number)
            if state.hold and finding.hold == state.hold.code
        ]
        law = await _prompt_pay(reading, state)
        answers = why(state, await waiting.suspended(reading, number)).model_dump(mode="json")
    if law is not None:
        answers["prompt_pay"] = f"{law.at:%Y-%m-%d} ({law.working})"
    return {**answers, "found": "; ".join(blocking)} if blocking else answers


async def _prompt_pay(reading: Reading, state: ClaimState) -> Deadline | None:
    """By when the law makes the payer decide a claim that it has taken; None where none does."""
    if state.stage is not Stage.ACCEPTED or state.since is None or not state.version:
        return None
    payer = (await read_version(reading, state.claim_number, state.version)).parties.payer
    facts = await claim_facts(reading, state.claim_number)
    try:
        policy = PolicyBook.load().policy(payer.policy, facts.service_date)
    except NoPolicy:
        return None
    zone = facts.practice.time_zone
    return Deadlines(policy, BusinessCalendar(), zone).prompt_pay(state.since)


async def _dicts(reading: Reading, query: str, **given: Any) -> list[dict[str, Any]]:
    result = await reading.execute(text(query), given)
    return [dict(row._mapping) for row in result]
