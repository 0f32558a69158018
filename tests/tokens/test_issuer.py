"""`TokenIssuer`: every token is bound, says what it was told, and never outlives its certificate."""

from datetime import datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from tokenbind import ConfigurationError, InvalidRequest, PeerCertificate, Reason, TokenIssuer
from tokenbind.tokens.compact import read_base64url, read_compact, read_header, read_json_object


RESERVED = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf"]


def claims_of(token):
    return read_json_object(read_base64url(read_compact(token.encode()).payload))


def test_a_minted_token(tokenbind_kit, tokenbind_client, tokenbind_clock):
    """Header and claims are those of RFC 9068 and RFC 8705, and no others."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    header, claims = read_header(read_compact(token.encode()).header), claims_of(token)
    now = tokenbind_clock()

    assert ("ES256", tokenbind_kit.key.kid, "at+jwt") == (header.algorithm, header.kid, header.type)
    assert 32 == len(token_id := claims.pop("jti"))
    assert {
        "iss": "https://as.example",
        "sub": "client",
        "client_id": "client",
        "aud": "https://api.example",
        "iat": now,
        "exp": now + 300,
        "scope": "invoices:read",
        "cnf": {"x5t#S256": tokenbind_client.thumbprint},
    } == claims
    assert isinstance(claims["iat"], int)
    assert token_id != claims_of(tokenbind_kit.mint(tokenbind_client))["jti"]


def test_subject_audiences_and_further_claims(tokenbind_kit, tokenbind_client):
    """Subject, several audiences and further claims stand in the token as given."""
    claims = claims_of(
        tokenbind_kit.mint(
            tokenbind_client,
            subject="alice",
            audience=("https://a.example", "https://b.example"),
            claims=MappingProxyType({"tenant": "t1", "roles": ["ü", None, {"a": 1.5}]}),
        )
    )

    assert ("alice", "client") == (claims["sub"], claims["client_id"])
    assert ["https://a.example", "https://b.example"] == claims["aud"]
    assert ("t1", ["ü", None, {"a": 1.5}]) == (claims["tenant"], claims["roles"])
    assert "scope" not in claims


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("value", [None, "x", {"x5t#S256": "A" * 43}])
def test_reserved_claims_cannot_be_touched(tokenbind_kit, tokenbind_client, name, value):
    """Attack 25: what the token's meaning rests on, the binding above all, is not for the caller to give."""
    with pytest.raises(ConfigurationError, match=f"must not have {name}:"):
        tokenbind_kit.mint(tokenbind_client, claims={"tenant": "t1", name: value})

    sneaky = StrEnum("Claim", {"CNF": "cnf"}).CNF
    with pytest.raises(ConfigurationError, match="cnf"):
        tokenbind_kit.mint(tokenbind_client, claims={sneaky: value})


@pytest.mark.parametrize("method", ["mint", "token_response"])
def test_without_a_certificate_there_is_no_token(tokenbind_kit, tokenbind_client, method):
    """Attack 26: no certificate is an error of the request, never an unbound token."""
    mint = getattr(tokenbind_kit.issuer, method)
    with pytest.raises(InvalidRequest) as caught:
        mint(None, client_id="client", audience="https://api.example")

    assert Reason.CERTIFICATE_MISSING is caught.value.reason
    assert mint(tokenbind_client.peer, client_id="client", audience="https://api.example")


def test_an_expired_certificate_gets_no_token(
    tokenbind_kit, tokenbind_client, tokenbind_expired_client, tokenbind_clock
):
    """A certificate that has ended proves nothing for any time to come; its last second is the one before its end."""
    end = tokenbind_client.peer.not_after.timestamp()
    tokenbind_clock.move(end - 1 - tokenbind_clock())
    assert end == claims_of(tokenbind_kit.mint(tokenbind_client))["exp"]

    tokenbind_clock.move(1)
    for client in (tokenbind_client, tokenbind_expired_client):
        with pytest.raises(InvalidRequest) as caught:
            tokenbind_kit.mint(client)
        assert Reason.CERTIFICATE_EXPIRED is caught.value.reason


@pytest.mark.parametrize(
    ("left", "lifetime", "true"), [(100, 300, 100), (300, 300, 300), (9000, 300, 300), (9000, 60, 60)]
)
def test_a_token_never_outlives_its_certificate(tokenbind_kit, tokenbind_client, tokenbind_clock, left, lifetime, true):
    """``exp`` is cut at the certificate's notAfter, and ``expires_in`` says so."""
    tokenbind_clock.move(tokenbind_client.peer.not_after.timestamp() - left - tokenbind_clock())
    response = tokenbind_kit.issuer.token_response(
        tokenbind_client.peer, client_id="client", audience="https://api.example", lifetime=lifetime
    )

    assert true == response["expires_in"]
    assert tokenbind_clock() + true == claims_of(response["access_token"])["exp"]


