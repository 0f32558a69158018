"""Strict readers for certificates as DER bytes and as PEM text.

Why not `ssl.PEM_cert_to_DER_cert`: given a chain it returns other bytes than the leaf for one leaf in three, skips
junk silently, and raises `binascii.Error`. What is hashed must be exactly what was meant.
"""

from __future__ import annotations

from binascii import Error as Base64Error, a2b_base64

from ..errors import InvalidRequest, Reason


__all__ = ["read_certificates", "require_der"]

MAX_DER_BYTES = 65_535
MAX_CHAIN_LENGTH = 10
_SIZES_REMEMBERED = 256
_MAX_PEM_CHARACTERS = MAX_CHAIN_LENGTH * MAX_DER_BYTES * 3 // 2

_BEGIN = "-----BEGIN CERTIFICATE-----\n"
_END = "\n-----END CERTIFICATE-----"


def malformed(why: str) -> InvalidRequest:
    return InvalidRequest(Reason.CERTIFICATE_MALFORMED, f"not a certificate: {why}")


class _Beginnings(dict[int, bytes | tuple[()]]):
    """How the DER of a certificate begins that has so many bytes in all; it is all that is looked at.

    RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate SEQUENCE ..., so 0x30, a length, 0x30. Trailing bytes would
    give one certificate many thumbprints. The length has two bytes; that of a tiny certificate has one.
    """

    def __missing__(self, size: int) -> bytes | tuple[()]:
        if len(self) >= _SIZES_REMEMBERED:
            self.clear()
        if 259 < size <= MAX_DER_BYTES + 4:
            self[size] = b"\x30\x82%c%c\x30" % divmod(size - 4, 256)
        else:  # nothing begins with ()
            self[size] = b"\x30\x81%c\x30" % (size - 3) if 131 <= size <= 258 else ()
        return self[size]


BEGINNINGS_OF_DER = _Beginnings()


def require_der(der: object) -> None:
    """Pass if *der* is bytes whose outer shape is that of a certificate: one SEQUENCE, all of the input, in DER.

    Does NOT verify what is inside; `tokenbind.PeerCertificate.x509` parses it.

    Raises:
        InvalidRequest: ``certificate_malformed``.
    """
    if type(der) is bytes and der.startswith(BEGINNINGS_OF_DER[len(der)]):
        return
    if type(der) is not bytes:
        raise malformed("DER is needed as bytes, PEM as str")
    if der[:10] == b"-----BEGIN":
        raise malformed("these bytes are PEM text; decode them to str first")
    raise malformed("the bytes are not the DER of one certificate, whole and with nothing after it")


def read_certificates(pem: object) -> tuple[bytes, ...]:
    """The DER of each certificate in PEM text, in its order (a chain is written leaf first).

    Between and around the blocks only line ends may stand (RFC 7468 §3, strict form); lines may be of any length.

    Raises:
        InvalidRequest: ``certificate_malformed``.
    """
    if type(pem) is not str:
        is_text = isinstance(pem, bytes) and pem.startswith(b"-----BEGIN")
        raise malformed(
            "this is PEM text in bytes; decode it to str first" if is_text else "PEM is needed as str, DER as bytes"
        )
    if len(pem) > _MAX_PEM_CHARACTERS:
        raise malformed("the PEM text is too long")
    text = pem.replace("\r\n", "\n") if "\r" in pem else pem
    certificates: list[bytes] = []
    position = len(text) - len(text.lstrip("\n"))
    while text.startswith(_BEGIN, position):
        start = position + len(_BEGIN)
        end = text.find(_END, start)
        if end < 0 or len(certificates) == MAX_CHAIN_LENGTH:
            raise malformed("a PEM block does not end, or the chain is too long")
        certificates.append(read_base64_der(text[start:end].replace("\n", "")))
        position = end + len(_END)
        if not text.startswith("\n", position):
            break
        while text.startswith("\n", position):
            position += 1
    if position != len(text) or not certificates:
        raise malformed(_what_it_is_instead(text))
    return tuple(certificates)


def read_base64_der(text: str) -> bytes:
    """The DER in padded standard base64 with nothing else around it (RFC 4648 §4)."""
    try:
        der = a2b_base64(text, strict_mode=True)
    except (Base64Error, ValueError):  # ValueError: not ASCII
        raise malformed("the base64 is broken") from None
    require_der(der)
    return der


def _what_it_is_instead(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        return "the PEM text holds a private key; give the certificate alone"
    if "-----BEGIN CERTIFICATE REQUEST-----" in text:
        return "this is a certificate request, not a certificate"
    if "-----BEGIN CERTIFICATE-----" in text:
        return "something stands before, between or after the PEM blocks"
    return "no PEM block '-----BEGIN CERTIFICATE-----' was found"
