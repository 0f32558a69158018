"""One HTTPS connection that ends when its time is over, whatever the other side sends, or does not send."""

from __future__ import annotations

import socket
import ssl
from threading import Timer
from time import monotonic
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPSConnection

from .origin import HttpsUrl
from .proxy import Proxy


__all__ = ["BoundedConnection"]


class BoundedConnection(HTTPSConnection):
    """Connects to a URL's origin, through CONNECT if there is a proxy; TLS is with the origin in both cases.

    Connecting, CONNECT, handshake, request and answer have *timeout_seconds* together. A socket's timeout begins anew
    with every byte, so one who drips could hold us for ever: a watchdog cuts the connection off. Name resolution
    cannot be cut off, but its time counts.
    """

    def __init__(
        self, url: HttpsUrl, *, context: ssl.SSLContext, timeout_seconds: float, proxy: Proxy | None = None
    ) -> None:
        host, port = url.origin if proxy is None else (proxy.host, proxy.port)
        super().__init__(host, port, timeout=timeout_seconds, ssl_context=context)
        if proxy is not None:
            self.set_tunnel(url.host, url.port, proxy.headers, scheme="http")
        #: Whether the handshake is done, so that the server may have got what was sent since.
        self.secured: bool = False
        self._first_hop = host, port
        self._deadline = monotonic() + timeout_seconds
        self._cut = False
        self._watched: socket.socket | None = None
        self._watchdog: Timer | None = None

    @property
    def late(self) -> bool:
        """Whether its time is over; what was read may then be only a part."""
        return self._cut or monotonic() >= self._deadline

    def __enter__(self) -> Self:
        return self

    # Not close(), which http.client calls before the body is read, if the answer says "Connection: close".
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog.join()
        if self._watched is not None:
            self._watched.close()
        self.close()

    def connect(self) -> None:
        super().connect()
        self.secured = True

    def _new_conn(self) -> socket.socket:
        # close() finds it there, should the rest fail.
        connected = self._connect()
        self.sock: socket.socket | Any = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(self._left())
        # A descriptor of its own: the number of the connection's could already be that of another file.
        self._watched = connected.dup()
        watchdog = Timer(self._left(), self._cut_off, [self._watched])
        watchdog.daemon = True
        watchdog.start()
        self._watchdog = watchdog
        return connected

    def _tunnel(self) -> None:
        super()._tunnel()
        # Headers that were cut off are complete to http.client, and ssl leaks a socket that was reset before its use.
        self._left()

    def _connect(self) -> socket.socket:
        addresses = socket.getaddrinfo(*self._first_hop, type=socket.SOCK_STREAM)
        failure = OSError()
        for number, (*_, address) in enumerate(addresses):
            try:
                # One that swallows packets must leave time to the others.
                seconds = self._left() / (len(addresses) - number)
                return socket.create_connection((str(address[0]), int(address[1])), seconds)
            except OSError as error:
                failure = error
        raise failure

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _cut_off(self, watched: socket.socket) -> None:
        self._cut = True
        try:
            watched.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it ended by itself
