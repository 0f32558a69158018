"""From the bytes of a certificate to its ``x5t#S256``, and the strict text form of one.

RFC 8705 §3.1: "The value of the "x5t#S256" member is a base64url-encoded SHA-256 hash (a.k.a., thumbprint,
fingerprint, or digest) of the DER encoding of the X.509 certificate. The base64url-encoded value MUST omit all
trailing pad '=' characters and MUST NOT include any line breaks, whitespace, or other additional characters."

Texts are compared, never decoded: 43 base64url characters carry 258 bits, so a lenient decoder gives four spellings
to every SHA-256. Only a last character whose two spare bits are zero can come from a hash.
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import sha256

from ..errors import InvalidRequest, Reason
from .pem import BEGINNINGS_OF_DER, read_certificates, require_der


__all__ = ["parse_thumbprint", "thumbprint"]

X5T_S256 = "x5t#S256"

_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST_CHARACTERS = "AEIMQUYcgkosw048"


def is_thumbprint(text: str) -> bool:
    """Whether *text* is spelled as a thumbprint is. A regular expression takes three times as long."""
    # Every character that is not ASCII is two bytes or more, none of which is permitted.
    return (
        len(text) == 43
        and text[42] in _LAST_CHARACTERS
        and not text.encode("utf-8", "surrogatepass").translate(None, _CHARACTERS)
    )


def thumbprint(certificate: bytes | str) -> str:
    """The ``x5t#S256`` of a certificate: SHA-256 over its DER, as 43 base64url characters.

    Does NOT verify that the bytes are a sound certificate, its dates or its chain: a thumbprint names a certificate,
    it does not trust it.

    Args:
        certificate: The DER (*bytes*), hashed exactly as given, or PEM text (*str*) of one certificate or of a chain
            with the leaf first; the leaf is hashed.

    Raises:
        InvalidRequest: ``certificate_malformed``, if it is neither.
    """
    if type(certificate) is not bytes:
        return thumbprint_of_der(read_certificates(certificate)[0])
    if not certificate.startswith(BEGINNINGS_OF_DER[len(certificate)]):
        require_der(certificate)  # which says what it is instead
    return b2a_base64(sha256(certificate).digest(), newline=False).translate(_URL_ALPHABET, b"=").decode()


def thumbprint_of_der(der: bytes) -> str:
    """The same for bytes that are known to be DER: they came from the TLS layer or through `require_der`."""
    return b2a_base64(sha256(der).digest(), newline=False).translate(_URL_ALPHABET, b"=").decode()


def parse_thumbprint(text: object) -> str:
    """*text* itself, if it is a thumbprint spelled in the one permitted way.

    Raises:
        InvalidRequest: ``certificate_malformed``.
    """
    if type(text) is str and is_thumbprint(text):
        return text
    raise InvalidRequest(
        Reason.CERTIFICATE_MALFORMED,
        "not a thumbprint: 43 base64url characters without padding are needed (RFC 8705 §3.1); "
        "hex, standard base64 and padded forms are other encodings",
    )
