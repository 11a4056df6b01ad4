"""The papers a patient is given: statement, superbill, good-faith estimate. Each is of one patient,
and in the audit log before it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from activities.front_desk import Refused
from groupclaim.documents import patient as papers
from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.model.patient import Patient
from groupclaim.model.practice import Address, Clinician, Location, Practice
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.licences import valid_licences
from groupclaim.rules.patient_account import EstimateDue, estimate_due
from groupclaim.rules.pricing import fee_in_force
from groupclaim.store import audit, estimates, patient_account, work
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Transaction
from groupclaim.store.practice import read_practice

_WEEK = timedelta(days=7)
_MOST_SESSIONS = 500


@dataclass(frozen=True, slots=True)
class Paper:
    """A PDF with the amount it comes to: owed, paid or expected."""

    pdf: bytes
    cents: Cents


@dataclass(frozen=True, slots=True)
class EstimatePaper:
    """An estimate as it is kept under ``number``; ``due`` is None where no rule sets a day,
    ``late`` that the day has passed."""

    number: int
    pdf: bytes
    cents: Cents
    due: EstimateDue | None
    late: bool


class PatientPapers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._rights = patient_rights()

    async def statement(self, patient_ref: str, by: str) -> Paper:
        """What the patient owes for sessions that every payer has decided. Sessions with nothing
        open are left out; those a payer has not decided are counted, without amounts."""
        rights = self._rights
        async with self._database.transaction() as tx:
            patient_id = self._database.keyring.patient_id(patient_ref)
            lines = await patient_account.account(tx, patient_id)
            person = await patient_account.read_patient(tx, patient_id)
            practice = await read_practice(tx)
            now, today = await _today(tx, practice)
            due = [line for line in lines if line.settled and line.balance]
            made = papers.Statement(
                practice=letterhead(practice),
                patient=addressee(person),
                account=patient_id,
                issued_on=today,
                due_on=today + timedelta(days=rights.statement.days_to_pay),
                lines=tuple(
                    papers.StatementLine(
                        service_date=line.service_date,
                        service=papers.SERVICE_IN_WORDS,
                        charge=line.charge,
                        insurance_paid=line.insurance_paid,
                        adjustments=line.adjustments,
                        share=line.share,
                        patient_paid=line.patient_paid,
                        balance=line.balance,
                    )
                    for line in due
                ),
                pending=sum(not line.settled for line in lines),
                self_pay=person.self_pay,
                dispute_cents=rights.estimate_dispute.cents_above,
                dispute_days=rights.estimate_dispute.days_to_start,
            )
            await audit.record(
                tx, now, by, "patient_statement", patient_id,
                {"sessions": len(due), "cents": int(made.balance)},
            )  # fmt: skip
        return Paper(papers.statement_pdf(made, now), made.balance)

    async def superbill(
        self, patient_ref: str, first: date, last: date, by: str, clinician_ref: str | None = None
    ) -> Paper:
        """What one clinician gave the patient from ``first`` to ``last``, with what was paid.

        Raises :class:`Refused` when nothing with a signed note is there, or several clinicians are.
        """
        async with self._database.transaction() as tx:
            patient_id = self._database.keyring.patient_id(patient_ref)
            person = await patient_account.read_patient(tx, patient_id)
            given = [
                item
                for item in await patient_account.services_given(tx, patient_id, first, last)
                if clinician_ref in (None, item.facts.clinician.ref)
            ]
            if not given:
                raise Refused("no session with a signed note in that time")
            clinicians = {item.facts.clinician.ref for item in given}
            if len(clinicians) > 1:
                raise Refused(
                    "several clinicians gave them: name one with --clinician "
                    f"({', '.join(sorted(clinicians))})"
                )
            facts = given[-1].facts
            licence = next(iter(valid_licences(facts)), None)
            if licence is None:
                raise Refused("the clinician has no licence on file valid on the day")
            paid = {
                line.claim_number: line.patient_paid
                for line in await patient_account.account(tx, patient_id)
            }
            now, today = await _today(tx, facts.practice)
            lines = [line for item in given for line in _superbill_lines(item)]
            if not lines:
                raise Refused("the practice has no fee on file for the service on its day")
            made = papers.Superbill(
                practice=letterhead(facts.practice),
                patient=addressee(person),
                member_id=facts.coverage.member_id if facts.coverage else "",
                payer=facts.payer.name if facts.payer else "",
                provider=_rendering(
                    facts.clinician, licence.kind, f"{licence.state} {licence.number}"
                ),
                issued_on=today,
                lines=tuple(lines),
                paid=Cents(sum(paid.get(item.facts.claim_number, Cents(0)) for item in given)),
            )
            await audit.record(
                tx, now, by, "patient_superbill", patient_id,
                {"sessions": len(given), "from": first.isoformat(), "to": last.isoformat()},
            )  # fmt: skip
        return Paper(papers.superbill_pdf(made, now), made.paid)

    async def estimate(
        self,
        patient_ref: str,
        clinician_ref: str,
        location_ref: str,
        first: date,
        sessions: int,
        asked_on: date,
        reason: Literal["scheduled", "requested"],
        by: str,
    ) -> EstimatePaper:
        """A good-faith estimate of weekly sessions from ``first`` on, at the practice's fee.

        Raises :class:`InputRefused` for what is not on file, or reaches too far ahead.
        """
        rights = self._rights
        last = first + (sessions - 1) * _WEEK if 0 < sessions <= _MOST_SESSIONS else first
        months = rights.estimate_period.most_months
        problems = []
        if not 0 < sessions <= _MOST_SESSIONS:
            problems.append(f"sessions: 1 to {_MOST_SESSIONS}")
        if (last.year - first.year) * 12 + last.month - first.month > months:
            problems.append(f"sessions: the last is more than {months} months after the first")
        if asked_on > first:
            problems.append("asked_on: after the first session")
        async with self._database.transaction() as tx:
            found = await patient_account.estimate_facts(
                tx, patient_ref, clinician_ref, location_ref, GROUP_PSYCHOTHERAPY, first
            )
            if found.fee is None:
                problems.append("fee: none on file for the service on the first day")
            if problems or found.fee is None:
                raise InputRefused("estimate", problems)
            now, today = await _today(tx, found.practice)
            due = estimate_due(
                rights, BusinessCalendar(), asked_on=asked_on, first_session=first, reason=reason
            )
            made = papers.Estimate(
                practice=letterhead(found.practice),
                patient=addressee(found.patient),
                provider=_rendering(found.clinician, _kind(found, first), ""),
                place=_place(found.location),
                code=found.fee.code,
                diagnoses=tuple(_pointed(item) for item in found.plan.diagnoses)
                if found.plan
                else (),
                fee=found.fee.cents,
                sessions=sessions,
                first=first,
                last=last,
                issued_on=today,
                dispute_cents=rights.estimate_dispute.cents_above,
                dispute_days=rights.estimate_dispute.days_to_start,
                dispute_fee=rights.estimate_dispute.fee_cents,
            )
            await audit.record(
                tx, now, by, "good_faith_estimate", self._database.keyring.patient_id(patient_ref),
                {
                    "sessions": sessions, "cents": int(made.total),
                    "asked_on": asked_on.isoformat(),
                    "due_by": due.by.isoformat() if due else None,
                },
            )  # fmt: skip
            patient_id = self._database.keyring.patient_id(patient_ref)
            items = []
            for year in range(first.year, last.year + 1):
                item_id = await work.open_once(tx, work.estimate_task(patient_id, year), now)
                items.append(item_id)
                item = await work.read_item(tx, item_id)
                if item.state is not work.WorkState.RESOLVED:
                    await work.resolve(tx, item_id, by, item.revision, now)
            number = await estimates.keep(
                tx,
                patient_id,
                made,
                due_by=due.by if due else None,
                work_item_id=items[0],
                by=by,
                at=now,
            )
        late = due is not None and today > due.by
        return EstimatePaper(number, papers.estimate_pdf(made, now), made.total, due, late)

    async def given_estimates(self, patient_ref: str | None) -> tuple[estimates.KeptEstimate, ...]:
        """The estimates that were given, to one patient or to all."""
        keys = self._database.keyring
        async with self._database.reading() as reading:
            known = keys.patient_id(patient_ref) if patient_ref is not None else None
            return await estimates.given(reading, known)

    async def estimate_again(self, number: int, by: str) -> Paper:
        """An estimate once more, as it was given. Raises :class:`UnknownRecord`."""
        async with self._database.transaction() as tx:
            made, at = await estimates.read(tx, number)
            now = await practice_now(tx)
            await audit.record(tx, now, by, "read_estimate", f"estimate {number}")
        return Paper(papers.estimate_pdf(made, at), made.total)


async def _today(tx: Transaction, practice: Practice) -> tuple[datetime, date]:
    now = await practice_now(tx)
    return now, now.astimezone(ZoneInfo(practice.time_zone)).date()


def _kind(found: patient_account.EstimateFacts, day: date) -> str:
    state = found.location.address.state
    return next(
        (
            item.kind
            for item in found.clinician.licences
            if item.state == state and item.valid_on(day)
        ),
        found.clinician.licences[0].kind,
    )


def _superbill_lines(item: patient_account.ServiceGiven) -> Iterable[papers.SuperbillLine]:
    """As last billed; where nothing was billed, one unit of the group at the practice's fee."""
    facts, version = item.facts, item.version
    if version is not None:
        for line in version.lines:
            yield papers.SuperbillLine(
                service_date=line.service_date,
                code=line.code,
                modifiers=line.modifiers,
                place_of_service=line.place_of_service,
                diagnoses=tuple(
                    _pointed(version.diagnoses[place - 1]) for place in line.diagnosis_pointers
                ),
                units=line.units,
                fee=line.charge,
            )
        return
    fee = fee_in_force(facts, GROUP_PSYCHOTHERAPY)
    if fee is not None:
        yield papers.SuperbillLine(
            service_date=facts.service_date,
            code=fee.code,
            modifiers=(),
            place_of_service=facts.location.place_of_service,
            diagnoses=tuple(_pointed(code) for code in facts.plan.diagnoses) if facts.plan else (),
            units=1,
            fee=fee.cents,
        )


