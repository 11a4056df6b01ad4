"""Whether somebody may decide about an amount, by the limits of their role and a second person's.

One of them must have a limit that covers the amount; both must have one at all. So a biller can
have decided what is beyond their own limit when a supervisor agrees.
"""

from __future__ import annotations

from dataclasses import dataclass

from groupclaim.model.approval import ApprovalLimit, Decision, Role
from groupclaim.model.money import Cents

_WORDS = {
    Decision.WRITE_OFF: "a write-off",
    Decision.REVIEW_RELEASE: "letting a payment that is off stand",
    Decision.DISPUTE_END: "ending a dispute with something of it open",
    Decision.REFUND: "a refund",
    Decision.LETTER: "a letter to a payer",
}


@dataclass(frozen=True, slots=True)
class Deciding:
    """Who decides. ``role``: None for somebody who has not been let in, or no more."""

    name: str
    role: Role | None


def people_needed(limit: ApprovalLimit | None, cents: int) -> int:
    """How many must agree about ``cents``."""
    above = limit.second_above if limit is not None else None
    return 2 if above is not None and cents > above else 1


def refusal(
    decision: Decision,
    limit: ApprovalLimit | None,
    cents: int,
    first: Deciding,
    second: Deciding | None,
) -> str | None:
    """Why ``first``, with ``second`` where there is one, may not decide about ``cents``, and who
    may; None when they may."""
    what = f"{_WORDS[decision]} of {Cents(cents)}"
    if limit is None:
        return f"{what}: no limit is in force, so nobody may"
    if second is not None and second.name.strip().casefold() == first.name.strip().casefold():
        return f"{what}: the second person must be another than the first"
    for person in (first, second):
        if person is None or person.role in limit.roles:
            continue
        role = (
            f"a {person.role} may not"
            if person.role
            else "is nobody who has been let in (`groupclaim user add NAME --role ROLE`)"
        )
        return f"{what}: {person.name}: {role}; {_who_may(limit)}"
    if not any(_covers(limit, item, cents) for item in (first, second) if item is not None):
        return f"{what}: beyond what a {first.role} decides; {_who_may(limit)}"
    if people_needed(limit, cents) > 1 and second is None:
        return f"{what} needs a second person who agrees (--second); {_who_may(limit)}"
    return None


def _covers(limit: ApprovalLimit, person: Deciding, cents: int) -> bool:
    most = limit.roles[person.role] if person.role is not None else 0
    return most == "any" or cents <= most


def _who_may(limit: ApprovalLimit) -> str:
    told = [
        f"a {role} {'whatever the amount' if most == 'any' else f'up to {Cents(most)}'}"
        for role, most in limit.roles.items()
    ]
    two = f", above {Cents(limit.second_above)} two people" if limit.second_above else ""
    return f"may: {', '.join(told)}{two}"
