import re
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from groupclaim.model.base import InputRefused, parse
from groupclaim.model.facts import EligibilityAnswer
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization, Coverage
from groupclaim.model.session import Attendance
from groupclaim.store import claims
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from groupclaim.store.practice import (
    NO_PAYER,
    add_sessions,
    claim_facts,
    connection_ids,
    coverages,
    load_practice,
    order_coverages,
    read_connection,
    read_payer,
    record_authorization,
    record_coverage,
    record_eligibility,
    record_note_signed,
    session_roster,
)
from groupclaim.store.schema import coverage
from tests.store.world import (
    NOW,
    PLANTED,
    World,
    attended,
    practice_data,
    practice_file,
    session_data,
    sessions,
)


async def test_the_same_file_twice_changes_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        first = await load_practice(tx, practice_file())
    async with database.transaction() as tx:
        again = await load_practice(tx, practice_file())
    assert (first.changed, first.unchanged) == (0, 0)
    assert (again.added, again.changed, again.unchanged) == (0, 0, first.added)
    assert again.patients == ()


async def test_a_corrected_record_replaces_the_old_one(world: World) -> None:
    coverages = practice_data()["coverages"]
    coverages[0]["payer"] = "second"
    coverages[1]["member_id"] = "NEW1"
    file = practice_file(coverages=coverages)
    async with world.database.transaction() as tx:
        loaded = await load_practice(tx, file)
        assert (loaded.added, loaded.changed) == (1, 1)
        assert loaded.patients == tuple(sorted(world.patients[:2]))
        found = await tx.scalar(
            select(coverage.c.patient_id).where(
                coverage.c.member_id_index == tx.keyring.blind_index("coverage.member_id", "NEW1")
            )
        )
        assert found == world.patients[1]


async def test_open_claims_follow_their_patients_coverage(world: World) -> None:
    coverages = practice_data()["coverages"]
    coverages[0]["to"] = "2026-01-31"
    async with world.database.transaction() as tx:
        await load_practice(tx, practice_file(coverages=coverages))
        rows = {row.claim_number: row for row in (await session_roster(tx, world.session_id)).rows}
        assert rows[world.claims[0]].payer_key == NO_PAYER
        assert rows[world.claims[1]].payer_key == tx.keyring.payer_key("first")
        facts = await claim_facts(tx, world.claims[0])
    assert (facts.payer, facts.coverage, facts.contracts) == (None, None, ())


async def test_a_file_with_dangling_references_is_refused_whole(database: Database) -> None:
    coverages = practice_data()["coverages"]
    coverages[0]["payer"] = "nobody"
    coverages[1]["patient"] = "nobody"
    with pytest.raises(InputRefused) as refused:
        async with database.transaction() as tx:
            await load_practice(tx, practice_file(coverages=coverages))
    assert refused.value.problems == [
        "coverages[0].payer: no such record in payers",
        "coverages[1].patient: no such record in patients",
    ]


async def test_sessions_are_added_once(world: World) -> None:
    async with world.database.transaction() as tx:
        again, other = await add_sessions(
            tx, sessions(session_data(), session_data("S2", ["P01", "P02"])).root, NOW
        )
    assert (again.session_id, again.new) == (world.session_id, False)
    assert sorted(again.claims) == sorted(world.claims)
    assert other.new
    assert len(other.claims) == 2
    assert not set(other.claims) & set(world.claims)


async def test_every_unknown_reference_of_a_session_is_named(world: World) -> None:
    bad = session_data("S2", ["P01", "Quillontine"]) | {"location": "x", "clinician": "y"}
    bad["other_services"] = [
        {
            "patient": "z",
            "code": "90834",
            "starts_at": "2026-02-03T13:00:00-06:00",
            "ends_at": "2026-02-03T13:45:00-06:00",
        }
    ]
    with pytest.raises(InputRefused) as refused:
        async with world.database.transaction() as tx:
            await add_sessions(tx, sessions(bad, bad).root, NOW)
    assert refused.value.problems[:4] == [
        "[0].location: no such location on file",
        "[0].clinician: no such clinician on file",
        "[0].roster[1]: no such patient on file",
        "[0].other_services[0].patient: no such patient on file",
    ]
    assert "[1].ref: the same ref is used more than once" in refused.value.problems
    assert "Quillontine" not in str(refused.value)


async def test_the_roster_says_who_when_and_where(world: World) -> None:
    async with world.database.reading() as reading:
        roster = await session_roster(reading, world.session_id)
    assert {(row.patient_id, row.claim_number) for row in roster.rows} == set(
        zip(world.patients, world.claims, strict=True)
    )
    assert (roster.time_zone, roster.attendance_recorded) == ("America/Chicago", False)
    assert roster.ends_at - roster.starts_at == timedelta(hours=1)


