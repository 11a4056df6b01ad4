import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.model.session import ProgressNote
from groupclaim.rules.cloning import (
    IndividualSection,
    Sections,
    likeness,
    passages,
    shared_texts,
)

WORDS = [f"word{number}" for number in range(100)]


def section(text: str, *shared: str, names: tuple[str, ...] = ()) -> IndividualSection:
    return Sections(shared, names).of(ProgressNote(participation=text))


@pytest.mark.parametrize(
    ("changed", "alike", "band"),
    [(0, 1.0, "hold"), (10, 0.90, "hold"), (11, 0.89, "warn"), (25, 0.75, "warn"), (26, 0.0, "")],
)
def test_the_bands_of_a_hundred_words(changed: int, alike: float, band: str) -> None:
    other = [f"new{number}" for number in range(changed)] + WORDS[changed:]
    share = likeness(section(" ".join(WORDS)), section(" ".join(other)), 0.75)
    assert share == pytest.approx(alike)
    assert band == ("hold" if share >= 0.90 else "warn" if share >= 0.75 else "")


def test_order_of_sentences_names_and_pronouns_hide_nothing() -> None:
    one = section(
        "Roberta told the room of her move. She asked for help with the boxes and with the lease.",
        names=("Roberta",),
    )
    other = section(
        "He asked for help with the boxes and with the lease. Omar told the room of his move.",
        names=("Omar",),
    )
    assert likeness(one, other) == pytest.approx(1)


def test_the_same_words_in_no_order_are_no_copy() -> None:
    assert likeness(section(" ".join(WORDS)), section(" ".join(reversed(WORDS)))) < 0.75


def test_short_sections_count_only_when_they_are_the_same() -> None:
    short = "Listened and spoke twice about work."
    assert likeness(section(short), section(short.upper())) == 1
    assert likeness(section(short), section(short.replace("twice", "once"))) == 0
    twelve = " ".join(WORDS[:12])
    assert likeness(section(twelve), section(twelve.replace("word3", "other"))) > 0.90
    assert likeness(section(""), section("")) == 0


def test_what_the_session_shares_is_taken_out() -> None:
    summary = "We practiced saying no in pairs. Slow breathing."
    pasted = section(f"{summary} Spoke of the rent.", summary)
    assert pasted.words == ("spoke", "of", "the", "rent")
    assert pasted.shared_words == 8
    four = section("practiced saying no in the mirror", summary)
    assert four.shared_words == 0  # a run of four words in common is chance


def test_passages_give_places_not_words() -> None:
    text = "Quiet first. Then told of the rent and the letter, and left."
    other = section("Came late, then told of the rent and the letter.")
    (place,) = passages(section(text), other)
    start, end = map(int, place.removeprefix("participation[").rstrip("]").split(":"))
    assert text[start:end] == "Then told of the rent and the letter"


def test_summary_topic_and_intervention_are_shared() -> None:
    notes = [ProgressNote(topic="T", group_summary="S", intervention="I"), ProgressNote(topic="T")]
    assert shared_texts(notes) == ("S", "T", "I")


@given(st.lists(st.sampled_from(WORDS[:30])), st.lists(st.sampled_from(WORDS[:30])))
def test_likeness_is_symmetric_and_a_share(one: list[str], other: list[str]) -> None:
    first, second = section(" ".join(one)), section(" ".join(other))
    assert likeness(first, second) == likeness(second, first)
    assert 0 <= likeness(first, second) <= 1
    assert likeness(first, first) == (1 if one else 0)
