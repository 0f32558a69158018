"""`TokenVerifiers`: each token goes to its issuer's verifier, and no key speaks for another issuer."""

import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import AccessTokenProfile, ConfigurationError, InvalidToken, KeySet, Reason, TokenVerifiers
from tokenbind.monitoring import Refused
from tokenbind.testing import BindingKit, RecordingMonitor
from tokenbind.tokens import SigningKey, TokenIssuer, TokenVerifier
from tokenbind.tokens.compact import base64url


A, B = "https://a.example", "https://b.example"


class TwoIssuers:
    """Issuers A and B, each with a kit; both call their key by the same kid, and trust the same clients."""

    def __init__(self):
        self.a, self.b = BindingKit(issuer=A), BindingKit(issuer=B)
        for kit in (self.a, self.b):
            kit.key = SigningKey.generate(kid="same")
            kit.issuer = TokenIssuer(kit.issuer.issuer, kit.key, clock=self.a.clock)
            kit.verifier = self.verifier(kit)
        self.client, self.thief = self.a.client(), self.a.client("thief")
        self.monitor = RecordingMonitor()
        self.verifiers = TokenVerifiers([self.a.verifier, self.b.verifier], monitor=self.monitor)

    def verifier(self, kit, **options):
        keys = KeySet.from_jwks(kit.issuer.jwks())
        options = {"clock": self.a.clock, "monitor": kit.monitor} | options
        return TokenVerifier(issuer=kit.issuer.issuer, audience=kit.audience, keys=keys, **options)


@pytest.fixture
def two():
    return TwoIssuers()


def refusal(verify, *arguments):
    with pytest.raises(InvalidToken) as caught:
        verify(*arguments)
    return caught.value.reason


def test_each_token_goes_to_its_issuers_verifier(verify, two):
    """Both are accepted, as text and as bytes, and the monitor of the one, and not of the other, is told."""
    for kit, other in ((two.a, two.b), (two.b, two.a)):
        token = kit.mint(two.client)
        for spelled in (token, token.encode()):
            bound = verify(two.verifiers, spelled, two.client.peer)
            assert (kit.issuer.issuer, two.client.thumbprint) == (bound.issuer, bound.thumbprint)
        assert [kit.issuer.issuer] * 2 == [event.issuer for event in kit.monitor.accepted]
        assert kit.monitor.events != other.monitor.events
    assert [] == two.monitor.events


def test_the_thief(verify, two):
    """Attacks 1 to 3: a stolen token is worth nothing, whoever issued it."""
    for kit in (two.a, two.b):
        token = kit.mint(two.client)
        assert verify(two.verifiers, token, two.client.peer).thumbprint
        assert Reason.CERTIFICATE_MISMATCH is refusal(verify, two.verifiers, token, two.thief.peer)
        assert Reason.CERTIFICATE_MISMATCH is refusal(verify, two.verifiers, token, two.a.renewed(two.client).peer)
        assert Reason.CERTIFICATE_MISSING is refusal(verify, two.verifiers, token, None)
        assert Reason.TOKEN_UNBOUND is refusal(verify, two.verifiers, kit.unbound(two.client), two.client.peer)


def test_keys_are_never_shared(verify, two):
    """Attack 45: under the same kid, what B signs in A's name is refused, and so is what A signs in B's."""
    for kit, other in ((two.a, two.b), (two.b, two.a)):
        assert kit.key.kid == other.key.kid
        assert verify(two.verifiers, kit.mint(two.client), two.client.peer).thumbprint
        forged = kit.sign(kit.claims(two.client), key=other.key)
        assert Reason.SIGNATURE_INVALID is refusal(verify, two.verifiers, forged, two.client.peer)
        unnamed = kit.sign(kit.claims(two.client), key=other.key, header={"kid": ...})
        assert Reason.SIGNATURE_INVALID is refusal(verify, two.verifiers, unnamed, two.client.peer)
        stranger = SigningKey.generate(kid="other")
        forged = kit.sign(kit.claims(two.client), key=stranger)
        assert Reason.KEY_UNKNOWN is refusal(verify, two.verifiers, forged, two.client.peer)


