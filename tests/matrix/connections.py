"""A connection to a server over mutual TLS, and what can be asked on it: HTTP/1.1, HTTP/2, a websocket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
import json
import re
import socket
import ssl
from types import TracebackType
from typing import Any, NamedTuple, Self

from http2 import HTTP2


__all__ = ["DEADLINE_SECONDS", "REFUSALS", "Answer", "Client", "Connection", "GRPCConnection"]

DEADLINE_SECONDS = 20

#: How a server that refuses a certificate looks to a client. With TLS 1.3, the handshake itself seems to succeed.
REFUSALS = (ssl.SSLError, ConnectionError, HTTPException, EOFError)

_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
_GRPC_METHODS = {"/": "/example.Api/WhoAmI", "/health": "/example.Api/Health"}
_GRPC_STATUSES = {"0": 200, "3": 400, "7": 403, "14": 503, "16": 401}


class Answer(NamedTuple):
    """An answer, complete."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reference(self) -> str:
        """The one under which the server's log says why."""
        found = re.search(rb'"reference": "(\w+)"', self.body)
        return found[1].decode() if found else ""


class Connection:
    """Is made with its handshake done; closes with its ``with`` block.

    Attributes:
        tls: The socket.
        session: What can be resumed, after an answer.
    """

    #: What it speaks, as ALPN says it.
    protocol = "http/1.1"

    def __init__(self, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        try:
            self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except BaseException:
            plain.close()
            raise
        self.session: ssl.SSLSession | None = None
        self._http = HTTPConnection("127.0.0.1", port)
        self._http.auto_open = False
        self._http.sock = self.tls
        self._http2 = HTTP2(self.tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        self.tls.close()

    @property
    def is_open(self) -> bool:
        """Whether the last answer left it open."""
        return self._http.sock is not None

    def send(self, token: str | None, path: str = "/") -> None:
        """Send a request, and do not wait."""
        self._http.request("GET", path, headers=_authorization(token))

    def receive(self) -> Answer:
        """Wait for the answer to what was sent."""
        response = self._http.getresponse()
        self.session = self.tls.session  # with TLS 1.3, it comes after the handshake; and reading on may close
        return Answer(response.status, response.read())

    def ask(self, token: str | None, path: str = "/") -> Answer:
        """A request and its answer."""
        self.send(token, path)
        return self.receive()

    def ask_side_by_side(self, tokens: Sequence[str]) -> list[Answer]:
        """A request with each of *tokens*, all at once, over HTTP/2, each on a stream of its own."""
        streams = [self._http2.send("GET", "/", _authorization(token)) for token in tokens]
        answers = [self._http2.receive(stream) for stream in streams]
        return [Answer(int(fields[":status"]), body) for fields, body in answers]

    def open_websocket(self, token: str) -> Answer:
        """Ask for a websocket. The answer's body is the first text, or what a refusal said."""
        self._http.request("GET", "/", headers=_HANDSHAKE | _authorization(token))
        response = self._http.getresponse()
        if response.status != 101:
            return Answer(response.status, response.read())
        size = response.fp.read(2)[1]  # RFC 6455 §5.2: one text frame, unmasked
        size = int.from_bytes(response.fp.read(2), "big") if size == 126 else size
        return Answer(response.status, response.fp.read(size))


class GRPCConnection(Connection):
    """The same for a gRPC server; its answers are told in the words of HTTP."""

    protocol = "h2"
    _sent: int

    def send(self, token: str | None, path: str = "/") -> None:
        """Call a method, with an empty message, and do not wait."""
        headers = {"Content-Type": "application/grpc", "TE": "trailers", **_authorization(token)}
        self._sent = self._http2.send("POST", _GRPC_METHODS[path], headers, bytes(5))

    def receive(self) -> Answer:
        """Wait for the answer to the last call."""
        return self._receive(self._sent)

    def ask_side_by_side(self, tokens: Sequence[str]) -> list[Answer]:
        """A call with each of *tokens*, all at once, each on a stream of its own."""
        streams = []
        for token in tokens:
            self.send(token)
            streams.append(self._sent)
        return [self._receive(stream) for stream in streams]

    def _receive(self, stream: int) -> Answer:
        fields, body = self._http2.receive(stream)
        self.session = self.tls.session
        status = _GRPC_STATUSES[fields["grpc-status"]]
        if status == 200:
            return Answer(status, body[5:])  # after a byte of flags, and the length
        challenge = re.search(r'error="(\w+)".*\(reference (\w+)\)', fields.get("www-authenticate", ""))
        if not challenge or f"(reference {challenge[2]})" not in fields["grpc-message"]:
            raise ValueError(f"no challenge, or none that fits its details: {fields}")
        return Answer(status, json.dumps({"error": challenge[1], "reference": challenge[2]}).encode())


class Client:
    """Has one connection, and asks again if that was closed meanwhile, as HTTP clients do.

    Args:
        connect: Makes a connection.
        retries: How often an answer of 500 is not taken for one.
    """

    def __init__(self, connect: Callable[[], Connection], retries: int) -> None:
        self._connect = connect
        self._retries = retries
        self._opened = ExitStack()
        self._connection: Connection | None = None
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()

    def send(self, token: str) -> None:
        """Send a request, and do not wait."""
        self._token = token
        if self._connection is not None and self._connection.is_open:
            try:
                self._connection.send(token)
                return
            except REFUSALS:
                pass
        self._send_on_a_new_connection()

    def receive(self) -> Answer:
        """Wait for the answer to what was sent."""
        for _ in range(self._retries + 1):
            answer = self._receive_once()
            if answer.status != 500:
                break
            self._send_on_a_new_connection()
        return answer

    def _receive_once(self) -> Answer:
        assert self._connection is not None
        try:
            return self._connection.receive()
        except REFUSALS:  # a busy server may close a connection that was idle
            return self._send_on_a_new_connection().receive()

    def _send_on_a_new_connection(self) -> Connection:
        self._opened.close()
        self._connection = self._opened.enter_context(self._connect())
        self._connection.send(self._token)
        return self._connection


def _authorization(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
