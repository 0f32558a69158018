"""uvicorn tells an application nothing of the TLS connection; this does.

On the command line, with protocol classes that extend uvicorn's own::

    uvicorn app:app --http tokenbind.servers.uvicorn:HTTP --ws tokenbind.servers.uvicorn:WebSocket \\
        --ssl-keyfile server.key --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1

or with `install`, called where the application is made, for command lines that cannot be changed.

Either puts into every scope, ``http`` and ``websocket``:

* ``extensions["tls"]``, the ASGI TLS extension, unless the server fills it;
* ``extensions["tokenbind"]``: the connection's own ``ssl_object``, its ``socket_peer`` and its ``socket_name`` as the
  transport gives them. ``scope["client"]`` is not the socket's peer: uvicorn rewrites it from X-Forwarded-For.

It needs two things of uvicorn, and fails loudly without them: that `connection_made` gets the transport, and that every
request calls the protocol's ``app``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
import ssl
from typing import TYPE_CHECKING, Any
import warnings

from ..errors import ConfigurationError


if TYPE_CHECKING:
    HTTP: Any
    H11: Any
    HttpTools: Any
    WebSocket: Any
    WebSockets: Any
    WebSocketsSansIO: Any
    WSProto: Any

__all__ = ["H11", "HTTP", "HttpTools", "WSProto", "WebSocket", "WebSockets", "WebSocketsSansIO", "install"]

#: Our classes, and the ones of uvicorn that they extend. ``HTTP`` and ``WebSocket`` are what uvicorn chooses itself.
_CLASSES = {
    "HTTP": "uvicorn.protocols.http.auto:AutoHTTPProtocol",
    "H11": "uvicorn.protocols.http.h11_impl:H11Protocol",
    "HttpTools": "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol",
    "WebSocket": "uvicorn.protocols.websockets.auto:AutoWebSocketsProtocol",
    "WebSockets": "uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol",
    "WebSocketsSansIO": "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol",
    "WSProto": "uvicorn.protocols.websockets.wsproto_impl:WSProtocol",
}

_TLS_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


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
        if not getattr(cls.connection_made, "_tokenbind", False):
            cls.connection_made = _recording(cls.connection_made)
        patched += 1
    if not patched:
        raise ConfigurationError("tokenbind.servers.uvicorn.install() found no uvicorn; install tokenbind[uvicorn]")


def __getattr__(name: str) -> Any:
    """Make the class *name* when it is asked for: some need packages that are not installed."""
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = _import(_CLASSES[name])
    made = type(name, (base,), {"connection_made": _recording(base.connection_made), "__module__": __name__})
    globals()[name] = made
    return made


def _import(target: str) -> Any:
    module, _, name = target.partition(":")
    cls = getattr(import_module(module), name)
    if cls is None:  # AutoWebSocketsProtocol, when neither websockets nor wsproto is there
        raise ImportError("uvicorn has no websocket library; install websockets or wsproto")
    if not hasattr(cls, "connection_made"):
        raise ConfigurationError(f"this version of uvicorn has no {target}.connection_made; please report it")
    return cls


def _recording(connection_made: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def recording(self: Any, transport: Any) -> None:
        if not hasattr(self, "app"):
            raise ConfigurationError(f"this version of uvicorn has no {type(self).__name__}.app; please report it")
        connection_made(self, transport)
        self.app = _telling(self.app, transport)

    recording._tokenbind = True  # type: ignore[attr-defined]
    return recording


def _telling(app: Any, transport: Any) -> Any:
    ssl_object = transport.get_extra_info("ssl_object")
    told: dict[str, Any] = {
        "tokenbind": {
            "ssl_object": ssl_object,
            "socket_peer": transport.get_extra_info("peername"),
            "socket_name": transport.get_extra_info("sockname"),
        }
    }
    if ssl_object is not None:
        der = ssl_object.getpeercert(True)
        told["tls"] = {
            "server_cert": None,
            "client_cert_chain": (ssl.DER_cert_to_PEM_cert(der),) if der else (),
            "client_cert_error": None,
            "tls_version": _TLS_VERSIONS.get(ssl_object.version()),
            "cipher_suite": None,
        }

    async def telling(scope: Any, receive: Any, send: Any) -> None:
        extensions = scope.get("extensions") or {}
        scope["extensions"] = {**told, **extensions, "tokenbind": told["tokenbind"]}
        await app(scope, receive, send)

    return telling
