"""Encryption of all that Temporal keeps for us: inputs, results, signals, failures, summaries.

AES-256-GCM with a key id on each payload, so that keys can be changed while workflows run: new
payloads use the current key, old ones name theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

_ENCODING = b"binary/encrypted"
_NONCE_BYTES = 12


class UnknownKeyError(RuntimeError):
    """A payload names a key that this process does not hold; the key's id is told, nothing else."""


@dataclass(frozen=True)
class EncryptingCodec(PayloadCodec):
    """``keys`` by id, each 32 bytes; ``current`` is the id that new payloads are written under."""

    keys: Mapping[str, bytes]
    current: str

    async def encode(self, payloads: Iterable[Payload]) -> list[Payload]:
        cipher = AESGCM(self.keys[self.current])
        return [self._encrypted(cipher, payload) for payload in payloads]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, cipher: AESGCM, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        return Payload(
            metadata={"encoding": _ENCODING, "encryption-key-id": self.current.encode()},
            data=nonce + cipher.encrypt(nonce, payload.SerializeToString(), None),
        )

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            return payload
        key_id = payload.metadata["encryption-key-id"].decode()
        if key_id not in self.keys:
            raise UnknownKeyError(f"no payload key {key_id!r}: add it to the key file and restart")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(AESGCM(self.keys[key_id]).decrypt(nonce, sealed, None))
        except InvalidTag:
            raise UnknownKeyError(f"payload key {key_id!r} is not the one it was") from None


class SharedConverter(CompositePayloadConverter):
    """Records to JSON and back. Each workflow has a converter of its own: how a type is read is
    worked out and kept once for all of them."""

    _ENCODINGS = tuple(PydanticPayloadConverter().converters.values())

    def __init__(self) -> None:
        super().__init__(*self._ENCODINGS)


def data_converter(keys: Mapping[str, bytes], current: str) -> DataConverter:
    """Pydantic records in, encrypted payloads out; messages of failures are encrypted too."""
    return DataConverter(
        payload_converter_class=SharedConverter,
        payload_codec=EncryptingCodec(keys, current),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
