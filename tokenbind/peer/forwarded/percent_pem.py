"""PEM text that is percent-encoded: nginx's ``$ssl_client_escaped_cert`` and its relatives.

Products differ in what they escape: nginx and Envoy everything that is not unreserved, AWS and Apache not ``+ / =``. So
a plus is a plus here; those who take it for a blank break about every RSA certificate of theirs.
"""

from __future__ import annotations

from ...binding.pem import malformed, read_certificates


__all__ = ["read", "read_chain"]

_PERMITTED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/=%"

# All that can be escaped in PEM text; several times as fast as `urllib.parse.unquote`, and whatever is left is refused.
_ESCAPES = tuple((b"%%%02X" % code, b"%c" % code) for code in b"\n +/=")
_LOWER_CASE_ESCAPES = tuple((escape.lower(), meant) for escape, meant in _ESCAPES)


def read(value: bytes) -> tuple[bytes, ...]:
    """One certificate."""
    chain = read_chain(value)
    if len(chain) != 1:
        raise malformed("there is more than one certificate where one belongs")
    return chain


def read_chain(value: bytes) -> tuple[bytes, ...]:
    """One or several, leaf first."""
    if value.translate(None, _PERMITTED):
        raise malformed("there are characters that percent-encoded PEM has not")
    for escape, meant in _ESCAPES:
        value = value.replace(escape, meant)
    if b"%" in value:
        for escape, meant in _LOWER_CASE_ESCAPES:
            value = value.replace(escape, meant)
    return read_certificates(value.decode("ascii"))
