"""What the library is held against.

A FLOOR is the least that plain Python on `cryptography` can do for the same answer: the steps inlined in one function,
the objects for them made beforehand, lenient decoding, and no policy at all. Do not use one for anything but this.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from json import JSONDecoder, JSONEncoder
from time import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


__all__ = ["Verify", "floor_mint", "floor_thumbprint", "floor_verify"]

Verify = Callable[[bytes, bytes], object]

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_EXTRA: dict[str, tuple[Any, ...]] = {"RS256": (PKCS1v15(), SHA256()), "ES256": (ECDSA(SHA256()),), "EdDSA": ()}
_decode = JSONDecoder().decode
_encode = JSONEncoder(separators=(",", ":")).encode


def floor_verify(algorithm: str, public_key: Any) -> Verify:
    """Split, decode, check the signature, parse the claims, compare ``exp``, hash the certificate, compare."""
    check, extra = public_key.verify, _EXTRA[algorithm]

    def verify(token: bytes, der: bytes) -> object:
        message, _, signature = token.rpartition(b".")
        check(a2b_base64(signature.translate(_FROM_URL) + b"=="), message, *extra)
        payload = message[message.index(b".") + 1 :]
        claims = _decode(a2b_base64(payload.translate(_FROM_URL) + b"==").decode())
        if claims["exp"] <= time():
            raise ValueError("expired")
        thumbprint = b2a_base64(sha256(der).digest(), newline=False).translate(_TO_URL, b"=").decode()
        if not compare_digest(claims["cnf"]["x5t#S256"], thumbprint):
            raise ValueError("another certificate")
        return claims

    def verify_es256(token: bytes, der: bytes) -> object:  # the same, with the signature turned into DER
        message, _, signature = token.rpartition(b".")
        raw = a2b_base64(signature.translate(_FROM_URL) + b"==")
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        check(encode_dss_signature(r, s), message, *extra)
        payload = message[message.index(b".") + 1 :]
        claims = _decode(a2b_base64(payload.translate(_FROM_URL) + b"==").decode())
        if claims["exp"] <= time():
            raise ValueError("expired")
        thumbprint = b2a_base64(sha256(der).digest(), newline=False).translate(_TO_URL, b"=").decode()
        if not compare_digest(claims["cnf"]["x5t#S256"], thumbprint):
            raise ValueError("another certificate")
        return claims

    return verify_es256 if algorithm == "ES256" else verify


def floor_mint(algorithm: str, private_key: Any, header: bytes, claims: dict[str, Any]) -> Callable[[], str]:
    """Serialize, encode, sign: the same claims and the same encoded header each time."""
    sign, extra = private_key.sign, _EXTRA[algorithm]
    prefix = header + b"."

    def mint() -> str:
        message = prefix + b2a_base64(_encode(claims).encode(), newline=False).translate(_TO_URL, b"=")
        signature = b2a_base64(sign(message, *extra), newline=False).translate(_TO_URL, b"=")
        return (message + b"." + signature).decode()

    def mint_es256() -> str:  # the same, with the signature turned from DER into r and s
        message = prefix + b2a_base64(_encode(claims).encode(), newline=False).translate(_TO_URL, b"=")
        r, s = decode_dss_signature(sign(message, *extra))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return (message + b"." + b2a_base64(raw, newline=False).translate(_TO_URL, b"=")).decode()

    return mint_es256 if algorithm == "ES256" else mint


def floor_thumbprint(der: bytes) -> str:
    """SHA-256 of the DER, base64url."""
    return b2a_base64(sha256(der).digest(), newline=False).translate(_TO_URL, b"=").decode()
