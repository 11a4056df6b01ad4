"""A claim that was sent and is not true: what has to be done with each payer that has it.

A person who was not there, a group that shrinks to one, a note that was withdrawn: what was billed
for it is an overpayment from the moment that is known (42 U.S.C. 1320a-7k(d): report and return
within 60 days of identifying it, looked back for six years).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.deadlines import Deadline, Deadlines, months_after

NOTE_WITHDRAWN = "NOTE_WITHDRAWN"
"""Why nothing can be billed: the note that supported the claim is not valid."""

APPROVAL = {NOTE_WITHDRAWN: "DOCUMENTATION_CHANGED"}
"""The hold that asks a person before a payer is told, by reason; any other reason is of
attendance."""

ATTENDANCE_CHANGED = "ATTENDANCE_CHANGED"
REFUSED, SILENT, WAITS = "VOID_REFUSED", "VOID_SILENT", "VOID_WAITS"
REFUND = "PAYER_REFUND_DUE"
ASKED = frozenset({ATTENDANCE_CHANGED, *APPROVAL.values(), REFUSED, SILENT, REFUND})
"""What people are asked while a claim is taken back; what they said ends with it."""


class AtPayer(Record):
    """What one payer has of a claim, by its place in the order of billing.

    ``version`` is the newest of ours that it has and that takes nothing back, 0 where it got the
    claim from another payer. ``undecided``: it has not decided on that one. ``paid`` and ``share``
    (the patient's) are of its decision in force, ``decided`` where that is no denial. ``taken``:
    what it has kept of other payments for this claim. ``void``: what became of our newest claim
    that takes this one back, ``answer_due`` whether its answer is overdue.
    """

    place: int
    route: Literal["void_claim", "refund"]
    approval: bool = True
    version: int = 0
    number: str | None = None
    undecided: bool = False
    decided: bool = False
    paid: Cents = Cents(0)
    share: Cents = Cents(0)
    paid_on: date | None = None
    taken: Cents = Cents(0)
    void: Literal["none", "sent", "refused"] = "none"
    answer_due: bool = False

    @property
    def stands(self) -> bool:
        """Whether something of the claim is still with the payer: a denial alone takes nothing."""
        return self.undecided or self.decided


What = Literal[
    "stands", "done", "settle", "approve", "send", "refund", "wait_number", "wait", "refused",
    "silent",
]  # fmt: skip


class Plan(Record):
    """What comes next, and with which payer: nothing was wrong after all (``stands``); nothing is
    left with any payer (``done``); the payer has kept its money, which is to be booked
    (``settle``); a person agrees (``approve``), the claim is taken back (``send``) or its money
    sent back by us (``refund``); the payer's number or decision, or its answer is awaited; it has
    refused, or is silent."""

    what: What
    payer: AtPayer | None = None


def plan_void(
    untrue: bool, payers: Sequence[AtPayer], said: Collection[str], approved: bool
) -> Plan:
    """What comes next. ``said`` are the holds that people have released, ``approved`` that they
    have agreed that the payers are told.

    The payer that was billed last comes first: what the ones before it left was its to pay. Once a
    payer has been told, it is carried through, whatever is found out meanwhile: the service is
    then billed anew.
    """
    told = any(one.void == "sent" for one in payers)
    if not untrue and not told:
        return Plan(what="stands")
    open_now = [one for one in payers if one.stands]
    if not open_now:
        return Plan(what="done")
    one = max(open_now, key=lambda item: item.place)
    if one.decided and one.taken > 0 and one.taken >= one.paid:
        return Plan(what="settle", payer=one)
    if one.void == "sent":
        return _waiting(one, said)
    if one.approval and not approved and one.route == "void_claim":
        return Plan(what="approve", payer=one)
    if one.route == "refund" and one.decided and one.paid == 0:
        # Nothing was paid, and the payer takes no claim that would say so.
        return Plan(what="settle", payer=one)
    if one.route == "refund" and one.decided:
        return Plan(what="refund", payer=one)
    if one.void == "refused" and REFUSED not in said:
        return Plan(what="refused", payer=one)
    if one.route == "void_claim" and one.number:
        return Plan(what="send", payer=one)
    return _waiting(one, said, "wait_number")


def _waiting(one: AtPayer, said: Collection[str], what: What = "wait") -> Plan:
    if not one.answer_due:
        return Plan(what=what, payer=one)
    if SILENT in said and not one.decided:
        return Plan(what="done")
    return Plan(what="silent", payer=one)


def refund_deadline(
    policy: PayerPolicy, deadlines: Deadlines, identified_on: date, paid_on: date
) -> Deadline | None:
    """By when a payer's money is reported and back: counted from when it was known to be wrong, or
    from the payment where that came later. None where it was paid before the look-back began."""
    years = policy.overpayments.lookback_years
    if years is not None and months_after(paid_on, 12 * years) < identified_on:
        return None
    return deadlines.refund_limit(max(identified_on, paid_on))


def asked(
    plan: Plan, claim_number: str, reason: str, limit: Deadline | None, policy: PayerPolicy
) -> tuple[Finding, ...]:
    """What a person is told of ``plan``, where it waits."""
    if plan.payer is None or plan.what not in _SENTENCES:
        return ()
    one = plan.payer
    code, sentence, fix = _SENTENCES[plan.what]
    if plan.what == "approve":
        code = APPROVAL.get(reason, ATTENDANCE_CHANGED)
    by = f" It must be back by {limit.at:%Y-%m-%d} ({limit.working})." if limit else ""
    money = f" {one.paid} were paid on {one.paid_on}.{by}" if one.paid else ""
    return (
        Finding(
            rule=f"void:{plan.what}",
            severity=Severity.BLOCK,
            sentence=f"{sentence}{money}",
            fix=fix,
            evidence=(claim_number,),
            hold=code,
            releasable=plan.what in ("approve", "refused", "silent"),
            source=policy.source(policy.overpayments if one.paid else policy.voids),
        ),
    )


_SENTENCES = {
    "approve": (
        ATTENDANCE_CHANGED,
        "The payer has a claim that is not true.",
        "Check the correction, then release: the payer is told.",
    ),
    "wait_number": (
        WAITS,
        "The claim is taken back as soon as the payer has given its number or decided.",
        "Nothing to do.",
    ),
    "refused": (
        REFUSED,
        "The payer has not taken the claim back.",
        "Read its codes and call it; release to send it again, or return the money by cheque.",
    ),
    "silent": (
        SILENT,
        "The payer has not answered that the claim is taken back.",
        "Call the payer; return the money by cheque, or release when it has no such claim.",
    ),
    "refund": (
        REFUND,
        "The payer takes no claim that takes another back: its money is returned by us.",
        "Send it with the payer's form, and record it (`groupclaim overpayment refund`).",
    ),
}
