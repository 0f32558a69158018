"""One bounded HTTPS request: no redirects, no proxies, no content encodings, a cap on bytes and on the whole time."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
import socket
import ssl
from threading import Timer
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPSConnection

from ..errors import TokenBindError


__all__ = ["FetchError", "Response", "fetch"]


class FetchError(TokenBindError):
    """There is no usable answer. The message names the address and the kind of failure, nothing that was sent."""


class Response(NamedTuple):
    """An answer, whatever its status. `headers` are looked up without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    context: ssl.SSLContext,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = 10,
    max_bytes: int = 65_536,
) -> Response:
    """Send one request and read its answer.

    Does NOT verify anything in the answer, not even its status; redirects are answers like others.

    Raises:
        FetchError: if the URL is not https, or there is no complete answer within the bounds.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise FetchError(f"refusing to fetch {url!r}: it is not https")
    deadline = monotonic() + timeout_seconds
    connection = HTTPSConnection(parts.hostname, parts.port, ssl_context=context, timeout=timeout_seconds)
    watchdog: Timer | None = None
    connected: socket.socket | None = None
    try:
        connection.connect()
        connected = connection.sock
        # A socket's timeout begins anew with every byte, so a server that drips could hold us for ever.
        watchdog = Timer(max(0.0, deadline - monotonic()), _shut, [connected])
        watchdog.daemon = True
        watchdog.start()
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        fields = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        connection.request(method, target, body=body, headers=fields, preload_content=False, decode_content=False)
        answer = connection.getresponse()
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise FetchError(f"{url} answered with a content encoding, though asked not to")
        data = answer.read(max_bytes + 1)
        if monotonic() >= deadline:
            raise FetchError(f"{url} did not answer within {timeout_seconds:g} seconds")
        if len(data) > max_bytes:
            raise FetchError(f"{url} answered with more than {max_bytes} bytes")
        return Response(answer.status, answer.headers, data)
    except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
        late = f" within {timeout_seconds:g} seconds" if monotonic() >= deadline else ""
        raise FetchError(f"{url} cannot be reached{late}: {type(error).__name__}") from None
    finally:
        if watchdog is not None:
            watchdog.cancel()
        connection.close()
        if connected is not None and connected.fileno() >= 0:
            # An answer that was not read to its end keeps the socket open, and the server waiting, as long as the error
            # of its reading lives.
            socket.close(connected.detach())


def _shut(connected: socket.socket) -> None:
    try:
        socket.socket.shutdown(
            connected, socket.SHUT_RDWR
        )  # not SSLSocket's own, which would let the reader go on without TLS
    except OSError:
        pass  # it ended by itself
