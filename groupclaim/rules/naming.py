"""Another member named in a note: where, and by which rule; never whom.

A note about one patient must not let a reader recognize another (45 CFR 164.502).
We know everyone in the room, so nothing has to be guessed: each other member gives a small set of
forms (names, nicknames, initials), which are looked up word by word, and misspelled ones one slip
away. Forms that are also words (Grace, Will, May, Hope), months or places count only where the
words around them speak of a person.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, Protocol

from nicknames import NickNamer

NamingRule = Literal[
    "full_name", "first_name", "last_name", "nickname", "initials", "misspelled_name"
]


class Named(Protocol):
    """A person with a name, as :class:`~groupclaim.model.patient.Patient`."""

    @property
    def first_name(self) -> str: ...

    @property
    def last_name(self) -> str: ...


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """Characters ``start`` to ``end`` of the note's ``field`` name somebody else, by ``rule``."""

    field: str
    start: int
    end: int
    rule: NamingRule


def members_named(
    texts: Mapping[str, str], patient: Named, others: Iterable[Named], staff: Iterable[Named] = ()
) -> tuple[Mention, ...]:
    """Where the ``texts`` of ``patient``'s note (by field) name one of ``others``.

    What also names the patient or one of the ``staff`` is taken to mean them.
    """
    forms = _Forms(patient, others, staff)
    return tuple(
        sorted(
            Mention(field, start, end, rule)
            for field, text in texts.items()
            for start, end, rule in _found(text, forms)
        )
    )


def _word_lists() -> dict[str, frozenset[str]]:
    text = (resources.files("groupclaim.rules") / "words.toml").read_text(encoding="utf-8")
    return {name: frozenset(words.split()) for name, words in tomllib.loads(text).items()}


_LISTS = _word_lists()
_WORDS, _MONTHS, _SEASONS = _LISTS["words"], _LISTS["months"], _LISTS["seasons"]
_PLACES, _INSTRUMENTS, _TITLES = _LISTS["places"], _LISTS["instruments"], _LISTS["titles"]
_PARTICLES, _OF_STATE = _LISTS["particles"], _LISTS["state_of_a_person"]
_SPEAKS_OF_A_WORD = _LISTS["follows_a_person_not_a_word"]
_SPEAKS = _SPEAKS_OF_A_WORD | _LISTS["follows_a_person"]
_TO_A_PERSON = _LISTS["before_a_person"] | _TITLES
_FROM_A_PERSON, _TOWARD_A_PERSON = _LISTS["from_a_person"], _LISTS["toward_a_person"]
_WELL_SPELLED = _WORDS | _MONTHS | _SEASONS | _PLACES | _SPEAKS | _INSTRUMENTS
_IN_TIME, _TO_A_PLACE = _LISTS["before_a_time"], _LISTS["before_a_place"]
_ABBREVIATIONS, _DOTTED_ABBREVIATIONS = _LISTS["abbreviations"], _LISTS["dotted_abbreviations"]


# --- the forms of a name

_SHORTEST_MISSPELLED = 5  # a slip in a shorter name gives too many ordinary words
_TWO_SLIPS_FROM = 9
_VOWELS = frozenset("aeiouy")


def _folded(text: str) -> str:
    """``text`` in lower case without accents, character by character: places stay the same."""
    return "".join(
        unicodedata.normalize("NFKD", character)[0].lower()[0] for character in text
    ).replace("’", "'")


def _parts(name: str) -> list[str]:
    """The words of a name that can stand for it, and the whole as one word."""
    words = [word for word in re.split(r"[^a-z']+", _folded(name)) if word]
    words = [word.replace("'", "") for word in words]
    telling = [word for word in words if len(word) > 1 and word not in _PARTICLES]
    joined = "".join(words)
    return list(dict.fromkeys([*telling, joined])) if len(joined) > 1 else []


@cache
def _nicknamer() -> NickNamer:
    return NickNamer()


@cache
def _nicknames(first: str) -> frozenset[str]:
    """What somebody called ``first`` is called by others, as the table has it, in both ways."""
    table = _nicknamer()
    return frozenset({*table.nicknames_of(first), *table.canonicals_of(first)} - {first})


@cache
def _is_given_name(word: str) -> bool:
    table = _nicknamer()
    return bool(table.nicknames_of(word)) or bool(table.canonicals_of(word))


