"""`TokenVerifier`: what it decides. With the fixture `verify`, a test runs both ways, sync and async."""

import asyncio
from datetime import datetime, timezone

import jwt
import pytest

from tokenbind import (
    BindingPolicy,
    ConfigurationError,
    InvalidToken,
    KeySet,
    Reason,
    SigningKey,
    TokenVerifiers,
    Unavailable,
)
from tokenbind.tokens.compact import base64url
from tokenbind.tokens.signed_tokens import HEADERS_REMEMBERED, MAX_TOKEN_BYTES


def refusal(verify, *arguments):
    with pytest.raises(InvalidToken) as caught:
        verify(*arguments)
    return caught.value.reason


def test_the_right_certificate(verify, tokenbind_kit, tokenbind_client, tokenbind_token):
    """The token on its own connection is accepted, as text and as bytes."""
    for token in (tokenbind_token, tokenbind_token.encode()):
        bound = verify(tokenbind_kit.verifier, token, tokenbind_client.peer)
        assert ("client", tokenbind_client.thumbprint) == (bound.subject, bound.thumbprint)


def test_the_thief(verify, tokenbind_kit, tokenbind_token, tokenbind_stranger, tokenbind_renewed_client):
    """Attacks 1 to 3: the same token with no, another, or a renewed certificate is worth nothing."""
    arguments = (verify, tokenbind_kit.verifier, tokenbind_token)

    assert Reason.CERTIFICATE_MISSING is refusal(*arguments, None)
    for thief in (tokenbind_stranger, tokenbind_renewed_client):
        assert Reason.CERTIFICATE_MISMATCH is refusal(*arguments, thief.peer)


@pytest.mark.parametrize("peer", ["PEM", b"DER", 7, object])
def test_what_is_no_peer(verify, tokenbind_kit, tokenbind_token, peer):
    """A mistake of the caller's has its own error, that says what to give."""
    with pytest.raises(ConfigurationError, match=r"such as PeerCertificate.from_pem\(text\)"):
        verify(tokenbind_kit.verifier, tokenbind_token, peer)


def test_a_defect_is_not_taken_for_a_wrong_peer(verify, verifier_of, tokenbind_client, tokenbind_token):
    """What a revocation source raises is its own."""

    class Broken:
        def check(self, token, presented):
            return self.nothing

    with pytest.raises(AttributeError, match="nothing"):
        verify(verifier_of(revocation=Broken()), tokenbind_token, tokenbind_client.peer)


def test_reprs(tokenbind_kit):
    """They name what they are for."""
    assert "<TokenVerifier of https://as.example for https://api.example>" == repr(tokenbind_kit.verifier)
    assert "<TokenIssuer https://as.example>" == repr(tokenbind_kit.issuer)
    assert "<TokenVerifiers of https://as.example>" == repr(TokenVerifiers([tokenbind_kit.verifier]))
    assert "<KeySet of 1 keys>" == repr(KeySet.from_jwks(tokenbind_kit.issuer.jwks()))


def test_binding_policies(verify, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_token):
    """Each policy, on the same verifier: what it lets pass, and that the rest stays refused."""
    kit, unbound = tokenbind_kit, tokenbind_kit.unbound(tokenbind_client)
    until = datetime.fromtimestamp(kit.clock() + 200, timezone.utc)
    when_present = kit.verifier.with_binding(BindingPolicy.WHEN_PRESENT)
    report_only = kit.verifier.with_binding(BindingPolicy.unsafe_report_only(until=until))

    assert Reason.TOKEN_UNBOUND is refusal(verify, kit.verifier, unbound, tokenbind_client.peer)
    assert None is verify(when_present, unbound, None).thumbprint
    assert Reason.CERTIFICATE_MISMATCH is refusal(verify, when_present, tokenbind_token, tokenbind_stranger.peer)
    stolen = verify(report_only, tokenbind_token, tokenbind_stranger.peer)
    assert (None, Reason.CERTIFICATE_MISMATCH) == (stolen.thumbprint, stolen.binding_refusal)
    jkt = kit.sign(kit.claims(tokenbind_client, cnf={"jkt": "x"}))
    for verifier in (when_present, report_only):
        assert Reason.CONFIRMATION_UNSUPPORTED is refusal(verify, verifier, jkt, tokenbind_client.peer)
    kit.clock.move(200)
    assert Reason.CERTIFICATE_MISMATCH is refusal(verify, report_only, tokenbind_token, tokenbind_stranger.peer)


