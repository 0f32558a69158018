"""RFC 9440: a certificate as a byte sequence, and the chain as a list of them."""

from __future__ import annotations

from ...binding.pem import MAX_CHAIN_LENGTH, malformed, read_base64_der


__all__ = ["read", "read_list"]


def read(value: bytes) -> tuple[bytes, ...]:
    """``:base64 of the DER:``, without parameters.

    RFC 9440 §2.1: "The DER-encoded certificate is encoded as a Byte Sequence"; §2.2: Client-Cert "MUST NOT occur
    multiple times", nor is it a list.
    """
    if value[:1] != b":" or value[-1:] != b":" or len(value) < 3:
        raise malformed("the base64 does not stand between colons (RFC 9440 §2.1)")
    return (read_base64_der(value[1:-1].decode("latin-1")),)


def read_list(value: bytes) -> tuple[bytes, ...]:
    """Several of them with commas between (RFC 9440 §2.3), around which there may be blanks (RFC 8941 §3.1)."""
    members = [member.strip(b" \t") for member in value.split(b",", MAX_CHAIN_LENGTH)]
    if len(members) >= MAX_CHAIN_LENGTH:
        raise malformed("the chain is too long")
    return tuple(der for member in members for der in read(member))
