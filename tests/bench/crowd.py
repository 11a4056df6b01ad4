"""A practice of any size, whose every claim is paid at first pass: rooms of eight, two payers.

Made anew for the day it is run on: the sessions ended two hours before, all notes are signed, and
no two notes are alike. All people in it are invented.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from groupclaim.model.base import parse
from groupclaim.model.identity import valid_npi
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.session import AttendanceList

A_ROOM = 8
ZONE = "America/Chicago"
_PAYERS = (("texas-medicaid", "SIMTXM", "texas-medicaid", "MC", 2520),
           ("sample-mutual", "SIMSMU", "commercial", "CI", 4250))  # fmt: skip
"""Of each: reference, id on the wire, policy, filing indicator, what it allows in cents."""

ACKNOWLEDGED_AFTER_HOURS, PAID_AFTER_DAYS = 1, 1


@dataclass(frozen=True)
class Crowd:
    """Everything that goes in: the practice, its sessions, who came; notes and payers as files."""

    practice: PracticeFile
    sessions: SessionFile
    attendance: tuple[AttendanceList, ...]
    notes: Path
    payers: Path

    @property
    def claims(self) -> int:
        return sum(len(session.roster) for session in self.sessions.root)


def crowd(claims: int, folder: Path, now: datetime, first: int = 0) -> Crowd:
    """``claims`` rounded up to whole rooms, numbered from ``first``; files go into ``folder``."""
    rooms = range(first, first + -(-claims // A_ROOM))
    people = [f"P{room}-{seat}" for room in rooms for seat in range(A_ROOM)]
    starts_at, ends_at = now - timedelta(hours=3), now - timedelta(hours=2)
    sessions = [_session(room, starts_at, ends_at) for room in rooms]
    notes = folder / f"notes{first}.json"
    notes.write_text(json.dumps({f"S{room}": _notes(room, starts_at, ends_at) for room in rooms}))
    payers = folder / f"payers{first}.json"
    payers.write_text(json.dumps({"seed": 1, "payers": _payers(rooms, people)}))
    return Crowd(
        parse(PracticeFile, _practice(rooms, people, now), "practice"),
        parse(SessionFile, sessions, "sessions"),
        tuple(
            AttendanceList.model_validate(
                {
                    "session": f"S{room}",
                    "participants": [
                        {"patient": f"P{room}-{seat}", "status": "attended", "minutes": 60}
                        for seat in range(A_ROOM)
                    ],
                }
            )
            for room in rooms
        ),
        notes,
        payers,
    )


def _session(room: int, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "ref": f"S{room}",
        "location": "austin",
        "clinician": f"C{room}",
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "mode": "in_person",
        "topic": _TOPIC,
        "roster": [f"P{room}-{seat}" for seat in range(A_ROOM)],
    }


_TOPIC = "Managing low mood through planned activity"


def _notes(room: int, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {f"P{room}-{seat}": _note(room, seat, starts_at, ends_at) for seat in range(A_ROOM)}


def _note(room: int, seat: int, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    random = Random(f"{room}|{seat}")

    def words(count: int) -> str:
        made = ("".join(random.choices("abcdefghilmnoprstuvy", k=random.randint(4, 9)))
                for _ in range(count))  # fmt: skip
        return " ".join(made).capitalize() + "."

    return {
        "clinician": f"C{room}",
        "start_time": starts_at.isoformat(),
        "stop_time": ends_at.isoformat(),
        "attended": True,
        "group_size": A_ROOM,
        "topic": _TOPIC,
        "intervention": "Behavioral activation with a written weekly activity plan.",
        "diagnosis": "F331",
        "participation": words(18),
        "progress": words(18),
        "goal": "G1",
        "necessity": words(18),
        "credential": "PsyD",
        "signed_by": f"C{room}",
        "signed_at": (ends_at + timedelta(minutes=30 + seat)).isoformat(),
        "location_or_mode": "in_person",
    }


def _practice(rooms: range, people: list[str], now: datetime) -> dict[str, Any]:
    year = now.astimezone(UTC).year
    valid = {"from": f"{year - 1}-01-01", "to": None}
    planned = now - timedelta(days=30)
    address = {"line": "100 Placeholder Way", "city": "Austin", "state": "TX", "zip": "787010001"}
    return {
        "practice": {
            "ref": "practice", "name": "Makebelieve Group Therapy Associates",
            "npi": "1999900107", "tax_id": "009990001", "taxonomy": "251S00000X",
            "time_zone": ZONE, "address": address,
            "contact": {"name": "Billing Desk", "phone": "5125550142"},
        },
        "locations": [
            {"ref": "austin", "name": "Makebelieve Austin", "address": address,
             "place_of_service": "11", "medicare_locality": "TX-31", "time_zone": ZONE},
        ],
        "clinicians": [
            {"ref": f"C{room}", "first_name": "Thespia", "last_name": f"Concocted{_letters(room)}",
             "npi": _npi(room), "taxonomy": "103TC0700X",
             "licences": [{"kind": "psychologist", "state": "TX", "number": f"TX-PSY-{room}",
                           "valid_from": "2019-06-01", "valid_to": f"{year + 2}-05-31"}]}
            for room in rooms
        ],
        "connections": [
            {"ref": "clearinghouse", "sender_id": "MAKEBELIEVE01", "receiver_id": "SIMCLEAR01",
             "cutoff_local": "17:00", "time_zone": ZONE},
        ],
        "payers": [
            {"ref": ref, "name": f"Simulated {ref}", "payer_id": payer_id, "policy": policy,
             "filing_indicator": indicator, "connection": "clearinghouse"}
            for ref, payer_id, policy, indicator, _ in _PAYERS
        ],
        "fees": [{"code": "90853", "cents": 6000, **valid}],
        "contracts": [
            {"payer": ref, **valid, "method": "fee_schedule",
             "rates": [{"code": "90853", "licence": "psychologist", "cents": cents}]}
            for ref, _, _, _, cents in _PAYERS
        ],
        "patients": [
            {"ref": ref, "first_name": f"Testa{_letters(place)}",
             "last_name": f"Invented{_letters(place)}", "birth_date": "1980-04-12", "sex": "F",
             "address": {**address, "line": f"{place + 1} Nowhere Lane"}}
            for place, ref in enumerate(people)
        ],
        "coverages": [
            {"patient": ref, "payer": _PAYERS[place % 2][0], "priority": 1,
             "member_id": _member(place, ref), "group_number": None, "relationship": "self",
             **valid}
            for place, ref in enumerate(people)
        ],
        "treatment_plans": [
            {"patient": ref, "ref": f"TP-{ref}", "diagnoses": ["F331"], "goals": ["G1", "G2"],
             "modality": "group", "frequency": "weekly", "minutes": 60,
             "valid_from": planned.date().isoformat(),
             "valid_to": (planned + timedelta(days=89)).date().isoformat(),
             "signed_at": planned.isoformat()}
            for ref in people
        ],
    }  # fmt: skip


def _payers(rooms: range, people: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "payer_id": payer_id,
            "name": f"Simulated {ref}",
            "filing_indicator": indicator,
            "acknowledges_after_hours": ACKNOWLEDGED_AFTER_HOURS,
            "pays_after_days": PAID_AFTER_DAYS,
            "members": [
                {"member_ids": [{"id": _member(place, who), "from": "2020-01-01", "to": None}],
                 "first_name": f"Testa{_letters(place)}",
                 "last_name": f"Invented{_letters(place)}", "birth_date": "1980-04-12", "sex": "F",
                 "coverage": [{"from": "2020-01-01", "to": None}], "copay_cents": 0,
                 "coinsurance_percent": 0, "deductible_remaining_cents": 0,
                 "authorization": {"answered": "N", "required": False}}
                for place, who in enumerate(people) if place % 2 == turn
            ],
            "authorizations": [],
            "rates": [{"code": "90853", "npi": _npi(room), "cents": cents, "from": "2020-01-01",
                       "to": None} for room in rooms],
            "sequestration_basis_points": 0,
            "remittance_copies": [],
        }
        for turn, (ref, payer_id, _, indicator, cents) in enumerate(_PAYERS)
    ]  # fmt: skip


def _member(place: int, ref: str) -> str:
    room, _, seat = ref.removeprefix("P").partition("-")
    return f"{'TXM' if place % 2 == 0 else 'SMU'}{int(room):06d}{seat}"


def _letters(number: int) -> str:
    """A number in letters, for names."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _npi(room: int) -> str:
    """A number that nobody has: the check digit makes one of ten right."""
    return next(npi for digit in range(10) if valid_npi(npi := f"19{room:07d}{digit}"))