def _pointed(diagnosis: str) -> str:
    """An ICD-10-CM code as people write it: F33.1."""
    return f"{diagnosis[:3]}.{diagnosis[3:]}" if len(diagnosis) > 3 else diagnosis


def letterhead(practice: Practice) -> papers.Letterhead:
    """The practice as it signs what it gives a patient."""
    phone = practice.contact.phone
    return papers.Letterhead(
        name=practice.name,
        address=_lines(practice.address),
        phone=f"({phone[:3]}) {phone[3:6]}-{phone[6:]}",
        npi=practice.npi,
        tax_id=f"{practice.tax_id[:2]}-{practice.tax_id[2:]}",
    )


def addressee(person: Patient) -> papers.Addressee:
    """The one patient whom a paper is of."""
    return papers.Addressee(
        name=f"{person.first_name} {person.last_name}",
        address=_lines(person.address),
        birth_date=person.birth_date,
    )


def _rendering(clinician: Clinician, kind: str, licence: str) -> papers.Rendering:
    words = kind.replace("_", " ")
    return papers.Rendering(
        name=f"{clinician.first_name} {clinician.last_name}",
        credential=words.upper() if len(words) <= 4 else words,
        licence=licence,
        npi=clinician.npi,
    )


def _place(location: Location) -> tuple[str, ...]:
    return (location.name, *_lines(location.address))


def _lines(address: Address) -> tuple[str, str]:
    zip_code = f"{address.zip[:5]}-{address.zip[5:]}"
    return address.line, f"{address.city}, {address.state} {zip_code}"
