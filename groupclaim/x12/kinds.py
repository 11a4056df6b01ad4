"""What an inbound file holds, before anything of it is read in earnest."""

from dataclasses import dataclass
from typing import BinaryIO

from groupclaim.x12.core import Limits, Problem, Problems, read_interchanges


@dataclass(frozen=True, slots=True)
class TransactionKind:
    """One transaction set: ST01, ST02, its guide (ST03, or GS08 where there is none) and group."""

    set_id: str
    control_number: str
    guide: str
    functional_code: str
    group_control_number: str
    segment_count: int
    complete: bool

    @property
    def name(self) -> str:
        """The transaction as people call it: `835`, `271`, ...; the 277CA told by its guide."""
        return "277CA" if self.set_id == "277" and "X214" in self.guide else self.set_id


@dataclass(frozen=True, slots=True)
class InterchangeKind:
    """One interchange with its transactions and the number of TA1 segments."""

    sender_id: str
    receiver_id: str
    control_number: str
    test: bool
    version: str
    transactions: tuple[TransactionKind, ...]
    interchange_acknowledgments: int
    complete: bool


def kinds(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[InterchangeKind, ...], tuple[Problem, ...]]:
    """The interchanges of a file with what is in them, and every envelope fault.

    Content inside the transactions is counted, not judged.
    """
    problems = Problems()
    found: list[InterchangeKind] = []
    for interchange in read_interchanges(source, problems, limits):
        transactions: list[TransactionKind] = []
        for transaction in interchange:
            transaction.skip()
            transactions.append(
                TransactionKind(
                    transaction.set_id,
                    transaction.control_number,
                    transaction.guide,
                    transaction.group.functional_code,
                    transaction.group.control_number,
                    transaction.count,
                    transaction.complete,
                )
            )
        found.append(
            InterchangeKind(
                interchange.sender_id,
                interchange.receiver_id,
                interchange.control_number,
                interchange.test,
                interchange.version,
                tuple(transactions),
                len(interchange.acknowledgments),
                interchange.complete,
            )
        )
    return tuple(found), tuple(problems)