def test_what_was_verified_is_not_shared_either(verify, two):
    """A payload of A that was accepted helps no other signature, and no other issuer."""
    token = two.a.mint(two.client)
    header, payload, signature = token.split(".")
    other = two.b.mint(two.client).split(".")
    assert verify(two.verifiers, token, two.client.peer).thumbprint

    for mixed in ([header, payload, other[2]], [header, other[1], signature], [other[0], other[1], signature]):
        assert Reason.SIGNATURE_INVALID is refusal(verify, two.verifiers, ".".join(mixed), two.client.peer)
    assert verify(two.verifiers, token, two.client.peer).thumbprint


@pytest.mark.parametrize(
    "iss", ["https://c.example", A + "/", "HTTPS://A.EXAMPLE", "", None, 7, True, [A], {A: A}, ...]
)
def test_an_unknown_issuer(verify, two, iss):
    """Attack 51: without an issuer that is trusted, exactly spelled, it is refused; the monitor is told once."""
    token = two.a.sign(two.a.claims(two.client, iss=iss))
    two.a.monitor.events.clear()
    with pytest.raises(InvalidToken) as caught:
        verify(two.verifiers, token, two.client.peer)

    reason, message, reference = Reason.ISSUER_MISMATCH, str(caught.value), caught.value.reference
    assert reason is caught.value.reason
    assert [Refused(reason, message, reference, 401, source="pem")] == two.monitor.events
    assert [] == two.a.monitor.events == two.b.monitor.events
    assert "c.example" not in message


@pytest.mark.parametrize(
    "token",
    [None, 7, "", "..", "a.b", "a.b.c", "a.W10.c", "a.bnVsbA.c", "tökén.a.b", "a.b.c.d.e", "a.e30", "." * 20_000],
)
def test_a_malformed_token(verify, two, token):
    """Junk is `token_malformed` before any verifier is asked; the monitor is told once."""
    assert Reason.TOKEN_MALFORMED is refusal(verify, two.verifiers, token, None)
    assert [(Reason.TOKEN_MALFORMED, None)] == [(event.reason, event.source) for event in two.monitor.events]
    assert [] == two.a.monitor.events == two.b.monitor.events


def test_an_issuer_named_twice(verify, two):
    """Attack 55: of two ``iss`` members neither counts, so the token cannot mean one issuer here and another there."""
    claims = json.dumps(two.a.claims(two.client))
    token = two.a.sign(f'{{"iss": "{B}", {claims[1:]}'.encode())

    assert Reason.TOKEN_MALFORMED is refusal(verify, two.verifiers, token, two.client.peer)


def test_the_monitor(verify, two):
    """By default the first verifier's; without any, the verdict is the same."""
    token = two.a.sign(two.a.claims(two.client, iss="https://c.example"))
    by_default = TokenVerifiers([two.b.verifier, two.a.verifier])
    nobody = TokenVerifiers([two.verifier(two.a, monitor=None), two.b.verifier])
    two.b.monitor.events.clear()

    assert two.b.monitor is by_default.monitor
    assert Reason.ISSUER_MISMATCH is refusal(verify, by_default, token, two.client.peer)
    assert [Reason.ISSUER_MISMATCH] == [event.reason for event in two.b.monitor.events]
    assert nobody.monitor is None
    assert Reason.ISSUER_MISMATCH is refusal(verify, nobody, token, two.client.peer)


def test_construction(two):
    """Nothing, something else, and two verifiers for one issuer are refused; any iterable will do."""
    for verifiers in ([], [two.a.verifier, None], [A], [TokenVerifiers([two.a.verifier])]):
        with pytest.raises(ConfigurationError, match="takes a list of TokenVerifier"):
            TokenVerifiers(verifiers)
    for again in (two.a.verifier, two.verifier(two.a, profile=AccessTokenProfile.KEYCLOAK)):
        with pytest.raises(ConfigurationError, match="two verifiers are for the same issuer"):
            TokenVerifiers([two.a.verifier, two.b.verifier, again])
    assert TokenVerifiers(iter([two.a.verifier])).describe()


