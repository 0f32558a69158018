"""What else `tokenbind explain` finds: the form, the kind, the header, the signature, the names and the times."""

from base64 import urlsafe_b64encode
import io
import json

import pytest

from tokenbind import SigningKey
from tokenbind.cli import main


JWKS = ["--jwks", "jwks.json"]
NAMES = ["--issuer", "https://as.example", "--audience", "https://api.example"]


@pytest.fixture
def found(explain, files, tokenbind_kit, tokenbind_client):
    """What is found in a token of client.pem with these changes; and that nothing is in the one without them."""

    def found(*arguments, header=None, key=None, **claims):
        assert (0, ["matches"], []) == explain(tokenbind_kit.mint(tokenbind_client), "--cert", "client.pem")[:3]
        token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, **claims), header=header, key=key)
        return explain(token, "--cert", "client.pem", *arguments)

    return found


def test_with_all_that_it_takes_the_verifier_has_its_say(explain, files, tokenbind_client, tokenbind_token):
    """It accepts the token, or its first refusal is shown."""
    accepted = explain(tokenbind_token, "--cert", "client.pem", *JWKS, *NAMES)
    assert (0, ["matches"], [], {"verified": True}) == (*accepted[:3], accepted.report["verify"])
    assert "not checked  -" in accepted.text
    assert "verify       VERIFIED" in accepted.text

    refused = explain(tokenbind_token, "--cert", "stranger.pem", *JWKS, *NAMES)
    assert (1, "certificate_mismatch") == (refused.status, refused.report["verify"]["reason"])
    assert "REFUSED certificate_mismatch: " in refused.text


def test_what_only_the_verifier_finds_is_not_lost(found):
    """It matches, nothing is found, and it is refused all the same."""
    told = found(*JWKS, *NAMES, sub=1)
    assert (1, ["matches"], []) == told[:3]
    assert "REFUSED claim_malformed: sub is not a string" in told.text


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("Bearer {}", ["token_has_scheme"]),
        ("Authorization: bearer {}", ["token_has_scheme"]),
        ('"{}"', ["token_quoted"]),
        ("'Bearer {}'", ["token_has_scheme", "token_quoted"]),
        ('Bearer "{}"', ["token_has_scheme", "token_quoted"]),
        (" {}", ["token_white_space"]),
        ("{}\n", ["token_white_space"]),
        ("Bearer  {}\r\n", ["token_has_scheme", "token_white_space"]),
        ("{}=", ["token_malformed"]),
    ],
)
def test_what_stands_around_a_token_is_named_and_looked_through(explain, files, tokenbind_token, form, expected):
    """The binding is looked at all the same."""
    told = explain(form.format(tokenbind_token), "--cert", "client.pem", *JWKS)
    assert (1, ["matches"]) == told[:2]
    assert expected == [name for name in told.findings if name != "signature_invalid"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", ["token_missing"]),
        ('""', ["token_quoted", "token_missing"]),
        ("0123456789abcdef", ["token_opaque"]),
        ("a.b", ["token_opaque"]),
        ("a.b.c", ["token_opaque"]),
        ("W10.e30.c2ln", ["token_opaque"]),
        ("eyJhbGciOiJFUzI1NiJ9.a.b.c.d", ["token_encrypted"]),
        ("eyJhbGciOiJFUzI1NiJ9.!.c2ln", ["token_malformed"]),
        ("eyJhbGciOiJFUzI1NiJ9.W1tb.c2ln", ["token_malformed"]),
        ("x" * 16_385, ["token_too_long"]),
        ("é.ü.ß", ["token_opaque"]),
        ("\udcff", ["token_opaque"]),
    ],
)
def test_what_is_no_compact_jwt(explain, files, tokenbind_kit, token, expected):
    """There is no saying what it is bound to, and the verifier refuses it."""
    told = explain(token, "--cert", "client.pem", *JWKS, *NAMES)
    assert (1, ["unreadable"], expected) == told[:3]
    assert not told.report["verify"]["verified"]


