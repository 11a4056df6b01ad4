"""A practice drawn at random from a seed: patients of the sample practice who come to weekly groups
for as long as is asked, and payers that deny, delay and take back as they please."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

_SAMPLES = Path(__file__).parents[2] / "samples"
_ZONE = ZoneInfo("America/Chicago")
_FIRST_MONDAY = date(2026, 1, 5)

_PER_GROUP = 10
_CLINICIANS = ("C1", "C2", "C4", "C1")
"""Who leads the group of Monday, of Tuesday, and so on."""
_CREDENTIALS = {"C1": "PsyD", "C2": "LCSW", "C4": "MD"}

_UNDECIDABLE = frozenset({"P19", "P26", "P35", "P36", "P37"})
"""Patients whose sample is about a coverage that nobody can mend, or that is another's to bill: a
claim of theirs each week would wait for the same person each week."""

_CARC = ("4", "5", "16", "22", "29", "50", "96", "97", "119", "151", "170", "226", "252", "B7")
_FAULTS = (
    ("batch", ("lose_answer", "drop_before", "server_error", "accept_then_503")),
    ("mailbox", ("duplicate", "out_of_order", "lose_answer")),
    ("eligibility", ("lose_answer", "server_error", "drop_before")),
    ("status", ("lose_answer", "server_error")),
    ("authorization", ("lose_answer", "server_error")),
)
_WORDS = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class MadeYear:
    """Its files are in ``folder``. ``weeks`` names the sessions of each week, ``events`` is what
    the practice's people do by themselves, in order of time; ``faults`` what goes wrong at the
    clearinghouse from which moment on. ``authorizations`` are those that a payer gives by telephone
    to whoever asks for them, by patient; ``contracts`` follow those that end within the year, for
    whoever asks the payers for them."""

    folder: Path
    starts_at: datetime
    weeks: tuple[tuple[str, ...], ...]
    events: tuple[dict[str, Any], ...]
    faults: tuple[tuple[datetime, dict[str, Any]], ...]
    authorizations: dict[str, dict[str, Any]]
    contracts: list[dict[str, Any]]


def make_year(seed: int, folder: Path, *, weeks: int) -> MadeYear:
    """The same seed gives the same practice: 40 patients, four groups a week."""
    random = Random(f"year {seed}")
    practice, payers = _read("practice"), _read("payers")
    last = _FIRST_MONDAY + timedelta(weeks=weeks)
    groups = _groups(random, practice, payers)
    patients = {patient for group in groups for patient in group}
    _keep(practice, payers, patients)
    practice["treatment_plans"] = list(_plans(practice["treatment_plans"], last))
    sessions = list(_sessions(groups, weeks))
    notes, events = _attended(random, sessions, practice)
    authorizations = _authorizations(practice, payers, last)
    _payers(random, payers, sessions, practice, last)
    for name, content in (
        ("practice", practice),
        ("sessions", sessions),
        ("notes", notes),
        ("payers", payers),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content))
    header = (_SAMPLES / "expected.csv").read_text().splitlines()[0]
    (folder / "expected.csv").write_text(header + "\n")
    starts_at = datetime.combine(_FIRST_MONDAY - timedelta(days=3), time(8), _ZONE)
    events.sort(key=lambda item: datetime.fromisoformat(item["at"]))
    return MadeYear(
        folder=folder,
        starts_at=starts_at,
        weeks=tuple(
            tuple(session["ref"] for session in sessions[4 * week : 4 * week + 4])
            for week in range(weeks)
        ),
        events=tuple(events),
        faults=tuple(_faults(random, last)),
        authorizations=authorizations,
        contracts=list(_renewed(practice["contracts"], last)),
    )


def _groups(
    random: Random, practice: dict[str, Any], payers: dict[str, Any]
) -> tuple[tuple[str, ...], ...]:
    """Who comes to which group: each payer pays its clinician."""
    npi = {clinician["ref"]: clinician["npi"] for clinician in practice["clinicians"]}
    rated = {
        payer["payer_id"]: {rate["npi"] for rate in payer["rates"] if rate["code"] == "90853"}
        for payer in payers["payers"]
    }
    on_wire = {payer["ref"]: payer["payer_id"] for payer in practice["payers"]}
    pays = {item["patient"]: rated[on_wire[item["payer"]]] for item in practice["coverages"]}
    free = sorted(pays.keys() - _UNDECIDABLE)
    groups = []
    for clinician in _CLINICIANS:
        able = [patient for patient in free if npi[clinician] in pays[patient]]
        chosen = tuple(sorted(random.sample(able, _PER_GROUP)))
        free = [patient for patient in free if patient not in chosen]
        groups.append(chosen)
    return tuple(groups)


def _keep(practice: dict[str, Any], payers: dict[str, Any], patients: set[str]) -> None:
    for name in ("coverages", "treatment_plans", "authorizations"):
        practice[name] = [item for item in practice[name] if item["patient"] in patients]
    practice["patients"] = [item for item in practice["patients"] if item["ref"] in patients]
    for payer in payers["payers"]:
        for name in ("remittance_copies", "reversals", "unbalanced", "takebacks"):
            payer[name] = []


def _plans(plans: list[dict[str, Any]], last: date) -> Iterator[dict[str, Any]]:
    """A plan each 90 days: that of the sample renewed."""
    for plan in plans:
        day, number = _FIRST_MONDAY, 1
        while day <= last:
            signed = datetime.combine(day, time(7), _ZONE).isoformat()
            until = (day + timedelta(days=89)).isoformat()
            days = {"valid_from": day.isoformat(), "valid_to": until, "signed_at": signed}
            yield {**plan, "ref": f"{plan['ref']}-{number}", "modality": "group", **days}
            day, number = day + timedelta(days=90), number + 1


def _renewed(contracts: list[dict[str, Any]], last: date) -> Iterator[dict[str, Any]]:
    """The same again, each from the day after its last one on."""
    for contract in contracts:
        if contract["to"] is not None and (ends := date.fromisoformat(contract["to"])) < last:
            begins = ends + timedelta(days=1)
            yield {**contract, "from": begins.isoformat(), "to": None}


def _sessions(groups: tuple[tuple[str, ...], ...], weeks: int) -> Iterator[dict[str, Any]]:
    for week in range(weeks):
        for place, group in enumerate(groups):
            day = _FIRST_MONDAY + timedelta(weeks=week, days=place)
            starts = datetime.combine(day, time(10), _ZONE)
            yield {
                "ref": f"W{week + 1:02}G{place + 1}",
                "location": "austin",
                "clinician": _CLINICIANS[place],
                "starts_at": starts.isoformat(),
                "ends_at": (starts + timedelta(hours=1)).isoformat(),
                "mode": "in_person",
                "topic": f"Week {week + 1}: what was planned and what came of it",
                "roster": list(group),
                "other_services": [],
            }


def _attended(
    random: Random, sessions: list[dict[str, Any]], practice: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Who came, what was written about it and when it was signed; one in ten weeks late."""
    words = sorted(
        {
            word
            for ref, notes in _read("notes").items()
            if ref not in ("S7", "S8")
            for note in notes.values()
            for field in ("participation", "progress", "necessity")
            for word in _WORDS.findall(note[field].lower())
        }
    )
    diagnosis = {plan["patient"]: plan["diagnoses"][0] for plan in practice["treatment_plans"]}
    all_notes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    for session in sessions:
        ends = datetime.fromisoformat(session["ends_at"])
        here = [patient for patient in session["roster"] if random.random() > 0.06]
        if len(here) < 2:
            here = session["roster"]
        at = ends + timedelta(minutes=random.randint(5, 400))
        participants = [
            {
                "patient": patient,
                "status": "attended" if patient in here else random.choice(("no_show", "excused")),
                "minutes": 60 if patient in here else 0,
                "copay_cents": random.choice((0, 0, 0, 1000, 1500)) if patient in here else 0,
            }
            for patient in session["roster"]
        ]
        about = {"session": session["ref"]}
        events.append(
            {"at": at.isoformat(), "kind": "attendance", **about, "participants": participants}
        )
        notes = all_notes[session["ref"]] = {}
        # A clinician signs what was written in one sitting; some notes are left for another day.
        sitting = at + timedelta(minutes=random.randint(10, 600))
        for patient in here:
            late = timedelta(days=random.randint(1, 10) if random.random() < 0.1 else 0)
            signed = (sitting + late).isoformat()
            notes[patient] = {
                "clinician": session["clinician"],
                "start_time": session["starts_at"],
                "stop_time": session["ends_at"],
                "attended": True,
                "group_size": len(here),
                "topic": session["topic"],
                "intervention": "Behavioral activation with a written weekly activity plan.",
                "diagnosis": diagnosis[patient],
                "participation": _sentence(random, words),
                "progress": _sentence(random, words),
                "goal": "G1",
                "necessity": _sentence(random, words),
                "credential": _CREDENTIALS[session["clinician"]],
                "signed_by": session["clinician"],
                "signed_at": signed,
                "location_or_mode": "in_person",
            }
            events.append({"at": signed, "kind": "note_signed", **about, "patient": patient})
    return all_notes, events


