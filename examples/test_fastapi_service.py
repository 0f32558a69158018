"""The FastAPI service, in process and over real mutual TLS, with its rightful client and with a thief."""

import json

from fastapi.testclient import TestClient
import fastapi_service
import httpx
import pytest

from tokenbind.client.requests import BoundTokenSession
from tokenbind.testing import asgi_with_peer


def call(kit, path, peer, token=None):
    """The answer of the service to *peer*, in process."""
    app = asgi_with_peer(fastapi_service.create_app(kit.verifier), peer)
    return TestClient(app).get(path, headers={"Authorization": f"Bearer {token}"} if token else {})


def test_the_client_gets_its_invoices(tokenbind_kit, tokenbind_client):
    """Certificate, token and scope are right."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    answer = call(tokenbind_kit, "/invoices", tokenbind_client, token)
    assert {"invoices": ["2026-001"], "client": "client"} == answer.json()


@pytest.mark.parametrize(("thief", "reason"), [("stranger", "certificate_mismatch"), (None, "certificate_missing")])
def test_a_stolen_token_is_refused(tokenbind_kit, tokenbind_client, thief, reason):
    """The same token is worth nothing with another certificate, nor with none."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    peer = tokenbind_kit.client(thief) if thief else None
    assert 401 == call(tokenbind_kit, "/invoices", peer, token).status_code
    assert reason == tokenbind_kit.monitor.last_reason


def test_another_scope_is_not_enough(tokenbind_kit, tokenbind_client):
    """The right client with a token for something else gets 403, is told what is missing, and the monitor too."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:write")
    answer = call(tokenbind_kit, "/invoices", tokenbind_client, token)
    assert 403 == answer.status_code
    assert 'scope="invoices:read"' in answer.headers["www-authenticate"]
    assert "scope_insufficient" == tokenbind_kit.monitor.last_reason


def test_health_and_openapi_need_no_token(tokenbind_kit):
    """Probes and developers have neither token nor certificate; they get no further."""
    assert {"status": "ok"} == call(tokenbind_kit, "/health", None).json()
    paths = call(tokenbind_kit, "/openapi.json", None).json()["paths"]
    assert [] == paths["/health"]["get"]["security"]
    assert ["CertificateBoundToken"] == [name for need in paths["/invoices"]["get"]["security"] for name in need]
    assert 401 == call(tokenbind_kit, "/invoices", None).status_code


def test_over_real_tls_from_the_environment(
    tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_server, monkeypatch, tmp_path
):
    """Configured as in production, it tells the client from the thief by their connections."""
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    monkeypatch.setenv("TOKEN_ISSUER", tokenbind_kit.issuer.issuer)
    monkeypatch.setenv("TOKEN_AUDIENCE", tokenbind_kit.audience)
    monkeypatch.setenv("TOKEN_JWKS", str(tmp_path / "jwks.json"))
    token, narrow = (tokenbind_kit.mint(tokenbind_client, scope=scope) for scope in ("invoices:read", "other"))
    origin = tokenbind_server(fastapi_service.from_environment()).url
    with BoundTokenSession(tokenbind_client.identity, lambda: token, origin=origin, ca=tokenbind_kit.ca_pem) as session:
        assert "client" == session.get(f"{origin}/invoices").json()["client"]
    for peer, one, status in [(tokenbind_stranger, token, 401), (tokenbind_client, narrow, 403)]:
        tls = peer.identity.current().ssl_context(tokenbind_kit.ca_pem)
        with httpx.Client(base_url=origin, verify=tls, trust_env=False) as client:
            assert status == client.get("/invoices", headers={"Authorization": f"Bearer {one}"}).status_code
            assert 200 == client.get("/health").status_code
