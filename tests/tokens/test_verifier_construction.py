"""Wrong construction fails at once, with a sentence that says what to do."""

from datetime import timedelta

import pytest

from tokenbind import AccessTokenProfile, ConfigurationError, InvalidToken, Reason


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        *(("issuer", value, "issuer= must be the exact iss") for value in ("", None, 7, b"https://as.example")),
        *(("audience", value, "audience= must name") for value in ("", [], None, 7, [""], ["a", 7], [["a"]], b"a")),
        *(("keys", value, "keys= must be a KeySet") for value in (None, {"keys": []}, "https://as.example/jwks")),
        *(("algorithms", value, "algorithms= takes a tuple") for value in ((), "ES256", 5)),
        *(("algorithms", (value,), "must be one of") for value in ("none", "HS256")),
        *(("not_before_leeway_seconds", value, "^not_before_.*from 0 to 60") for value in (-1, 61, None, "5")),
        *(("expiry_leeway_seconds", value, "^expiry_.*from 0 to 60") for value in (-1, 61, float("nan"), timedelta(0))),
        *(("max_lifetime_seconds", value, "must be a positive number") for value in (0, -1, None, float("nan"))),
        *(("cache_size", value, "cache_size= must be a whole number") for value in (-1, None, 1.5, "1024")),
        *(("cache_key", value, "sha256") for value in (None, "md5", "SHA256")),
        ("binding", "required", "must be a BindingPolicy"),
        ("binding", None, "must be a BindingPolicy"),
        *((plugged, object(), "must have the method") for plugged in ("revocation", "monitor")),
        ("profile", "RFC9068", "an AccessTokenProfile"),
        ("profile", tuple(AccessTokenProfile.RFC9068), "an AccessTokenProfile"),
    ],
)
def test_construction(verifier_of, option, value, hint):
    """What cannot be right fails when the verifier is built, with a sentence that names the keyword."""
    assert verifier_of()
    with pytest.raises(ConfigurationError, match=hint):
        verifier_of(**{option: value})


@pytest.mark.parametrize("policy", [None, "when_present"])
def test_with_binding(verifier_of, policy):
    """A policy that is none is refused at once, and not at the first mismatch."""
    with pytest.raises(ConfigurationError, match="must be a BindingPolicy"):
        verifier_of().with_binding(policy)


def test_a_clock_that_is_no_clock(verifier_of, tokenbind_client, tokenbind_token):
    """NaN is neither before nor after anything, so no token is in time."""
    with pytest.raises(InvalidToken) as caught:
        verifier_of(clock=lambda: float("nan")).verify(tokenbind_token, tokenbind_client.peer)
    assert Reason.TOKEN_EXPIRED is caught.value.reason


PROFILE = {
    "name": "mine",
    "types": {"at+jwt"},
    "required_claims": (),
    "client_claim": "azp",
    "token_id_claim": "jti",
    "scope_claim": "scp",
}


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        *(
            (name, value, "collections of names")
            for name in ("types", "schemes", "required_claims", "refused_claims")
            for value in ("at+jwt", [5], None)
        ),
        *((name, value, "lower case") for name in ("types", "schemes") for value in ((), {"at+JWT"})),
        *((name, {""}, "not be empty") for name in ("schemes", "required_claims", "refused_claims")),
        *(("claim_values", value, "names and texts") for value in ({"typ"}, {"ver": 2}, {5: "x"})),
        ("algorithms", {"HS256"}, "HMAC"),
        *(("types", value, "nothing in this profile tells") for value in ({"jwt"}, {""}, {"at+jwt", "jwt"})),
        *((name, value, "not empty") for name in ("name", "client_claim", "scope_claim") for value in ("", None)),
    ],
)
def test_profile(option, value, hint):
    """With ``types="at+jwt"`` every part of that text would be a type, and ID tokens would pass."""
    assert {"at+jwt"} == AccessTokenProfile(**PROFILE).types
    with pytest.raises(ConfigurationError, match=hint):
        AccessTokenProfile(**PROFILE | {option: value})
