"""uvicorn tells an application nothing of the TLS connection; this does.

On the command line, with protocol classes that extend uvicorn's own::

    uvicorn app:app --http tokenbind.servers.uvicorn:HTTP --ws tokenbind.servers.uvicorn:WebSocket \\
        --ssl-keyfile server.key --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1

or with `install`, called where the application is made, for command lines that cannot be changed.

Either puts into every scope, ``http`` and ``websocket``:

* ``extensions["tls"]``, the ASGI TLS extension, unless the server fills it;
* ``extensions["tokenbind"]``: the connection's own ``ssl_object``, its ``socket_peer`` and its ``socket_name`` as the
  transport gives them. ``scope["client"]`` is not the socket's peer: uvicorn rewrites it from X-Forwarded-For.

A server certificate that is rewritten while uvicorn runs: see `ssl_context`.

It needs two things of uvicorn, and fails loudly without them: that `connection_made` gets the transport, and that every
request calls the protocol's ``app``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
import ssl
from typing import TYPE_CHECKING, Any
import warnings

from ..errors import ConfigurationError
from .telling import Connection, announce, hook_missing, of_transport, teach
from .tls_context import ReloadingSSLContext


if TYPE_CHECKING:
    HTTP: Any
    H11: Any
    HttpTools: Any
    WebSocket: Any
    WebSockets: Any
    WebSocketsSansIO: Any
    WSProto: Any
    Zttp: Any
    ZttpH2: Any

__all__ = [
    "H11",
    "HTTP",
    "HttpTools",
    "WSProto",
    "WebSocket",
    "WebSockets",
    "WebSocketsSansIO",
    "Zttp",
    "ZttpH2",
    "install",
    "ssl_context",
]

#: Our classes, and the ones of uvicorn that they extend. ``HTTP`` and ``WebSocket`` are what uvicorn chooses itself.
_CLASSES = {
    "HTTP": "uvicorn.protocols.http.auto:AutoHTTPProtocol",
    "H11": "uvicorn.protocols.http.h11_impl:H11Protocol",
    "HttpTools": "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol",
    "Zttp": "uvicorn.protocols.http.zttp_impl:ZttpProtocol",
    "ZttpH2": "uvicorn.protocols.http.zttp_h2_impl:ZttpH2Protocol",
    "WebSocket": "uvicorn.protocols.websockets.auto:AutoWebSocketsProtocol",
    "WebSockets": "uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol",
    "WebSocketsSansIO": "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol",
    "WSProto": "uvicorn.protocols.websockets.wsproto_impl:WSProtocol",
}

_LOG = "uvicorn.error"


def install() -> None:
    """Teach every protocol class of uvicorn that can be imported here to say what it knows of its connection.

    For this process, and for the workers that it becomes. Calling it again changes nothing.

    Raises:
        ConfigurationError: if uvicorn is missing, or has no class with the hooks that are needed.
    """
    patched = 0
    for target in _CLASSES.values():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some of the classes are deprecated, by uvicorn in its own category
                cls = _import(target)
        except ImportError:
            continue
        cls.connection_made = teach(cls.connection_made, _connection_of)
        if hasattr(cls, "on_headers_complete"):
            cls.on_headers_complete = _keep_trailers_out(cls.on_headers_complete)
        patched += 1
    if not patched:
        raise ConfigurationError("tokenbind.servers.uvicorn.install() found no uvicorn; install tokenbind[uvicorn]")
    announce(_LOG, f"{__name__}.install")


def ssl_context(config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ReloadingSSLContext:
    """For ``uvicorn.run(..., ssl_context_factory=ssl_context)``: uvicorn's context, which is made anew
    when a file of ``ssl_certfile=``, ``ssl_keyfile=`` or ``ssl_ca_certs=`` has changed.
    """
    files = config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs
    return ReloadingSSLContext(default_ssl_context_factory, *files)


def __getattr__(name: str) -> Any:
    """Make the class *name* when it is asked for: some need packages that are not installed."""
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = _import(_CLASSES[name])
    taught: dict[str, Any] = {"connection_made": teach(base.connection_made, _connection_of), "__module__": __name__}
    if hasattr(base, "on_headers_complete"):
        taught["on_headers_complete"] = _keep_trailers_out(base.on_headers_complete)
    made = type(name, (base,), taught)
    globals()[name] = made
    announce(_LOG, f"{__name__}.{name}")
    return made


def _keep_trailers_out(on_headers_complete: Callable[[Any], None]) -> Callable[[Any], None]:
    """RFC 9110 §6.5.1: trailer fields must not be merged into the header section. uvicorn with httptools does that: a
    client of a proxy that forwards trailers, such as HAProxy, could send the certificate header in one.
    """
    if hasattr(on_headers_complete, "_tokenbind"):
        return on_headers_complete

    @wraps(on_headers_complete)
    def complete(self: Any) -> None:
        self.scope["headers"] = self.headers.copy()  # the parser adds trailers to the other
        on_headers_complete(self)  # may run the application at once, if the loop's tasks are eager

    complete._tokenbind = True  # type: ignore[attr-defined]
    return complete


def _import(target: str) -> Any:
    module, _, name = target.partition(":")
    cls = getattr(import_module(module), name)
    if cls is None:  # AutoWebSocketsProtocol, when neither websockets nor wsproto is there
        raise ImportError("uvicorn has no websocket library; install websockets or wsproto")
    if not hasattr(cls, "connection_made"):
        raise hook_missing(f"{target}.connection_made")
    return cls


def _connection_of(_protocol: Any, transport: Any) -> Connection:
    return of_transport(transport)
