"""What clients of a proxy send, good ones and others: header names as they like, and bytes that are no HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
import socket
import ssl
from types import TracebackType
from typing import Self

from connections import DEADLINE_SECONDS, REFUSALS, Answer
import h2.config
import h2.connection
import h2.events


__all__ = ["HOST", "Client", "Fields"]

HOST = "api.example"

Fields = Iterable[tuple[str, str]]


class Client:
    """A connection, over TLS if there is a context; closes with its ``with`` block.

    Args:
        address: Of the server: a port of 127.0.0.1, or the path of a unix socket.
        context: With the client's certificate, if it has one; None is plain HTTP.
        source: The client's own address.
        name: That it asks for in the handshake.
    """

    def __init__(
        self,
        address: int | str,
        context: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
        *,
        name: str = HOST,
    ) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(DEADLINE_SECONDS)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(("127.0.0.1", address), DEADLINE_SECONDS, (source, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            try:
                self.socket = context.wrap_socket(self.socket, server_hostname=name)
            except BaseException:
                self.socket.close()
                raise
        self._http = HTTPConnection(HOST)
        self._http.auto_open = False
        self._http.sock = self.socket

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        self.socket.close()

    @property
    def is_open(self) -> bool:
        """Whether the last answer left it open."""
        return self._http.sock is not None

    def send(self, token: str | None, fields: Fields = (), *, path: str = "/") -> None:
        """Send a request with further header *fields*, in their order, and do not wait."""
        fields = list(fields)
        self._http.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        if not any(name.lower() == "host" for name, _ in fields):
            self._http.putheader("Host", HOST)
        for name, value in fields + _authorization(token):
            self._http.putheader(name, value)
        self._http.endheaders()

    def receive(self) -> Answer:
        """Wait for the answer to what was sent."""
        response = self._http.getresponse()
        return Answer(response.status, response.read())

    def ask(self, token: str | None, fields: Fields = (), *, path: str = "/") -> Answer:
        """A request and its answer."""
        self.send(token, fields, path=path)
        return self.receive()

    def ask_raw(self, token: str, lines: str, method: str = "GET", body: str = "", *, path: str = "/") -> Answer:
        """A request with these header *lines*, whatever they are."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n"
        with suppress(*REFUSALS):  # who refuses a request may hang up before all of it is sent; the answer says why
            self.socket.sendall((head + body).encode())
        response = HTTPResponse(self.socket)
        response.begin()
        return Answer(response.status, response.read())

    def ask_long(self, token: str, size: int) -> Answer:
        """A request with a body of *size*, sent at once: what comes in parts, a proxy may pass on in parts."""
        return self.ask_raw(token, f"Content-Length: {size}\r\n", "POST", "a" * size)

    def ask_h2(self, token: str | None, fields: Fields = (), trailer: Fields = ()) -> Answer:
        """A request over HTTP/2, the first of the connection; with a body, if it has a *trailer*."""
        protocol = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        protocol.initiate_connection()
        trailer = [(name.lower(), value) for name, value in trailer]
        pseudo = [(":method", "POST" if trailer else "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
        headers = [(name.lower(), value) for name, value in [*fields, *_authorization(token)]]
        protocol.send_headers(1, pseudo + headers, end_stream=not trailer)
        if trailer:
            protocol.send_data(1, b"a")
            protocol.send_headers(1, trailer, end_stream=True)
        self.socket.sendall(protocol.data_to_send())
        status, body, done = 0, b"", False
        while not done:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the server closed the connection")
            for event in protocol.receive_data(data):
                match event:
                    case h2.events.ResponseReceived():
                        status = int(dict(event.headers)[b":status"])
                    case h2.events.DataReceived():
                        body += event.data
                    case h2.events.StreamEnded():
                        done = True
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated() if not done:
                        raise EOFError("the server ended the stream")
            self.socket.sendall(protocol.data_to_send())
        return Answer(status, body)


def _authorization(token: str | None) -> list[tuple[str, str]]:
    return [] if token is None else [("Authorization", f"Bearer {token}")]
