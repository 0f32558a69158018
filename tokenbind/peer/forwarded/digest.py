"""Only the SHA-256 of a certificate, as hex or base64."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error as Base64Error, a2b_base64, a2b_hex

from ...binding.pem import malformed
from ...errors import InvalidRequest


__all__ = ["OF_NOTHING", "read", "read_hex"]

#: The x5t#S256 of no bytes at all, which is what hashing a missing certificate gives.
OF_NOTHING = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

_BYTES = 32
_SHA_1 = {27, 28, 40, 59}  # the lengths of its hex and base64 forms
_HEX_DIGITS = b"0123456789abcdefABCDEF"


def read(value: bytes) -> str | None:
    """Hex, with colons or without, or base64 or base64url, padded or not; None for the hash of nothing."""
    thumbprint = read_hex(value) if len(value) in (64, 95) else _read_base64(value)
    return None if thumbprint == OF_NOTHING else thumbprint


def read_hex(value: bytes) -> str:
    """The ``x5t#S256`` of 64 hex digits, or 32 pairs of them with colons between."""
    if len(value) == 95 and value[2::3] == b":" * 31:
        value = value.replace(b":", b"")
    if len(value) != 64 or value.translate(None, _HEX_DIGITS):
        raise _no_digest(value)
    return _spelled(a2b_hex(value))


def _read_base64(value: bytes) -> str:
    if len(value) not in (43, 44):
        raise _no_digest(value)
    text = value.replace(b"-", b"+").replace(b"_", b"/") if b"+" not in value and b"/" not in value else value
    try:
        digest = a2b_base64(text if len(text) == 44 else text + b"=", strict_mode=True)
    except Base64Error:
        raise _no_digest(value) from None
    thumbprint = _spelled(digest)
    # The last character has two bits to spare: only the spelling that an encoder gives is one of this digest.
    if len(digest) != _BYTES or thumbprint.encode() != value.rstrip(b"=").translate(_URL_ALPHABET):
        raise _no_digest(value)
    return thumbprint


_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def _spelled(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _no_digest(value: bytes) -> InvalidRequest:
    if len(value) in _SHA_1:
        return malformed("this looks like a SHA-1, which proves nothing; have the proxy send the SHA-256")
    return malformed("this is no SHA-256, neither in hex nor in base64")