def _sentence(random: Random, words: list[str]) -> str:
    return " ".join(random.choice(words) for _ in range(random.randint(14, 22))).capitalize() + "."


def _authorizations(
    practice: dict[str, Any], payers: dict[str, Any], last: date
) -> dict[str, dict[str, Any]]:
    """What the payer gives for each member for whom it wants one; on its file from the start."""
    on_wire = {payer["ref"]: payer["payer_id"] for payer in practice["payers"]}
    people = {item["ref"]: item for item in practice["patients"]}
    given: dict[str, dict[str, Any]] = {}
    for coverage in practice["coverages"]:
        (payer,) = (p for p in payers["payers"] if p["payer_id"] == on_wire[coverage["payer"]])
        person = people[coverage["patient"]]
        name = (person["last_name"], person["first_name"])
        (member,) = (m for m in payer["members"] if (m["last_name"], m["first_name"]) == name)
        if not member["authorization"]["required"]:
            continue
        number = f"YEAR{coverage['patient']}"
        days = {"from": _FIRST_MONDAY.isoformat(), "to": (last + timedelta(days=30)).isoformat()}
        payer["authorizations"].append(
            {"number": number, "member_id": member["member_ids"][0]["id"], "codes": ["90853"]}
            | days
            | {"units": 60}
        )
        given[coverage["patient"]] = {
            "patient": coverage["patient"],
            "payer": coverage["payer"],
            "number": number,
            "codes": ["90853"],
            "clinician": None,
            "units": 60,
            "used": 0,
        } | days
    return given


