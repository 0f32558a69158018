"""A certificate as `tokenbind explain` looks at it: whose it is, and all that may have been hashed of it. Pure."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterator
import hashlib
from textwrap import wrap
from typing import Any
from urllib.parse import quote

from ...binding import PeerCertificate
from .findings import Finding, bounded


__all__ = ["HASHES", "KnownCertificate", "known_certificates", "wrong_hash"]

_DO_HASH = "The issuer must take SHA-256 (RFC 8705 §3.1)."
_DO_DER = "The issuer must hash the DER of the certificate, the bytes that TLS delivers (RFC 8705 §3.1)."
_NOT_HASHED = Finding("not_hashed", "The value is the whole certificate, not a hash of it.", _DO_DER)
_NOTHING = Finding(
    "nothing_hashed",
    "The value is the hash of nothing at all: the issuer was given an empty certificate.",
    "See what hands the client's certificate to the issuer, often a proxy's header that is empty or has another name.",
)

#: Name, length in bytes, and function of the hashes that are taken for SHA-256.
HASHES: dict[str, tuple[int, Callable[[bytes], Any]]] = {
    "SHA-256": (32, hashlib.sha256),
    "SHA-1": (20, lambda data: hashlib.sha1(data, usedforsecurity=False)),
    "MD5": (16, lambda data: hashlib.md5(data, usedforsecurity=False)),
    "SHA-384": (48, hashlib.sha384),
    "SHA-512": (64, hashlib.sha512),
}


def wrong_hash(name: str) -> tuple[Finding, ...]:
    """What to say of a value that was made by the hash function *name*."""
    if name == "SHA-256":
        return ()
    what = f"The value is {'a' if name == 'MD5' else 'an'} {name}{' (x5t)' * (name == 'SHA-1')}, not a SHA-256."
    return (Finding(f"hashed_with_{name.lower().replace('-', '')}", what, _DO_HASH),)


class KnownCertificate:
    """One certificate of a file. What of it does not parse is None: a thumbprint can be taken of any.

    Attributes:
        peer: It alone, without its chain.
        place: Where it was found, in words.
        is_first: Whether it is the first one of its file.
        subject, issuer, not_before, not_after: As `cryptography` has them.
        public_key: Its SubjectPublicKeyInfo in DER.
    """

    def __init__(self, der: bytes, place: str, content: bytes = b"") -> None:
        """*content* is that of the whole file, for the first certificate in it."""
        self.peer: PeerCertificate = PeerCertificate.from_der(der)
        self.der = der
        self.place = place
        self.is_first: bool = bool(content)
        self._content = content
        self.subject: Any = self._tried(lambda x509: x509.subject)
        self.issuer: Any = self._tried(lambda x509: x509.issuer)
        self.not_before: Any = self._tried(lambda x509: x509.not_valid_before_utc)
        self.not_after: Any = self._tried(lambda x509: x509.not_valid_after_utc)
        self.public_key: bytes | None = self._tried(_public_key)
        self._signed_part: bytes | None = self._tried(lambda x509: x509.tbs_certificate_bytes)

    @property
    def name(self) -> str:
        """Its subject, fit for printing."""
        name = self._tried(lambda x509: x509.subject.rfc4514_string())
        return "a subject that cannot be read" if name is None else bounded(name) or "an empty subject"

    def digests(self) -> dict[bytes, tuple[Finding, ...]]:
        """Every hash of every part and form of it, and what is wrong with this hash; nothing with the thumbprint."""
        found: dict[bytes, tuple[Finding, ...]] = {self.der: (_NOT_HASHED,)}
        for wrong_input, data in self._inputs():
            for name, (_, function) in HASHES.items():
                found.setdefault(function(data).digest(), wrong_input + wrong_hash(name))
        return found

    def _inputs(self) -> Iterator[tuple[tuple[Finding, ...], bytes]]:
        yield (), self.der
        for id_, words, data in (*self._parts(), *self._texts()):
            yield (Finding(id_, f"Not the DER of the certificate was hashed, but {words}.", _DO_DER),), data
        yield (_NOTHING,), b""

    def _parts(self) -> Iterator[tuple[str, str, bytes]]:
        if self.public_key is not None:
            yield "public_key_hashed", "its public key (SubjectPublicKeyInfo in DER)", self.public_key
            yield "key_bits_hashed", "the bits of its public key alone", _bits_of(self.public_key)
        if self._signed_part is not None:
            yield "tbs_hashed", "the part of it that its issuer has signed (TBSCertificate)", self._signed_part

    def _texts(self) -> Iterator[tuple[str, str, bytes]]:
        base64 = b2a_base64(self.der, newline=False).decode()
        body = wrap(base64, 64)
        pem = ["-----BEGIN CERTIFICATE-----", *body, "-----END CERTIFICATE-----"]
        for end, end_name in (("\n", "LF"), ("\r\n", "CRLF")):
            for last, last_name in ((end, "with"), ("", "without")):
                how = f"(lines end in {end_name}, {last_name} the final one)"
                yield "pem_hashed", f"its PEM text {how}", (end.join(pem) + last).encode()
                yield "base64_hashed", f"the base64 between the PEM lines {how}", (end.join(body) + last).encode()
                escaped = quote(end.join(pem) + last, safe="")
                yield "pem_hashed", f"its PEM text in percent-encoding {how}", escaped.encode()
            yield "base64_hashed", f"the base64 of its DER in one line that ends in {end_name}", (base64 + end).encode()
        yield "base64_hashed", "the base64 of its DER in one line", base64.encode()
        if self._content:
            yield "file_hashed", f"all that is in the file {self.place}", self._content

    def _tried(self, read: Callable[[Any], Any]) -> Any:
        try:
            return read(self.peer.x509)
        except Exception:  # noqa: BLE001 - what breaks the rules makes cryptography raise one thing or another
            return None


def known_certificates(peer: PeerCertificate, path: str, content: bytes) -> list[KnownCertificate]:
    """The certificates of the file *path*, in its order."""
    place = bounded(path)
    first, *others = peer.chain
    return [
        KnownCertificate(first, place, content),
        *(KnownCertificate(der, f"{place} (certificate {number})") for number, der in enumerate(others, 2)),
    ]


def _public_key(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key: bytes = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key


def _bits_of(public_key: bytes) -> bytes:
    """The content of subjectPublicKey. RFC 5280 §4.1: SEQUENCE { algorithm SEQUENCE, subjectPublicKey BIT STRING }."""
    start, _ = _element(public_key, 0)
    _, end_of_algorithm = _element(public_key, start)
    start, end = _element(public_key, end_of_algorithm)
    return public_key[start + 1 : end]  # the first byte counts the unused bits


def _element(der: bytes, position: int) -> tuple[int, int]:
    """Where the content of the DER element at *position* starts and ends."""
    length, start = der[position + 1], position + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[position + 2 : start], "big")
    return start, start + length
