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

_REMOTE_PLACES = {"home": "10", "elsewhere": "02"}
"""Place of service of one who takes part from elsewhere (domain.md section 3)."""

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
    units: int
    used: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the payer answers to a request for authorization (HCR01); a grant has a number."""

    decision: str
    number: str
    first_day: str
    last_day: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One record of attendance: when it was made, what it says of the person and of the room."""

    at: datetime
    status: str
    treated_in_room: int


@dataclass(frozen=True, slots=True)
class Reversal:
    """A payment that the payer takes back, and what it allows instead (None: nothing follows)."""

    payer_id: str
    member_id: str
    service_date: str
    on: str
    corrected_allowed_cents: int | None


@dataclass(frozen=True, slots=True)
class Takeback:
    """What the payer keeps from later payments, announced on a payment without cost (PLB)."""

    payer_id: str
    announced_on: str
    taken: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One person on one session's roster, with all that the intake says about them.

    The payer is the one to be billed: a plan or administrator that the payer on file names in its
    place; ``asked`` are the payers to ask on the way to it, ``known_ids`` the person's ids with
    any of them. The rendering clinician is the supervisor of one who may not bill.
    ``recorded_at`` is when attendance was first recorded.
    """

    session: str
    patient: str
    session_id: str
    patient_id: str
    service_date: str
    place_of_service: str
    attendance: str
    recorded_at: datetime
    seen: tuple[Seen, ...]
    signed_at: datetime | None
    withdrawn_at: datetime | None
    released_at: datetime | None
    lines: tuple[tuple[str, int], ...]
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
    authorization_answered: str
    decisions: tuple[Decision, ...]
    asked: tuple[str, ...]
    known_ids: frozenset[str]
    medium: str
    qualified_medicare_beneficiary: bool

    def seen_by(self, moment: datetime) -> Seen | None:
        """The record of attendance that counted at a moment; None before the first."""
        return next((seen for seen in reversed(self.seen) if seen.at <= moment), None)

    @property
    def fee_cents(self) -> int:
        return sum(cents for _, cents in self.lines)

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
    unbalanced: dict[tuple[str, str], int]
    reversals: tuple[Reversal, ...]
    takebacks: tuple[Takeback, ...]


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
            for patient in session["roster"] + _added(session["ref"], events)
        ),
        expected=expected,
        copies={
            (payer["payer_id"], doubled["payment_date"]): doubled["copies"]
            for payer in payers["payers"]
            for doubled in payer["remittance_copies"]
        },
        payer_ids=frozenset(payer["payer_id"] for payer in payers["payers"]),
        unbalanced={
            (payer["payer_id"], off["payment_date"]): off["off_by_cents"]
            for payer in payers["payers"]
            for off in payer.get("unbalanced", [])
        },
        reversals=tuple(
            Reversal(payer_id=payer["payer_id"], **reversal)
            for payer in payers["payers"]
            for reversal in payer.get("reversals", [])
        ),
        takebacks=tuple(
            Takeback(
                payer["payer_id"],
                takeback["announced_on"],
                tuple((part["payment_date"], part["cents"]) for part in takeback["taken"]),
            )
            for payer in payers["payers"]
            for takeback in payer.get("takebacks", [])
        ),
    )


def _added(session: str, events: list[dict[str, Any]]) -> list[str]:
    """Who was put on the roster after it was handed in."""
    return [
        patient
        for event in events
        if event["kind"] == "roster_amended" and event["session"] == session
        for patient in event["add"]
    ]


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
    member = _member(payers, payer["payer_id"], person)
    asked, member_ids = [payer["payer_id"]], {coverage["member_id"]}
    named = member.get("carve_out", {}).get("administrator")
    named = named or member.get("medicare_advantage", {}).get("plan")
    if named:
        asked, member_ids = [*asked, named], set()
        payer, member = _one(practice["payers"], payer_id=named), _member(payers, named, person)
    # An attendance recorded again is a correction: the last word counts.
    recorded = [e for e in events if e["kind"] == "attendance" and e["session"] == ref]
    seen = [_one(e["participants"], patient=patient) for e in recorded]
    remote = {r["patient"]: r for r in session.get("remote", [])}.get(patient)
    remote = seen[-1].get("remote") or remote
    clinician = _one(practice["clinicians"], ref=session["clinician"])
    if clinician.get("supervisor"):
        clinician = _one(practice["clinicians"], ref=clinician["supervisor"])
    about = [e for e in events if (e.get("session"), e.get("patient")) == (ref, patient)]
    signed = [e["at"] for e in about if e["kind"] == "note_signed"]
    withdrawn = [e["at"] for e in about if e["kind"] == "note_withdrawn"]
    released = [e["at"] for e in about if e["kind"] == "hold_released"]
    paid = sum(int(e["cents"]) for e in about if e["kind"] == "patient_payment")
    return RosterRow(
        session=ref,
        patient=patient,
        session_id="s" + opaque_id(identity_key, f"session|{ref}"),
        patient_id="p" + opaque_id(identity_key, f"patient|{patient}"),
        service_date=day,
        place_of_service=(
            _REMOTE_PLACES[remote["place"]] if remote else location["place_of_service"]
        ),
        attendance=seen[-1]["status"],
        recorded_at=datetime.fromisoformat(recorded[0]["at"]),
        seen=tuple(
            Seen(
                datetime.fromisoformat(event["at"]),
                mine["status"],
                sum(p["status"] == "attended" for p in event["participants"]),
            )
            for event, mine in zip(recorded, seen, strict=True)
        ),
        signed_at=datetime.fromisoformat(signed[-1]) if signed else None,
        withdrawn_at=datetime.fromisoformat(withdrawn[-1]) if withdrawn else None,
        released_at=datetime.fromisoformat(released[-1]) if released else None,
        lines=tuple(
            (code, int(f["cents"]))
            for code in ("90853", *_individual_codes(session, patient))
            for f in practice["fees"]
            if f["code"] == code and _in_force(f, day)
        ),
        patient_paid_cents=paid + int(seen[-1]["copay_cents"]),
        last_name=person["last_name"],
        first_name=person["first_name"],
        birth_date=person["birth_date"],
        sex=person["sex"],
        member_ids=frozenset(m["id"] for m in member["member_ids"]) | member_ids,
        payer_id=payer["payer_id"],
        payer_name=payer["name"],
        filing_indicator=payer["filing_indicator"],
        billing_npi=practice["practice"]["npi"],
        rendering_npi=clinician["npi"],
        diagnosis=notes.get(ref, {}).get(patient, {"diagnosis": ""})["diagnosis"],
        authorizations=tuple(_authorizations(practice, events, patient, payer["ref"])),
        authorization_answered=member["authorization"]["answered"],
        decisions=tuple(
            Decision(d["decision"], d.get("number", ""), d.get("from", ""), d.get("to", ""))
            for d in member["authorization"].get("on_request", [])
        ),
        asked=tuple(asked),
        known_ids=frozenset(m["id"] for m in member["member_ids"]) | {coverage["member_id"]},
        medium=remote["medium"] if remote else "",
        qualified_medicare_beneficiary=bool(member.get("qmb")),
    )


def _member(payers: dict[str, Any], payer_id: str, person: dict[str, Any]) -> dict[str, Any]:
    who = {key: person[key] for key in ("first_name", "last_name", "birth_date")}
    return _one(_one(payers["payers"], payer_id=payer_id)["members"], **who)


def _individual_codes(session: dict[str, Any], patient: str) -> list[str]:
    """Individual therapy that goes on the same claim (domain.md section 14, scenarios 4 and 5).

    It is distinct by a note of its own and a time apart from the group's.
    """
    start, end = (datetime.fromisoformat(session[key]) for key in ("starts_at", "ends_at"))
    return [
        service["code"]
        for service in session["other_services"]
        if service["patient"] == patient
        and not service["billed_elsewhere"]
        and service.get("separate_note", False)
        and (
            datetime.fromisoformat(service["ends_at"]) <= start
            or datetime.fromisoformat(service["starts_at"]) >= end
        )
    ]


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
        Authorization(a["number"], a["from"], a["to"], at, int(a["units"]), int(a["used"]))
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