def _payers(
    random: Random,
    world: dict[str, Any],
    sessions: list[dict[str, Any]],
    practice: dict[str, Any],
    last: date,
) -> None:
    """What payers pay and when, and what they deny, delay and think better of."""
    world["seed"] = random.randint(1, 10**9)
    on_wire = {payer["ref"]: payer["payer_id"] for payer in practice["payers"]}
    payer_of = {item["patient"]: on_wire[item["payer"]] for item in practice["coverages"]}
    member_id = {item["patient"]: item["member_id"] for item in practice["coverages"]}
    for payer in world["payers"]:
        payer["acknowledges_after_hours"] = random.choice((1, 20, 47))
        payer["pays_after_days"] = (
            random.randint(14, 30) if payer["payer_id"] == "SIMMB" else (random.randint(7, 30))
        )
        payer["rates"] = list(_rates(random, payer["rates"], last))
        payer["denials"], payer["delays"] = [], []
        for member in payer["members"]:
            if random.random() < 0.2:
                member["deductible_remaining_cents"] = random.randint(1, 12000)
    by_id = {payer["payer_id"]: payer for payer in world["payers"]}
    for session in sessions:
        day = session["starts_at"][:10]
        for patient in session["roster"]:
            payer = by_id[payer_of[patient]]
            about = {"member_id": member_id[patient], "service_date": day}
            draw = random.random()
            if draw < 0.10:
                reason = random.choice(_CARC)
                payer["denials"].append({**about, "reason": reason, "stands": draw < 0.05})
            elif draw < 0.20:
                days = random.randint(3, 40) if draw < 0.18 else random.randint(45, 120)
                payer["delays"].append({**about, "days": days})
            elif draw < 0.26:
                after = timedelta(days=payer["pays_after_days"] + random.randint(20, 90))
                on = (date.fromisoformat(day) + after).isoformat()
                allowed = random.choice((0, 1500, 2500, 3000))
                payer["reversals"].append({**about, "on": on, "corrected_allowed_cents": allowed})
    for payer in world["payers"]:
        days = sorted({(_FIRST_MONDAY + timedelta(days=n)).isoformat()
                       for n in random.sample(range((last - _FIRST_MONDAY).days), 6)})  # fmt: skip
        payer["remittance_copies"] = [{"payment_date": day, "copies": 2} for day in days]


def _rates(random: Random, rates: list[dict[str, Any]], last: date) -> Iterator[dict[str, Any]]:
    """Each payer pays what it pays; now and then it pays otherwise for some weeks."""
    usual = {(rate["code"], rate["npi"]): rate["cents"] for rate in rates}
    span = (last - _FIRST_MONDAY).days
    for (code, npi), cents in sorted(usual.items()):
        entry = {"code": code, "npi": npi}
        if random.random() > 0.3:
            yield entry | {"cents": cents, "from": "2026-01-01", "to": None}
            continue
        begins = _FIRST_MONDAY + timedelta(days=random.randint(1, span))
        ends = begins + timedelta(days=random.randint(5, 25))
        other = cents * random.choice((50, 80, 120)) // 100
        one_day = timedelta(days=1)
        until, after = (begins - one_day).isoformat(), (ends + one_day).isoformat()
        yield entry | {"cents": cents, "from": "2026-01-01", "to": until}
        yield entry | {"cents": other, "from": begins.isoformat(), "to": ends.isoformat()}
        yield entry | {"cents": cents, "from": after, "to": None}


def _faults(random: Random, last: date) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """About one each week, until some weeks after the last session."""
    day = _FIRST_MONDAY
    while day < last + timedelta(weeks=4):
        channel, kinds = random.choice((*_FAULTS, _FAULTS[0]))
        at = datetime.combine(day, time(random.randint(9, 20)), _ZONE)
        yield at, {"on": channel, "kind": random.choice(kinds), "times": random.randint(1, 2)}
        day += timedelta(days=random.randint(3, 9))


def _read(name: str) -> Any:
    return json.loads((_SAMPLES / f"{name}.json").read_text())
