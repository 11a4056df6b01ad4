"""Numbers that name things: claim numbers, opaque ids, National Provider Identifiers.

Ids that leave the store (workflow ids, URLs, logs) are keyed hashes of the practice's own ids: the
same input always gives the same id, and nobody without the key can tell whose it is.
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import Annotated

from pydantic import AfterValidator

_CLAIM_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_CLAIM_DIGITS = 10
VERSION_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def opaque_id(key: bytes, kind: str, reference: str) -> str:
    """The opaque id of the practice's own ``reference``: one letter for the kind, then 16."""
    digest = hmac.new(key, f"{kind}|{reference}".encode(), sha256).digest()
    return kind[0] + base64.b32encode(digest).decode().rstrip("=").lower()[:16]


def claim_number(key: bytes, practice_id: str, session_id: str, patient_id: str) -> str:
    """The number of one participant's claim: ``GC``, ten characters, one check character.

    Keyed, so the same session file gives the same number and starts nothing twice; 50 bits, so the
    store's unique constraint on it is a guard, not an expectation. CLM01 carries it with a version
    letter (14 characters; the implementation guide allows 20).
    """
    message = f"claim|{practice_id}|{session_id}|{patient_id}".encode()
    value = int.from_bytes(hmac.new(key, message, sha256).digest()[:8], "big")
    digits = ""
    for _ in range(_CLAIM_DIGITS):
        value, digit = divmod(value, 32)
        digits += _CLAIM_ALPHABET[digit]
    return f"GC{digits}{_check_character(digits)}"


def _check_character(digits: str) -> str:
    """The character that makes the number, as a polynomial over GF(32), zero at x.

    The field's modulus is x^5 + x^2 + 1, in which the first 31 powers of x differ: any one wrong
    and any two swapped characters are noticed. (Luhn's algorithm would overlook a swapped 0 and Z.)
    """
    total = 0
    for character in digits:
        total = _times_x(total) ^ _CLAIM_ALPHABET.index(character)
    return _CLAIM_ALPHABET[_times_x(total)]


def _times_x(element: int) -> int:
    return (element << 1) ^ 0b100101 if element & 0b10000 else element << 1


def control_number(claim: str, version: int) -> str:
    """CLM01 of the claim's ``version`` (1 is ``A``): unique for each thing ever sent."""
    if not 1 <= version <= len(VERSION_LETTERS):
        raise ValueError(f"a claim has 1 to {len(VERSION_LETTERS)} versions")
    return claim + VERSION_LETTERS[version - 1]


def split_control_number(control: str) -> tuple[str, int] | None:
    """Claim number and version of a CLM01 of ours; None when it is not one."""
    claim, letter = control[:-1], control[-1:]
    digits = claim[2:-1]
    if (
        not claim.startswith("GC")
        or len(digits) != _CLAIM_DIGITS
        or any(character not in _CLAIM_ALPHABET for character in claim[2:])
        or _check_character(digits) != claim[-1]
        or letter not in VERSION_LETTERS
    ):
        return None
    return claim, VERSION_LETTERS.index(letter) + 1


def valid_npi(npi: str) -> bool:
    """True for ten digits whose Luhn check over ``80840`` + NPI holds (45 CFR 162.406)."""
    if len(npi) != 10 or not npi.isascii() or not npi.isdigit():
        return False
    total = 0
    for place, character in enumerate(reversed("80840" + npi)):
        digit = int(character) * (2 if place % 2 else 1)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def _checked_npi(npi: str) -> str:
    if not valid_npi(npi):
        raise ValueError("not a National Provider Identifier: ten digits with a valid check digit")
    return npi


Npi = Annotated[str, AfterValidator(_checked_npi)]
