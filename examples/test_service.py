"""The service, in process and as uvicorn runs it, with its rightful client and with a thief."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import re
import shlex
import subprocess
import sys
from threading import Timer

import httpx
import pytest
import service
from starlette.testclient import TestClient

from tokenbind.client.requests import BoundTokenSession
from tokenbind.testing import asgi_with_peer


def call(kit, path, peer, token=None):
    """The answer of the service to *peer*, in process."""
    app = asgi_with_peer(service.create_app(kit.verifier), peer)
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
    """The right client with a token for something else gets 403, and is told what is missing."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:write")
    answer = call(tokenbind_kit, "/invoices", tokenbind_client, token)
    assert 403 == answer.status_code
    assert 'scope="invoices:read"' in answer.headers["www-authenticate"]


def test_health_needs_no_token(tokenbind_kit):
    """Probes have neither token nor certificate; they get no further than /health."""
    assert {"status": "ok"} == call(tokenbind_kit, "/health", None).json()
    assert 401 == call(tokenbind_kit, "/invoices", None).status_code


def test_the_command_line_of_the_docstring(tokenbind_kit, tokenbind_client, tokenbind_stranger, tmp_path):
    """uvicorn, started as the docstring says, tells the client from the thief over real mutual TLS."""
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    server = tokenbind_kit.ca.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    with running(service, tmp_path) as origin:
        with BoundTokenSession(
            tokenbind_client.identity, lambda: token, origin=origin, ca=tokenbind_kit.ca_pem
        ) as session:
            assert "client" == session.get(f"{origin}/invoices").json()["client"]
        tls = tokenbind_stranger.identity.current().ssl_context(tokenbind_kit.ca_pem)
        with httpx.Client(base_url=origin, verify=tls, trust_env=False) as thief:
            assert 401 == thief.get("/invoices", headers={"Authorization": f"Bearer {token}"}).status_code
            assert 200 == thief.get("/health").status_code


@contextmanager
def running(program, folder):
    """The program on a free port, started as its docstring says; its origin."""
    line = re.search(r"    TOKEN_ISSUER=.*?--ssl-cert-reqs \d", program.__doc__, re.DOTALL)[0]
    command = ["env", *shlex.split(re.sub(r"--port \d+", "--port 0", line.replace("\\\n", " ")))]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(program.__file__).parent)}
    with subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = Timer(20, process.kill)
        deadline.start()
        try:
            log = ""
            while not (origin := re.search(r"https://127\.0\.0\.1:\d+", log)):
                log += process.stderr.readline() or pytest.fail(f"uvicorn did not start: {log}")
            yield origin[0]
        finally:
            deadline.cancel()
            process.terminate()
            process.communicate()
