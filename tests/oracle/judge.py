"""Judges a finished run from outside: invariants I1 to I4, I6 and I10, and the hand-made truth.

Believes only the bytes the simulator logged, the sample inputs and the rows it can read; whatever
is missing, doubled, empty or of the wrong type counts against the product.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TypedDict, TypeVar

from .books import (
    Books,
    Identifier,
    Money,
    Remittance,
    RemittanceAdjustment,
    RemittanceClaim,
    RemittanceLine,
    Standing,
    Transfer,
    read_books,
)
from .deadlines import Filing, Patient, check_deadlines
from .intake import AMOUNTS, GROUP_SOFT_LIMIT, Intake, RosterRow, read_intake
from .wire import (
    Inquiry,
    LogEntry,
    PaidClaim,
    Payment,
    Rejection,
    SubmittedClaim,
    WireError,
    authorization_reviews,
    eligibility_inquiries,
    is_x12,
    payer_numbers,
    payments,
    read_log,
    rejections,
    submitted_claims,
)

INVARIANTS = ("I1", "I2", "I3", "I4", "I6", "I10", "EXPECTED")

STANDINGS = frozenset({"in_progress", "held", "billed", "not_billable"})

ACCOUNTS = frozenset(
    {
        "payer_receivable",
        "patient_receivable",
        "charges",
        "contractual",
        "sequestration",
        "other_adjustment",
        "clearing",
        "deposits",
        "patient_cash",
        "payer_refund",
        "write_off",
        "unapplied",
        "interest",
        "takeback",
        "withheld",
        "payer_refunds",
    }
)

_CO_ACCOUNTS = ("contractual", "sequestration")

_NOT_IN_A_CLAIM = ("unapplied", "other_adjustment", "interest", "takeback", "withheld")
"""Where money of a payment goes that belongs to no claim (PLB)."""

_VOID = "8"
"""CLM05-3 of a claim that takes an earlier one back (domain.md section 6, T13)."""

_BACK = ("payer_refund", "takeback")
"""How a payer has its money again without a reversal: by our cheque, or kept from a payment."""

_GRANTED = frozenset({"A1", "A2", "A6"})
"""HCR01 of a request granted in whole, in part or changed (domain.md section 5.4)."""

_PENDED = "A4"
"""HCR01 of one that will be decided later (same place)."""

_REMOTE_MODIFIERS = frozenset({"93", "95", "FQ", "GQ", "GT"})
"""What says that somebody took part from elsewhere (domain.md section 3)."""

_TABLE_TOUCHES: dict[str, tuple[str, ...]] = {
    "(database)": INVARIANTS,
    "participant_standing": ("I2", "EXPECTED"),
    "claim_money": ("I4", "I10", "EXPECTED"),
    "transfer": ("I3", "I4", "I10", "EXPECTED"),
    "remittance": ("I3", "EXPECTED"),
    "remittance_claim": ("I3", "EXPECTED"),
    "remittance_line": ("I3",),
    "remittance_adjustment": ("I3",),
    "provider_adjustment": ("I3",),
    "finding": ("EXPECTED",),
    "claim_event": ("I6",),
    "work_item": ("I6",),
    "denial": ("I6",),
    "claim": ("I6",),
    "dispute_case": ("I6",),
    "audited_line": ("I6",),
    "audit_entry": ("I6",),
    "authorization_request": ("I6",),
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One place where the run is not as it must be."""

    invariant: str
    row: str
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.row}, {self.column}" if self.column else self.row
        return f"{self.invariant}: {where}: expected {self.expected}, found {self.found}"


class Verdict(TypedDict):
    """``{"invariants": {"I1": True, ...}, "disagreements": [...]}``."""

    invariants: dict[str, bool]
    disagreements: list[dict[str, str]]


@dataclass(slots=True)
class Case:
    """All the evidence of one run, put side by side, and what was found wrong with it."""

    intake: Intake
    books: Books
    log: list[LogEntry]
    submitted: list[SubmittedClaim] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    given_numbers: list[tuple[int, str, str]] = field(default_factory=list)
    inquiries: list[Inquiry] = field(default_factory=list)
    reviews_asked: list[Inquiry] = field(default_factory=list)
    reviews_answered: list[Inquiry] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)

    def disagree(
        self, invariant: str, row: str, column: str, expected: object, found: object
    ) -> None:
        self.disagreements.append(Disagreement(invariant, row, column, _say(expected), _say(found)))

    def compare(
        self, invariant: str, row: str, column: str, expected: object, found: object
    ) -> None:
        if expected != found or type(expected) is not type(found):
            self.disagree(invariant, row, column, expected, found)

    def everywhere(self, row: str, expected: object, found: object) -> None:
        for invariant in INVARIANTS:
            self.disagree(invariant, row, "", expected, found)

    # What the wire says about one claim.

    def versions(self, claim_number: str) -> list[SubmittedClaim]:
        return [c for c in self.submitted if c.claim_number == claim_number]

    def is_rejected(self, claim: SubmittedClaim) -> bool:
        return any(rejection.hits(claim) for rejection in self.rejected)

    def distinct_payments(self) -> list[Payment]:
        return list({payment.key: payment for payment in reversed(self.payments)}.values())[::-1]

    def payer_of(self, payment: Payment) -> str:
        """The payer's id, from N1*PR of the 835: its id or, failing that, its name."""
        if payment.payer_id in self.intake.payer_ids:
            return payment.payer_id
        names = {row.payer_name.casefold(): row.payer_id for row in self.intake.roster}
        return names.get(payment.payer_name.casefold(), "")

    def alive(self, claim_number: str) -> list[SubmittedClaim]:
        """The versions that were taken and that nobody has rejected, the first first."""
        found = {c.control_number: c for c in reversed(self.versions(claim_number))}
        return sorted(
            (c for c in found.values() if not self.is_rejected(c)), key=lambda c: c.version
        )

    def is_over(self, claim_number: str) -> bool:
        """Whether no payer has anything of a claim any more: none took it, or each that did has its
        money again, and none may still pay: the last version takes the claim back, or it was
        denied, or its money went back by cheque."""
        alive = self.alive(claim_number)
        if not alive:
            return True
        paid = self.paid_claims(claim_number)
        back = -sum(
            _net((t for t in self.books.transfers if t.claim_number == claim_number), account)
            for account in _BACK
        )
        if sum(p.paid_cents for p in paid) != back:
            return False
        last = alive[-1]
        decided = [p for p in paid if p.control_number == last.control_number]
        told = last.frequency == _VOID or back > 0
        return told or (bool(decided) and decided[-1].is_denial())

    def claim_number_of(self, row: RosterRow) -> str:
        """The claim that the books keep for a roster row; empty without exactly one."""
        found = [
            s.claim_number or ""
            for s in self.books.standings
            if (s.session_id, s.patient_id) == (row.session_id, row.patient_id)
        ]
        return found[0] if len(found) == 1 else ""

    def paid_claims(self, claim_number: str) -> list[PaidClaim]:
        """What balanced payments say about the claim, each payment once."""
        return [
            paid
            for payment in self.distinct_payments()
            for paid in payment.claims
            if paid.claim_number == claim_number
            and payment.balances()
            and not self.takes_back_nothing(paid)
        ]

    def takes_back_nothing(self, claim: PaidClaim) -> bool:
        """A reversal of what stands whole in suspense: no claim has got what it takes back, so it
        is money without a claim (domain.md section 8.5)."""
        return claim.is_reversal and not any(
            earlier.payer_claim_number == claim.payer_claim_number
            and not earlier.is_reversal
            and payment.balances()
            for payment in self.payments
            for earlier in payment.claims
            if earlier.claim_number == claim.claim_number
        )


