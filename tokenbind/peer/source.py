"""The protocol that every source of peer certificates meets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Protocol

from ..binding import PeerCertificate


__all__ = ["PeerSource", "SSLObject"]


class SSLObject(Protocol):
    """`ssl.SSLSocket`, `ssl.SSLObject`, or another library's object of the same shape."""

    @property
    def getpeercert(self) -> Callable[..., Any]: ...


class PeerSource(Protocol):
    """Answers what certificate the peer of this very request has proven.

    Exactly one source is configured; there is no falling back from one to another. All three methods return None only
    if it is certain that the handshake had no client certificate, and raise otherwise:

    * `Unavailable` with ``certificate_source_missing``: there is no knowing, so nothing is allowed;
    * `InvalidRequest` with ``certificate_malformed``: there is something, and it cannot be read.
    """

    def from_scope(self, scope: MutableMapping[str, Any], /) -> PeerCertificate | None:
        """From an ASGI ``http`` or ``websocket`` scope."""

    def from_environ(self, environ: Mapping[str, Any], /) -> PeerCertificate | None:
        """From a WSGI environ (PEP 3333)."""

    def from_request(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        /,
        *,
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> PeerCertificate | None:
        """From the parts of a request, for any other framework.

        Args:
            headers: Names and values as they came, in their order.
            socket_peer: The address at the other end of the socket, as `socket.socket.getpeername` gives it.
            socket_name: That of this end, as `socket.socket.getsockname` gives it.
            tls_peer: The TLS object of the connection.
        """
