"""Applications behind a bridge between ASGI and WSGI: the guard still sees the connection of the server."""

from contextlib import ExitStack

from a2wsgi import ASGIMiddleware, WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from tokenbind import Reason
from tokenbind.resource_server import asgi, wsgi
from tokenbind.servers import asgiref, uvicorn
from tokenbind.testing import MutualTLSServer

from .conftest import running


def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return [environ["tokenbind.token"].thumbprint.encode()]


async def asgi_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["tokenbind.token"].thumbprint.encode()})


BRIDGES = {
    "a2wsgi": (WSGIMiddleware, {}),
    "uvicorn --interface wsgi": (lambda app: app, {"interface": "wsgi"}),
    "asgiref, with ours": (asgiref.WsgiToAsgi, {}),
    "asgiref, with ours and its own argument": (lambda app: asgiref.WsgiToAsgi(app, duplicate_header_limit=2), {}),
}


@pytest.fixture
def serve_wsgi(tokenbind_kit, tls_options):
    """Serve a guarded WSGI application in uvicorn, over a bridge; gives the port."""
    guarded = wsgi.BoundTokenMiddleware(wsgi_app, tokenbind_kit.verifier)
    with ExitStack() as stack:

        def serve(bridge, **options):
            options = {"http": uvicorn.HTTP, **tls_options, **options}
            return stack.enter_context(running(bridge(guarded), options))

        yield serve


def outcomes(connect, context, headers, monitor, *clients, port):
    """Status, and thumbprint or reason, of each client that sends *headers*."""
    for client in clients:
        answer = connect(port, context(client)).get("/", headers=headers)
        yield answer.status_code, answer.text if answer.status_code == 200 else monitor.last_reason


@pytest.mark.parametrize(("bridge", "options"), BRIDGES.values(), ids=BRIDGES)
def test_wsgi_application_in_an_asgi_server(
    bridge,
    options,
    serve_wsgi,
    connect,
    context,
    bearer,
    tokenbind_client,
    tokenbind_stranger,
    tokenbind_renewed_client,
    tokenbind_monitor,
):
    """What the server tells the bridge is what the guard goes by; and what it does not tell, no header can."""
    headers = bearer(tokenbind_client) | {"asgi.scope": "{}", "tokenbind.socket": tokenbind_client.peer.thumbprint}
    clients = (tokenbind_client, tokenbind_stranger, tokenbind_renewed_client, None)
    asking = (connect, context, headers, tokenbind_monitor, *clients)
    assert [
        (200, tokenbind_client.thumbprint),
        (401, Reason.CERTIFICATE_MISMATCH),
        (401, Reason.CERTIFICATE_MISMATCH),
        (401, Reason.CERTIFICATE_MISSING),
    ] == list(outcomes(*asking, port=serve_wsgi(bridge, **options)))
    without_shim = serve_wsgi(bridge, **options, http=H11Protocol)
    assert {(503, Reason.CERTIFICATE_SOURCE_MISSING)} == set(outcomes(*asking, port=without_shim))


def test_bridge_of_asgiref_drops_everything(serve_wsgi, connect, context, bearer, tokenbind_client, tokenbind_monitor):
    """asgiref's own bridge, as it is: the guard behind it does not know, and lets nobody in."""
    asking = (connect, context, bearer(tokenbind_client), tokenbind_monitor, tokenbind_client, None)
    assert {(503, Reason.CERTIFICATE_SOURCE_MISSING)} == set(outcomes(*asking, port=serve_wsgi(WsgiToAsgi)))


def test_asgi_application_in_a_wsgi_server(
    connect,
    context,
    bearer,
    tokenbind_kit,
    tokenbind_client,
    tokenbind_stranger,
    tokenbind_renewed_client,
    tokenbind_monitor,
):
    """a2wsgi hands the WSGI server's environ on, with the socket in it."""
    guarded = ASGIMiddleware(asgi.BoundTokenMiddleware(asgi_app, tokenbind_kit.verifier))
    clients = (tokenbind_client, tokenbind_stranger, tokenbind_renewed_client, None)
    with MutualTLSServer(guarded, tokenbind_kit, interface="wsgi") as server:
        asking = (connect, context, bearer(tokenbind_client), tokenbind_monitor, *clients)
        assert [
            (200, tokenbind_client.thumbprint),
            (401, Reason.CERTIFICATE_MISMATCH),
            (401, Reason.CERTIFICATE_MISMATCH),
            (401, Reason.CERTIFICATE_MISSING),
        ] == list(outcomes(*asking, port=server.port))
