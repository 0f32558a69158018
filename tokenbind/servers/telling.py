"""What the shims for ASGI servers share: an application that is told, in every scope, what its connection is.

A shim knows which class of its server stands for one connection, which of its methods is the first to know the
transport, and that every request goes to the ``app`` of the instance. A server that has lost one of these is an error
when the shim is installed or, at the latest, at the first connection; not 503 for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
import logging
import ssl
from typing import Any, TypeAlias

from ..errors import ConfigurationError


__all__ = ["Connection", "announce", "hook_missing", "of_transport", "teach", "telling"]

#: A call that gives the TLS object, or None; and both addresses of the socket itself, which no header has a say in.
Connection: TypeAlias = tuple[Callable[[], Any], object, object]

_TLS_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

_announced: set[str] = set()


def of_transport(transport: Any) -> Connection:
    """The connection of an `asyncio` transport, or of a stream on one; its handshake has been done."""
    tls = transport.get_extra_info("ssl_object")
    return lambda: tls, transport.get_extra_info("peername"), transport.get_extra_info("sockname")


def telling(app: Any, ssl_object: Callable[[], Any], socket_peer: object, socket_name: object) -> Any:
    """*app*, told of its connection in every scope; *ssl_object* is called at the first, after the handshake."""
    told: dict[str, Any] = {}
    own = {"ssl_object": None, "socket_peer": socket_peer, "socket_name": socket_name}

    # Not a coroutine itself: that would be one more to go through at every message. hypercorn has two arguments more.
    def told_app(scope: Any, receive: Any, send: Any, *more: Any) -> Any:
        if not told:
            own["ssl_object"] = tls = ssl_object()
            told.update({"tokenbind": own} if tls is None else {"tls": _tls_extension(tls), "tokenbind": own})
        extensions = scope.get("extensions")
        scope["extensions"] = {**told, **extensions, "tokenbind": own} if extensions else told.copy()
        return app(scope, receive, send, *more)

    return told_app


def _tls_extension(tls: Any) -> dict[str, Any]:
    """The ASGI TLS extension (0.2), for other readers than ours; what `ssl` does not know is None."""
    der = tls.getpeercert(True)
    return {
        "server_cert": None,
        "client_cert_chain": (ssl.DER_cert_to_PEM_cert(der),) if der else (),
        "client_cert_error": None,
        "tls_version": _TLS_VERSIONS.get(tls.version()),
        "cipher_suite": None,
    }


def teach(method: Callable[..., None], connection_of: Callable[..., Connection]) -> Callable[..., None]:
    """*method* of a connection's class, after which the connection's ``app`` is told; itself, if it is such already.

    *connection_of* is called with the same arguments.
    """
    if hasattr(method, "_tokenbind"):
        return method

    @wraps(method)
    def taught(self: Any, *args: Any, **kwargs: Any) -> None:
        method(self, *args, **kwargs)
        if not hasattr(self, "app"):
            raise hook_missing(f"{type(self).__name__}.app")
        self.app = telling(self.app, *connection_of(self, *args, **kwargs))

    taught._tokenbind = True  # type: ignore[attr-defined]
    return taught


def hook_missing(what: str) -> ConfigurationError:
    """The error of a server that has lost what its shim needs."""
    return ConfigurationError(
        f"this version of the server has no {what}, which tokenbind needs: use another version, and please report it"
    )


def announce(log_name: str, shim: str) -> None:
    """Say once in this process, in the server's own log, where applications have certificates from.

    With the next line of that log: servers set it up after they load the application, or before.
    """
    if log_name in _announced:
        return
    _announced.add(log_name)
    log = logging.getLogger(log_name)

    def first(_record: logging.LogRecord) -> bool:
        log.filters = [each for each in log.filters if each is not first]  # the old list is being gone through
        log.info("tokenbind: applications are told the certificate that each TLS connection has proven (%s)", shim)
        return True

    log.addFilter(first)
