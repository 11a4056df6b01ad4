"""Payer policies: what each payer asks for and pays by, dated, cited, and read from data files.

One file a payer (``payers/<name>.toml``) holds its editions; each is in force from a first to a
last day, and together they leave no gap. A group of values that was not read in a current official
text of that payer is not ``verified``: it may hold a claim, never forbid one.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256
from importlib import resources
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from groupclaim.model.base import InputRefused, Record, describe
from groupclaim.model.claim import Modifier
from groupclaim.model.finding import Source
from groupclaim.model.money import Cents
from groupclaim.model.practice import LicenceKind, ProcedureCode

# TOML has arrays and strings where these have tuples and enumerations: only the container is read
# leniently, what it holds stays strict.
_Licence = Annotated[LicenceKind, Field(strict=False)]
_Licences = Annotated[tuple[_Licence, ...], Field(strict=False)]
_Codes = Annotated[tuple[ProcedureCode, ...], Field(strict=False)]
_Places = Annotated[tuple[Annotated[str, Field(pattern=r"^\d{2}$")], ...], Field(strict=False)]
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


class SameDay(Cited):
    """Other services of the same patient and day.

    ``column_two`` are the codes that NCCI pairs with 90853 as the one to be reduced: modifier 59 or
    XE belongs on *them*. ``with_individual`` says whether the payer pays both. ``review`` are codes
    after which a coder must look before 90853 leaves.
    """

    with_individual: Literal["allow", "allow_with_59", "deny"]
    column_two: _Codes
    review: _Codes


class AuthorizationRule(Cited):
    """What to do when the payer's answer leaves open whether an authorization is needed."""

    when_unknown: Literal["go_on", "hold"]


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


class AppealLimit(Cited):
    """By when a decision must be appealed, in days from its notice."""

    days: _Count


class Corrections(Cited):
    """How a finalized claim is mended: by a replacement (frequency 7), or, where the payer takes
    none, by a new claim and only when it was returned as unprocessable (remark MA130)."""

    finalized: Literal["replacement", "new_claim_if_unprocessable"]


class Documentation(Cited):
    """The elements without which a progress note does not support the claim."""

    required: Annotated[tuple[NoteElement, ...], Field(strict=False, min_length=1)]


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
    physician_fee_schedule: PhysicianFeeSchedule | None = None
    same_day: SameDay
    authorization: AuthorizationRule
    coinsurance: Coinsurance | None = None
    sequestration: Sequestration
    filing_limit: FilingLimit
    appeal_limit: AppealLimit
    corrections: Corrections
    documentation: Documentation
    audit: Audit
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
    def load(cls) -> PolicyBook:
        """The policies that come with groupclaim. Raises :class:`InputRefused` as :meth:`read`."""
        folder = resources.files("groupclaim.policy") / "payers"
        return cls.read(
            {
                file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
                for file in sorted(folder.iterdir(), key=lambda file: file.name)
                if file.name.endswith(".toml")
            }
        )

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> PolicyBook:
        """Policies from TOML texts by name.

        Raises :class:`InputRefused` with every problem of every file: file, key, reason.
        """
        problems: list[str] = []
        editions = {name: tuple(_read(name, text, problems)) for name, text in texts.items()}
        if problems:
            raise InputRefused("payer policies", problems)
        return cls(editions)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._editions)

    def policy(self, name: str, day: date) -> PayerPolicy:
        """The edition of policy ``name`` in force on ``day``; raises :class:`NoPolicy`."""
        if name not in self._editions:
            raise NoPolicy(f"no payer policy is named {name!r}; there are {', '.join(self.names)}")
        for edition in self._editions[name]:
            if edition.effective_from <= day and day <= (edition.effective_to or date.max):
                return edition
        raise NoPolicy(f"payer policy {name!r} has no edition in force on {day}")


def _read(name: str, text: str, problems: list[str]) -> list[PayerPolicy]:
    file = f"{name}.toml"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: not TOML: {error}")
        return []
    problems += [f"{file}: {key}: unknown key" for key in data if key != "edition"]
    raw = data.get("edition")
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        problems.append(f"{file}: edition: needs at least one [[edition]]")
        return []
    policies = []
    for index, item in enumerate(raw):
        try:
            edition = _Edition.model_validate(item)
        except ValidationError as error:
            problems += [f"{file}: edition[{index}].{line}" for line in describe(error)]
        else:
            policies.append(PayerPolicy(name=name, version=_version(edition), **dict(edition)))
    problems += [f"{file}: {line}" for line in _broken_sequence(raw)]
    return policies


def _version(edition: _Edition) -> str:
    text = json.dumps(edition.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:12]


def _broken_sequence(editions: list[dict[str, Any]]) -> list[str]:
    """Overlaps and gaps between editions; those without readable dates are reported elsewhere."""
    spans = []
    problems = []
    for index, item in enumerate(editions):
        first, last = item.get("effective_from"), item.get("effective_to")
        if not isinstance(first, date) or not (last is None or isinstance(last, date)):
            continue
        if last is not None and last < first:
            problems.append(f"edition[{index}].effective_to: before effective_from")
        spans.append((first, last or date.max, index))
    for (_, last, before), (first, _, index) in pairwise(sorted(spans)):
        if first <= last:
            problems.append(f"edition[{index}].effective_from: overlaps edition[{before}]")
        elif first > last + timedelta(days=1):
            problems.append(f"edition[{index}].effective_from: a gap after edition[{before}]")
    return problems
