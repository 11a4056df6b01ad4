"""Payloads are sealed, keys can be changed while workflows run, and a missing key says its id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState
from tests.lifecycle.telling import START
from worker.codec import EncryptingCodec, SharedConverter, UnknownKeyError, data_converter

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SECRET = b"Testa Invented"


@given(data=st.binary(max_size=300), key=st.text(max_size=10), value=st.binary(max_size=20))
async def test_round_trip(data: bytes, key: str, value: bytes) -> None:
    codec = EncryptingCodec({"k1": OLD}, "k1")
    payload = Payload(metadata={key: value}, data=data)
    (sealed,) = await codec.encode([payload])
    assert dict(sealed.metadata) == {
        "encoding": b"binary/encrypted",
        "encryption-key-id": b"k1",
    }
    assert await codec.decode([sealed]) == [payload]


async def test_nothing_of_the_payload_can_be_read_and_none_is_like_another() -> None:
    codec = EncryptingCodec({"k1": OLD}, "k1")
    payload = Payload(metadata={"encoding": b"json/plain"}, data=SECRET)
    one, other = await codec.encode([payload, payload])
    assert one.data != other.data
    assert SECRET not in one.SerializeToString()
    assert b"json" not in one.SerializeToString()


async def test_keys_are_changed_while_old_payloads_live() -> None:
    payload = Payload(data=SECRET)
    (before,) = await EncryptingCodec({"k1": OLD}, "k1").encode([payload])
    both = EncryptingCodec({"k1": OLD, "k2": NEW}, "k2")
    (after,) = await both.encode([payload])
    assert after.metadata["encryption-key-id"] == b"k2"
    assert await both.decode([before, after]) == [payload, payload]


async def test_an_unknown_key_is_named_by_its_id() -> None:
    (sealed,) = await EncryptingCodec({"k1": OLD}, "k1").encode([Payload(data=SECRET)])
    with pytest.raises(UnknownKeyError, match="no payload key 'k1'"):
        await EncryptingCodec({"k2": NEW}, "k2").decode([sealed])


async def test_another_key_under_the_same_id_is_noticed() -> None:
    (sealed,) = await EncryptingCodec({"k1": OLD}, "k1").encode([Payload(data=SECRET)])
    with pytest.raises(UnknownKeyError, match="'k1' is not the one it was"):
        await EncryptingCodec({"k1": NEW}, "k1").decode([sealed])


@given(place=st.integers(min_value=0, max_value=40), bit=st.integers(min_value=0, max_value=7))
async def test_a_changed_payload_is_noticed(place: int, bit: int) -> None:
    codec = EncryptingCodec({"k1": OLD}, "k1")
    (sealed,) = await codec.encode([Payload(data=SECRET)])
    changed = bytearray(sealed.data)
    changed[place % len(changed)] ^= 1 << bit
    sealed.data = bytes(changed)
    with pytest.raises(UnknownKeyError):
        await codec.decode([sealed])


async def test_a_payload_of_the_engine_itself_is_let_through() -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert await EncryptingCodec({"k1": OLD}, "k1").decode([plain]) == [plain]


async def test_records_keep_their_types() -> None:
    converter = data_converter({"k1": OLD}, "k1")
    state = ClaimState(claim_number="GC0000000000X", since=START, seen=("a",))
    event = events.HoldReleased(at=START, code="NO_RATE")
    sealed = await converter.encode([state, event])
    assert await converter.decode(sealed, [ClaimState, events.HoldReleased]) == [state, event]


async def test_an_error_is_sealed_too() -> None:
    converter = data_converter({"k1": OLD}, "k1")
    failure = Failure()
    try:
        raise ApplicationError(SECRET.decode(), SECRET.decode(), type="Invalid")
    except ApplicationError as error:
        await converter.encode_failure(error, failure)
    assert SECRET not in failure.SerializeToString()
    assert failure.message == "Encoded failure"
    assert failure.stack_trace == ""
    assert failure.application_failure_info.type == "Invalid"
    opened = await converter.decode_failure(failure)
    assert isinstance(opened, ApplicationError)
    assert opened.message == SECRET.decode()


def test_what_each_workflow_reads_with_is_there_once() -> None:
    converter = data_converter({"k1": OLD}, "k1")
    one, other = (converter.payload_converter_class() for _ in range(2))
    assert isinstance(one, SharedConverter)
    assert isinstance(other, SharedConverter)
    assert one is not other
    assert list(map(id, one.converters.values())) == list(map(id, other.converters.values()))
    state = ClaimState(claim_number="GC1")
    assert other.from_payloads(one.to_payloads([state]), [ClaimState]) == [state]
