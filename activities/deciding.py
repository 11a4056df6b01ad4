"""Deciding without sending: a session file before it is taken in, and past sessions once more.

Both gather the facts with the store's own code and put them to the same rules as the steps of a
claim. A dry run happens in a transaction that is taken back; only its audit entry stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import select

from activities import composing
from activities.on_file import no_policy
from activities.reading import sessions_of_the_day, signed_at
from groupclaim import x12
from groupclaim.model.base import InputRefused, Instant, Record, Reference
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.session import AttendanceList, GroupSession, ProgressNote
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import NoPolicy, PayerPolicy, PolicyBook
from groupclaim.rules.authorization import check_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY, CodedLine, code_claim
from groupclaim.rules.deadlines import Deadlines, check_filing
from groupclaim.rules.documentation import Company, OtherNote, check_documentation
from groupclaim.rules.eligibility import (
    BenefitReading,
    coverage_limits,
    coverage_on_file,
    judge_answer,
    read_benefits,
    referred_to,
    with_call,
)
from groupclaim.rules.holding import held
from groupclaim.rules.part2 import check_consent
from groupclaim.rules.pricing import Expected, expected_allowed, expected_claim, expected_split
from groupclaim.rules.room import Engagement
from groupclaim.store import authorizations, claims, practice
from groupclaim.store.database import Database, Reading, Transaction
from groupclaim.store.practice import SessionRoster
from groupclaim.store.schema import claim, participant

# --- what is decided


@dataclass(frozen=True, slots=True)
class Tables:
    """The rules to decide by: policies, fees and the national edits, of one folder or groupclaim's
    own."""

    policies: PolicyBook
    fees: FeeSchedule
    edits: CodeEdits

    @classmethod
    def load(cls, folder: Path | None = None) -> Tables:
        """Raises :class:`InputRefused` for a folder whose files are wrong."""
        return cls(PolicyBook.load(folder), FeeSchedule.load(folder), CodeEdits.load(folder))


class CoverageSaid(Record):
    """A payer's answer given by hand, or the 271 file it is read from (beside the session file)."""

    active: bool = True
    authorization_required: Literal["Y", "N", "U"] = "U"
    copay_cents: Annotated[Cents, Field(ge=0)] | None = None
    visits_remaining: Annotated[int, Field(ge=0)] | None = None
    referral_required: bool | None = None
    qualified_medicare_beneficiary: bool = False
    x12_271: str | None = None


class SessionCheck(Record):
    """Sessions with attendance, notes and coverage answers, to be decided and not sent.

    ``practice`` stands for what is on file; without it the practice's own database does.
    ``coverage``: by patient; whoever is not named is taken as active, with authorization unknown.
    ``at`` is the day on which it would be sent; now when it is not given.
    """

    practice: PracticeFile | None = None
    sessions: Annotated[tuple[GroupSession, ...], Field(min_length=1)]
    attendance: tuple[AttendanceList, ...]
    notes: dict[Reference, dict[Reference, ProgressNote]] = Field(default_factory=dict)
    coverage: Literal["assume_active"] | dict[Reference, CoverageSaid] = "assume_active"
    at: Instant | None = None

    def check(self, source: str) -> None:
        """Raise :class:`InputRefused` naming what does not fit together."""
        sessions = {item.ref for item in self.sessions}
        listed = [item.session for item in self.attendance]
        problems = [
            f"attendance[{place}].session: no such session in the file"
            for place, ref in enumerate(listed)
            if ref not in sessions
        ]
        problems += [
            f"attendance[{place}].session: the session is listed more than once"
            for place, ref in enumerate(listed)
            if listed.index(ref) != place
        ]
        problems += [
            f"sessions[{place}]: attendance has no list for it"
            for place, item in enumerate(self.sessions)
            if item.ref not in listed
        ]
        problems += [
            f"notes: entry {number} is of no session in the file"
            for number, ref in enumerate(self.notes, 1)
            if ref not in sessions
        ]
        invited = {ref for item in self.sessions for ref in item.roster}
        if not isinstance(self.coverage, str):
            problems += [
                f"coverage: entry {number} is of nobody on a roster"
                for number, ref in enumerate(self.coverage, 1)
                if ref not in invited
            ]
        if problems:
            raise InputRefused(source, problems)

    @property
    def files(self) -> tuple[str, ...]:
        """The 271 files that the coverage names."""
        if isinstance(self.coverage, str):
            return ()
        named = {item.x12_271 for item in self.coverage.values() if item.x12_271}
        return tuple(sorted(named))


