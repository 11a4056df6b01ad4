"""Letters to payers: the claim's own evidence, no other member, hostile data shown as it stands."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupclaim.documents.appeal import packet, text_of
from groupclaim.model.base import InputRefused
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.letter import Milestone
from groupclaim.model.money import Cents
from groupclaim.policy.letters import letter_text, read_letters
from groupclaim.policy.playbook import Playbook
from groupclaim.rules.appeals import Case, compose_letter
from groupclaim.rules.redaction import (
    REDACTED,
    OtherMemberNamed,
    redact,
    refuse_other_members,
)
from tests.rules.made import authorization, facts, member, note, parties, policy

AT = datetime(2026, 3, 10, 15, tzinfo=UTC)
TODAY = date(2026, 3, 10)
OTHERS = (member("P2", "Ferdinand", "Fabricated"), member("P3", "Grace", "Long"))
SENT = ClaimVersion.model_validate(
    {
        "claim_number": "GC0000000000X",
        "version": 1,
        "control_number": "GC0000000000XA",
        "parties": parties(),
        "frequency": "1",
        "diagnoses": ("F331",),
        "place_of_service": "11",
        "lines": (
            {
                "line_control_number": "L1",
                "code": "90853",
                "charge": 6000,
                "units": 1,
                "place_of_service": "11",
                "diagnosis_pointers": (1,),
                "service_date": date(2026, 2, 3),
            },
        ),
    }
)
CHAIN = (
    Milestone(
        at=datetime(2026, 2, 4, 23, tzinfo=UTC), what="837P sent", reference="ISA13 000000012"
    ),
    Milestone(
        at=datetime(2026, 2, 4, 23, 30, tzinfo=UTC), what="999 accepted", reference="set 0001"
    ),
    Milestone(at=datetime(2026, 2, 5, 12, tzinfo=UTC), what="277CA A2", reference="ICN1"),
)


def case(category: str | None = "necessity", **changes: Any) -> Case:
    values = {
        "facts": facts(authorizations=(authorization(),)),
        "cause": "CO-50",
        "category": category,
        "level_name": "redetermination",
        "evidence": ("note", "plan", "attendance"),
        "sent": SENT,
        "cents": Cents(6000),
        "payer_claim_number": "ICN1",
        "decided_on": date(2026, 3, 2),
        "filing_working": "90 days after 2026-02-03: 2026-05-04",
        "milestones": CHAIN,
        "note_digest": "ab" * 32,
    }
    return Case.model_validate(values | changes)


def read(given_case: Case, payer: str = "commercial") -> str:
    letter = compose_letter(given_case, policy(payer), "R. Lee", TODAY)
    return " ".join(text_of(packet(letter, AT)).split())


def test_an_appeal_of_necessity_shows_plan_note_and_attendance() -> None:
    text = read(case())
    for expected in (
        "Request for redetermination: medical necessity (denied CO-50)",
        "Member id MEMBER1",
        "Your claim number ICN1",
        "Our claim number GC0000000000XA",
        "Amount billed $60.00",
        "weekly, for the diagnoses F331",
        "60 minutes in a group of 8",
        "signed at 2026-02-04 09:00",
        "Exhibit A: Progress note of the day",
        "ab" * 32,
        "Exhibit B: Treatment plan",
        "Type group",
        "Exhibit C: Attendance",
        "Exhibit D: Decision of the remittance (835)",
        "R. Lee",
    ):
        assert expected in text
    assert "SECRET" not in text  # no word of the note unless its text is to go along


def test_timely_filing_is_proved_by_the_chain_in_the_practices_time() -> None:
    text = read(case("filing time", cause="CO-29", evidence=("acknowledgments",)))
    assert "it was first sent on 2026-02-04 17:00 (ISA13 000000012)." in text
    assert "2026-02-04 17:30 999 accepted: set 0001" in text
    assert "2026-02-05 06:00 277CA A2: ICN1" in text
    assert "The limit was 90 days after 2026-02-03: 2026-05-04." in text


def test_an_authorization_is_named_where_there_is_one() -> None:
    given_case = case("authorization", cause="CO-197", evidence=("authorization",))
    assert "You gave authorization AUTH1, enclosed." in read(given_case)
    without = given_case.model_copy(update={"facts": facts()})
    text = read(without)
    assert "We ask for it after the fact." in text
    assert "Exhibit A: Decision of the remittance" in text


def test_payers_differ_by_their_policies() -> None:
    assert "42 CFR 405.944" in read(case(), "medicare-part-b")
    assert "Inquiry Control Unit" in read(case(), "texas-medicaid")
    assert "42 CFR 405.944" not in read(case())


def test_substance_use_records_carry_their_notice_on_every_page() -> None:
    patient = facts().patient.model_copy(update={"part2": True})
    letter = compose_letter(case(facts=facts(patient=patient)), policy(), "R. Lee", TODAY)
    pages = pypdf.PdfReader(io.BytesIO(packet(letter, AT))).pages
    assert len(pages) == 1 + len(letter.exhibits)
    assert all("42 CFR part 2 prohibits" in page.extract_text() for page in pages)


def test_psychotherapy_notes_never_leave() -> None:
    with pytest.raises(ValueError, match=r"45 CFR 164\.501"):
        compose_letter(case(note=note(kind="psychotherapy")), policy(), "R. Lee", TODAY)


def test_the_same_letter_gives_the_same_bytes_with_an_outline() -> None:
    letter = compose_letter(case(), policy(), "R. Lee", TODAY)
    assert packet(letter, AT) == packet(letter, AT)
    reader = pypdf.PdfReader(io.BytesIO(packet(letter, AT)))
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert titles[:2] == ["Letter", "A: Progress note of the day"]


@pytest.mark.parametrize(
    "hostile",
    ['#read("/etc/passwd")', "*bold* $x^2$ @ref <label>", "\\u{41} `raw` // no", "{level} {x}"],
)
def test_hostile_data_is_shown_as_it_stands(hostile: str) -> None:
    patient = facts().patient.model_copy(update={"last_name": hostile})
    plan = facts().plan
    assert plan is not None
    plan = plan.model_copy(update={"frequency": hostile, "goals": (hostile,)})
    text = read(case(facts=facts(patient=patient, plan=plan)))
    assert text.count(hostile) >= 3


@settings(max_examples=25, deadline=None)
@given(name=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1))
def test_any_text_of_ours_makes_a_letter(name: str) -> None:
    plan = facts().plan
    assert plan is not None
    given_case = case(facts=facts(plan=plan.model_copy(update={"goals": (name,)})))
    assert pypdf.PdfReader(
        io.BytesIO(packet(compose_letter(given_case, policy(), "R. Lee", TODAY), AT))
    ).pages


# --- other members


def test_other_members_are_taken_out_of_the_note() -> None:
    written = {
        "participation": "She answered Ferdinand and later F. Fabricated; Ferdy agreed.",
        "progress": "By the grace of practice she spoke for a long time.",
    }
    done = redact(written, facts().patient, OTHERS)
    assert done.texts["participation"].count(REDACTED) == done.places >= 2
    assert "Ferd" not in done.texts["participation"]
    assert "Fabricated" not in done.texts["participation"]
    assert done.texts["progress"] == written["progress"]  # words, not Grace Long
    text = read(case(note=note(**done.texts)))
    refuse_other_members(text, facts().patient, OTHERS)
    assert REDACTED in text


@pytest.mark.parametrize(
    "pages",
    ["signed Ferdinand Fabricated", "FABRICATED, FERDINAND", "with Mr. Fabricated", "Ms. Long"],
)
def test_a_packet_that_names_another_member_does_not_leave(pages: str) -> None:
    with pytest.raises(OtherMemberNamed) as refused:
        refuse_other_members(pages, facts().patient, OTHERS)
    assert "Fabricated" not in str(refused.value)


@pytest.mark.parametrize("pages", ["a long session", "the grace of it", "Fabricatedly", ""])
def test_words_that_are_no_names_may_leave(pages: str) -> None:
    refuse_other_members(pages, facts().patient, OTHERS)


def test_a_last_name_in_the_practices_own_name_means_nobody() -> None:
    patient = facts().patient
    pages = "Fabricated Group\nTherapy Associates"
    refuse_other_members(pages, patient, OTHERS, ours=("Fabricated Group Therapy Associates",))
    with pytest.raises(OtherMemberNamed):
        refuse_other_members(f"{pages} Fabricated", patient, OTHERS,
                             ours=("Fabricated Group Therapy Associates",))  # fmt: skip


def test_a_name_shared_with_patient_or_clinician_is_theirs() -> None:
    patient = facts().patient
    sibling = member("P4", "Other", patient.last_name)
    refuse_other_members(f"{patient.first_name} {patient.last_name}", patient, (sibling,))
    with pytest.raises(OtherMemberNamed):
        refuse_other_members(f"Other {patient.last_name}", patient, (sibling,))


def test_who_is_called_just_like_the_patient_is_no_reason_to_keep_a_packet() -> None:
    patient = facts().patient
    namesake = member("P4", patient.first_name, patient.last_name)
    refuse_other_members(f"{patient.first_name} {patient.last_name}", patient, (namesake,))


# --- the texts

CITED = 'source = "own"\nverified = false\n'


def test_a_text_that_nobody_has_checked_says_so() -> None:
    """None of ours was; each names what it rests on."""
    for category in ("default", "necessity", "records", "benefit limit", "filing time"):
        text = letter_text(category)
        assert not text.verified
        assert "own wording" in text.source
    assert "29 CFR 2590.712" in letter_text("necessity").source


def test_every_category_that_can_be_appealed_has_a_text() -> None:
    book = Playbook.load()
    for reason in book.reasons:
        if {"appeal", "send_documents"} & set(reason.actions):
            assert read(case(reason.category, evidence=reason.evidence))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'[letter.default]\n{CITED}subject = "{{who}}"\nparagraphs = ["a"]\nrequest = "b"',
            "{who}",
        ),
        (
            f'[letter.x]\n{CITED}subject = "a"\nparagraphs = ["a"]\nrequest = "b"',
            "letter.default: missing",
        ),
        (f'[letter.default]\n{CITED}subject = "a"\nrequest = "b"', "letter.default.paragraphs"),
        ('[letter.default]\nsubject = "a"\nparagraphs = ["a"]\nrequest = "b"', "source: Field"),
        ("[letter", "not TOML"),
    ],
)
def test_texts_that_make_no_sense_are_refused(text: str, told: str) -> None:
    with pytest.raises(InputRefused, match=r"letters\.toml") as refused:
        read_letters(text)
    assert told in str(refused.value)
    assert letter_text("no such category") == letter_text("default")
