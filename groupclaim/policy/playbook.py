"""The denial playbook: what each adjustment reason and remark code leads to, as versioned data.

The tables hold code numbers and groupclaim's own words; the codes' official texts are not in them.
``playbook.toml`` says what each action is, who may decide what, and what is bounded. A folder of
one's own may hold ``playbook.toml`` and the tables; they then stand in for those that come with
groupclaim.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from groupclaim.model.base import InputRefused, Record, describe
from groupclaim.model.finding import Source
from groupclaim.policy.tables import packaged, parse_table, read_text, table_text
from groupclaim.policy.toml_lines import NotToml, TomlLines, read_toml

Category = Literal[
    "coverage",
    "other payer",
    "authorization",
    "records",
    "necessity",
    "coding",
    "duplicate",
    "filing time",
    "enrolment",
    "benefit limit",
    "patient share",
    "pricing",
    "information",
]
Evidence = Literal[
    "attendance",
    "note",
    "plan",
    "authorization",
    "coverage",
    "acknowledgments",
    "contract",
    "remittance",
    "receipt",
]
"""What a payer may have to be shown, by what it is called in a letter."""

Scope = Literal["claim", "session", "clinician", "authorization"]
"""What denials with the same cause have in common: then they are one case with one repair."""

_COUNT = Annotated[int, Field(ge=1)]
_REASON_TABLE, _REMARK_TABLE = "adjustment_reasons", "remark_codes"
_PROPERTY_AND_CASUALTY = re.compile(r"P\d{1,2}")


def _listed(value: Any) -> Any:
    return tuple(value.split(";")) if isinstance(value, str) else value


_Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Coded(Record):
    code: str
    category: Category
    meaning: Annotated[str, Field(min_length=1)]
    actions: _Names = ()


class DenialReason(_Coded):
    """What a claim adjustment reason code leads to.

    ``actions`` are tried in this order; ``by_remark``: the code says little and the remark code's
    actions come first. ``prevented_by`` names the hold that would have stopped such a claim.
    """

    actions: Annotated[_Names, Field(min_length=1)]
    by_remark: bool = False
    evidence: Annotated[tuple[Evidence, ...], BeforeValidator(_listed)] = ()
    scope: Scope
    prevented_by: str | None = None
    advice: Annotated[str, Field(min_length=1)]


class RemarkCode(_Coded):
    """A remittance advice remark code: what it points to. ``protects_patient``: the patient may not
    be billed whatever the group code says."""

    protects_patient: bool = False


class Action(Record):
    """One thing that can be done about a denial; the kinds are explained in ``playbook.toml``."""

    model_config = ConfigDict(strict=True)

    kind: Literal["resend", "work", "letter", "patient", "write_off", "wait", "end"]
    what: Annotated[str, Field(min_length=1)]
    who: str = "groupclaim"
    restart: (
        Literal["check_eligibility", "check_authorization", "check_documentation", "check_coding"]
        | None
    ) = None
    days: _COUNT | None = None
    people: Literal[1, 2] | None = None
    other_payer: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Action:
        if self.kind == "resend" and self.restart is None:
            raise ValueError("restart: needed by an action that sends the claim again")
        if self.kind != "resend" and self.days is None:
            raise ValueError("days: needed, for nobody waits unreminded")
        if (self.people is not None) != (self.kind in ("letter", "patient")):
            raise ValueError("people: given exactly for letters and what a patient is asked for")
        return self


class _Settings(Record):
    model_config = ConfigDict(strict=True)

    source: Annotated[str, Field(min_length=1)]
    verified: bool
    most_corrections: _COUNT
    escalate_days_left: _COUNT
    escalate_after_failures: _COUNT
    action: dict[str, Action]


class Playbook:
    """What to do about each denial. ``version`` is a hash of all that it says.

    >>> Playbook.load().reason("197").actions
    ('add_authorization', 'ask_authorization', 'appeal', 'write_off')
    """

    def __init__(
        self,
        settings: _Settings,
        reasons: tuple[DenialReason, ...],
        remarks: tuple[RemarkCode, ...],
    ) -> None:
        self._settings = settings
        self._reasons = {item.code: item for item in reasons}
        self._remarks = {item.code: item for item in remarks}
        said = [
            settings.model_dump(mode="json"),
            *(item.model_dump(mode="json") for item in (*reasons, *remarks)),
        ]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        self.version = sha256(text.encode()).hexdigest()[:12]
        self.most_corrections = settings.most_corrections
        self.escalate_days_left = settings.escalate_days_left
        self.escalate_after_failures = settings.escalate_after_failures

    @classmethod
    def load(cls, folder: Path | None = None) -> Playbook:
        """The playbook that comes with groupclaim, with what ``folder`` holds instead.

        Raises :class:`InputRefused` with every problem of every file: file, line, field, reason.
        """
        own = folder / "playbook.toml" if folder is not None else None
        place = own if own is not None and own.is_file() else packaged() / "playbook.toml"
        return cls.read(
            read_text(place, "playbook.toml"),
            table_text(_REASON_TABLE, folder),
            table_text(_REMARK_TABLE, folder),
        )

    @classmethod
    def read(cls, settings: str, reasons: str, remarks: str) -> Playbook:
        """A playbook from its three texts. Raises :class:`InputRefused` as :meth:`load`."""
        problems: list[str] = []
        known = _settings(settings, problems)
        rows: tuple[DenialReason, ...] = ()
        pointers: tuple[RemarkCode, ...] = ()
        try:
            rows = parse_table(f"tables/{_REASON_TABLE}.csv", reasons, DenialReason)
        except InputRefused as error:
            problems += error.problems
        try:
            pointers = parse_table(f"tables/{_REMARK_TABLE}.csv", remarks, RemarkCode)
        except InputRefused as error:
            problems += error.problems
        if known is not None:
            problems += _misfits(_REASON_TABLE, rows, known.action)
            problems += _misfits(_REMARK_TABLE, pointers, known.action)
        if problems or known is None:
            raise InputRefused("denial playbook", problems)
        return cls(known, rows, pointers)

    def reason(self, code: str) -> DenialReason | None:
        """What is known about claim adjustment reason ``code``; None when nothing is."""
        key = "P" if _PROPERTY_AND_CASUALTY.fullmatch(code) else code
        return self._reasons.get(key)

    def remark(self, code: str) -> RemarkCode | None:
        """What is known about remark ``code``; None when nothing is."""
        return self._remarks.get(code)

    def action(self, name: str) -> Action:
        """The action of this name; raises KeyError for one that the playbook does not have."""
        return self._settings.action[name]

    @property
    def reasons(self) -> tuple[DenialReason, ...]:
        return tuple(self._reasons.values())

    @property
    def remarks(self) -> tuple[RemarkCode, ...]:
        return tuple(self._remarks.values())

    def source(self, rule: str) -> Source:
        """The citation of a decision: the playbook's version and the ``rule`` it followed."""
        return Source(
            policy=f"playbook/{rule}",
            version=self.version,
            citation=self._settings.source,
            verified=self._settings.verified,
        )


def _settings(text: str, problems: list[str]) -> _Settings | None:
    try:
        data = read_toml(text)
    except NotToml as error:
        problems.append(f"playbook.toml:{error}")
        return None
    try:
        return _Settings.model_validate(data)
    except ValidationError as error:
        lines = TomlLines(text)
        problems += [
            f"playbook.toml:{lines.of(problem['loc'])}: {told}"
            for problem, told in zip(error.errors(), describe(error), strict=True)
        ]
        return None


def _misfits(table: str, rows: Sequence[_Coded], known: Mapping[str, Action]) -> Iterator[str]:
    """Codes stated twice, actions that do not exist, and a code whose ladder has no end."""
    seen: set[str] = set()
    for line, row in enumerate(rows, 2):
        where = f"tables/{table}.csv:{line}: {row.code}"
        if row.code in seen:
            yield f"{where}: stated twice"
        seen.add(row.code)
        for name in row.actions:
            if name not in known:
                yield f"{where}: there is no action {name or 'without a name'}"
        if len(set(row.actions)) != len(row.actions):
            yield f"{where}: an action stands there twice"
        if isinstance(row, DenialReason) and row.actions[-1:] == ("appeal",):
            yield f"{where}: nothing follows the last appeal"
