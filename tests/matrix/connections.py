"""A connection to a server over mutual TLS, and what can be asked on it: HTTP/1.1, HTTP/2, a websocket."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
import json
import re
import socket
import ssl
from types import TracebackType
from typing import Any, NamedTuple, Self

import h2.connection
import h2.events


__all__ = ["DEADLINE_SECONDS", "REFUSALS", "Answer", "Connection"]

DEADLINE_SECONDS = 20

#: How a server that refuses a certificate looks to a client. With TLS 1.3, the handshake itself seems to succeed.
REFUSALS = (ssl.SSLError, ConnectionError, HTTPException, EOFError)

_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


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

    def __init__(self, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        try:
            self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except BaseException:
            plain.close()
            raise
        self._http = HTTPConnection("127.0.0.1", port)
        self._http.auto_open = False
        self._http.sock = self.tls
        self.session: ssl.SSLSession | None = None

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

    def ask_h2(self, tokens: Sequence[str]) -> list[Answer]:
        """A request with each of *tokens*, all at once, each on a stream of its own."""
        protocol = h2.connection.H2Connection()
        protocol.initiate_connection()
        answers: dict[int, list[Any]] = {}
        for token in tokens:
            stream = protocol.get_next_available_stream_id()
            answers[stream] = [0, b"", False]
            headers = [(":method", "GET"), (":scheme", "https"), (":authority", "127.0.0.1"), (":path", "/")]
            headers += [(name.lower(), value) for name, value in _authorization(token).items()]
            protocol.send_headers(stream, headers, end_stream=True)
        self.tls.sendall(protocol.data_to_send())
        while not all(done for _, _, done in answers.values()):
            data = self.tls.recv(65536)
            if not data:
                raise EOFError("the server closed the connection")
            for event in protocol.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    answers[event.stream_id][0] = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answers[event.stream_id][1] += event.data
                    protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    answers[event.stream_id][2] = True
            self.tls.sendall(protocol.data_to_send())
        return [Answer(status, body) for status, body, _ in answers.values()]

    def open_websocket(self, token: str) -> Answer:
        """Ask for a websocket. The answer's body is the first text, or what a refusal said."""
        self._http.request("GET", "/", headers=_HANDSHAKE | _authorization(token))
        response = self._http.getresponse()
        if response.status != 101:
            return Answer(response.status, response.read())
        size = response.fp.read(2)[1]  # RFC 6455 §5.2: one text frame, unmasked
        size = int.from_bytes(response.fp.read(2), "big") if size == 126 else size
        return Answer(response.status, response.fp.read(size))


def _authorization(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
