"""Keys that are dear to make, and verifiers for the tokens of the kit."""

import asyncio
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import settings
import pytest

from tokenbind import KeySet, SigningKey, TokenVerifier
from tokenbind.tokens.algorithms import ALGORITHMS


settings.register_profile("tokenbind", deadline=None, max_examples=60)  # no deadline: a busy machine is no defect
settings.load_profile("tokenbind")


@pytest.fixture(scope="session")
def rsa_key():
    """An RSA key of 2048 bits, as `cryptography` has it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def key_for(rsa_key):
    """The signing key for an algorithm, the same each time."""

    @cache
    def signing_key(algorithm):
        if ALGORITHMS[algorithm].kty == "RSA":
            return SigningKey(rsa_key, algorithm=algorithm)
        return SigningKey.generate(algorithm)

    return signing_key


@pytest.fixture(params=["verify", "verify_async"])
def verify(request):
    """A function of verifier, token and peer, which calls one of the two methods."""

    def call(verifier, token, peer):
        outcome = getattr(verifier, request.param)(token, peer)
        return outcome if request.param == "verify" else asyncio.run(outcome)

    return call


@pytest.fixture
def verifier_of(tokenbind_kit):
    """A function of keywords: another verifier for the kit's tokens."""
    arguments = {
        "issuer": tokenbind_kit.issuer.issuer,
        "audience": tokenbind_kit.audience,
        "keys": KeySet.from_jwks(tokenbind_kit.issuer.jwks()),
        "clock": tokenbind_kit.clock,
        "monitor": tokenbind_kit.monitor,
    }
    return lambda **options: TokenVerifier(**arguments | options)