def judge(database: str, wire: Path, samples: Path, identity_key: bytes) -> Verdict:
    """Judge one finished run; unreadable evidence is a verdict too, never an exception."""
    try:
        intake = read_intake(samples, identity_key)
    except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration) as problem:
        said = f"{type(problem).__name__}: {problem}"
        return _verdict(
            [Disagreement(i, "samples", "", "a readable sample", said) for i in INVARIANTS]
        )
    log, complaints = read_log(wire)
    case = Case(intake=intake, books=read_books(database), log=log)
    for complaint in complaints:
        case.everywhere("raw log", "a whole and untouched log", complaint)
    _read_wire(case)
    _check_form(case)
    _check_submissions(case)
    _check_roster(case)
    _check_payments(case)
    _check_ledger(case)
    _check_deadlines(case)
    _check_patient_share(case)
    _check_truth(case)
    return _verdict(case.disagreements)


def _verdict(disagreements: Sequence[Disagreement]) -> Verdict:
    broken = {d.invariant for d in disagreements}
    return {
        "invariants": {i: i not in broken for i in INVARIANTS},
        "disagreements": [asdict(d) for d in disagreements],
    }


# --- the evidence ------------------------------------------------------------------------------


def _read_wire(case: Case) -> None:
    for entry in case.log:
        if not is_x12(entry.body):
            if entry.direction == "received" and entry.channel == "batch" and entry.body:
                case.disagree("I1", entry.name, "body", "an X12 interchange", "something else")
            continue
        try:
            if entry.direction == "received":
                if entry.outcome != "refused":
                    case.submitted += submitted_claims(entry)
                    case.inquiries += eligibility_inquiries(entry)
                    case.reviews_asked += authorization_reviews(entry)
            else:
                case.reviews_answered += authorization_reviews(entry)
                case.rejected += rejections(entry)
                case.given_numbers += payer_numbers(entry)
                case.payments += payments(entry)
        except (WireError, IndexError) as problem:
            case.everywhere(entry.name, "readable X12", f"{type(problem).__name__}: {problem}")


def _check_form(case: Case) -> None:
    for complaint in case.books.complaints:
        for invariant in _TABLE_TOUCHES[complaint.table]:
            case.disagree(
                invariant, complaint.table, complaint.column, complaint.expected, complaint.found
            )
    if not case.log:
        case.everywhere("raw log", "at least one line", "none")
    elif not case.submitted:
        case.everywhere("raw log", "at least one accepted claim", "none")
    elif not case.payments:
        case.everywhere("raw log", "at least one 835", "none")
    for name, rows in (
        ("participant_standing", case.books.standings),
        ("claim_money", case.books.money),
        ("transfer", case.books.transfers),
        ("remittance", case.books.remittances),
    ):
        if not rows:
            case.everywhere(name, "rows", "none")


# --- I1 ----------------------------------------------------------------------------------------


def _check_submissions(case: Case) -> None:
    for control_number, count in Counter(c.control_number for c in case.submitted).items():
        if count > 1:
            case.disagree("I1", control_number, "accepted submissions", 1, count)
    for claim_number in sorted({c.claim_number for c in case.submitted}):
        first_seen = {c.control_number: c for c in reversed(case.versions(claim_number))}
        versions = sorted(first_seen.values(), key=lambda c: c.version)
        letters = "".join(c.version for c in versions)
        wanted = "".join(chr(ord("A") + index) for index in range(len(versions)))
        case.compare("I1", claim_number, "versions", wanted, letters)
        case.compare("I1", versions[0].control_number, "frequency", "1", versions[0].frequency)
        case.compare("I1", versions[0].control_number, "REF*F8", "", versions[0].payer_claim_number)
        for former, later in pairwise(versions):
            _check_succession(case, former, later)


def _check_succession(case: Case, former: SubmittedClaim, later: SubmittedClaim) -> None:
    row = later.control_number
    if later.n <= former.n:
        case.disagree("I1", row, "order", f"after {former.control_number}", "before it")
    if later.frequency == _VOID:
        _check_void(case, later)
        return
    if former.frequency == _VOID:
        _check_billed_anew(case, former, later)
        return
    denials = [
        paid
        for payment in case.payments
        if payment.n < later.n and payment.at <= later.at
        for paid in payment.claims
        if paid.control_number == former.control_number and paid.is_denial()
    ]
    rejected = any(r.hits(former) and r.n < later.n and r.at <= later.at for r in case.rejected)
    if denials:
        case.compare("I1", row, "frequency", "7", later.frequency)
        case.compare("I1", row, "REF*F8", denials[-1].payer_claim_number, later.payer_claim_number)
        if not later.payer_claim_number:
            case.disagree("I1", row, "REF*F8", "the payer's claim number", "nothing")
    elif rejected:
        # domain.md section 6: a rejected claim goes again with frequency 1 *because* the payer has
        # no number for it. A rejected replacement or void names a claim that the payer did decide
        # and has a number for: as an original it would be a duplicate of that (CARC 18). So each
        # goes again as what it was; an original as 1.
        case.compare("I1", row, "frequency", former.frequency, later.frequency)
        case.compare("I1", row, "REF*F8", former.payer_claim_number, later.payer_claim_number)
    else:
        reason = f"a rejection or denial of {former.control_number} before it"
        case.disagree("I1", row, "reason for a new version", reason, "none")


def _check_void(case: Case, void: SubmittedClaim) -> None:
    """A claim is taken back under the number its payer gave it, as it was billed, and never twice
    at once."""
    row = void.control_number
    earlier = [c for c in case.versions(void.claim_number) if c.n < void.n]
    given = {control: number for n, control, number in case.given_numbers if n < void.n and number}
    decided: dict[str, set[str]] = defaultdict(set)
    for payment in case.payments:
        if payment.n < void.n:
            for paid in payment.claims:
                decided[paid.control_number].add(paid.payer_claim_number)
    meant = [
        c
        for c in earlier
        if c.frequency != _VOID
        and void.payer_claim_number
        and void.payer_claim_number in {given.get(c.control_number), *decided[c.control_number]}
    ]
    if not meant:
        case.disagree("I1", row, "REF*F8", "a number its payer gave before", "another")
        return
    voided = meant[-1]
    for column, expected, found in (
        ("payer", voided.payer_id, void.payer_id),
        ("charge", voided.charge_cents, void.charge_cents),
        ("member id", voided.member_id, void.member_id),
        ("lines", _billed(voided), _billed(void)),
    ):
        case.compare("I1", row, column, expected, found)
    again = [
        c
        for c in earlier
        if c.frequency == _VOID
        and c.payer_claim_number == void.payer_claim_number
        and not any(r.hits(c) and r.n < void.n for r in case.rejected)
        and not _refused_by(case, c, void.n)
    ]
    if again:
        case.disagree("I1", row, "voids of one claim under way", 1, len(again) + 1)


def _billed(claim: SubmittedClaim) -> list[tuple[str, str, int, str]]:
    return [(li.code, ":".join(li.modifiers), li.cents, li.date) for li in claim.lines]


