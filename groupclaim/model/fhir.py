"""FHIR R4 bundles as practices' record systems export them, read into our own records.

Patient, Coverage and Practitioner go beside a practice file, which holds what FHIR does not carry
(fees, contracts, payers, plans); Appointment and Encounter become sessions. A resource's ``id`` is
the practice's own id of it; a coverage's payor is the payer of that id. Whoever reads the problems
sees entry and field, never what stood there. Needs the extra ``groupclaim[fhir]``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from groupclaim.model.base import InputRefused, describe
from groupclaim.model.intake import PracticeFile
from groupclaim.model.patient import Coverage, Patient
from groupclaim.model.practice import Clinician, LicenceKind
from groupclaim.model.roster_file import MOST_BYTES, OnFile, RosterFile, RosterRow, RowProblem
from groupclaim.model.session import GroupSession

MOST_ENTRIES = 20_000
_NPI = "http://hl7.org/fhir/sid/us-npi"
_TAXONOMY = "http://nucc.org/provider-taxonomy"
_WHERE_VALID = (
    "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/practitioner-qualification"
)
"""In which state a qualification is valid, as Da Vinci PDex Plan-Net says it (``whereValid``)."""

_LICENCES = {
    "2084P0800X": LicenceKind.PSYCHIATRIST,
    "103TC0700X": LicenceKind.PSYCHOLOGIST,
    "363LP0808X": LicenceKind.NURSE_PRACTITIONER,
    "1041C0700X": LicenceKind.LCSW,
    "106H00000X": LicenceKind.LMFT,
    "101YP2500X": LicenceKind.LPC,
}
"""By the National Uniform Claim Committee's taxonomy codes."""

_SEX = {"female": "F", "male": "M"}
_NOT_HELD = ("cancelled", "entered-in-error", "noshow")
_FROM_ELSEWHERE = "VR"
"""ActCode of an encounter without being in one room."""

R = TypeVar("R", bound=BaseModel)


def is_bundle(content: bytes) -> bool:
    """Whether a file can only be JSON, and so no roster in CSV or Excel."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the bundle; ``number`` counts from 1."""

    number: int
    kind: str
    resource: Mapping[str, Any]

    def problem(self, field: str, reason: str) -> RowProblem:
        return RowProblem(self.number, field, reason, "entry")


class _Bundle:
    """The entries of a bundle that is right by FHIR's own rules."""

    def __init__(self, content: bytes, source: str) -> None:
        self._ids: dict[str, str] = {}
        self.entries: list[_Entry] = []
        for number, entry in enumerate(_checked(content, source), 1):
            resource = entry.get("resource") or {}
            kind, key = resource.get("resourceType", ""), resource.get("id", "")
            if key:
                self._ids[f"{kind}/{key}"] = key
                if "fullUrl" in entry:
                    self._ids[entry["fullUrl"]] = key
            self.entries.append(_Entry(number, kind, resource))

    def of(self, kind: str) -> list[_Entry]:
        return [entry for entry in self.entries if entry.kind == kind]

    def referred(self, reference: Any, kind: str) -> str | None:
        """The id that a reference to a resource of ``kind`` names, in the bundle or outside."""
        given = str((reference or {}).get("reference", ""))
        if given.startswith("urn:"):
            return self._ids.get(given)
        *_, named, key = ("", "", *given.split("/"))
        return key or None if named == kind else None


def _checked(content: bytes, source: str) -> Sequence[Mapping[str, Any]]:
    if len(content) > MOST_BYTES:
        raise InputRefused(source, [f"file: larger than {MOST_BYTES // 1024**2} MB"])
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        raise InputRefused(source, ["file: not JSON in UTF-8"]) from None
    if not isinstance(read, dict) or read.get("resourceType") != "Bundle":
        raise InputRefused(source, ["file: not a FHIR Bundle"])
    entries = read.get("entry", [])
    if not isinstance(entries, list) or not entries:
        raise InputRefused(source, ["entry: holds nothing"])
    if len(entries) > MOST_ENTRIES:
        raise InputRefused(source, [f"entry: more than {MOST_ENTRIES}"])
    try:
        bundle = importlib.import_module("fhir.resources.R4B.bundle").Bundle
    except ImportError:
        raise InputRefused(
            source, ["file: FHIR needs an extra: pip install 'groupclaim[fhir]'"]
        ) from None
    try:
        bundle.model_validate(read)
    except ValidationError as error:
        raise InputRefused(source, describe(error)[:100]) from None
    except RecursionError:
        raise InputRefused(source, ["file: nested too deeply"]) from None
    except (LookupError, TypeError):  # its own way of saying that it knows no such resource
        raise InputRefused(source, ["entry: a resourceType that FHIR R4 has not"]) from None
    return entries


# --- a practice's records


