"""The figures that operations watch, with faults planted: worked out by hand, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

from sqlalchemy import insert, select, text, update

from groupclaim.store import audit, claims, denials, ledger, people, samples, watch, work
from groupclaim.store.keys import Keyring
from groupclaim.store.schema import audited_line as line
from groupclaim.store.schema import batch, claim, dispute_case, x12_file
from tests.store.world import NOW, World, make_ready, paid, payment, post, send_all, version_of

LATER = NOW + timedelta(days=40)
FIRST = datetime(2000, 1, 1, tzinfo=UTC)


async def often(world: World, at: datetime = LATER) -> dict[watch.Family, watch.Samples]:
    async with world.database.reading() as reading:
        return await watch.often(reading, at)


async def seldom(world: World) -> dict[watch.Family, watch.Samples]:
    async with world.database.reading() as reading:
        return await watch.seldom(reading, LATER)


async def test_where_nothing_is_wrong_what_must_not_be_is_told_as_zero(world: World) -> None:
    figures = await often(world)
    for family in (
        watch.READY, watch.READY_AGE, watch.UNACKNOWLEDGED, watch.ACKNOWLEDGMENT_OVERDUE,
        watch.FILE_PROBLEMS, watch.SUSPENDED, watch.SUSPENSE_AGE, watch.UNAPPLIED,
        watch.EMERGENCIES,
    ):  # fmt: skip
        assert figures[family] == {(): 0.0}, family
    assert sum(figures[watch.CLAIMS].values()) == len(world.claims)
    assert figures[watch.SESSIONS] == {("open",): 1.0}
    assert set(await seldom(world)) <= set(watch.FAMILIES)


async def test_a_batch_without_an_acknowledgment(world: World) -> None:
    """Taken on NOW, its 999 due two days later, looked at after forty: 38 days overdue."""
    await send_all(world)
    async with world.database.transaction() as tx:
        await tx.execute(update(batch).values(next_at=NOW + timedelta(days=2)))
    figures = await often(world)
    assert figures[watch.UNACKNOWLEDGED] == {(): 1.0}
    assert figures[watch.ACKNOWLEDGMENT_OVERDUE] == {(): 38 * 86_400.0}
    assert figures[watch.BATCHES] == {("accepted",): 1.0}


async def test_silent_claims_and_deadlines_by_range(world: World) -> None:
    """Six claims sent: 40 days in their stage is 31-45. Due: one past, two tomorrow, three in 9
    days."""
    await send_all(world)
    due = dict(zip(world.claims, (-1, 1, 1, 9, 9, 9), strict=True))
    async with world.database.transaction() as tx:
        for number, days in due.items():
            await tx.execute(
                update(claim)
                .where(claim.c.claim_number == number)
                .values(stage="accepted", since=NOW, due_at=LATER + timedelta(days=days))
            )
    figures = await often(world)
    payer = next(iter(figures[watch.AWAITING]))[0]
    assert sum(n for (_, age), n in figures[watch.AWAITING].items() if age == "31-45") == 6
    left = {"overdue": 0.0, "0-2": 0.0, "8-30": 0.0}
    for (_, days), count in figures[watch.DEADLINES].items():
        left[days] += count
    assert left == {"overdue": 1, "0-2": 2, "8-30": 3}
    # 45 days and some hours are still 45; the day after is beyond.
    at = NOW + timedelta(days=45, hours=23)
    assert (payer, "31-45") in (await often(world, at))[watch.AWAITING]
    at = NOW + timedelta(days=46, hours=1)
    assert (payer, "46+") in (await often(world, at))[watch.AWAITING]


async def test_the_queue_of_ready_claims(world: World) -> None:
    async with world.database.transaction() as tx:
        await make_ready(tx, world, world.claims[0])
    figures = await often(world, NOW + timedelta(hours=30))
    assert figures[watch.READY] == {(): 1.0}
    assert figures[watch.READY_AGE] == {(): 30 * 3600.0}


async def test_held_claims_by_who_must_act_and_what_is_at_risk(world: World) -> None:
    """One billed claim of 65.00 held whole, one made and not billed, one that is not made yet and
    whose work item says 70.00 (and that had another hold before), one unknown."""
    await send_all(world, world.claims[:1])
    async with world.database.transaction() as tx:
        await claims.make_version(tx, version_of(world.claims[1]), NOW)
        for number, code in zip(
            world.claims, ("DENIED", "NOTE_UNSIGNED", "NOT_A_HOLD", "NOTE_INCOMPLETE"), strict=False
        ):
            await tx.execute(
                update(claim)
                .where(claim.c.claim_number == number)
                .values(
                    hold_code=code,
                    held_since=NOW,
                    **({"version": 1} if code in ("DENIED", "NOTE_UNSIGNED") else {}),
                )
            )
        for code, cents in (("NOTE_UNSIGNED", 7100), ("NOTE_INCOMPLETE", 7000)):
            await work.open_item(
                tx,
                work.Task(
                    kind="hold", subject=world.claims[3], key=code, code=code, queue="clinician",
                    cents=cents, due_at=None, claim_number=world.claims[3],
                ),
                NOW,
            )  # fmt: skip
    figures = await often(world)
    risk = {code: dollars for (_, code), dollars in figures[watch.AT_RISK].items()}
    assert risk == {
        "DENIED": 65.0,
        "NOTE_UNSIGNED": 65.0,
        "NOT_A_HOLD": 0.0,
        "NOTE_INCOMPLETE": 70.0,
    }
    assert figures[watch.WORK_ITEMS] == {("clinician", "hold", "open"): 2.0}


async def test_what_became_of_what_was_charged_adds_up(world: World) -> None:
    """Two claims of 65.00 billed; of one 40.00 paid, 15.00 contract, 10.00 the patient's."""
    await send_all(world, world.claims[:2])
    cuts = (("CO", "45", 1500), ("PR", "2", 1000))
    await post(world, payment(paid(world.claims[0], 4000, *cuts)))
    figures = await often(world)
    parts = {part: dollars for (_, part), dollars in figures[watch.CLAIM_DOLLARS].items()}
    assert parts == {
        "charge": 130.0, "paid": 40.0, "contractual": 15.0, "patient": 10.0, "open": 65.0,
    }  # fmt: skip
    assert sum(figures[watch.RECEIVABLE].values()) == 65.0
    assert {key[1] for key in figures[watch.RECEIVABLE]} == {"31-60"}
    decided = figures[watch.DECISIONS]
    assert [decision for (_, decision), count in decided.items() if count] == ["applied"]
    assert sum(decided.values()) == 1.0
    billed = {payer for payer, *_ in figures[watch.CLAIMS]}
    assert set(decided) == set(product(billed, ("applied", "denied"))), "seen before it decides"


