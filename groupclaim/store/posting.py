"""What a payment moves: each claim of it is applied, held as unapplied cash, or taken back.

Denials write nothing off: what a payer refuses stays receivable until someone decides.

CLP02 19, 20 and 21 are the decisions of a first, second and third payer like 1, 2 and 3: they are
posted in their turn. That they were forwarded says only that the next payer comes by itself.

A payer after the first decides on what the payers before it left. Its money waits as unapplied cash
until one of them has decided (a crossover may come first), and waits again when that is reversed:
what it took over was never the patient's to get back. When a payer before it decides anew, its
own decision is booked anew on top of that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, Row, String, bindparam, func, or_, select, update

from groupclaim.rules.coordination import MOST_PAYERS
from groupclaim.rules.payment_audit import AFTER_PRICING, INTEREST, SEQUESTRATION
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import (
    Account,
    Booking,
    apply_prepaid,
    book_all,
    book_charges,
    lock_claims,
    patient_share,
)
from groupclaim.store.ledger import balance as ledger_balance
from groupclaim.store.matching import Match, Matched
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.provider_adjustments import account_of
from groupclaim.store.schema import (
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
    remittance_line,
    transfer,
)
from groupclaim.x12.parts import Adjustment
from groupclaim.x12.remittance import ClaimPayment, LinePayment, Payment

Posting = Literal["applied", "denied", "reversal", "unapplied", "information", "suspended"]

_NOT_DECISIONS = frozenset({"23", "25"})
"""CLP02: not theirs and forwarded, predetermination. Neither decides anything about money."""

_CONTRACTUAL = frozenset({"45", "131", "P24"})
"""CARCs by which a contract lowers the charge: they are written off under group CO."""

_PRIOR_PAYER = "23"
_NOT_COLLECTIBLE = frozenset({"N781", "N782", "N783"})
"""RARCs: a qualified Medicare beneficiary, from whom deductible, coinsurance and copay may not be
collected (42 U.S.C. 1396a(n)(3)). The amount stays open, for the next payer."""


def fitting(column: Column[Any], text: str) -> str:
    """``text`` as the column can keep it, the same on every database: an element that is longer
    than X12 allows is cut, and PostgreSQL keeps no NUL."""
    longest = column.type.length if isinstance(column.type, String) else None
    return text.replace("\0", " ")[:longest]


def amount_of(payment: Payment) -> int:
    """What was paid in cents; below zero where the payer takes money."""
    return -payment.paid_cents if payment.is_debit else payment.paid_cents


@dataclass(frozen=True, slots=True)
class Prepared:
    """What can be worked out of a payment before anything is locked: whether it may be posted at
    all, which claims of ours it means, and the rows of what it says, without the payment's id."""

    digest: str
    difference: int
    reason: str
    matched: Matched
    claims: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    adjustments: list[dict[str, Any]]


async def lock_remittance(tx: Transaction, remittance_id: int) -> Row[Any]:
    """Hold a payment until the transaction ends. Raises :class:`UnknownRecord`."""
    row = await tx.first(
        select(remittance).where(remittance.c.id == remittance_id).with_for_update(key_share=True)
    )
    if row is None:
        raise UnknownRecord(f"remittance {remittance_id}")
    return row


@dataclass(frozen=True, slots=True)
class Entry:
    """One claim of a payment. ``held``: its money already stands in unapplied cash. ``booked`` is
    how many transfers there are of it, which tells the keys of new ones from theirs."""

    remittance_id: int
    position: int
    paid: ClaimPayment
    match: Match | None
    held: bool = False
    booked: int = 0

    @property
    def rank(self) -> int:
        """1 for the first payer, 2 and 3 for those after it."""
        return self.match.payer_sequence if self.match else 1


_WRITTEN_AT_ONCE = 1_000

_NO_CLAIM = "no claim of ours"
_PAID_ALREADY = "the claim is paid already and that payment was not reversed"
_NOTHING_TO_REVERSE = "a reversal of nothing posted before"
_NOT_ITS_TURN = "a payer before this one has not decided yet"


