"""What follows from a payer's word on a claim that it was silent about (277)."""

from __future__ import annotations

from collections.abc import Sequence

from groupclaim.model.base import Record
from groupclaim.model.finding import Finding, Severity
from groupclaim.policy.claim_status import StatusAction, StatusCategory, status_category

_MOST_TELLING: tuple[StatusAction, ...] = (
    "rejected", "information", "denied", "paid", "not found", "wait", "error",
)  # fmt: skip


class StatusWord(Record):
    """One status of a 277: category (F1) and status code (107)."""

    category: str
    code: str


class StatusReading(Record):
    """What an answer comes to, and the word that decided it; no word when there was none."""

    action: StatusAction
    word: StatusWord | None = None


def read_status(words: Sequence[StatusWord]) -> StatusReading:
    """The most telling of all that the payer says: what needs an answer before what ends a claim,
    and anything before that it could not be asked."""
    known = [(status_category(word.category).action, word) for word in words]
    if not known:
        return StatusReading(action="error")
    action, word = min(known, key=lambda item: _MOST_TELLING.index(item[0]))
    return StatusReading(action=action, word=word)


def status_findings(
    reading: StatusReading, claim_number: str, *, taken: bool, asked: int, most: int
) -> tuple[Finding, ...]:
    """What a biller is told. ``taken``: a 277CA said that the payer took the claim; ``asked``: how
    often it has been asked by now, of the ``most`` that are asked without a person.

    A claim that the payer took and now does not find is for a call, not for sending it again.
    """

    def finding(rule: str, sentence: str, fix: str, hold: str | None = None) -> Finding:
        return Finding(
            rule=rule,
            severity=Severity.BLOCK if hold else Severity.WARN,
            sentence=f"{sentence}{_said(reading.word)}.",
            fix=fix,
            evidence=(claim_number,),
            hold=hold,
        )

    action = reading.action
    if action == "information":
        return (
            finding(
                "status_information",
                "The payer waits for information",
                "Send what its request names, never psychotherapy notes.",
                "INFORMATION_REQUESTED",
            ),
        )
    if action == "rejected":
        return (
            finding(
                "status_rejected",
                "The payer says that it could not process the claim",
                "Mend what the status names; the claim is sent as a new one.",
                "REJECTED",
            ),
        )
    if action == "not found" and not taken:
        return (
            finding(
                "status_not_found",
                "The payer has no such claim, and never said that it took it",
                "Check payer and member id; then send it again.",
                "NOT_ON_FILE",
            ),
        )
    if action == "not found":
        return (
            finding(
                "status_lost",
                "The payer took the claim and does not find it",
                "Call with the payer's claim number from the 277CA.",
                "PAYER_SILENT",
            ),
        )
    told: tuple[Finding, ...] = ()
    if action in ("paid", "denied"):
        told = (
            finding(
                f"status_{action}",
                f"The payer says that it has {'paid' if action == 'paid' else 'denied'} the claim, "
                "and no remittance of it has been posted",
                "Look for the 835 in the mailbox and in payment suspense, or ask for a copy.",
            ),
        )
    if asked >= most:
        silent = finding(
            "status_silent",
            f"Asked {asked} times, the payer has said nothing that ends the claim",
            "Call the payer; send a prompt-pay letter where its time by law has passed.",
            "PAYER_SILENT",
        )
        return (*told, silent)
    return told


def _said(word: StatusWord | None) -> str:
    if word is None:
        return ""
    known: StatusCategory = status_category(word.category)
    return f" ({word.category} {word.code}: {known.meaning})"