class DecidedLine(Record):
    """A line as it would be sent, and what the payer should allow for it; None where nobody can
    say."""

    code: str
    modifiers: tuple[str, ...]
    units: int
    pos: str
    charge_cents: int
    expected_allowed_cents: int | None


class WithheldCode(Record):
    """A code that could stand on the claim and would not be sent with it."""

    code: str
    reason: str


class ExpectedPayment(Record):
    """What the payer should allow for the lines, and how that splits while nothing of a deductible
    is left; ``working`` is the arithmetic in words."""

    allowed_cents: int
    patient_cents: int
    sequestration_cents: int
    paid_cents: int
    working: str


class Decision(Record):
    """What would become of one participant: ``reasons`` are every hold code that blocks, or why
    nothing can be billed; ``lines`` what would be sent once nothing blocks."""

    claim_number: str
    decision: Literal["bill", "hold", "not_billable"]
    reasons: tuple[str, ...] = ()
    lines: tuple[DecidedLine, ...] = ()
    withheld: tuple[WithheldCode, ...] = ()
    suggestions: tuple[str, ...] = ()
    expected: ExpectedPayment | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def billed_cents(self) -> int:
        return self._sum(lambda line: line.charge_cents)

    @property
    def allowed_cents(self) -> int:
        return self._sum(lambda line: line.expected_allowed_cents or 0)

    def _sum(self, amount: Callable[[DecidedLine], int]) -> int:
        return sum(amount(line) for line in self.lines) if self.decision == "bill" else 0


@dataclass(frozen=True, slots=True)
class CheckedParticipant:
    """``patient`` is the practice's own id, as in its file."""

    patient: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class CheckedSession:
    session: str
    service_date: date
    group_size: int
    participants: tuple[CheckedParticipant, ...]


# --- the rules in a row


def _decided(
    facts: ClaimFacts,
    policy: PayerPolicy,
    tables: Tables,
    findings: Sequence[Finding],
    *,
    elsewhere: Sequence[Engagement],
    note: ProgressNote | None = None,
    diagnosis: str | None = None,
    waivers: tuple[str, ...] = (),
) -> Decision:
    """What follows from ``findings`` of the earlier steps, and from the room and its coding."""
    coded = code_claim(
        facts,
        policy,
        tables.fees,
        diagnosis,
        note=note,
        edits=tables.edits,
        elsewhere=elsewhere,
    )
    every = (*findings, *coded.findings)
    blocking = [
        item for item in every
        if item.severity is Severity.BLOCK and held((item,), waivers) is not None
    ]  # fmt: skip
    return Decision(
        claim_number=facts.claim_number,
        decision="hold" if blocking else "bill",
        reasons=tuple(dict.fromkeys(item.hold for item in blocking if item.hold)),
        lines=tuple(_line(line, facts, policy, tables.fees) for line in coded.lines),
        withheld=tuple(WithheldCode(code=item.code, reason=item.reason) for item in coded.withheld),
        suggestions=coded.suggestions,
        expected=_expected(coded.lines, facts, policy, tables.fees),
        findings=every,
    )


def _expected(
    lines: Sequence[CodedLine], facts: ClaimFacts, policy: PayerPolicy, fees: FeeSchedule
) -> ExpectedPayment | None:
    """None where there is nothing to send, or nobody can say the price."""
    priced = expected_claim(facts, policy, fees, lines) if lines else None
    if not isinstance(priced, Expected):
        return None
    split = expected_split(facts, policy, priced)
    return ExpectedPayment(
        allowed_cents=int(priced.allowed),
        patient_cents=int(split.patient),
        sequestration_cents=int(split.sequestration),
        paid_cents=int(split.paid),
        working=f"{priced.working}; {split.working}",
    )


