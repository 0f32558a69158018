"""A certificate as base64 of its DER, or several with commas between."""

from __future__ import annotations

from ...binding.pem import MAX_CHAIN_LENGTH, malformed, read_base64_der


__all__ = ["read", "read_list"]


def read(value: bytes) -> tuple[bytes, ...]:
    """One, with nothing around it."""
    return (read_base64_der(value.decode("latin-1")),)


def read_list(value: bytes) -> tuple[bytes, ...]:
    """The whole chain, leaf first, as Traefik writes it: no blanks."""
    members = value.decode("latin-1").split(",", MAX_CHAIN_LENGTH)
    if len(members) > MAX_CHAIN_LENGTH:
        raise malformed("the chain is too long")
    return tuple(map(read_base64_der, members))
