"""How well clones and names are found, on invented notes that were fixed before the detectors.

Run with ``-s`` to see the tables.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha256
from time import process_time

from groupclaim.model.session import ProgressNote
from groupclaim.rules.cloning import Sections, likeness, shared_texts
from groupclaim.rules.documentation import Company, OtherNote, check_documentation
from groupclaim.rules.naming import members_named
from tests.rules.corpus import (
    CLONE_KINDS,
    NAME_KINDS,
    Person,
    Written,
    notes_for_clones,
    notes_for_names,
)
from tests.rules.made import facts, member, note, policy

FIXED = "d467f4f50fab574eef24f11ca21816a0208d599c0b182d921f78b9da7897ac98"


class Called:
    """A person of the corpus as the rules want one."""

    def __init__(self, person: Person) -> None:
        self.first_name, self.last_name = person.first, person.last


def texts(written: Written) -> dict[str, str]:
    return {field: getattr(written, field) for field in ("participation", "progress", "necessity")}


def names_found(written: Written) -> bool:
    others = [
        Called(person) for place, person in enumerate(written.roster) if place != written.owner
    ]
    patient = Called(written.roster[written.owner])
    return bool(members_named(texts(written), patient, others, [Called(written.clinician)]))


def clone_found(written: Written) -> str:
    assert written.before is not None
    one, other = (
        ProgressNote(group_summary=item.group_summary, **texts(item))
        for item in (written, written.before)
    )
    shared = shared_texts((one, other))
    names = [name for person in written.roster for name in (person.first, person.last)]
    sections = Sections(shared, names)
    share = likeness(sections.of(one), sections.of(other))
    return "hold" if share >= 0.90 else "warn" if share >= 0.75 else "none"


def printed(title: str, table: dict[str, Counter[str]], columns: Iterable[str]) -> None:
    columns = list(columns)
    print(f"\n{title:16}" + "".join(f"{column:>8}" for column in columns))
    for kind, row in table.items():
        print(f"{kind:16}" + "".join(f"{row[column]:8}" for column in columns))


def test_the_corpus_is_the_one_that_was_fixed() -> None:
    written = repr((notes_for_names(), notes_for_clones()))
    assert sha256(written.encode()).hexdigest() == FIXED


def test_other_members_are_found_and_words_are_not() -> None:
    notes = notes_for_names()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for written in notes:
        kind = written.planted or ("looks like one" if written.hard else "ordinary")
        table[kind]["found" if names_found(written) else "none"] += 1
    printed("names", table, ("found", "none"))
    recall = {kind: row["found"] / row.total() for kind, row in table.items()}
    innocent = table["looks like one"] + table["ordinary"]
    planted = sum(table[kind]["found"] for kind in NAME_KINDS)
    precision = planted / (planted + innocent["found"])
    print(f"precision {precision:.3f}; false alarms {innocent['found']} of {innocent.total()}")
    assert len(notes) >= 400
    assert table["looks like one"].total() >= 150
    for kind in ("full name", "first name", "last name", "word name"):
        assert recall[kind] >= 0.99, kind
    for kind in ("nickname", "initials", "typo"):
        assert recall[kind] >= 0.95, kind
    assert innocent["found"] * 200 <= innocent.total()


def test_copies_are_found_and_notes_of_their_own_are_not() -> None:
    notes = notes_for_clones()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for written in notes:
        table[written.planted or "independent"][clone_found(written)] += 1
    printed("clones", table, ("hold", "warn", "none"))
    assert len(notes) >= 400
    for kind in CLONE_KINDS[:-1]:
        assert table[kind]["hold"] >= 0.99 * table[kind].total(), kind
    rewritten = table["half rewritten"]
    assert rewritten["none"] <= 0.05 * rewritten.total()
    alarms = table["independent"].total() - table["independent"]["none"]
    assert alarms * 200 <= table["independent"].total()


def test_a_session_of_twelve_is_checked_in_time() -> None:
    """Every note beside eleven others and eight of the patient's own earlier weeks."""
    pool = [written for written in notes_for_clones() if not written.planted]
    people = [written.roster[written.owner] for written in pool[:12]]
    roster = [member(f"P{place}", person.first, person.last) for place, person in enumerate(people)]
    room = [note(**texts(written)) for written in pool[:12]]
    earlier = [
        OtherNote(f"GE{place}", note(**texts(written)), True)
        for place, written in enumerate(pool[12:20])
    ]

    def check() -> None:
        for place, own in enumerate(room):
            others = [OtherNote(f"GC{n}", item) for n, item in enumerate(room) if n != place]
            members = tuple(item for n, item in enumerate(roster) if n != place)
            company = Company(members, (*others, *earlier))
            check_documentation(facts(patient=roster[place]), own, policy(), company)

    check()  # the tables are read once a process
    spent = min(_seconds(check) for _ in range(3))
    print(f"\n12 participants, {12 * 19} comparisons: {1000 * spent:.0f} ms")
    assert spent < 0.150


def _seconds(work: Callable[[], None]) -> float:
    began = process_time()
    work()
    return process_time() - began
