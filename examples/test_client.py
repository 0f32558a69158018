"""The client as a program, against a real token endpoint and a real API, and a thief with the same program."""

import subprocess
import sys

import client
import pytest
import service
import token_endpoint

from tokenbind import KeySet, TokenIssuer, TokenVerifier


@pytest.fixture
def run(tokenbind_kit, tokenbind_client, tokenbind_server, tmp_path):
    """Run the program as *who*; its exit status, and what it printed."""
    registered = {"billing": {"x5t#S256": tokenbind_client.thumbprint, "scope": "invoices:read invoices:write"}}
    audience, apps = tokenbind_kit.audience, []

    async def app(scope, receive, send):
        await apps[0](scope, receive, send)

    issuer = TokenIssuer(tokenbind_server(app).url, tokenbind_kit.key)  # its name is where it is
    apps.append(token_endpoint.create_app(issuer, audience, registered))
    keys = KeySet.from_jwks(issuer.jwks())
    api = tokenbind_server(service.create_app(TokenVerifier(issuer=issuer.issuer, audience=audience, keys=keys)))
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)

    def run(who, *options):
        certificate, key = who.write(tmp_path)
        command = [sys.executable, client.__file__, "--cert", certificate, "--key", key, "--ca", tmp_path / "ca.pem"]
        command += ["--client-id", "billing", "--issuer", issuer.issuer, *options, f"{api.url}/invoices"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def test_the_client_gets_the_answer(run, tokenbind_client):
    """Exit status 0, and the API's answer on standard output."""
    assert (0, '{"invoices":["2026-001"],"client":"billing"}\n', "") == run(tokenbind_client)


def test_a_stranger_gets_no_token(run, tokenbind_stranger):
    """Exit status 1, and one plain sentence."""
    hint = f"is the certificate {tokenbind_stranger.thumbprint} registered for client_id 'billing'?"
    assert (1, "", f"client: the authorization server refused: invalid_client; {hint}\n") == run(tokenbind_stranger)


def test_a_scope_too_small_is_the_apis_answer(run, tokenbind_client):
    """Exit status 1, and what the API said."""
    status, printed, message = run(tokenbind_client, "--scope", "invoices:write")
    assert (1, "") == (status, printed)
    assert message.startswith("client: the API answered 403: ")
    assert "insufficient_scope" in message
