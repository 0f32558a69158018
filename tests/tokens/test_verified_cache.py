"""The cache of verified tokens: the signature is checked once, everything else at every call."""

import pytest

from tokenbind import BindingPolicy, InvalidToken, KeySet, Reason
from tokenbind.revocation import MemoryRevocation
from tokenbind.tokens.verified_cache import VerifiedCache


class CountingKeys:
    """The kit's keys; counts how often a signature is checked."""

    def __init__(self, jwks):
        self.keys, self.checked = KeySet.from_jwks(jwks), 0

    def current(self):
        return self

    def refetch(self, seen):
        return False

    async def refetch_async(self, seen):
        return False

    def find(self, kid, algorithm):
        self.found = self.keys.find(kid, algorithm)
        return self

    def verify(self, signature, message):
        self.checked += 1
        self.found.verify(signature, message)


@pytest.fixture
def keys(tokenbind_issuer):
    return CountingKeys(tokenbind_issuer.jwks())


def refusal(verify, *arguments):
    with pytest.raises(InvalidToken) as caught:
        verify(*arguments)
    return caught.value.reason


def test_a_signature_is_checked_once(verify, verifier_of, keys, tokenbind_client, tokenbind_token):
    """The second call is a hit, as text or as bytes, and gives what the first one gave."""
    verifier = verifier_of(keys=keys)
    first, again, as_bytes = (
        verify(verifier, token, tokenbind_client.peer)
        for token in (tokenbind_token, tokenbind_token, tokenbind_token.encode())
    )

    assert 1 == keys.checked
    assert first.claims == again.claims == as_bytes.claims
    assert tokenbind_client.thumbprint == first.thumbprint == again.thumbprint == as_bytes.thumbprint


def test_without_a_cache_every_signature_is_checked(verify, verifier_of, keys, tokenbind_client, tokenbind_token):
    """``cache_size=0`` remembers nothing."""
    verifier = verifier_of(keys=keys, cache_size=0)
    for _ in range(3):
        assert verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint

    assert 3 == keys.checked


def test_the_thief_on_a_hit(verify, verifier_of, keys, tokenbind_client, tokenbind_stranger, tokenbind_token):
    """Attack 24: the binding is judged on every hit; a stolen token is refused, before and after its owner used it."""
    verifier = verifier_of(keys=keys)
    for _ in range(2):
        assert Reason.CERTIFICATE_MISMATCH is refusal(verify, verifier, tokenbind_token, tokenbind_stranger.peer)
        assert Reason.CERTIFICATE_MISSING is refusal(verify, verifier, tokenbind_token, None)
        assert tokenbind_client.thumbprint == verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint

    assert 1 == keys.checked


def test_expiry_on_a_hit(verify, verifier_of, keys, tokenbind_client, tokenbind_token, tokenbind_clock):
    """A token that was remembered expires all the same, in the second of its ``exp``."""
    verifier = verifier_of(keys=keys)
    for seconds in (0, 299):
        tokenbind_clock.move(seconds)
        assert verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
    tokenbind_clock.move(1)

    assert Reason.TOKEN_EXPIRED is refusal(verify, verifier, tokenbind_token, tokenbind_client.peer)
    assert 1 == keys.checked


def test_revocation_on_a_hit(verify, verifier_of, keys, tokenbind_client, tokenbind_stranger, tokenbind_token):
    """A token that was remembered is asked about at every call; a revoked thief is told so, too."""
    revocation = MemoryRevocation()
    verifier = verifier_of(keys=keys, revocation=revocation)
    bound = verify(verifier, tokenbind_token, tokenbind_client.peer)
    revocation.revoke_certificate(tokenbind_stranger.thumbprint)

    assert Reason.TOKEN_REVOKED is refusal(verify, verifier, tokenbind_token, tokenbind_stranger.peer)
    assert verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
    revocation.revoke_token(bound.issuer, bound.token_id, expires_at=bound.expires_at)
    assert Reason.TOKEN_REVOKED is refusal(verify, verifier, tokenbind_token, tokenbind_client.peer)
    assert 1 == keys.checked


def test_refusals_are_not_remembered(verify, verifier_of, keys, tokenbind_kit, tokenbind_client, tokenbind_token):
    """A forged or a misdirected token is checked anew each time, and takes no place."""
    verifier = verifier_of(keys=keys)
    forged = tokenbind_token[: tokenbind_token.rindex(".") + 1] + "A" * 86
    misdirected = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, aud="https://other.example"))
    for _ in range(2):
        assert Reason.SIGNATURE_INVALID is refusal(verify, verifier, forged, tokenbind_client.peer)
        assert Reason.AUDIENCE_MISMATCH is refusal(verify, verifier, misdirected, tokenbind_client.peer)

    assert 4 == keys.checked
    assert not verifier._tokens._generation.cache.young