async def test_the_facts_of_a_claim(world: World) -> None:
    async with world.database.reading() as reading:
        facts = await claim_facts(reading, world.claims[2])
    assert facts.patient_id == world.patients[2]
    assert facts.patient.ref == facts.coverage.patient == facts.plan.patient == "P03"  # type: ignore[union-attr]
    assert facts.service_date == date(2026, 2, 3)
    assert facts.payer is not None
    assert facts.payer.payer_id == "FIRST1"
    assert [item.method for item in facts.contracts] == ["fee_schedule"]
    assert (facts.attendance, facts.group_size, facts.note_signed_at) == (None, None, None)
    assert (facts.minutes, facts.copay_paid, facts.authorizations) == (0, 0, ())


async def test_the_facts_after_attendance_count_those_treated(world: World) -> None:
    async with world.database.transaction() as tx:
        await claims.record_attendance(
            tx, world.session_id, attended(world, copay=1500, absent=[0, 5]), NOW
        )
    async with world.database.reading() as reading:
        came = await claim_facts(reading, world.claims[1])
        stayed_away = await claim_facts(reading, world.claims[0])
    assert (came.attendance, came.group_size) == (Attendance.ATTENDED, 4)
    assert (came.minutes, came.copay_paid) == (60, Cents(1500))
    assert (stayed_away.attendance, stayed_away.group_size) == (Attendance.NO_SHOW, 4)


async def test_the_first_coverage_in_force_on_the_day_counts(world: World) -> None:
    coverages = practice_data()["coverages"]
    coverages[0]["to"] = "2026-02-02"
    later = {**coverages[0], "payer": "second", "from": "2026-02-03", "to": None}
    coverages += [{**later, "priority": 2}, {**later, "priority": 3, "payer": "first"}]
    async with world.database.transaction() as tx:
        await load_practice(tx, practice_file(coverages=coverages))
        facts = await claim_facts(tx, world.claims[0])
    assert facts.coverage is not None
    assert (facts.coverage.payer, facts.coverage.priority) == ("second", 2)
    assert facts.contracts == ()


async def test_a_plan_counts_only_while_it_is_valid(world: World) -> None:
    plans = practice_data()["treatment_plans"]
    plans[0]["valid_to"] = "2026-02-02"
    renewed = {**plans[1], "ref": "renewed", "signed_at": "2026-02-01T08:00:00-06:00"}
    async with world.database.transaction() as tx:
        await load_practice(tx, practice_file(treatment_plans=[*plans, renewed]))
        assert (await claim_facts(tx, world.claims[0])).plan is None
        plan = (await claim_facts(tx, world.claims[1])).plan
    assert plan is not None
    assert plan.ref == "renewed"


async def test_other_services_count_on_their_own_day_only(world: World) -> None:
    service = {
        "patient": "P01",
        "code": "90834",
        "starts_at": "2026-02-03T23:30:00-06:00",  # the 4th in UTC, the 3rd where it happened
        "ends_at": "2026-02-03T23:59:00-06:00",
    }
    day_after = {
        **service,
        "code": "90837",
        "starts_at": "2026-02-04T00:10:00-06:00",
        "ends_at": "2026-02-04T01:00:00-06:00",
    }
    extra = session_data("S2", ["P01", "P02"]) | {"other_services": [service, day_after]}
    async with world.database.transaction() as tx:
        await add_sessions(tx, sessions(extra).root, NOW)
        facts = await claim_facts(tx, world.claims[0])
        other = await claim_facts(tx, world.claims[1])
    assert [item.code for item in facts.other_services] == ["90834"]
    assert other.other_services == ()


def _authorization(**changes: object) -> Authorization:
    data = {
        "patient": "P01",
        "payer": "first",
        "number": "AUTH1",
        "codes": ["90853"],
        "units": 10,
        "from": "2026-02-01",
        "to": "2026-04-30",
    }
    return parse(Authorization, data | changes, "authorization")


async def test_an_authorization_is_recorded_and_corrected(world: World) -> None:
    async with world.database.transaction() as tx:
        first = await record_authorization(tx, _authorization())
        again = await record_authorization(tx, _authorization())
        more = await record_authorization(tx, _authorization(units=12))
        facts = await claim_facts(tx, world.claims[0])
        other = await claim_facts(tx, world.claims[1])
    assert (first.added, again.unchanged, more.changed) == (1, 1, 1)
    assert first.patients == more.patients == (world.patients[0],)
    assert [item.units for item in facts.authorizations] == [12]
    assert other.authorizations == ()


async def test_an_authorization_of_strangers_is_refused(world: World) -> None:
    with pytest.raises(InputRefused) as refused:
        async with world.database.transaction() as tx:
            await record_authorization(tx, _authorization(patient="x", payer="y", clinician="z"))
    assert refused.value.problems == [
        "authorization.patient: no such record",
        "authorization.payer: no such record",
        "authorization.clinician: no such record",
    ]


