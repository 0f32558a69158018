"""Grants over real mutual TLS: what each sends, what it gets, and who gets nothing."""

import copy
from math import inf
import pickle

import pytest

from tokenbind import ClientError, ConfigurationError, GrantError, Reason, SigningKey
from tokenbind.client.client_authentication import ClientSecretBasic, PrivateKeyJWT
from tokenbind.client.grants import ClientCredentials, IssuedToken, StaticToken
from tokenbind.client.refresh_token import RefreshToken
from tokenbind.client.token_exchange import TokenExchange


def test_a_token_is_bound_to_the_certificate_of_the_request(
    authorization_server, grant_of, tokenbind_client, tokenbind_stranger
):
    """Found by the server's name alone; the API takes it with that certificate, and with no other."""
    grant = grant_of(ClientCredentials, scope="a b")
    issued = grant.fetch(tokenbind_client.identity.current())

    assert (300, "a b", authorization_server.url) == (issued.expires_in_seconds, issued.scope, grant.issuer)
    assert [[("grant_type", "client_credentials"), ("scope", "a b"), ("client_id", "billing")]] == (
        authorization_server.forms
    )
    assert True is authorization_server.holds(issued.access_token, tokenbind_client)
    assert Reason.CERTIFICATE_MISMATCH is authorization_server.holds(issued.access_token, tokenbind_stranger)


def test_another_certificate_gets_no_token(authorization_server, grant_of, tokenbind_kit, tokenbind_client):
    """Neither a stranger's, nor that of the same key renewed; the server says so."""
    for other in (tokenbind_kit.client("stranger"), tokenbind_kit.renewed(tokenbind_client)):
        with pytest.raises(GrantError) as caught:
            grant_of(ClientCredentials).fetch(other.identity.current())
        hint = f"is the certificate {other.thumbprint} registered for client_id 'billing'?"
        assert f"the authorization server refused: invalid_client; {hint}" == str(caught.value)
        assert ("invalid_client", 401, Reason.GRANT_REFUSED) == (
            caught.value.error,
            caught.value.status,
            caught.value.reason,
        )


