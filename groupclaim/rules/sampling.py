"""Which billed claims are looked at again, and what the errors found say of all of them.

A sample is drawn in two parts. The *representative* part takes claims of every stratum (payer,
clinician and group) in proportion, by a keyed order that nobody can steer; only it says anything
about the whole. The *aimed* part takes of the rest those at which most points to an error. The same
frame, seed and size give the same sample on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from hashlib import sha256
from math import comb
from typing import Literal

from groupclaim.model.base import InputRefused, Record
from groupclaim.model.practice import AuditSampling

Part = Literal["representative", "aimed"]
_STEPS = 60
"""Halvings of an interval: far below what a printed figure shows."""


class Candidate(Record):
    """One billed claim of the frame. ``group`` tells the groups of a clinician apart;
    ``risks`` are the reasons to look at the claim in particular."""

    claim_number: str
    payer: str
    clinician: str
    group: str
    risks: tuple[str, ...] = ()

    @property
    def stratum(self) -> str:
        return f"{self.payer} {self.clinician} {self.group}"


class Chosen(Record):
    claim_number: str
    stratum: str
    part: Part
    risks: tuple[str, ...]


class Sample(Record):
    """``frame_digest`` is of the frame's claims with strata and risks, in order of their numbers:
    who draws again can show that it was from the same claims."""

    frame_digest: str
    frame: int
    chosen: tuple[Chosen, ...]


def draw(frame: Sequence[Candidate], seed: str, size: int) -> Sample:
    """At most ``size`` claims: half of them, rounded up, representative, the others aimed.

    Raises :class:`InputRefused` for a size below two or an empty seed or frame.
    """
    problems = []
    if size < 2:
        problems.append("size: at least 2")
    if not seed.strip():
        problems.append("seed: is empty")
    if not frame:
        problems.append("frame: no billed claim in these days")
    if problems:
        raise InputRefused("sample", problems)
    ordered = sorted(frame, key=lambda one: one.claim_number)
    listed = "\n".join(
        f"{one.claim_number} {one.stratum} {','.join(sorted(one.risks))}" for one in ordered
    )

    def place(one: Candidate) -> str:
        return sha256(f"{seed}|{one.claim_number}".encode()).hexdigest()

    strata: dict[str, list[Candidate]] = {}
    for one in sorted(ordered, key=place):
        strata.setdefault(one.stratum, []).append(one)
    wanted = min(len(ordered), (size + 1) // 2)
    representative = [
        one
        for stratum, count in _shares({k: len(v) for k, v in strata.items()}, wanted).items()
        for one in strata[stratum][:count]
    ]
    taken = {one.claim_number for one in representative}
    rest = [one for one in ordered if one.risks and one.claim_number not in taken]
    aimed = sorted(rest, key=lambda one: (-len(one.risks), place(one)))[: size - len(taken)]
    parts: tuple[tuple[Part, list[Candidate]], ...] = (
        ("representative", representative),
        ("aimed", aimed),
    )
    return Sample(
        frame_digest=sha256(listed.encode()).hexdigest(),
        frame=len(ordered),
        chosen=tuple(
            Chosen(claim_number=one.claim_number, stratum=one.stratum, part=part, risks=one.risks)
            for part, some in parts
            for one in some
        ),
    )


def period_to_draw(setting: AuditSampling, today: date) -> tuple[date, date]:
    """First and last day of the latest month, quarter or year that ended ``after_days`` ago or
    earlier: late claims of it are billed by then."""
    day = today - timedelta(days=setting.after_days)
    begun = (day.month - 1) // setting.months * setting.months + 1
    last = day.replace(month=begun, day=1) - timedelta(days=1)
    return last.replace(month=last.month - setting.months + 1, day=1), last


def _shares(sizes: dict[str, int], wanted: int) -> dict[str, int]:
    """How many of each stratum: in proportion, what is left over by the largest remainder."""
    total = sum(sizes.values())
    shares = {name: size * wanted // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(sizes[name] * wanted % total), name))
    for name in by_remainder[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares


class ErrorRate(Record):
    """``low`` and ``high`` bound the rate of errors in the whole frame, as shares of 1."""

    reviewed: int
    errors: int
    low: float
    high: float


def error_rate(errors: int, reviewed: int, confidence: float = 0.95) -> ErrorRate:
    """The exact (Clopper-Pearson) interval of a rate of which ``errors`` of ``reviewed`` are known;
    0 to 1 while nothing has been reviewed. It never claims more than the confidence: for a sample
    that is a large part of its frame it is too wide."""
    if not 0 <= errors <= reviewed:
        raise ValueError("errors lie between 0 and the number reviewed")
    tail = (1 - confidence) / 2

    def at_most(most: int, rate: float) -> float:
        return sum(
            comb(reviewed, n) * rate**n * (1 - rate) ** (reviewed - n) for n in range(most + 1)
        )

    low = _falling(lambda rate: at_most(errors - 1, rate), 1 - tail) if errors else 0.0
    high = _falling(lambda rate: at_most(errors, rate), tail) if errors < reviewed else 1.0
    return ErrorRate(reviewed=reviewed, errors=errors, low=low, high=high)


def _falling(chance: Callable[[float], float], wanted: float) -> float:
    """Where a chance that falls from 1 to 0 as the rate rises is ``wanted``."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if chance(middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
