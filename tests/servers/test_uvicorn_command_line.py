"""uvicorn as operators start it: a process of its own, with the shim on its command line or in the service."""

from contextlib import contextmanager
from importlib import import_module
import json
import re
import subprocess
import sys
import threading
import warnings

import httpx
import pytest


DEADLINE_SECONDS = 20

# Older uvicorns choose a class of `websockets` that warns of itself.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    CHOICE = import_module("uvicorn.protocols.websockets.auto").AutoWebSocketsProtocol.__name__
WARNINGS = "error" if CHOICE == "WebSocketsSansIOProtocol" else "ignore"

SERVICE = """
import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware
{install}

async def invoices(scope, receive, send):
    thumbprint = scope["tokenbind.token"].thumbprint
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        await send({{"type": "websocket.send", "text": thumbprint}})
        await send({{"type": "websocket.close"}})
    elif scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"43")]}})
        await send({{"type": "http.response.body", "body": thumbprint.encode()}})


keys = KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text()))
app = BoundTokenMiddleware(
    invoices, TokenVerifier(issuer="https://as.example", audience="https://api.example", keys=keys)
)
"""


class Service:
    """A running uvicorn: its port, and what it has written."""

    port = None
    log = ""


@contextmanager
def running(command, folder):
    service = Service()
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        # Ends the waiting for a line that does not come.
        deadline = threading.Timer(DEADLINE_SECONDS, process.kill)
        deadline.start()
        try:
            for line in process.stderr:
                service.log += line
                if started := re.search(r"running on https://127.0.0.1:(\d+)", line):
                    service.port = int(started[1])
                    break
            assert service.port is not None, service.log
            yield service
        finally:
            process.terminate()
            service.log += process.stderr.read()
            deadline.cancel()


@pytest.mark.parametrize(
    ("install", "options"),
    [
        ("", ["--http", "tokenbind.servers.uvicorn:HTTP", "--ws", "tokenbind.servers.uvicorn:WebSocket"]),
        ("import tokenbind.servers.uvicorn\n\ntokenbind.servers.uvicorn.install()\n", []),
    ],
    ids=["classes", "install"],
)
def test_uvicorn_on_its_command_line(
    install, options, tmp_path, tls_options, news, context, bearer, tokenbind_kit, tokenbind_client, tokenbind_stranger
):
    """http and websocket: the owner gets through, thief and nobody do not, and the log says why."""
    (tmp_path / "service.py").write_text(SERVICE.format(install=install))
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    tls = [f"--{name.replace('_', '-')}={value}" for name, value in tls_options.items()]
    command = [sys.executable, "-W", WARNINGS, "-m", "uvicorn", "service:app", "--port", "0", *tls, *options]
    headers = bearer(tokenbind_client)
    with running(command, tmp_path) as service:
        address = f"127.0.0.1:{service.port}"

        def get(client):
            return httpx.get(f"https://{address}", headers=headers, verify=context(client), trust_env=False)

        answer = get(tokenbind_client)
        assert (200, tokenbind_client.thumbprint) == (answer.status_code, answer.text)
        assert (101, tokenbind_client.thumbprint) == news(service.port, context(tokenbind_client), headers)
        references = [get(thief).json()["reference"] for thief in (tokenbind_stranger, None)]
        assert (401, None) == news(service.port, context(tokenbind_stranger), headers)
    reasons = re.findall(r"refused with 401, (\w+): .* \(reference (\w+)\)", service.log)
    assert ["certificate_mismatch", "certificate_missing", "certificate_mismatch"] == [reason for reason, _ in reasons]
    assert references == [reference for _, reference in reasons[:2]]
    assert "Warning" not in service.log
