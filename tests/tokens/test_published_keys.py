"""What an issuer publishes beside the key that signs, and a change of keys in which no token is refused."""

import json
from types import MappingProxyType

import pytest

from tokenbind import ConfigurationError, InvalidToken, KeySet, Reason, SigningKey
from tokenbind.tokens.compact import read_base64url, read_compact, read_json_object

from .signers import Given, OddMapping, assert_bound, issuer_of, mint, raising


JWK = SigningKey.generate(kid="k1").public_jwk
PRIVATE = {**JWK, "d": "AAAA"}


def test_what_is_published(key_for, tokenbind_kit):
    """The key that signs, then the next and the previous ones, each once; and only the first one signs."""
    key, unasked = key_for("ES256"), raising(AssertionError("signed"))
    following, previous = (Given.of(SigningKey.generate(), sign=unasked) for _ in range(2))
    older = SigningKey.generate("EdDSA").public_jwk
    issuer = issuer_of(
        tokenbind_kit,
        key,
        next_keys=[following, key],
        previous_keys=(previous, MappingProxyType(older), older, key.public_jwk),
    )

    assert [key.public_jwk, following.public_jwk, previous.public_jwk, older] == issuer.jwks()["keys"]
    assert key.kid == read_json_object(read_base64url(read_compact(mint(tokenbind_kit, issuer).encode()).header))["kid"]


def test_what_is_published_is_fixed(key_for, tokenbind_kit):
    """Neither who gave a key nor who got the set can change it, however deep."""
    older = SigningKey.generate().public_jwk | {"key_ops": ["verify"]}
    signer = Given.of(key_for("ES256"))
    issuer = issuer_of(tokenbind_kit, signer, previous_keys=[older])
    before = json.dumps(issuer.jwks())
    older["key_ops"].append("sign")
    older["d"] = signer.public_jwk["d"] = "AAAA"
    jwks = issuer.jwks()
    jwks["keys"][1]["key_ops"].clear()
    jwks["keys"].pop(0)["kid"] = "another"

    assert before == json.dumps(issuer.jwks())


NEVER_PUBLISHED = [
    *((PRIVATE | change, "private") for change in ({}, {"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ECDH-ES"})),
    ({"kty": "oct", "k": "AAAA", "kid": "k1"}, "private"),
    ({"kty": "RSA", "n": "AA", "e": "AQAB", "dp": "AA"}, "private"),
    *((JWK | change, "no key for any of") for change in ({"use": "enc"}, {"alg": "ECDH-ES"}, {"crv": "P-192"})),
    *((JWK | change, "broken") for change in ({"x": "AAAA"}, {"y": None}, {"x": ["A"]}, {"x": 1})),
    *((JWK | change, "plain JSON") for change in ({"x": b"A"}, {"x5c": object()}, {"kid": "\ud800"}, {"n": 10**5000})),
    ({**JWK, "kid": 7}, "kid that is not a string"),
    ({}, "no key for any of"),
    (OddMapping(JWK), "plain JSON"),
    ("ES256", "must be a SigningKey, or a Signer"),
]


@pytest.mark.parametrize("name", ["previous_keys", "next_keys"])
@pytest.mark.parametrize(("jwk", "hint"), NEVER_PUBLISHED, ids=lambda value: value if type(value) is str else "")
def test_what_is_never_published(key_for, name, jwk, hint, tokenbind_kit):
    """A private key above all, of whatever use and type; and what would verify nothing."""
    with pytest.raises(ConfigurationError, match=hint) as caught:
        issuer_of(tokenbind_kit, key_for("ES256"), **{name: [JWK, jwk]})
    assert "AAAA" not in str(caught.value)


@pytest.mark.parametrize("keys", [None, 7, JWK, "ES256", SigningKey.generate()])
def test_keys_come_in_a_list(key_for, keys, tokenbind_kit):
    """One key by itself, or nothing, is our own error too."""
    for name in ("previous_keys", "next_keys"):
        with pytest.raises(ConfigurationError):
            issuer_of(tokenbind_kit, key_for("ES256"), **{name: keys})


def test_keys_that_cannot_be_told_apart(tokenbind_kit):
    """Two keys of one kid and one algorithm are refused, wherever they stand; another algorithm makes a difference."""
    key, twin = SigningKey.generate(kid="k1"), SigningKey.generate(kid="k1")
    other = SigningKey.generate("EdDSA", kid="k1")
    for options in (
        {"next_keys": [twin]},
        {"previous_keys": [twin.public_jwk]},
        {"previous_keys": [{**key.public_jwk, "use": "sig", "x5t": "x"}]},
    ):
        with pytest.raises(ConfigurationError, match="two keys for ES256 with the same kid"):
            issuer_of(tokenbind_kit, key, **options)
    with pytest.raises(ConfigurationError, match="same kid"):
        issuer_of(tokenbind_kit, other, next_keys=[key], previous_keys=[twin])

    assert 2 == len(issuer_of(tokenbind_kit, key, next_keys=[other]).jwks()["keys"])


class Fetched:
    """The keys as a resource server has fetched them last."""

    def __init__(self, issuer):
        self.fetch(issuer)

    def fetch(self, issuer):
        self.keys = KeySet.from_jwks(issuer.jwks())

    def current(self):
        return self.keys

    def refetch(self, seen):
        return False


@pytest.mark.parametrize("cache_size", [0, 1024])
@pytest.mark.parametrize(("old", "new"), [("ES256", "ES256"), ("PS256", "EdDSA")])
def test_a_change_of_keys(verifier_of, key_for, tokenbind_client, old, new, cache_size, tokenbind_kit):
    """Publish, sign, retire: no token is refused by who knows what was published one phase before, until it must be."""
    before, after = key_for(old), SigningKey.generate(new)
    started = issuer_of(tokenbind_kit, before)
    announced = issuer_of(tokenbind_kit, before, next_keys=[after.public_jwk])
    signing = issuer_of(tokenbind_kit, after, previous_keys=[before.public_jwk])
    retired = issuer_of(tokenbind_kit, after)
    fetched = Fetched(started)
    verifier = verifier_of(keys=fetched, cache_size=cache_size)
    tokens = [mint(tokenbind_kit, started)]
    for phase, known in ((announced, started), (signing, announced), (retired, signing)):
        fetched.fetch(known)
        tokens.append(mint(tokenbind_kit, phase))
        for token in tokens:
            assert_bound(tokenbind_kit, verifier, token)

    fetched.fetch(retired)
    *ended, good = tokens
    assert_bound(tokenbind_kit, verifier, good)
    assert_bound(tokenbind_kit, verifier, ended.pop())  # of the new key too
    for token in ended:
        with pytest.raises(InvalidToken) as caught:
            verifier.verify(token, tokenbind_client.peer)
        assert Reason.KEY_UNKNOWN is caught.value.reason


def test_a_change_of_keys_in_haste(verifier_of, key_for, tokenbind_client, tokenbind_kit):
    """Why a key is published first: signed with at once, its tokens are refused by who has not fetched it yet."""
    verifier = verifier_of(keys=Fetched(issuer_of(tokenbind_kit, key_for("ES256"))))
    token = mint(tokenbind_kit, issuer_of(tokenbind_kit, SigningKey.generate(), previous_keys=[key_for("ES256")]))
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token, tokenbind_client.peer)

    assert Reason.KEY_UNKNOWN is caught.value.reason
