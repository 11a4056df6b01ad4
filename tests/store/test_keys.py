import json
import os
import stat
from pathlib import Path

import pytest

from groupclaim.store.keys import Keyring, KeyringRefused, Undecipherable

COLUMN = "patient.document"


def test_a_value_comes_back_only_in_its_own_column() -> None:
    cipher = Keyring.generate().fields
    stored = cipher.seal(COLUMN, b"Quillontine")
    assert b"Quillontine" not in stored
    assert cipher.open(COLUMN, stored) == b"Quillontine"
    with pytest.raises(Undecipherable, match=r"coverage\.document: changed, or not of this"):
        cipher.open("coverage.document", stored)


def test_equal_values_are_not_seen_to_be_equal() -> None:
    cipher = Keyring.generate().fields
    assert cipher.seal(COLUMN, b"same") != cipher.seal(COLUMN, b"same")


@pytest.mark.parametrize("place", [0, 1, 3, 14, -1])
def test_each_changed_byte_is_noticed(place: int) -> None:
    cipher = Keyring.generate().fields
    stored = bytearray(cipher.seal(COLUMN, b"Quillontine"))
    stored[place] ^= 1
    with pytest.raises(Undecipherable):
        cipher.open(COLUMN, bytes(stored))


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x01\x04k", b"plain text"])
def test_what_was_never_encrypted_is_refused(stored: bytes) -> None:
    with pytest.raises(Undecipherable):
        Keyring.generate().fields.open(COLUMN, stored)


def test_after_rotation_old_values_are_read_and_new_ones_use_the_new_key() -> None:
    before = Keyring.generate()
    old = before.fields.seal(COLUMN, b"old")
    after = before.rotated()
    new = after.fields.seal(COLUMN, b"new")
    assert after.fields.open(COLUMN, old) == b"old"
    assert after.fields.open(COLUMN, new) == b"new"
    assert after.fields.key_id(old) == before.current
    assert after.fields.key_id(new) == after.current != before.current
    with pytest.raises(Undecipherable, match="is not in the keyring"):
        before.fields.open(COLUMN, new)


def test_rotation_keeps_ids_claim_numbers_and_indexes() -> None:
    before = Keyring.generate()
    after = before.rotated().rotated()
    assert after.identity_key == before.identity_key
    assert after.patient_id("P01") == before.patient_id("P01")
    assert after.claim_number("x", "y", "z") == before.claim_number("x", "y", "z")
    assert after.blind_index("coverage.member_id", "A1") == before.blind_index(
        "coverage.member_id", "A1"
    )


def test_each_use_has_its_own_key() -> None:
    keyring = Keyring.generate()
    derived = [
        keyring.derived(purpose, keyring.current)
        for purpose in ("field", "blind", "identity", "audit", "payload")
    ]
    assert len(set(derived)) == 5
    assert {len(key) for key in derived} == {32}


def test_a_blind_index_belongs_to_its_column_and_keyring() -> None:
    keyring = Keyring.generate()
    index = keyring.blind_index("coverage.member_id", "A1")
    assert index != keyring.blind_index("patient.ref", "A1")
    assert index != Keyring.generate().blind_index("coverage.member_id", "A1")


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret" / "keys.json"
    made = Keyring.load_or_generate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # The folder of state, where the database comes to lie too: its ids count as protected.
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Keyring.load_or_generate(path).identity_key == made.identity_key
    assert os.listdir(path.parent) == ["keys.json"]


def test_a_rotated_keyring_is_saved_and_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    rotated = Keyring.load_or_generate(path).rotated()
    rotated.save(path)
    read = Keyring.load(path)
    assert (read.current, read.key_ids) == (rotated.current, rotated.key_ids)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    Keyring.load_or_generate(path)
    path.chmod(0o644)
    with pytest.raises(KeyringRefused, match="mode must be 0600 or 0440"):
        Keyring.load(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("not json", "not a key file"),
        ("[]", "not a key file"),
        (json.dumps({"current": "a", "keys": {"a": "00" * 32}}), "not a key file"),
        (json.dumps({"current": "a", "identity": "a", "keys": {"a": "00"}}), "not 32 bytes"),
        (
            json.dumps({"current": "b", "identity": "a", "keys": {"a": "00" * 32}}),
            "current: names a key that is not in the file",
        ),
    ],
)
def test_a_bad_key_file_is_refused_without_showing_keys(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "keys.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(KeyringRefused, match=reason) as refused:
        Keyring.load(path)
    assert "00" * 8 not in str(refused.value)
