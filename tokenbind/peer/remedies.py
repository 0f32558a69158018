"""What to do about a server that does not say which certificate the peer has proven.

Asked only for a request that is refused. Which server this is, is a guess for the log, from what stands in the request
and from what is imported; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Mapping
import sys
from typing import Any, NamedTuple


__all__ = ["never_asks", "not_told", "plain_http"]


class _Server(NamedTuple):
    """One server: what is to be done about it.

    Attributes:
        silent: If it has TLS, and says nothing of the certificate.
        asks: To make it ask for certificates; empty if it cannot be made to.
        plain: If it serves plain HTTP, besides that.
    """

    silent: str
    asks: str = ""
    plain: str = ""


_ELSE = "use another server, or end TLS in a proxy in front"
_CONTEXT = "give the server a TLS context with verify_mode CERT_REQUIRED, or CERT_OPTIONAL, and the clients' CA"
_GUNICORN = "start gunicorn with --certfile, --keyfile, --ca-certs and --cert-reqs 2"

_UNKNOWN = _Server("the server gives no TLS extension and no TLS socket: see tokenbind.servers", _CONTEXT)
_BRIDGE = _Server(
    "the bridge from ASGI to this WSGI application drops it: use a2wsgi.WSGIMiddleware, or the bridge of "
    "tokenbind.servers.asgiref",
    _CONTEXT,
)
_HTTP_3 = _Server("over HTTP/3, hypercorn never asks clients for certificates: switch QUIC off (--quic-bind)")
_GRANIAN = _Server(f"granian keeps the certificate from Python: {_ELSE}")
_HYPERCORN = _Server(
    "hypercorn does not tell the application: call tokenbind.servers.hypercorn.install() in its module",
    "start hypercorn with --certfile, --keyfile, --ca-certs and --verify-mode CERT_REQUIRED",
)

# By what only this server puts into the environ.
_BY_KEY = {
    "mod_wsgi.version": _Server(
        "mod_wsgi gives the certificate as text: use peer_source=TLSConnection.mod_wsgi()",
        "set SSLVerifyClient require and SSLOptions +ExportCertData",
    ),
    "uwsgi.version": _Server(
        "uWSGI gives the certificate as text: use its --https router, and peer_source=TLSConnection.uwsgi()",
        "start uWSGI with --https ADDRESS,CERTIFICATE,KEY,HIGH,!CA",
    ),
    "eventlet.input": _Server(f"eventlet never asks clients for certificates, whatever cert_reqs= says: {_ELSE}"),
}

# By a product in SERVER_SOFTWARE.
_BY_SOFTWARE = {
    "gunicorn": _Server("this worker of gunicorn does not give its socket: use -k sync, gthread or gevent", _GUNICORN),
    "gevent": _Server("gevent needs handler_class=tokenbind.servers.gevent.WSGIHandler", _CONTEXT),
    "wsgiserver": _Server(
        "wsgiref needs handler_class=tokenbind.servers.wsgiref.WSGIRequestHandler, which tells of TLS alone",
        _CONTEXT,
        "; or it is wsgiref, which needs handler_class=tokenbind.servers.wsgiref.WSGIRequestHandler to know of TLS",
    ),
    "cheroot": _Server("cheroot gives the certificate as text: use peer_source=TLSConnection.cheroot()", _CONTEXT),
    "waitress": _Server(f"waitress has no TLS: {_ELSE}"),
    "granian": _GRANIAN,
}

# By a module that is imported where the server runs, and hardly elsewhere.
_BY_MODULE = {
    "granian": _GRANIAN,
    "gunicorn.workers.gasgi": _Server(
        "gunicorn's asgi worker does not tell the application: use -k tokenbind.servers.gunicorn.ASGIWorker",
        _GUNICORN,
        "; gunicorn's asgi worker serves plain HTTP also when one of these files cannot be read: look for "
        '"Failed to create SSL context" in its log',
    ),
    "uvicorn_worker": _Server(
        "uvicorn does not tell the application: call tokenbind.servers.uvicorn.install() in its module or in "
        "gunicorn.conf.py",
        _GUNICORN,
    ),
    "hypercorn.run": _HYPERCORN,
    "uvicorn.lifespan": _Server(
        "uvicorn does not tell the application: start it with --http tokenbind.servers.uvicorn:HTTP "
        "--ws tokenbind.servers.uvicorn:WebSocket, or call tokenbind.servers.uvicorn.install() in its module",
        "start uvicorn with --ssl-certfile, --ssl-keyfile, --ssl-ca-certs and --ssl-cert-reqs 2",
    ),
    "hypercorn.asyncio.run": _HYPERCORN,
    "hypercorn.trio.run": _HYPERCORN,
    "daphne.server": _Server(f"daphne does not tell the application, nor ask clients for certificates: {_ELSE}"),
}


def not_told(request: Mapping[str, Any]) -> str:
    """For a scope or an environ that has nothing of TLS in it."""
    scheme = _text(request, "scheme") or _text(request, "wsgi.url_scheme")
    return plain_http(request) if scheme in ("http", "ws") else _server(request).silent


def plain_http(request: Mapping[str, Any]) -> str:
    """For a connection without TLS; *request* is a scope or an environ, or empty if there is neither."""
    server = _server(request)
    if not server.asks:
        return f"the connection is plain HTTP, and {server.silent}"
    return f"the connection is plain HTTP: {server.asks}; or name the proxy that ends TLS by peer_source={server.plain}"


def never_asks(request: Mapping[str, Any]) -> str:
    """For a TLS connection on which the client was not asked for its certificate."""
    return f"the server never asks clients for certificates: {_server(request).asks or _CONTEXT}"


def _server(request: Mapping[str, Any]) -> _Server:
    if not request:
        return _UNKNOWN
    if _text(request, "http_version") == "3":
        return _HTTP_3
    products = {product.partition("/")[0].lower() for product in _text(request, "SERVER_SOFTWARE").split()}
    for signs, found in ((_BY_KEY, request), (_BY_SOFTWARE, products), (_BY_MODULE, sys.modules)):
        for sign, server in signs.items():
            if sign in found:
                return _BRIDGE if found is sys.modules and "wsgi.version" in request else server
    return _UNKNOWN


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    return value if type(value) is str else ""