class Poster:
    """Writes one payment: first what it says, then what it moves, gathered and written together.

    What cannot be applied is held as unapplied cash, and tried again whenever something is posted
    for the same claim: a reversal makes room for a correction that came before it, the first
    payer's decision for the second's.
    """

    def __init__(self, tx: Transaction, remittance_id: int, at: datetime) -> None:
        self._tx = tx
        self._id = remittance_id
        self._at = at
        # How many decisions are in force, by claim and the payer's place; of them those that pay.
        self._paid: Counter[tuple[str, int]] = Counter()
        self._decided: Counter[tuple[str, int]] = Counter()
        self._set_aside = False
        self._taken_back: set[tuple[int, int]] = set()
        self._charges: list[tuple[str, int]] = []
        self._bookings: list[Booking] = []
        self._decisions: dict[tuple[int, int], tuple[Posting, str]] = {}

    # --- what the 835 says

    async def keep(self, payment: Payment, prepared: Prepared) -> None:
        """Write what the payment says, and move nothing."""
        await self._write(payment, prepared, ("suspended", ""))

    def _entries(self, payment: Payment, matched: Matched) -> list[Entry]:
        return [
            Entry(self._id, position, paid, matched.claims.get(position))
            for position, paid in enumerate(payment.claims, 1)
        ]

    async def _write(
        self, payment: Payment, prepared: Prepared, undecided: tuple[Posting, str]
    ) -> None:
        """``undecided`` is what becomes of a claim that nothing was decided of yet."""
        of_this = {"remittance_id": self._id}
        for row in prepared.claims:
            decided = self._decisions.pop((self._id, row["position"]), undecided)
            row.update(of_this, posting=decided[0], reason=decided[1])
        for row in (*prepared.lines, *prepared.adjustments):
            row.update(of_this)
        for table, rows in (
            (remittance_claim, prepared.claims),
            (remittance_line, prepared.lines),
            (remittance_adjustment, prepared.adjustments),
        ):
            # In parts: what goes to the database takes as much memory again.
            while rows:
                await self._tx.insert_all(table, rows[:_WRITTEN_AT_ONCE])
                del rows[:_WRITTEN_AT_ONCE]
        await self._tx.insert_all(
            provider_adjustment,
            [
                {
                    "remittance_id": self._id,
                    "position": position,
                    "reason_code": fitting(provider_adjustment.c.reason_code, item.reason_code),
                    "reference": fitting(provider_adjustment.c.reference, item.reference),
                    "cents": item.cents,
                    "account": account_of(item.reason_code).value,
                    "claim_number": prepared.matched.withheld.get(position),
                }
                for position, item in enumerate(payment.provider_adjustments, 1)
            ],
        )

    # --- the ledger

    async def post(self, payment: Payment, prepared: Prepared) -> None:
        """Write and deposit the payment, apply each claim, hold what belongs to no claim."""
        entries = self._entries(payment, prepared.matched)
        numbers = {entry.match.claim_number for entry in entries if entry.match}
        await self._begin(numbers)
        self._book(self._id, "deposit", "deposit", Account.DEPOSITS, Account.CLEARING,
                   amount_of(payment))  # fmt: skip
        waiting = []
        # A correction may stand before the reversal that makes room for it, in the same file.
        for entry in entries:
            if entry.paid.is_reversal and not await self._reverse(entry):
                waiting.append(entry)
        for entry in entries:
            if not entry.paid.is_reversal and not await self._apply(entry):
                waiting.append(entry)
        for position, item in enumerate(payment.provider_adjustments, 1):
            account = account_of(item.reason_code)
            self._book(self._id, f"plb|{position}", f"provider_adjustment {item.reason_code}",
                       account, Account.CLEARING, item.cents)  # fmt: skip
        await self._write(payment, prepared, ("information", ""))
        await self._flush()
        await self._settle(waiting, numbers, str(self._id))

    async def apply_by_hand(self, entry: Entry) -> bool:
        """Apply held money as a person has decided; False for a reversal of nothing on the claim,
        and where a payer before this one has not decided."""
        if entry.match is None:
            raise ValueError("a person names the claim")
        number = entry.match.claim_number
        await self._begin({number})
        done = await self._try(entry, forced=True)
        if done:
            await self._flush()
            cause = f"{self._id}|{entry.position}|{entry.booked}"
            await self._settle([], {number}, cause)
        return done

    async def _begin(self, numbers: set[str]) -> None:
        await lock_claims(self._tx, numbers)
        rows = await self._tx.rows(
            select(
                remittance_claim.c.claim_number,
                remittance_claim.c.payer_sequence,
                remittance_claim.c.posting,
            ).where(
                remittance_claim.c.claim_number.in_(numbers),
                remittance_claim.c.posting.in_(("applied", "denied")),
                remittance_claim.c.reversed_by.is_(None),
            )
        )
        for row in rows:
            key = (row.claim_number, row.payer_sequence)
            self._decided[key] += 1
            self._paid[key] += row.posting == "applied"

    async def _settle(self, waiting: list[Entry], numbers: set[str], cause: str) -> None:
        """Try what waits, of earlier payments and of this one, until nothing more finds its place;
        hold the rest of this one. ``cause`` names what has happened."""
        left = await self._try_all([*await self._held(numbers), *waiting])
        if new := [entry for entry in left if not entry.held]:
            for entry in new:
                self._hold(entry, self._why_held(entry))
            await self._flush()
            # What is held now may be what an earlier reversal takes back.
            await self._try_all(await self._held(numbers))
        await apply_prepaid(self._tx, numbers, cause, self._at)

    async def _try_all(self, waiting: Sequence[Entry]) -> list[Entry]:
        """Apply what finds its place, of each claim the oldest first, again after each that does;
        what is left."""
        by_claim: dict[str | None, list[Entry]] = {}
        for entry in waiting:
            number = entry.match.claim_number if entry.match else None
            by_claim.setdefault(number, []).append(entry)
        left: list[Entry] = []
        for number, entries in by_claim.items():
            self._set_aside = False
            while (done := await self._try_first(entries)) is not None:
                entries.remove(done)
                await self._flush()
                if self._set_aside and number is not None:
                    new = [entry for entry in entries if not entry.held]
                    entries, self._set_aside = [*await self._held({number}), *new], False
            left += entries
        return left

    async def _try_first(self, entries: Sequence[Entry]) -> Entry | None:
        for entry in entries:
            if await self._try(entry):
                return entry
        return None

    async def _held(self, numbers: set[str]) -> list[Entry]:
        """What stands in unapplied cash for these claims, the oldest first."""
        rows = await self._tx.rows(
            select(remittance_claim)
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(
                remittance_claim.c.claim_number.in_(numbers),
                remittance_claim.c.posting == "unapplied",
                remittance_claim.c.reversed_by.is_(None),
                remittance_claim.c.returned_at.is_(None),
                or_(remittance.c.state == "posted", remittance.c.id == self._id),
            )
            .order_by(
                remittance.c.payment_date,
                remittance_claim.c.remittance_id,
                remittance_claim.c.position,
            )
        )
        return [await entry_of(self._tx, row) for row in rows]

    def _why_held(self, entry: Entry) -> str:
        if entry.match is None:
            return _NO_CLAIM
        if entry.paid.is_reversal:
            return _NOTHING_TO_REVERSE
        paid = self._paid[entry.match.claim_number, entry.rank]
        return _PAID_ALREADY if paid else _NOT_ITS_TURN

    async def _flush(self) -> None:
        await book_charges(self._tx, self._charges, self._at)
        await book_all(self._tx, self._bookings, self._at)
        if self._decisions:
            await self._tx.execute(
                _DECIDE,
                [
                    {
                        "id": remittance_id,
                        "place": position,
                        "decided": posting,
                        "because": reason,
                        "clearing": None if remittance_id == self._id else self._id,
                    }
                    for (remittance_id, position), (posting, reason) in self._decisions.items()
                ],
            )
        self._charges, self._bookings, self._decisions = [], [], {}

    def _book(
        self,
        remittance_id: int,
        key: str,
        kind: str,
        debit: Account,
        credit: Account,
        cents: int,
        claim_number: str | None = None,
        position: int | None = None,
    ) -> None:
        key = f"remittance|{remittance_id}|{key}"
        self._bookings.append(
            Booking(key, kind, debit, credit, cents, claim_number, remittance_id, position)
        )

    def _book_of(
        self,
        entry: Entry,
        what: str,
        kind: str,
        debit: Account,
        credit: Account,
        cents: int,
        claim_number: str | None = None,
    ) -> None:
        again = f"|{entry.booked}" if entry.booked else ""
        self._book(entry.remittance_id, f"{entry.position}|{what}{again}", kind, debit, credit,
                   cents, claim_number, entry.position)  # fmt: skip

    def _decide(self, entry: Entry, posting: Posting, reason: str = "") -> None:
        self._decisions[entry.remittance_id, entry.position] = (posting, reason)

    def _hold(self, entry: Entry, reason: str) -> None:
        self._decide(entry, "unapplied", reason)
        self._book_of(entry, "unapplied", "unapplied",
                      Account.CLEARING, Account.UNAPPLIED, entry.paid.paid_cents)  # fmt: skip

    def _unhold(self, entry: Entry) -> None:
        if entry.held:
            self._book_of(entry, "found", "unapplied cash found its claim",
                          Account.UNAPPLIED, Account.CLEARING, entry.paid.paid_cents)  # fmt: skip

    async def _apply(self, entry: Entry) -> bool:
        """Decide at once what does not depend on anything else; False for what has to wait."""
        match, paid = entry.match, entry.paid
        if match is None:
            self._hold(entry, _NO_CLAIM)
        elif paid.status in _NOT_DECISIONS:
            if paid.paid_cents:
                self._hold(entry, f"money under claim status {paid.status}")
        elif match.is_void:
            # What a payer says of a claim that takes another back decides nothing about that one.
            if paid.paid_cents:
                self._hold(entry, "money for a claim that takes another back")
        elif entry.rank > 1:
            return False
        elif _is_denial(paid):
            self._charges.append((match.claim_number, match.version))
            self._decided[match.claim_number, 1] += 1
            self._decide(entry, "denied")
        elif self._paid[match.claim_number, 1]:
            return False
        else:
            await self._pay(entry, match)
        return True

    async def _try(self, entry: Entry, *, forced: bool = False) -> bool:
        """Apply what waits, if its turn has come. ``forced``: though the claim is paid already."""
        if entry.match is None or (entry.remittance_id, entry.position) in self._taken_back:
            return False
        if entry.paid.is_reversal:
            return await self._reverse(entry)
        number, place = entry.match.claim_number, entry.rank
        if self._paid[number, place] and not forced:
            return False
        if place == 1:
            if entry.paid.status in _NOT_DECISIONS and not forced:
                return False
            self._unhold(entry)
            await self._pay(entry, entry.match)
            return True
        if not any(self._decided[number, before] for before in range(1, place)):
            return False
        self._unhold(entry)
        await self._pay_next(entry, entry.match)
        return True

    async def _pay(self, entry: Entry, match: Match) -> None:
        """Book what a first payer decided."""
        await self._set_later_aside(match.claim_number, entry.rank)
        # A payer who pays has the claim, whether or not an acknowledgment came first.
        self._charges.append((match.claim_number, match.version))
        self._take(entry, match, _reductions(entry.paid))

    async def _pay_next(self, entry: Entry, match: Match) -> None:
        """Book what a payer after the first decided: the patient's share was its to pay, and what
        it takes off beside what was taken off before is contractual."""
        number = match.claim_number
        if _refuses(entry.paid):
            self._decided[number, entry.rank] += 1
            self._decide(entry, "denied")
            return
        await self._set_later_aside(number, entry.rank)
        share = await patient_share(self._tx, number)
        now = await ledger_balance(self._tx, number)
        sums = _reductions(entry.paid)
        kept: dict[Account, int] = {
            account: sums[account]
            for account in (Account.PATIENT_RECEIVABLE, Account.INTEREST)
            if account in sums
        }
        named = sum(cents for account, cents in sums.items() if account not in kept)
        before = now.charge - now.payer_open - share
        contractual = sums.get(Account.CONTRACTUAL, 0)
        kept[Account.CONTRACTUAL] = max(0, min(named - before, contractual))
        self._book_of(entry, "next_payer", "next payer",
                      Account.PAYER_RECEIVABLE, Account.PATIENT_RECEIVABLE, share,
                      number)  # fmt: skip
        self._take(entry, match, kept)

    def _take(self, entry: Entry, match: Match, reductions: dict[Account, int]) -> None:
        number = match.claim_number
        self._paid[number, entry.rank] += 1
        self._decided[number, entry.rank] += 1
        self._decide(entry, "applied")
        self._book_of(entry, "payment", "payment",
                      Account.CLEARING, Account.PAYER_RECEIVABLE, entry.paid.paid_cents,
                      number)  # fmt: skip
        for account, cents in reductions.items():
            self._book_of(entry, account, account, account, Account.PAYER_RECEIVABLE, cents,
                          number)  # fmt: skip

    async def _set_later_aside(self, number: str, place: int) -> None:
        """Let payments of payers after ``place`` wait as unapplied cash: what they rest on changes.
        What they had taken over is the patient's again. They are tried again at the end."""
        later = [after for after in range(place + 1, MOST_PAYERS + 1) if self._paid[number, after]]
        if not later:
            return
        rows = await self._tx.rows(
            select(remittance_claim).where(
                remittance_claim.c.claim_number == number,
                remittance_claim.c.payer_sequence.in_(later),
                remittance_claim.c.posting == "applied",
                remittance_claim.c.reversed_by.is_(None),
            )
        )
        for row in rows:
            await self._let_wait(row)
            self._paid[number, row.payer_sequence] -= 1
            self._decided[number, row.payer_sequence] -= 1

    async def _let_wait(self, row: Row[Any]) -> None:
        here = {"remittance_id": row.remittance_id, "remittance_position": row.position}
        booked = await self._tx.rows(select(transfer).filter_by(**here).order_by(transfer.c.id))
        net: Counter[tuple[str, str, str | None]] = Counter()
        for item in booked:
            back = (item.credit, item.debit, item.claim_number)
            if item.debit < item.credit:
                net[back] += item.cents
            else:
                net[item.debit, item.credit, item.claim_number] -= item.cents
        moved = [
            Booking(
                f"remittance|{row.remittance_id}|{row.position}|aside|{len(booked)}|{number}",
                "set aside",
                Account(debit),
                Account(credit),
                cents,
                claim_number,
                row.remittance_id,
                row.position,
            )
            for number, ((debit, credit, claim_number), cents) in enumerate(net.items(), 1)
        ]
        held = Booking(
            f"remittance|{row.remittance_id}|{row.position}|unapplied|{len(booked)}",
            "unapplied", Account.CLEARING, Account.UNAPPLIED, row.paid_cents, None,
            row.remittance_id, row.position,
        )  # fmt: skip
        await book_all(self._tx, [*moved, held], self._at)
        await self._tx.execute(
            update(remittance_claim)
            .filter_by(remittance_id=row.remittance_id, position=row.position)
            .values(posting="unapplied", reason=_NOT_ITS_TURN, cleared_in=None)
        )
        self._set_aside = True

    async def _reverse(self, entry: Entry) -> bool:
        """Take back what was booked for the payment that this one mirrors; False without one."""
        match = entry.match
        if match is None:
            return False
        before = await self._mirrored(entry, match)
        if before is None:
            return False
        self._unhold(entry)
        key = {"remittance_id": before.remittance_id}
        booked = await self._tx.rows(
            select(transfer)
            .filter_by(**key, remittance_position=before.position)
            .order_by(transfer.c.id)
        )
        for number, item in enumerate(booked, 1):
            self._book(
                entry.remittance_id,
                f"{entry.position}|reversal|{number}",
                f"reversal of {item.kind}"[:40],
                Account(item.credit),
                Account(item.debit),
                item.cents,
                item.claim_number,
                entry.position,
            )
        await self._tx.execute(
            update(remittance_claim)
            .filter_by(**key, position=before.position)
            .values(reversed_by=f"{entry.remittance_id}|{entry.position}")
        )
        self._taken_back.add((before.remittance_id, before.position))
        if before.posting in ("applied", "denied"):
            taken_back = (match.claim_number, before.payer_sequence)
            self._paid[taken_back] -= before.posting == "applied"
            self._decided[taken_back] -= 1
            await self._set_later_aside(*taken_back)
        self._decide(entry, "reversal")
        return True

    async def _mirrored(self, entry: Entry, match: Match) -> Row[Any] | None:
        """The decision that a reversal takes back: of the charge and payment that it mirrors. Of
        several the one under the payer's number that it names; then of the same adjustments; then
        one that is applied; then of the version and the payer that reverses, because two payers may
        have paid the same. Where nothing was paid, number or adjustments have to say so."""
        paid = entry.paid
        rows = await self._tx.rows(
            select(remittance_claim, remittance.c.payer_id)
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(
                remittance_claim.c.claim_number == match.claim_number,
                remittance_claim.c.posting.in_(("applied", "denied", "unapplied")),
                remittance_claim.c.reversed_by.is_(None),
                remittance_claim.c.returned_at.is_(None),
                remittance_claim.c.status != "22",
                remittance_claim.c.charge_cents == -paid.charge_cents,
                remittance_claim.c.paid_cents == -paid.paid_cents,
            )
            .order_by(remittance_claim.c.remittance_id.desc(), remittance_claim.c.position.desc())
        )
        if len(rows) == 1 and paid.paid_cents:
            return rows[0]
        numbers = {paid.payer_claim_number}
        numbers |= {item.value for item in paid.references if item.qualifier == "F8"}
        payer_id = await self._tx.scalar(
            select(remittance.c.payer_id).where(remittance.c.id == entry.remittance_id)
        )
        ranked = []
        for row in rows:
            named = row.payer_claim_number is not None and row.payer_claim_number in numbers
            mirrored = _sums(await read_back(self._tx, row)) == _sums(paid, sign=-1)
            if paid.paid_cents or named or mirrored:
                applied, version = row.posting == "applied", row.version == match.version
                ranked.append(((named, mirrored, applied, version, row.payer_id == payer_id), row))
        return max(ranked, key=lambda item: item[0])[1] if ranked else None