def _line(
    line: CodedLine, facts: ClaimFacts, policy: PayerPolicy, fees: FeeSchedule
) -> DecidedLine:
    priced = expected_allowed(
        facts, policy, fees, line.code, place=line.place_of_service, modifiers=line.modifiers
    )
    return DecidedLine(
        code=line.code,
        modifiers=line.modifiers,
        units=line.units,
        pos=line.place_of_service,
        charge_cents=int(line.charge),
        expected_allowed_cents=int(priced.allowed) * line.units
        if isinstance(priced, Expected)
        else None,
    )


def _held(facts: ClaimFacts, findings: Sequence[Finding]) -> Decision:
    """A claim that cannot be looked at further before what blocks it is mended."""
    reasons = [item.hold for item in findings if item.severity is Severity.BLOCK and item.hold]
    return Decision(
        claim_number=facts.claim_number,
        decision="hold",
        reasons=tuple(dict.fromkeys(reasons)),
        findings=tuple(findings),
    )


# --- the dry run


async def check_sessions(
    database: Database,
    tables: Tables,
    wanted: SessionCheck,
    answers: Mapping[str, bytes],
    now: datetime,
) -> tuple[CheckedSession, ...]:
    """Decide the sessions of ``wanted`` as if they had been taken in; nothing of it is kept.

    ``answers`` are the 271 files it names. Raises :class:`InputRefused` for what is not on file.
    """
    async with database.rehearsal() as tx:
        if wanted.practice is not None:
            await practice.load_practice(tx, wanted.practice)
        run = _DryRun(tx, tables, wanted, answers, wanted.at or now)
        return await run.decide()


