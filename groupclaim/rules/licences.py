"""Who is named as having given a service, and under which licence it is billed."""

from __future__ import annotations

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.practice import Clinician, Licence
from groupclaim.policy.payer import PayerPolicy


def valid_licences(facts: ClaimFacts, clinician: Clinician | None = None) -> tuple[Licence, ...]:
    """The clinician's licences valid on the day of service in the state where it was given; by
    default those of the session's clinician."""
    return tuple(
        licence
        for licence in (clinician or facts.clinician).licences
        if licence.state == facts.location.address.state and licence.valid_on(facts.service_date)
    )


def under_supervision(facts: ClaimFacts, policy: PayerPolicy) -> bool:
    """Whether the session's clinician has no licence to bill this payer alone, and one of those
    that the payer's policy calls supervised."""
    kinds = {item.kind for item in valid_licences(facts)}
    return not kinds.intersection(policy.licences.accepted) and bool(
        kinds.intersection(policy.supervision.supervised)
    )


def rendering_clinician(facts: ClaimFacts, policy: PayerPolicy) -> Clinician:
    """Whom the claim names as rendering: the supervisor where the payer wants it so and the
    supervisor has a licence for it, else the session's clinician."""
    supervision, supervisor = policy.supervision, facts.supervisor
    if (
        supervisor is not None
        and supervision.billing == "supervisor_bills"
        and under_supervision(facts, policy)
        and any(item.kind in supervision.supervisors for item in valid_licences(facts, supervisor))
    ):
        return supervisor
    return facts.clinician


def billing_licence(facts: ClaimFacts, policy: PayerPolicy) -> Licence | None:
    """The licence to bill under: the rendering clinician's first that the payer accepts, else the
    first valid one."""
    valid = valid_licences(facts, rendering_clinician(facts, policy))
    accepted = [item for item in valid if item.kind in policy.licences.accepted]
    return next(iter([*accepted, *valid]), None)
