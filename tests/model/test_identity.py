import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.model.identity import (
    VERSION_LETTERS,
    claim_number,
    control_number,
    opaque_id,
    split_control_number,
    valid_npi,
)

KEY = bytes(32)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TEXTS = st.text(max_size=12)
CLAIMS = st.builds(claim_number, st.just(KEY), TEXTS, TEXTS, TEXTS)
VERSIONS = st.integers(min_value=1, max_value=26)


@given(CLAIMS, VERSIONS)
def test_control_number_round_trip(claim: str, version: int) -> None:
    control = control_number(claim, version)
    assert split_control_number(control) == (claim, version)
    assert len(control) == 14


@given(CLAIMS, VERSIONS, st.data())
def test_one_wrong_character_is_noticed(claim: str, version: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(claim) - 1))
    wrong = data.draw(st.sampled_from(string.ascii_letters + string.digits + " -"))
    if wrong != claim[place]:
        changed = claim[:place] + wrong + claim[place + 1 :]
        assert split_control_number(control_number(changed, version)) is None


@given(CLAIMS, VERSIONS, st.data())
def test_swapped_neighbours_are_noticed(claim: str, version: int, data: st.DataObject) -> None:
    control = control_number(claim, version)
    place = data.draw(st.integers(min_value=0, max_value=len(control) - 2))
    swapped = control[:place] + control[place + 1] + control[place] + control[place + 2 :]
    if swapped != control:
        assert split_control_number(swapped) is None


def test_every_pair_of_swapped_neighbours_is_noticed_at_every_place() -> None:
    """Also 0 and Z, the first and the last of the alphabet, which Luhn's algorithm confuses."""
    base = claim_number(KEY, "practice", "session", "patient")
    for place, (one, other) in itertools.product(range(2, 11), itertools.combinations(ALPHABET, 2)):
        found = {
            check
            for first, second in ((one, other), (other, one))
            for check in ALPHABET
            if split_control_number(f"{base[:place]}{first}{second}{base[place + 2 : -1]}{check}A")
        }
        assert len(found) == 2, f"{one} and {other} at {place} have the same check character"


@pytest.mark.parametrize(
    "control", ["", "A", "GC", "GCA", "GC00000000000", "XC00000000000A", "GC00000000000a", "gc" * 7]
)
def test_foreign_control_numbers_are_not_ours(control: str) -> None:
    assert split_control_number(control) is None


@given(st.text(max_size=20))
def test_any_text_is_answered(control: str) -> None:
    found = split_control_number(control)
    assert found is None or control_number(*found) == control


@pytest.mark.parametrize("version", [0, 27, -1])
def test_versions_are_bounded_by_their_letters(version: int) -> None:
    with pytest.raises(ValueError, match="1 to 26 versions"):
        control_number(claim_number(KEY, "a", "b", "c"), version)


def test_the_same_session_file_gives_the_same_numbers() -> None:
    one = claim_number(KEY, "practice", "s1", "p1")
    assert one == claim_number(KEY, "practice", "s1", "p1") == "GC" + one[2:]
    others = {
        claim_number(bytes(31) + b"x", "practice", "s1", "p1"),
        claim_number(KEY, "other", "s1", "p1"),
        claim_number(KEY, "practice", "s2", "p1"),
        claim_number(KEY, "practice", "s1", "p2"),
    }
    assert len(others | {one}) == 5
    assert all(set(number[2:]) <= set(ALPHABET) for number in others)


def test_opaque_ids_tell_nothing_of_the_reference() -> None:
    ids = {
        opaque_id(KEY, "patient", "Testa Invented"),
        opaque_id(KEY, "session", "Testa Invented"),
        opaque_id(KEY, "patient", "Sam Placeholder"),
        opaque_id(bytes(31) + b"x", "patient", "Testa Invented"),
    }
    assert len(ids) == 4
    for opaque in ids:
        assert len(opaque) == 17
        assert opaque[0] in "ps"
        assert set(opaque[1:]) <= set(string.ascii_lowercase + "234567")


def test_version_letters_are_one_each() -> None:
    assert len(set(VERSION_LETTERS)) == 26


def test_npi_check_digit() -> None:
    """1234567893 is the example of the identifier's standard (45 CFR 162.406, check digit)."""
    assert valid_npi("1234567893")
    assert [valid_npi(f"123456789{digit}") for digit in range(10)].count(True) == 1


@pytest.mark.parametrize("npi", ["", "123456789", "12345678930", "123456789X", "١٢٣٤٥٦٧٨٩٣"])
def test_what_is_not_ten_digits_is_no_npi(npi: str) -> None:
    assert not valid_npi(npi)


@given(st.integers(min_value=0, max_value=9), st.integers(min_value=0, max_value=9))
def test_one_wrong_digit_of_an_npi_is_noticed(place: int, digit: int) -> None:
    npi = "1234567893"
    changed = f"{npi[:place]}{digit}{npi[place + 1 :]}"
    assert valid_npi(changed) == (changed == npi)
