"""As much of an HTTP/2 client as the matrix needs: requests that share a connection."""

from __future__ import annotations

from collections.abc import Mapping
import ssl

import h2.connection
import h2.errors
import h2.events


__all__ = ["HTTP2"]


class HTTP2:
    """On a TLS socket, from the first request on."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._protocol: h2.connection.H2Connection | None = None
        self._fields: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}
        self._ended: set[int] = set()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> int:
        """Send a request, and do not wait; returns the stream."""
        if self._protocol is None:
            self._protocol = h2.connection.H2Connection()
            self._protocol.initiate_connection()
        stream = self._protocol.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "https"), (":authority", "127.0.0.1"), (":path", path)]
        fields += [(name.lower(), value) for name, value in headers.items()]
        self._fields[stream], self._bodies[stream] = {}, b""
        self._protocol.send_headers(stream, fields, end_stream=not body)
        if body:
            self._protocol.send_data(stream, body, end_stream=True)
        self._tls.sendall(self._protocol.data_to_send())
        return stream

    def receive(self, stream: int) -> tuple[dict[str, str], bytes]:
        """Wait for the answer on *stream*: fields, with those of the trailer, and body."""
        assert self._protocol is not None
        while stream not in self._ended:
            data = self._tls.recv(65536)
            if not data:
                raise EOFError("the server closed the connection")
            for event in self._protocol.receive_data(data):
                self._note(self._protocol, event)
            self._tls.sendall(self._protocol.data_to_send())
        return self._fields.pop(stream), self._bodies.pop(stream)

    def _note(self, protocol: h2.connection.H2Connection, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self._fields[event.stream_id] |= {name.decode(): value.decode() for name, value in event.headers}
            case h2.events.DataReceived():
                self._bodies[event.stream_id] += event.data
                protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._ended.add(event.stream_id)
            case h2.events.StreamReset() if event.error_code != h2.errors.ErrorCodes.NO_ERROR:
                raise EOFError(f"the server ended the stream: {event.error_code}")
