"""From findings to a hold."""

from __future__ import annotations

from groupclaim.lifecycle.events import Held
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.finding import Finding, blocking


def held(findings: tuple[Finding, ...], waivers: tuple[str, ...] = ()) -> Held | None:
    """The hold that ``findings`` ask for, given the hold codes that a person has waived.

    A hold that no fact from outside clears must let a person ask for another look, or the claim
    would never move again: it can be released even when its finding cannot be waived. The rule then
    runs again and decides anew.
    """
    finding = blocking(findings, waivers)
    if finding is None:
        return None
    if finding.hold is None:
        raise ValueError(f"the blocking finding {finding.rule} names no hold")
    return Held(
        code=finding.hold,
        releasable=finding.releasable or HOLDS[finding.hold].cleared_by is None,
        two_people=finding.releasable and HOLDS[finding.hold].two_people,
    )
