"""`AccessTokenProfile`: of all that an issuer signs, its access tokens pass, and nothing else.

The tokens are in `issuer_tokens`, signed by a real key. The verifier answers to every name that stands in any ``aud``,
as an API does that is a client too, so that the profile alone decides.
"""

from hashlib import sha256, sha512
import hmac
import json

import pytest

from tokenbind import AccessTokenProfile, ConfigurationError, InvalidToken, KeySet, Reason, TokenVerifier
from tokenbind.tokens.compact import base64url

from .issuer_tokens import ENTRA_ID, KEYCLOAK, PROFILES, RFC9068, Issued


EVERYTHING = [
    *(pytest.param(issued, id=f"Keycloak: {issued.name}") for issued in KEYCLOAK),
    *(pytest.param(issued, id=f"Entra ID: {issued.name}") for issued in ENTRA_ID),
    *(pytest.param(issued, id=f"RFC 9068: {issued.name}") for issued in RFC9068),
]
ACCESS_TOKENS = [parameter for parameter in EVERYTHING if parameter.values[0].seen]
SHAPES = {parameter.id: parameter.values[0] for parameter in EVERYTHING}
SECONDS = 3900  # of a token of Entra ID


class HmacKey:
    """The key of a Keycloak realm that only Keycloak has."""

    algorithm, kid = "HS512", "0a2f5b1c"

    def sign(self, message):
        return hmac.digest(b"of the realm alone".ljust(64), message, sha512)


@pytest.fixture
def sign(tokenbind_kit, tokenbind_client, key_for):
    """A function of a token as it is issued, and of changes to its claims: the signed token."""

    def signed(issued, **changes):
        now = int(tokenbind_kit.clock())
        claims = {"iat": now, "exp": now + SECONDS, "cnf": {"x5t#S256": ...}} | issued.claims | changes
        if isinstance(claims["cnf"], dict):
            thumbprint = tokenbind_client.thumbprint
            claims["cnf"] = {name: thumbprint if value is ... else value for name, value in claims["cnf"].items()}
        key = HmacKey() if issued.algorithm == "HS512" else key_for(issued.algorithm)
        claims = {name: value for name, value in claims.items() if value is not ...}
        return tokenbind_kit.sign(claims, header={"typ": issued.typ}, key=key)

    return signed


@pytest.fixture
def verifier_for(tokenbind_kit, key_for):
    """A function of a token as it is issued, a profile, and options: the verifier of its issuer's tokens."""

    def made(issued, profile, **options):
        if profile is AccessTokenProfile.RFC9068:
            options = {"algorithms": ("RS256",)} | options  # the others have it
        key = key_for("RS256" if issued.algorithm == "HS512" else issued.algorithm)
        return TokenVerifier(
            issuer=issued.claims["iss"],
            audience={name for token in SHAPES.values() for name in _audience(token)},
            keys=KeySet.from_jwks({"keys": [key.public_jwk]}),
            profile=profile,
            clock=tokenbind_kit.clock,
            **options,
        )

    return made


def _audience(issued):
    audience = issued.claims["aud"]
    return audience if isinstance(audience, list) else [] if audience is ... else [audience]


def outcome(verify, verifier, token, peer):
    """The bound token, or why there is none."""
    try:
        return verify(verifier, token, peer)
    except InvalidToken as error:
        return error.reason


@pytest.mark.parametrize("issued", EVERYTHING)
def test_every_token_under_every_profile(verify, sign, verifier_for, tokenbind_client, issued):
    """Attack 49: what is no access token of this profile is refused, with the very reason, however well bound."""
    token = sign(issued)
    verdicts = [outcome(verify, verifier_for(issued, profile), token, tokenbind_client.peer) for profile in PROFILES]

    for profile, verdict, expected in zip(PROFILES, verdicts, issued.verdicts, strict=True):
        if expected:
            assert (profile.name, expected) == (profile.name, verdict)
        else:
            seen = verdict.subject, verdict.client_id, verdict.token_id, verdict.scopes, verdict.audience
            assert (*issued.seen, tokenbind_client.thumbprint) == (*seen, verdict.thumbprint)


@pytest.mark.parametrize("issued", ACCESS_TOKENS)
def test_the_thief(verify, sign, verifier_for, tokenbind_client, tokenbind_stranger, issued):
    """Each accepted token on another connection, and each without a binding, is worth nothing."""
    for profile in (profile for profile, verdict in zip(PROFILES, issued.verdicts, strict=True) if verdict is None):
        verifier = verifier_for(issued, profile)
        token, unbound = sign(issued), sign(issued, cnf=...)
        assert verify(verifier, token, tokenbind_client.peer).thumbprint
        assert Reason.CERTIFICATE_MISMATCH is outcome(verify, verifier, token, tokenbind_stranger.peer)
        assert Reason.CERTIFICATE_MISSING is outcome(verify, verifier, token, None)
        assert Reason.TOKEN_UNBOUND is outcome(verify, verifier, unbound, tokenbind_client.peer)