@cache
def _diminutives(first: str) -> frozenset[str]:
    """Forms that English makes of any name: Zachary, Zach, Zachy; Gabrielle, Gabby; Alexander,
    Xander."""
    made = {first[-length:] for length in (4, 5, 6) if len(first) - length >= 2}
    for length in (3, 4):
        stem = first[:length]
        if len(first) - length >= 1 and len(first) >= 5 and stem[-1] not in _VOWELS:
            made |= {stem, stem + "y", stem + "ie", stem + stem[-1] + "y", stem + stem[-1] + "ie"}
    return frozenset(made - {first})


def _slips(word: str, count: int) -> frozenset[str]:
    """``word`` with up to ``count`` letters left out. Two words that share one of these are at most
    ``count`` slips apart on either side; the true distance is measured afterwards."""
    found = {word}
    edge = {word}
    for _ in range(count):
        edge = {item[:place] + item[place + 1 :] for item in edge for place in range(len(item))}
        found |= edge
    return frozenset(found)


def _distance(one: str, two: str) -> int:
    """Letters left out, added, exchanged, or swapped with their neighbor (optimal alignment)."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == two[j - 2] and one[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _most_slips(word: str) -> int:
    return 2 if len(word) >= _TWO_SLIPS_FROM else 1


class _Forms:
    """What to look for in one note: each form with the people it stands for and the rule."""

    def __init__(self, patient: Named, others: Iterable[Named], staff: Iterable[Named]) -> None:
        self.exact: dict[str, list[tuple[int, NamingRule]]] = defaultdict(list)
        self.derived: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()
        self._slipped: dict[str, set[str]] = defaultdict(set)
        own: set[str] = set()
        own_pairs: set[tuple[str, str]] = set()
        for person in (patient, *staff):
            firsts, lasts = _parts(person.first_name), _parts(person.last_name)
            own |= {*firsts, *lasts, *(nick for first in firsts for nick in _nicknames(first))}
            own |= {form for first in firsts for form in _diminutives(first)}
            own_pairs |= {(first[0], last[0]) for first in firsts for last in lasts}
        self._own_long = [form for form in own if len(form) >= _SHORTEST_MISSPELLED]
        for number, other in enumerate(others):
            firsts, lasts = _parts(other.first_name), _parts(other.last_name)
            self._add(number, "first_name", firsts, own)
            self._add(number, "last_name", lasts, own)
            nicks = {nick for first in firsts for nick in _nicknames(first)}
            self._add(number, "nickname", nicks, own)
            made = {form for first in firsts for form in _diminutives(first)} - own - {*self.exact}
            self._add(number, "nickname", made, own)
            self.derived |= made
            for name in (*firsts, *lasts):
                if len(name) >= _SHORTEST_MISSPELLED and name not in own:
                    for slip in _slips(name, _most_slips(name)):
                        self._slipped[slip].add(name)
            self.pairs |= {
                pair for first in firsts for last in lasts
                if (pair := (first[0], last[0])) not in own_pairs
            }  # fmt: skip

    def _add(self, number: int, rule: NamingRule, forms: Iterable[str], own: set[str]) -> None:
        for form in forms:
            if len(form) > 1 and form not in own:
                self.exact[form].append((number, rule))

    def misspelled(self, word: str) -> bool:
        """True when ``word`` is a slip or two away from a name, and farther from the patient's."""
        if len(word) < _SHORTEST_MISSPELLED - 1:
            return False
        near = {
            name for slip in _slips(word, _most_slips(word)) for name in self._slipped.get(slip, ())
        }
        least = min(
            (distance for name in near if (distance := _distance(word, name)) <= _most_slips(name)),
            default=None,
        )
        return least is not None and all(_distance(word, own) > least for own in self._own_long)


# --- reading a text

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_DOTTED = re.compile(r"(?<![\w.])([A-Za-z])\.\s?([A-Z]|(?<=\.)[a-z])\.(?![A-Za-z]\.)")
_SENTENCE_END = re.compile(r"[.!?:;•\n]|(?:^|\s)[-–]\s")
_POSSESSIVE = re.compile(r"'s?$")


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    text: str
    folded: str
    owns: bool
    begins: bool
    """Nothing but the start of a sentence stands before it."""
    joined: bool
    """Only blanks between it and the word before."""

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


