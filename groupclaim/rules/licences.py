"""The licence under which a service is billed."""

from __future__ import annotations

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.practice import Licence
from groupclaim.policy.payer import PayerPolicy


def valid_licences(facts: ClaimFacts) -> tuple[Licence, ...]:
    """The clinician's licences valid on the day of service in the state where it was given."""
    return tuple(
        licence
        for licence in facts.clinician.licences
        if licence.state == facts.location.address.state and licence.valid_on(facts.service_date)
    )


def billing_licence(facts: ClaimFacts, policy: PayerPolicy) -> Licence | None:
    """The licence to bill under: the first that the payer accepts, else the first valid one."""
    valid = valid_licences(facts)
    accepted = [item for item in valid if item.kind in policy.licences.accepted]
    return next(iter([*accepted, *valid]), None)