@pytest.mark.parametrize("typ", ["at+jwt", "at+JWT", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_types_of_access_tokens(tokenbind_kit, tokenbind_client, typ):
    """RFC 9068 §4: both spellings of the media type are taken, in any case."""
    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client), header={"typ": typ})

    assert tokenbind_kit.verifier.verify(token, tokenbind_client.peer).thumbprint


@pytest.mark.parametrize("typ", ["JWT", "at+jwt ", "at", "jwt", "", "dpop+jwt", "logout+jwt", "application/jwt", ...])
def test_types_of_other_tokens(verify, tokenbind_kit, tokenbind_client, typ):
    """Attack 49: a good signature under another ``typ``, or none, is another kind of token."""
    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client), header={"typ": typ})

    assert Reason.TOKEN_TYPE_REFUSED is refusal(verify, tokenbind_kit.verifier, token, tokenbind_client.peer)


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "HS256", "es256", "ES256K", "RSA-OAEP", "", "ES256\n"])
def test_algorithms_that_do_not_exist_here(verify, tokenbind_kit, tokenbind_client, alg):
    """Attacks 39 and 40: an algorithm outside the list is refused, whatever the signature is."""
    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client), header={"alg": alg})
    key = tokenbind_kit.key.public_jwk["x"].ljust(64)  # "signed" with what everyone knows
    hmac = jwt.encode(tokenbind_kit.claims(tokenbind_client), key, "HS256", {"typ": "at+jwt"})

    for forged in (token, token[: token.rindex(".") + 1] + "AA", hmac):
        assert Reason.ALGORITHM_REFUSED is refusal(verify, tokenbind_kit.verifier, forged, tokenbind_client.peer)


def test_an_algorithm_that_is_not_enabled(verify, verifier_of, tokenbind_kit, tokenbind_client, key_for):
    """A real algorithm that was not chosen has its own reason, and the keyword to set; set so, it is accepted."""
    key = key_for("RS256")
    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client), key=key)
    keys = KeySet.from_jwks({"keys": [key.public_jwk]})
    with pytest.raises(InvalidToken, match=r'algorithms=\("RS256",\)') as caught:
        verify(verifier_of(keys=keys), token, tokenbind_client.peer)

    assert Reason.ALGORITHM_NOT_ENABLED is caught.value.reason
    enabled = verifier_of(keys=keys, algorithms=("RS256",))
    assert verify(enabled, token, tokenbind_client.peer).thumbprint


def test_keys(verify, verifier_of, tokenbind_kit, tokenbind_client):
    """Attacks 41 and 45: an unknown key, another issuer's, and a key under another algorithm, are refused."""
    kit, claims, peer = tokenbind_kit, tokenbind_kit.claims(tokenbind_client), tokenbind_client.peer
    stranger = SigningKey.generate()
    verifier = verifier_of()

    assert Reason.KEY_UNKNOWN is refusal(verify, verifier, kit.sign(claims, key=stranger), peer)
    forged = kit.sign(claims, key=stranger, header={"kid": kit.key.kid})
    assert Reason.SIGNATURE_INVALID is refusal(verify, verifier, forged, peer)
    assert Reason.ALGORITHM_REFUSED is refusal(verify, verifier, kit.sign(claims, header={"alg": "PS256"}), peer)
    assert verify(verifier, kit.sign(claims, header={"kid": ...}), peer).thumbprint


@pytest.mark.parametrize("keep", [0, 1, 63, 65, 71, 72])
def test_signatures_of_another_form(verify, tokenbind_kit, tokenbind_client, tokenbind_token, keep):
    """Attack 42: an ECDSA signature has 64 bytes; other lengths, zeros, and the DER form are refused."""
    message = tokenbind_token[: tokenbind_token.rindex(".") + 1]
    token = message + base64url(bytes(keep)).decode() if keep else message + "A" * 86

    reason = refusal(verify, tokenbind_kit.verifier, token, tokenbind_client.peer)
    assert reason in {Reason.SIGNATURE_INVALID, Reason.TOKEN_MALFORMED}
    assert verify(tokenbind_kit.verifier, tokenbind_token, tokenbind_client.peer).thumbprint


