"""Other members of the group are taken out of whatever leaves, and looked for once more in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from groupclaim.model.base import Record
from groupclaim.rules.naming import Named, members_named

REDACTED = "[another member]"


class Redacted(Record):
    """The texts without the other members, and how many places were taken out."""

    texts: dict[str, str]
    places: int


class OtherMemberNamed(ValueError):
    """Something that was to leave names another member of the group: it does not leave."""


def redact(
    texts: Mapping[str, str],
    patient: Named,
    others: Sequence[Named],
    staff: Iterable[Named] = (),
) -> Redacted:
    """``texts`` with each mention of one of the ``others`` replaced."""
    mentions = members_named(texts, patient, others, tuple(staff))
    done = dict(texts)
    for mention in sorted(mentions, key=lambda item: (item.field, item.start), reverse=True):
        text = done[mention.field]
        done[mention.field] = f"{text[: mention.start]}{REDACTED}{text[mention.end :]}"
    return Redacted(texts=done, places=len(mentions))


def refuse_other_members(
    pages: str,
    patient: Named,
    others: Iterable[Named],
    staff: Iterable[Named] = (),
    ours: Iterable[str] = (),
) -> None:
    """Raise :class:`OtherMemberNamed` where the text of finished ``pages`` holds the name of one of
    the ``others``, other than as the patient's or a clinician's own: somebody who is called just
    the same cannot be told apart, and is not looked for. ``ours`` are names of organisations and
    streets, in which a last name means nobody. Names no one."""
    words = _words(pages)
    people = " ".join(pages.split())
    for name in ours:
        people = people.replace(" ".join(name.split()), " ")
    known = {
        word for person in (patient, *staff) for name in (person.first_name, person.last_name)
        for word in _words(name)
    }  # fmt: skip
    same = [_whole(person) for person in (patient, *staff)]
    for other in others:
        first, last = _words(other.first_name), _words(other.last_name)
        whole = _whole(other)
        if whole in same:
            continue
        if _follows(words, whole) or _follows(words, [*last, *first]):
            raise OtherMemberNamed("the packet names another member of the group")
        if not known.issuperset(last) and len("".join(last)) > 2 and _stands_alone(people, other):
            raise OtherMemberNamed("the packet has the last name of another member of the group")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def _whole(person: Named) -> list[str]:
    return [*_words(person.first_name), *_words(person.last_name)]


def _follows(words: list[str], wanted: list[str]) -> bool:
    return any(
        words[place : place + len(wanted)] == wanted
        for place in range(len(words) - len(wanted) + 1)
    )


def _stands_alone(pages: str, other: Named) -> bool:
    """The last name as it is written, with its capitals: Long is a name, long is a word."""
    return re.search(rf"(?<!\w){re.escape(other.last_name)}(?!\w)", pages) is not None
