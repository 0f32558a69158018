"""A real mutual-TLS server on loopback, in a thread: uvicorn for ASGI, the standard library for WSGI."""

from __future__ import annotations

import asyncio
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from socketserver import ThreadingMixIn
import ssl
import threading
from types import TracebackType
from typing import Any, Literal, Self
from wsgiref.simple_server import WSGIServer

from ..errors import ConfigurationError
from ..servers.wsgiref import WSGIRequestHandler
from .kit import BindingKit


__all__ = ["MutualTLSServer"]

_DEADLINE_SECONDS = 20


class MutualTLSServer:
    """Serves *app* over mutual TLS on ``https://127.0.0.1:PORT`` while the ``with`` block runs.

    Args:
        app: An ASGI or WSGI application, wired as in production: its peer source is `TLSConnection`.
        kit: Its CA signs the server's certificate, and the clients' must be of it.
        interface: Which of the two *app* is.
        client_certificates: Whether a handshake without one fails (as in production), or reaches *app*, so that its
            own refusal can be seen.
    """

    def __init__(
        self,
        app: Any,
        kit: BindingKit,
        *,
        interface: Literal["asgi", "wsgi"] = "asgi",
        client_certificates: Literal["required", "optional"] = "optional",
    ) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        kit.ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        kit.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED if client_certificates == "required" else ssl.CERT_OPTIONAL
        self._server: _Asgi | _Wsgi = _Asgi(app, context) if interface == "asgi" else _Wsgi(app, context)
        self._thread = threading.Thread(target=self._server.run, name="tokenbind-testing-server", daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self._server.port

    @property
    def url(self) -> str:
        """``https://127.0.0.1:PORT``, without a slash at the end; an origin."""
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.wait_until_started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join(_DEADLINE_SECONDS)


class _Asgi:
    def __init__(self, app: Any, context: ssl.SSLContext) -> None:
        try:
            import uvicorn
        except ImportError:
            raise ConfigurationError("MutualTLSServer serves ASGI with uvicorn: install tokenbind[testing]") from None
        from ..servers import uvicorn as shim

        started = self._started = threading.Event()

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket] | None = None) -> None:
                await super().startup(sockets)
                started.set()

            async def shutdown(self, sockets: list[socket] | None = None) -> None:
                # A client that left without close_notify would be waited for: asyncio in Python 3.11 does not see it.
                for connection in list(self.server_state.connections):
                    connection.transport.abort()
                await super().shutdown(sockets)

        websocket = "none"
        for name in ("WebSocketsSansIO", "WSProto"):  # what uvicorn chooses itself can be the deprecated one
            try:
                websocket = getattr(shim, name)
                break
            except ImportError:
                pass
        config = uvicorn.Config(
            app, http=shim.HTTP, ws=websocket, loop="asyncio", log_level="warning", timeout_graceful_shutdown=1
        )
        config.load()
        config.ssl = context
        # With the protocol named, asyncio sets TCP_NODELAY; without, every answer waits 40 ms for an acknowledgement.
        self._socket = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._server = Server(config)

    def run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except SystemExit:
            pass  # uvicorn's word for an application that did not start
        finally:
            self._started.set()  # so that a start that failed is not waited for
            self._socket.close()

    def wait_until_started(self) -> None:
        if not self._started.wait(_DEADLINE_SECONDS) or not self._server.started:
            raise RuntimeError("the server did not start; its own message stands above")

    def stop(self) -> None:
        self._server.should_exit = True


class _Wsgi:
    def __init__(self, app: Any, context: ssl.SSLContext) -> None:
        self._server = _WsgiServer(("127.0.0.1", 0), _WsgiHandler)
        self._server.context = context
        self._server.set_app(app)
        self.port: int = self._server.server_port

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def wait_until_started(self) -> None:
        """The socket listens since it was made."""

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _WsgiServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    context: ssl.SSLContext

    def server_bind(self) -> None:
        super().server_bind()
        self.server_name = "127.0.0.1"

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        # The handshake is done by the first read, in the thread of the connection.
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that breaks the handshake off is what such tests are about."""


class _WsgiHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Nothing."""
