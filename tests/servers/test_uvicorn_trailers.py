"""Trailers of a request are not among its headers: a proxy may pass on what a client sends there."""

import asyncio

from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tokenbind import Reason, TokenBindError
from tokenbind.peer import Trust, forwarded
from tokenbind.servers import asgiref, uvicorn as shim


REQUEST = (
    b"POST / HTTP/1.1\r\nHost: api.example\r\nX-Secret: " + b"x" * 32 + b"\r\n"
    b"Transfer-Encoding: chunked\r\nTrailer: Cert-K7Qd2\r\n"
    b"Connection: close\r\n\r\n1\r\na\r\n0\r\nCert-K7Qd2: a stranger's\r\n\r\n"
)


class Installed(HttpToolsProtocol):
    """uvicorn's own class, and yet one that no other test sees."""


@pytest.fixture(params=["H11", "HttpTools", "installed"])
def http(request, monkeypatch):
    if request.param != "installed":
        return getattr(shim, request.param)
    monkeypatch.setattr(shim, "_CLASSES", {"HttpTools": f"{__name__}:Installed"})
    monkeypatch.setattr(shim, "import_module", lambda name: __import__("types").SimpleNamespace(Installed=Installed))
    shim.install()
    shim.install()
    return Installed


def test_trailers_are_no_headers(http):
    """RFC 9110 §6.5.1. Neither when the request begins, nor once its body was read."""
    seen = []

    async def app(scope, receive, send):
        seen.append([name for name, _ in scope["headers"]])
        while (await receive()).get("more_body"):
            pass
        seen.append([name for name, _ in scope["headers"]])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    serve_one(app, http)
    assert 2 == len(seen)
    assert all(b"trailer" in names and b"cert-k7qd2" not in names for names in seen)


def serve_one(app, http):
    async def ask():
        server = uvicorn.Server(uvicorn.Config(app, http=http, port=0, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.005)
            address = server.servers[0].sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(REQUEST)
            assert (await reader.read()).startswith(b"HTTP/1.1 204")
            writer.close()
            server.should_exit = True
            await serving

    asyncio.run(ask())


def test_an_application_that_runs_at_once():
    """As asyncio's eager tasks do: it must not be given the list that the parser adds to."""

    class AtOnce:
        def __init__(self):
            self.scope = {"headers": (headers := [(b"host", b"api.example")])}
            self.headers = headers

        def on_headers_complete(self):
            self.given = self.scope["headers"]

    protocol = AtOnce()
    shim._keep_trailers_out(AtOnce.on_headers_complete)(protocol)
    protocol.headers.append((b"cert-k7qd2", b"a stranger's"))
    assert [(b"host", b"api.example")] == protocol.given == protocol.scope["headers"]


@pytest.fixture
def source(tmp_path):
    """One that needs nothing of the server."""
    (tmp_path / "secret").write_text("x" * 32)
    trust = Trust.secret_header("X-Secret", file=tmp_path / "secret")
    return forwarded.rfc9440(header="Cert-K7Qd2", trusted_proxy=trust)


REFUSED = [(Reason.CERTIFICATE_SOURCE_MISSING, True)]


def outcome(ask, *args):
    try:
        return ask(*args)
    except TokenBindError as error:
        return error.reason, "tokenbind.servers.uvicorn" in str(error)


@pytest.mark.parametrize("way", ["from_scope", "from_request"])
def test_without_the_shim_a_chunked_request_has_no_certificate(source, way):
    """uvicorn with httptools merges them, so nothing is read from a request that can have any, secret or not."""
    seen = []

    async def app(scope, receive, send):
        seen.append(outcome(getattr(source, way), scope if way == "from_scope" else scope["headers"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    serve_one(app, HttpToolsProtocol)
    assert REFUSED == seen


@pytest.mark.parametrize(
    ("bridge", "http", "expected"),
    [
        (WsgiToAsgi, HttpToolsProtocol, REFUSED),
        (WsgiToAsgi, "shim", REFUSED),  # which the bridge does not tell
        (asgiref.WsgiToAsgi, HttpToolsProtocol, REFUSED),
        (asgiref.WsgiToAsgi, "shim", [None]),
        (WSGIMiddleware, HttpToolsProtocol, REFUSED),
        (WSGIMiddleware, "shim", [None]),
    ],
)
def test_behind_a_bridge(source, bridge, http, expected):
    """asgiref's reads the body, and so all trailers, before it makes the environ; a2wsgi's does not."""
    seen = []

    def app(environ, start_response):
        seen.append(outcome(source.from_environ, environ))
        start_response("204 No Content", [])
        return []

    serve_one(bridge(app), shim.HttpTools if http == "shim" else http)
    assert expected == seen