_DECIDE = (
    update(remittance_claim)
    .where(
        remittance_claim.c.remittance_id == bindparam("id"),
        remittance_claim.c.position == bindparam("place"),
    )
    .values(
        posting=bindparam("decided"), reason=bindparam("because"), cleared_in=bindparam("clearing")
    )
)


async def entry_of(reading: Reading, row: Row[Any]) -> Entry:
    """A claim of a payment that stands in unapplied cash."""
    here = {"remittance_id": row.remittance_id, "remittance_position": row.position}
    return Entry(
        row.remittance_id,
        row.position,
        await read_back(reading, row),
        Match(row.claim_number, row.version, row.payer_sequence, row.matched_by),
        held=True,
        booked=await reading.scalar(select(func.count(transfer.c.id)).filter_by(**here)),
    )


async def read_back(reading: Reading, row: Row[Any]) -> ClaimPayment:
    """What a payment said of a claim, as far as posting it needs."""
    lines = await reading.rows(
        select(remittance_line)
        .filter_by(remittance_id=row.remittance_id, claim_position=row.position)
        .order_by(remittance_line.c.line_position)
    )
    said = await reading.rows(
        select(remittance_adjustment)
        .filter_by(remittance_id=row.remittance_id, claim_position=row.position)
        .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
    )
    cuts: dict[int, list[Adjustment]] = {}
    for item in said:
        adjustment = Adjustment(item.group_code, item.reason_code, item.cents)
        cuts.setdefault(item.line_position, []).append(adjustment)
    return ClaimPayment(
        control_number=row.control_number,
        status=row.status,
        charge_cents=row.charge_cents,
        paid_cents=row.paid_cents,
        patient_responsibility_cents=row.patient_cents,
        payer_claim_number=row.payer_claim_number or "",
        adjustments=tuple(cuts.get(0, ())),
        remark_codes=tuple(row.remarks.split()),
        lines=tuple(
            LinePayment(
                code=line.code,
                charge_cents=line.charge_cents,
                paid_cents=line.paid_cents,
                modifiers=tuple(filter(None, line.modifiers.split(":"))),
                service_date=line.service_date,
                adjustments=tuple(cuts.get(line.line_position, ())),
                line_control_number=line.line_control_number,
                allowed_cents=line.allowed_cents,
                submitted_code=line.submitted_code or "",
                submitted_modifiers=tuple(
                    filter(None, (line.submitted_modifiers or "").split(":"))
                ),
            )
            for line in lines
        ),
    )