def practice_of_bundle(content: bytes, base: PracticeFile, source: str) -> PracticeFile:
    """``base`` with the patients, coverages and practitioners of a bundle added or put in place of
    those of the same id. Raises :class:`InputRefused` naming every entry that cannot be taken."""
    bundle = _Bundle(content, source)
    known = {item.ref: item for item in base.clinicians}
    problems: list[RowProblem] = []
    patients = _made(bundle.of("Patient"), Patient, _patient, problems)
    coverages = _made(bundle.of("Coverage"), Coverage, lambda it: _coverage(bundle, it), problems)
    clinicians = _made(
        bundle.of("Practitioner"),
        Clinician,
        lambda it: _clinician(it, known.get(it.resource.get("id", ""))),
        problems,
    )
    if problems:
        raise InputRefused(source, [str(item) for item in problems])
    file = base.model_copy(
        update={
            "patients": _merged(base.patients, patients, lambda it: it.ref),
            "clinicians": _merged(base.clinicians, clinicians, lambda it: it.ref),
            "coverages": _merged(
                base.coverages,
                coverages,
                lambda it: (it.patient, it.payer, it.priority, it.effective_from),
            ),
        }
    )
    file.check_references(source)
    return file


def _merged(base: Iterable[R], given: Iterable[R], key: Any) -> tuple[R, ...]:
    return tuple({key(item): item for item in (*base, *given)}.values())


def _made(
    entries: Iterable[_Entry], record: type[R], values: Any, problems: list[RowProblem]
) -> list[R]:
    """Each entry as a ``record``; what cannot be goes to ``problems``, field by field."""
    made = []
    for entry in entries:
        try:
            made.append(record.model_validate(values(entry)))
        except ValidationError as error:
            for line in describe(error):
                field, _, reason = line.partition(": ")
                problems.append(entry.problem(f"{entry.kind} as {field}", reason))
    return made


def _first(value: Any) -> Mapping[str, Any]:
    return value[0] if value else {}


def _name(resource: Mapping[str, Any]) -> dict[str, Any]:
    names = resource.get("name", [])
    name = _first([item for item in names if item.get("use") == "official"] or names)
    given = name.get("given") or [None]
    return {"first_name": given[0], "last_name": name.get("family")}


def _patient(entry: _Entry) -> dict[str, Any]:
    it = entry.resource
    address = _first(it.get("address"))
    return {
        "ref": it.get("id"),
        **_name(it),
        "birth_date": it.get("birthDate"),
        "sex": _SEX.get(it.get("gender", ""), "U"),
        "address": {
            "line": (address.get("line") or [None])[0],
            "city": address.get("city"),
            "state": address.get("state"),
            "zip": str(address.get("postalCode", "")).replace("-", ""),
        },
    }


def _codes(concept: Any, system: str) -> list[str]:
    return [
        item.get("code", "")
        for item in (concept or {}).get("coding", [])
        if item.get("system") == system
    ]


def _coverage(bundle: _Bundle, entry: _Entry) -> dict[str, Any]:
    it = entry.resource
    period = it.get("period", {})
    groups = [
        item.get("value")
        for item in it.get("class", [])
        if any(code.get("code") == "group" for code in item.get("type", {}).get("coding", []))
    ]
    relations = [code.get("code") for code in it.get("relationship", {}).get("coding", [])]
    return {
        "patient": bundle.referred(it.get("beneficiary"), "Patient"),
        "payer": bundle.referred(_first(it.get("payor")), "Organization"),
        "priority": it.get("order", 1),
        "member_id": it.get("subscriberId"),
        "group_number": groups[0] if groups else None,
        "relationship": relations[0] if relations else "self",
        "effective_from": str(period.get("start", ""))[:10],
        "effective_to": str(period["end"])[:10] if "end" in period else None,
    }


def _clinician(entry: _Entry, known: Clinician | None) -> dict[str, Any]:
    """What a practitioner says, over what is known of them: FHIR carries no supervisor, no
    enrolments, and often no licence."""
    it = entry.resource
    values: dict[str, Any] = known.model_dump() if known else {"licences": []}
    npis = [item.get("value") for item in it.get("identifier", []) if item.get("system") == _NPI]
    values |= {"ref": it.get("id"), **_name(it)}
    if npis:
        values["npi"] = npis[0]
    licences = []
    for qualification in it.get("qualification", []):
        for code in _codes(qualification.get("code"), _TAXONOMY):
            values["taxonomy"] = code
            period = qualification.get("period", {})
            licences.append(
                {
                    "kind": _LICENCES.get(code, "not a licence that group therapy is billed by"),
                    "state": _where_valid(qualification),
                    "number": _first(qualification.get("identifier")).get("value"),
                    "valid_from": period.get("start"),
                    "valid_to": period.get("end"),
                }
            )
    if licences:
        values["licences"] = licences
    return values


def _where_valid(qualification: Mapping[str, Any]) -> str | None:
    for extension in qualification.get("extension", []):
        if extension.get("url") == _WHERE_VALID:
            for part in extension.get("extension", []):
                if part.get("url") == "whereValid":
                    coding = part.get("valueCodeableConcept", {}).get("coding")
                    code: str | None = _first(coding).get("code")
                    return code
    return None


# --- sessions