def _refused_by(case: Case, void: SubmittedClaim, before: int) -> bool:
    """Whether a payment before entry ``before`` denies the void itself."""
    return any(
        paid.control_number == void.control_number and paid.is_denial()
        for payment in case.payments
        if payment.n < before
        for paid in payment.claims
    )


def _check_billed_anew(case: Case, void: SubmittedClaim, later: SubmittedClaim) -> None:
    """Nothing is billed after a void but as new, and only once it was carried out."""
    row = later.control_number
    case.compare("I1", row, "frequency", "1", later.frequency)
    case.compare("I1", row, "REF*F8", "", later.payer_claim_number)
    paid = sum(
        one.paid_cents
        for payment in case.distinct_payments()
        if payment.n < later.n and payment.balances()
        for one in payment.claims
        if one.claim_number == later.claim_number
    )
    back = -sum(
        t.cents * ((t.debit in _BACK) - (t.credit in _BACK))
        for t in case.books.transfers
        if t.claim_number == later.claim_number
    )
    if paid > back:
        case.disagree("I1", row, "billed anew", "once the payer has its money again", paid)


# --- I2 ----------------------------------------------------------------------------------------


def _check_roster(case: Case) -> None:
    roster = {(row.session_id, row.patient_id): row for row in case.intake.roster}
    standings: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for standing in case.books.standings:
        standings[standing.session_id, standing.patient_id].append(standing)
    for key, rows in standings.items():
        if key not in roster:
            case.disagree("I2", " ".join(key), "standing", "no row: on no roster", rows[0].standing)
    claims = Counter(s.claim_number for s in case.books.standings if s.claim_number)
    for claim_number, count in claims.items():
        if count > 1:
            case.disagree("I2", claim_number, "participants", 1, count)
    by_claim: dict[str, RosterRow] = {}
    for key, row in roster.items():
        found = standings.get(key, [])
        if len(found) != 1:
            case.disagree("I2", row.name, "rows in participant_standing", 1, len(found))
            continue
        if found[0].claim_number:
            by_claim[found[0].claim_number] = row
        _check_standing(case, row, found[0])
    for claim in case.submitted:
        owner = by_claim.get(claim.claim_number)
        if owner is None:
            case.disagree("I2", claim.control_number, "roster row", "one", "none")
        else:
            _check_claim(case, owner, claim)
    _check_authorized_units(case)


def _check_standing(case: Case, row: RosterRow, found: Standing) -> None:
    case.compare("I2", row.name, "attendance", row.attendance, found.attendance)
    if found.standing not in STANDINGS:
        case.disagree("I2", row.name, "standing", "one of the four", found.standing)
    if found.standing in ("held", "not_billable") and not found.reason:
        case.disagree("I2", row.name, "reason", f"a code, being {found.standing}", found.reason)
    if found.standing == "in_progress" and not found.stage:
        case.disagree("I2", row.name, "stage", "a step, being in progress", found.stage)
    versions = case.versions(found.claim_number) if found.claim_number else []
    over = not found.claim_number or case.is_over(found.claim_number)
    if _is_unbillable(row):
        # T13: what was billed for somebody who was not there, or was alone, is taken back.
        wanted = "not_billable" if over else "billed"
        case.compare("I2", row.name, "standing", wanted, found.standing)
        if not found.reason:
            case.disagree("I2", row.name, "reason", "a code, being taken back", found.reason)
    latest = max(versions, key=lambda c: c.version, default=None)
    on_wire = latest is not None and not case.is_rejected(latest)
    if latest is not None and (_is_unbillable(row) or latest.frequency == _VOID):
        on_wire = not over
    if on_wire != (found.standing == "billed"):
        said = "its latest version accepted and not rejected" if on_wire else "no valid claim"
        wanted = "billed" if on_wire else "anything but billed"
        case.disagree("I2", row.name, "standing", f"{wanted} ({said})", found.standing)


def _is_unbillable(row: RosterRow) -> bool:
    """Whether nothing can be billed for a person, as was known at the end."""
    alone = bool(row.seen and row.seen[-1].treated_in_room < 2)
    return row.attendance != "attended" or alone or _is_unsupported(row)


def _is_unsupported(row: RosterRow, by: datetime | None = None) -> bool:
    """Whether the note had been withdrawn, ``by`` a moment or in the end, and not signed since."""
    at = row.withdrawn_at
    if at is None or (by is not None and by < at):
        return False
    return row.signed_at is None or row.signed_at <= at


def _status_known(row: RosterRow, claim: SubmittedClaim) -> str:
    """What was on record about the person's attendance when the claim arrived.

    Before anything was, the first record: that is another fault, found by the gates.
    """
    return (row.seen_by(claim.at) or row.seen[0]).status


def _check_claim(case: Case, row: RosterRow, claim: SubmittedClaim) -> None:
    name = f"{row.name} {claim.control_number}"
    status = _status_known(row, claim)
    is_void = claim.frequency == _VOID
    if status != "attended" and not is_void:
        case.disagree("I2", name, "on the wire", f"nothing ({status})", "a claim")
    seen = row.seen_by(claim.at) or row.seen[0]
    unsupported = _is_unsupported(row, claim.at)
    if is_void and status == "attended" and seen.treated_in_room >= 2 and not unsupported:
        case.disagree("I2", name, "on the wire", "no void: it is true", "a void")
    people = [
        other.name
        for other in case.intake.roster
        if _person(other) == (claim.last_name.casefold(), claim.first_name.casefold())
        and other.birth_date.replace("-", "") == claim.birth_date
        and any(line.date == other.service_date.replace("-", "") for line in claim.lines)
    ]
    case.compare("I2", name, "person and day on the claim", [row.name], people)
    if claim.member_id not in row.member_ids:
        case.disagree("I2", name, "member id", "one of this person's", "another")
    for column, expected, found in (
        ("sex", row.sex, claim.sex),
        ("payer", row.payer_id, claim.payer_id),
        ("filing indicator", row.filing_indicator, claim.filing_indicator),
        ("billing NPI", row.billing_npi, claim.billing_npi),
        ("rendering NPI", row.rendering_npi, claim.rendering_npi),
        ("principal diagnosis", row.diagnosis, (claim.diagnoses or [""])[0]),
        ("charge", row.fee_cents, claim.charge_cents),
        ("place of service", row.place_of_service, claim.place),
        ("service lines", len(row.lines), len(claim.lines)),
    ):
        case.compare("I2", name, column, expected, found)
    fees = dict(row.lines)
    if len(fees) > 1:
        case.compare("I2", name, "codes", sorted(fees), sorted(line.code for line in claim.lines))
    for line in claim.lines:
        code = line.code if line.code in fees else "90853"
        for column, expected, found in (
            ("code", code, line.code),
            ("unit", "UN", line.unit),
            ("units", "1", line.units),
            ("service date", row.service_date.replace("-", ""), line.date),
            ("line charge", fees[code], line.cents),
            ("line place of service", row.place_of_service, line.place or claim.place),
        ):
            case.compare("I2", name, column, expected, found)
        _check_remote_modifiers(case, row, line.modifiers, name)
    valid = [
        a.number
        for a in row.authorizations
        if a.first_day <= row.service_date <= a.last_day
        and (a.known_at is None or a.known_at <= claim.at)
        and a.used < a.units
    ]
    valid += _granted_on_request(case, row, claim)
    if claim.authorization not in (valid or [""]):
        case.disagree("I2", name, "REF*G1", valid or "", claim.authorization)
    if row.authorization_answered == "Y" and not valid:
        case.disagree("I2", name, "received", "nothing without authorization (EB11 Y)", "a claim")
    gates = [("attendance", row.recorded_at), ("signature of the note", row.signed_at)]
    treated = (row.seen_by(claim.at) or row.seen[0]).treated_in_room
    if treated > GROUP_SOFT_LIMIT:
        gates.append((f"release, {treated} having been treated", row.released_at))
    if treated < 2:
        gates.append(("a second person in the room", None))
    if is_void:
        gates = []
    for what, moment in gates:
        if moment is None or claim.at < moment:
            case.disagree("I2", name, "received", f"after {what} ({moment})", claim.at)


def _check_remote_modifiers(
    case: Case, row: RosterRow, modifiers: tuple[str, ...], name: str
) -> None:
    """Of the modifiers for taking part from elsewhere, none that cannot be (section 3, T15)."""
    allowed = set(_REMOTE_MODIFIERS) if row.medium else set()
    if row.medium == "audio_only":
        allowed -= {"95", "GT"}
    if row.medium == "audio_video":
        allowed -= {"93", "FQ"}
    if row.filing_indicator == "MB":
        allowed -= {"95"}
    wrong = sorted(_REMOTE_MODIFIERS.intersection(modifiers) - allowed)
    if wrong:
        how = row.medium or "in the room"
        case.disagree("I2", name, "modifiers", f"only what fits {how}", ":".join(wrong))


def _is_about(inquiry: Inquiry, row: RosterRow) -> bool:
    named = (inquiry.last_name.casefold(), inquiry.first_name.casefold())
    return inquiry.member_id in row.known_ids or named == _person(row)


def _granted_on_request(case: Case, row: RosterRow, claim: SubmittedClaim) -> list[str]:
    """Numbers the payer gave in an answer to a 278 before the claim arrived."""
    promised = {
        d.number
        for d in row.decisions
        if d.decision in _GRANTED and d.first_day <= row.service_date <= d.last_day
    }
    return [
        answer.number
        for answer in case.reviews_answered
        if answer.decision in _GRANTED
        and answer.number in promised
        and _is_about(answer, row)
        and answer.n < claim.n
        and answer.at <= claim.at
    ]


def _check_authorized_units(case: Case) -> None:
    """No authorization is on more claims than it has units left."""
    users: dict[str, set[str]] = defaultdict(set)
    for claim in case.submitted:
        if claim.authorization and not case.is_over(claim.claim_number):
            users[claim.authorization].add(claim.claim_number)
    left = {a.number: a.units - a.used for row in case.intake.roster for a in row.authorizations}
    for number, claims in users.items():
        if number in left and len(claims) > left[number]:
            column = f"claims with REF*G1 {number}"
            case.disagree("I2", "authorization", column, f"at most {left[number]}", len(claims))


def _person(row: RosterRow) -> tuple[str, str]:
    return (row.last_name.casefold(), row.first_name.casefold())


# --- I3 ----------------------------------------------------------------------------------------


def _check_payments(case: Case) -> None:
    on_wire: dict[tuple[str, str, int], list[Payment]] = defaultdict(list)
    for payment in case.distinct_payments():
        on_wire[payment.trace, payment.date, payment.cents].append(payment)
    contents: dict[tuple[str, str, str, int], set[object]] = defaultdict(set)
    for payment in case.payments:
        contents[payment.key].add(payment.content())
    for key, seen in contents.items():
        if len(seen) > 1:
            case.disagree("I3", f"payment {key[1]}", "copies", "equal in content", "different")
    in_books: dict[tuple[str, str, int], list[Remittance]] = defaultdict(list)
    for row in case.books.remittances:
        in_books[row.trace, row.payment_date, row.paid_cents].append(row)
        _check_remittance(case, row)
    for identity, count in Counter(r.id for r in case.books.remittances).items():
        if count > 1:
            case.disagree("I3", f"remittance {identity}", "rows", 1, count)
    for where in sorted(on_wire.keys() | in_books.keys()):
        sent, rows = on_wire.get(where, []), in_books.get(where, [])
        name = f"payment {where[0]} of {where[1]}"
        balanced = [payment for payment in sent if payment.balances()]
        posted = [row for row in rows if row.state == "posted"]
        suspended = [row for row in rows if row.state == "suspended"]
        case.compare("I3", name, "times posted", len(balanced), len(posted))
        if len(sent) > len(balanced) and not suspended:
            case.disagree("I3", name, "state", "suspended: it does not balance", "not suspended")
        if suspended and len(sent) == len(balanced):
            case.disagree("I3", name, "state", "posted: it balances", "suspended")
        if not sent:
            case.disagree("I3", name, "835 sent by the payer", "one", "none")
        if len(balanced) == len(posted) == 1:
            _check_posted(case, balanced[0], posted[0], name)
    _check_orphans(case)


def _check_orphans(case: Case) -> None:
    """Every part of a payment belongs to a remittance there is."""
    known = {row.id for row in case.books.remittances}
    parts: Iterable[tuple[str, str]] = [
        *(("remittance_claim", row.remittance_id) for row in case.books.remittance_claims),
        *(("remittance_line", row.remittance_id) for row in case.books.remittance_lines),
        *(
            ("remittance_adjustment", row.remittance_id)
            for row in case.books.remittance_adjustments
        ),
        *(("provider_adjustment", row.remittance_id) for row in case.books.provider_adjustments),
    ]
    for table, identity in sorted(set(parts)):
        if identity not in known:
            case.disagree("I3", table, "remittance_id", "a remittance there is", identity)


def _check_remittance(case: Case, row: Remittance) -> None:
    name = f"remittance {row.id}"
    if row.state not in ("posted", "suspended", "duplicate"):
        case.disagree("I3", name, "state", "posted, suspended or duplicate", row.state)
    moved = sum(t.remittance_id == row.id for t in case.books.transfers)
    if row.state != "posted":
        case.compare("I3", name, f"transfers, being {row.state}", 0, moved)
        return
    case.compare("I3", name, "difference_cents", 0, row.difference_cents or 0)
    claims = [c for c in case.books.remittance_claims if c.remittance_id == row.id]
    withheld = sum(p.cents for p in case.books.provider_adjustments if p.remittance_id == row.id)
    total = sum(c.paid_cents for c in claims) - withheld
    case.compare("I3", name, "paid_cents = claims - provider adjustments", total, row.paid_cents)
    if not claims:
        case.disagree("I3", name, "claims", "at least one", 0)
    for claim in claims:
        where = f"{name} {claim.control_number}"
        lines = [
            line
            for line in case.books.remittance_lines
            if (line.remittance_id, line.claim_position) == (row.id, claim.position)
        ]
        cuts = [
            cut
            for cut in case.books.remittance_adjustments
            if (cut.remittance_id, cut.claim_position) == (row.id, claim.position)
        ]
        kept = claim.charge_cents - sum(cut.cents for cut in cuts)
        case.compare("I3", where, "charge - adjustments = paid", kept, claim.paid_cents)
        if not lines:
            case.disagree("I3", where, "lines", "at least one", 0)
            continue
        charged = sum(line.charge_cents for line in lines)
        case.compare("I3", where, "charge of lines", claim.charge_cents, charged)
        for line in lines:
            taken = sum(c.cents for c in cuts if c.line_position == line.line_position)
            kept = line.charge_cents - taken
            column = f"line {line.line_position}: charge - adjustments = paid"
            case.compare("I3", where, column, kept, line.paid_cents)
        known = {0, *(line.line_position for line in lines)}
        if any(cut.line_position not in known for cut in cuts):
            case.disagree("I3", where, "adjustments", "on lines there are", "on another line")


