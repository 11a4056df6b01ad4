"""What went over the wire: the simulator's raw log and the few X12 transactions the judge needs.

Written apart from the product, from the public layouts of 270, 278, 837P, 277CA, 999, TA1 and 835
as ``reference/domain.md`` sections 5 to 8 describe them. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

REJECTED_CATEGORIES = frozenset({"A3", "A4", "A6", "A7", "A8"})
"""277CA categories that refuse a claim (domain.md section 7)."""

_OUTCOMES = {
    "received": frozenset({"accepted", "accepted_answer_lost", "refused", "answered"}),
    "sent": frozenset({"delivered", "answered", "accepted", "accepted_answer_lost", "refused"}),
}


class WireError(ValueError):
    """Bytes that are not the X12 they should be; the message says why."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the raw log."""

    n: int
    at: datetime
    direction: str
    channel: str
    name: str
    outcome: str
    body: bytes


def read_log(path: Path) -> tuple[list[LogEntry], list[str]]:
    """Read the raw log; every line that cannot be trusted becomes a complaint."""
    entries: list[LogEntry] = []
    complaints: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        return [], [f"the raw log cannot be read ({type(problem).__name__})"]
    for number, line in enumerate(lines, start=1):
        try:
            entry, complaint = _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, binascii.Error) as problem:
            complaints.append(f"line {number} cannot be read: {type(problem).__name__} {problem}")
            continue
        if complaint:
            complaints.append(f"line {number}: {complaint}")
        if entries and entry.n != entries[-1].n + 1:
            complaints.append(f"line {number}: n is {entry.n} after {entries[-1].n}")
        entries.append(entry)
    return entries, complaints


def _entry(raw: dict[str, object]) -> tuple[LogEntry, str]:
    n = raw["n"]
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError("n is no whole number")
    body = base64.b64decode(str(raw["body"]), validate=True)
    at = datetime.fromisoformat(str(raw["at"]))
    has_offset = at.tzinfo is not None
    if not has_offset:
        at = at.replace(tzinfo=UTC)  # only so that it can be compared at all
    entry = LogEntry(
        n=n,
        at=at,
        direction=str(raw["direction"]),
        channel=str(raw["channel"]),
        name=str(raw["name"]),
        outcome=str(raw["outcome"]),
        body=body,
    )
    if not has_offset:
        return entry, "the time has no offset"
    if hashlib.sha256(body).hexdigest() != str(raw["sha256"]).lower():
        return entry, "the digest does not fit the bytes"
    if entry.direction not in _OUTCOMES:
        return entry, f"unknown direction {entry.direction!r}"
    if entry.outcome not in _OUTCOMES[entry.direction]:
        return entry, f"unknown outcome {entry.outcome!r} for direction {entry.direction!r}"
    return entry, ""


# --- X12 envelopes -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transaction:
    """One ST..SE with what its envelope says; ``segments`` excludes ST and SE."""

    code: str
    st02: str
    gs06: str
    isa13: str
    components: str
    segments: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Interchange:
    """One ISA..IEA: its transactions, and its TA1 answers as (ISA13 answered, code)."""

    isa13: str
    transactions: tuple[Transaction, ...]
    answers: tuple[tuple[str, str], ...]


def is_x12(body: bytes) -> bool:
    return body.lstrip().startswith(b"ISA")


def interchanges(body: bytes) -> list[Interchange]:
    """Take a file apart; raises WireError if envelopes, counts or control numbers do not fit."""
    try:
        text = body.decode("utf-8").lstrip()
    except UnicodeDecodeError as problem:
        raise WireError("not readable as text") from problem
    found: list[Interchange] = []
    while text:
        if not text.startswith("ISA") or len(text) < 106:
            raise WireError("no complete ISA segment where one must stand")
        separator, components, terminator = text[3], text[104], text[105]
        segments: list[tuple[str, ...]] = []
        while True:
            piece, end, rest = text.partition(terminator)
            if not end:
                raise WireError("the interchange ends without IEA")
            segments.append(tuple(piece.strip("\r\n").split(separator)))
            text = rest.lstrip("\r\n")
            if segments[-1][0] == "IEA":
                break
        found.append(_interchange(segments, components))
        text = text.strip()
    return found