def test_what_is_missing_is_named(sign, verifier_for, tokenbind_client):
    """Keycloak's at+jwt is not RFC 9068's for want of client_id, and IdentityServer's is not for want of sub."""
    for name, claim in (
        ("Keycloak: user, at+jwt", "client_id"),
        ("RFC 9068: IdentityServer, client credentials", "sub"),
    ):
        with pytest.raises(InvalidToken, match=f"^{claim} is missing$"):
            verifier_for(SHAPES[name], AccessTokenProfile.RFC9068).verify(sign(SHAPES[name]), tokenbind_client.peer)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA"])
def test_algorithms(verify, sign, verifier_for, tokenbind_client, algorithm):
    """Each profile has the algorithms of its issuer: RS256 for all but RFC 9068, and nothing else for Entra ID."""
    for name, profile, permitted in (
        ("Keycloak: user", AccessTokenProfile.KEYCLOAK, True),
        ("Entra ID: v2.0, delegated", AccessTokenProfile.ENTRA_ID, algorithm == "RS256"),
        ("Entra ID: v1.0, delegated", AccessTokenProfile.ENTRA_ID_V1, algorithm == "RS256"),
        ("RFC 9068: authlib", AccessTokenProfile.RFC9068, algorithm != "RS256"),
    ):
        issued = SHAPES[name]._replace(algorithm=algorithm)
        verdict = outcome(verify, verifier_for(issued, profile, algorithms=None), sign(issued), tokenbind_client.peer)
        assert (verdict is not Reason.ALGORITHM_NOT_ENABLED) is permitted
        assert not permitted or tokenbind_client.thumbprint == verdict.thumbprint


def test_a_nonce_in_the_header(verify, sign, verifier_for, tokenbind_kit, tokenbind_client, key_for):
    """Tokens for Microsoft Graph: the header is signed with the hash of its nonce in its place, so no one else can.

    A header member as such is not minded: it is refused for its signature.
    """
    issued = SHAPES["Entra ID: v1.0, delegated"]
    verifier = verifier_for(issued, AccessTokenProfile.ENTRA_ID_V1)
    payload, nonce = sign(issued).split(".")[1], "Xv3zQ0dYk1"
    claims = json.loads(verify(verifier, sign(issued), tokenbind_client.peer)._token.payload)
    hashed = base64url(sha256(nonce.encode()).digest()).decode()
    signed = tokenbind_kit.sign(claims, header={"typ": "JWT", "nonce": hashed}, key=key_for("RS256"))
    as_sent = {"alg": "RS256", "typ": "JWT", "kid": key_for("RS256").kid, "nonce": nonce}
    sent = ".".join([base64url(json.dumps(as_sent).encode()).decode(), *signed.split(".")[1:]])

    assert payload == signed.split(".")[1]
    assert verify(verifier, signed, tokenbind_client.peer).thumbprint
    assert Reason.SIGNATURE_INVALID is outcome(verify, verifier, sent, tokenbind_client.peer)


def test_a_day_and_more(verify, sign, verifier_for, tokenbind_kit, tokenbind_client):
    """Continuous access evaluation: such tokens of Entra ID live up to 28 hours, which the API has to permit."""
    issued, hours_28 = SHAPES["Entra ID: v2.0, delegated"], 28 * 3600
    token = sign(issued, exp=int(tokenbind_kit.clock()) + hours_28)
    permitting = verifier_for(issued, AccessTokenProfile.ENTRA_ID, max_lifetime_seconds=hours_28)
    verifier = verifier_for(issued, AccessTokenProfile.ENTRA_ID)

    assert verify(permitting, token, tokenbind_client.peer).thumbprint
    assert Reason.TOKEN_LIFETIME_REFUSED is outcome(verify, verifier, token, tokenbind_client.peer)


@pytest.mark.parametrize("token", ["1.AUEB9y-8FNFf4kyhEE9xuaLOQa5QQkR44RNMmULsVk52m_Q.AgABAwEA", "a.b.c.d.e"])
def test_what_is_no_jwt(verify, verifier_for, tokenbind_client, token):
    """Refresh tokens of Entra ID are opaque, or encrypted."""
    verifier = verifier_for(SHAPES["Entra ID: v2.0, delegated"], AccessTokenProfile.ENTRA_ID)

    assert Reason.TOKEN_MALFORMED is outcome(verify, verifier, token, tokenbind_client.peer)


PING = {"iss": "https://as.example", "aud": "https://api.example", "sub": "alice", "client_id": "c", "jti": "1"}