def _check_posted(case: Case, payment: Payment, row: Remittance, name: str) -> None:
    """What was posted is what the 835 says, claim by claim and cut by cut."""
    if row.payer_id not in {payment.origin, payment.payer_id, case.payer_of(payment)} - {""}:
        case.disagree("I3", name, "payer_id", case.payer_of(payment), row.payer_id)
    claims = sorted(
        (c for c in case.books.remittance_claims if c.remittance_id == row.id),
        key=lambda c: c.position,
    )
    sent = [c.control_number for c in payment.claims]
    case.compare("I3", name, "claims", sent, [c.control_number for c in claims])
    withheld = Counter(
        (p.reason_code, p.cents)
        for p in case.books.provider_adjustments
        if p.remittance_id == row.id
    )
    case.compare(
        "I3", name, "provider adjustments", Counter(payment.provider_adjustments), withheld
    )
    if sent != [c.control_number for c in claims]:
        return
    for paid, posted in zip(payment.claims, claims, strict=True):
        _check_posted_claim(case, paid, posted, f"{name} {paid.control_number}")


def _check_posted_claim(case: Case, paid: PaidClaim, posted: RemittanceClaim, name: str) -> None:
    for column, expected, found in (
        ("status", paid.status, str(posted.status)),
        ("charge_cents", paid.charge_cents, posted.charge_cents),
        ("paid_cents", paid.paid_cents, posted.paid_cents),
        ("patient_cents", paid.patient_cents, posted.patient_cents),
        ("payer_claim_number", paid.payer_claim_number, posted.payer_claim_number or ""),
    ):
        case.compare("I3", name, column, expected, found)
    if any(c.control_number == paid.control_number for c in case.submitted):
        case.compare("I3", name, "claim_number", paid.claim_number, posted.claim_number)
    elif posted.claim_number is not None:
        case.disagree("I3", name, "claim_number", "none: no such claim was sent", "one")
    lines = sorted(_of_claim(case.books.remittance_lines, posted), key=lambda li: li.line_position)
    cuts = _of_claim(case.books.remittance_adjustments, posted)
    said = [
        (line.code, ":".join(line.modifiers), line.charge_cents, line.paid_cents)
        for line in paid.lines
    ]
    kept = [(line.code, line.modifiers or "", line.charge_cents, line.paid_cents) for line in lines]
    case.compare("I3", name, "lines", said, kept)
    allowed = [line.allowed_cents for line in paid.lines]
    if None not in allowed:
        case.compare("I3", name, "allowed", allowed, [line.allowed_cents for line in lines])
    for index, group in enumerate([paid.adjustments, *(line.adjustments for line in paid.lines)]):
        position = 0 if index == 0 else lines[index - 1].line_position if said == kept else index
        taken = Counter(
            (c.group_code, c.reason_code, c.cents) for c in cuts if c.line_position == position
        )
        wanted = Counter((a.group, a.reason, a.cents) for a in group)
        column = f"adjustments of line {position}" if index else "adjustments of the claim"
        case.compare("I3", name, column, wanted, taken)


Part = TypeVar("Part", RemittanceLine, RemittanceAdjustment)


def _of_claim(parts: Iterable[Part], claim: RemittanceClaim) -> list[Part]:
    return [
        part
        for part in parts
        if (part.remittance_id, part.claim_position) == (claim.remittance_id, claim.position)
    ]


# --- I4 ----------------------------------------------------------------------------------------


def _net(transfers: Iterable[Transfer], account: str) -> int:
    """Debits less credits of one account, in cents."""
    return sum(t.cents * ((t.debit == account) - (t.credit == account)) for t in transfers)


def _between(transfers: Iterable[Transfer], debit: str, credit: str) -> int:
    """What went from ``credit`` to ``debit`` less what went back, in cents."""
    signs = {(debit, credit): 1, (credit, debit): -1}
    return sum(t.cents * signs.get((t.debit, t.credit), 0) for t in transfers)


def _check_ledger(case: Case) -> None:
    standings = {s.claim_number: s for s in case.books.standings if s.claim_number}
    posted = {r.id: r for r in case.books.remittances if r.state == "posted"}
    for row in case.books.transfers:
        name = f"transfer {row.id}"
        if row.cents <= 0:
            case.disagree("I4", name, "cents", "above zero", row.cents)
        if row.debit == row.credit:
            case.disagree("I4", name, "debit and credit", "two accounts", row.debit)
        for account in (row.debit, row.credit):
            if account not in ACCOUNTS:
                case.disagree("I4", name, "account", "a known account", account)
        if not row.kind:
            case.disagree("I4", name, "kind", "a word", "nothing")
        if row.claim_number is not None and row.claim_number not in standings:
            case.disagree("I4", name, "claim_number", "a participant's claim", "another")
        if row.remittance_id is not None and row.remittance_id not in posted:
            case.disagree("I4", name, "remittance_id", "a posted remittance", row.remittance_id)
    for identity, count in Counter(t.id for t in case.books.transfers).items():
        if count > 1:
            case.disagree("I4", f"transfer {identity}", "rows", 1, count)
    _check_repetition(case)
    _check_clearing(case)
    rows = {(r.session_id, r.patient_id): r for r in case.intake.roster}
    for claim_number, standing in standings.items():
        row_found = rows.get((standing.session_id, standing.patient_id))
        if row_found is not None:
            _check_claim_account(case, row_found, claim_number, standing)


def _check_repetition(case: Case) -> None:
    """The same transfer twice: posted twice, unless the remittance itself says the same twice."""
    seen = Counter(
        (
            t.kind,
            t.claim_number,
            t.remittance_id,
            t.debit,
            t.credit,
            t.cents,
            # Without a remittance only the moment tells two equal payments of a patient apart.
            None if t.remittance_id is not None else t.posted_at,
        )
        for t in case.books.transfers
    )
    for key, count in seen.items():
        if count > 1:
            name = f"transfer {key[0]} claim {key[1]} remittance {key[2]}"
            case.disagree("I4", name, "times posted", 1, count)


