"""What was put in and what should come out: the sample inputs and the hand-made truth."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

AMOUNTS = (
    "charge_cents",
    "allowed_cents",
    "paid_cents",
    "co_cents",
    "pr_cents",
    "oa_cents",
    "pi_cents",
    "patient_paid_cents",
    "patient_open_cents",
    "payer_open_cents",
    "contractual_cents",
)
"""Columns of expected.csv that hold cents, or nothing where no claim was ever sent."""

COLUMNS = (
    "session",
    "patient",
    "standing",
    "reason",
    "code",
    "modifiers",
    "place_of_service",
    *AMOUNTS,
    "final_stage",
    "accepted_versions",
    "remittances",
    "findings",
    "arithmetic",
)

GROUP_SOFT_LIMIT = 10
"""People treated in one room above which a person must release each claim (domain.md T1)."""


def opaque_id(identity_key: bytes, text: str) -> str:
    """The keyed, unpadded, lower-case base32 id of 16 characters that hides a practice's own."""
    digest = hmac.new(identity_key, text.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()[:16]


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization and since when the practice knew of it (None: from the start)."""

    number: str
    first_day: str
    last_day: str
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One person on one session's roster, with all that the intake says about them."""

    session: str
    patient: str
    session_id: str
    patient_id: str
    service_date: str
    place_of_service: str
    attendance: str
    recorded_at: datetime
    treated_in_room: int
    signed_at: datetime | None
    released_at: datetime | None
    fee_cents: int
    patient_paid_cents: int
    last_name: str
    first_name: str
    birth_date: str
    sex: str
    member_ids: frozenset[str]
    payer_id: str
    payer_name: str
    filing_indicator: str
    billing_npi: str
    rendering_npi: str
    diagnosis: str
    authorizations: tuple[Authorization, ...]

    @property
    def name(self) -> str:
        return f"{self.session}/{self.patient}"


@dataclass(frozen=True, slots=True)
class Intake:
    """The whole sample: roster rows in order, the truth about them, and doubled payments."""

    roster: tuple[RosterRow, ...]
    expected: tuple[dict[str, str], ...]
    copies: dict[tuple[str, str], int]
    payer_ids: frozenset[str]


def read_intake(folder: Path, identity_key: bytes) -> Intake:
    """Read the samples; raises ValueError, KeyError or OSError where they make no sense."""
    practice, sessions, notes, outside, payers = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("practice", "sessions", "notes", "outside", "payers")
    )
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError("expected.csv does not have the columns agreed")
        expected = tuple(dict(row) for row in reader)
    if any(None in row or None in row.values() for row in expected):
        raise ValueError("expected.csv has a row with too few or too many fields")
    events = outside["events"]
    return Intake(
        roster=tuple(
            _row(practice, session, notes, events, payers, patient, identity_key)
            for session in sessions
            for patient in session["roster"]
        ),
        expected=expected,
        copies={
            (payer["payer_id"], doubled["payment_date"]): doubled["copies"]
            for payer in payers["payers"]
            for doubled in payer["remittance_copies"]
        },
        payer_ids=frozenset(payer["payer_id"] for payer in payers["payers"]),
    )


def _row(
    practice: dict[str, Any],
    session: dict[str, Any],
    notes: dict[str, Any],
    events: list[dict[str, Any]],
    payers: dict[str, Any],
    patient: str,
    identity_key: bytes,
) -> RosterRow:
    ref = session["ref"]
    person = _one(practice["patients"], ref=patient)
    location = _one(practice["locations"], ref=session["location"])
    starts_at = datetime.fromisoformat(session["starts_at"])
    day = starts_at.astimezone(ZoneInfo(location["time_zone"])).date().isoformat()
    coverage = next(
        c
        for c in sorted(practice["coverages"], key=lambda c: int(c["priority"]))
        if c["patient"] == patient and _in_force(c, day)
    )
    payer = _one(practice["payers"], ref=coverage["payer"])
    member = _one(
        _one(payers["payers"], payer_id=payer["payer_id"])["members"],
        first_name=person["first_name"],
        last_name=person["last_name"],
        birth_date=person["birth_date"],
    )
    # An attendance recorded again is a correction: the last word counts.
    recorded = [e for e in events if e["kind"] == "attendance" and e["session"] == ref][-1]
    seen = _one(recorded["participants"], patient=patient)
    treated = sum(p["status"] == "attended" for p in recorded["participants"])
    about = [e for e in events if (e.get("session"), e.get("patient")) == (ref, patient)]
    signed = [e["at"] for e in about if e["kind"] == "note_signed"]
    released = [e["at"] for e in about if e["kind"] == "hold_released"]
    paid = sum(int(e["cents"]) for e in about if e["kind"] == "patient_payment")
    return RosterRow(
        session=ref,
        patient=patient,
        session_id="s" + opaque_id(identity_key, f"session|{ref}"),
        patient_id="p" + opaque_id(identity_key, f"patient|{patient}"),
        service_date=day,
        place_of_service=location["place_of_service"],
        attendance=seen["status"],
        recorded_at=datetime.fromisoformat(recorded["at"]),
        treated_in_room=treated,
        signed_at=datetime.fromisoformat(signed[-1]) if signed else None,
        released_at=datetime.fromisoformat(released[-1]) if released else None,
        fee_cents=next(
            int(f["cents"]) for f in practice["fees"] if f["code"] == "90853" and _in_force(f, day)
        ),
        patient_paid_cents=paid + int(seen["copay_cents"]),
        last_name=person["last_name"],
        first_name=person["first_name"],
        birth_date=person["birth_date"],
        sex=person["sex"],
        member_ids=frozenset(m["id"] for m in member["member_ids"]) | {coverage["member_id"]},
        payer_id=payer["payer_id"],
        payer_name=payer["name"],
        filing_indicator=payer["filing_indicator"],
        billing_npi=practice["practice"]["npi"],
        rendering_npi=_one(practice["clinicians"], ref=session["clinician"])["npi"],
        diagnosis=notes[ref][patient]["diagnosis"] if patient in notes[ref] else "",
        authorizations=tuple(_authorizations(practice, events, patient, payer["ref"])),
    )


def _authorizations(
    practice: dict[str, Any], events: list[dict[str, Any]], patient: str, payer: str
) -> list[Authorization]:
    known: list[tuple[dict[str, Any], datetime | None]] = [
        (a, None) for a in practice["authorizations"]
    ]
    known += [
        (e["authorization"], datetime.fromisoformat(e["at"]))
        for e in events
        if e["kind"] == "authorization_recorded"
    ]
    return [
        Authorization(a["number"], a["from"], a["to"], at)
        for a, at in known
        if (a["patient"], a["payer"]) == (patient, payer) and "90853" in a["codes"]
    ]


def _one(things: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    found = [t for t in things if all(t[key] == value for key, value in wanted.items())]
    if len(found) != 1:
        raise ValueError(f"{len(found)} entries with {', '.join(wanted)} where one must be")
    return found[0]


def _in_force(dated: dict[str, Any], day: str) -> bool:
    return str(dated["from"]) <= day <= str(dated["to"] or "9999-12-31")
