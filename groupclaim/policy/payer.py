"""Payer policies: what each payer asks for and pays by, dated, cited, and read from data files.

One file a payer (``payers/<name>.toml``) holds its editions; each is in force from a first to a
last day, and together they leave no gap. An edition that is ``like`` another policy takes from it
every group of values that it does not state itself; ``like`` its own policy means like the edition
before. ``without`` lists groups that it does not take. A group of values that was not read in a
current official text of that payer is not ``verified``: it may hold a claim, never forbid one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from groupclaim.model.base import InputRefused, Record, describe
from groupclaim.model.claim import Modifier
from groupclaim.model.finding import Source
from groupclaim.model.letter import Channel
from groupclaim.model.money import Cents
from groupclaim.model.practice import LicenceKind, ProcedureCode
from groupclaim.model.session import Activity
from groupclaim.policy import codes
from groupclaim.policy.tables import packaged, read_text
from groupclaim.policy.toml_lines import NotToml, TomlLines, read_toml

# TOML has arrays and strings where these have tuples and enumerations: only the container is read
# leniently, what it holds stays strict.
_Licence = Annotated[LicenceKind, Field(strict=False)]
_Licences = Annotated[tuple[_Licence, ...], Field(strict=False)]
_Codes = Annotated[tuple[ProcedureCode, ...], Field(strict=False)]
_Place = Annotated[str, Field(pattern=r"^\d{2}$")]
_Places = Annotated[tuple[_Place, ...], Field(strict=False)]
_SomeModifiers = Annotated[tuple[Modifier, ...], Field(strict=False, max_length=4)]
_Activity = Annotated[Activity, Field(strict=False)]
_Modifiers = Annotated[tuple[Modifier, ...], Field(strict=False, min_length=1, max_length=4)]
_Count = Annotated[int, Field(gt=0)]
_Percent = Annotated[int, Field(ge=1, le=100)]

NoteElement = Literal[
    "start_time",
    "stop_time",
    "attended",
    "group_size",
    "topic",
    "intervention",
    "diagnosis",
    "participation",
    "progress",
    "goal",
    "necessity",
    "credential",
    "location_or_mode",
]
"""A field of a progress note that a payer may ask for."""


class Cited(Record):
    """Values that come from one source. ``verified``: a current official text was read."""

    model_config = ConfigDict(strict=True)

    source: Annotated[str, Field(min_length=1)]
    verified: bool

    def stated(self) -> Iterator[tuple[str, str]]:
        """The values by name, as a person reads them."""
        for key, value in self.model_dump(mode="json", exclude={"source", "verified"}).items():
            yield key, "none" if value in (None, [], {}) else _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_in_words(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class GroupSize(Cited):
    """Persons treated in the room, whoever pays. Above ``soft`` a supervisor looks; above
    ``hard`` the payer does not accept the session; below ``minimum`` it sees no group."""

    minimum: Annotated[int, Field(ge=2)]
    soft: _Count
    hard: _Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> GroupSize:
        if not self.minimum <= self.soft <= (self.hard or self.soft):
            raise ValueError("needs minimum <= soft <= hard")
        return self


class Units(Cited):
    """Units of 90853 that one patient may have in one day."""

    per_day: _Count


class Licences(Cited):
    """Who may render, and the modifiers that the payer asks for by licence."""

    accepted: Annotated[_Licences, Field(min_length=1)]
    modifiers: Annotated[dict[_Licence, _Modifiers], Field(default_factory=dict)]


class PhysicianFeeSchedule(Cited):
    """How the Medicare fee is applied: percent of it by licence, places priced as facilities."""

    percent: dict[_Licence, _Percent]
    facility_places: _Places


class Supervision(Cited):
    """Staff who may not bill by themselves (``supervised``): whether their supervisor bills for
    them, with which modifiers, and under which licences the supervisor may."""

    supervised: _Licences
    billing: Literal["supervisor_bills", "not_billable"]
    supervisors: _Licences = ()
    modifiers: _SomeModifiers = ()

    @model_validator(mode="after")
    def _somebody_bills(self) -> Supervision:
        if (self.billing == "supervisor_bills") != bool(self.supervisors):
            raise ValueError("supervisors: given exactly when supervisor_bills")
        return self


class Telehealth(Cited):
    """How a patient who takes part remotely is billed.

    ``video`` and ``audio``: whether 90853 is taken by that medium; ``check`` means that the payer's
    own table must be looked at. No ``home_place`` or ``elsewhere_place`` means the place where the
    session would have been in person. ``in_person_visit_months``: a visit in person that many
    months before is asked for.
    """

    video: Literal["covered", "check", "not_covered"]
    audio: Literal["covered", "check", "not_covered"]
    video_modifiers: _SomeModifiers = ()
    audio_modifiers: _SomeModifiers = ()
    home_place: _Place | None = None
    elsewhere_place: _Place | None = None
    audio_needs_consent: bool
    in_person_visit_months: _Count | None = None


class SameDay(Cited):
    """Other services of the same patient and day.

    ``with_individual`` says whether the payer pays a code that NCCI pairs with 90853 on the same
    day; ``allow_with_59`` means with ``distinct_modifier`` on the column-two code. ``review`` are
    codes after which a coder must look before 90853 leaves.
    """

    with_individual: Literal["allow", "allow_with_59", "deny"]
    distinct_modifier: Literal["59", "XE"]
    review: _Codes


class Payment(Cited):
    """Whether a code is paid: ``separate`` or ``bundled`` with the main service, ``not_covered`` at
    all, or only known after ``review``."""

    payment: Literal["separate", "bundled", "not_covered", "review"]


class ExcludedActivities(Cited):
    """What a group does that is not psychotherapy and is not billed as such; ``suggestions`` are
    codes that a coder may look at instead."""

    activities: Annotated[tuple[_Activity, ...], Field(strict=False, min_length=1)]
    suggestions: Annotated[dict[_Activity, _Codes], Field(default_factory=dict)]


class AuthorizationRule(Cited):
    """What to do when the payer's answer leaves open whether an authorization is needed, and how
    long the payer may take to decide on a request: days, and hours when it is urgent."""

    when_unknown: Literal["go_on", "hold"]
    decision_days: _Count | None = None
    urgent_decision_hours: _Count | None = None


class AuthorizationRequests(Cited):
    """The payer takes requests for authorization by 278. One asks for ``weeks`` of weekly sessions
    at once, as late as ``days_after_service`` days after the first, and asks after a pended request
    every ``hours_between_inquiries`` hours. Where no law gives the payer a clock, an answer is
    expected in ``expected_days``."""

    weeks: _Count
    hours_between_inquiries: _Count
    expected_days: _Count
    days_after_service: Annotated[int, Field(ge=0)] = 0


class StatusInquiries(Cited):
    """When a payer that says nothing of a claim it took is asked by 276: first after
    ``first_after_days``, then every ``every_days``, at most ``most`` times without a person."""

    first_after_days: _Count
    every_days: _Count
    most: _Count


class Visits(Cited):
    """How many visits a calendar year allows before an authorization is needed, over all
    behavioral clinicians, and how many more one request gives."""

    before_authorization: _Count
    per_request: _Count | None = None


class EligibilityRule(Cited):
    """How long the payer's answer on coverage counts: days before the day of service, and where
    ``each_month`` only within its calendar month."""

    answer_days: _Count
    each_month: bool = False


class ReferralRule(Cited):
    """Whether the payer asks for a referral on file."""

    required: bool


_DiagnosisStarts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Z][0-9A-Z]{0,6}$")], ...], Field(strict=False)
]


class DiagnosisRule(Cited):
    """Diagnoses for which the payer does not cover group psychotherapy, as the beginnings of their
    codes without point (``Z``, ``F17``). A plan with any other diagnosis beside those of
    ``not_covered`` is not touched; one of ``cannot_benefit`` stops whatever stands beside it."""

    not_covered: _DiagnosisStarts = ()
    cannot_benefit: _DiagnosisStarts = ()

    @model_validator(mode="after")
    def _says_something(self) -> DiagnosisRule:
        if not self.not_covered and not self.cannot_benefit:
            raise ValueError("needs not_covered or cannot_benefit")
        return self


class SessionFrequency(Cited):
    """How many group sessions of one patient the payer pays in a week (Monday to Sunday) or a
    calendar month."""

    most: _Count
    per: Literal["week", "month"]


class Coinsurance(Cited):
    """The patient's percentage of the allowed amount after the deductible."""

    percent: Annotated[int, Field(ge=0, le=100)]


