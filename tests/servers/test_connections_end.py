"""Connections of real servers end with their token, idle ones too: websockets, server-sent events, downloads."""

import asyncio
from contextlib import contextmanager
from http.client import HTTPSConnection
import threading

import pytest

from tokenbind import KeySet, Reason, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.revocation import MemoryRevocation
from tokenbind.servers import uvicorn as shim

from .conftest import DEADLINE_SECONDS, HANDSHAKE, running
from .test_uvicorn import shimmed


class Service:
    """A websocket that is accepted and says nothing; ``/events`` and ``/download``, of which there is always more."""

    def __init__(self):
        self.over = threading.Event()  # the application has heard that its connection is

    async def __call__(self, scope, receive, send):
        try:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                assert "websocket.disconnect" == (await receive())["type"]
            else:
                kind = b"text/event-stream" if scope["path"] == "/events" else b"text/plain"
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
                await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
                await asyncio.sleep(DEADLINE_SECONDS)
        finally:
            self.over.set()


@pytest.fixture
def revocation():
    return MemoryRevocation()


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def serve(service, tokenbind_kit, tokenbind_monitor, revocation, tls_options):
    """Serve *service*; takes options of `uvicorn.Config`."""
    verifier = TokenVerifier(
        issuer=tokenbind_kit.issuer.issuer,
        audience=tokenbind_kit.audience,
        keys=KeySet.from_jwks(tokenbind_kit.issuer.jwks()),
        revocation=revocation,
        monitor=tokenbind_monitor,
    )
    app = BoundTokenMiddleware(service, verifier, end_responses=True)
    return lambda **options: running(app, {**tls_options, **options})


@contextmanager
def asking(port, context, path, headers):
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        yield connection.getresponse()
    finally:
        connection.close()


@pytest.mark.parametrize("ws", ["WebSocketsSansIO", "WSProto", "WebSockets"])
@pytest.mark.parametrize(("http", "loop"), [("H11", "asyncio"), ("HttpTools", "uvloop")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_idle_websocket(
    http, loop, ws, serve, service, revocation, context, bearer, tokenbind_client, tokenbind_monitor
):
    """The client gets the close frame, 1008, although it says nothing; the application hears of it when it has gone."""
    with serve(http=getattr(shim, http), ws=shimmed(ws), loop=loop) as port:
        headers = HANDSHAKE | bearer(tokenbind_client)
        with asking(port, context(tokenbind_client), "/", headers) as response:
            assert 101 == response.status
            revocation.revoke_certificate(tokenbind_client.thumbprint)
            assert bytes([0x88, 2]) + (1008).to_bytes(2) == response.fp.read(4)  # RFC 6455 §5.5.1
        assert service.over.wait(DEADLINE_SECONDS)
        assert Reason.TOKEN_REVOKED is tokenbind_monitor.last_reason


@pytest.mark.parametrize("ws", ["WebSocketsSansIO", "WSProto", "WebSockets"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_refused_handshake_has_the_whole_answer(
    ws, serve, context, bearer, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """uvicorn can send an answer, so the thief gets the 401 that a request would get, challenge and reference."""
    headers = HANDSHAKE | bearer(tokenbind_client)
    with (
        serve(http=shim.H11, ws=shimmed(ws)) as port,
        asking(port, context(tokenbind_stranger), "/", headers) as response,
    ):
        assert (401, Reason.CERTIFICATE_MISMATCH) == (response.status, tokenbind_monitor.last_reason)
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
        assert tokenbind_monitor.refused[-1].reference.encode() in response.read()


@pytest.mark.parametrize("http", ["H11", "HttpTools"])
def test_a_response(http, serve, service, revocation, context, bearer, tokenbind_client, tokenbind_monitor):
    """Events end as if there were no more, and the connection is good for another request; a download is cut off."""
    with serve(http=getattr(shim, http)) as port:
        client = context(tokenbind_client)
        with (
            asking(port, client, "/events", bearer(tokenbind_client)) as events,
            asking(port, client, "/download", bearer(tokenbind_client)) as download,
        ):
            assert b"data: 1\n\n" == events.read(9) == download.read(9)
            revocation.revoke_certificate(tokenbind_client.thumbprint)
            assert b"" == events.read()
            with pytest.raises(Exception, match="IncompleteRead"):
                download.read()
        assert [Reason.TOKEN_REVOKED] * 2 == [event.reason for event in tokenbind_monitor.refused]