def test_another_signature_is_another_token(verify, verifier_of, keys, tokenbind_client, tokenbind_token):
    """CVE-2026-35030: what is remembered is the whole token; the same claims with any other ending are no hit."""
    verifier = verifier_of(keys=keys)
    assert verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
    message, _, signature = tokenbind_token.rpartition(".")

    for other in ("A" * 86, signature[:-2] + ("AA" if signature[-2:] != "AA" else "AQ"), signature[:-4], "", "AAAA"):
        refusal(verify, verifier, f"{message}.{other}", tokenbind_client.peer)
    assert Reason.TOKEN_MALFORMED is refusal(verify, verifier, tokenbind_token + "=", tokenbind_client.peer)


def test_changed_claims_are_not_shared(verifier_of, keys, tokenbind_kit, tokenbind_client):
    """What one request does to nested claims is not seen by the next, nor by a second look of its own."""
    verifier = verifier_of(keys=keys)
    token = tokenbind_kit.mint(tokenbind_client, claims={"roles": ["reader"]})
    bound = verifier.verify(token, tokenbind_client.peer)
    bound.claims["roles"].append("admin")
    claims = verifier.verify(token, tokenbind_client.peer).claims
    claims["roles"].append("admin")
    claims["sub"] = "root"

    assert ["reader"] == bound.claims["roles"]
    assert ["reader"] == verifier.verify(token, tokenbind_client.peer).claims["roles"]
    assert 1 == keys.checked


def test_with_binding_shares_the_cache(
    verify, verifier_of, keys, tokenbind_client, tokenbind_stranger, tokenbind_token
):
    """Another policy on the same keys and cache: the signature is known, the verdict is its own."""
    strict = verifier_of(keys=keys)
    lenient = strict.with_binding(BindingPolicy.WHEN_PRESENT)
    assert verify(strict, tokenbind_token, tokenbind_client.peer).thumbprint
    assert verify(lenient, tokenbind_token, tokenbind_client.peer).thumbprint

    assert 1 == keys.checked
    assert Reason.CERTIFICATE_MISMATCH is refusal(verify, lenient, tokenbind_token, tokenbind_stranger.peer)


def test_policies_do_not_mix(verifier_of, keys, tokenbind_kit, tokenbind_client):
    """An unbound token that passed `WHEN_PRESENT` is remembered, and still refused where binding is required."""
    strict = verifier_of(keys=keys)
    lenient = strict.with_binding(BindingPolicy.WHEN_PRESENT)
    unbound = tokenbind_kit.unbound(tokenbind_client)

    assert None is lenient.verify(unbound, tokenbind_client.peer).thumbprint
    assert Reason.TOKEN_UNBOUND is refusal(strict.verify, unbound, tokenbind_client.peer)
    assert 1 == keys.checked


def test_verifiers_share_nothing(verifier_of, tokenbind_client, tokenbind_token):
    """Two verifiers have two caches: what one audience accepted is not accepted by another."""
    assert verifier_of().verify(tokenbind_token, tokenbind_client.peer).thumbprint
    elsewhere = verifier_of(audience="https://other.example")

    assert Reason.AUDIENCE_MISMATCH is refusal(elsewhere.verify, tokenbind_token, tokenbind_client.peer)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 64])
def test_it_is_bounded(size):
    """However many entries come, no more than *size* are held (two at least), and the latest is among them."""
    cache = VerifiedCache(size)
    for number in range(5 * size):
        cache.put(b"%d" % number, number)
        assert number == cache.get(b"%d" % number)
        assert max(2, size) >= len(cache.young) + len(cache.old)
    assert None is cache.get(b"0")


def test_what_is_used_stays():
    """A hit in the old generation carries the entry over into the young one; what is not used goes."""
    cache = VerifiedCache(4)
    cache.put(b"kept", "kept")
    for number in range(50):
        cache.put(b"%d" % number, number)
        assert "kept" == cache.get(b"kept")

    assert None is cache.get(b"40")


def test_eviction_costs_a_signature_and_nothing_else(verifier_of, keys, tokenbind_kit, tokenbind_client):
    """A token that was pushed out is verified again."""
    verifier = verifier_of(keys=keys, cache_size=2)
    tokens = [tokenbind_kit.mint(tokenbind_client) for _ in range(4)]
    for token in [*tokens, tokens[0]]:
        assert verifier.verify(token, tokenbind_client.peer).thumbprint

    assert 5 == keys.checked
