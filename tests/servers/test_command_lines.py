"""Servers as operators start them: a process of its own, with the shim on its command line or in the service."""

from contextlib import ExitStack, contextmanager, suppress
from http.client import BadStatusLine
from importlib import import_module
import json
import re
import ssl
import warnings

import httpx
import pytest

from .commands import serving


# Older uvicorns choose a class of `websockets` that warns of itself.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    CHOICE = import_module("uvicorn.protocols.websockets.auto").AutoWebSocketsProtocol.__name__
WARNINGS = "error" if CHOICE == "WebSocketsSansIOProtocol" else "ignore"

FILES = "--certfile server.pem --keyfile server.pem --ca-certs ca.pem"
UVICORN = "uvicorn service:app --port 0"
UVICORN_TLS = f"{UVICORN} --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1"
CLASSES = "--http tokenbind.servers.uvicorn:HTTP --ws tokenbind.servers.uvicorn:WebSocket"
HYPERCORN = "hypercorn service:app -b 127.0.0.1:0 --graceful-timeout 1"
HYPERCORN_TLS = f"{HYPERCORN} {FILES} --verify-mode CERT_OPTIONAL"
GUNICORN = "gunicorn service:app -b 127.0.0.1:0"
GUNICORN_TLS = f"{GUNICORN} {FILES} --cert-reqs 1"
WORKER = "-k tokenbind.servers.gunicorn.ASGIWorker"


def install(server):
    return f"import tokenbind.servers.{server}\n\ntokenbind.servers.{server}.install()\n"


WAYS = {
    "uvicorn, classes": (f"{UVICORN_TLS} {CLASSES}", "", "uvicorn.HTTP"),
    "uvicorn, install": (UVICORN_TLS, install("uvicorn"), "uvicorn.install"),
    "hypercorn, asyncio": (f"{HYPERCORN_TLS} -k asyncio", install("hypercorn"), "hypercorn.install"),
    "hypercorn, trio": (f"{HYPERCORN_TLS} -k trio", install("hypercorn"), "hypercorn.install"),
    "gunicorn, worker class": (f"{GUNICORN_TLS} {WORKER} --asgi-loop asyncio", "", "gunicorn.ASGIWorker"),
    "gunicorn, install": (
        f"{GUNICORN_TLS} -k asgi --asgi-loop uvloop --http-protocols h2,h1",
        install("gunicorn"),
        "gunicorn.install",
    ),
}


@pytest.fixture(autouse=True)
def files(tls_options, tmp_path):
    """server.pem and ca.pem, where the server is started."""


@contextmanager
def connections(port, http2, contexts):
    """One for each client, which stays open; gives `get(client, headers)`."""
    with ExitStack() as stack:
        options = {"base_url": f"https://127.0.0.1:{port}", "trust_env": False, "http2": http2}
        opened = {client: stack.enter_context(httpx.Client(verify=contexts[client], **options)) for client in contexts}
        yield lambda client, headers: opened[client].get("/", headers=headers)


@pytest.mark.parametrize(("command", "install", "shim"), WAYS.values(), ids=WAYS)
def test_server_on_its_command_line(command, install, shim, tmp_path, news, context, bearer, tokenbind_kit):
    """Three interleaved clients, http and websocket: who owns the token gets through, the others do not."""
    alice, bob, carol = (tokenbind_kit.client(name) for name in ("alice", "bob", "carol"))
    contexts = {client: context(client) for client in (alice, bob, carol, None)}
    offers_http2 = "hypercorn" in command or "h2" in command
    strict = WARNINGS if "uvicorn" in command else "default"
    expected = []
    with serving(tmp_path, tokenbind_kit, command.split(), install, strict) as server:
        for http2 in {False, offers_http2}:
            peers = set()
            with connections(server.port, http2, contexts) as get:
                for client, victim in [(alice, bob), (bob, carol), (carol, alice)] * 2:
                    answer = get(client, bearer(client))
                    told = answer.json()
                    assert (200, client.thumbprint) == (answer.status_code, told["thumbprint"])
                    assert http2 == (told["http_version"] == "2") == (answer.http_version == "HTTP/2")
                    assert [ssl.DER_cert_to_PEM_cert(client.peer.der)] == told["tls"]["client_cert_chain"]
                    assert (["127.0.0.1", server.port], "ssl") == (told["socket_name"], told["tls_object"])
                    peers.add((client.name, *told["socket_peer"]))
                    stolen = get(client, bearer(victim))
                    assert 401 == stolen.status_code
                    expected.append(("certificate_mismatch", stolen.json()["reference"]))
                nobodys = get(None, bearer(alice))
                assert 401 == nobodys.status_code
                expected.append(("certificate_missing", nobodys.json()["reference"]))
            assert 3 == len(peers)  # one connection each: they were kept alive
        status, text = news(server.port, context(alice), bearer(alice))
        assert (101, alice.thumbprint) == (status, json.loads(text)["thumbprint"])
        for thief in (bob, None):
            if "gunicorn" not in command:
                assert (401, None) == news(server.port, context(thief), bearer(alice))
                continue
            # gunicorn has no `websocket.http.response`; before 27, it answers with the frame that closes a websocket.
            with suppress(BadStatusLine):
                assert (403, None) == news(server.port, context(thief), bearer(alice))
    refusals = re.findall(r"refused with 401, (\w+): .* \(reference (\w+)\)", server.log)
    assert expected == refusals[:-2]
    assert ["certificate_mismatch", "certificate_missing"] == [reason for reason, _ in refusals[-2:]]
    assert [shim] == re.findall(r"tokenbind: .* TLS connection has proven \(tokenbind\.servers\.(.*)\)", server.log)
    if strict == "error":
        assert "Warning" not in server.log