def _check_clearing(case: Case) -> None:
    traces = {(p.trace, p.date, p.cents): p for p in case.distinct_payments() if p.balances()}
    for row in case.books.remittances:
        payment = traces.get((row.trace, row.payment_date, row.paid_cents))
        if row.state != "posted" or payment is None:
            continue
        name = f"remittance {row.id}"
        moves = [t for t in case.books.transfers if t.remittance_id == row.id]
        deposited = _between(moves, "deposits", "clearing")
        case.compare("I4", name, "deposited", payment.cents, deposited)
        applied: dict[str | None, int] = defaultdict(int)
        kept_apart = 0
        for paid in payment.claims:
            if case.takes_back_nothing(paid):
                kept_apart += paid.paid_cents
            else:
                applied[paid.claim_number] += paid.paid_cents
        for claim_number, amount in applied.items():
            mine = [t for t in moves if t.claim_number == claim_number]
            found = _between(mine, "clearing", "payer_receivable")
            case.compare("I4", f"{name} claim {claim_number}", "applied", amount, found)
        strangers = [t for t in moves if t.claim_number not in applied]
        stray = _between(strangers, "clearing", "payer_receivable")
        case.compare("I4", name, "applied to claims it does not name", 0, stray)
        left = -_net(moves, "clearing")
        withheld = sum(amount for _, amount in payment.provider_adjustments) - kept_apart
        if left not in {0, -withheld}:
            case.disagree("I4", name, "left in clearing", sorted({0, -withheld}), left)
        apart = [t for t in moves if t.claim_number is None]
        outside = sum(_net(apart, account) for account in _NOT_IN_A_CLAIM)
        case.compare("I4", name, "outside of claims (PLB)", 0 if left else withheld, outside)
    everything = case.books.transfers
    for account in ("deposits", "clearing"):
        loose = [t for t in everything if t.remittance_id is None]
        case.compare("I4", "transfers without remittance", account, 0, _net(loose, account))
    deposited = sum(p.cents for p in traces.values())
    case.compare("I4", "all remittances", "deposits", deposited, _net(everything, "deposits"))
    withheld = sum(amount for p in traces.values() for _, amount in p.provider_adjustments)
    left = -_net(everything, "clearing")
    if left not in {0, -withheld}:
        case.disagree("I4", "all remittances", "clearing", "deposits - applied", left)


def _check_claim_account(case: Case, row: RosterRow, claim_number: str, standing: Standing) -> None:
    moves = [t for t in case.books.transfers if t.claim_number == claim_number]
    versions = case.versions(claim_number)
    charge = max(versions, key=lambda c: c.version).charge_cents if versions else 0
    if standing.standing == "not_billable" and versions and case.is_over(claim_number):
        charge = 0  # no payer has anything of it any more
    back = sum(_net(moves, account) for account in _BACK)
    paid = case.paid_claims(claim_number)
    received = sum(p.paid_cents for p in paid)
    co_said = sum(p.group_cents("CO") for p in paid)
    co_taken = sum(_net(moves, account) for account in _CO_ACCOUNTS)
    others = back + sum(
        _net(moves, a) for a in ("other_adjustment", "write_off", "unapplied", "interest")
    )
    payer, patient = _net(moves, "payer_receivable"), _net(moves, "patient_receivable")
    name = f"{row.name} {claim_number}"
    if not 0 <= -back <= received:
        case.disagree("I4", name, "sent back to the payer", f"0 to {received}", -back)
    case.compare("I4", name, "charges", charge, -_net(moves, "charges"))
    case.compare("I4", name, "received from the payer", received, _net(moves, "clearing"))
    cash = _net(moves, "patient_cash")
    case.compare("I4", name, "received from the patient", row.patient_paid_cents, cash)
    if not 0 <= co_taken <= co_said:
        case.disagree("I4", name, "written off as CO", f"0 to {co_said}", co_taken)
    other_said = sum(p.group_cents("OA") + p.group_cents("PI") for p in paid)
    other_taken = _net(moves, "other_adjustment")
    if not 0 <= other_taken <= other_said:
        case.disagree("I4", name, "other adjustments", f"0 to {other_said}", other_taken)
    due = charge - received - co_taken - others - row.patient_paid_cents
    case.compare("I4", name, "receivable = charge - applied", due, payer + patient)
    if payer < 0 or patient < 0:
        case.disagree("I4", name, "receivables", "none below zero", f"{payer} and {patient}")
    if standing.stage == "closed":
        case.compare("I4", name, "receivable of a closed claim", (0, 0), (payer, patient))
    money = [m for m in case.books.money if m.claim_number == claim_number]
    if len(money) > 1 or (versions and not money):
        case.disagree("I4", name, "rows in claim_money", 1, len(money))
    for view in money:
        for column, expected, found in (
            ("charge_cents", charge, view.charge_cents),
            ("paid_cents", received + back, view.paid_cents),
            ("contractual_cents", co_taken, view.contractual_cents),
            ("patient_paid_cents", row.patient_paid_cents, view.patient_paid_cents),
            ("patient_open_cents", patient, view.patient_open_cents),
            ("payer_open_cents", payer, view.payer_open_cents),
        ):
            if versions or found is not None:  # a claim never sent has nothing to show
                case.compare("I4", name, f"claim_money.{column}", expected, found)


# --- I6 ----------------------------------------------------------------------------------------


def _check_deadlines(case: Case) -> None:
    """What was due was told of in time: some deadlines by hand, the others by the books."""
    if not case.log:
        return
    arrivals: dict[str, datetime] = {}
    taken: dict[str, datetime] = {}
    for claim in case.submitted:
        arrivals.setdefault(claim.claim_number, claim.at)
        if not case.is_rejected(claim):
            taken.setdefault(claim.claim_number, claim.at)
    decisions: dict[str, datetime] = {}
    for payment in case.payments:
        for paid in payment.claims:
            decisions.setdefault(paid.claim_number, payment.at)
    # Whether that is right is for I2 to say; what is never billed is never late.
    never_billed = {s.claim_number for s in case.books.standings if s.standing == "not_billable"}
    filings = [
        Filing(
            name=row.name,
            claim_number=number,
            payer_id=row.payer_id,
            service_date=date.fromisoformat(row.service_date),
            arrived=arrivals.get(number),
            taken=taken.get(number),
            decided=decisions.get(number),
        )
        for row in case.intake.roster
        if (number := case.claim_number_of(row)) and number not in never_billed
    ]
    check_deadlines(
        case.books.told,
        filings,
        _patients(case),
        max(entry.at for entry in case.log),
        lambda row, column, expected, found: case.disagree("I6", row, column, expected, found),
    )


def _patients(case: Case) -> dict[str, Patient]:
    """Whose requests for authorization the payers decided when, by the product's ids."""
    whose: dict[str, str] = {
        standing.claim_number: standing.patient_id
        for standing in case.books.standings
        if standing.claim_number is not None
    }
    numbers: dict[str, set[str]] = defaultdict(set)
    decided: dict[str, list[datetime]] = defaultdict(list)
    for number, patient_id in whose.items():
        numbers[patient_id].add(number)
    rows = {whose.get(case.claim_number_of(row) or ""): row for row in case.intake.roster}
    for patient_id, row in rows.items():
        if patient_id is not None:
            decided[patient_id] += [
                answer.at
                for answer in case.reviews_answered
                if answer.decision not in ("", _PENDED) and _is_about(answer, row)
            ]
    return {
        patient_id: Patient(frozenset(claims), tuple(decided[patient_id]))
        for patient_id, claims in numbers.items()
    }


# --- I10 ---------------------------------------------------------------------------------------


def _check_patient_share(case: Case) -> None:
    traces = {(p.trace, p.date, p.cents): p for p in case.distinct_payments() if p.balances()}
    sent = {
        r.id: traces[r.trace, r.payment_date, r.paid_cents]
        for r in case.books.remittances
        if (r.trace, r.payment_date, r.paid_cents) in traces
    }
    protected = {
        number
        for row in case.intake.roster
        if row.qualified_medicare_beneficiary and (number := case.claim_number_of(row))
    }
    moved: dict[tuple[str | None, Identifier | None], int] = defaultdict(int)
    _check_prepaid(case)
    for row in case.books.transfers:
        name = f"transfer {row.id}"
        pair = {row.debit, row.credit}
        if "patient_receivable" not in pair:
            continue
        other = next(iter(pair - {"patient_receivable"}), "patient_receivable")
        if other not in ("payer_receivable", "patient_cash", "write_off", "unapplied"):
            case.disagree("I10", name, "patient_receivable against", "no such account", other)
        if row.debit == "patient_receivable" and other == "write_off":
            case.disagree("I10", name, "patient_receivable from", "payer_receivable", other)
        if other == "payer_receivable":
            sign = 1 if row.debit == "patient_receivable" else -1
            moved[row.claim_number, row.remittance_id] += sign * row.cents
    per_claim: dict[str | None, int] = defaultdict(int)
    for (claim_number, remittance_id), amount in moved.items():
        per_claim[claim_number] += amount
        name = f"claim {claim_number} remittance {remittance_id}"
        payment = sent.get(remittance_id) if remittance_id is not None else None
        limit = sum(
            paid.group_cents("PR")
            for paid in (payment.claims if payment else [])
            if paid.claim_number == claim_number
            and claim_number not in protected
            and not case.takes_back_nothing(paid)
        )
        if amount > limit:
            case.disagree("I10", name, "moved to the patient", f"at most {limit}", amount)
    for claim_number, amount in per_claim.items():
        limit = _share(case, claim_number or "", protected)
        if amount > limit:
            case.disagree(
                "I10", f"claim {claim_number}", "moved to the patient", f"at most {limit}", amount
            )
    for view in case.books.money:
        limit = _share(case, view.claim_number, protected)
        if (view.patient_cents or 0) > limit:
            name = f"claim {view.claim_number}"
            found = view.patient_cents
            case.disagree("I10", name, "claim_money.patient_cents", f"at most {limit}", found)


def _check_prepaid(case: Case) -> None:
    """What is held for a patient again is what the patient has paid, never more."""
    for claim_number in {t.claim_number for t in case.books.transfers}:
        moves = [t for t in case.books.transfers if t.claim_number == claim_number]
        held_again = _between(moves, "patient_receivable", "unapplied")
        paid = _between(moves, "patient_cash", "patient_receivable")
        if held_again > max(paid, 0):
            name = f"claim {claim_number}"
            limit = f"at most {max(paid, 0)}, which the patient paid"
            case.disagree("I10", name, "patient_receivable from unapplied", limit, held_again)


def _share(case: Case, claim_number: str, protected: set[str]) -> int:
    """What the payers left to the patient; nothing for one who may not be asked (QMB)."""
    if claim_number in protected:
        return 0
    return sum(p.group_cents("PR") for p in case.paid_claims(claim_number))


# --- EXPECTED ----------------------------------------------------------------------------------


def _check_truth(case: Case) -> None:
    truth: dict[tuple[str, str], dict[str, str]] = {}
    for expected in case.intake.expected:
        key = (expected["session"], expected["patient"])
        if key in truth:
            case.disagree("EXPECTED", "/".join(key), "rows in expected.csv", 1, 2)
        truth[key] = expected
    roster = {(row.session, row.patient): row for row in case.intake.roster}
    for key in sorted(truth.keys() ^ roster.keys()):
        where = "in expected.csv and on a roster", "in one of them only"
        case.disagree("EXPECTED", "/".join(key), "", *where)
    for key, row in roster.items():
        if key in truth:
            _check_arithmetic(case, truth[key])
            _check_outcome(case, row, truth[key])
    _check_copies(case)
    _check_put_to_the_test(case)


def _amount(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _check_arithmetic(case: Case, expected: dict[str, str]) -> None:
    """The truth must add up before it may judge."""
    name = f"expected.csv {expected['session']}/{expected['patient']}"
    if not expected["arithmetic"].strip():
        case.disagree("EXPECTED", name, "arithmetic", "the working", "nothing")
    values = {column: _amount(expected[column]) for column in AMOUNTS}
    if not any(expected[column] for column in AMOUNTS):
        return
    if any(value is None for value in values.values()):
        case.disagree("EXPECTED", name, "amounts", "all or none in whole cents", "some")
        return
    known = {column: value or 0 for column, value in values.items()}
    parts = ("paid_cents", "contractual_cents", "pr_cents", "oa_cents", "pi_cents")
    total = known["payer_open_cents"] + sum(known[part] for part in parts)
    case.compare("EXPECTED", name, "charge_cents", total, known["charge_cents"])
    share = known["patient_paid_cents"] + known["patient_open_cents"]
    case.compare("EXPECTED", name, "pr_cents", share, known["pr_cents"])


def _check_outcome(case: Case, row: RosterRow, expected: dict[str, str]) -> None:
    found = [
        s
        for s in case.books.standings
        if (s.session_id, s.patient_id) == (row.session_id, row.patient_id)
    ]
    if len(found) != 1:
        case.disagree("EXPECTED", row.name, "rows in participant_standing", 1, len(found))
        return
    standing = found[0]
    case.compare("EXPECTED", row.name, "standing", expected["standing"], standing.standing)
    case.compare("EXPECTED", row.name, "reason", expected["reason"], standing.reason or "")
    case.compare("EXPECTED", row.name, "final_stage", expected["final_stage"], standing.stage or "")
    claim_number = standing.claim_number or ""
    versions = sorted(case.versions(claim_number), key=lambda c: c.version)
    case.compare(
        "EXPECTED",
        row.name,
        "accepted_versions",
        expected["accepted_versions"],
        str(len({c.control_number for c in versions})),
    )
    posted = {r.id for r in case.books.remittances if r.state == "posted"}
    remitted = sum(
        c.claim_number == claim_number and c.remittance_id in posted
        for c in case.books.remittance_claims
    )
    case.compare("EXPECTED", row.name, "remittances", expected["remittances"], str(remitted))
    rules = {f.rule for f in case.books.findings if f.claim_number == claim_number}
    for rule in filter(None, expected["findings"].split(";")):
        if rule not in rules:
            case.disagree("EXPECTED", row.name, "findings", rule, "no such finding")
    latest = versions[-1] if versions else None
    # The group's line first, whatever comes with it; two lines are two values with a semicolon.
    lines = sorted(latest.lines if latest else [], key=lambda line: (line.code != "90853",))
    for column, value in (
        ("code", ";".join(line.code for line in lines)),
        ("modifiers", ";".join(":".join(line.modifiers) for line in lines)),
        ("place_of_service", latest.place if latest else ""),
    ):
        case.compare("EXPECTED", row.name, column, expected[column], value)
    money = [m for m in case.books.money if m.claim_number == claim_number]
    final = [
        paid
        for paid in case.paid_claims(claim_number)
        if latest is not None and paid.control_number == latest.control_number
    ]
    moves = [t for t in case.books.transfers if t.claim_number == claim_number]
    for source, amounts in (
        ("claim_money", _from_view(money)),
        ("835", _from_wire(latest, final)),
        ("transfer", _from_ledger(moves)),
    ):
        for column, amount in amounts.items():
            if not expected[column]:
                amount = amount or None  # never sent: nothing and zero are the same
            elif expected["remittances"] == "0" and versions:
                amount = amount or 0  # sent, and no answer is to be posted: the same
            case.compare(
                "EXPECTED", row.name, f"{column} ({source})", _amount(expected[column]), amount
            )


def _from_view(money: Sequence[Money]) -> dict[str, int | None]:
    view = money[0] if len(money) == 1 else None
    return {
        "charge_cents": view.charge_cents if view else None,
        "allowed_cents": view.allowed_cents if view else None,
        "paid_cents": view.paid_cents if view else None,
        "pr_cents": view.patient_cents if view else None,
        "patient_paid_cents": view.patient_paid_cents if view else None,
        "patient_open_cents": view.patient_open_cents if view else None,
        "payer_open_cents": view.payer_open_cents if view else None,
        "contractual_cents": view.contractual_cents if view else None,
    }


def _from_wire(latest: SubmittedClaim | None, final: Sequence[PaidClaim]) -> dict[str, int | None]:
    amounts: dict[str, int | None] = {"charge_cents": latest.charge_cents if latest else None}
    for column, total in (
        ("allowed_cents", sum(p.allowed_cents() for p in final)),
        ("paid_cents", sum(p.paid_cents for p in final)),
        ("co_cents", sum(p.group_cents("CO") for p in final)),
        ("pr_cents", sum(p.group_cents("PR") for p in final)),
        ("oa_cents", sum(p.group_cents("OA") for p in final)),
        ("pi_cents", sum(p.group_cents("PI") for p in final)),
    ):
        amounts[column] = total if final else None
    return amounts


def _from_ledger(moves: Sequence[Transfer]) -> dict[str, int | None]:
    return {
        "charge_cents": -_net(moves, "charges"),
        "paid_cents": _net(moves, "clearing"),
        "pr_cents": _between(moves, "patient_receivable", "payer_receivable"),
        "patient_paid_cents": _net(moves, "patient_cash"),
        "patient_open_cents": _net(moves, "patient_receivable"),
        "payer_open_cents": _net(moves, "payer_receivable"),
        "contractual_cents": sum(_net(moves, account) for account in _CO_ACCOUNTS),
    }


def _check_copies(case: Case) -> None:
    """The doubled 835 of the sample really came twice, or nothing was put to the test."""
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    for payment in case.payments:
        files[case.payer_of(payment), payment.date].add(payment.file)
    for key in sorted(files.keys() | case.intake.copies.keys()):
        wanted, found = case.intake.copies.get(key, 1), len(files.get(key, ()))
        name = f"835 of {key[0]} on {key[1]}"
        case.compare("EXPECTED", name, "files delivered", wanted, found)


def _check_put_to_the_test(case: Case) -> None:
    """What the payers of the sample were to do besides, they did, or nothing was tested."""
    by_day: dict[tuple[str, str], list[Payment]] = defaultdict(list)
    for payment in case.distinct_payments():
        by_day[case.payer_of(payment), payment.date].append(payment)
    for key in sorted(by_day.keys() | case.intake.unbalanced.keys()):
        off = [_out_of_balance(payment) for payment in by_day[key] if not payment.balances()]
        wanted = [case.intake.unbalanced[key]] if key in case.intake.unbalanced else []
        name = f"835 of {key[0]} on {key[1]}"
        case.compare("EXPECTED", name, "out of balance by", wanted, [abs(cents) for cents in off])
    for reversal in case.intake.reversals:
        paid = [
            claim
            for payment in by_day[reversal.payer_id, reversal.on]
            for claim in payment.claims
            if claim.claim_number in _claims_of(case, reversal.member_id, reversal.service_date)
        ]
        name = f"835 of {reversal.payer_id} on {reversal.on}"
        case.compare("EXPECTED", name, "reversals", 1, sum(c.is_reversal for c in paid))
        corrected = reversal.corrected_allowed_cents
        wanted = [] if corrected is None else [corrected]
        found = [c.allowed_cents() for c in paid if not c.is_reversal]
        case.compare("EXPECTED", name, "allowed in the correction", wanted, found)
    for takeback in case.intake.takebacks:
        for day, cents in ((takeback.announced_on, 0), *takeback.taken):
            amounts = [a for p in by_day[takeback.payer_id, day] for _, a in p.provider_adjustments]
            name = f"835 of {takeback.payer_id} on {day}"
            case.compare("EXPECTED", name, "provider adjustments", cents, sum(amounts))
            if not amounts:
                case.disagree("EXPECTED", name, "PLB", "at least one", "none")
    for row in case.intake.roster:
        _check_asked(case, row)


def _out_of_balance(payment: Payment) -> int:
    """Cents by which BPR02 is above what claims and provider adjustments come to."""
    total = sum(claim.paid_cents for claim in payment.claims)
    return payment.cents - total + sum(amount for _, amount in payment.provider_adjustments)


def _claims_of(case: Case, member_id: str, day: str) -> set[str]:
    return {
        claim.claim_number
        for claim in case.submitted
        if claim.member_id == member_id
        and any(line.date == day.replace("-", "") for line in claim.lines)
    }


def _check_asked(case: Case, row: RosterRow) -> None:
    """The second payer was asked before it was billed; an authorization was asked for."""
    versions = case.versions(case.claim_number_of(row))
    first = min((claim.n for claim in versions), default=0)
    for payer in row.asked if len(row.asked) > 1 and versions else ():
        before = [
            i for i in case.inquiries if i.payer_id == payer and _is_about(i, row) and i.n < first
        ]
        if not before:
            case.disagree("EXPECTED", row.name, f"270 to {payer} before the claim", "one", "none")
    if not row.decisions or row.attendance != "attended":
        return
    if not any(_is_about(request, row) for request in case.reviews_asked):
        case.disagree("EXPECTED", row.name, "278 for an authorization", "one", "none")
    # An answer without a decision says only that one will follow.
    heard = [a.decision for a in case.reviews_answered if a.decision and _is_about(a, row)]
    # Asked again while pended, the payer says so again.
    told = [said for index, said in enumerate(heard) if said not in heard[index - 1 : index]]
    wanted = [decision.decision for decision in row.decisions]
    case.compare("EXPECTED", row.name, "answers to the 278", wanted, told)


# --- command line ------------------------------------------------------------------------------


def _say(value: object) -> str:
    if isinstance(value, Counter):
        value = sorted(value.elements())
    return "nothing" if value in ("", None) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict; 0 only if every invariant holds."""
    parser = argparse.ArgumentParser(prog="oracle", description=__doc__)
    parser.add_argument("--database", required=True, help="SQLite file or URL, or PostgreSQL URL")
    parser.add_argument("--wire", required=True, type=Path, help="the simulator's raw log")
    parser.add_argument("--samples", required=True, type=Path, help="folder of the sample practice")
    parser.add_argument("--identity-key", required=True, type=bytes.fromhex, metavar="HEX")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args(arguments)
    verdict = judge(options.database, options.wire, options.samples, options.identity_key)
    if options.json:
        print(json.dumps(verdict, indent=2))
    else:
        for invariant, true in verdict["invariants"].items():
            print(f"{invariant:<9}{'true' if true else 'false'}")
        for disagreement in verdict["disagreements"]:
            print(Disagreement(**disagreement))
    return 0 if all(verdict["invariants"].values()) else 1