def _interchange(segments: list[tuple[str, ...]], components: str) -> Interchange:
    isa13 = _at(segments[0], 13)
    transactions: list[Transaction] = []
    answers: list[tuple[str, str]] = []
    groups = inside = 0
    gs06 = ""
    open_set: list[tuple[str, ...]] | None = None
    for segment in segments[1:-1]:
        tag = segment[0]
        if open_set is not None and tag != "SE":
            open_set.append(segment)
        elif tag == "TA1":
            answers.append((_at(segment, 1), _at(segment, 4)))
        elif tag == "GS":
            groups, inside, gs06 = groups + 1, 0, _at(segment, 6)
        elif tag == "ST":
            inside += 1
            open_set = [segment]
        elif tag == "SE" and open_set is not None:
            head, *rest = open_set
            if _at(segment, 1) != str(len(open_set) + 1) or _at(segment, 2) != _at(head, 2):
                raise WireError(f"SE does not fit ST {_at(head, 2)} (count or control number)")
            transactions.append(
                Transaction(_at(head, 1), _at(head, 2), gs06, isa13, components, tuple(rest))
            )
            open_set = None
        elif tag == "GE":
            if _at(segment, 1) != str(inside) or _at(segment, 2) != gs06:
                raise WireError(f"GE does not fit GS {gs06} (count or control number)")
        else:
            raise WireError(f"segment {tag} stands outside a transaction")
    if open_set is not None:
        raise WireError("a transaction has no SE")
    if _at(segments[-1], 1) != str(groups) or _at(segments[-1], 2) != isa13:
        raise WireError(f"IEA does not fit ISA {isa13} (count or control number)")
    return Interchange(isa13, tuple(transactions), tuple(answers))


def _at(segment: tuple[str, ...], index: int) -> str:
    return segment[index] if index < len(segment) else ""


def cents(text: str) -> int:
    """Dollars as X12 writes them, in whole cents; raises WireError for anything finer."""
    try:
        amount = Decimal(text) * 100
    except InvalidOperation as problem:
        raise WireError(f"no amount: {text!r}") from problem
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise WireError(f"not whole cents: {text!r}")
    return int(amount)


# --- 837P --------------------------------------------------------------------------------------


@dataclass(slots=True)
class ServiceLine:
    """One SV1 with its date."""

    code: str
    modifiers: tuple[str, ...]
    cents: int
    unit: str
    units: str
    place: str
    date: str = ""


@dataclass(slots=True)
class SubmittedClaim:
    """One CLM of a received 837P, with the file it came in."""

    n: int
    at: datetime
    file: str
    isa13: str
    gs06: str
    st02: str
    control_number: str
    charge_cents: int
    place: str
    frequency: str
    billing_npi: str
    payer_id: str
    filing_indicator: str
    last_name: str
    first_name: str
    member_id: str
    birth_date: str
    sex: str
    rendering_npi: str = ""
    payer_claim_number: str = ""
    authorization: str = ""
    diagnoses: list[str] = field(default_factory=list)
    lines: list[ServiceLine] = field(default_factory=list)

    @property
    def claim_number(self) -> str:
        return self.control_number[:-1]

    @property
    def version(self) -> str:
        return self.control_number[-1:]


def submitted_claims(entry: LogEntry) -> list[SubmittedClaim]:
    """All claims of a received file; raises WireError if it cannot be read."""
    return [
        claim
        for interchange in interchanges(entry.body)
        for transaction in interchange.transactions
        if transaction.code == "837"
        for claim in _claims_of(entry, transaction)
    ]


def _claims_of(entry: LogEntry, transaction: Transaction) -> Iterator[SubmittedClaim]:
    billing = payer = filing = last = first = member = born = sex = ""
    claim: SubmittedClaim | None = None
    for segment in transaction.segments:
        tag, first_element = segment[0], _at(segment, 1)
        if tag == "HL":
            if claim is not None:
                yield claim
                claim = None
            if _at(segment, 3) == "22":
                payer = filing = last = first = member = born = sex = ""
        elif tag == "CLM":
            if claim is not None:
                yield claim
            place = [*_at(segment, 5).split(transaction.components), "", ""]
            claim = SubmittedClaim(
                n=entry.n,
                at=entry.at,
                file=entry.name,
                isa13=transaction.isa13,
                gs06=transaction.gs06,
                st02=transaction.st02,
                control_number=first_element,
                charge_cents=cents(_at(segment, 2)),
                place=place[0],
                frequency=place[2],
                billing_npi=billing,
                payer_id=payer,
                filing_indicator=filing,
                last_name=last,
                first_name=first,
                member_id=member,
                birth_date=born,
                sex=sex,
            )
        elif claim is None:
            if tag == "NM1" and first_element == "85":
                billing = _at(segment, 9)
            elif tag == "SBR":
                filing = _at(segment, 9)
            elif tag == "NM1" and first_element in ("IL", "QC"):
                last, first = _at(segment, 3), _at(segment, 4)
                member = _at(segment, 9) or member
            elif tag == "DMG":
                born, sex = _at(segment, 2), _at(segment, 3)
            elif tag == "NM1" and first_element == "PR":
                payer = _at(segment, 9)
        else:
            _read_into(claim, segment, transaction.components)
    if claim is not None:
        yield claim


