"""A practice drawn at random from a seed: the sample practice with everything that can go another
way gone another way. Its payers, its patients and its front desk are all in the files written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.activities.house import SAMPLES

_SESSIONS = ("S1", "S2", "S3")
_ABSENT = ("no_show", "excused")
_BATCH_FAULTS = ("lose_answer", "drop_before", "server_error", "accept_then_503")
_MAILBOX_FAULTS = ("duplicate", "out_of_order", "lose_answer", "malformed")
_FIRST, _LAST = date(2026, 2, 4), date(2026, 5, 1)


@dataclass(frozen=True)
class MadePractice:
    """Its files are in ``folder``; ``faults`` is what goes wrong at the clearinghouse, ``deaths``
    the share of moments at which the worker dies."""

    folder: Path
    rosters: dict[str, tuple[str, ...]]
    faults: tuple[dict[str, Any], ...]
    deaths: float


def make_practice(seed: int, folder: Path) -> MadePractice:
    """The same seed gives the same practice."""
    random = Random(seed)
    chosen = sorted(random.sample(_SESSIONS, random.randint(1, len(_SESSIONS))))
    sessions, rosters = [], {}
    for session in _read("sessions"):
        if session["ref"] not in chosen:
            continue
        people = sorted(random.sample(session["roster"], random.randint(2, 5)))
        rosters[session["ref"]] = tuple(people)
        others = [item for item in session["other_services"] if item["patient"] in people]
        sessions.append({**session, "roster": people, "other_services": others})
    sample = _read("outside")
    signed = _read("notes")
    notes: dict[str, dict[str, Any]] = {ref: {} for ref in chosen}
    events = [item for item in sample["events"] if item["kind"] == "authorization_recorded"]
    for session in sessions:
        events += _attendance(random, session, sample["events"])
        for patient in session["roster"]:
            note = signed[session["ref"]].get(patient)
            if note is not None and random.random() > 0.1:
                notes[session["ref"]][patient] = note
                late = timedelta(days=random.randint(1, 10) if random.random() < 0.2 else 0)
                at = (datetime.fromisoformat(note["signed_at"]) + late).isoformat()
                note["signed_at"] = at
                events.append(_happened(at, "note_signed", session, patient=patient))
            if random.random() < 0.3:
                at = _later(random, session["ends_at"], 30, 70)
                cents = random.randint(1, 2500)
                events.append(
                    _happened(at, "patient_payment", session, patient=patient, cents=cents)
                )
    practice = _read("practice")
    granted = [item["authorization"] for item in events if item["kind"] == "authorization_recorded"]
    for authorization in (*practice["authorizations"], *granted):
        authorization["units"] = authorization["used"] + random.randint(1, 3)
    events.sort(key=lambda item: datetime.fromisoformat(item["at"]).timestamp())
    _write(folder, "practice", practice)
    _write(folder, "sessions", sessions)
    _write(folder, "notes", notes)
    _write(folder, "outside", {**sample, "events": events})
    _write(folder, "payers", _payers(random, sessions))
    header = (SAMPLES / "expected.csv").read_text().splitlines()[0]
    (folder / "expected.csv").write_text(header + "\n")
    return MadePractice(
        folder, rosters, tuple(_faults(random)), random.choice((0.0, 0.0, 0.02, 0.1))
    )


def _attendance(
    random: Random, session: dict[str, Any], events: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Who came, and what is found out about it weeks later."""
    (first,) = [
        item
        for item in events
        if item["kind"] == "attendance" and item["session"] == session["ref"]
    ]
    here = [item for item in first["participants"] if item["patient"] in session["roster"]]
    seen = [_absent(random, item) if random.random() < 0.1 else item for item in here]
    yield {**first, "participants": seen}
    if random.random() < 0.4:
        attended = [item["patient"] for item in seen if item["status"] == "attended"]
        # One was not there after all; or, now and then, all but one.
        wrong = attended[1:] if random.random() < 0.3 else attended[:1]
        corrected = [_absent(random, item) if item["patient"] in wrong else item for item in seen]
        at = _later(random, first["at"], 1, 45)
        yield {**first, "at": at, "participants": corrected}


def _absent(random: Random, item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "status": random.choice(_ABSENT), "minutes": 0, "copay_cents": 0}


def _payers(random: Random, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """What payers pay, when, and what they think better of."""
    world: dict[str, Any] = _read("payers")
    world["seed"] = random.randint(1, 10**9)
    days = [session["starts_at"][:10] for session in sessions]
    for payer in world["payers"]:
        payer["acknowledges_after_hours"] = random.choice((1, 20, 47, 100))
        payer["pays_after_days"] = random.randint(7, 35)
        for rate in payer["rates"]:
            if random.random() < 0.2:
                rate["cents"] = rate["cents"] * random.choice((50, 80, 120)) // 100
        payer["remittance_copies"] = [
            {"payment_date": day, "copies": 2} for day in _some_days(random, 8)
        ]
        payer["unbalanced"] = [
            {"payment_date": day, "off_by_cents": random.choice((-100, -1, 1, 250))}
            for day in _some_days(random, 4)
        ]
        payer["reversals"] = []
        for member in payer["members"]:
            _member(random, member)
            for day in days:
                if random.random() < 0.15:
                    after = timedelta(days=payer["pays_after_days"] + random.randint(5, 30))
                    payer["reversals"].append(
                        {
                            "member_id": member["member_ids"][0]["id"],
                            "service_date": day,
                            "on": (date.fromisoformat(day) + after).isoformat(),
                            "corrected_allowed_cents": random.choice((None, 1500, 2500, 3000)),
                        }
                    )
    return world


def _member(random: Random, member: dict[str, Any]) -> None:
    if random.random() < 0.2:
        member["deductible_remaining_cents"] = random.randint(1, 6000)
    if random.random() < 0.2:
        member["copay_cents"], member["coinsurance_percent"] = 0, random.choice((0, 10, 20, 50))
    if random.random() < 0.1:
        member["coverage"][-1]["to"] = "2026-02-04"
    if random.random() < 0.1:
        member["authorization"]["required"] = True


def _faults(random: Random) -> Iterator[dict[str, Any]]:
    for channel, kinds in (("batch", _BATCH_FAULTS), ("mailbox", _MAILBOX_FAULTS)):
        for _ in range(random.randint(0, 2)):
            yield {"on": channel, "kind": random.choice(kinds), "times": random.randint(1, 2)}


def _some_days(random: Random, most: int) -> list[str]:
    span = (_LAST - _FIRST).days
    chosen = random.sample(range(span), random.randint(0, most))
    return sorted((_FIRST + timedelta(days=day)).isoformat() for day in chosen)


def _later(random: Random, at: str, least: int, most: int) -> str:
    after = timedelta(days=random.randint(least, most), minutes=random.randint(0, 600))
    return (datetime.fromisoformat(at) + after).isoformat()


def _happened(at: str, kind: str, session: dict[str, Any], **what: Any) -> dict[str, Any]:
    return {"at": at, "kind": kind, "session": session["ref"], **what}


def _read(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def _write(folder: Path, name: str, content: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content))
