"""What a practice hands in: its own data and its sessions, checked as a whole.

References between records are checked here, so that everything behind the door may rely on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import RootModel

from groupclaim.model.base import InputRefused, Record, Reference
from groupclaim.model.patient import Authorization, Coverage, Patient, TreatmentPlan
from groupclaim.model.practice import (
    Clinician,
    Connection,
    Contract,
    Fee,
    Location,
    Payer,
    Practice,
)
from groupclaim.model.session import GroupSession


class PracticeFile(Record):
    """Everything about a practice that claims are made from."""

    practice: Practice
    locations: tuple[Location, ...]
    clinicians: tuple[Clinician, ...]
    connections: tuple[Connection, ...]
    payers: tuple[Payer, ...]
    fees: tuple[Fee, ...]
    contracts: tuple[Contract, ...]
    patients: tuple[Patient, ...]
    coverages: tuple[Coverage, ...]
    treatment_plans: tuple[TreatmentPlan, ...]
    authorizations: tuple[Authorization, ...] = ()

    def check_references(self, source: str) -> None:
        """Raise :class:`InputRefused` naming every dangling, repeated or overlapping record."""
        problems: list[str] = []
        known = {
            "locations": [item.ref for item in self.locations],
            "clinicians": [item.ref for item in self.clinicians],
            "connections": [item.ref for item in self.connections],
            "payers": [item.ref for item in self.payers],
            "patients": [item.ref for item in self.patients],
        }
        for place, refs in known.items():
            problems += [
                f"{place}[{index}].ref: the same ref is used more than once"
                for index, ref in enumerate(refs)
                if refs.index(ref) != index
            ]

        if len(self.connections) > 1:
            # Under two, each file of the mailbox would be taken as of whichever looks first.
            problems.append("connections: one is taken, because a worker has one mailbox")

        def refer(place: str, attribute: str, refs: Iterable[Reference | None], to: str) -> None:
            problems.extend(
                f"{place}[{index}].{attribute}: no such record in {to}"
                for index, ref in enumerate(refs)
                if ref is not None and ref not in known[to]
            )

        refer("clinicians", "supervisor", (i.supervisor for i in self.clinicians), "clinicians")
        problems += [
            f"clinicians[{index}].enrolments[{place}].payer: no such record in payers"
            for index, item in enumerate(self.clinicians)
            for place, enrolment in enumerate(item.enrolments or ())
            if enrolment.payer not in known["payers"]
        ]
        refer("payers", "connection", (item.connection for item in self.payers), "connections")
        refer("contracts", "payer", (item.payer for item in self.contracts), "payers")
        refer("coverages", "payer", (item.payer for item in self.coverages), "payers")
        refer("coverages", "patient", (item.patient for item in self.coverages), "patients")
        refer("treatment_plans", "patient", (i.patient for i in self.treatment_plans), "patients")
        refer("authorizations", "patient", (i.patient for i in self.authorizations), "patients")
        refer("authorizations", "payer", (i.payer for i in self.authorizations), "payers")
        refer(
            "authorizations", "clinician", (i.clinician for i in self.authorizations), "clinicians"
        )
        twice = Counter((item.patient, item.priority) for item in self.coverages)
        problems += [
            f"coverages[{index}].priority: another coverage of the patient has it on the same days"
            for index, item in enumerate(self.coverages)
            if twice[item.patient, item.priority] > 1
            and any(
                other is not item
                and (other.patient, other.priority) == (item.patient, item.priority)
                and _overlap(item, other)
                for other in self.coverages
            )
        ]
        if problems:
            raise InputRefused(source, problems)


def _overlap(one: Coverage, other: Coverage) -> bool:
    return one.in_force(other.effective_from) or other.in_force(one.effective_from)


class SessionFile(RootModel[tuple[GroupSession, ...]]):
    """The sessions of a file, in its order."""
