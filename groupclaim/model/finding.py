"""What a rule found, with its reasons."""

from __future__ import annotations

from enum import StrEnum

from groupclaim.model.base import Record


class Severity(StrEnum):
    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


class Source(Record):
    """Where a rule's value comes from. Unverified values never forbid, they only hold."""

    policy: str
    version: str
    citation: str
    verified: bool


class Finding(Record):
    """One result of one rule.

    ``sentence`` speaks to a biller and names no person; ``evidence`` lists ids of what was looked
    at; ``hold`` is the code under which a blocking finding holds the claim.
    """

    rule: str
    severity: Severity
    sentence: str
    fix: str = ""
    evidence: tuple[str, ...] = ()
    hold: str | None = None
    releasable: bool = False
    source: Source | None = None


def blocking(findings: tuple[Finding, ...], waived: tuple[str, ...] = ()) -> Finding | None:
    """The first finding that still holds the claim, given the hold codes a person has waived."""
    return next(
        (
            finding
            for finding in findings
            if finding.severity is Severity.BLOCK
            and not (finding.releasable and finding.hold in waived)
        ),
        None,
    )