def _read_into(claim: SubmittedClaim, segment: tuple[str, ...], components: str) -> None:
    tag, qualifier = segment[0], _at(segment, 1)
    if tag == "REF" and qualifier == "F8":
        claim.payer_claim_number = _at(segment, 2)
    elif tag == "REF" and qualifier == "G1":
        claim.authorization = _at(segment, 2)
    elif tag == "HI":
        claim.diagnoses += [e.split(components)[1] for e in segment[1:] if components in e]
    elif tag == "NM1" and qualifier == "82":
        claim.rendering_npi = _at(segment, 9)
    elif tag == "SV1":
        parts = qualifier.split(components)
        claim.lines.append(
            ServiceLine(
                code=parts[1] if len(parts) > 1 else "",
                modifiers=tuple(part for part in parts[2:6] if part),
                cents=cents(_at(segment, 2)),
                unit=_at(segment, 3),
                units=_at(segment, 4),
                place=_at(segment, 5),
            )
        )
    elif tag == "DTP" and qualifier == "472" and claim.lines:
        claim.lines[-1].date = _at(segment, 3)


# --- 270 and 278 -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One person asked about in a 270, or spoken of in a 278.

    ``decision`` and ``number`` are HCR01 and HCR02 of a 278 response; empty in what is asked.
    """

    n: int
    at: datetime
    payer_id: str
    last_name: str
    first_name: str
    member_id: str
    decision: str = ""
    number: str = ""


def eligibility_inquiries(entry: LogEntry) -> list[Inquiry]:
    """Everyone asked about in the 270s of a received file."""
    return _inquiries(entry, "270")


def authorization_reviews(entry: LogEntry) -> list[Inquiry]:
    """Everyone in the 278s of a file; in a response once for each decision."""
    return _inquiries(entry, "278")


def _inquiries(entry: LogEntry, code: str) -> list[Inquiry]:
    found: list[Inquiry] = []
    for interchange in interchanges(entry.body):
        for transaction in interchange.transactions:
            if transaction.code == code:
                found += _people_of(entry, transaction)
    return found


def _people_of(entry: LogEntry, transaction: Transaction) -> Iterator[Inquiry]:
    payer = ""
    person: Inquiry | None = None
    decided = False
    for segment in transaction.segments:
        tag, qualifier = segment[0], _at(segment, 1)
        if tag == "NM1" and qualifier in ("PR", "X3"):
            payer = _at(segment, 9)
        elif tag == "NM1" and qualifier == "IL":
            if person is not None and not decided:
                yield person
            decided = False
            person = Inquiry(
                n=entry.n,
                at=entry.at,
                payer_id=payer,
                last_name=_at(segment, 3),
                first_name=_at(segment, 4),
                member_id=_at(segment, 9),
            )
        elif tag == "HCR" and person is not None:
            decided = True
            yield replace(person, decision=qualifier, number=_at(segment, 2))
    if person is not None and not decided:
        yield person


# --- acknowledgments ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal, of one claim (277CA) or of the transaction or file that carried it."""

    n: int
    at: datetime
    control_number: str = ""
    transaction: tuple[str, str] = ("", "")
    interchange: str = ""

    def hits(self, claim: SubmittedClaim) -> bool:
        if self.n <= claim.n:
            return False
        if self.control_number:
            return self.control_number == claim.control_number
        if self.interchange:
            return self.interchange == claim.isa13
        return self.transaction == (claim.gs06, claim.st02)


