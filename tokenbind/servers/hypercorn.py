"""hypercorn tells an application nothing of the TLS connection; this does.

In the module of the application, or in one that imports it::

    from tokenbind.servers import hypercorn

    hypercorn.install()

It puts into every scope, ``http`` and ``websocket``, over HTTP/1.1 and HTTP/2, what `tokenbind.servers.uvicorn` does.
Over HTTP/3 (QUIC) nothing: hypercorn never asks a client for its certificate there, so the middleware refuses.

It needs three things of hypercorn, and fails loudly without them: that each worker has a ``TCPServer`` for each
connection, that this keeps the transport as ``writer`` (asyncio) or ``stream`` (trio), and that every request goes to
its ``app``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from inspect import signature
from typing import Any

from ..errors import ConfigurationError
from .telling import Connection, announce, hook_missing, of_transport, teach
from .tls_context import ReloadingSSLContext


__all__ = ["install"]


def install(*, reload_tls: bool = False) -> None:
    """Teach the asyncio and trio workers of hypercorn to say what they know of their connections.

    For this process; hypercorn's workers are new processes, and each loads the module that this is called in.
    Calling it again changes nothing.

    Args:
        reload_tls: Whether hypercorn's TLS context is made anew when a file of ``--certfile``, ``--keyfile`` or
            ``--ca-certs`` has changed.

    Raises:
        ConfigurationError: if hypercorn is missing, or has not the hooks that are needed.
    """
    taught = [_teach("asyncio", "writer", _of_writer), _teach("trio", "stream", _of_stream)]
    if not any(taught):
        raise ConfigurationError(
            "tokenbind.servers.hypercorn.install() found no hypercorn; install tokenbind[hypercorn]"
        )
    if reload_tls:
        config = import_module("hypercorn.config").Config
        config.create_ssl_context = _reloading(config.create_ssl_context)
    announce("hypercorn.error", f"{__name__}.install")


def _reloading(create_ssl_context: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if hasattr(create_ssl_context, "_tokenbind"):
        return create_ssl_context

    @wraps(create_ssl_context)
    def create(config: Any) -> Any:
        if not config.ssl_enabled:
            return None
        make = partial(create_ssl_context, config)
        return ReloadingSSLContext(make, config.certfile, config.keyfile, config.ca_certs)

    create._tokenbind = True  # type: ignore[attr-defined]
    return create


def _teach(worker: str, transport: str, connection_of: Callable[..., Connection]) -> bool:
    name = f"hypercorn.{worker}.tcp_server"
    try:
        cls = getattr(import_module(name), "TCPServer", None)
    except ImportError as error:
        if error.name != name:
            return False  # hypercorn itself, or trio, is not installed
        raise hook_missing(name) from None
    if cls is None or not {"app", transport} <= signature(cls.__init__).parameters.keys():
        raise hook_missing(f"{name}.TCPServer(app, {transport})")
    cls.__init__ = teach(cls.__init__, connection_of)
    return True


def _of_writer(server: Any, *_args: Any, **_kwargs: Any) -> Connection:
    return of_transport(server.writer)


def _of_stream(server: Any, *_args: Any, **_kwargs: Any) -> Connection:
    stream = server.stream
    socket = getattr(stream, "transport_stream", stream).socket
    try:
        peer, name = socket.getpeername(), socket.getsockname()
    except OSError:  # the client has gone already
        peer = name = None

    def ssl_object() -> Any:
        # trio's stream has the methods of the TLS object, which the handshake makes: it has not been done yet.
        return getattr(getattr(stream, "getpeercert", None), "__self__", None)

    return ssl_object, peer, name
