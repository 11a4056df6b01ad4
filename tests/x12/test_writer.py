"""What is written is never a broken segment, and always the same for the same input."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.x12 import Delimiters, Envelope, Problems, X12WriteError, read_transactions
from groupclaim.x12.writer import Writer
from tests.x12.examples import AT, envelope


def written(*elements, delimiters=None) -> bytes:
    writer = Writer(envelope(), "HC", "005010X222A1", delimiters)
    writer.begin("837", 1, guide="005010X222A1")
    writer.add("NTE", *elements)
    writer.end()
    return writer.to_bytes()


def test_envelope_is_written_with_its_counts():
    assert written("ADD", "TEXT") == (
        b"ISA*00*          *00*          *ZZ*GROUPCLAIM01   *ZZ*CLEARINGHOUSE1 *260209*1700*^*00501"
        b"*000000001*0*T*:~GS*HC*GROUPCLAIM01*CLEARINGHOUSE1*20260209*1700*1*X*005010X222A1~"
        b"ST*837*0001*005010X222A1~NTE*ADD*TEXT~SE*3*0001~GE*1*1~IEA*1*000000001~"
    )


def test_several_transactions_are_counted():
    writer = Writer(envelope(), "HP", "005010X221A1")
    for number in (1, 2, 3):
        writer.begin("835", number)
        writer.add("BPR", "I", 5)
        writer.end()
    problems = Problems()
    found = list(read_transactions(writer.to_bytes(), problems))
    assert [t.control_number for t in found] == ["0001", "0002", "0003"]
    assert problems == []


def test_empty_elements_and_components_at_the_end_are_left_out():
    assert b"~NTE*A**B~" in written("A", None, "B", "", None)
    assert b"~NTE*A:B~" in written(("A", "B", "", ""))
    assert b"~NTE*A::B*1~" in written(("A", "", "B"), 1)
    assert b"~NTE~" in written("", None)


@pytest.mark.parametrize("bad", ["A*B", "A:B", "A~B", "A^B", "A\nB", "A\x00B", "É", "A\x7fB"])
def test_unwritable_value_is_refused_by_its_place(bad):
    with pytest.raises(X12WriteError) as caught:
        written("ADD", bad)
    assert caught.value.problems == ("NTE02 holds a separator or a character outside ASCII",)
    with pytest.raises(X12WriteError) as caught:
        written(("HC", bad), bad)
    assert [text.split()[0] for text in caught.value.problems] == ["NTE01-2", "NTE02"]


def test_other_delimiters_change_what_is_refused():
    delimiters = Delimiters("|", ">", "\n", "!")
    data = written("ADD", "A*B:C~D^E", delimiters=delimiters)
    assert b"\nNTE|ADD|A*B:C~D^E\n" in data
    with pytest.raises(X12WriteError):
        written("ADD", "A|B", delimiters=delimiters)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_a_value_never_breaks_its_segment(values):
    try:
        data = written(*values)
    except X12WriteError:
        return
    problems = Problems()
    ((segment,),) = [list(t) for t in read_transactions(data, problems)]
    assert problems == []
    assert [segment.get(n) for n in range(1, len(values) + 1)] == values


@pytest.mark.parametrize(
    ("field", "value"),
    [("sender_id", "A"), ("sender_id", "A" * 16), ("receiver_id", "A*B"), ("receiver_id", "ÉÉÉ"),
     ("receiver_id", " AB"), ("sender_qualifier", "Z"), ("receiver_qualifier", "Z*"),
     ("interchange_control_number", 0), ("group_control_number", 10**9)],
)  # fmt: skip
def test_envelope_refuses_what_does_not_fit(field, value):
    good = {
        "sender_id": "SENDER", "receiver_id": "RECEIVER", "interchange_control_number": 1,
        "group_control_number": 1, "at": AT, "test": False,
    }  # fmt: skip
    assert Envelope(**good).sender_qualifier == "ZZ"
    with pytest.raises(X12WriteError, match=field):
        Envelope(**{**good, field: value})


def test_envelope_names_all_that_is_wrong_at_once():
    with pytest.raises(X12WriteError) as caught:
        Envelope(
            sender_id="",
            receiver_id="",
            interchange_control_number=0,
            group_control_number=1,
            at=datetime(2026, 2, 9),  # noqa: DTZ001
            test=True,
        )
    assert len(caught.value.problems) == 3