def test_what_the_token_is_for_is_asked_for(authorization_server, grant_of, tokenbind_client):
    """RFC 8707 and RFC 8693 let both be repeated; an empty scope is none."""
    grant_of(ClientCredentials, scope="", resource="https://api.example/a", audience="api").fetch(
        tokenbind_client.identity.current()
    )
    grant_of(ClientCredentials, resource=["urn:a", "urn:b"], audience=("c", "d")).fetch(
        tokenbind_client.identity.current()
    )
    first, second = authorization_server.forms
    assert [("resource", "https://api.example/a"), ("audience", "api")] == first[1:3]
    assert [("resource", "urn:a"), ("resource", "urn:b"), ("audience", "c"), ("audience", "d")] == second[1:5]
    assert "scope" not in dict(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": "http://as.example"}, "issuer="),
        ({"issuer": "https://as.example/?a"}, "issuer="),
        ({"token_endpoint": "https://user:secret@as.example/token"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example/to ken"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example/\r\ntoken"}, "token_endpoint="),
        ({"token_endpoint": "https://[::1"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example:x/token"}, "token_endpoint="),
        ({"token_endpoint": "https:///token"}, "token_endpoint="),
        ({"token_endpoint": 5}, "token_endpoint="),
        ({"token_endpoint": "http://as.example/token"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example/token#a"}, "fragment"),
        ({"client_id": ""}, "client_id="),
        ({"client_id": None}, "client_id="),
        ({"client_id": "billing\n"}, "client_id="),
        ({"client_id": "\ud800"}, "client_id="),
        ({"scope": ["a", "b"]}, "scope="),
        ({"scope": "a  b"}, "scope="),
        ({"scope": 'a"'}, "scope="),
        ({"resource": "/api"}, "resource="),
        ({"resource": ["https://api.example#a"]}, "resource="),
        ({"resource": 5}, "resource="),
        ({"resource": b"urn:a"}, "resource="),
        ({"audience": ""}, "audience="),
        ({"audience": ["a", None]}, "audience="),
        ({"authentication": "client_secret_post"}, "authentication= is one of tls_client_auth"),
        ({"authentication": None}, "authentication="),
        ({"authentication": "none"}, "public clients"),
        ({"ca": "no-such.pem"}, "ca="),
        ({"proxy": "proxy.example"}, "proxy="),
        ({"timeout_seconds": 0}, "timeout_seconds="),
        ({"timeout_seconds": inf}, "timeout_seconds="),
        ({"timeout_seconds": "10"}, "timeout_seconds="),
        ({"address": "as.internal"}, "address="),
        ({"allowed_hosts": "mtls.as.example"}, "allowed_hosts="),
    ],
)
def test_wrong_construction_is_refused_at_once(change, message):
    """Not at the first request."""
    options = {"issuer": "https://as.example", "client_id": "c"} | change
    with pytest.raises(ConfigurationError, match=message):
        ClientCredentials(options.pop("issuer"), **options)


URI = "urn:ietf:params:oauth:token-type:"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (RefreshToken, {"refresh_token": ""}, "refresh_token="),
        (RefreshToken, {"refresh_token": "r\n"}, "refresh_token="),
        (RefreshToken, {"refresh_token": "r", "on_new_refresh_token": "file"}, "on_new_refresh_token="),
        (RefreshToken, {"refresh_token": "r", "scope": 5}, "scope="),
        (TokenExchange, {"subject_token": None}, "subject_token="),
        (TokenExchange, {"subject_token": ""}, "subject_token="),
        (TokenExchange, {"subject_token": "s", "actor_token": ""}, "actor_token="),
        (TokenExchange, {"subject_token": "s", "subject_token_type": ""}, "type of a token"),
        (TokenExchange, {"subject_token": "s", "actor_token_type": None}, "type of a token"),
        (TokenExchange, {"subject_token": "s", "requested_token_type": URI + "refresh_token"}, "requested_token_type="),
        (TokenExchange, {"subject_token": "s", "requested_token_type": []}, "requested_token_type="),
        (TokenExchange, {"subject_token": "s", "resource": "x"}, "resource="),
    ],
)
def test_wrong_construction_of_others_is_refused_at_once(kind, options, message):
    """And what is secret is not shown."""
    with pytest.raises(ConfigurationError, match=message):
        kind("https://as.example", client_id="c", **options)


@pytest.mark.parametrize("token", ["", "a b", "token\n", None, b"token", "\u00e4"])
def test_a_static_token_must_fit_a_header(token):
    """RFC 6750 §2.1."""
    with pytest.raises(ConfigurationError, match="without the line break") as caught:
        StaticToken(token)
    assert "token\n" not in str(caught.value)


def test_a_static_token_is_what_it_was(tokenbind_client):
    """It ends with the certificate, if not before."""
    grant = StaticToken("opaque")
    assert IssuedToken("opaque", inf, None) == grant.fetch(tokenbind_client.identity.current())
    assert (None, "<StaticToken>") == (grant.issuer, repr(grant))


@pytest.mark.parametrize(
    "secretive",
    [
        ClientCredentials("https://as.example", client_id="c", authentication=ClientSecretBasic("s3cret")),
        RefreshToken("https://as.example", client_id="c", refresh_token="s3cret"),
        TokenExchange("https://as.example", client_id="c", subject_token="s3cret", actor_token="s3cret"),
        StaticToken("s3cret"),
        ClientSecretBasic("s3cret"),
        PrivateKeyJWT(SigningKey.generate(kid="s3cret")),
    ],
    ids=repr,
)
def test_what_holds_a_secret_does_not_show_it(secretive):
    """Neither in its repr, nor in a pickle, which is a way to a disk."""
    assert "s3cret" not in repr(secretive)
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is not pickled"):
            copied(secretive)


def test_the_repr_says_whose_grant_it_is():
    """Issuer and client."""
    grant = ClientCredentials("https://as.example", client_id="billing")
    assert "<ClientCredentials of https://as.example for billing>" == repr(grant)


def test_an_identity_that_cannot_be_used_is_an_error_of_the_client(grant_of, tokenbind_kit):
    """The server refuses an expired certificate in the handshake, or right after it."""
    with pytest.raises(ClientError) as caught:
        grant_of(ClientCredentials).fetch(tokenbind_kit.expired().identity.current())
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason
