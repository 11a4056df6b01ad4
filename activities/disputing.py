"""What people see of disputes: the list, one case with its lines and penalty, and its letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from groupclaim.documents.dispute import DisputedLine, DisputeLetter, dispute_letter
from groupclaim.documents.patient import Letterhead
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy, PolicyBook
from groupclaim.rules.prompt_pay import Penalty, underpayment_penalty
from groupclaim.store import audit, disputes, practice
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Reading
from groupclaim.store.disputes import Case, CaseLine

_ANSWER_DAYS = 30
"""groupclaim's own choice: so long a payer has where no law says."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with its lines; ``penalties`` is what the law gives on them if the payer does not pay
    by ``pay_by``."""

    case: Case
    payer: str
    lines: tuple[CaseLine, ...]
    penalties: tuple[Penalty, ...]
    pay_by: date

    @property
    def penalty(self) -> Cents:
        return Cents(sum(item.cents for item in self.penalties))


async def case_file(reading: Reading, policies: PolicyBook, case_id: int) -> CaseFile:
    """One case as its letter says it: told when it was, or today. Raises UnknownRecord."""
    case = await disputes.read_case(reading, case_id)
    lines = await disputes.case_lines(reading, case_id)
    payer = await practice.read_payer(reading, case.payer_key)
    zone = ZoneInfo((await practice.read_practice(reading)).time_zone)
    told_on = (case.told_at or await practice_now(reading)).astimezone(zone).date()
    policy = policies.policy(payer.policy, told_on)
    pay_by = told_on + timedelta(days=_days_to_pay(policy))
    if case.kind == "overpayment":
        pay_by = case.limit_on or pay_by
    found = []
    for line in lines if case.kind == "underpayment" else ():
        of_that_day = policies.policy(payer.policy, line.service_date)
        penalty = _penalty(of_that_day, line, told_on, pay_by)
        found += [penalty] if penalty else []
    return CaseFile(case, payer.name, lines, tuple(found), pay_by)


def _days_to_pay(policy: PayerPolicy) -> int:
    law = policy.prompt_pay
    return law.cure_days if law is not None and law.cure_days is not None else _ANSWER_DAYS


def _penalty(policy: PayerPolicy, line: CaseLine, told_on: date, pay_by: date) -> Penalty | None:
    """What is owed on one line on the first day after ``pay_by``."""
    if line.received_on is None:
        return None
    return underpayment_penalty(
        policy,
        billed=line.charge,
        contracted=line.expected,
        underpaid=line.difference - line.recovered,
        received_on=line.received_on,
        paid_on=line.paid_on,
        noticed_on=told_on,
        until=pay_by + timedelta(days=1),
    )


async def write_letter(database: Database, policies: PolicyBook, case_id: int, by: str) -> bytes:
    """The letter of a case as PDF, of the instant it was approved, or a draft of now; noted in the
    audit log first. Raises UnknownRecord."""
    async with database.transaction() as tx:
        now = await practice_now(tx)
        found = await case_file(tx, policies, case_id)
        await audit.record(tx, now, by, "dispute_letter", f"dispute/{case_id}")
        letter = await _letter(tx, found, found.case.told_at or now)
    return dispute_letter(letter, found.case.told_at or now)


async def _letter(reading: Reading, found: CaseFile, at: datetime) -> DisputeLetter:
    own = await practice.read_practice(reading)
    zone = ZoneInfo(own.time_zone)
    phone = own.contact.phone
    return DisputeLetter(
        practice=Letterhead(
            name=own.name,
            address=(
                own.address.line,
                f"{own.address.city}, {own.address.state} {own.address.zip[:5]}",
            ),
            phone=f"{phone[:3]}-{phone[3:6]}-{phone[6:]}",
            npi=own.npi,
            tax_id=own.tax_id,
        ),
        payer=found.payer,
        case=f"dispute/{found.case.id}",
        kind=found.case.kind,
        issued_on=at.astimezone(zone).date(),
        code=found.case.code,
        mistake=found.case.pattern.replace("_", " "),
        lines=tuple(
            DisputedLine(
                claim_number=line.claim_number,
                payer_claim_number=line.payer_claim_number or "",
                service_date=line.service_date,
                code=line.code,
                charge=line.charge,
                expected=line.expected,
                allowed=line.allowed,
                difference=line.difference,
                paid_on=line.paid_on,
                trace=line.trace,
                working=line.working,
            )
            for line in found.lines
        ),
        total=Cents(sum(line.difference for line in found.lines)),
        penalty=found.penalty,
        penalty_workings=tuple(item.working for item in found.penalties),
        pay_by=found.pay_by,
    )