async def test_a_payment_that_does_not_balance_stands_in_suspense(world: World) -> None:
    await send_all(world, world.claims[:1])
    await post(world, payment(paid(world.claims[0], 4000, ("CO", "45", 2500)), amount=4001))
    figures = await often(world)
    assert figures[watch.SUSPENDED] == {(): 1.0}
    assert figures[watch.SUSPENDED_DOLLARS] == {(): 40.01}
    assert figures[watch.SUSPENSE_AGE] == {(): 40 * 86_400.0}


async def test_money_without_a_claim(world: World) -> None:
    await post(world, payment(paid("GC00000000000", 4000, ("CO", "45", 2500))))
    figures = await often(world)
    assert figures[watch.UNAPPLIED] == {(): 1.0}
    assert figures[watch.UNAPPLIED_DOLLARS] == {(): 40.0}


async def test_lines_paid_short_by_payer_and_pattern(world: World) -> None:
    """Short by 6.05 and 3.00, of which 1.00 has come since; one of a closed case does not count."""
    await send_all(world, world.claims[:3])
    await post(world, payment(paid(world.claims[0], 4000, ("CO", "45", 2500))))
    async with world.database.transaction() as tx:
        key = await tx.scalar(text("SELECT payer_key FROM claim LIMIT 1"))
        remittance_id = await tx.scalar(text("SELECT MAX(id) FROM remittance"))
        await tx.execute(
            insert(dispute_case).values(
                id=1, kind="underpayment", payer_key=key, code="90853", pattern="unexplained",
                state="closed", opened_at=NOW, follow_ups=0, outcome="recovered", closed_at=NOW,
            )
        )  # fmt: skip
        for position, (short, got, case_id) in enumerate(
            ((605, 0, None), (300, 100, None), (500, 0, 1))
        ):
            await tx.execute(
                insert(line).values(
                    claim_number=world.claims[0], remittance_id=remittance_id, claim_position=1,
                    line_position=position, pattern="unexplained", code="90853",
                    charge_cents=6500, expected_cents=5000, allowed_cents=5000 - short,
                    shortfall_cents=short, recovered_cents=got, working="by hand",
                    paid_on=NOW.date(), limit_on=LATER.date(), audited_at=NOW, case_id=case_id,
                )
            )  # fmt: skip
    figures = await often(world)
    assert figures[watch.UNDERPAID_LINES] == {(key, "unexplained"): 2.0}
    assert figures[watch.UNDERPAID_DOLLARS] == {(key, "unexplained"): 8.05}
    assert figures[watch.DISPUTES] == {(key, "underpayment", "closed"): 1.0}


