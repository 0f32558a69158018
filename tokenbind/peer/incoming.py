"""What a request says beside its certificate header: what the transport knows, which no header has a say in.

``scope["client"]``, ``REMOTE_ADDR`` and X-Forwarded-For are never looked at. uvicorn writes the address *and the port*
of X-Forwarded-For into ``scope["client"]``; ProxyFix, waitress, mod_remoteip and the PROXY protocol rewrite
``REMOTE_ADDR``, and most leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
import sys
from typing import Any, NamedTuple

from ..binding import PeerCertificate
from ..errors import Reason, Unavailable
from . import remedies
from .fields import Fields, Names
from .source import SSLObject
from .tls_connection import _SOCKET_KEYS, TLSConnection


__all__ = ["Incoming"]

_tls = TLSConnection()

_MERGES_TRAILERS = "uvicorn.protocols.http.httptools_impl"
_TRAILERS = "uvicorn takes what a client sends after a chunked body for headers"
_SHIM = "start uvicorn with --http tokenbind.servers.uvicorn:HTTP, or call tokenbind.servers.uvicorn.install()"


class Incoming(NamedTuple):
    """One request, as far as trust in its sender goes.

    Attributes:
        fields: The header fields that matter.
        socket_peer, socket_name: Both addresses of the socket itself, as `socket.socket.getpeername` gives them; None
            if the server does not tell.
        ask_tls: Gives the certificate of the connection's own peer, as `TLSConnection` does.
        has_tls: Whether it is worth asking.
        request: The scope or environ, if there is one: what a guess at the server is made from.
    """

    fields: Fields
    socket_peer: object
    socket_name: object
    ask_tls: Callable[[], PeerCertificate | None]
    has_tls: bool
    request: Mapping[str, Any]

    @classmethod
    def of_scope(cls, scope: MutableMapping[str, Any], names: Names) -> Incoming:
        """From an ASGI scope: our shims have recorded the socket's addresses."""
        environ = scope.get("wsgi_environ")
        extensions = scope.get("extensions")
        own = extensions.get("tokenbind") if isinstance(extensions, Mapping) else None
        if own is None and isinstance(environ, Mapping):  # a2wsgi's ASGIMiddleware: the server is a WSGI server
            return cls.of_environ({**environ, "asgi.scope": None}, names)
        if type(headers := scope.get("headers", ())) is not list:
            scope["headers"] = headers = list(headers)  # an iterator can be read once, and others will want to
        told: dict[str, Any] = own if type(own) is dict else {}
        if not told and _may_have_trailers(scope["headers"]):
            raise _no_evidence(f"{_TRAILERS}: {_SHIM}")
        has_tls = told.get("ssl_object") is not None or (
            not told and isinstance(extensions, Mapping) and "tls" in extensions
        )
        return cls(
            names.among(headers),
            told.get("socket_peer"),
            told.get("socket_name"),
            lambda: _tls.from_scope(scope),
            has_tls,
            scope,
        )

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any], names: Names) -> Incoming:
        """From a WSGI environ: the server's socket is asked."""
        sockets = [environ[key] for key in _SOCKET_KEYS if hasattr(environ.get(key), "getpeername")]
        scope = environ.get("asgi.scope")
        if not sockets and isinstance(scope, Mapping):  # a2wsgi's WSGIMiddleware, or our WsgiToAsgi
            return cls.of_scope({**scope, "wsgi_environ": None}, names)
        if not sockets and "HTTP_TRANSFER_ENCODING" in environ and _MERGES_TRAILERS in sys.modules:
            bridge = "tokenbind.servers.asgiref.WsgiToAsgi or a2wsgi's, which tell what the server tells"
            raise _no_evidence(f"{_TRAILERS}: as the bridge to WSGI take {bridge}; and {_SHIM}")
        try:
            peer, name = (sockets[0].getpeername(), sockets[0].getsockname()) if sockets else (None, None)
        except Exception:  # noqa: BLE001 - of any library's socket; the client may have gone already
            peer = name = None
        fields, has_tls = names.in_environ(environ), any(hasattr(each, "getpeercert") for each in sockets)
        return cls(fields, peer, name, lambda: _tls.from_environ(environ), has_tls, environ)

    @classmethod
    def of_request(
        cls,
        headers: Iterable[tuple[bytes, bytes]],
        socket_peer: object,
        socket_name: object,
        tls_peer: SSLObject | None,
        names: Names,
    ) -> Incoming:
        """From the parts of a request."""
        # Who knows neither may be behind uvicorn.
        if socket_peer is None and tls_peer is None and _may_have_trailers(headers := list(headers)):
            raise _no_evidence(f"{_TRAILERS}: {_SHIM}, and give socket_peer=")
        fields, has_tls = names.among(headers), tls_peer is not None
        return cls(fields, socket_peer, socket_name, lambda: _tls.from_request(tls_peer=tls_peer), has_tls, {})

    def no_evidence(self, what: str, keyword: str) -> Unavailable:
        """The error of a server that keeps from us what the trust decision needs, *keyword* of `from_request`."""
        shim = remedies._server(self.request).silent if self.request else f"tokenbind.servers, or give {keyword}="
        remedy = f"{shim}; or use" if "tokenbind.servers" in shim else "use"
        return _no_evidence(f"{what}: {remedy} Trust.secret_header, which needs nothing of the server")


def _no_evidence(why: str) -> Unavailable:
    return Unavailable(Reason.CERTIFICATE_SOURCE_MISSING, f"no information about the peer certificate: {why}")


def _may_have_trailers(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether trailers may stand among *headers*, against RFC 9110 §6.5.1: uvicorn with httptools puts them there."""
    return _MERGES_TRAILERS in sys.modules and any(name.lower() == b"transfer-encoding" for name, _ in headers)
