"""Telling a patient that their card will be charged: the paper, and a person's word that they have
been told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from activities.front_desk import FrontDesk, Refused
from activities.patient_papers import addressee, letterhead
from groupclaim.documents import patient as papers
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.model.practice import Practice
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.patient_account import card_refusal
from groupclaim.store import audit, card_notices, ledger, practice, work
from groupclaim.store.card_notices import CardNotice
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Transaction

KIND = "card_notice"


@dataclass(frozen=True, slots=True)
class Announced:
    """A notice that was given by hand: what is charged, and from which day on."""

    pdf: bytes
    cents: Cents
    charge_on: date


def days_of(own: Practice) -> int:
    """How many days before the charge a patient of this practice is told."""
    given = own.card_notice_days
    return patient_rights().card_notice.days if given is None else given


def paper(facts: ClaimFacts, notice: CardNotice, at: datetime) -> bytes:
    """The notice as PDF, of one patient and one session; the same for the same notice."""
    zone = ZoneInfo(facts.practice.time_zone)
    made = papers.CardNotice(
        practice=letterhead(facts.practice),
        patient=addressee(facts.patient),
        account=facts.patient_id,
        issued_on=at.astimezone(zone).date(),
        service_date=facts.service_date,
        service=papers.SERVICE_IN_WORDS,
        amount=notice.cents,
        charge_on=notice.charge_on,
        self_pay=facts.patient.self_pay,
    )
    return papers.card_notice_pdf(made, at)


async def to_be_told(tx: Transaction, notice: CardNotice, at: datetime) -> None:
    """Nobody passes the notice on by itself: that is the front desk's work."""
    task = work.Task(
        kind=KIND,
        subject=notice.claim_number,
        key=str(notice.number),
        code="CARD_NOTICE_DUE",
        queue="front desk",
        cents=int(notice.cents),
        claim_number=notice.claim_number,
    )
    kept = await work.open_item(tx, task, at)
    await work.close_items(tx, KIND, notice.claim_number, at, keeping=kept)


async def announce(database: Database, front: FrontDesk, number: str, by: str) -> Announced:
    """Write the notice of what a patient's card is charged with, given to them today by ``by``; the
    claim waits until its day. Raises UnknownRecord, and Refused where no charge is to come."""
    async with database.transaction() as tx:
        now = await practice_now(tx)
        await ledger.lock_claim(tx, number)
        facts = await practice.claim_facts(tx, number)
        owed = (await ledger.balance(tx, number)).patient_open
        today = now.astimezone(ZoneInfo(facts.practice.time_zone)).date()
        refused = card_refusal(facts.patient.card, owed, today)
        if refused is not None:
            raise Refused(refused)
        charge_on = today + timedelta(days=days_of(facts.practice))
        notice = await card_notices.covering(tx, number, owed)
        if notice is None or notice.told_at is not None:
            notice = await card_notices.make(tx, number, owed, charge_on, now)
        await card_notices.told(tx, notice, charge_on, by, now)
        await work.close_items(tx, KIND, number, now)
        detail = {"cents": int(notice.cents), "charge_on": charge_on.isoformat()}
        await audit.record(tx, now, by, "card_notice", number, detail)
        notice = (await card_notices.of_claim(tx, number))[notice.number - 1]
    await front.look_at_balance(number, notice.key)
    return Announced(paper(facts, notice, now), notice.cents, notice.charge_on)
