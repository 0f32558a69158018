"""Client credentials over real mutual TLS, and what a token endpoint may answer instead of a token."""

import json
from urllib.parse import parse_qs

from hypothesis import given, strategies as st
import pytest

from tokenbind import ClientError, ConfigurationError, GrantError, Reason, TokenBindError
from tokenbind.client import ClientCredentials, IssuedToken
from tokenbind.client.grants import _read_token_response
from tokenbind.transport import Response


GOOD = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300}


@pytest.fixture
def endpoint(tokenbind_kit, tokenbind_server):
    """A token endpoint that records forms and mints for whoever has a certificate."""
    forms = []

    def app(environ, start_response):
        forms.append(parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()))
        peer = environ["tokenbind.socket"].getpeercert(True)
        certificate = next(c for c in map(tokenbind_kit.client, ("client", "stranger")) if c.peer.der == peer)
        answer = tokenbind_kit.issuer.token_response(certificate.peer, client_id="x", audience=tokenbind_kit.audience)
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(answer).encode()]

    url = tokenbind_server(app, interface="wsgi").url
    return lambda **options: (
        forms,
        ClientCredentials(
            "https://as.example", client_id="billing", token_endpoint=url, ca=tokenbind_kit.ca_pem, **options
        ),
    )


def test_a_token_is_bound_to_the_certificate_of_the_request(
    endpoint, tokenbind_kit, tokenbind_client, tokenbind_stranger
):
    """The verifier takes it with that certificate, and with no other."""
    forms, grant = endpoint(scope="a b")
    issued = grant.fetch(tokenbind_client.identity.current())

    assert 300 == issued.expires_in_seconds
    assert [{"grant_type": ["client_credentials"], "client_id": ["billing"], "scope": ["a b"]}] == forms
    assert (
        tokenbind_client.thumbprint
        == tokenbind_kit.verifier.verify(issued.access_token, tokenbind_client.peer).thumbprint
    )
    with pytest.raises(TokenBindError) as caught:
        tokenbind_kit.verifier.verify(issued.access_token, tokenbind_stranger.peer)
    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason


def test_the_issuer_is_kept_and_scope_is_optional(endpoint, tokenbind_client):
    """Without scope=, none is asked for."""
    forms, grant = endpoint()
    grant.fetch(tokenbind_client.identity.current())

    assert "https://as.example" == grant.issuer
    assert "scope" not in forms[0]


def test_a_server_that_cannot_be_reached_is_a_client_error(tokenbind_kit, tokenbind_client):
    """With a reason, and without the form that was to be sent."""
    grant = ClientCredentials(
        "https://as.example", client_id="billing", token_endpoint="https://127.0.0.1:1/", ca=tokenbind_kit.ca_pem
    )
    with pytest.raises(ClientError, match="cannot be reached") as caught:
        grant.fetch(tokenbind_client.identity.current())

    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": "http://as.example"}, "issuer="),
        ({"token_endpoint": "https://user:secret@as.example/token"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example/to ken"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example/\r\ntoken"}, "token_endpoint="),
        ({"token_endpoint": "https://[::1"}, "token_endpoint="),
        ({"token_endpoint": "https://as.example:x/token"}, "token_endpoint="),
        ({"token_endpoint": "https:///token"}, "token_endpoint="),
        ({"token_endpoint": 5}, "token_endpoint="),
        ({"token_endpoint": "http://as.example/token"}, "token_endpoint="),
        ({"client_id": ""}, "client_id="),
        ({"ca": "no-such.pem"}, "does not exist"),
    ],
)
def test_wrong_construction_is_refused_at_once(change, message):
    """Not at the first request."""
    good = {"issuer": "https://as.example", "client_id": "c", "token_endpoint": "https://as.example/token"}
    options = good | change
    with pytest.raises(ConfigurationError, match=message):
        ClientCredentials(options.pop("issuer"), **options)


def read(answer, status=200):
    """What is made of an answer."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return _read_token_response(Response(status, {}, body))


def test_a_good_answer_is_read():
    """RFC 6749 §5.1; token_type in any case, scope and expires_in optional."""
    assert IssuedToken("opaque", 300.0, None) == read(GOOD)
    assert IssuedToken("opaque", 300.0, "a") == read(GOOD | {"token_type": "bEARER", "scope": "a"})
    assert IssuedToken("opaque", 300.0, None) == read(GOOD | {"expires_in": "300"})
    assert IssuedToken("opaque", 0.0, None) == read(GOOD | {"expires_in": 0})
    assert IssuedToken("opaque", 60.0, None) == read({"access_token": "opaque", "token_type": "Bearer"})


def test_a_refusal_says_what_the_server_said():
    """RFC 6749 §5.2, made safe to print."""
    with pytest.raises(GrantError) as caught:
        read({"error": "invalid_client", "error_description": "no\nway"}, 401)

    assert ("invalid_client", "no?way", 401) == (caught.value.error, caught.value.description, caught.value.status)
    assert "invalid_client (no?way)" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"<html>", 200),
        (b"[" * 100_000, 200),
        ([], 200),
        ({}, 500),
        ({"error": 1}, 400),
        (GOOD, 302),
        (GOOD | {"access_token": None}, 200),
        (GOOD | {"access_token": ""}, 200),
        (GOOD | {"access_token": "a\r\nb"}, 200),
        (GOOD | {"access_token": "ä"}, 200),
        (GOOD | {"token_type": "DPoP"}, 200),
        (GOOD | {"token_type": None}, 200),
        (GOOD | {"expires_in": True}, 200),
        (GOOD | {"access_token": "a b"}, 200),
        (GOOD | {"expires_in": "soon"}, 200),
        (GOOD | {"expires_in": "9" * 5000}, 200),
        (GOOD | {"expires_in": -1}, 200),
        (GOOD | {"expires_in": float("nan")}, 200),
    ],
)
def test_a_strange_answer_is_a_client_error(answer, status):
    """Not a token endpoint's answer, so no token and no other exception."""
    with pytest.raises(ClientError, match="not as expected") as caught:
        read(answer, status)

    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_answer_gives_a_token_or_our_error(body):
    """Totality."""
    with pytest.raises(ClientError):
        read(body)


def test_a_token_is_not_in_its_repr():
    """It ends up in logs otherwise."""
    assert "opaque" not in repr(read(GOOD))
