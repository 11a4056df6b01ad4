"""Posting against a model of what an 835 means: payments of two payers, reversals, corrections,
duplicates, provider adjustments, people's decisions, in any order, and a worker that dies before or
after any commit. However it came, the books balance and say what the model says.

The model knows the 835 and nothing of our code. A claim has decisions in force; what is open is
worked out from them anew each time. The first payer pays, takes off and leaves a share; the second
takes that share over and leaves its own. Whatever cannot be in force yet waits, the oldest first.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from activities import steps
from activities.remittance import Remittances
from groupclaim import x12
from groupclaim.store import files, ledger, unapplied
from groupclaim.store.database import Database, Transaction, migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.ledger import Account
from groupclaim.store.schema import remittance
from tests.store.world import (
    NOW,
    World,
    bill_second,
    load_world,
    paid,
    payment,
    send_all,
    trial_balance,
)
from tests.x12.examples import envelope

CHARGE = 6500


@dataclass(frozen=True)
class Decision:
    """What a payer says of a claim of 65.00. ``off`` is CO-45 of the first payer, and CO-45 of the
    second beside its OA-23, which is what the first made of the charge; ``rest`` is explained by
    nobody. The parts make the charge."""

    place: int
    paid: int
    off: int
    share: int
    sequestration: int = 0
    prior: int = 0
    rest: int = 0
    denied: bool = False

    def __post_init__(self) -> None:
        parts = (self.paid, self.off, self.share, self.sequestration, self.prior, self.rest)
        assert sum(parts) == CHARGE


DECISIONS = {
    "paid": Decision(1, 2419, 3415, 617, sequestration=49),
    "more": Decision(1, 3000, 2500, 700, rest=300),
    "deductible": Decision(1, 0, 3415, 3085),
    "denied": Decision(1, 0, 0, 0, rest=CHARGE, denied=True),
    "second": Decision(2, 417, 0, 200, prior=5883),
    "second_more": Decision(2, 500, 200, 0, prior=5800),
    "second_nothing": Decision(2, 0, 617, 0, prior=5883),
    "second_denied": Decision(2, 0, 0, 0, rest=CHARGE, denied=True),
}


@dataclass(frozen=True)
class Said:
    """One claim of a payment. ``claim`` is which of ours; ``stranger``: under a number nobody knows
    (what a person is told then must say by its amounts alone what it takes back)."""

    claim: int
    name: str
    back: bool = False
    stranger: bool = False

    @property
    def decision(self) -> Decision:
        return DECISIONS[self.name]

    @property
    def cents(self) -> int:
        return -self.decision.paid if self.back else self.decision.paid

    def written(self, world: World) -> x12.ClaimPayment:
        said, number = self.decision, world.claims[self.claim]
        cuts = [
            ("OA", "23", said.prior),
            ("CO", "45", said.off),
            ("CO", "253", said.sequestration),
            ("PR", "2", said.share),
            ("CO", "197", said.rest) if said.place == 1 else ("PI", "22", said.rest),
        ]
        # The first claim was billed to the second payer too; the other comes to it by crossover.
        billed_itself = said.place == 2 and self.claim == 0
        item = paid(
            number,
            said.paid,
            *(cut for cut in cuts if cut[2]),
            version=2 if billed_itself else 1,
            status="2" if said.place == 2 and not billed_itself else "4" if said.denied else "1",
            payer_claim_number=f"ICN-{self.claim}-{self.name}",
        )  # fmt: skip
        if self.back:
            item = _mirrored(item)
        if self.stranger:
            item = replace(item, control_number="X-1", payer_claim_number="")
        return item


def _mirrored(item: x12.ClaimPayment) -> x12.ClaimPayment:
    (line,) = item.lines
    cuts = tuple(replace(cut, cents=-cut.cents) for cut in line.adjustments)
    return replace(
        item,
        status="22",
        charge_cents=-item.charge_cents,
        paid_cents=-item.paid_cents,
        patient_responsibility_cents=-item.patient_responsibility_cents,
        lines=(
            replace(
                line,
                charge_cents=-line.charge_cents,
                paid_cents=-line.paid_cents,
                adjustments=cuts,
            ),
        ),
    )


@dataclass(frozen=True)
class Remitted:
    """One payment: its claims and what is kept from it for none of them (PLB). ``off`` makes it a
    cent short; payments with the same ``trace`` are copies, or suspect."""

    claims: tuple[Said, ...]
    withheld: tuple[tuple[str, int], ...]
    trace: str
    off: bool

    @property
    def cents(self) -> int:
        return sum(item.cents for item in self.claims) - sum(cents for _, cents in self.withheld)

    def written(self, world: World) -> bytes:
        whole = payment(
            *(item.written(world) for item in self.claims),
            trace=self.trace,
            withheld=self.withheld,
            amount=self.cents + self.off,
        )
        return x12.build_835(envelope(), (whole,), 1)


WHERE_IT_BELONGS = {
    "WO": Account.TAKEBACK,
    "FB": Account.TAKEBACK,
    "72": Account.TAKEBACK,
    "L6": Account.INTEREST,
    "IR": Account.WITHHELD,
    "J1": Account.OTHER_ADJUSTMENT,
    "CS": Account.UNAPPLIED,
    "ZZ": Account.UNAPPLIED,
}
"""005010X221A1, PLB03-1: recoveries, interest, tax withheld; what only a letter explains waits."""


# --- the model


@dataclass(eq=False)
class Entry:
    """``state``: waiting, in force (or refused: decided, and nothing moves), gone or returned."""

    said: Said
    claim: int | None
    state: str = "new"
    since: int = 0


@dataclass
class Model:
    known: dict[str, Remitted] = field(default_factory=dict)
    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    accounts: Counter[Account] = field(default_factory=Counter)
    settled: set[tuple[str, int]] = field(default_factory=set)
    happened: int = 0

    def deliver(self, item: Remitted) -> None:
        if item.trace in self.known:
            return  # the same again, or another payment of that name: suspense
        self.known[item.trace] = item
        if item.off:
            return
        self.accounts[Account.DEPOSITS] += item.cents
        for code, cents in item.withheld:
            self.accounts[WHERE_IT_BELONGS[code]] += cents
        mine = [Entry(said, None if said.stranger else said.claim) for said in item.claims]
        self.entries |= {(item.trace, n): entry for n, entry in enumerate(mine, 1)}
        # The payer may name a correction before the reversal that makes room for it.
        for entry in mine:
            if entry.said.back:
                self._find_place(entry)
        for entry in mine:
            first = entry.said.decision.place == 1
            if not entry.said.back and first and entry.state == "new":
                self._find_place(entry)
        self._settle()

    def _settle(self) -> None:
        """What waits finds its place, the oldest first, and last what has just come."""
        self._find_places("waiting", "new")
        new = [entry for entry in self.entries.values() if entry.state == "new"]
        for entry in new:
            entry.state = "waiting"
        if new:
            self._find_places("waiting")

    def _find_places(self, *states: str) -> None:
        while any(
            self._find_place(entry) for entry in self.entries.values() if entry.state in states
        ):
            pass

    def of(self, claim: int | None, place: int, *states: str) -> list[Entry]:
        found = [
            entry
            for entry in self.entries.values()
            if entry.claim == claim
            and entry.state in states
            and not entry.said.back
            and entry.said.decision.place == place
        ]
        return sorted(found, key=lambda entry: entry.since)

    def _find_place(self, entry: Entry, *, forced: bool = False) -> bool:
        said, claim = entry.said, entry.claim
        place = said.decision.place
        if claim is None:
            return False
        if said.back:
            return self._take_back(entry)
        if place == 1 and said.decision.denied:
            entry.state = "refused"
            return True
        if self.of(claim, place, "in force") and not forced:
            return False
        if place == 2:
            if not self.of(claim, 1, "in force", "refused"):
                return False
            entry.state = "refused" if said.decision.denied else "in force"
        else:
            entry.state = "in force"
            self._rest_anew(claim)
        self.happened += 1
        entry.since = self.happened
        return True

    def _take_back(self, entry: Entry) -> bool:
        # By the payer's number for it where the reversal has one, else by what it says.
        by_number = (False, True) if not entry.said.stranger else (None,)
        alike = [
            other
            for stranger in by_number
            for state in ("in force", "refused", "waiting")
            for other in reversed(self.entries.values())
            if other.claim == entry.claim
            and other.state == state
            and not other.said.back
            and other.said.name == entry.said.name
            and stranger in (None, other.said.stranger)
        ]
        if not alike:
            return False
        before, entry.state = alike[0], "gone"
        decided = before.state != "waiting"
        before.state = "gone"
        if decided and before.said.decision.place == 1:
            self._rest_anew(entry.claim)
        return True

    def _rest_anew(self, claim: int | None) -> None:
        """What the second payer paid rested on what the first decided: it has to find its place
        again."""
        for later in self.of(claim, 2, "in force"):
            later.state = "waiting"

    def assign(self, key: tuple[str, int], claim: int) -> None:
        entry = self.entries[key]
        if entry.state != "waiting":
            return
        before, entry.claim = entry.claim, claim
        if not self._find_place(entry, forced=True):
            entry.claim = before
            return
        self._settle()

    def give_back(self, key: tuple[str, int]) -> None:
        entry = self.entries[key]
        if entry.state == "waiting" and entry.said.cents > 0:
            entry.state = "returned"
            self.accounts[Account.PAYER_REFUNDS] -= entry.said.cents

    def settle(self, key: tuple[str, int]) -> None:
        trace, place = key
        code, cents = self.known[trace].withheld[place - 1]
        waits = WHERE_IT_BELONGS[code] is Account.UNAPPLIED and not self.known[trace].off
        if waits and key not in self.settled:
            self.settled.add(key)
            self.accounts[Account.UNAPPLIED] -= cents
            self.accounts[Account.INTEREST] += cents

    def standing(self, claim: int) -> dict[str, int]:
        """What is open, and what was taken off, from the decisions in force alone."""
        payer, patient = CHARGE, 0
        off = sequestration = 0
        for entry in self.of(claim, 1, "in force"):
            said = entry.said.decision
            payer -= said.paid + said.off + said.sequestration + said.share
            patient += said.share
            off += said.off
            sequestration += said.sequestration
        for entry in self.of(claim, 2, "in force"):
            said = entry.said.decision
            before = CHARGE - payer - patient
            new = max(0, min(said.prior + said.off - before, said.off))
            payer += patient - said.paid - new - said.share
            patient = said.share
            off += new
        return {"payer": payer, "patient": patient, "off": off, "sequestration": sequestration}

    @property
    def unapplied(self) -> int:
        return sum(e.said.cents for e in self.entries.values() if e.state == "waiting")


# --- crashes


class Died(Exception):
    """The worker died at this moment."""


class Mortal:
    """A database whose user dies as planned: 1 before a commit, 2 after it."""

    def __init__(self, database: Database, plan: Iterator[int]) -> None:
        self._database = database
        self._plan = plan
        self.reading = database.reading

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        fate = next(self._plan, 0)
        async with self._database.transaction() as tx:
            yield tx
            if fate == 1:
                raise Died
        if fate == 2:
            raise Died


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        except Died:
            continue


class Office:
    """The practice's side: what it does with a file and what a person decides, as the product does
    it, each again until it is done."""

    def __init__(self, world: World, database: Database, plan: list[int]) -> None:
        self._world = world
        self.database = cast(Database, Mortal(database, iter(plan)))
        outside = cast(Any, SimpleNamespace(database=self.database))
        self._desk = Remittances(outside, cast(Any, None))
        self._names = count(1)

    async def deliver(self, item: Remitted) -> None:
        # Another interchange number makes another file of it, as when a clearinghouse sends twice.
        content = item.written(self._world).replace(b"000000001", b"%09d" % next(self._names))

        async def work() -> None:
            async with self.database.transaction() as tx:
                digest = await files.keep_file(
                    tx, self._world.connection_id, "inbound", "835", "era", content, NOW
                )
            ref = steps.FileRef(digest=digest, connection_id=self._world.connection_id)
            registered = await self._desk.register_remittances(ref)
            for key in registered.new:
                await self._desk.post_remittance(steps.RemittanceRef(remittance_id=key))

        await _until_done(work)

    async def decide(
        self, trace: str, work: Callable[[Transaction, int], Awaitable[object]]
    ) -> None:
        async def once() -> None:
            async with self.database.transaction() as tx:
                posted = select(remittance.c.id).filter_by(trace=trace, state="posted")
                key = await tx.scalar(posted)
                if key is not None:
                    await work(tx, key)

        try:
            await _until_done(once)
        except unapplied.CannotClear:
            return


# --- playing

SAID = st.builds(
    Said,
    claim=st.integers(0, 1),
    name=st.sampled_from([*DECISIONS, "paid", "second"]),
    back=st.sampled_from([False, False, True]),
    stranger=st.sampled_from([False, False, False, True]),
).filter(lambda said: not said.stranger or said.decision.paid > 0)
WITHHELD = st.tuples(st.sampled_from(sorted(WHERE_IT_BELONGS)), st.sampled_from([127, -500]))
PAYMENTS = st.lists(
    st.tuples(
        st.lists(SAID, min_size=1, max_size=3),
        st.lists(WITHHELD, max_size=2),
        st.sampled_from([None, None, None, "SHARED"]),
        st.sampled_from([False] * 5 + [True]),
    ),
    min_size=2,
    max_size=5,
).map(
    lambda drawn: [
        Remitted(tuple(said), tuple(withheld), shared or f"T{n}", off and not shared)
        for n, (said, withheld, shared, off) in enumerate(drawn)
    ]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deliver"] * 5 + ["assign", "assign", "return", "settle"]),
        st.integers(0, 4),
        st.integers(1, 3),
        st.integers(0, 1),
    ),
    min_size=3,
    max_size=14,
)
DEATHS = st.lists(st.sampled_from([0, 0, 1, 2]), max_size=30)


async def _play(
    world: World,
    office: Office,
    model: Model,
    payments: list[Remitted],
    step: tuple[str, int, int, int],
) -> None:
    what, which, position, claim = step
    item = payments[which % len(payments)]
    if what == "deliver":
        await office.deliver(item)
        model.deliver(item)
        return
    if item.trace not in model.known or model.known[item.trace].off:
        return
    item = model.known[item.trace]
    if what == "settle":
        if not item.withheld:
            return
        place = (position - 1) % len(item.withheld) + 1
        await office.decide(
            item.trace,
            lambda tx, key: unapplied.settle_provider_adjustment(
                tx, key, place, Account.INTEREST, NOW
            ),
        )
        model.settle((item.trace, place))
        return
    place = (position - 1) % len(item.claims) + 1
    if what == "return":
        await office.decide(
            item.trace, lambda tx, key: unapplied.return_unapplied(tx, key, place, "x", NOW)
        )
        model.give_back((item.trace, place))
        return
    # Who paid is told by the person: nothing else says it of a reversal under a strange number.
    payer = item.claims[place - 1].decision.place
    await office.decide(
        item.trace,
        lambda tx, key: unapplied.assign(tx, key, place, world.claims[claim], NOW, payer),
    )
    model.assign((item.trace, place), claim)


async def _compare(world: World, database: Database, model: Model) -> None:
    async with database.reading() as reading:
        assert await ledger.verify(reading) == ()
        trial = await trial_balance(reading)
        now = [await ledger.balance(reading, number) for number in world.claims[:2]]
        waiting = await ledger.unapplied_items(reading)
    standing = [model.standing(claim) for claim in (0, 1)]
    assert [(item.payer_open, item.patient_receivable) for item in now] == [
        (said["payer"], said["patient"]) for said in standing
    ]
    expected = Counter(model.accounts)
    expected[Account.UNAPPLIED] -= model.unapplied
    expected[Account.CONTRACTUAL] += sum(said["off"] for said in standing)
    expected[Account.SEQUESTRATION] += sum(said["sequestration"] for said in standing)
    told = {
        account: cents
        for account, cents in trial.items()
        if account
        not in (Account.CHARGES, Account.PAYER_RECEIVABLE, Account.PATIENT_RECEIVABLE)
    }  # fmt: skip
    assert told == {account: expected[account] for account in told}
    assert sum(trial.values()) == 0
    assert -sum(item.cents for item in waiting) == expected[Account.UNAPPLIED]


KEYRING = Keyring({"k1": bytes(range(32))}, "k1", "k1")
_made = count(1)


async def _practice(url: str) -> World:
    """Claims sent to the first payer; the first of them has a version for the second as well."""
    migrate(url)
    database = Database.connect(url, KEYRING)
    world = await load_world(database)
    await send_all(world)
    await bill_second(world, world.claims[0])
    await database.close()
    return world


async def _example(
    world: World,
    url: str,
    payments: list[Remitted],
    steps_: list[tuple[str, int, int, int]],
    deaths: list[int],
) -> None:
    database = Database.connect(url, KEYRING)
    try:
        office, model = Office(world, database, deaths), Model()
        for step in steps_:
            await _play(world, office, model, payments, step)
        await _compare(world, database, model)
    finally:
        await database.close()


_EXAMPLES = settings(max_examples=50, deadline=None)
_FEW = settings(max_examples=8, deadline=None)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("posting")


_worlds: dict[str, World] = {}


@given(payments=PAYMENTS, steps_=STEPS, deaths=DEATHS)
@_EXAMPLES
async def test_whatever_comes_however_often_the_books_say_what_the_payments_mean(
    on_sqlite: Path,
    payments: list[Remitted],
    steps_: list[tuple[str, int, int, int]],
    deaths: list[int],
) -> None:
    first = on_sqlite / "first.db"
    if str(first) not in _worlds:
        _worlds[str(first)] = await _practice(f"sqlite:///{first}")
    copy = on_sqlite / f"{next(_made)}.db"
    shutil.copy(first, copy)
    await _example(_worlds[str(first)], f"sqlite:///{copy}", payments, steps_, deaths)
    copy.unlink()


@given(payments=PAYMENTS, steps_=STEPS, deaths=DEATHS)
@_FEW
async def test_on_postgresql_too(
    postgres: str,
    payments: list[Remitted],
    steps_: list[tuple[str, int, int, int]],
    deaths: list[int],
) -> None:
    server = postgres.rsplit("/", 1)[0]

    def create(name: str, template: str = "") -> str:
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}{template}")
        return f"{server}/{name}"

    if postgres not in _worlds:
        _worlds[postgres] = await _practice(create("posting"))
    url = create(f"posting_{next(_made)}", " TEMPLATE posting")
    await _example(_worlds[postgres], url, payments, steps_, deaths)
