"""The claims of a token, judged one by one (RFC 7519 §4.1, RFC 9068 §4)."""

import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import AccessTokenProfile, BoundToken, InvalidToken, Reason
from tokenbind.binding import Confirmation
from tokenbind.tokens.claims import ClaimsPolicy, claims_policy, claims_reader


NOW = 1_800_000_000
POLICY = ClaimsPolicy(
    issuer="https://as.example",
    audience=frozenset({"https://api.example", "https://alias.example"}),
    profile=AccessTokenProfile.RFC9068,
    not_before_leeway=10,
    max_lifetime=86_400,
)
GOOD = {
    "iss": "https://as.example",
    "aud": "https://api.example",
    "sub": "alice",
    "client_id": "billing",
    "jti": "t1",
    "iat": NOW,
    "exp": NOW + 300,
    "scope": "invoices:read invoices:write",
    "cnf": {"x5t#S256": "A" * 43},
}


def judge(policy=POLICY, **changes):
    """The verified token, or why there is none; a change to ``...`` takes a claim away."""
    claims = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    try:
        return claims_reader(policy)(json.dumps(claims).encode(), NOW)
    except InvalidToken as error:
        return error.reason


def scopes_of(token):
    return BoundToken(token, None, None).scopes


def test_good_claims():
    """Everything is as in the token; what RFC 9068 does not require may be missing."""
    token = judge()

    assert ("https://as.example", "alice", "billing", "t1") == token[:4]
    assert "https://api.example" == token.audience
    assert {"invoices:read", "invoices:write"} == scopes_of(token)
    assert (NOW, NOW + 300) == (token.issued_at, token.expires_at)
    assert Confirmation("A" * 43) == token.confirmation
    assert GOOD == json.loads(token.payload)
    bare = judge(scope=..., cnf=...)
    assert (set(), None) == (scopes_of(bare), bare.confirmation)


@pytest.mark.parametrize(
    "iss", ["https://as.example/", "https://AS.example", "https://as.example\u200b", "https://as.ex\u0430mple", ""]
)
def test_another_issuer(iss):
    """Attack 51: the issuer is compared exactly, without any normalisation."""
    assert Reason.ISSUER_MISMATCH is judge(iss=iss)


@pytest.mark.parametrize(
    "aud",
    [
        "https://api.example/",
        "https://API.example",
        "https://api",
        "https://api.example.evil",
        "",
        ["https://other.example"],
    ],
)
def test_another_audience(aud):
    """Attack 50: the audience is compared exactly; no prefix and no other case."""
    assert Reason.AUDIENCE_MISMATCH is judge(aud=aud)


@pytest.mark.parametrize("aud", [[], {}, 7, True, ["https://api.example", 7], [["https://api.example"]], {"a": 1}])
def test_malformed_audience(aud):
    """An audience that is neither text nor a list of texts is malformed, even if ours is in it."""
    assert Reason.CLAIM_MALFORMED is judge(aud=aud)


def test_one_of_several_audiences():
    """One of the token's audiences has to be one of ours."""
    assert ("https://x.example", "https://alias.example") == judge(
        aud=["https://x.example", "https://alias.example"]
    ).audience


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"])
def test_required_claims(name):
    """Attacks 50 to 54: what RFC 9068 §2.2 requires must be there."""
    assert Reason.CLAIM_MISSING is judge(**{name: ...})


@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
def test_required_claims_that_say_nothing(name):
    """An empty name is as good as none, and null is no name."""
    assert Reason.CLAIM_MISSING is judge(**{name: ""})
    assert Reason.CLAIM_MALFORMED is judge(**{name: None})


@pytest.mark.parametrize("value", [7, True, [], {}, ["x"], None, 1.5])
@pytest.mark.parametrize("name", ["iss", "scope", "sub", "client_id", "jti"])
def test_texts_of_another_type(name, value):
    """A claim that is a text in every good token is refused in another type."""
    assert Reason.CLAIM_MALFORMED is judge(**{name: value})


@pytest.mark.parametrize("value", [True, False, "1800000100", [], None, -1, 10**30, 1e999, float("1e300"), -1e-9])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_dates_of_another_type(name, value):
    """Attack 52: a date is a finite, positive number that a datetime can hold; neither a bool nor a text."""
    claims = json.dumps(GOOD | {name: value}).replace("Infinity", "1e999").encode()
    with pytest.raises(InvalidToken) as caught:
        claims_reader(POLICY)(claims, NOW)

    assert caught.value.reason is (Reason.TOKEN_MALFORMED if value == 1e999 else Reason.CLAIM_MALFORMED)


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_not_before(name):
    """Attack 53: 8 and 10 seconds of another clock are forgiven, 11 and 62 are not; ``nbf`` need not be there."""
    for ahead in (8, 10):
        assert "t1" == judge(**{name: NOW + ahead}).token_id
    for ahead in (10.001, 62):
        assert Reason.TOKEN_NOT_YET_VALID is judge(**{name: NOW + ahead})
    assert Reason.TOKEN_NOT_YET_VALID is judge(POLICY._replace(not_before_leeway=0), **{name: NOW + 1})


def test_lifetime():
    """A token that lives longer than is allowed is refused, with the keyword to set in the message."""
    policy = POLICY._replace(max_lifetime=600)

    assert "t1" == judge(policy, iat=NOW - 300).token_id
    assert Reason.TOKEN_LIFETIME_REFUSED is judge(policy, iat=NOW - 301)
    with pytest.raises(InvalidToken, match="max_lifetime_seconds=600"):
        claims_reader(policy)(json.dumps(GOOD | {"iat": 0}).encode(), NOW)


@pytest.mark.parametrize(
    ("scope", "scopes"), [("", set()), ("a", {"a"}), ("a b a", {"a", "b"}), (" a  b ", {"a", "b"}), ("a\tb", {"a\tb"})]
)
def test_scope(scope, scopes):
    """Scopes are separated by spaces, and by nothing else (RFC 6749 §3.3)."""
    assert scopes == scopes_of(judge(scope=scope))


def test_a_bad_confirmation_is_the_tokens_fault():
    """A malformed ``cnf`` refuses the token before any peer is looked at."""
    assert Reason.CONFIRMATION_MALFORMED is judge(cnf=None)
    assert Reason.CONFIRMATION_UNSUPPORTED is judge(cnf={"jkt": "x"})


def test_a_profile_names_the_claims():
    """Another profile reads the same meaning from other names, and requires what it says."""
    profile = AccessTokenProfile(
        name="other",
        types=["jwt"],
        required_claims=["azp", "tid"],
        client_claim="azp",
        token_id_claim="uti",
        scope_claim="scp",
    )
    policy = claims_policy(POLICY.issuer, POLICY.audience, profile, 10, 86_400)
    token = judge(policy, azp="billing", tid="t", scp="a", client_id=..., jti=..., sub=..., scope=...)

    assert (None, "billing", None, {"a"}) == (token.subject, token.client_id, token.token_id, scopes_of(token))
    for missing in ({}, {"tid": None}, {"tid": ""}, {"azp": ""}):
        assert Reason.CLAIM_MISSING is judge(policy, **({"azp": "billing"} | missing))
    assert "billing" == judge(policy, azp="billing", tid=0).client_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "nbf"]), json_values | st.just(...), min_size=1))
def test_read_claims_is_total(changes):
    """Property: whatever the issuer signed, a token or a reason comes out."""
    outcome = judge(**changes)

    assert isinstance(outcome, Reason) or outcome.issuer == POLICY.issuer