def sessions_of_bundle(content: bytes, known: OnFile, source: str) -> RosterFile:
    """Appointments as sessions, with the patients of the encounters that belong to them. Raises
    :class:`InputRefused` where the file as a whole cannot be read; what is wrong with single
    entries is told in the result."""
    bundle = _Bundle(content, source)
    reader = _Sessions(bundle, known)
    for entry in bundle.of("Appointment"):
        reader.take_appointment(entry)
    for entry in bundle.of("Encounter"):
        reader.take_encounter(entry)
    if not reader.rows and not reader.problems:
        raise InputRefused(source, ["entry: no appointment and no encounter"])
    return reader.made()


class _Sessions:
    def __init__(self, bundle: _Bundle, known: OnFile) -> None:
        self._bundle = bundle
        self._known = known
        self._said: dict[str, tuple[_Entry, dict[str, Any]]] = {}
        self._left_out: set[str] = set()
        self.rows: list[RosterRow] = []
        self.problems: list[RowProblem] = []

    def take_appointment(self, entry: _Entry) -> None:
        it = entry.resource
        ref = it.get("id")
        if not ref:
            self.problems.append(entry.problem("id", "is missing"))
        elif it.get("status") in _NOT_HELD:
            self._left_out.add(ref)
        elif ref in self._said:
            self.problems.append(entry.problem("id", "another appointment has it"))
        else:
            actors = [part.get("actor") for part in it.get("participant", [])]
            self._take(
                entry,
                ref,
                people=actors,
                places=actors,
                patients=actors,
                starts=it.get("start"),
                ends=it.get("end"),
                topic=it.get("description", ""),
            )

    def take_encounter(self, entry: _Entry) -> None:
        """One patient's part in an appointment; one that is not in the bundle is taken from it."""
        it = entry.resource
        ref = self._bundle.referred(_first(it.get("appointment")), "Appointment")
        if ref is None:
            self.problems.append(entry.problem("appointment", "names the session; is missing"))
            return
        if ref in self._left_out or it.get("status") in ("cancelled", "entered-in-error"):
            return
        if it.get("class", {}).get("code") == _FROM_ELSEWHERE:
            reason = "who takes part from elsewhere is handed in by roster file or API"
            self.problems.append(entry.problem("class", reason))
        if ref not in self._said:
            period = it.get("period", {})
            self._take(
                entry,
                ref,
                people=[part.get("individual") for part in it.get("participant", [])],
                places=[part.get("location") for part in it.get("location", [])],
                patients=[it.get("subject")],
                starts=period.get("start"),
                ends=period.get("end"),
                topic="",
            )
            return
        self._invite(entry, ref, self._referred([it.get("subject")], "Patient"))

    def _take(
        self,
        entry: _Entry,
        ref: str,
        *,
        people: list[Any],
        places: list[Any],
        patients: list[Any],
        starts: Any,
        ends: Any,
        topic: str,
    ) -> None:
        clinician = self._only(entry, people, "Practitioner")
        location = self._only(entry, places, "Location")
        if clinician is not None and not self._known.clinician(clinician):
            self.problems.append(entry.problem("Practitioner", "no such clinician on file"))
        if location is not None and location not in self._known.zones:
            self.problems.append(entry.problem("Location", "no such location on file"))
        values = {"ref": ref, "location": location, "clinician": clinician, "starts_at": starts,
                  "ends_at": ends, "mode": "in_person", "topic": topic, "roster": []}  # fmt: skip
        self._said[ref] = (entry, values)
        self._invite(entry, ref, self._referred(patients, "Patient"))

    def _referred(self, references: Iterable[Any], kind: str) -> list[str]:
        found = (self._bundle.referred(item, kind) for item in references)
        return [key for key in found if key is not None]

    def _only(self, entry: _Entry, references: Iterable[Any], kind: str) -> str | None:
        found = self._referred(references, kind)
        if len(found) != 1:
            self.problems.append(entry.problem(kind, f"one is needed, {len(found)} are given"))
            return None
        return found[0]

    def _invite(self, entry: _Entry, ref: str, patients: list[str]) -> None:
        roster = self._said[ref][1]["roster"]
        if not patients:
            self.problems.append(entry.problem("Patient", "none is given"))
            self.rows.append(RosterRow(entry.number, ref, ""))
        for patient in patients:
            if not self._known.patient(patient):
                self.problems.append(entry.problem("Patient", "no such patient on file"))
            if patient not in roster:
                roster.append(patient)
                self.rows.append(RosterRow(entry.number, ref, patient))

    def made(self) -> RosterFile:
        """The sessions of which every entry is right."""
        wrong = {item.row for item in self.problems}
        spoilt = {item.session for item in self.rows if item.row in wrong}
        sessions = [
            session
            for ref, (entry, values) in self._said.items()
            if ref not in spoilt
            for session in _made([entry], GroupSession, lambda _, v=values: v, self.problems)
        ]
        ordered = sorted(self.problems, key=lambda item: (item.row, item.column, item.reason))
        return RosterFile(tuple(self.rows), tuple(sessions), tuple(ordered), "entry")
