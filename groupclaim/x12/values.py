"""The value types of X12 elements: amounts, dates, numbers, names; text in, Python out, and back.

Amounts are integer cents. Nothing here knows segments or transactions.
"""

import re
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

Quantity = int | Decimal
"""A quantity as X12 writes it: `int` when whole, otherwise an exact `Decimal`."""

LARGEST_CENTS = 10**15 - 1
"""Just under ten trillion dollars: the sum of nine thousand such amounts is still a signed 64-bit
integer of cents, which is what a database column holds."""

_DECIMAL = re.compile(r"-?(?:[0-9]{1,15}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})")
# The basic and extended character sets of X12.5 that every payer takes, without the delimiters.
_PLAIN = re.compile(r"[A-Z0-9.,'&-]+(?: [A-Z0-9.,'&-]+)*")
_UNWRITABLE = re.compile(r"[^A-Za-z0-9 !\"&'()+,\-./;?=%@\[\]_{}\\|<#$]")


@lru_cache(maxsize=8192)
def read_cents(text: str) -> int | None:
    """Cents of an X12 decimal amount such as `65`, `-.75` or `37.650`; None if it is not one.

    More than two decimals are an amount only if the further ones are zero: cents are never rounded.
    Nor is one above `LARGEST_CENTS`, which no ledger could add up (X12 type R has 18 digits).
    """
    negative = text[:1] == "-"
    whole, _, fraction = (text[1:] if negative else text).partition(".")
    digits = whole + fraction
    # isdecimal() takes the digits of every script, hence isascii().
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 18:
        return None
    if len(fraction) > 2 and fraction[2:].strip("0"):
        return None
    cents = int(whole or "0") * 100 + int((fraction + "00")[:2])
    if cents > LARGEST_CENTS:
        return None
    return -cents if negative else cents


def amount_text(cents: int) -> str:
    """An amount as X12 writes it: no trailing zeros, no decimal point for whole dollars."""
    dollars, rest = divmod(abs(int(cents)), 100)
    text = str(dollars) if not rest else f"{dollars}.{rest:02d}".rstrip("0")
    return "-" + text if cents < 0 else text


def read_quantity(text: str) -> Quantity | None:
    """A quantity such as `1`, `.5` or `-2`; None if it is not one."""
    if text.isdecimal() and text.isascii() and len(text) <= 15:
        return int(text)
    if not _DECIMAL.fullmatch(text):
        return None
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else value


def read_whole(text: str) -> int | None:
    """A whole number of at most nine digits, without sign; None if it is not one."""
    return int(text) if len(text) <= 9 and text.isdecimal() and text.isascii() else None


def quantity_text(quantity: Quantity) -> str:
    """A quantity as X12 writes it, without exponent or trailing zeros."""
    if isinstance(quantity, int):
        return str(int(quantity))
    text = format(quantity, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


@lru_cache(maxsize=4096)
def read_date(text: str) -> date | None:
    """The date of `CCYYMMDD`; None if there is no such day."""
    if len(text) != 8 or not text.isdecimal() or not text.isascii():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def read_period(qualifier: str, text: str) -> tuple[date, date] | None:
    """First and last day of a DTP/DTM value with format qualifier D8, RD8, DT or DTS."""
    first_text, dash, last_text = text.partition("-")
    first = read_date(first_text[:8] if qualifier in ("DT", "DTS") else first_text)
    last = read_date(last_text[:8] if qualifier in ("DT", "DTS") else last_text) if dash else first
    return (first, last) if first is not None and last is not None else None


def date_text(day: date) -> str:
    """`CCYYMMDD`."""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def period_text(first: date, last: date | None) -> tuple[str, str]:
    """Format qualifier and value for DTP02 and DTP03: D8 for one day, RD8 for a range."""
    if last is None or last == first:
        return "D8", date_text(first)
    return "RD8", f"{date_text(first)}-{date_text(last)}"


def plain_text(text: str, longest: int) -> str:
    """A name, address or note in upper-case ASCII that no delimiter or control character breaks.

    Accents are taken off, anything else outside the character set becomes a space, and the result
    is cut to `longest` characters. Identifiers never go through here: they are refused instead.
    """
    if _PLAIN.fullmatch(text) and len(text) <= longest:
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    ascii_only = "".join(c for c in decomposed if not unicodedata.combining(c))
    cleaned = _UNWRITABLE.sub(" ", ascii_only.upper())
    return " ".join(cleaned.split())[:longest].rstrip()


def npi_is_valid(npi: str) -> bool:
    """Ten digits whose last is the ISO/IEC 7812 check digit over `80840` + NPI (45 CFR 162.406)."""
    if len(npi) != 10 or not npi.isdecimal() or not npi.isascii():
        return False
    total = 24  # what the constant prefix 80840 adds
    for position, character in enumerate(reversed(npi)):
        digit = int(character)
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0