def rejections(entry: LogEntry) -> list[Rejection]:
    """Every refusal in a sent file: 277CA claims, 999 transactions, TA1 interchanges."""
    found: list[Rejection] = []
    for interchange in interchanges(entry.body):
        found += [
            Rejection(entry.n, entry.at, interchange=isa13)
            for isa13, code in interchange.answers
            if code == "R"
        ]
        for transaction in interchange.transactions:
            if transaction.code == "277":
                found += _rejected_claims(entry, transaction)
            elif transaction.code == "999":
                found += _rejected_transactions(entry, transaction)
    return found


def payer_numbers(entry: LogEntry) -> list[tuple[int, str, str]]:
    """Of every claim that a sent 277CA accepts: the entry's number, CLM01 and the payer's number
    for it (REF*1K)."""
    found = []
    for interchange in interchanges(entry.body):
        for transaction in interchange.transactions:
            if transaction.code != "277":
                continue
            level = control_number = ""
            for segment in transaction.segments:
                if segment[0] == "HL":
                    level, control_number = _at(segment, 3), ""
                elif segment[0] == "TRN" and level == "PT":
                    control_number = _at(segment, 2)
                elif segment[0] == "REF" and _at(segment, 1) == "1K" and control_number:
                    found.append((entry.n, control_number, _at(segment, 2)))
    return found


def _rejected_claims(entry: LogEntry, transaction: Transaction) -> Iterator[Rejection]:
    level = control_number = ""
    for segment in transaction.segments:
        if segment[0] == "HL":
            level, control_number = _at(segment, 3), ""
        elif segment[0] == "TRN" and level == "PT":
            control_number = _at(segment, 2)
        elif segment[0] == "STC" and control_number:
            category = _at(segment, 1).split(transaction.components)[0]
            if category in REJECTED_CATEGORIES or _at(segment, 3) == "U":
                yield Rejection(entry.n, entry.at, control_number=control_number)
                control_number = ""


def _rejected_transactions(entry: LogEntry, transaction: Transaction) -> Iterator[Rejection]:
    group = st02 = ""
    for segment in transaction.segments:
        if segment[0] == "AK1":
            group = _at(segment, 2)
        elif segment[0] == "AK2":
            st02 = _at(segment, 2)
        elif segment[0] == "IK5" and _at(segment, 1) in ("R", "M", "W", "X"):
            yield Rejection(entry.n, entry.at, transaction=(group, st02))


# --- 835 ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One CAS triplet."""

    group: str
    reason: str
    cents: int


@dataclass(slots=True)
class PaidLine:
    """One SVC; ``allowed_cents`` is AMT*B6 or None."""

    code: str
    modifiers: tuple[str, ...]
    charge_cents: int
    paid_cents: int
    allowed_cents: int | None = None
    adjustments: list[Adjustment] = field(default_factory=list)


@dataclass(slots=True)
class PaidClaim:
    """One CLP; ``adjustments`` are those at claim level only."""

    control_number: str
    status: str
    charge_cents: int
    paid_cents: int
    patient_cents: int
    payer_claim_number: str
    adjustments: list[Adjustment] = field(default_factory=list)
    lines: list[PaidLine] = field(default_factory=list)

    @property
    def claim_number(self) -> str:
        return self.control_number[:-1]

    @property
    def is_reversal(self) -> bool:
        return self.status == "22"

    def all_adjustments(self) -> list[Adjustment]:
        return self.adjustments + [a for line in self.lines for a in line.adjustments]

    def group_cents(self, group: str) -> int:
        return sum(a.cents for a in self.all_adjustments() if a.group == group)

    def allowed_cents(self) -> int:
        """AMT*B6, or rebuilt as paid + patient share + sequestration (domain.md section 8.3).

        A reversal takes its allowed amount back, with whatever sign it states it (section 8.5).
        """
        stated = [line.allowed_cents for line in self.lines]
        if stated and None not in stated:
            total = sum(amount or 0 for amount in stated)
            return -abs(total) if self.is_reversal else total
        cuts = sum(a.cents for a in self.all_adjustments() if a.reason == "253")
        return self.paid_cents + self.group_cents("PR") + self.not_collectable_cents() + cuts

    def not_collectable_cents(self) -> int:
        """A share that may not be collected from the patient: OA-209 (section 8.6)."""
        return sum(a.cents for a in self.all_adjustments() if (a.group, a.reason) == ("OA", "209"))

    def is_denial(self) -> bool:
        """Status 4, or nothing paid and nothing left to the patient (domain.md section 8.1)."""
        if self.status == "4":
            return True
        return self.charge_cents > 0 and self.paid_cents == 0 and self.group_cents("PR") == 0

    def balances(self) -> bool:
        lines_fit = all(
            line.charge_cents - sum(a.cents for a in line.adjustments) == line.paid_cents
            for line in self.lines
        )
        total = sum(a.cents for a in self.all_adjustments())
        charges_fit = not self.lines or self.charge_cents == sum(
            line.charge_cents for line in self.lines
        )
        return lines_fit and charges_fit and self.charge_cents - total == self.paid_cents