SILENT = {
    "uvicorn without the shim": (UVICORN_TLS, "", "https", "start it with --http tokenbind.servers.uvicorn:HTTP"),
    "uvicorn that never asks": (
        f"{UVICORN} --ssl-certfile server.pem {CLASSES}",
        "",
        "https",
        "never asks clients for certificates: start uvicorn with .* --ssl-ca-certs and --ssl-cert-reqs 2",
    ),
    "uvicorn, plain HTTP": (f"{UVICORN} {CLASSES}", "", "http", "plain HTTP: start uvicorn with --ssl-certfile"),
    "hypercorn without the shim": (HYPERCORN_TLS, "", "https", r"call tokenbind\.servers\.hypercorn\.install\(\)"),
    "hypercorn that never asks": (
        f"{HYPERCORN} -k trio {FILES}",
        install("hypercorn"),
        "https",
        "never asks clients for certificates: start hypercorn with .* --verify-mode CERT_REQUIRED",
    ),
    "hypercorn, plain HTTP": (
        f"{HYPERCORN} -k trio",
        install("hypercorn"),
        "http",
        "plain HTTP: start hypercorn with --certfile",
    ),
    "gunicorn without the shim": (f"{GUNICORN_TLS} -k asgi", "", "https", "-k tokenbind.servers.gunicorn.ASGIWorker"),
    "gunicorn that never asks": (
        f"{GUNICORN} {FILES} {WORKER}",
        "",
        "https",
        "never asks clients for certificates: start gunicorn with .* --cert-reqs 2",
    ),
    "gunicorn that cannot read its CA file, and serves plain HTTP": (
        f"{GUNICORN_TLS} --ca-certs nowhere.pem -k asgi",
        install("gunicorn"),
        "http",
        'plain HTTP: start gunicorn .*also when .* cannot be read: look for "Failed to create SSL context" in its log',
    ),
}


@pytest.mark.parametrize(("command", "install", "scheme", "remedy"), SILENT.values(), ids=SILENT)
def test_server_that_does_not_say(
    command, install, scheme, remedy, tmp_path, context, bearer, tokenbind_kit, tokenbind_client
):
    """The owner of the token gets 503, and the operator what to do, with the name of the server in it."""
    with serving(tmp_path, tokenbind_kit, command.split(), install) as server:
        url, options = f"{scheme}://127.0.0.1:{server.port}", {"verify": context(tokenbind_client), "trust_env": False}
        answer = httpx.get(url, headers=bearer(tokenbind_client), **options)
        assert 503 == answer.status_code
    reference = answer.json()["reference"]
    refused = f"EVERY request like it is refused with 503, certificate_source_missing: .*{remedy}.*{reference}"
    assert re.search(refused, server.log), server.log
    if "nowhere" in command:
        assert "Failed to create SSL context" in server.log.partition("EVERY")[0]


def test_our_worker_does_not_serve_plain_http_instead(tmp_path, tokenbind_kit):
    """gunicorn with our class ends where its own would go on without TLS, and names the files."""
    command = f"{GUNICORN_TLS} --ca-certs nowhere.pem {WORKER}"
    with serving(tmp_path, tokenbind_kit, command.split(), listens=r"exited with code (\d)") as server:
        assert 3 == server.port  # no port, but what the worker says to gunicorn, which ends then
    assert "tokenbind: not started, because it would be plain HTTP: check server.pem, nowhere.pem" in server.log
    assert "Worker failed to boot" in server.log
