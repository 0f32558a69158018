"""The service that calls another one, with real servers, and a thief with the same program."""

import calling_service
import pytest
import service
from starlette.testclient import TestClient
import token_endpoint


@pytest.fixture
def environment(tokenbind_kit, tokenbind_client, tokenbind_server, tmp_path, monkeypatch):
    """Call it with who is to call; it is started as uvicorn starts it."""
    registered = {"billing": {"x5t#S256": tokenbind_client.thumbprint, "scope": "invoices:read"}}
    issuing = tokenbind_server(token_endpoint.create_app(tokenbind_kit.issuer, tokenbind_kit.audience, registered))
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    values = {
        "API": tokenbind_server(service.create_app(tokenbind_kit.verifier)).url,
        "API_CA": tmp_path / "ca.pem",
        "CLIENT_CERTIFICATE": tmp_path / "client.pem",
        "CLIENT_KEY": tmp_path / "client.key",
        "CLIENT_ID": "billing",
        "TOKEN_ISSUER": "https://as.example",
        "TOKEN_ENDPOINT": f"{issuing.url}/token",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))

    def start(who):
        certificate, key = who.write(tmp_path)
        monkeypatch.setenv("CLIENT_CERTIFICATE", str(certificate))
        monkeypatch.setenv("CLIENT_KEY", str(key))
        return TestClient(calling_service.from_environment())

    return start


def test_the_report_is_made_of_what_the_api_says(environment, tokenbind_client):
    """Whoever asks."""
    with environment(tokenbind_client) as client:
        assert [{"number": 1}] * 2 == [client.get("/report").json() for _ in range(2)]


def test_a_stranger_gets_no_report(environment, tokenbind_stranger):
    """The authorization server does not know it."""
    with environment(tokenbind_stranger) as client:
        answer = client.get("/report")
    hint = f"is the certificate {tokenbind_stranger.thumbprint} registered for client_id 'billing'?"
    assert 502 == answer.status_code
    assert f"the authorization server refused: invalid_client; {hint}" == answer.json()["error"]