def remarks_of(paid: ClaimPayment) -> set[str]:
    """The remark codes (RARCs) of a claim and its lines."""
    return set(paid.remark_codes).union(*(line.remark_codes for line in paid.lines))


def adjustments_of(paid: ClaimPayment) -> list[Adjustment]:
    """What was taken off a claim and its lines."""
    return [*paid.adjustments, *(item for line in paid.lines for item in line.adjustments)]


def _sums(paid: ClaimPayment, sign: int = 1) -> dict[tuple[str, str], int]:
    """What was taken off by group and reason code."""
    sums: Counter[tuple[str, str]] = Counter()
    for item in adjustments_of(paid):
        sums[item.group_code, item.reason_code] += sign * item.cents
    return {reason: cents for reason, cents in sums.items() if cents}


def _is_denial(paid: ClaimPayment) -> bool:
    """Nothing paid, and nothing left to the patient or the payer's own status says denied.

    Judged by the amounts first, because some payers deny under status 1.
    """
    share = sum(item.cents for item in adjustments_of(paid) if item.group_code == "PR")
    return paid.paid_cents == 0 and (paid.status == "4" or share == 0)


def _refuses(paid: ClaimPayment) -> bool:
    """As :func:`_is_denial`, of a payer after the first: one that owes nothing because the payers
    before it have paid as much as it would allow has not denied anything."""
    unnamed = any(
        _account(item.group_code, item.reason_code) is None and item.cents > 0
        for item in adjustments_of(paid)
    )
    return _is_denial(paid) and (paid.status == "4" or unnamed)


def _reductions(paid: ClaimPayment) -> dict[Account, int]:
    """What of the charge goes where. A reduction that nothing here names stays receivable from the
    payer: it is a denial of a part, or somebody else's turn."""
    collectible = not remarks_of(paid) & _NOT_COLLECTIBLE
    sums: dict[Account, int] = {}
    for item in adjustments_of(paid):
        account = _account(item.group_code, item.reason_code)
        if account is not None and (account is not Account.PATIENT_RECEIVABLE or collectible):
            sums[account] = sums.get(account, 0) + item.cents
    return sums


def _account(group: str, reason: str) -> Account | None:
    if group == "PR":
        return Account.PATIENT_RECEIVABLE
    if group in ("CO", "OA", "CR"):
        if reason == INTEREST:
            return Account.INTEREST
        if reason == SEQUESTRATION:
            return Account.SEQUESTRATION
        if reason in AFTER_PRICING or (group, reason) == ("OA", _PRIOR_PAYER):
            return Account.OTHER_ADJUSTMENT
        if group != "OA" and reason in _CONTRACTUAL:
            return Account.CONTRACTUAL
    return None