def _words(text: str) -> list[_Word]:
    folded = _folded(text)
    words: list[_Word] = []
    last_end = 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        form = folded[start:end]
        stripped = _POSSESSIVE.sub("", form)
        gap = text[last_end:start]
        # The point after a title or a single letter ends no sentence.
        abbreviated = bool(words) and (words[-1].folded in _TITLES or len(words[-1].text) == 1)
        begins = not words or bool(
            _SENTENCE_END.search(gap.replace(".", "", 1) if abbreviated else gap)
        )
        words.append(
            _Word(
                start,
                start + len(stripped),
                text[start : start + len(stripped)],
                stripped.replace("'", "").replace("-", ""),
                stripped != form,
                begins,
                not gap.strip(),
            )
        )
        last_end = end
    return words


def _found(text: str, forms: _Forms) -> list[tuple[int, int, NamingRule]]:
    words = _words(text)
    found: list[tuple[int, int, NamingRule]] = []
    whose: list[set[int]] = []
    for place, word in enumerate(words):
        match = _matched(words, place, forms)
        if match is None:
            continue
        rule, people = match
        # First and last name side by side, in either order, are one mention.
        if (
            found
            and words[place - 1].end == found[-1][1]
            and people & whose[-1]
            and text[found[-1][1] : word.start].strip(" ,") == ""
        ):
            found[-1] = (found[-1][0], word.end, "full_name")
            whose[-1] &= people
            continue
        found.append((word.start, word.end, rule))
        whose.append(people)
    return [*found, *_initials(text, words, forms)]


def _matched(words: list[_Word], place: int, forms: _Forms) -> tuple[NamingRule, set[int]] | None:
    word = words[place]
    if word.folded in forms.exact:
        entries = forms.exact[word.folded]
        rule = entries[0][1]
        people = {number for number, _ in entries}
        return (rule, people) if _means_a_person(words, place, rule, forms) else None
    for part in word.folded.split() if "-" not in word.text else _folded(word.text).split("-"):
        if part != word.folded and part in forms.exact and word.capital:
            entries = forms.exact[part]
            return entries[0][1], {number for number, _ in entries}
    if _could_be_misspelled(words, place) and forms.misspelled(word.folded):
        return "misspelled_name", set()
    return None


def _means_a_person(words: list[_Word], place: int, rule: NamingRule, forms: _Forms) -> bool:
    word = words[place]
    form = word.folded
    after = _after(words, place)
    if after is not None and after.capital and after.folded in _INSTRUMENTS:
        return False
    named_with = _beside_own_name(words, place, forms)
    ambiguous = (
        form in _WORDS
        or form in _MONTHS
        or form in _SEASONS
        or form in _PLACES
        or form in forms.derived
        or len(form) <= 2
    )
    if not ambiguous:
        # A name that is no word is one in any case of letters; a surname may be a trade.
        return word.capital or rule != "last_name" or len(form) >= 6 or _in_company(words, place)
    if not word.capital:
        return False
    if named_with:
        return True
    if after is not None and after.capital and after.folded not in _SPEAKS:
        return False  # Chase Bank, Virginia Beach, Hope House
    if word.text.isupper() and len(word.text) > 1 and after is not None and after.text.isupper():
        return False  # a heading
    if word.begins:
        # Banks refuse and wards admit: nobody is called by a bare surname that is a word.
        return rule != "last_name" and _begins_as_a_person(words, place)
    if form in _MONTHS and _in_a_month(words, place):
        return False
    if form in _PLACES and _at_a_place(words, place):
        return False
    return not (form in _SEASONS and _in_a_month(words, place))


def _after(words: list[_Word], place: int) -> _Word | None:
    """The next word of the same phrase."""
    if place + 1 < len(words) and words[place + 1].joined and not words[place].owns:
        return words[place + 1]
    return None


def _beside_own_name(words: list[_Word], place: int, forms: _Forms) -> bool:
    """First and last name of one person stand together, whatever each alone might mean."""
    people = {number for number, _ in forms.exact[words[place].folded]}
    for near in (place - 1, place + 1):
        if 0 <= near < len(words) and not words[max(near, place)].begins:
            other = words[near]
            if other.capital and other.folded != words[place].folded:
                shared = {number for number, _ in forms.exact.get(other.folded, ())}
                if shared & people and (other.joined or near == place + 1 or near == place - 1):
                    return True
    return False


