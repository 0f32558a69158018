"""What the log says to do about a server that does not say: by its name, and never by what a client can write."""

import sys
from types import ModuleType

import pytest

from tokenbind import Unavailable
from tokenbind.peer import TLSConnection


# Every module by which a server is recognised.
RUNNING = [
    *("granian", "gunicorn.workers.gasgi", "uvicorn_worker", "hypercorn.run", "uvicorn.lifespan"),
    *("hypercorn.asyncio.run", "hypercorn.trio.run", "daphne.server"),
]


@pytest.fixture(autouse=True)
def run(monkeypatch):
    """No server runs in this process, as far as one can see, but the one that is named."""
    for module in RUNNING:
        monkeypatch.delitem(sys.modules, module, raising=False)
    return lambda name: name and monkeypatch.setitem(sys.modules, name, ModuleType(name))


def message_of(read, request):
    with pytest.raises(Unavailable) as refused:
        read(request)
    return str(refused.value)


HTTPS = {"type": "http", "scheme": "https", "http_version": "1.1", "extensions": {}}


@pytest.mark.parametrize(
    ("module", "scope", "remedy"),
    [
        (
            "uvicorn.lifespan",
            HTTPS,
            "start it with --http tokenbind.servers.uvicorn:HTTP --ws tokenbind.servers.uvicorn",
        ),
        ("uvicorn.lifespan", HTTPS | {"type": "websocket", "scheme": "wss"}, "tokenbind.servers.uvicorn:WebSocket"),
        ("uvicorn.lifespan", HTTPS | {"scheme": "http"}, "plain HTTP: start uvicorn with --ssl-certfile"),
        ("uvicorn.lifespan", HTTPS | {"scheme": "ws"}, "plain HTTP: start uvicorn with --ssl-certfile"),
        ("uvicorn_worker", HTTPS, r"tokenbind.servers.uvicorn.install\(\) in its module or in gunicorn.conf.py"),
        ("hypercorn.run", HTTPS, r"tokenbind.servers.hypercorn.install\(\)"),
        ("hypercorn.trio.run", HTTPS, r"tokenbind.servers.hypercorn.install\(\)"),
        ("hypercorn.run", HTTPS | {"http_version": "3"}, "over HTTP/3, hypercorn never asks .*: switch QUIC off"),
        ("gunicorn.workers.gasgi", HTTPS, "-k tokenbind.servers.gunicorn.ASGIWorker"),
        ("gunicorn.workers.gasgi", HTTPS | {"scheme": "http"}, '"Failed to create SSL context" in its log'),
        ("granian", HTTPS, "granian keeps the certificate from Python: use another server, or end TLS in a proxy"),
        ("granian", HTTPS | {"scheme": "http"}, "plain HTTP, and granian keeps the certificate from Python"),
        ("daphne.server", HTTPS, "daphne does not tell"),
        (None, HTTPS, "see tokenbind.servers"),
        (None, {}, "see tokenbind.servers"),
        (None, HTTPS | {"extensions": {"tokenbind": {"ssl_object": None}}}, "is plain HTTP: give the server a TLS"),
    ],
)
def test_asgi_server_is_named(module, scope, remedy, run):
    """By what is imported where it runs."""
    run(module)
    with pytest.raises(Unavailable, match=remedy):
        TLSConnection().from_scope(scope)


@pytest.mark.parametrize(
    ("environ", "remedy"),
    [
        ({"SERVER_SOFTWARE": "gunicorn/27.0.1"}, "-k sync, gthread or gevent"),
        ({"SERVER_SOFTWARE": "gevent/26.9.0 gunicorn/27.0.1"}, "-k sync, gthread or gevent"),
        ({"SERVER_SOFTWARE": "gunicorn/27.0.1", "wsgi.url_scheme": "http"}, "plain HTTP: start gunicorn with"),
        ({"SERVER_SOFTWARE": "gevent/20.0 Python/3.11"}, "handler_class=tokenbind.servers.gevent.WSGIHandler"),
        ({"SERVER_SOFTWARE": "WSGIServer/0.2"}, "handler_class=tokenbind.servers.wsgiref.WSGIRequestHandler"),
        ({"SERVER_SOFTWARE": "Cheroot/11.1.2 Server"}, r"peer_source=TLSConnection.cheroot\(\)"),
        ({"SERVER_SOFTWARE": "CherryPy/18.10.0 Cheroot/11.1.2 Server"}, r"peer_source=TLSConnection.cheroot\(\)"),
        ({"SERVER_SOFTWARE": "waitress"}, "waitress has no TLS"),
        ({"SERVER_SOFTWARE": "Granian"}, "granian keeps the certificate from Python"),
        ({"SERVER_SOFTWARE": "Apache/2.4", "mod_wsgi.version": (6, 1, 1)}, r"peer_source=TLSConnection.mod_wsgi\(\)"),
        ({"uwsgi.version": b"2.0.31"}, r"peer_source=TLSConnection.uwsgi\(\)"),
        ({"eventlet.input": object()}, "eventlet never asks clients for certificates, whatever cert_reqs= says"),
        ({"SERVER_SOFTWARE": "Werkzeug/3.1.9", "wsgi.url_scheme": "http"}, "plain HTTP: give the server a TLS context"),
        ({"SERVER_SOFTWARE": 5}, "see tokenbind.servers"),
    ],
)
def test_wsgi_server_is_named(environ, remedy):
    """By what it puts into the environ."""
    with pytest.raises(Unavailable, match=remedy):
        TLSConnection().from_environ({"wsgi.version": (1, 0), "wsgi.url_scheme": "https"} | environ)


def test_bridge_that_drops_the_scope_is_named(run):
    """A WSGI application in an ASGI server: the server's own remedy would not help."""
    run("hypercorn.run")
    with pytest.raises(Unavailable, match=r"the bridge from ASGI .* drops it: use a2wsgi\.WSGIMiddleware"):
        TLSConnection().from_environ({"wsgi.version": (1, 0), "wsgi.url_scheme": "https"})
    run("uvicorn.lifespan")
    with pytest.raises(Unavailable, match="call tokenbind.servers.hypercorn.install"):
        TLSConnection().from_environ({"wsgi.version": (1, 0), "asgi.scope": HTTPS})


def test_nothing_that_a_client_writes_is_in_the_message(run):
    """Not the scheme, nor the name of a server that a header may have set."""
    run("uvicorn.lifespan")
    message = message_of(TLSConnection().from_scope, HTTPS | {"scheme": "SECRET", "http_version": "SECRET"})
    assert "SECRET" not in message + message_of(TLSConnection().from_environ, {"SERVER_SOFTWARE": "SECRET/1"})