def test_claims_are_judged(verify, tokenbind_kit, tokenbind_client):
    """What the issuer signed is still held against this verifier: its issuer, its audience, its clock."""
    kit, peer = tokenbind_kit, tokenbind_client.peer
    now = kit.clock()
    for changes, reason in (
        ({"iss": "https://other.example"}, Reason.ISSUER_MISMATCH),
        ({"aud": "https://other.example"}, Reason.AUDIENCE_MISMATCH),
        ({"iat": now - 300, "exp": now}, Reason.TOKEN_EXPIRED),
        ({"nbf": now + 11}, Reason.TOKEN_NOT_YET_VALID),
        ({"exp": now + 86_401}, Reason.TOKEN_LIFETIME_REFUSED),
        ({"jti": ...}, Reason.CLAIM_MISSING),
        ({"sub": 7}, Reason.CLAIM_MALFORMED),
    ):
        token = kit.sign(kit.claims(tokenbind_client, **changes))
        assert reason is refusal(verify, kit.verifier, token, peer)


def test_leeways_and_limits_are_those_that_were_given(verify, verifier_of, tokenbind_kit, tokenbind_client):
    """Each keyword moves its own limit, and the token just past it is refused."""
    kit, peer, now = tokenbind_kit, tokenbind_client.peer, tokenbind_kit.clock()
    for option, value, inside, outside in (
        ("not_before_leeway_seconds", 60, {"nbf": now + 60}, {"nbf": now + 61}),
        ("not_before_leeway_seconds", 0, {"nbf": now}, {"nbf": now + 1}),
        ("expiry_leeway_seconds", 60, {"iat": now - 99, "exp": now - 59}, {"iat": now - 99, "exp": now - 60}),
        ("max_lifetime_seconds", 60, {"exp": now + 60}, {"exp": now + 61}),
        ("audience", ("https://a", "https://b"), {"aud": ["https://x", "https://b"]}, {"aud": "https://c"}),
    ):
        verifier = verifier_of(**{option: value})
        assert verify(verifier, kit.sign(kit.claims(tokenbind_client, **{"aud": kit.audience, **inside})), peer)
        refusal(verify, verifier, kit.sign(kit.claims(tokenbind_client, **outside)), peer)


@pytest.mark.parametrize("token", [None, 7, b"", "", bytearray(b"a.b.c"), "tökén.a.b", "\udc80", ["a.b.c"], "a.b.c\n"])
def test_what_is_no_token(verify, tokenbind_kit, tokenbind_client, token):
    """Junk of any type is `token_malformed`, and nothing of it is repeated."""
    with pytest.raises(InvalidToken) as caught:
        verify(tokenbind_kit.verifier, token, tokenbind_client.peer)

    assert Reason.TOKEN_MALFORMED is caught.value.reason
    assert "kén" not in str(caught.value)


def test_empty_segments(verify, tokenbind_kit, tokenbind_client, tokenbind_token):
    """Attack 59: a segment with nothing in it is malformed, whatever the others are."""
    header, payload, signature = tokenbind_token.split(".")
    for token in ("..", f".{payload}.{signature}", f"{header}..{signature}", f"{header}.{payload}."):
        assert Reason.TOKEN_MALFORMED is refusal(verify, tokenbind_kit.verifier, token, tokenbind_client.peer)


@pytest.mark.parametrize("leeway", [0, 30, 60])
def test_expiry(verify, verifier_of, tokenbind_kit, tokenbind_client, leeway):
    """RFC 7519 §4.1.4: at ``exp``, plus the leeway, a token has expired, known or new; just before, it has not."""
    kit, verifier = tokenbind_kit, verifier_of(expiry_leeway_seconds=leeway)
    known, new = (kit.mint(tokenbind_client, lifetime=100) for _ in range(2))
    kit.clock.move(100 + leeway - 0.001)
    assert verify(verifier, known, tokenbind_client.peer).thumbprint
    kit.clock.move(0.001)

    for expired in (known, new):
        assert Reason.TOKEN_EXPIRED is refusal(verify, verifier, expired, tokenbind_client.peer)