def test_a_final_line_break_of_standard_input_is_not_the_tokens(files, tokenbind_token, monkeypatch):
    """All else is."""
    for text, status in ((f"{tokenbind_token}\r\n", 0), (f" {tokenbind_token}", 1)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert status == main(["explain", "-", "--cert", "client.pem"])


KEYCLOAK = {"typ": "Bearer", "azp": "client", "client_id": ...}
ENTRA = {"ver": "2.0", "tid": "t", "azp": "client", "azpacr": "2", "uti": "u", "client_id": ..., "jti": ...}
ENTRA_V1 = {"ver": "1.0", "tid": "t", "appid": "client", "appidacr": "2", "uti": "u", "client_id": ..., "jti": ...}
JWT = {"typ": "JWT"}


@pytest.mark.parametrize(
    ("claims", "attribute", "argument"),
    [
        (KEYCLOAK, "KEYCLOAK", "keycloak"),
        (ENTRA, "ENTRA_ID", "entra-id"),
        (ENTRA_V1, "ENTRA_ID_V1", "entra-id-v1"),
    ],
)
def test_the_profile_that_would_take_it(found, claims, attribute, argument):
    """It is named; with it, the algorithms that it brings count."""
    key = SigningKey.generate("RS256")
    told = found(header=JWT, key=key, **claims)
    assert ["wrong_profile", "algorithm_not_enabled"] == told.findings
    assert f"profile=AccessTokenProfile.{attribute}" in told.text
    assert 'algorithms=("RS256",)' in told.text
    assert [] == found("--profile", argument, header=JWT, key=key, **claims).findings
    assert ["algorithm_not_enabled"] == found(
        "--profile", argument, "--algorithm", "ES256", header=JWT, key=key, **claims
    ).findings


def test_an_rfc9068_token_under_another_profile(found):
    """It works in both directions."""
    told = found("--profile", "keycloak")
    assert ["wrong_profile"] == told.findings
    assert "profile=AccessTokenProfile.RFC9068" in told.text
    assert 'azp is missing, the claim typ is not "Bearer"' in " ".join(told.text.split())


@pytest.mark.parametrize(
    ("claims", "header", "expected"),
    [
        ({"typ": "ID"}, JWT, "id_token"),
        ({"typ": "Refresh"}, JWT, "refresh_token"),
        ({"typ": "Offline"}, JWT, "refresh_token"),
        ({"typ": "Logout"}, JWT, "logout_token"),
        ({}, {"typ": "logout+jwt"}, "logout_token"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, {"typ": ...}, "logout_token"),
        ({"nonce": "n", "events": []}, JWT, "id_token"),
        ({**ENTRA, "azp": ...}, JWT, "id_token"),
        ({**ENTRA, "nonce": "n"}, JWT, "id_token"),
        ({**KEYCLOAK, "azp": ..., "nonce": "n"}, JWT, "no_profile"),
        ({"typ": ["x"]}, JWT, "no_profile"),
        ({}, {"typ": ...}, "no_profile"),
        ({}, {"typ": 1}, "no_profile"),
        ({"iss": ...}, {}, "no_profile"),
        ({"jti": "", "sub": None, "client_id": ..., "aud": ...}, {}, "no_profile"),
    ],
)
def test_what_is_no_access_token_of_any_profile(found, claims, header, expected):
    """ID, refresh and logout tokens are named."""
    told = found(*NAMES, header=header, **claims)
    assert expected in told.findings
    assert set(told.findings) <= {expected, "token_malformed"}


@pytest.mark.parametrize("algorithm", ["none", "HS256", "es256", 1, None])
def test_an_algorithm_that_is_never_accepted(found, algorithm):
    """No keyword enables it."""
    told = found(*JWKS, header={"alg": algorithm})
    assert "algorithm_refused" in told.findings
    assert "algorithms=" not in told.text


def test_critical_headers(found):
    """No extension is supported."""
    assert ["critical_header_refused"] == found(header={"crit": ["b64"], "b64": False}).findings


@pytest.mark.parametrize("kid", [5, True, [], {}, 1.5])
def test_a_kid_that_is_no_text(found, kid):
    """No signature can be checked then, and that is said."""
    outcome = found("--jwks", "jwks.json", header={"kid": kid}, key=SigningKey.generate())

    assert (1, ["matches"], ["key_unknown"]) == outcome[:3]


def test_a_token_that_is_cut_off(explain, files, tokenbind_token):
    """It is no opaque one."""
    outcome = explain(tokenbind_token.rpartition(".")[0], "--cert", "client.pem")

    assert (1, ["unreadable"], ["token_cut_off"]) == outcome[:3]


def test_the_key_and_the_signature(found, files, tokenbind_kit):
    """Unknown, for something else, or not the one that signed; without --jwks nothing is said of it."""
    other = SigningKey.generate("ES256", kid="other")
    told = found(*JWKS, key=other)
    assert ["key_unknown"] == told.findings
    assert '"other"' in told.text
    assert tokenbind_kit.key.kid in told.text

    forger = SigningKey.generate("ES256", kid=tokenbind_kit.key.kid)
    assert ["signature_invalid"] == found(*JWKS, key=forger).findings
    assert [] == found(key=forger).findings

    told = found(*JWKS, "--algorithm", "ES384", header={"alg": "ES384"})
    assert ["key_of_another_algorithm"] == told.findings
    assert '"ES384"' in told.text
    assert 'is for "ES256"' in " ".join(told.text.split())

    keys = [SigningKey.generate("ES256", kid=f"kid-{number}").public_jwk for number in range(6)]
    del keys[0]["alg"]
    (files / "jwks.json").write_text(json.dumps({"keys": keys}))
    told = found(*JWKS, header={"kid": ...})
    assert ["key_unknown"] == told.findings
    assert 'names no key (kid); the JWK Set has "kid-0", "kid-1", "kid-2", "kid-3", ...' in " ".join(told.text.split())
    assert 'is for "EC P-256"' in found(*JWKS, header={"kid": "kid-0", "alg": "RS256"}).text.replace("\n ", "")
    assert "token_malformed" not in found(*JWKS, header={"kid": 1}).findings


@pytest.mark.parametrize(
    ("option", "value", "expected", "hint"),
    [
        ("--issuer", "https://as.example/", "issuer_mismatch", "the slash at the end differs"),
        ("--issuer", "https://AS.example", "issuer_mismatch", "capital and small letters differ"),
        ("--issuer", "https://other.example", "issuer_mismatch", 'not "https://other.example".'),
        ("--audience", "https://api.example/", "audience_mismatch", "the slash at the end differs"),
        ("--audience", "https://API.example", "audience_mismatch", "capital and small letters differ"),
        ("--audience", "https://other.example", "audience_mismatch", 'without "https://other.example".'),
    ],
)
def test_names_that_differ(found, option, value, expected, hint):
    """Both are shown, and what is easily overlooked."""
    told = found(option, value)
    assert (1, ["matches"], [expected]) == told[:3]
    assert hint in " ".join(told.text.split())
    assert "https://a" in told.text
    assert [expected] == found(option, value, iss=[1], aud=[1, "x"]).findings
    assert [] == found(option, "https://a.example", iss="https://a.example", aud=["https://a.example"]).findings


def test_a_payload_that_two_readers_read_differently(explain, files, tokenbind_kit, tokenbind_client):
    """It is never a match without a word."""
    cnf = json.dumps({"x5t#S256": tokenbind_client.thumbprint})
    token = tokenbind_kit.sign(f'{{"cnf": {{}}, "cnf": {cnf}}}'.encode())
    told = explain(token, "--cert", "client.pem")
    assert (1, ["matches"], "token_malformed") == (told.status, told.causes, told.findings[0])
    padded = urlsafe_b64encode(b'{"cnf":{}} ').decode()
    assert "cnf_empty" in explain(f"e30.{padded}.AA", "--cert", "client.pem").causes