class _DryRun:
    def __init__(
        self,
        tx: Transaction,
        tables: Tables,
        wanted: SessionCheck,
        answers: Mapping[str, bytes],
        at: datetime,
    ) -> None:
        self._tx = tx
        self._tables = tables
        self._wanted = wanted
        self._answers = answers
        self._at = at

    async def decide(self) -> tuple[CheckedSession, ...]:
        tx, keys = self._tx, self._tx.keyring
        await practice.add_sessions(tx, self._wanted.sessions, self._at)
        sizes = {}
        for taken in self._wanted.attendance:
            entries = [
                claims.AttendanceEntry(
                    keys.patient_id(item.patient),
                    item.status,
                    item.minutes,
                    item.copay_cents,
                    item.remote,
                )
                for item in taken.participants
            ]
            recorded = await claims.record_attendance(
                tx, keys.session_id(taken.session), entries, self._at
            )
            sizes[taken.session] = recorded.group_size
        # In the order in which they were held, so that units are taken as they would be.
        ordered = sorted(self._wanted.sessions, key=lambda item: (item.starts_at, item.ref))
        return tuple([await self._session(item, sizes[item.ref]) for item in ordered])

    async def _session(self, session: GroupSession, size: int) -> CheckedSession:
        keys = self._tx.keyring
        roster = await practice.session_roster(self._tx, keys.session_id(session.ref))
        numbers = {row.patient_id: row.claim_number for row in roster.rows}
        taken = next(item for item in self._wanted.attendance if item.session == session.ref)
        decided = []
        for item in taken.participants:
            number = numbers[keys.patient_id(item.patient)]
            decision = await self._participant(session, roster, number, item.patient)
            decided.append(CheckedParticipant(item.patient, decision))
        day = session.starts_at.astimezone(ZoneInfo(roster.time_zone)).date()
        return CheckedSession(session.ref, day, size, tuple(decided))

    async def _participant(
        self, session: GroupSession, roster: SessionRoster, number: str, ref: str
    ) -> Decision:
        tx = self._tx
        reason = await tx.scalar(
            select(participant.c.not_billable).where(participant.c.claim_number == number)
        )
        if reason is not None:
            return Decision(claim_number=number, decision="not_billable", reasons=(reason,))
        facts = await practice.claim_facts(tx, number)
        today = self._at.astimezone(ZoneInfo(facts.practice.time_zone)).date()
        findings = (*coverage_on_file(facts), *check_consent(facts, today))
        if facts.payer is None:
            return _held(facts, findings)
        said = await self._coverage(facts, ref)
        findings += said.findings
        if said.answer is not None:
            await practice.record_eligibility(tx, number, said.answer)
            facts = await practice.claim_facts(tx, number)
        try:
            policy = self._tables.policies.policy(_payer_policy(facts), facts.service_date)
        except NoPolicy as error:
            return _held(facts, (no_policy(facts, error),))
        if said.answer is not None:
            findings += coverage_limits(said.answer, facts, policy)
        permit = check_authorization(facts, policy, GROUP_PSYCHOTHERAPY)
        if permit.authorization is not None:
            await authorizations.reserve(tx, number, permit.authorization, self._at)
        deadlines = Deadlines(policy, BusinessCalendar(), facts.practice.time_zone)
        findings += check_filing(deadlines, number, facts.service_date, self._at)
        note = self._note(session.ref, ref, facts)
        company = await self._company(session, roster, number, ref)
        return _decided(
            facts,
            policy,
            self._tables,
            (
                *findings,
                *permit.findings,
                *check_documentation(facts, note, policy, company),
            ),
            elsewhere=await sessions_of_the_day(tx, facts),
            note=note,
        )

    def _note(self, session: str, ref: str, facts: ClaimFacts) -> ProgressNote | None:
        """The note as it stands when the claim would be sent: one signed later is unsigned."""
        note = self._wanted.notes.get(session, {}).get(ref)
        moment = signed_at(note, facts) if note is not None else None
        if note is None or moment is None or moment <= self._at:
            return note
        return note.model_copy(update={"signed_by": None, "signed_at": None})

    async def _coverage(self, facts: ClaimFacts, ref: str) -> BenefitReading:
        given = self._wanted.coverage
        said = CoverageSaid() if isinstance(given, str) else given.get(ref, CoverageSaid())
        if said.x12_271 is not None:
            return await self._answered(facts, said.x12_271)
        answer = EligibilityAnswer(
            active=said.active,
            member_known=True,
            authorization_required=said.authorization_required,
            member_id=None,
            copay=said.copay_cents,
            checked_at=self._at,
            qualified_medicare_beneficiary=said.qualified_medicare_beneficiary,
            visits_remaining=said.visits_remaining,
            referral_required=said.referral_required,
            asked=facts.payer.ref if facts.payer else None,
            asked_member_id=facts.coverage.member_id if facts.coverage else None,
        )
        reading = BenefitReading(answer=answer, findings=judge_answer(answer, facts))
        return with_call(reading, facts)

    async def _answered(self, facts: ClaimFacts, name: str) -> BenefitReading:
        """A 271 of a file. Where it refers to an administrator on file, the claim goes there; what
        that one would answer is not known here and taken as active."""
        responses, _ = x12.read_271(self._answers[name])
        if not responses:
            raise InputRefused(name, ["holds no 271 that answers about a person"])
        first = read_benefits(
            composing.benefits(responses[0]), facts, GROUP_PSYCHOTHERAPY, self._at
        )
        other = first.administrator
        if other is None or first.answer is None:
            return with_call(first, facts)
        administrator = await practice.find_payer(self._tx, other.is_payer)
        if administrator is None:
            return first
        return BenefitReading(
            answer=first.answer.model_copy(
                update={
                    "active": True,
                    "carve_out": administrator.ref,
                    "member_id": other.member_id or first.answer.member_id,
                }
            ),
            findings=referred_to(administrator, first.findings, facts),
        )

    async def _company(
        self, session: GroupSession, roster: SessionRoster, number: str, ref: str
    ) -> Company:
        """The others of the room with their signed notes, and the patient's own of earlier
        sessions in the file."""
        others = [
            (row.claim_number, (await practice.claim_facts(self._tx, row.claim_number)).patient)
            for row in roster.rows
            if row.claim_number != number
        ]
        room = self._wanted.notes.get(session.ref, {})
        notes = [
            OtherNote(other, note)
            for other, person in others
            if (note := room.get(person.ref)) is not None and _comparable(note)
        ]
        keys = self._tx.keyring
        for earlier in self._wanted.sessions:
            own = self._wanted.notes.get(earlier.ref, {}).get(ref)
            if own is None or not _comparable(own) or earlier.starts_at >= session.starts_at:
                continue
            before = await claims.claim_of(
                self._tx, keys.session_id(earlier.ref), keys.patient_id(ref)
            )
            notes.append(OtherNote(before, own, same_patient=True))
        return Company(members=tuple(person for _, person in others), notes=tuple(notes))