class Sequestration(Cited):
    """What is taken from the payer's part, in hundredths of a percent; 0 where it is not."""

    basis_points: Annotated[int, Field(ge=0, le=10_000)]


class FilingLimit(Cited):
    """By when a claim must have arrived, counted from the day of service."""

    days: _Count | None = None
    months: _Count | None = None
    to_next_business_day: bool
    warn_days_before: Annotated[tuple[_Count, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _one_unit(self) -> FilingLimit:
        if (self.days is None) == (self.months is None):
            raise ValueError("needs either days or months")
        if list(self.warn_days_before) != sorted(set(self.warn_days_before), reverse=True):
            raise ValueError("warn_days_before: needs falling numbers")
        return self


class AppealLevel(Record):
    """One level of appeal: its name, the days from the decision before it, and the amount in
    controversy that it takes at least."""

    name: str
    days: int
    least_cents: int


class AppealLimit(Cited):
    """By when a decision must be appealed, in days from its notice.

    ``mail_days`` is how long the payer's notice is presumed to travel; the deadline does not count
    on them. ``next_levels`` are the days for each further level; ``names`` and ``least_cents`` are
    given for every level from the first, or not at all.
    """

    days: _Count
    mail_days: Annotated[int, Field(ge=0)] = 0
    next_levels: Annotated[tuple[_Count, ...], Field(strict=False)] = ()
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    least_cents: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()
    to_next_business_day: bool = False

    @model_validator(mode="after")
    def _one_for_each_level(self) -> AppealLimit:
        count = 1 + len(self.next_levels)
        for field in ("names", "least_cents"):
            given = getattr(self, field)
            if given and len(given) != count:
                raise ValueError(f"{field}: needs one for each of the {count} levels")
        return self

    @property
    def levels(self) -> tuple[AppealLevel, ...]:
        """Every level, the first first."""
        days = (self.days, *self.next_levels)
        return tuple(
            AppealLevel(
                name=self.names[place] if self.names else f"appeal, level {place + 1}",
                days=days[place],
                least_cents=self.least_cents[place] if self.least_cents else 0,
            )
            for place in range(len(days))
        )


class Corrections(Cited):
    """How a finalized claim is mended: by a replacement (frequency 7), or, where the payer takes
    none, by a new claim and only when it was returned as unprocessable (remark MA130).

    By when: ``days`` or ``months``, from the payer's notice or from the day of service.
    """

    finalized: Literal["replacement", "new_claim_if_unprocessable"]
    days: _Count | None = None
    months: _Count | None = None
    counted_from: Literal["notice", "service"] = "notice"
    to_next_business_day: bool = False

    @model_validator(mode="after")
    def _at_most_one_unit(self) -> Corrections:
        if self.days is not None and self.months is not None:
            raise ValueError("needs days or months, not both")
        return self


class PenaltyTier(Record):
    """What a payment that is at most ``to_day`` days late (None: any) costs the payer: ``percent``
    of what the law counts from, at most ``most_cents``. ``with_interest``: and interest on it."""

    model_config = ConfigDict(strict=True)

    to_day: _Count | None = None
    percent: _Percent
    most_cents: _Count
    with_interest: bool = False


class InterestRate(Record):
    """A yearly rate in hundredths of a percent, from a day on."""

    model_config = ConfigDict(strict=True)

    effective_from: date
    basis_points: Annotated[int, Field(gt=0, le=10_000)]


class Letters(Cited):
    """How a payer takes letters about its decisions: by which ``channel``, to which address, and
    what it wants said besides."""

    channel: Channel
    address: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    paragraphs: Annotated[tuple[str, ...], Field(strict=False)] = ()


class HolidayCalendar(Cited):
    """The state whose holidays, beside the federal ones, are no business days for this payer."""

    state: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Coordination(Cited):
    """Where other payers come after this one: ``crossover_days`` are how long a claim that it has
    forwarded is awaited before the next payer is billed by us."""

    crossover_days: _Count


class PromptPay(Cited):
    """A law by which the payer must decide in so many days, and what it owes when it does not.

    ``no_duplicate_before_day``: the same claim may not be sent again before that day; a corrected
    one is no duplicate. ``rates`` are of the interest, and ``interest_from_day`` the days after
    receipt at which it begins. ``tiers`` are penalties by days late. An underpayment told to the
    payer later than ``notice_days`` after its payment, or mended within ``cure_days`` of the
    notice, costs nothing.
    """

    law: Annotated[str, Field(min_length=1)]
    days_electronic: _Count
    days_paper: _Count | None = None
    no_duplicate_before_day: _Count | None = None
    late: Literal["texas_tiers", "simple_interest", "treasury_rate"]
    rates: Annotated[tuple[InterestRate, ...], Field(strict=False)] = ()
    interest_from_day: _Count | None = None
    tiers: Annotated[tuple[PenaltyTier, ...], Field(strict=False)] = ()
    notice_days: _Count | None = None
    cure_days: _Count | None = None

    @model_validator(mode="after")
    def _penalties(self) -> PromptPay:
        if (self.late == "texas_tiers") != bool(self.tiers):
            raise ValueError("tiers: given exactly when late is texas_tiers")
        days = [tier.to_day or 0 for tier in self.tiers[:-1]]
        if any(tier.to_day for tier in self.tiers[-1:]) or days != sorted(set(days) - {0}):
            raise ValueError("tiers: needs rising days, and only the last tier without")
        if any(tier.with_interest for tier in self.tiers) and not self.rates:
            raise ValueError("rates: needed for interest on a penalty")
        return self

    def rate_on(self, day: date) -> InterestRate | None:
        """The rate in force on ``day``; the latest counts."""
        return max(
            (rate for rate in self.rates if rate.effective_from <= day),
            key=lambda rate: rate.effective_from,
            default=None,
        )


class Recovery(Cited):
    """When an underpayment is worth a letter, and when the payer is asked again after it."""

    floor_cents: Annotated[int, Field(ge=0)]
    follow_up_days: _Count


class Overpayments(Cited):
    """By when money that was not due goes back, in days from finding it; of what was paid more than
    ``lookback_years`` before, nothing has to."""

    refund_days: _Count
    lookback_years: _Count | None = None


class Voids(Cited):
    """How a claim that was sent and is not true is taken back: by a claim with frequency 8 that
    names the payer's number, or by a refund where the payer takes none. ``approval``: a person
    agrees before the payer is told."""

    route: Literal["void_claim", "refund"]
    approval: bool


class Takebacks(Cited):
    """How long after its payment a payer may take it back."""

    days: _Count | None = None
    months: _Count | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Takebacks:
        if (self.days is None) == (self.months is None):
            raise ValueError("needs either days or months")
        return self


class Documentation(Cited):
    """The elements without which a progress note does not support the claim, and the days after
    which a signature is late."""

    required: Annotated[tuple[NoteElement, ...], Field(strict=False, min_length=1)]
    days_to_sign: _Count | None = None


class Cloning(Cited):
    """From how many percent of likeness to another note an individual section is held, and from
    how many a person is told."""

    hold_percent: _Percent
    warn_percent: Annotated[int, Field(ge=50, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> Cloning:
        if self.warn_percent > self.hold_percent:
            raise ValueError("needs warn_percent <= hold_percent")
        return self


class ServiceSettings(Cited):
    """Places of service whose day is paid as a whole, so that a group in it is not paid apart."""

    paid_as_a_whole: _Places


class SessionLength(Cited):
    """How many minutes a patient's part of a session may have at least and at most."""

    minimum_minutes: _Count | None = None
    maximum_minutes: _Count | None = None


class Audit(Cited):
    """How far an allowed amount may stray before anybody is asked: the larger of the two."""

    tolerance_cents: Annotated[int, Field(ge=0)]
    tolerance_basis_points: Annotated[int, Field(ge=0, le=10_000)]

    def tolerance(self, expected: Cents) -> Cents:
        return max(Cents(self.tolerance_cents), expected.share(self.tolerance_basis_points, 10_000))


class Clocks(Cited):
    """How long each answer may take. Days are calendar days unless they say business days.

    ``payment_floor_days``: the payer pays no electronic claim earlier than that after receipt.
    """

    hours_to_999: _Count
    business_days_to_277ca: _Count
    days_to_remittance: _Count
    payment_floor_days: _Count | None = None
    days_to_note: _Count
    days_to_statement: _Count


class _Edition(Record):
    model_config = ConfigDict(strict=True)

    effective_from: date
    effective_to: date | None = None
    group_size: GroupSize
    units: Units
    licences: Licences
    supervision: Supervision
    physician_fee_schedule: PhysicianFeeSchedule | None = None
    telehealth: Telehealth
    same_day: SameDay
    family_group: Payment
    interactive_complexity: Payment
    after_hours: Payment
    excluded_activities: ExcludedActivities
    authorization: AuthorizationRule
    authorization_requests: AuthorizationRequests | None = None
    status_inquiries: StatusInquiries | None = None
    visits: Visits | None = None
    eligibility: EligibilityRule | None = None
    referral: ReferralRule | None = None
    diagnoses: DiagnosisRule | None = None
    frequency: SessionFrequency | None = None
    coinsurance: Coinsurance | None = None
    sequestration: Sequestration
    filing_limit: FilingLimit
    appeal_limit: AppealLimit
    corrections: Corrections
    coordination: Coordination
    prompt_pay: PromptPay | None = None
    settings: ServiceSettings
    holidays: HolidayCalendar | None = None
    letters: Letters | None = None
    documentation: Documentation
    cloning: Cloning
    session_length: SessionLength | None = None
    audit: Audit
    recovery: Recovery
    overpayments: Overpayments
    voids: Voids
    takebacks: Takebacks | None = None
    clocks: Clocks


class PayerPolicy(_Edition):
    """One payer's rules as in force on a day. ``version`` is a hash of what they say."""

    name: str
    version: str

    def source(self, group: Cited) -> Source:
        """The citation of one of this policy's groups of values, for a finding."""
        return Source(
            policy=self.name, version=self.version, citation=group.source, verified=group.verified
        )

    def groups(self) -> Iterator[tuple[str, Cited]]:
        """Every group of values that this policy has, by name."""
        for name, value in self:
            if isinstance(value, Cited):
                yield name, value


class NoPolicy(LookupError):
    """No policy of that name, or none in force on that day."""


class PolicyBook:
    """All payer policies.

    >>> from datetime import date
    >>> PolicyBook.load().policy("texas-medicaid", date(2026, 2, 3)).filing_limit.days
    95
    """

    def __init__(self, editions: Mapping[str, tuple[PayerPolicy, ...]]) -> None:
        self._editions = dict(editions)

    @classmethod
    def load(cls, folder: Path | None = None) -> PolicyBook:
        """The policies that come with groupclaim; ``folder``/payers adds to them and stands in for
        those of the same name. Raises :class:`InputRefused` as :meth:`read`."""
        own = folder / "payers" if folder is not None else None
        places = [packaged() / "payers", *([own] if own is not None and own.is_dir() else [])]
        texts = {
            file.name.removesuffix(".toml"): read_text(file, f"payers/{file.name}")
            for place in places
            for file in place.iterdir()
            if file.name.endswith(".toml")
        }
        return cls.read(dict(sorted(texts.items())))

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> PolicyBook:
        """Policies from TOML texts by name.

        Raises :class:`InputRefused` with every problem of every file: file, line, key, reason.
        """
        reader = _Reader(texts)
        editions = {name: reader.policies(name) for name in texts}
        if reader.problems:
            raise InputRefused("payer policies", reader.problems)
        return cls(editions)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._editions)

    def editions(self, name: str) -> tuple[PayerPolicy, ...]:
        """Every edition of policy ``name``, earliest first; raises :class:`NoPolicy`."""
        if name not in self._editions:
            raise NoPolicy(f"no payer policy is named {name!r}; there are {', '.join(self.names)}")
        return self._editions[name]

    def policy(self, name: str, day: date) -> PayerPolicy:
        """The edition of policy ``name`` in force on ``day``; raises :class:`NoPolicy`."""
        for edition in self.editions(name):
            if edition.effective_from <= day and day <= (edition.effective_to or date.max):
                return edition
        raise NoPolicy(f"payer policy {name!r} has no edition in force on {day}")


_LIKE, _WITHOUT = "like", "without"


@dataclass(frozen=True, slots=True)
class _Drafted:
    """An edition as its file states it, with what it takes from others: not yet validated."""

    index: int
    own: frozenset[str]
    values: dict[str, Any]

    @property
    def first(self) -> date:
        day: date = self.values["effective_from"]
        return day

    @property
    def last(self) -> date:
        return self.values.get("effective_to") or date.max


class _Reader:
    """Reads policy files that may refer to each other, and collects every problem."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._texts = texts
        self._drafts: dict[str, tuple[_Drafted, ...]] = {}
        self._reading: list[str] = []
        self._lines = {name: TomlLines(text) for name, text in texts.items()}

    def policies(self, name: str) -> tuple[PayerPolicy, ...]:
        policies = []
        for draft in self._drafted(name):
            try:
                edition = _Edition.model_validate(draft.values)
            except ValidationError as error:
                for problem, line in zip(error.errors(), describe(error), strict=True):
                    # What is taken from another policy is told where it stands.
                    if problem["loc"][0] in draft.own or problem["type"] == "missing":
                        self._refuse(name, ("edition", draft.index, *problem["loc"]), line)
                continue
            for path, reason in _unknown_codes(edition):
                if path[0] in draft.own:
                    self._refuse(
                        name, ("edition", draft.index, *path), f"{'.'.join(path)}: {reason}"
                    )
            policies.append(PayerPolicy(name=name, version=_version(edition), **dict(edition)))
        return tuple(sorted(policies, key=lambda item: item.effective_from))

    def _refuse(self, name: str, path: tuple[str | int, ...], line: str) -> None:
        place = f"edition[{path[1]}]." if path[:1] == ("edition",) and len(path) > 1 else ""
        problem = f"{name}.toml:{self._lines[name].of(path)}: {place}{line}"
        if problem not in self.problems:
            self.problems.append(problem)

    def _drafted(self, name: str) -> tuple[_Drafted, ...]:
        if name not in self._drafts:
            self._reading.append(name)
            self._drafts[name] = self._draft(name)
            self._reading.pop()
        return self._drafts[name]

    def _draft(self, name: str) -> tuple[_Drafted, ...]:
        try:
            data = read_toml(self._texts[name])
        except NotToml as error:
            self.problems.append(f"{name}.toml:{error}")
            return ()
        for key in data:
            if key != "edition":
                self._refuse(name, (key,), f"{key}: unknown key")
        raw = data.get("edition")
        if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
            self._refuse(name, (), "edition: needs at least one [[edition]]")
            return ()
        self._check_sequence(name, raw)
        drafts: list[_Drafted] = []
        for index, item in enumerate(raw):
            drafts += self._edition(name, index, item, drafts)
        return tuple(drafts)

    def _edition(
        self, name: str, index: int, item: dict[str, Any], before: list[_Drafted]
    ) -> list[_Drafted]:
        own = {key: value for key, value in item.items() if key not in (_LIKE, _WITHOUT)}
        stated = frozenset(own)
        like, without = item.get(_LIKE), item.get(_WITHOUT, [])
        place = ("edition", index)
        for group in without if isinstance(without, list) else []:
            if group not in _Edition.model_fields:
                self._refuse(name, (*place, _WITHOUT), f"without: there is no group {group!r}")
        if not isinstance(without, list) or (without and like is None):
            self._refuse(name, (*place, _WITHOUT), "without: a list of groups, beside like")
        if like is None:
            return [_Drafted(index, stated, own)]
        if not isinstance(like, str) or (like not in self._texts and like != name):
            self._refuse(name, (*place, _LIKE), f"like: no policy is named {like!r}")
            return []
        first, last = item.get("effective_from"), item.get("effective_to") or date.max
        if not isinstance(first, date) or not isinstance(last, date):
            return [_Drafted(index, stated, own)]
        if like == name:
            bases = [(first, last, before[-1])] if before else []
        elif like in self._reading:
            self._refuse(name, (*place, _LIKE), f"like: {like} is itself like {name}")
            return []
        else:
            bases = [
                (max(first, base.first), min(last, base.last), base)
                for base in self._drafted(like)
                if _dated(base.values) and base.first <= last and first <= base.last
            ]
        uncovered = _first_uncovered(first, last, [(start, end) for start, end, _ in bases])
        if uncovered is not None:
            self._refuse(name, (*place, _LIKE), f"like: {like} has no edition on {uncovered}")
            return []
        return [
            _Drafted(
                index,
                stated,
                {key: value for key, value in base.values.items() if key not in without}
                | own
                | {"effective_from": start, "effective_to": None if end == date.max else end},
            )
            for start, end, base in bases
        ]

    def _check_sequence(self, name: str, editions: list[dict[str, Any]]) -> None:
        """Overlaps and gaps; editions without readable dates are reported elsewhere."""
        spans = []
        for index, item in enumerate(editions):
            if not _dated(item):
                continue
            first, last = item["effective_from"], item.get("effective_to") or date.max
            if last < first:
                self._refuse(
                    name,
                    ("edition", index, "effective_to"),
                    "effective_to: before effective_from",
                )
            spans.append((first, last, index))
        for (_, last, before), (first, _, index) in pairwise(sorted(spans)):
            place = ("edition", index, "effective_from")
            if first <= last:
                self._refuse(name, place, f"effective_from: overlaps edition[{before}]")
            elif first > last + timedelta(days=1):
                self._refuse(name, place, f"effective_from: a gap after edition[{before}]")


def _dated(item: Mapping[str, Any]) -> bool:
    last = item.get("effective_to")
    return isinstance(item.get("effective_from"), date) and (last is None or isinstance(last, date))


def _first_uncovered(first: date, last: date, spans: list[tuple[date, date]]) -> date | None:
    day = first
    for start, end in sorted(spans):
        if start > day:
            return day
        if end >= last:
            return None
        day = end + timedelta(days=1)
    return day


def _unknown_codes(edition: _Edition) -> Iterator[tuple[tuple[str, ...], str]]:
    """Places of service and modifiers that no table explains: most likely misspelt."""
    telehealth, schedule = edition.telehealth, edition.physician_fee_schedule
    places = (
        [
            (("telehealth", "home_place"), telehealth.home_place),
            (("telehealth", "elsewhere_place"), telehealth.elsewhere_place),
        ]
        + [
            (("physician_fee_schedule", "facility_places"), place)
            for place in (schedule.facility_places if schedule else ())
        ]
        + [(("settings", "paid_as_a_whole"), item) for item in edition.settings.paid_as_a_whole]
    )
    used = [
        *((("telehealth", "video_modifiers"), item) for item in telehealth.video_modifiers),
        *((("telehealth", "audio_modifiers"), item) for item in telehealth.audio_modifiers),
        *((("supervision", "modifiers"), item) for item in edition.supervision.modifiers),
        *(
            (("licences", "modifiers"), item)
            for group in edition.licences.modifiers.values()
            for item in group
        ),
    ]
    for path, place in places:
        if place is not None and place not in codes.places_of_service():
            yield path, f"no place of service {place}"
    for path, modifier in used:
        if modifier not in codes.modifiers():
            yield path, f"no modifier {modifier}"


def _version(edition: _Edition) -> str:
    text = json.dumps(edition.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:12]
