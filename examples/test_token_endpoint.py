"""The token endpoint: whom it gives tokens, and what it answers everyone else."""

import json

import pytest
from starlette.testclient import TestClient
import token_endpoint

from tokenbind import InvalidToken, Reason, SigningKey, TokenIssuer, TokenVerifier
from tokenbind.testing import asgi_with_peer


GOOD = {"grant_type": "client_credentials", "client_id": "client"}


@pytest.fixture
def ask(tokenbind_kit, tokenbind_client):
    """Ask for a token as *peer*, in process."""
    registered = {"client": {"x5t#S256": tokenbind_client.thumbprint, "scope": "invoices:read invoices:write"}}
    app = token_endpoint.create_app(tokenbind_kit.issuer, tokenbind_kit.audience, registered)

    def ask(peer, form):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        body = {"content": form, "headers": headers} if isinstance(form, str) else {"data": form}
        return TestClient(asgi_with_peer(app, peer)).post("/token", **body)

    return ask


def test_a_registered_client_gets_a_bound_token(ask, tokenbind_kit, tokenbind_client):
    """The answer is that of RFC 6749 §5.1, and the token is good on this client's connections."""
    answer = ask(tokenbind_client, GOOD)
    assert "no-store" == answer.headers["cache-control"]
    assert ("Bearer", 300) == (answer.json()["token_type"], answer.json()["expires_in"])
    bound = tokenbind_kit.verifier.verify(answer.json()["access_token"], tokenbind_client.peer)
    assert {"invoices:read", "invoices:write"} == bound.scopes


def test_a_resource_server_finds_its_keys(tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_server):
    """By its name alone, over TLS; and a stolen token is refused all the same."""
    apps = []

    async def app(scope, receive, send):
        await apps[0](scope, receive, send)

    server = tokenbind_server(app)
    issuer = TokenIssuer(server.url, tokenbind_kit.key)
    apps.append(token_endpoint.create_app(issuer, tokenbind_kit.audience, {}))
    token = issuer.mint(tokenbind_client.peer, client_id="client", audience=tokenbind_kit.audience)
    with TokenVerifier.from_issuer(server.url, audience=tokenbind_kit.audience, ca=tokenbind_kit.ca_pem) as verifier:
        assert tokenbind_client.thumbprint == verifier.verify(token, tokenbind_client.peer).thumbprint
        with pytest.raises(InvalidToken) as caught:
            verifier.verify(token, tokenbind_stranger.peer)
    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason


def test_a_client_can_ask_for_less(ask, tokenbind_client):
    """The scope asked for is the scope given."""
    assert "invoices:read" == ask(tokenbind_client, {**GOOD, "scope": "invoices:read"}).json()["scope"]


@pytest.mark.parametrize("name", ["stranger", "renewed", "expired", None])
def test_no_other_certificate_is_the_clients(ask, tokenbind_kit, tokenbind_client, name):
    """A stranger, the same key renewed, an expired one of the same name, and none: 401 invalid_client."""
    peers = {"stranger": tokenbind_kit.client("stranger"), "expired": tokenbind_kit.expired("client")}
    peers |= {"renewed": tokenbind_kit.renewed(tokenbind_client), None: None}
    answer = ask(peers[name], GOOD)
    assert (401, {"error": "invalid_client"}) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("client_id", "invalid_request"),
        ("client_id=client", "invalid_request"),
        ("client_id=client&client_id=client&grant_type=client_credentials", "invalid_request"),
        ("client_id=" + "c" * 10_000, "invalid_request"),
        ("client_id=client&grant_type=password", "unsupported_grant_type"),
        ("client_id=client&grant_type=client_credentials&scope=admin", "invalid_scope"),
    ],
)
def test_other_requests_are_refused(ask, tokenbind_client, form, error):
    """The errors of RFC 6749 §5.2, to the rightful client too."""
    answer = ask(tokenbind_client, form)
    assert (400, {"error": error}) == (answer.status_code, answer.json())


def test_a_registered_certificate_that_has_expired_gets_nothing(tokenbind_kit):
    """A token must not outlive its certificate, so there is none to give."""
    expired = tokenbind_kit.expired("client")
    registered = {"client": {"x5t#S256": expired.thumbprint, "scope": "invoices:read"}}
    app = token_endpoint.create_app(tokenbind_kit.issuer, tokenbind_kit.audience, registered)
    answer = TestClient(asgi_with_peer(app, expired)).post("/token", data=GOOD)
    assert (400, {"error": "invalid_request"}) == (answer.status_code, answer.json())


def test_from_the_environment(tokenbind_client, monkeypatch, tmp_path):
    """Configured as in production, it names its issuer in the token, and its key."""
    key = SigningKey.generate()
    (tmp_path / "issuer.key").write_bytes(key.to_pem())
    clients = {"client": {"x5t#S256": tokenbind_client.thumbprint, "scope": "invoices:read"}}
    (tmp_path / "clients.json").write_text(json.dumps(clients))
    monkeypatch.setenv("TOKEN_ISSUER", "https://as.example")
    monkeypatch.setenv("TOKEN_AUDIENCE", "https://api.example")
    monkeypatch.setenv("SIGNING_KEY", str(tmp_path / "issuer.key"))
    monkeypatch.setenv("CLIENTS", str(tmp_path / "clients.json"))
    client = TestClient(asgi_with_peer(token_endpoint.from_environment(), tokenbind_client))
    assert "invoices:read" == client.post("/token", data=GOOD).json()["scope"]
