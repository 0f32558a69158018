"""Signers of any kind, issuers that sign with them, and what their tokens must be."""

from collections import UserDict
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
import pytest

from tokenbind import InvalidToken, Reason, TokenIssuer


SECRET = "hvs.s3cret"  # in what a library says of its failure


@dataclass
class Given:
    """A signer of these parts."""

    algorithm: Any
    kid: Any
    public_jwk: Any
    sign: Any

    @classmethod
    def of(cls, key, **changes):
        parts = {"algorithm": key.algorithm, "kid": key.kid, "public_jwk": key.public_jwk, "sign": key.sign}
        return cls(**parts | changes)


def raising(error):
    def function(*_):
        raise error

    return function


def in_turn(*functions):
    """A function that is the first of *functions* when it is first called, and so on."""
    left = list(functions)

    def call(*arguments):
        return left.pop(0)(*arguments)

    return call


class OddMapping(UserDict):
    def __iter__(self):
        raise OSError(SECRET)


def in_der(signature):
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


def issuer_of(kit, key, **options):
    """An issuer with the name and the clock of the kit's."""
    return TokenIssuer(kit.issuer.issuer, key, clock=kit.clock, **options)


def mint(kit, issuer):
    """A token of *issuer* for the kit's client."""
    return issuer.mint(kit.client().peer, client_id="client", audience=kit.audience)


def assert_bound(kit, verifier, token):
    """The token is good for the client, and for no thief."""
    assert kit.client().thumbprint == verifier.verify(token, kit.client().peer).thumbprint
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token, kit.client("thief").peer)
    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason
