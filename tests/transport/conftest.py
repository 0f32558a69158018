"""Servers of raw bytes, with and without TLS, and a forward proxy: in threads, on loopback."""

from contextlib import ExitStack, contextmanager, suppress
import re
from select import select
import socket
from socketserver import ThreadingTCPServer
import ssl
import sys
import threading

from cryptography.hazmat.primitives import serialization
import pytest

from tokenbind.transport import followed_files
from tokenbind.transport.tls_context import client_context

from .rotating import Clock


class _Server(ThreadingTCPServer):
    daemon_threads = False  # each is waited for at the end: one that hangs was not left by its client
    allow_reuse_address = True
    request_queue_size = 50

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.errors = []

    def handle_error(self, request, client_address):
        self.errors.append(sys.exception())


@pytest.fixture
def clock(monkeypatch):
    """The clock by which files are followed."""
    clock = Clock()
    monkeypatch.setattr(followed_files, "monotonic", clock)
    monkeypatch.setattr(followed_files, "sleep", clock.sleep)
    return clock


@pytest.fixture
def context(tokenbind_kit):
    """A client's context without a certificate."""
    return client_context(tokenbind_kit.ca_pem)


@pytest.fixture
def listening():
    """Call it with what to do with each connection, which must not raise; returns the port."""

    @contextmanager
    def serve(handle):
        def guarded(connection, _address, _server):
            connection.settimeout(20)
            with suppress(OSError):
                handle(connection)

        with _Server(("127.0.0.1", 0), guarded) as server:
            thread = threading.Thread(target=server.serve_forever, args=[0.02])
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()
        assert [] == server.errors

    with ExitStack() as stack:
        yield lambda handle: stack.enter_context(serve(handle))


@pytest.fixture
def tls_listening(listening, tokenbind_kit):
    """The same over TLS, with a certificate for 127.0.0.1 or the given name."""

    def serve(handle, name="127.0.0.1", ca=tokenbind_kit.ca):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert(name).configure_cert(context)

        def secured(connection):
            with context.wrap_socket(connection, server_side=True) as wrapped:
                handle(wrapped)

        return listening(secured)

    return serve


@pytest.fixture
def answering(tokenbind_server):
    """A server that gives every request the same answer; called with status, headers and chunks, returns its URL."""

    def serve(status="200 OK", headers=(), chunks=(b"{}",)):
        def app(environ, start_response):
            start_response(status, list(headers))
            return list(chunks)

        return tokenbind_server(app, interface="wsgi").url + "/"

    return serve


@pytest.fixture
def saying(tls_listening):
    """A server that says exactly these bytes to every request, and leaves; returns its URL."""

    def serve(data):
        def answer(connection):
            connection.recv(65_536)
            connection.sendall(data)

        return f"https://127.0.0.1:{tls_listening(answer)}/"

    return serve


@pytest.fixture
def proxying(listening):
    """A forward proxy; called with where the names really are, returns its port and the heads that it was sent."""

    def serve(places):
        heads = []

        def handle(connection):
            heads.append(read_head(connection))
            place = re.match(r"CONNECT (\S+) ", heads[-1])[1]
            with socket.create_connection(("127.0.0.1", places[place])) as upstream:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
                while True:
                    for source in select([connection, upstream], [], [], 20)[0]:
                        data = source.recv(65_536)
                        if not data:
                            return
                        (upstream if source is connection else connection).sendall(data)

        return listening(handle), heads

    return serve


def read_head(connection):
    """What comes before the first empty line."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError
        head += byte
    return head.decode("latin-1")


@pytest.fixture
def encrypt():
    """Encrypts a PEM key with a password."""

    def encrypt(key_pem, password):
        key = serialization.load_pem_private_key(key_pem, None)
        encryption = serialization.BestAvailableEncryption(password)
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    return encrypt
