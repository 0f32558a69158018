"""Call an application as if over mutual TLS, without a socket; its wiring is the one of production.

What changes is what the server would have said: the wrapped application, `TLSConnection` included, cannot tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
import ssl
from typing import Any

from ..binding import PeerCertificate
from .kit import ClientCertificate


__all__ = ["asgi_with_peer", "peer_environ", "wsgi_with_peer"]

Peer = ClientCertificate | PeerCertificate | None


def asgi_with_peer(app: Callable[..., Awaitable[None]], peer: Peer) -> Callable[..., Awaitable[None]]:
    """*app* behind a TLS connection on which *peer* was proven; None: one without a client certificate.

    For ``starlette.testclient.TestClient(...)``, ``httpx.ASGITransport(app=...)``, or any ASGI client::

        client = TestClient(asgi_with_peer(app, kit.client("alice")))
    """
    chain = _chain(peer)

    async def with_peer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            tls = {
                "server_cert": None,
                "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der) for der in chain],
                "client_cert_error": None,
                "tls_version": 0x0304,
                "cipher_suite": None,
            }
            secure = {"http": "https", "ws": "wss"}
            scheme = scope.get("scheme", "http")
            extensions = {**(scope.get("extensions") or {}), "tls": tls}
            scope = {**scope, "scheme": secure.get(scheme, scheme), "extensions": extensions}
        await app(scope, receive, send)

    return with_peer


def wsgi_with_peer(app: Callable[..., Any], peer: Peer) -> Callable[..., Any]:
    """*app* behind a TLS connection on which *peer* was proven; None: one without a client certificate.

    For ``werkzeug.test.Client(...)``, ``webtest.TestApp(...)``, or any WSGI client.
    """

    def with_peer(environ: dict[str, Any], start_response: Any) -> Any:
        return app({**environ, **peer_environ(peer)}, start_response)

    return with_peer


def peer_environ(peer: Peer) -> dict[str, Any]:
    """What a WSGI server adds to the environ of a connection on which *peer* was proven.

    For test clients that build the environ themselves::

        app.test_client().get("/invoices", environ_overrides=peer_environ(kit.client("alice")))    # Flask
        django.test.Client(**peer_environ(kit.client("alice"))).get("/invoices")                   # Django
    """
    chain = _chain(peer)
    return {"wsgi.url_scheme": "https", "tokenbind.socket": _Socket(chain[0] if chain else None)}


class _Socket:
    """As much of an `ssl.SSLSocket` as says who is at the other end."""

    def __init__(self, der: bytes | None) -> None:
        self._der = der

    def getpeercert(self, binary_form: bool = False, /) -> bytes | None:
        return self._der


def _chain(peer: Peer) -> tuple[bytes, ...]:
    if isinstance(peer, ClientCertificate):
        peer = peer.peer
    return () if peer is None else peer.chain