def _begins_as_a_person(words: list[_Word], place: int) -> bool:
    if words[place].owns:
        return words[place].folded not in _MONTHS | _SEASONS | _PLACES
    after = _after(words, place)
    if after is None or after.capital:
        return False
    if after.folded in _SPEAKS_OF_A_WORD:
        return True
    further = _after(words, place + 1)
    if after.folded == "and" and further is not None:
        return further.folded in ("this", "the", "patient", "client", "i", "she", "he") or (
            further.capital
        )
    if after.folded in ("was", "is", "became", "seemed", "appeared", "looked", "felt"):
        return further is not None and further.folded in _OF_STATE
    return False


def _before(words: list[_Word], place: int, back: int = 1) -> str:
    for step in range(back):
        if place - step <= 0 or words[place - step].begins:
            return ""
    return words[place - back].folded


def _in_a_month(words: list[_Word], place: int) -> bool:
    after = _after(words, place)
    if after is not None and after.folded in _SPEAKS_OF_A_WORD:
        return False
    before, earlier = _before(words, place), _before(words, place, 2)
    if before not in _IN_TIME:
        return False
    if before == "from":
        return earlier not in _FROM_A_PERSON or (
            after is not None and after.folded in ("to", "through", "until", "on")
        )
    return not (before in ("by", "for", "of") and (words[place].owns or earlier in _FROM_A_PERSON))


def _at_a_place(words: list[_Word], place: int) -> bool:
    after = _after(words, place)
    if words[place].owns or (after is not None and after.folded in _SPEAKS_OF_A_WORD):
        return False
    before, earlier = _before(words, place), _before(words, place, 2)
    if before in ("to", "toward", "towards"):
        return earlier not in _TOWARD_A_PERSON
    if before == "from":
        return earlier not in _FROM_A_PERSON
    return before in _TO_A_PLACE


def _in_company(words: list[_Word], place: int) -> bool:
    """The words around speak of a person, even where the name is written small."""
    after = _after(words, place)
    return (
        words[place].owns
        or _before(words, place) in _TO_A_PERSON
        or (after is not None and after.folded in _SPEAKS)
    )


def _could_be_misspelled(words: list[_Word], place: int) -> bool:
    word = words[place]
    form = word.folded
    if form in _WELL_SPELLED:
        return False
    if _is_given_name(form):
        return False  # somebody else's name, spelled as it should be
    after = _after(words, place)
    if not word.capital:
        return _before(words, place) in _TO_A_PERSON or (
            after is not None and after.folded in _SPEAKS_OF_A_WORD and word.begins
        )
    if after is not None and after.capital and after.folded in _INSTRUMENTS:
        return False
    if word.begins:
        return word.owns or (
            after is not None and (after.folded in _SPEAKS or after.folded == "and")
        )
    return True


def _initials(text: str, words: list[_Word], forms: _Forms) -> list[tuple[int, int, NamingRule]]:
    found: list[tuple[int, int, NamingRule]] = []
    by_start = {word.start: place for place, word in enumerate(words)}
    for match in _DOTTED.finditer(text):
        first, second = match.groups()
        if (first.lower(), second.lower()) not in forms.pairs or not first.isupper():
            continue
        place = by_start.get(match.start())
        known = first + second.upper() in _DOTTED_ABBREVIATIONS
        owns = text[match.end() : match.end() + 2] in ("'s", "’s")
        if place is None or (
            known and not owns and not _initials_in_company(words, place, place + 1)
        ):
            continue
        found.append((match.start(), match.end(), "initials"))
    for place, word in enumerate(words):
        if len(word.text) == 2 and word.text.isupper() and tuple(word.folded) in forms.pairs:
            shouted = any(
                0 <= near < len(words) and words[near].text.isupper() and len(words[near].text) > 2
                for near in (place - 1, place + 1)
            )
            if not shouted and (
                word.text not in _ABBREVIATIONS or _initials_in_company(words, place, place)
            ):
                found.append((word.start, word.end, "initials"))
    return found


def _initials_in_company(words: list[_Word], first: int, last: int) -> bool:
    if last >= len(words):
        return False
    after = words[last + 1] if last + 1 < len(words) else None
    return (
        words[last].owns
        or _before(words, first) in _TO_A_PERSON
        or (_before(words, first) == "with" and (after is None or not after.capital))
        or (after is not None and not after.capital and after.folded in _SPEAKS_OF_A_WORD)
    )