async def test_the_newest_eligibility_answer_counts(world: World) -> None:
    def answer(hours: int, member_id: str) -> EligibilityAnswer:
        return EligibilityAnswer(
            active=True,
            member_known=True,
            authorization_required="N",
            member_id=member_id,
            checked_at=NOW + timedelta(hours=hours),
            asked="first",
            asked_member_id=f"{PLANTED[2]}P01",
        )

    async with world.database.transaction() as tx:
        for hours, member in ((1, "A1"), (3, "B2"), (2, "C3")):
            await record_eligibility(tx, world.claims[0], answer(hours, member))
        facts = await claim_facts(tx, world.claims[0])
    assert facts.eligibility is not None
    assert facts.eligibility.member_id == "B2"


async def test_a_signed_note_is_news_once(world: World) -> None:
    row = (world.session_id, world.patients[0])
    async with world.database.transaction() as tx:
        assert await record_note_signed(tx, *row, NOW, "d1")
        assert not await record_note_signed(tx, *row, NOW, "d1")
        assert not await record_note_signed(tx, *row, NOW, None)  # told again without its text
        assert not await record_note_signed(tx, *row, NOW, "d1")
        assert await record_note_signed(tx, *row, NOW, "d2")
        assert (await claim_facts(tx, world.claims[0])).note_signed_at == NOW


async def test_connections_and_payers_are_read_by_opaque_id(world: World) -> None:
    async with world.database.reading() as reading:
        assert await connection_ids(reading) == (world.connection_id,)
        assert (await read_connection(reading, world.connection_id)).receiver_id == "RECEIVER"
        payer = await read_payer(reading, reading.keyring.payer_key("second"))
    assert payer.payer_id == "SECOND1"


async def test_ids_tell_nothing_without_the_key(world: World) -> None:
    keys, others = world.database.keyring, Keyring.generate()
    assert world.session_id == keys.session_id("S1") != others.session_id("S1")
    assert world.patients[0] == keys.patient_id("P01") != others.patient_id("P01")
    for known in (*world.patients, world.session_id, world.connection_id):
        assert re.fullmatch("[spc][a-z2-7]{16}", known)
    for number in world.claims:
        assert re.fullmatch("GC[0-9A-Z]{11}", number)


# --- coverage found late, and another order of payers

FIRST = {
    "patient": "P01",
    "payer": "first",
    "priority": 1,
    "member_id": "M1",
    "relationship": "self",
    "from": "2025-01-01",
}
SECOND = {**FIRST, "payer": "second", "member_id": "M2"}
CHANGE = date(2026, 2, 1)


async def billed_on(world: World, day: date) -> list[str]:
    async with world.database.reading() as reading:
        return [cover.payer for cover in await coverages(reading, world.patients[0], day)]


async def record(world: World, given: dict[str, object], *, insert: bool = False) -> None:
    async with world.database.transaction() as tx:
        await record_coverage(tx, parse(Coverage, given, "coverage"), insert=insert)


async def order(world: World, *payers: str, since: date = CHANGE) -> tuple[str, ...]:
    async with world.database.transaction() as tx:
        return (await order_coverages(tx, "P01", payers, since)).patients


async def test_a_coverage_found_to_be_the_first_moves_the_others_down(world: World) -> None:
    found = {**SECOND, "from": "2026-02-01"}
    with pytest.raises(InputRefused, match="--insert"):
        await record(world, found)
    await record(world, found, insert=True)
    assert await billed_on(world, date(2026, 1, 31)) == ["first"]
    assert await billed_on(world, CHANGE) == ["second", "first"]
    await record(world, found, insert=True)  # the same again changes nothing
    assert await billed_on(world, CHANGE) == ["second", "first"]


async def test_payers_change_places_from_a_day_on(world: World) -> None:
    await record(world, {**SECOND, "priority": 2})
    assert await order(world, "second", "first") == (world.patients[0],)
    assert await billed_on(world, date(2026, 1, 31)) == ["first", "second"]
    assert await billed_on(world, CHANGE) == ["second", "first"]
    assert await order(world, "second", "first") == ()
    # Back again from the same day: nothing of the other order is left.
    await order(world, "first", "second")
    assert await billed_on(world, CHANGE) == ["first", "second"]
    assert await billed_on(world, date(2030, 1, 1)) == ["first", "second"]


async def test_an_order_names_every_coverage_once(world: World) -> None:
    await record(world, {**SECOND, "priority": 2})
    with pytest.raises(InputRefused) as refused:
        await order(world, "second", "second", "third")
    assert refused.value.problems == [
        "payers[1]: named twice",
        "payers[2]: no coverage of it from that day on",
        "payers: 1 with a coverage from that day on left out",
    ]
    async with world.database.transaction() as tx:
        with pytest.raises(InputRefused, match="patient: no coverage from that day on"):
            await order_coverages(tx, "P99", ["first"], CHANGE)