def test_only_a_thumbprint(tokenbind_kit, tokenbind_client, tokenbind_clock):
    """A thumbprint alone does not say how long it lives; `unsafe_not_after` does, and is held to like a certificate."""
    peer = PeerCertificate.from_thumbprint(tokenbind_client.thumbprint)
    arguments = {"client_id": "client", "audience": "https://api.example"}
    now = datetime.fromtimestamp(tokenbind_clock(), timezone.utc)
    mint = tokenbind_kit.issuer.mint

    for reason, options in (
        (Reason.CERTIFICATE_INCOMPLETE, {}),
        (Reason.CERTIFICATE_EXPIRED, {"unsafe_not_after": now}),
    ):
        with pytest.raises(InvalidRequest) as caught:
            mint(peer, **arguments, **options)
        assert reason is caught.value.reason
    with pytest.raises(ConfigurationError, match="timezone"):
        mint(peer, **arguments, unsafe_not_after=now.replace(tzinfo=None) + timedelta(days=1))
    claims = claims_of(mint(peer, **arguments, unsafe_not_after=now + timedelta(seconds=7.9)))
    assert (tokenbind_clock() + 7, {"x5t#S256": peer.thumbprint}) == (claims["exp"], claims["cnf"])


def test_unsafe_not_after_does_not_prolong_a_certificate(tokenbind_kit, tokenbind_expired_client):
    """With the certificate at hand, its own end counts, whatever the caller says."""
    with pytest.raises(InvalidRequest):
        tokenbind_kit.mint(tokenbind_expired_client, unsafe_not_after=datetime(9999, 1, 1, tzinfo=timezone.utc))


def test_junk_in_place_of_a_certificate_gets_no_token(tokenbind_kit):
    """A certificate that does not parse has no end, and gets no token."""
    peer = PeerCertificate.from_der(b"\x30\x82\x01\x00\x30" + bytes(255))
    with pytest.raises(InvalidRequest) as caught:
        tokenbind_kit.issuer.mint(peer, client_id="client", audience="https://api.example")

    assert Reason.CERTIFICATE_MALFORMED is caught.value.reason


@pytest.mark.parametrize(
    ("given_scope", "scope"),
    [
        (None, None),
        ("", None),
        ([], None),
        ("a", "a"),
        ("a b", "a b"),
        (["a", "b"], "a b"),
        (("a:b/c",), "a:b/c"),
        ({"a": 1}.keys(), "a"),
    ],
)
def test_scope_forms(tokenbind_kit, tokenbind_client, given_scope, scope):
    """Scopes come as one string or as a collection; the response repeats them, and without any, neither has a scope."""
    response = tokenbind_kit.issuer.token_response(
        tokenbind_client.peer, client_id="client", audience="https://api.example", scope=given_scope
    )

    assert scope == response.get("scope") == claims_of(response["access_token"]).get("scope")
    assert {"access_token", "token_type", "expires_in"} == set(response) - {"scope"}
    assert ("Bearer", 300) == (response["token_type"], response["expires_in"])


@pytest.mark.parametrize(
    "scope",
    [" ", "a  b", " a", "a ", "a\tb", "a\n", 'a"b', "a\\b", "ü", ["a b"], ["a", ""], [""], [7], [None], 7],
)
def test_scopes_that_cannot_be_written(tokenbind_kit, tokenbind_client, scope):
    """RFC 6749 §3.3: what would be read as other scopes than were meant is refused."""
    with pytest.raises(ConfigurationError, match="scope="):
        tokenbind_kit.mint(tokenbind_client, scope=scope)


circle = []
circle.append(circle)
NO_JSON = [float("nan"), float("inf"), object(), b"x", {1, 2}, {(1,): 1}, circle, "\ud800", datetime(2030, 1, 1)]  # noqa: DTZ001


@pytest.mark.parametrize("value", [*NO_JSON, pytest.param(10**5000, id="5000 digits")])
def test_claims_that_are_no_json(tokenbind_kit, tokenbind_client, value):
    """What JSON cannot say, or our own reader would refuse, is refused when minting."""
    with pytest.raises(ConfigurationError, match="plain JSON"):
        tokenbind_kit.mint(tokenbind_client, claims={"x": [value]})


@pytest.mark.parametrize("name", ["client_id", "subject", "audience"])
@pytest.mark.parametrize("value", ["", 7, b"x", [""], ["x", None], True])
def test_names_that_are_none(tokenbind_kit, tokenbind_client, name, value):
    """Client, subject and audiences are texts with something in them."""
    with pytest.raises(ConfigurationError, match="strings that are not empty"):
        tokenbind_kit.mint(tokenbind_client, **{name: value})


