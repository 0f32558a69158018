"""Every way in which the text of a thumbprint can be read, right or wrong. Pure.

Operator-only: what judges a binding compares texts and decodes none (`tokenbind.binding.thumbprint` says why).
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
import re
from typing import NamedTuple
from urllib.parse import unquote

from .findings import Finding


__all__ = ["Reading", "readings"]

_DO = "The issuer must write it in base64url without padding: 43 characters (RFC 8705 §3.1)."
_PERCENT = Finding("percent_encoded", "The value is percent-encoded, as for a URL.", _DO)
_WHITE_SPACE = Finding("white_space", "The value has white space or line breaks around or in it.", _DO)
_STANDARD = Finding("standard_base64", "The value is standard base64, with + or /.", _DO)
_PADDED = Finding("padded", "The value is padded: it has = at its end.", _DO)
_SPARE_BITS = Finding(
    "spare_bits", "The last character of the value is not canonical: its spare bits are not zero.", _DO
)

_hex_digits = re.compile(r"(?:[0-9a-fA-F]{2})+|(?:[0-9a-fA-F]{2}:)+[0-9a-fA-F]{2}").fullmatch
_base64_digits = re.compile(r"([A-Za-z0-9+/_-]+)={0,2}").fullmatch
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


class Reading(NamedTuple):
    """The bytes that a text stands for if it is read in one way, and what is wrong with this way."""

    data: bytes
    wrong: tuple[Finding, ...]


def readings(value: str) -> list[Reading]:
    """All that *value* may mean, what is likelier first: 64 hex digits are base64 of something too."""
    around: tuple[Finding, ...] = ()
    text = unquote(value)
    if text != value:
        around += (_PERCENT,)
    squeezed = "".join(text.split())
    if squeezed != text:
        around += (_WHITE_SPACE,)
    return [Reading(data, around + wrong) for data, wrong in (*_hex(squeezed, ""), *_base64(squeezed))]


def _hex(text: str, of: str) -> Iterator[tuple[bytes, tuple[Finding, ...]]]:
    if _hex_digits(text):
        case = "lower" if text == text.lower() else "upper" if text == text.upper() else "mixed"
        colons = ", with colons" if ":" in text else ""
        words = f"The value is {of}hex in {case} case{colons}, not base64url of the hash itself."
        yield bytes.fromhex(text.replace(":", "")), (Finding("base64_of_hex" if of else "hex", words, _DO),)


def _base64(text: str) -> Iterator[tuple[bytes, tuple[Finding, ...]]]:
    match = _base64_digits(text)
    if match is None or len(match[1]) % 4 == 1:
        return
    digits = match[1]
    data = a2b_base64(f"{digits.translate(_STANDARD_ALPHABET)}==")
    yield from _hex(data.decode("latin-1"), "base64 of ")
    wrong: tuple[Finding, ...] = ()
    if "+" in digits or "/" in digits:
        wrong += (_STANDARD,)
    elif digits != text:
        wrong += (_PADDED,)
    canonical = b2a_base64(data, newline=False).translate(_URL_ALPHABET, b"=").decode()
    if canonical[-1:] != digits[-1:].translate(str.maketrans("+/", "-_")):
        wrong += (_SPARE_BITS,)
    yield data, wrong