def _comparable(note: ProgressNote) -> bool:
    return note.signed_at is not None and note.kind == "progress"


def _payer_policy(facts: ClaimFacts) -> str:
    return facts.payer.policy if facts.payer is not None else ""


# --- the same sessions under other policies

POLICY_DEPENDENT = frozenset(
    {
        "visits_running_out",
        "visits_exhausted",
        "referral_missing",
        "diagnosis_not_covered",
        "frequency_exceeded",
    }
)
"""Rules of the eligibility step that ask the policy: they are judged again, the rest is kept."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One past claim under the policies it had and under others."""

    claim_number: str
    service_date: date
    payer_key: str
    before: Decision
    after: Decision

    @property
    def changed(self) -> bool:
        return (self.before.decision, self.before.reasons, self.before.lines) != (
            self.after.decision,
            self.after.reasons,
            self.after.lines,
        )

    @property
    def billed_change_cents(self) -> int:
        return self.after.billed_cents - self.before.billed_cents

    @property
    def allowed_change_cents(self) -> int:
        return self.after.allowed_cents - self.before.allowed_cents


async def replay(
    reading: Reading,
    now: Tables,
    then: Tables,
    first: date,
    last: date,
) -> tuple[Replayed, ...]:
    """Every attended claim with a day of service from ``first`` to ``last``, decided under both.

    From what is stored: facts, the payer's last answer, waivers, and the findings on eligibility
    and documentation as they stand. Notes are not read again, so a rule that needs their text gives
    what it gave before, and a line that only a note supports (90785) is in neither decision.
    """
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.payer_key, participant.c.not_billable)
        .join(participant, participant.c.claim_number == claim.c.claim_number)
        .where(
            claim.c.service_date >= first,
            claim.c.service_date <= last,
            participant.c.on_roster,
            participant.c.attendance.is_not(None),
        )
        .order_by(claim.c.service_date, claim.c.claim_number)
    )
    found = []
    for row in rows:
        if row.not_billable is not None:
            continue
        facts = await practice.claim_facts(reading, row.claim_number)
        stored = await _Stored.read(reading, facts)
        found.append(
            Replayed(
                row.claim_number,
                facts.service_date,
                row.payer_key,
                _again(facts, stored, now),
                _again(facts, stored, then),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What was found about a claim and decided by people, which a replay takes as it is."""

    kept: tuple[Finding, ...]
    diagnosis: str | None
    waivers: tuple[str, ...]
    elsewhere: tuple[Engagement, ...]

    @classmethod
    async def read(cls, reading: Reading, facts: ClaimFacts) -> _Stored:
        number = facts.claim_number
        eligibility = await claims.read_findings(reading, number, "check_eligibility")
        documentation = await claims.read_findings(reading, number, "check_documentation")
        state = await claims.load_state(reading, number)
        diagnosis = None
        if state.version:
            version = await claims.read_version(reading, number, state.version)
            diagnosis = version.diagnoses[0]
        kept = tuple(item for item in eligibility if item.rule not in POLICY_DEPENDENT)
        return cls(
            (*kept, *documentation),
            diagnosis,
            state.waivers,
            await sessions_of_the_day(reading, facts),
        )


def _again(facts: ClaimFacts, stored: _Stored, tables: Tables) -> Decision:
    if facts.payer is None:
        return _held(facts, stored.kept or coverage_on_file(facts))
    try:
        policy = tables.policies.policy(facts.payer.policy, facts.service_date)
    except NoPolicy as error:
        return _held(facts, (no_policy(facts, error),))
    limits = coverage_limits(facts.eligibility, facts, policy) if facts.eligibility else ()
    permit = check_authorization(facts, policy, GROUP_PSYCHOTHERAPY)
    return _decided(
        facts,
        policy,
        tables,
        (*stored.kept, *limits, *permit.findings),
        elsewhere=stored.elsewhere,
        diagnosis=stored.diagnosis,
        waivers=stored.waivers,
    )
