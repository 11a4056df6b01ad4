"""What a clearinghouse really received, from its raw log and nothing of ours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.oracle.wire import read_log, submitted_claims


def accepted_versions(raw_log: Path) -> Counter[str]:
    """By control number (CLM01), how often a claim version was taken."""
    entries, complaints = read_log(raw_log)
    if complaints:
        raise ValueError(f"the raw log is not whole: {complaints}")
    return Counter(
        claim.control_number
        for entry in entries
        if entry.direction == "received" and entry.outcome != "refused" and entry.body
        for claim in submitted_claims(entry)
    )
