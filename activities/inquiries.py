"""What all questions to payers have in common."""

from __future__ import annotations

from hashlib import sha256

_INQUIRY_NUMBERS = range(500_000_000, 1_000_000_000)
"""ISA13 of inquiries: apart from those of batches, which count up from 1."""


def control_number(trace: str) -> int:
    """A control number that a repeated question bears again."""
    value = int.from_bytes(sha256(trace.encode()).digest()[:8], "big")
    return _INQUIRY_NUMBERS[value % len(_INQUIRY_NUMBERS)]
