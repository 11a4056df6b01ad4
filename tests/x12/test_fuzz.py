"""Whatever comes in, readers answer with records and problems: no exception, no endless work.

The long run over 200,000 inputs is `make fuzz`.
"""

from random import Random
from time import thread_time

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from groupclaim import x12
from tests.faults.extent import whole
from tests.x12.fuzz import CRASHERS, LONGEST_SECONDS, damaged, try_all, try_one

MOST_SECONDS = 4.0
"""For all that can be done with one input, the check's maps loaded once among it."""

randoms = st.integers(0, 2**32).map(Random)


@settings(max_examples=100, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(randoms.map(damaged))
def test_damaged_files(data):
    begun = thread_time()
    try_all(data)
    assert thread_time() - begun < MOST_SECONDS


@settings(max_examples=100)
@given(st.binary(max_size=400))
@example(b"ISA")
@example(b"ISA" + b"*" * 500)
@example(b"ISA*" * 200)
@example(b"IEA*~" * 50)
@example(b"ST~" * 50)
def test_garbage(data):
    begun = thread_time()
    try_all(data)
    assert x12.check_outbound(data)
    assert thread_time() - begun < MOST_SECONDS


def test_the_long_run_in_short(record_property):
    """Of `make fuzz`, which takes ten times as many again."""
    random = Random(0)
    tries = 20_000 if whole() else 600
    slowest = 0.0
    for turn in range(tries):
        data, begun = damaged(random), thread_time()
        try_one(data, turn)
        slowest = max(slowest, thread_time() - begun)
    record_property("tries", tries)
    assert slowest < LONGEST_SECONDS


@pytest.mark.parametrize("path", sorted(CRASHERS.iterdir()), ids=lambda path: path.name)
def test_what_once_broke_a_reader(path):
    try_all(path.read_bytes())