async def test_an_emergency_access_and_a_file_nobody_could_read(world: World) -> None:
    await send_all(world, world.claims[:1])
    async with world.database.transaction() as tx:
        account = people.Account(name="on-call")
        await people.add_user(tx, account, people.Role.BILLER, NOW)
        person = await people.find(tx, "on-call")
        assert person is not None
        await people.begin_emergency(tx, person.id, "the supervisor cannot be reached", LATER)
        await tx.execute(update(x12_file).values(problem="read_file: Unreadable", problem_at=NOW))
    figures = await often(world, LATER + timedelta(minutes=5))
    assert figures[watch.EMERGENCIES] == {(): 1.0}
    assert figures[watch.FILE_PROBLEMS] == {(): 1.0}
    assert (await often(world, LATER + timedelta(days=1)))[watch.EMERGENCIES] == {(): 0.0}


async def test_the_audit_log_unsealed_broken_and_without_its_key(world: World) -> None:
    async with world.database.transaction() as tx:
        await audit.record(tx, NOW, "someone", "look", "claim")
        await audit.seal(tx, NOW)
    sealed = await often(world)
    assert sealed[watch.UNSEALED_AGE] == {(): 0.0}
    async with world.database.transaction() as tx:
        await audit.record(tx, NOW + timedelta(days=39), "someone", "look", "claim")
    unsealed = await often(world)
    assert unsealed[watch.UNSEALED_AGE] == {(): 86_400.0}
    assert (await seldom(world))[watch.AUDIT_INTACT] == {(): 1.0}

    own = world.database.keyring
    world.database.keyring = Keyring.generate()
    without = await seldom(world)
    world.database.keyring = own
    assert without == {watch.KEYS_MISSING: {(): 1.0}}

    async with world.database.transaction() as tx:
        where = "audit_seal WHERE number = 1"
        if tx.connection.dialect.name == "sqlite":
            await tx.execute(text("DROP TRIGGER audit_seal_no_delete"))
        else:
            await tx.execute(text("ALTER TABLE audit_seal DISABLE TRIGGER USER"))
        await tx.execute(text(f"DELETE FROM {where}"))
        await tx.execute(text("UPDATE batch SET sends = sends"))
        await audit.seal(tx, NOW)
        if tx.connection.dialect.name == "sqlite":
            await tx.execute(text("DROP TRIGGER audit_seal_no_update"))
        await tx.execute(text("UPDATE audit_seal SET head = 'forged'"))
    assert (await seldom(world))[watch.AUDIT_INTACT] == {(): 0.0}


async def test_how_long_claims_take_is_counted_once_for_each(world: World) -> None:
    """The session began at 18:00 on NOW's day in the sample; money came at once."""
    await send_all(world, world.claims[:2])
    await post(world, payment(paid(world.claims[0], 4000, ("CO", "45", 2500))))
    async with world.database.reading() as reading:
        sent = await watch.taken_to_send(reading, FIRST)
        cash = await watch.taken_to_cash(reading, FIRST)
        assert await watch.taken_to_cash(reading, LATER) == []
        assert await ledger.verify(reading) == ()
    assert len(sent) == len({item.row for item in sent}) == 2
    assert [(item.row, item.seconds, item.at) for item in cash] == [(world.claims[0], 0.0, NOW)]


