"""Audit binders: what must stand in them stands, and no other member of the group does."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import date

import pypdf
import pytest
from sqlalchemy import update

from activities.binders import Binders
from activities.front_desk import Refused
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.patient import Part2Consent
from groupclaim.store import audit, claims, practice
from groupclaim.store.clock import practice_now
from groupclaim.store.schema import patient
from tests.activities.house import KEYRING, House
from tests.activities.test_sample_practice import run_to_the_end

ROSTERS = {"S1": ("P01", "P05", "P08"), "S2": ("P18", "P19"), "S3": ("P17", "P21", "P23")}


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with House(tmp_path_factory.mktemp("binders"), ROSTERS) as made:
        await run_to_the_end(made)
        yield made


def read(pdf: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


async def binder(house: House, session: str, patient: str) -> str:
    number = await house.claim_of(session, patient)
    return read((await Binders(house.database).of_claim(number, "R. Lee")).pdf)


async def names(house: House, session: str) -> dict[str, str]:
    """First and last name of everyone on the roster."""
    async with house.database.reading() as reading:
        return {
            ref: f"{person.first_name} {person.last_name}"
            for ref in ROSTERS[session]
            for person in [
                await practice.patient_of_claim(reading, await house.claim_of(session, ref))
            ]
        }


async def test_a_claims_binder_shows_what_an_auditor_asks_for(house: House) -> None:
    """P18: denied for want of the authorization number, sent again with it, then paid."""
    text = await binder(house, "S2", "P18")
    number = await house.claim_of("S2", "P18")
    async with house.database.reading() as reading:
        version = await claims.read_version(reading, number, 2)
    for expected in (
        f"Audit binder of claim {number}",
        "Held 2026-02-05 18:00 to 19:00 (America/Chicago)",
        "Led by Artie Ficial, NPI 1999900321, lcsw VA VA-LCSW-00000",
        "The patient attended Minutes 60 Persons treated in the room 2",
        "Signed at 2026-02-06 08:05",
        "SHA-256 of the signed text",
        "Frequency weekly, 60 minutes Diagnoses F4011",
        "Covered on the day yes",
        "Authorization SMUAUTH0018 90853, 10 units, 2026-02-01 to 2026-04-30",
        "None is needed no substance-use records, and in the room",
        f"Policy of version 2 commercial {version.parties.policy_version}, in force from",
        "add_authorization (info) CO-197",
        "not verified",
        "frequency 7, replaces",
        "authorization SMUAUTH0018; 90853 x 1 $60.00; place of service 11; diagnoses F4011",
        "837P sent: ISA13",
        "999 accepted",
        "277CA accepted: 277CA:A2:20",
        "Remittance (835)",
        "CO-197 $60.00",
        "charge: $60.00 from charges to payer receivable",
        "Denial 1, decided",
        "record attendance: attended: 2",
        "read note by groupclaim",
    ):
        assert expected in text, expected


@pytest.mark.parametrize(("session", "patient"), [("S1", "P01"), ("S1", "P08"), ("S3", "P17")])
async def test_a_claims_binder_names_nobody_else(house: House, session: str, patient: str) -> None:
    text = await binder(house, session, patient)
    everyone = await names(house, session)
    assert everyone[patient] in text
    for other, name in everyone.items():
        assert other == patient or name not in text


async def test_names_in_what_people_wrote_are_taken_out(house: House) -> None:
    number = await house.claim_of("S3", "P17")
    other = (await names(house, "S3"))["P21"]
    async with house.database.transaction() as tx:
        await audit.record(
            tx, await practice_now(tx), "R. Lee", "release_hold", number,
            {"reason": f"came in place of {other}"},
        )  # fmt: skip
    text = await binder(house, "S3", "P17")
    assert "came in place of [another member]" in text
    assert other not in text


async def test_a_binder_that_would_name_another_member_is_not_printed(house: House) -> None:
    number = await house.claim_of("S3", "P23")
    other = (await names(house, "S3"))["P21"]
    naming = Finding(rule="named", severity=Severity.INFO, sentence=f"As {other} said.")

    async def found(findings: tuple[Finding, ...]) -> None:
        async with house.database.transaction() as tx:
            await claims.replace_findings(
                tx, number, "check_documentation", findings, await practice_now(tx)
            )

    async with house.database.reading() as reading:
        before = await claims.read_findings(reading, number, "check_documentation")
    await found((naming,))
    with pytest.raises(Refused, match="would name another member") as refused:
        await Binders(house.database).of_claim(number, "R. Lee")
    await found(before)
    assert other not in str(refused.value)


async def test_a_sessions_binder_holds_every_participant(house: House) -> None:
    """By the practice's own id; each claim's audit log says so."""
    printed = await Binders(house.database).of_session("S1", "R. Lee")
    text = read(printed.pdf)
    assert printed.claims == len(ROSTERS["S1"])
    for ref, name in (await names(house, "S1")).items():
        number = await house.claim_of("S1", ref)
        assert f"Claim {number}: {name}" in text
        async with house.database.reading() as reading:
            last = (await audit.entries(reading, number))[-1]
        assert (last.actor, last.action, last.detail) == (
            "R. Lee", "binder_printed", {"of": "session"},
        )  # fmt: skip
    ours = await Binders(house.database).of_session(house.sessions["S1"], "R. Lee")
    assert ours.claims == printed.claims


async def test_a_print_is_in_the_audit_log_and_counted_in_the_next(house: House) -> None:
    first = await binder(house, "S2", "P19")
    assert "binder printed" not in first
    assert "binder printed by R. Lee 1 times" in await binder(house, "S2", "P19")


async def test_a_binder_is_tagged_and_has_an_outline(house: House) -> None:
    number = await house.claim_of("S1", "P01")
    reader = pypdf.PdfReader(
        io.BytesIO((await Binders(house.database).of_claim(number, "R. Lee")).pdf)
    )
    root = reader.trailer["/Root"]
    assert isinstance(root, pypdf.generic.DictionaryObject)
    assert root["/MarkInfo"]["/Marked"]
    assert {"/StructTreeRoot", "/Lang", "/Outlines"} <= set(root)
    assert reader.metadata is not None
    assert reader.metadata.title == f"Audit binder of claim {number}"


async def test_substance_use_records_carry_their_notice_on_every_page(house: House) -> None:
    number = await house.claim_of("S1", "P05")
    async with house.database.transaction() as tx:
        person = await practice.patient_of_claim(tx, number)
        kept = person.model_copy(
            update={
                "part2": True,
                "part2_consents": (
                    Part2Consent(ref="K1", scope="payment", signed_on=date(2026, 1, 5)),
                ),
            }
        )
        await tx.execute(
            update(patient)
            .where(patient.c.id == KEYRING.patient_id("P05"))
            .values(document=tx.seal(patient, kept))
        )
    pdf = (await Binders(house.database).of_claim(number, "R. Lee")).pdf
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    assert all("42 CFR part 2 prohibits" in page.extract_text() for page in pages)
    assert "Substance-use records, consent 1 payment, signed 2026-01-05, no end" in read(pdf)


async def test_what_is_not_on_file_has_no_binder(house: House) -> None:
    with pytest.raises(practice.UnknownRecord):
        await Binders(house.database).of_claim("GC0000000000X", "R. Lee")
    with pytest.raises(practice.UnknownRecord):
        await Binders(house.database).of_session("no such session", "R. Lee")