def test_length(verify, tokenbind_kit, tokenbind_client):
    """Attack 60: a token past the limit is refused before it is looked at; one at the limit is accepted."""
    claims = tokenbind_kit.claims(tokenbind_client)
    missing = MAX_TOKEN_BYTES - len(tokenbind_kit.sign(claims | {"x": ""}))
    token = tokenbind_kit.sign(claims | {"x": "x" * (missing * 3 // 4)})
    with pytest.raises(InvalidToken, match="longer than 16384") as caught:
        verify(tokenbind_kit.verifier, token + "A" * (MAX_TOKEN_BYTES + 1 - len(token)), tokenbind_client.peer)

    assert MAX_TOKEN_BYTES - 4 < len(token) <= MAX_TOKEN_BYTES
    assert Reason.TOKEN_MALFORMED is caught.value.reason
    assert verify(tokenbind_kit.verifier, token, tokenbind_client.peer).thumbprint


def test_headers_that_are_remembered_are_few(verifier_of, tokenbind_kit, tokenbind_client):
    """However many headers an issuer uses, a bounded number is remembered, and none of a token that was refused."""
    verifier, claims = verifier_of(), tokenbind_kit.claims(tokenbind_client)
    for number in range(HEADERS_REMEMBERED + 9):
        token = tokenbind_kit.sign(claims, header={"x": number})
        before = dict(verifier._tokens._generation.headers)
        refusal(verifier.verify, token[:-4] + "AAAA", tokenbind_client.peer)
        assert before == verifier._tokens._generation.headers
        assert verifier.verify(token, tokenbind_client.peer).thumbprint
        assert 1 <= len(verifier._tokens._generation.headers) <= HEADERS_REMEMBERED


class FetchedKeys:
    """A source whose keys have to be waited for, or cannot be had."""

    def __init__(self, fetched):
        self.fetched, self.keys, self.blocked = fetched, None, 0

    def current(self):
        if self.keys is None:
            raise Unavailable(Reason.KEYS_UNAVAILABLE, "no keys yet")
        return self.keys

    def refetch(self, seen):
        self.blocked += 1
        self.keys = self.fetched
        return self.keys is not seen

    async def refetch_async(self, seen):
        await asyncio.sleep(0)
        self.keys = self.fetched
        return self.keys is not seen


def test_keys_that_are_fetched(verify, verifier_of, tokenbind_kit, tokenbind_client, tokenbind_token):
    """A verifier waits for the first keys in its own way; `verify_async` does not ask the blocking way."""
    keys = FetchedKeys(KeySet.from_jwks(tokenbind_kit.issuer.jwks()))
    verifier = verifier_of(keys=keys)

    for _ in range(2):
        assert verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
    assert keys.blocked <= 1
    keys.keys = None
    assert asyncio.run(verifier.verify_async(tokenbind_token, tokenbind_client.peer)).thumbprint
    assert keys.blocked <= 1


def test_keys_that_cannot_be_had(verify, verifier_of, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """Keys that are `Unavailable` are neither "yes" nor "no": the error passes through, and is reported once."""
    with pytest.raises(Unavailable) as caught:
        verify(verifier_of(keys=FetchedKeys(None)), tokenbind_token, tokenbind_client.peer)

    assert Reason.KEYS_UNAVAILABLE is caught.value.reason
    assert [Reason.KEYS_UNAVAILABLE] == [event.reason for event in tokenbind_monitor.events]


def test_a_key_that_is_new(verify, verifier_of, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """An unknown kid asks for newer keys, once; a token that these refuse too has the reason of the second look."""
    old = KeySet.from_jwks({"keys": [SigningKey.generate().public_jwk]})
    forged = tokenbind_token[: tokenbind_token.rindex(".") + 1] + "A" * 86
    for token, reason in ((tokenbind_token, None), (forged, Reason.SIGNATURE_INVALID)):
        keys = FetchedKeys(KeySet.from_jwks(tokenbind_kit.issuer.jwks()))
        keys.keys = old
        verifier = verifier_of(keys=keys)
        if reason:
            assert reason is refusal(verify, verifier, token, tokenbind_client.peer)
        else:
            assert verify(verifier, token, tokenbind_client.peer).thumbprint
        assert reason is tokenbind_monitor.last_reason
    assert 2 == len(tokenbind_monitor.events)
