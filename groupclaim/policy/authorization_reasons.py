"""What groupclaim makes of the codes with which payers refuse or return an authorization request.

The table holds code numbers (AAA03, HCR03) and groupclaim's own words; the codes' official texts
are not in it.
"""

from __future__ import annotations

from functools import cache

from groupclaim.model.base import Record
from groupclaim.policy.tables import read_table


class AuthorizationReason(Record):
    """``category`` says what kind of matter a code is."""

    code: str
    category: str


def authorization_reason(code: str) -> AuthorizationReason:
    """What is known of ``code``; without one, or of one that the table lacks, that the payer's
    reviewer decided."""
    return _reasons().get(code) or AuthorizationReason(code=code, category="reviewer's decision")


@cache
def _reasons() -> dict[str, AuthorizationReason]:
    return {row.code: row for row in read_table("authorization_reasons", AuthorizationReason)}
