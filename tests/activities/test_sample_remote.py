"""The sessions of the sample practice that were not all in one room, or led under supervision:
decided as `groupclaim check` does, against what was worked out by hand in samples/expected.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from activities.composing import claim_parties
from activities.deciding import SessionCheck, Tables, check_sessions
from groupclaim.model.base import parse
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.policy.payer import PolicyBook
from groupclaim.rules.coding import code_claim
from groupclaim.store import practice
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring

SAMPLES = Path(__file__).parents[2] / "samples"
SESSIONS = ("S7", "S8", "S9")
AT = "2026-03-31T09:00:00-06:00"
ASKED_BY_278 = {("S8", "P34")}
"""Held for what the payer answered when it was asked for an authorization: a dry run asks none."""


def load(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


with (SAMPLES / "expected.csv").open() as file:
    ROWS = {
        (row["session"], row["patient"]): row
        for row in csv.DictReader(file)
        if row["session"] in SESSIONS
    }


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/store.db"
    migrate(url)
    database = Database.connect(url, Keyring.generate())
    yield database
    await database.close()


async def test_who_took_part_from_elsewhere_or_under_supervision(database: Database) -> None:
    first: dict[str, Any] = {}
    for event in load("outside.json")["events"]:
        if event["kind"] == "attendance":
            listed = {"session": event["session"], "participants": event["participants"]}
            first.setdefault(event["session"], listed)
    wanted = {
        "practice": load("practice.json"),
        "sessions": [item for item in load("sessions.json") if item["ref"] in SESSIONS],
        "attendance": [first[ref] for ref in SESSIONS],
        "notes": {ref: load("notes.json")[ref] for ref in SESSIONS},
        "coverage": {"P53": {"authorization_required": "N"}},  # as samples/payers.json answers
        "at": AT,
    }
    checked = await check_sessions(
        database,
        Tables.load(),
        parse(SessionCheck, wanted, "check"),
        {},
        datetime.fromisoformat(AT),
    )
    found = {
        (item.session, person.patient): person.decision
        for item in checked
        for person in item.participants
    }
    assert found.keys() == ROWS.keys()
    told, expected = {}, {}
    for key, row in ROWS.items():
        if key in ASKED_BY_278:
            continue
        decision = found[key]
        if row["standing"] != "billed":
            expected[key] = (row["standing"].replace("held", "hold"), row["reason"])
            told[key] = (decision.decision, *decision.reasons)
            continue
        (line,) = decision.lines
        modifiers = tuple(item for item in row["modifiers"].split(";") if item)
        expected[key] = (
            "bill",
            row["code"],
            modifiers,
            row["place_of_service"],
            row["allowed_cents"],
        )
        told[key] = (
            decision.decision,
            line.code,
            line.modifiers,
            line.pos,
            str(line.expected_allowed_cents),
        )
    assert told == expected


async def test_the_supervisor_is_named_where_the_payer_wants_it_so(database: Database) -> None:
    """S7 is led by an LPC-Associate under C1: Medicare pays the supervisor's own service."""
    sessions = [item for item in load("sessions.json") if item["ref"] == "S7"]
    keys = database.keyring
    async with database.transaction() as tx:
        file = parse(PracticeFile, load("practice.json"), "practice")
        await practice.load_practice(tx, file)
        taken = parse(SessionFile, sessions, "sessions").root
        (added,) = await practice.add_sessions(tx, taken, datetime.fromisoformat(AT))
        number = keys.claim_number(
            keys.opaque("practice", file.practice.ref), added.session_id, keys.patient_id("P09")
        )
        facts = await practice.claim_facts(tx, number)
    assert facts.supervisor is not None
    assert facts.supervisor.ref == "C1"
    assert facts.payer is not None
    assert facts.coverage is not None
    policy = PolicyBook.load().policy(facts.payer.policy, facts.service_date)
    coded = code_claim(facts, policy, Tables.load().fees)
    named = claim_parties(facts, facts.payer, facts.coverage, policy, coded.rendering).rendering
    assert (named.npi, facts.clinician.npi) == ("1999900214", "1999900420")
