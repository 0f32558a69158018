"""Wrong construction fails at once, with a sentence that says what to do."""

from datetime import timedelta

import pytest

from tokenbind import AccessTokenProfile, ConfigurationError


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        *(("issuer", value, "issuer= must be the exact iss") for value in ("", None, 7, b"https://as.example")),
        *(("audience", value, "audience= must name") for value in ("", [], None, 7, [""], ["a", 7], [["a"]], b"a")),
        *(("keys", value, "keys= must be a KeySet") for value in (None, {"keys": []}, "https://as.example/jwks")),
        *(("algorithms", value, "algorithms= takes a tuple") for value in ((), "ES256", None)),
        *(("algorithms", (value,), "must be one of") for value in ("none", "HS256")),
        *(("not_before_leeway_seconds", value, "^not_before_.*from 0 to 60") for value in (-1, 61, None, "5")),
        *(("expiry_leeway_seconds", value, "^expiry_.*from 0 to 60") for value in (-1, 61, float("nan"), timedelta(0))),
        *(("max_lifetime_seconds", value, "must be a positive number") for value in (0, -1, None, float("nan"))),
        *(("cache_size", value, "cache_size= must be a whole number") for value in (-1, None, 1.5, "1024")),
        ("binding", "required", "must be a BindingPolicy"),
        ("binding", None, "must be a BindingPolicy"),
        ("profile", "RFC9068", "an AccessTokenProfile"),
        ("profile", tuple(AccessTokenProfile.RFC9068), "an AccessTokenProfile"),
    ],
)
def test_construction(verifier_of, option, value, hint):
    """What cannot be right fails when the verifier is built, with a sentence that names the keyword."""
    assert verifier_of()
    with pytest.raises(ConfigurationError, match=hint):
        verifier_of(**{option: value})
