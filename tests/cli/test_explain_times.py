"""What `tokenbind explain` says of times, how much it says, and what it cannot do."""

from datetime import datetime, timezone
import json

import pytest

from tokenbind import SigningKey, TokenIssuer
from tokenbind.cli import main


EVERYTHING = ["--jwks", "jwks.json", "--issuer", "https://as.example", "--audience", "https://api.example"]
KEYCLOAK = {"typ": "Bearer", "azp": "client", "client_id": ...}
NOW = 1_900_000_000
MOMENT = datetime.fromtimestamp(NOW, timezone.utc).isoformat()


@pytest.mark.parametrize(
    ("claims", "expected", "words"),
    [
        ({"exp": NOW}, ["token_expired"], "expired 0 seconds ago"),
        ({"exp": NOW - 600}, ["token_expired"], "expired 10 minutes ago"),
        ({"exp": NOW + 1, "iat": NOW + 10, "nbf": NOW + 10.0}, [], ""),
        ({"iat": NOW + 11}, ["token_not_yet_valid"], "iat lies 11 seconds in the future"),
        ({"nbf": NOW + 3 * 86_400}, ["token_not_yet_valid"], "nbf lies 3 days in the future"),
        ({"exp": NOW + 86_401}, ["token_lifetime_refused"], "lives for 24 hours"),
        ({"exp": (NOW + 300) * 1000}, ["claim_malformed"], "exp is no time in seconds since 1970, but in milliseconds"),
        ({"exp": True, "iat": "1", "nbf": 1e300}, ["claim_malformed"] * 3, "exp is no time in seconds since 1970."),
    ],
)
def test_the_times_of_the_token(explain, files, tokenbind_kit, tokenbind_client, claims, expected, words):
    """Looked at as of a moment, in either form."""
    claims = tokenbind_kit.claims(tokenbind_client, **({"iat": NOW, "exp": NOW + 300} | claims))
    (files / "far.pem").write_bytes(
        tokenbind_kit.ca.issue_cert("far", not_after=datetime(2040, 1, 1, tzinfo=timezone.utc))
        .cert_chain_pems[0]
        .bytes()
    )
    for moment in (NOW, MOMENT):
        told = explain(tokenbind_kit.sign(claims), "--cert", "far.pem", "--at", moment)
        assert expected == told.findings
        assert words in " ".join(told.text.split())


def test_the_dates_of_the_certificate(explain, files, tokenbind_kit):
    """The binding holds all the same, and TLS would refuse."""
    expired = tokenbind_kit.expired("expired")
    expired.write(files)
    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_kit.client(), cnf={"x5t#S256": expired.thumbprint}))
    told = explain(token, "--cert", "expired.pem")
    assert (1, ["matches"], ["certificate_expired"]) == told[:3]
    assert "TLS does" in told.text


def test_more_than_a_screen_holds(explain, files, tokenbind_kit):
    """The rest is counted; the JSON has it."""
    claims = {"cnf": {"x5t": "AAAA"}, "exp": 1, "iat": 10**11, "nbf": 10**11, "iss": "i" * 99, "aud": ["a" * 99] * 9}
    token = f"Bearer '\n{tokenbind_kit.sign(claims, header={'alg': 'none', 'crit': [], 'typ': 'x' * 99})}="
    told = explain(token, "--cert", "client.pem", *EVERYTHING)
    assert len(told.causes) + len(told.findings) > 10
    assert "more: --json has all" in told.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--cert no-such.pem", "cannot read no-such.pem"),
        ("--cert client.key", "holds a private key"),
        ("--cert client.pem --also client.key", "holds a private key"),
        ("--cert client.pem --jwks ca.pem", "ca.pem is not JSON"),
        ("--cert client.pem --jwks null.json", "a JWK Set is needed"),
        ("--cert client.pem --algorithm none", "the algorithm must be one of"),
        ("--cert client.pem --at yesterday", "--at must be a time such as"),
        (f"--cert client.pem --at {'9' * 30}", "--at must be a time such as"),
    ],
)
def test_what_cannot_be_done_is_status_2(files, capsys, arguments, message):
    """With a sentence."""
    (files / "null.json").write_text("null")
    assert 2 == main(["explain", "x", *arguments.split()])
    out, err = capsys.readouterr()
    assert ("", True) == (out, err.startswith("tokenbind: "))
    assert message in err


def test_the_verdict_is_that_of_the_same_settings(explain, files, tokenbind_kit, tokenbind_client):
    """Algorithm, profile and time are the verifier's too."""
    key = SigningKey.generate("RS256")
    issuer = TokenIssuer("https://as.example", key, clock=lambda: NOW)
    claims = tokenbind_kit.claims(tokenbind_client, **KEYCLOAK, iat=NOW, exp=NOW + 60)
    (files / "jwks.json").write_text(json.dumps(issuer.jwks()))
    token = tokenbind_kit.sign(claims, header={"typ": "JWT"}, key=key)
    told = explain(token, "--cert", "client.pem", *EVERYTHING, "--profile", "keycloak", "--at", NOW)
    assert {"verified": True} == told.report["verify"]
    told = explain(token, "--cert", "client.pem", *EVERYTHING, "--profile", "keycloak", "--at", NOW + 60)
    assert "token_expired" == told.report["verify"]["reason"]
