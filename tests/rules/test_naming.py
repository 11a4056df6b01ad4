"""Single cases at the edges; how often all of it is right is measured in ``test_corpus``."""

from __future__ import annotations

from random import Random

import pytest

from groupclaim.rules.naming import members_named
from tests.rules.corpus import Person
from tests.rules.test_corpus import Called


def found(text: str, *others: str, patient: str = "Osvaldo Quimby") -> list[tuple[str, str]]:
    """What is found in ``text``, with the rule; people are written ``First Last``."""
    mentions = members_named(
        {"progress": text},
        Called(Person(*patient.split(" ", 1))),
        [Called(Person(*name.split(" ", 1))) for name in others],
        [Called(Person("Thespia", "Concocted"))],
    )
    return [(text[item.start : item.end], item.rule) for item in mentions]


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("Spoke to Roberta Invented.", "Roberta Invented", [("Roberta Invented", "full_name")]),
        ("Thanked Invented, Roberta.", "Roberta Invented", [("Invented, Roberta", "full_name")]),
        ("Thanked ROBERTA.", "Roberta Invented", [("ROBERTA", "first_name")]),
        ("roberta's story", "Roberta Invented", [("roberta", "first_name")]),
        ("Heard Mr. Placeholder.", "Sam Placeholder", [("Placeholder", "last_name")]),
        ("Heard José.", "Jose Placeholder", [("José", "first_name")]),
        ("Heard Jose.", "José Placeholder", [("Jose", "first_name")]),
        ("Told O’Malley so.", "Sam O'Malley", [("O’Malley", "last_name")]),
        ("Told Smythe so.", "Sam Smythe-Jonas", [("Smythe", "last_name")]),
        ("Told Smythe-Jonas so.", "Sam Smythe-Jonas", [("Smythe-Jonas", "last_name")]),
        ("Told Bob so.", "Robert Placeholder", [("Bob", "nickname")]),
        ("Told Robert so.", "Bob Placeholder", [("Robert", "nickname")]),
        ("Told Zachy so.", "Zachary Placeholder", [("Zachy", "nickname")]),
        ("Told R.P. so.", "Robert Placeholder", [("R.P.", "initials")]),
        ("Told R. P. so.", "Robert Placeholder", [("R. P.", "initials")]),
        ("Told RX so.", "Robert Xylander", [("RX", "initials")]),
        ("The RX was renewed.", "Robert Xylander", []),
        ("Seen at 5 P.M. on Monday.", "Paula Moreno", []),
        ("Told Jenifer so.", "Jennifer Placeholder", [("Jenifer", "misspelled_name")]),
        ("Told Jennifre so.", "Jennifer Placeholder", [("Jennifre", "misspelled_name")]),
        ("Told Plcaehodler so.", "Sam Placeholder", [("Plcaehodler", "misspelled_name")]),
        ("Told Plcaehodlre so.", "Sam Placeholder", []),  # three slips
        ("Fears that the brain is ill.", "Brian Placeholder", []),
        ("Mania was denied.", "Maria Placeholder", []),
    ],
)
def test_the_forms_of_a_name(text: str, other: str, expected: list[tuple[str, str]]) -> None:
    assert found(text, other) == expected


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("Grace said that it helps.", "Grace", True),
        ("Sat with Grace again.", "Grace", True),
        ("Asks for grace.", "Grace", False),
        ("Grace under pressure is the aim.", "Grace", False),
        ("Joined Grace Church.", "Grace", False),
        ("Will said no.", "Will", True),
        ("Will practice daily.", "Will", False),
        ("The will to go on.", "Will", False),
        ("Hope's story moved the room.", "Hope", True),
        ("Hope was tearful.", "Hope", True),
        ("Hope was rated four.", "Hope", False),
        ("May and this patient spoke.", "May", True),
        ("Back at work since May.", "May", False),
        ("May 12 is the review.", "May", False),
        ("Took a suggestion from May about sleep.", "May", True),
        ("Drove to Austin.", "Austin", False),
        ("Listened to Austin closely.", "Austin", True),
        ("GRACE SCALE: 7", "Grace", False),
    ],
)
def test_a_word_that_is_a_name_needs_company(text: str, name: str, meant: bool) -> None:
    assert bool(found(text, f"{name} Placeholder")) == meant


def test_a_surname_that_is_a_word() -> None:
    assert found("Beck Depression Inventory: 12.", "Sam Beck") == []
    assert found("Young Mania Rating Scale: 6.", "Sam Young") == []
    assert found("Told Sam Young so.", "Sam Young") == [("Sam Young", "full_name")]
    assert found("Was young and alone.", "Sam Young") == []


def test_the_patient_and_the_clinician_may_be_named() -> None:
    assert found("Robert said so; Bob agreed.", "Robert Other", patient="Robert Own") == []
    assert found("R.O. said so.", "Rita Other", patient="Robert Own") == []
    assert found("Mr. Other said so.", "Robert Other", patient="Robert Own") != []
    assert found("Thespia Concocted led.", "Thespia Other") == []


def test_whoever_sits_where_the_same_is_found() -> None:
    names = ["Robert Placeholder", "Grace Invented", "Jennifer Imaginary", "Bobby Unreal"]
    text = "Bob spoke; Grace said no; jenifer? Jenifer cried. R.P. left with Placeholder."
    first = found(text, *names)
    assert first
    for seed in range(20):
        shuffled = names[:]
        Random(seed).shuffle(shuffled)
        assert found(text, *shuffled) == first


def test_places_are_those_of_the_field() -> None:
    mentions = members_named(
        {"topic": "", "progress": "éé Roberta"},
        Called(Person("Osvaldo", "Quimby")),
        [Called(Person("Roberta", "Invented"))],
    )
    assert [(item.field, item.start, item.end) for item in mentions] == [("progress", 3, 10)]