@dataclass(slots=True)
class Payment:
    """One 835 transaction; ``provider_adjustments`` are PLB amounts, positive taking money away."""

    n: int
    at: datetime
    file: str
    cents: int
    date: str
    trace: str = ""
    origin: str = ""
    payer_name: str = ""
    payer_id: str = ""
    claims: list[PaidClaim] = field(default_factory=list)
    provider_adjustments: list[tuple[str, int]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes two files one payment (domain.md section 8.1): TRN03, TRN02, date, amount."""
        return (self.origin, self.trace, self.date, self.cents)

    def content(self) -> tuple[object, ...]:
        return (self.key, repr(self.claims), repr(self.provider_adjustments))

    def balances(self) -> bool:
        total = sum(claim.paid_cents for claim in self.claims)
        total -= sum(amount for _, amount in self.provider_adjustments)
        return total == self.cents and all(claim.balances() for claim in self.claims)


def payments(entry: LogEntry) -> list[Payment]:
    """Every 835 payment in a sent file; raises WireError if it cannot be read."""
    return [
        _payment(entry, transaction)
        for interchange in interchanges(entry.body)
        for transaction in interchange.transactions
        if transaction.code == "835"
    ]


def _payment(entry: LogEntry, transaction: Transaction) -> Payment:
    payment: Payment | None = None
    claim: PaidClaim | None = None
    line: PaidLine | None = None
    for segment in transaction.segments:
        tag, first = segment[0], _at(segment, 1)
        if tag == "BPR":
            amount = cents(_at(segment, 2))
            payment = Payment(entry.n, entry.at, entry.name, amount, _iso_date(_at(segment, 16)))
        elif payment is None:
            raise WireError("an 835 must begin with BPR")
        elif tag == "TRN" and claim is None:
            payment.trace, payment.origin = _at(segment, 2), _at(segment, 3)
        elif tag == "N1" and first == "PR" and claim is None:
            payment.payer_name, payment.payer_id = _at(segment, 2), _at(segment, 4)
        elif tag == "CLP":
            line = None
            claim = PaidClaim(
                control_number=first,
                status=_at(segment, 2),
                charge_cents=cents(_at(segment, 3)),
                paid_cents=cents(_at(segment, 4)),
                patient_cents=cents(_at(segment, 5) or "0"),
                payer_claim_number=_at(segment, 7),
            )
            payment.claims.append(claim)
        elif tag == "SVC" and claim is not None:
            parts = first.split(transaction.components)
            line = PaidLine(
                code=parts[1] if len(parts) > 1 else "",
                modifiers=tuple(part for part in parts[2:6] if part),
                charge_cents=cents(_at(segment, 2)),
                paid_cents=cents(_at(segment, 3)),
            )
            claim.lines.append(line)
        elif tag == "CAS" and claim is not None:
            (line or claim).adjustments.extend(_triplets(segment))
        elif tag == "AMT" and first == "B6" and line is not None:
            line.allowed_cents = cents(_at(segment, 2))
        elif tag == "PLB":
            claim = line = None
            for index in range(3, len(segment) - 1, 2):
                reason = segment[index].split(transaction.components)[0]
                payment.provider_adjustments.append((reason, cents(segment[index + 1])))
    if payment is None:
        raise WireError("an 835 without BPR")
    return payment


def _triplets(segment: tuple[str, ...]) -> list[Adjustment]:
    return [
        Adjustment(segment[1], segment[index], cents(segment[index + 1]))
        for index in range(2, len(segment) - 1, 3)
        if segment[index]
    ]


def _iso_date(text: str) -> str:
    if len(text) != 8 or not text.isdigit():
        raise WireError(f"no date: {text!r}")
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"