async def test_denials_by_category_cause_and_what_became_of_them(world: World) -> None:
    """Four denials. P01 is denied twice, corrected and then paid 27.00: the last one is overturned.
    P02 is written off unpaid; P03 is open, and its 10.00 are recovered but nothing has ended."""
    await send_all(world)
    numbers = world.claims
    async with world.database.transaction() as tx:
        await ledger.book_charges(tx, [(number, 1) for number in numbers], NOW)

    async def denied(number: str, version: int, cause: str, category: str) -> None:
        async with world.database.transaction() as tx:
            key = await tx.scalar(select(claim.c.payer_key).where(claim.c.claim_number == number))
            of = denials.Cause("claim", number, key, cause, category, None)
            plan = {"rule": "r", "playbook": "p", "who": "biller"}
            await denials.open_denial(tx, number, version, of, 6500, NOW.date(), plan, NOW)

    async def ends(number: str, which: int, outcome: denials.Outcome, days: int) -> None:
        async with world.database.transaction() as tx:
            await denials.conclude(tx, number, which, outcome, NOW + timedelta(days=days))

    await denied(numbers[0], 1, "CO-4", "coding")
    await ends(numbers[0], 1, "corrected", 1)
    await denied(numbers[0], 2, "CO-197", "authorization")
    await post(world, payment(paid(numbers[0], 2700, ("CO", "45", 3800)), trace="T1"), "one")
    await ends(numbers[0], 2, "paid", 5)
    await denied(numbers[1], 1, "CO-197", "authorization")
    await ends(numbers[1], 1, "written_off", 3)
    await denied(numbers[2], 1, "CO-197", "authorization")
    await post(world, payment(paid(numbers[2], 1000, ("CO", "45", 5500)), trace="T2"), "two")

    figures = await often(world)
    ((payer, _),) = {key[:2] for key in figures[watch.DENIALS] if key[1] == "coding"}
    assert figures[watch.DENIALS] == {
        (payer, "coding", "corrected"): 1.0,
        (payer, "authorization", "paid"): 1.0,
        (payer, "authorization", "written_off"): 1.0,
        (payer, "authorization", "open"): 1.0,
    }
    assert figures[watch.DENIALS_BY_CAUSE] == {("CO-4",): 1.0, ("CO-197",): 3.0}
    assert figures[watch.DENIED_DOLLARS] == {
        (payer, "coding"): 65.0, (payer, "authorization"): 195.0,
    }  # fmt: skip
    assert figures[watch.DENIALS_OVERTURNED] == {
        (payer, "coding"): 0.0, (payer, "authorization"): 1.0,
    }  # fmt: skip
    assert figures[watch.DENIAL_RECOVERED] == {
        (payer, "coding"): 0.0, (payer, "authorization"): 37.0,
    }  # fmt: skip
    async with world.database.reading() as reading:
        taken = await watch.taken_to_conclude(reading, FIRST)
        later = await watch.taken_to_conclude(reading, NOW + timedelta(days=4))
    day = 86_400.0
    assert sorted(item.seconds for item in taken) == [day, 3 * day, 5 * day]
    assert [(item.row, item.payer) for item in later] == [(f"{numbers[0]}/2", payer)]


async def test_the_error_rate_of_the_newest_sample_that_somebody_has_looked_at(
    world: World,
) -> None:
    """Four billed claims, two of them drawn in proportion. One of two is wrong: Clopper-Pearson
    gives 1 - sqrt(0.975) to sqrt(0.975). A newer sample says nothing before its first review."""
    await send_all(world, world.claims[:4])
    async with world.database.transaction() as tx:
        await ledger.book_charges(tx, [(number, 1) for number in world.claims[:4]], NOW)
    figures = await often(world)
    assert (figures[watch.SAMPLED], figures[watch.SAMPLE_ERRORS]) == ({}, {})

    async def drawn(seed: str, days: int) -> tuple[str, list[str]]:
        first, last = date(2026, 2, 1), date(2026, 2, 28)
        async with world.database.transaction() as tx:
            at = NOW + timedelta(days=days)
            sample = await samples.draw_sample(tx, seed, 4, first, last, "R. Lee", at)
            found = await samples.read_sample(tx, sample)
        return sample, [one.claim_number for one in found.claims]

    async def reviewed(sample: str, number: str, found: samples.Found) -> None:
        async with world.database.transaction() as tx:
            await samples.review(tx, sample, number, found, "S. Park", NOW)

    sample, (one, two) = await drawn("Q1", 0)
    figures = await often(world)
    assert figures[watch.SAMPLED] == {("representative", "open"): 2.0}
    assert figures[watch.SAMPLE_ERRORS] == {}
    await reviewed(sample, one, "ok")
    await reviewed(sample, two, "error")
    newer, (first, _) = await drawn("Q2", 1)
    figures = await often(world)
    assert figures[watch.SAMPLED] == {("representative", "open"): 2.0}
    rounded = {key: round(value, 4) for key, value in figures[watch.SAMPLE_ERRORS].items()}
    assert rounded == {("found",): 0.5, ("low",): 0.0126, ("high",): 0.9874}
    # One claim that is right: 0 to 1 - 0.025.
    await reviewed(newer, first, "ok")
    figures = await often(world)
    assert figures[watch.SAMPLED] == {
        ("representative", "ok"): 1.0,
        ("representative", "open"): 1.0,
    }
    rounded = {key: round(value, 4) for key, value in figures[watch.SAMPLE_ERRORS].items()}
    assert rounded == {("found",): 0.0, ("low",): 0.0, ("high",): 0.975}