def test_each_issuer_has_its_own_profile(verify, two):
    """The profile of the one does not open the door for the other's tokens."""
    verifiers = TokenVerifiers([two.a.verifier, two.verifier(two.b, profile=AccessTokenProfile.KEYCLOAK)])
    keycloak = {"azp": "client", "typ": "Bearer"}

    assert verify(verifiers, two.b.sign(two.b.claims(two.client, **keycloak), header={"typ": "JWT"}), two.client.peer)
    token = two.a.sign(two.a.claims(two.client, **keycloak), header={"typ": "JWT"})
    assert Reason.TOKEN_TYPE_REFUSED is refusal(verify, verifiers, token, two.client.peer)


def test_schemes(two):
    """All that one of the profiles permits."""
    with_mtls_pop = TokenVerifiers([two.a.verifier, two.verifier(two.b, profile=AccessTokenProfile.ENTRA_ID)])

    assert {"bearer"} == two.verifiers.schemes
    assert frozenset({"bearer", "mtls_pop"}) == with_mtls_pop.schemes


def test_describe(two):
    """What each says of itself, by issuer, as JSON."""
    described = two.verifiers.describe()

    assert described == json.loads(json.dumps(described))
    assert {"issuers": {A: two.a.verifier.describe(), B: two.b.verifier.describe()}} == described


def test_close(verify):
    """Closing closes each; afterwards, keys that were being fetched are not known, and fixed ones still are."""
    kit = BindingKit(issuer=A)
    remote = TokenVerifier.from_issuer("https://127.0.0.1:1", audience=kit.audience, ca=kit.ca_pem)
    with TokenVerifiers([kit.verifier, remote]) as verifiers:
        assert remote.describe()["keys"]["problem"] == "nothing was fetched yet"
    assert remote.describe()["keys"]["problem"] == "this key set was closed"
    assert verify(verifiers, kit.mint(kit.client()), kit.client().peer).thumbprint
    verifiers.close()


ISSUERS = TwoIssuers()
PEER, TOKENS = ISSUERS.client.peer, [kit.mint(ISSUERS.client) for kit in (ISSUERS.a, ISSUERS.b)]
SEGMENTS = [segment for token in TOKENS for segment in token.split(".")]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([A, B]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text() | st.just("iss"), children, max_size=3),
    max_leaves=5,
)
segments = st.sampled_from(SEGMENTS) | st.binary().map(lambda data: base64url(data).decode()) | st.text()
segments |= json_values.map(lambda value: base64url(json.dumps(value).encode()).decode())


@given(st.text() | st.binary() | json_values | st.lists(segments, min_size=2, max_size=4).map(".".join))
def test_verify_is_total(token):
    """Property: whatever comes, but for the two tokens as they were minted, is refused with InvalidToken."""
    try:
        bound = ISSUERS.verifiers.verify(token, PEER)
    except InvalidToken:
        assert token not in TOKENS
    else:
        assert token in TOKENS
        assert PEER.thumbprint == bound.thumbprint


@given(st.sampled_from("ab"), st.sampled_from("ab"), json_values | st.sampled_from([A, B]))
def test_whoever_signs_in_whatever_name(signer, owner, iss):
    """Property: a token is accepted only if it was signed by the key of the very issuer that it names."""
    kit, claims = getattr(ISSUERS, signer), getattr(ISSUERS, owner).claims(ISSUERS.client, iss=iss)
    try:
        bound = ISSUERS.verifiers.verify(kit.sign(claims), PEER)
    except InvalidToken:
        assert iss != kit.issuer.issuer
    else:
        assert iss == kit.issuer.issuer == bound.issuer