@pytest.mark.parametrize("audience", [None, [], ()])
def test_a_token_for_nobody(tokenbind_kit, tokenbind_client, audience):
    """RFC 9068 §2.2: a token has an audience."""
    with pytest.raises(ConfigurationError, match="audience="):
        tokenbind_kit.mint(tokenbind_client, audience=audience)


@pytest.mark.parametrize("lifetime", [0, -1, 86_401, 1.5, True, "300", None])
def test_lifetimes_that_cannot_be(tokenbind_kit, tokenbind_client, lifetime):
    """A lifetime is in whole seconds, and no longer than verifiers take; the limits pass."""
    with pytest.raises(ConfigurationError, match="lifetime="):
        tokenbind_kit.mint(tokenbind_client, lifetime=lifetime)

    for good in (1, 86_400):
        claims = claims_of(tokenbind_kit.mint(tokenbind_client, lifetime=good))
        assert good == claims["exp"] - claims["iat"]


@pytest.mark.parametrize("issuer", ["", None, 7, b"https://as.example"])
def test_an_issuer_needs_a_name(tokenbind_kit, issuer):
    """Without a name, nobody could trust the issuer."""
    with pytest.raises(ConfigurationError, match="must be a URL"):
        TokenIssuer(issuer, tokenbind_kit.key)


def test_any_signer(tokenbind_kit, tokenbind_client):
    """A key that lives elsewhere signs through the `Signer` protocol."""

    class Remote:
        algorithm, kid, public_jwk = tokenbind_kit.key.algorithm, tokenbind_kit.key.kid, tokenbind_kit.key.public_jwk
        signed = 0

        def sign(self, message):
            self.signed += 1
            return tokenbind_kit.key.sign(message)

    remote = Remote()
    issuer = TokenIssuer(tokenbind_kit.issuer.issuer, remote, clock=tokenbind_kit.clock)
    token = issuer.mint(tokenbind_client.peer, client_id="client", audience=tokenbind_kit.audience)

    assert tokenbind_client.thumbprint == tokenbind_kit.verifier.verify(token, tokenbind_client.peer).thumbprint
    assert 2 == remote.signed  # and once on trial
    assert {"keys": [tokenbind_kit.key.public_jwk]} == issuer.jwks()
    assert "https://as.example" == issuer.issuer


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
scopes = st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(names, children, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing in the kit changes between examples
@given(names, names, scopes, st.integers(1, 86_400), st.dictionaries(names.filter(lambda n: n not in RESERVED), values))
def test_whatever_is_minted_is_verified(tokenbind_kit, tokenbind_client, client_id, subject, scope, lifetime, claims):
    """Property: what the issuer says is what the verifier reads; nothing is minted that would be refused."""
    token = tokenbind_kit.mint(
        tokenbind_client, client_id=client_id, subject=subject, scope=scope, lifetime=lifetime, claims=claims
    )
    bound = tokenbind_kit.verifier.verify(token, tokenbind_client.peer)

    assert (client_id, subject, set(scope)) == (bound.client_id, bound.subject, bound.scopes)
    assert lifetime == (bound.expires_at - bound.issued_at).total_seconds()
    assert claims == {name: value for name, value in bound.claims.items() if name not in RESERVED}


def test_a_token_that_nobody_would_take_is_not_minted(tokenbind_kit, tokenbind_client):
    """Our own verifier takes 16,384 bytes; and a claim has one name, which is text."""
    for claims, hint in (({"x": "y" * 20_000}, "longer than 16384 bytes"), ({1: 2}, "names that are strings")):
        with pytest.raises(ConfigurationError, match=hint):
            tokenbind_kit.mint(tokenbind_client, claims=claims)


@pytest.mark.parametrize("peer", ["PEM", b"DER", 7])
def test_what_is_no_peer(tokenbind_kit, peer):
    """A mistake of the caller's."""
    with pytest.raises(ConfigurationError, match="must be a PeerCertificate"):
        tokenbind_kit.issuer.mint(peer, client_id="client", audience="https://api.example")


def test_what_is_refused_is_not_remembered(tokenbind_kit, tokenbind_client):
    """Clients ask for scopes, and could fill the memory with them."""
    for number in range(3):
        with pytest.raises(ConfigurationError, match="scope= make the token longer"):
            tokenbind_kit.mint(tokenbind_client, scope=f"{number}{'s' * 20_000}")

    assert 0 == tokenbind_kit.issuer._standing.cache_info().currsize


@pytest.mark.parametrize("claims", ["x", 7, ["ab"], [("a", 1)], True])
def test_claims_that_are_no_mapping(tokenbind_kit, tokenbind_client, claims):
    """Names have values, and pairs of characters are none."""
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        tokenbind_kit.mint(tokenbind_client, claims=claims)
