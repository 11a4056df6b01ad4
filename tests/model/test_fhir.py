"""Bundles written by hand: what becomes of each resource, and how each wrong one is told."""

from __future__ import annotations

import importlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from groupclaim.model import fhir
from groupclaim.model.base import InputRefused
from groupclaim.model.fhir import is_bundle, practice_of_bundle, sessions_of_bundle
from groupclaim.model.intake import PracticeFile
from groupclaim.model.practice import LicenceKind
from groupclaim.model.roster_file import OnFile

SAMPLE = Path(__file__).parents[2] / "samples" / "small" / "practice.json"
PLAN_NET = (
    "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/practitioner-qualification"
)
KNOWN = OnFile({"austin": "America/Chicago"}, {"C1"}.__contains__, {"P01", "P02"}.__contains__)


def bundle(*resources: dict[str, Any], **urls: str) -> bytes:
    entries = [
        {"resource": item, **({"fullUrl": urls[item["id"]]} if item.get("id") in urls else {})}
        for item in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def base() -> PracticeFile:
    return PracticeFile.model_validate_json(SAMPLE.read_bytes())


def patient(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "P90",
        "name": [
            {"use": "nickname", "given": ["Nick"]},
            {"use": "official", "family": "Fabricated", "given": ["Fhirla", "Q"]},
        ],
        "gender": "female",
        "birthDate": "1980-05-06",
        "address": [
            {
                "line": ["9 Nowhere Lane"],
                "city": "Austin",
                "state": "TX",
                "postalCode": "78702-0009",
            }
        ],
        **changes,
    }


def coverage(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Coverage",
        "id": "V90",
        "status": "active",
        "beneficiary": {"reference": "Patient/P90"},
        "payor": [{"reference": "Organization/medicare-part-b"}],
        "subscriberId": "1SS0SS0SS90",
        "period": {"start": "2026-01-01"},
        "class": [{"type": {"coding": [{"code": "group"}]}, "value": "G7"}],
        **changes,
    }


def practitioner(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Practitioner",
        "id": "C90",
        "name": [{"family": "Fabricated", "given": ["Prax"]}],
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1999900214"}],
        "qualification": [
            {
                "extension": [
                    {
                        "url": PLAN_NET,
                        "extension": [
                            {
                                "url": "whereValid",
                                "valueCodeableConcept": {"coding": [{"code": "TX"}]},
                            }
                        ],
                    }
                ],
                "identifier": [{"value": "TX-LPC-1"}],
                "code": {
                    "coding": [
                        {"system": "http://nucc.org/provider-taxonomy", "code": "101YP2500X"}
                    ]
                },
                "period": {"start": "2020-01-01", "end": "2027-12-31"},
            }
        ],
        **changes,
    }


def appointment(**changes: Any) -> dict[str, Any]:
    actors = ("Practitioner/C1", "Location/austin", "Patient/P01", "Patient/P02")
    return {
        "resourceType": "Appointment",
        "id": "A1",
        "status": "booked",
        "description": "Grief",
        "start": "2026-02-10T17:00:00-06:00",
        "end": "2026-02-10T18:00:00-06:00",
        "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
        **changes,
    }


def encounter(subject: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"E-{subject}",
        "status": "planned",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{subject}"},
        "participant": [{"individual": {"reference": "Practitioner/C1"}}],
        "location": [{"location": {"reference": "Location/austin"}}],
        "period": {"start": "2026-02-10T17:00:00-06:00", "end": "2026-02-10T18:00:00-06:00"},
        "appointment": [{"reference": "Appointment/A1"}],
        **changes,
    }


def refused(content: bytes) -> list[str]:
    with pytest.raises(InputRefused) as caught:
        practice_of_bundle(content, base(), "bundle.json")
    return caught.value.problems


def test_people_and_their_coverage_come_beside_the_practices_own_records() -> None:
    before = base()
    after = practice_of_bundle(bundle(patient(), coverage(), practitioner()), before, "bundle")
    assert after.patients[:-1] == before.patients
    new = after.patients[-1]
    assert (new.ref, new.first_name, new.last_name, new.sex) == ("P90", "Fhirla", "Fabricated", "F")
    assert (new.birth_date, new.address.zip) == (date(1980, 5, 6), "787020009")
    cover = after.coverages[-1]
    assert (cover.patient, cover.payer, cover.priority) == ("P90", "medicare-part-b", 1)
    assert (cover.member_id, cover.group_number) == ("1SS0SS0SS90", "G7")
    assert (cover.effective_from, cover.effective_to) == (date(2026, 1, 1), None)
    clinician = after.clinicians[-1]
    (licence,) = clinician.licences
    assert (clinician.npi, clinician.taxonomy) == ("1999900214", "101YP2500X")
    assert (licence.kind, licence.state, licence.number) == (LicenceKind.LPC, "TX", "TX-LPC-1")


def test_a_known_clinician_keeps_what_fhir_does_not_say() -> None:
    (known, *_) = base().clinicians
    said = practitioner(id=known.ref, qualification=[], identifier=[])
    (after, *others) = practice_of_bundle(bundle(said), base(), "bundle").clinicians
    assert after == known.model_copy(update={"first_name": "Prax", "last_name": "Fabricated"})
    assert len(others) == len(base().clinicians) - 1


def test_references_by_url_are_followed() -> None:
    url = "urn:uuid:8d1f3c1e-0000-4000-8000-000000000001"
    cover = coverage(beneficiary={"reference": url})
    after = practice_of_bundle(bundle(patient(), cover, P90=url), base(), "bundle")
    assert after.coverages[-1].patient == "P90"


def test_every_wrong_entry_is_told_without_what_stood_there() -> None:
    problems = refused(
        bundle(
            patient(address=[], gender="other"),
            coverage(subscriberId="Fabricated?", payor=[{"reference": "Organization/nobody"}]),
            practitioner(identifier=[{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}]),
        )
    )
    told = {problem.split(": ")[0] for problem in problems}
    assert {"entry 1, Patient as address.line", "entry 1, Patient as address.zip"} <= told
    assert "entry 2, Coverage as member_id" in told
    assert "entry 3, Practitioner as npi" in told
    assert not any("Fabricated" in problem for problem in problems)


def test_a_payer_that_is_not_the_practices_is_refused() -> None:
    unknown = coverage(payor=[{"reference": "Organization/nobody"}])
    (problem,) = refused(bundle(patient(), unknown))
    assert problem.endswith(".payer: no such record in payers")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a FHIR Bundle"),
        (b'{"resourceType": "Patient"}', "not a FHIR Bundle"),
        (b'{"resourceType": "Bundle", "type": "collection"}', "holds nothing"),
        (b'{"resourceType": "Bundle", "type": "collection", "entry": [1]}', "entry"),
        (b"{" + b" " * fhir.MOST_BYTES, "larger than 5 MB"),
        (b"[" * 100_000, "not JSON"),
        (bundle(patient(birthDate="long ago")), "entry[0].resource.birthDate"),
        (bundle(patient(resourceType="long ago")), "a resourceType that FHIR R4 has not"),
        (bundle(patient(resourceType=["long ago"])), "a resourceType that FHIR R4 has not"),
    ],
)
def test_a_file_that_is_no_right_bundle_is_refused(content: bytes, said: str) -> None:
    problems = refused(content)
    assert said in problems[0]
    assert not any("long ago" in problem for problem in problems)


