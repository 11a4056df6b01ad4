"""Cloned notes: how much of one note's individual section stands in another.

Medicare contractors take wording that is the same or nearly so, between visits or between patients,
for cloned, and the service for unsupported (NGS Medicare article 1459133). A summary
that all notes of a session share is allowed, so it is taken out first; only what is said of the one
patient (D8, D9, D11) is compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from groupclaim.model.session import ProgressNote

FIELDS = ("participation", "progress", "necessity")
"""The individual section: what the note says of this patient alone."""

_FEWEST_WORDS = 12
"""Below this many words two honest notes may look alike; only the very same text counts."""
_RUN = 5
"""So many words in a row that also stand in the shared summary were taken from it."""
_SHINGLE = 3

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SENTENCE = re.compile(r"[.!?;\n]+")
_SAME_FOR_ALL = frozenset(
    {"he", "she", "they", "him", "her", "them", "his", "hers", "their", "theirs", "himself"}
    | {"herself", "themselves", "patient", "client", "pt", "ct", "member"}
)


Place = tuple[str, int, int]
"""A word's characters in a note: field, first, one after the last."""


@dataclass(frozen=True, slots=True)
class IndividualSection:
    """What a note says of its patient alone: its words by sentence, where they stand, and a digest.

    Pronouns and names are taken for one and the same: exchanging them makes no new note.
    ``shared_words`` counts what was taken out because the session's notes share it.
    """

    sentences: tuple[tuple[str, ...], ...]
    places: tuple[Place, ...]
    shared_words: int
    digest: str

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for sentence in self.sentences for word in sentence)


class Sections:
    """Reads individual sections out of notes: without what stands in the ``shared`` texts, and with
    all ``names`` of people in the room taken for the same."""

    def __init__(self, shared: Iterable[str], names: Iterable[str] = ()) -> None:
        self._same = _SAME_FOR_ALL | {word for name in names for word in _plain(name)}
        self._runs: set[tuple[str, ...]] = set()
        self._whole: set[tuple[str, ...]] = set()
        for text in shared:
            words = _plain(text)
            self._runs |= {words[place : place + _RUN] for place in range(len(words) - _RUN + 1)}
            self._whole |= {_plain(sentence) for sentence in _SENTENCE.split(text)}

    def of(self, note: ProgressNote) -> IndividualSection:
        sentences: list[tuple[str, ...]] = []
        places: list[Place] = []
        taken_out = 0
        for field in FIELDS:
            for words, where in _sentences(field, getattr(note, field)):
                covered = self._covered(words)
                taken_out += sum(covered)
                kept = [place for place, taken in enumerate(covered) if not taken]
                if kept:
                    sentences.append(
                        tuple("@" if words[n] in self._same else words[n] for n in kept)
                    )
                    places += [where[n] for n in kept]
        digest = sha256("\n".join(" ".join(words) for words in sentences).encode()).hexdigest()
        return IndividualSection(tuple(sentences), tuple(places), taken_out, digest[:16])

    def _covered(self, words: tuple[str, ...]) -> list[bool]:
        if words in self._whole:
            return [True] * len(words)
        covered = [False] * len(words)
        if self._runs:
            for start in range(len(words) - _RUN + 1):
                if words[start : start + _RUN] in self._runs:
                    covered[start : start + _RUN] = [True] * _RUN
        return covered


def shared_texts(notes: Iterable[ProgressNote]) -> tuple[str, ...]:
    """What the notes of one session may have in common: summary, topic, intervention."""
    return tuple(
        dict.fromkeys(
            text
            for note in notes
            for text in (note.group_summary, note.topic, note.intervention)
            if text.strip()
        )
    )


def likeness(one: IndividualSection, other: IndividualSection, floor: float = 0.0) -> float:
    """How alike two sections are: 1 for the same words, 0 for nothing in common; symmetric.

    The larger of two shares: of words in the same order (longest common subsequence, exact), and
    of three-word pieces in any order, so that neither exchanged words nor exchanged sentences hide
    a copy; but never more than the share of words in common. Where that is below ``floor``, it is
    not worked out further and counts as 0.
    """
    if one.sentences and one.digest == other.digest:
        return 1.0
    first, second = one.words, other.words
    if min(len(first), len(second)) < _FEWEST_WORDS:
        return 0.0
    total = len(first) + len(second)
    in_common = 2 * (Counter(first) & Counter(second)).total() / total
    if in_common < floor:
        return 0.0
    in_order = 2 * _common_subsequence(first, second) / total
    return min(in_common, max(in_order, _pieces_in_common(one, other)))


def passages(one: IndividualSection, other: IndividualSection) -> tuple[str, ...]:
    """Where passages of five words and more stand in ``one`` that stand in ``other`` too, as
    ``field[start:end]``: what a viewer marks side by side."""
    words, theirs = one.words, other.words
    runs = {theirs[start : start + _RUN] for start in range(len(theirs) - _RUN + 1)}
    spans: list[list[int]] = []
    for start in range(len(words) - _RUN + 1):
        if words[start : start + _RUN] in runs:
            if spans and start <= spans[-1][1]:
                spans[-1][1] = start + _RUN
            else:
                spans.append([start, start + _RUN])
    return tuple(
        f"{field}[{min(start for _, start, _ in part)}:{max(end for _, _, end in part)}]"
        for first, last in spans
        for field in FIELDS
        if (part := [place for place in one.places[first:last] if place[0] == field])
    )


def _plain(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(_lower(text)))


def _lower(text: str) -> str:
    """``text`` in lower case with every character in its place."""
    lower = text.lower().replace("’", "'")
    return lower if len(lower) == len(text) else "".join(letter.lower()[0] for letter in text)


def _sentences(field: str, text: str) -> Iterator[tuple[tuple[str, ...], list[Place]]]:
    lower = _lower(text)
    begin = 0
    for end in [*(match.end() for match in _SENTENCE.finditer(lower)), len(lower)]:
        matches = list(_WORD.finditer(lower, begin, end))
        if matches:
            yield (
                tuple([match[0] for match in matches]),
                [(field, match.start(), match.end()) for match in matches],
            )
        begin = end


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits (Hyyrö 2004); exact and symmetric."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    mask = (1 << len(one)) - 1
    row = mask
    for word in other:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & mask
    return len(one) - row.bit_count()


def _pieces(section: IndividualSection) -> Counter[tuple[str, ...]]:
    """Three words in a row within a sentence, so that the order of sentences does not matter."""
    return Counter(
        sentence[place : place + _SHINGLE]
        for sentence in section.sentences
        for place in range(max(1, len(sentence) - _SHINGLE + 1))
    )


def _pieces_in_common(one: IndividualSection, other: IndividualSection) -> float:
    first, second = _pieces(one), _pieces(other)
    return 2 * (first & second).total() / (first.total() + second.total())
