"""What the audit log keeps of substance-use records that are disclosed (42 CFR Part 2)."""

from __future__ import annotations

from datetime import datetime

from groupclaim.model.practice import Payer
from groupclaim.rules.part2 import NOTICE
from groupclaim.store import audit
from groupclaim.store.database import Transaction


async def record_disclosure(
    tx: Transaction, claim_number: str, payer: Payer, what: str, now: datetime
) -> None:
    """Note that ``what`` discloses substance-use records to ``payer``, and with which notice (42
    CFR 2.32): an 837P carries its text as a claim note, a 270 has no place for it."""
    await audit.record(
        tx,
        now,
        "groupclaim",
        "part2_disclosure",
        claim_number,
        {"what": what, "to": tx.keyring.payer_key(payer.ref), "notice": NOTICE.identifier},
    )
