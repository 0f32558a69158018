"""The aiohttp service, over real mutual TLS, with its rightful client and with a thief."""

import asyncio
from contextlib import asynccontextmanager
import json
import os
from pathlib import Path
import re
import shlex
from socket import socket
import ssl
import subprocess
import sys

from aiohttp import ClientConnectorError, ClientSession, TCPConnector, WSMsgType, web
import aiohttp_service
import pytest


@pytest.fixture
def context(tokenbind_kit, tmp_path):
    """The service's own, from files."""
    server = tokenbind_kit.ca.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    return aiohttp_service.tls_context(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")


@pytest.fixture
def get(tokenbind_kit, context):
    """GET from an application as a client, or as one without a certificate; gives the status and the JSON."""

    async def ask(app, path, peer, token):
        async with (
            running(app, context) as origin,
            session(tokenbind_kit, origin, peer, token) as client,
            client.get(path) as answer,
        ):
            return answer.status, await answer.json()

    return lambda app, path, peer, token=None: asyncio.run(ask(app, path, peer, token))


@asynccontextmanager
async def running(app, context):
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def session(kit, origin, peer, token):
    if peer is None:
        tls = ssl.create_default_context(cadata=kit.ca_pem.decode())
    else:
        tls = peer.identity.current().ssl_context(kit.ca_pem)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return ClientSession(origin, headers=headers, connector=TCPConnector(ssl=tls))


def test_the_client_gets_its_invoices(get, tokenbind_kit, tokenbind_client):
    """Certificate, token and scope are right."""
    app = aiohttp_service.create_app(tokenbind_kit.verifier)
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    expected = (200, {"invoices": ["2026-001"], "client": "client"})
    assert expected == get(app, "/invoices", tokenbind_client, token)


@pytest.mark.parametrize(("thief", "reason"), [("stranger", "certificate_mismatch"), (None, "certificate_missing")])
def test_a_stolen_token_is_refused(get, tokenbind_kit, tokenbind_client, thief, reason):
    """The same token is worth nothing with another certificate, nor with none."""
    app = aiohttp_service.create_app(tokenbind_kit.verifier)
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    peer = tokenbind_kit.client(thief) if thief else None
    assert 401 == get(app, "/invoices", peer, token)[0]
    assert reason == tokenbind_kit.monitor.last_reason


def test_another_scope_is_not_enough(get, tokenbind_kit, tokenbind_client):
    """The right client with a token for something else gets 403, and the monitor is told."""
    app = aiohttp_service.create_app(tokenbind_kit.verifier)
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:write")
    assert 403 == get(app, "/invoices", tokenbind_client, token)[0]
    assert "scope_insufficient" == tokenbind_kit.monitor.last_reason


def test_health_needs_no_token(get, tokenbind_kit):
    """Probes have neither token nor certificate; they get no further than /health."""
    assert (200, {"status": "ok"}) == get(aiohttp_service.create_app(tokenbind_kit.verifier), "/health", None)
    assert 401 == get(aiohttp_service.create_app(tokenbind_kit.verifier), "/invoices", None)[0]


def test_news_end_with_the_token(context, tokenbind_kit, tokenbind_client):
    """The websocket is closed, although nobody says anything, when the token expires."""

    async def dialogue():
        token = tokenbind_kit.mint(tokenbind_client, lifetime=1)
        async with (
            running(aiohttp_service.create_app(tokenbind_kit.verifier), context) as origin,
            session(tokenbind_kit, origin, tokenbind_client, token) as client,
            client.ws_connect("/news") as websocket,
        ):
            assert {"client": "client"} == await websocket.receive_json()
            tokenbind_kit.clock.move(1)
            message = await websocket.receive(timeout=20)
            assert (WSMsgType.CLOSE, 1008) == (message.type, message.data)

    asyncio.run(dialogue())


@pytest.mark.usefixtures("context")  # for its files
def test_the_command_line_of_the_docstring(tokenbind_kit, tokenbind_client, tokenbind_stranger, tmp_path):
    """Started as the docstring says, it tells the client from the thief."""
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    (tmp_path / "aiohttp_service.py").write_text(Path(aiohttp_service.__file__).read_text())
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    line = re.search(r"TOKEN_ISSUER=.*\.py", aiohttp_service.__doc__)[0]
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    async def status(peer):
        async with session(tokenbind_kit, f"https://127.0.0.1:{port}", peer, token) as client, asyncio.timeout(20):
            while True:
                try:
                    async with client.get("/invoices") as answer:
                        return answer.status
                except ClientConnectorError:  # it has not started yet
                    await asyncio.sleep(0.01)

    environ = {**os.environ, "PATH": path, "PORT": port}
    with subprocess.Popen(["env", *shlex.split(line)], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            assert [200, 401] == [asyncio.run(status(peer)) for peer in (tokenbind_client, tokenbind_stranger)]
        finally:
            process.terminate()