def test_a_profile_for_an_issuer_without_typ(verify, sign, verifier_for, tokenbind_client, tokenbind_stranger):
    """As PingFederate's are unless it is told otherwise: a claim that the issuer adds tells its access tokens."""
    profile = AccessTokenProfile(
        name="ours", types={""}, claim_values={"token_use": "access"}, required_claims={"sub", "client_id", "jti"}
    )
    access = Issued("", PING | {"token_use": "access", "scope": "a"}, (), typ=...)
    verifier = verifier_for(access, profile, algorithms=("RS256",))

    assert {"a"} == verify(verifier, sign(access), tokenbind_client.peer).scopes
    assert Reason.CERTIFICATE_MISMATCH is outcome(verify, verifier, sign(access), tokenbind_stranger.peer)
    assert Reason.TOKEN_UNBOUND is outcome(verify, verifier, sign(access, cnf=...), tokenbind_client.peer)
    for other in (access._replace(typ="JWT"), access._replace(claims=PING), access._replace(typ="at+jwt")):
        assert Reason.TOKEN_TYPE_REFUSED is outcome(verify, verifier, sign(other), tokenbind_client.peer)
    for value in ("id", "Access", ["access"], None, {"access": 1}):
        token = sign(access, token_use=value)
        assert Reason.TOKEN_TYPE_REFUSED is outcome(verify, verifier, token, tokenbind_client.peer)


def test_a_profile_for_tokens_without_sub(verify, sign, verifier_for, tokenbind_client, tokenbind_stranger):
    """IdentityServer's client credentials: RFC 9068 but for ``sub``."""
    profile = AccessTokenProfile(name="ours", types={"at+jwt"}, required_claims={"client_id", "jti"})
    issued = SHAPES["RFC 9068: IdentityServer, client credentials"]
    verifier = verifier_for(issued, profile, algorithms=("RS256",))
    bound = verify(verifier, sign(issued), tokenbind_client.peer)

    assert (None, "web-shop") == (bound.subject, bound.client_id)
    assert Reason.CERTIFICATE_MISMATCH is outcome(verify, verifier, sign(issued), tokenbind_stranger.peer)
    for claim in ("client_id", "jti"):
        assert Reason.CLAIM_MISSING is outcome(verify, verifier, sign(issued, **{claim: ...}), tokenbind_client.peer)


def test_what_no_profile_can_do(verify, sign, verifier_for, tokenbind_client):
    """Amazon Cognito: a profile can tell its access tokens, but without ``aud`` nobody knows whom they are for."""
    profile = AccessTokenProfile(
        name="cognito", types={""}, claim_values={"token_use": "access"}, required_claims={"sub", "client_id", "jti"}
    )
    claims = PING | {"token_use": "access", "version": 2, "username": "alice", "auth_time": 1_700_000_000}
    issued = Issued("", claims, (), typ=...)
    verifier = verifier_for(issued, profile, algorithms=("RS256",))

    assert verify(verifier, sign(issued), tokenbind_client.peer).thumbprint
    assert Reason.CLAIM_MISSING is outcome(verify, verifier, sign(issued, aud=...), tokenbind_client.peer)


@pytest.mark.parametrize("claim", ["azp", "sid", "acr", "auth_time", "iss", "nonce", "sub", "jti", "client_id"])
def test_what_tells_nothing(claim):
    """A claim that ID tokens have too tells nothing: with it alone, Keycloak's ID tokens would pass."""
    for telling in ({"required_claims": {claim}}, {"required_claims": (), "claim_values": {claim: "x"}}):
        with pytest.raises(ConfigurationError, match="nothing in this profile tells"):
            AccessTokenProfile(name="ours", types={"jwt"}, **telling)
    for telling in ({"required_claims": {claim, "scp"}}, {"required_claims": {claim}, "refused_claims": {"nonce"}}):
        assert AccessTokenProfile(name="ours", types={"jwt"}, **telling).types == {"jwt"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_describe(profile):
    """Everything that a profile asks for is JSON, and says what it is."""
    described = profile.describe()

    assert described == json.loads(json.dumps(described))
    assert profile == AccessTokenProfile(**described)


def test_schemes(verifier_for):
    """The scheme of MSAL's bound tokens is permitted where they are issued, as a set."""
    schemes = [verifier_for(SHAPES["Keycloak: user"], profile).schemes for profile in PROFILES]

    assert [{"bearer"}, {"bearer", "mtls_pop"}, {"bearer", "mtls_pop"}, {"bearer"}] == schemes
    assert all(isinstance(names, frozenset) for names in schemes)
    mtls_pop = AccessTokenProfile(name="ours", types={"at+jwt"}, required_claims=(), schemes=["mtls_pop"])
    assert frozenset({"mtls_pop"}) == verifier_for(SHAPES["Keycloak: user"], mtls_pop).schemes
