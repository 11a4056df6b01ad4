"""Keys, and what is done with them: encrypted fields, blind indexes, opaque ids.

One 32-byte master key per key id; every use has its own key, derived by HKDF (RFC 5869). Rotation
adds a master key and makes it current: new values are encrypted under it, old ones stay readable.
Opaque ids, claim numbers and blind indexes must not change when keys rotate, so they come from the
first key for good.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from groupclaim.model.identity import claim_number, opaque_id

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = 1


class KeyringRefused(ValueError):
    """The key file cannot be used. The text never holds key material."""


class Undecipherable(Exception):
    """A stored value cannot be read: its key is missing, or it was changed or moved."""


class Keyring:
    """The practice's keys. Whoever holds them can read everything; the database alone cannot."""

    def __init__(self, keys: Mapping[str, bytes], current: str, identity: str) -> None:
        for key_id, key in keys.items():
            if len(key) != _KEY_BYTES:
                raise KeyringRefused(f"key {key_id}: not {_KEY_BYTES} bytes")
            if not 0 < len(key_id.encode()) < 256:
                raise KeyringRefused("a key id has 1 to 255 bytes")
        for role, key_id in (("current", current), ("identity", identity)):
            if key_id not in keys:
                raise KeyringRefused(f"{role}: names a key that is not in the file")
        self._keys = dict(keys)
        self.current = current
        self._identity = identity
        self.derived = lru_cache(maxsize=None)(self._derive)
        self.fields = FieldCipher(self)
        self.identity_key = self.derived("identity", identity)

    @classmethod
    def generate(cls) -> Keyring:
        """A new keyring with one random key."""
        key_id = _new_key_id()
        return cls({key_id: secrets.token_bytes(_KEY_BYTES)}, key_id, key_id)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read a key file; refuses one that others on this machine may read. Its group may: so do
        containers mount secrets."""
        if path.stat().st_mode & 0o037:
            raise KeyringRefused("the key file is open to others: its mode must be 0600 or 0440")
        try:
            content = json.loads(path.read_bytes())
            return cls(
                {key_id: bytes.fromhex(key) for key_id, key in content["keys"].items()},
                content["current"],
                content["identity"],
            )
        except KeyringRefused:
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyringRefused(
                'not a key file: {"current": id, "identity": id, "keys": {id: hex}}'
            ) from None

    @classmethod
    def load_or_generate(cls, path: Path) -> Keyring:
        """The keyring of ``path``; a new one is written there when there is none.

        Safe when several processes start at once: the first to create the file wins.
        """
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            cls.generate().save(draft)
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Write the key file whole or not at all, readable by its owner only."""
        content = {
            "current": self.current,
            "identity": self._identity,
            "keys": {key_id: key.hex() for key_id, key in self._keys.items()},
        }
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.draft")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)

    def rotated(self) -> Keyring:
        """This keyring with a new current key; everything written so far stays readable."""
        key_id = _new_key_id()
        return Keyring(
            {**self._keys, key_id: secrets.token_bytes(_KEY_BYTES)}, key_id, self._identity
        )

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def _derive(self, purpose: str, key_id: str) -> bytes:
        """The 32-byte key of one purpose (``field``, ``blind``, ``audit``, ``payload`` ...)."""
        if key_id not in self._keys:
            raise Undecipherable(f"key {key_id} is not in the keyring")
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"groupclaim {purpose}".encode()).derive(
            self._keys[key_id]
        )

    def blind_index(self, column: str, value: str) -> str:
        """What stands beside an encrypted ``column`` so that equal values are found."""
        key = self.derived("blind", self._identity)
        return hmac.new(key, f"{column}|{value}".encode(), sha256).hexdigest()

    # --- opaque ids: the practice's own ids never leave the store

    def opaque(self, kind: str, reference: str) -> str:
        return opaque_id(self.identity_key, kind, reference)

    def session_id(self, reference: str) -> str:
        return self.opaque("session", reference)

    def patient_id(self, reference: str) -> str:
        return self.opaque("patient", reference)

    def payer_key(self, reference: str) -> str:
        return self.opaque("payer", reference)

    def connection_id(self, reference: str) -> str:
        return self.opaque("connection", reference)

    def claim_number(self, practice_id: str, session_id: str, patient_id: str) -> str:
        return claim_number(self.identity_key, practice_id, session_id, patient_id)


class FieldCipher:
    """AES-256-GCM for single fields. ``column`` (``table.column``) is bound into each value, so one
    copied into another column does not decrypt. The value begins with the id of its key."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, column: str, value: bytes) -> bytes:
        key_id = self._keyring.current.encode()
        header = bytes([_FORMAT, len(key_id)]) + key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._keyring.derived("field", self._keyring.current))
        return header + nonce + cipher.encrypt(nonce, value, header + column.encode())

    def open(self, column: str, stored: bytes) -> bytes:
        """The value of ``column``; :class:`Undecipherable` when changed, moved or keyless."""
        if len(stored) < 2 or stored[0] != _FORMAT:
            raise Undecipherable(f"{column}: not an encrypted value")
        start = 2 + stored[1]
        header, rest = stored[:start], stored[start:]
        try:
            cipher = AESGCM(self._keyring.derived("field", header[2:].decode()))
            return cipher.decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + column.encode()
            )
        except (InvalidTag, ValueError):
            raise Undecipherable(f"{column}: changed, or not of this column") from None

    def key_id(self, stored: bytes) -> str:
        """Under which key a stored value is encrypted."""
        return stored[2 : 2 + stored[1]].decode()


def _new_key_id() -> str:
    return f"k{secrets.token_hex(4)}"