def test_more_entries_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "MOST_ENTRIES", 1)
    assert refused(bundle(patient(), coverage())) == ["entry: more than 1"]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert "groupclaim[fhir]" in refused(bundle(patient()))[0]


def test_an_appointment_is_a_session_with_its_patients() -> None:
    read = sessions_of_bundle(bundle(appointment()), KNOWN, "bundle")
    (session,) = read.sessions
    assert read.problems == ()
    assert (session.ref, session.topic, session.roster) == ("A1", "Grief", ("P01", "P02"))
    assert (session.clinician, session.location, session.mode) == ("C1", "austin", "in_person")
    assert session.starts_at.isoformat() == "2026-02-10T17:00:00-06:00"
    assert [(row.row, row.session, row.patient) for row in read.rows] == [
        (1, "A1", "P01"),
        (1, "A1", "P02"),
    ]


def test_encounters_of_one_appointment_are_one_session() -> None:
    read = sessions_of_bundle(bundle(encounter("P01"), encounter("P02")), KNOWN, "bundle")
    (session,) = read.sessions
    assert (session.ref, session.roster) == ("A1", ("P01", "P02"))
    actors = appointment()["participant"][:3]
    both = bundle(appointment(participant=actors), encounter("P01"), encounter("P02"))
    (session,) = sessions_of_bundle(both, KNOWN, "bundle").sessions
    assert session.roster == ("P01", "P02")


def test_what_was_cancelled_is_left_out() -> None:
    other = appointment(id="A2")
    gone = appointment(status="cancelled")
    read = sessions_of_bundle(bundle(gone, other, encounter("P01")), KNOWN, "bundle")
    assert [session.ref for session in read.sessions] == ["A2"]
    assert read.problems == ()


def test_a_wrong_entry_keeps_its_session_out_and_no_other() -> None:
    wrong = appointment(id="A2", participant=appointment()["participant"][1:])
    stranger = encounter("P77", id="E3", appointment=[{"reference": "Appointment/A3"}])
    remote = encounter("P01", id="E4", appointment=[{"reference": "Appointment/A4"}])
    backwards = appointment(id="A5", end="2026-02-10T16:00:00-06:00")
    read = sessions_of_bundle(
        bundle(appointment(), wrong, stranger, {**remote, "class": {"code": "VR"}}, backwards),
        KNOWN,
        "bundle",
    )
    assert [session.ref for session in read.sessions] == ["A1"]
    assert [str(problem) for problem in read.problems] == [
        "entry 2, Practitioner: one is needed, 0 are given",
        "entry 3, Patient: no such patient on file",
        "entry 4, class: who takes part from elsewhere is handed in by roster file or API",
        "entry 5, Appointment as input: ends_at: not after starts_at",
    ]


def test_only_json_is_taken_for_a_bundle() -> None:
    assert is_bundle(b'\xef\xbb\xbf \n{"resourceType"')
    assert not is_bundle(b"session,patient\n")
    assert not is_bundle(b"PK\x03\x04")
