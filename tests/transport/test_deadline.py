"""The deadline of a fetch is that of the whole: whoever sends every byte in time, and never ends, is given up on."""

from select import select
import socket
import ssl
from time import monotonic

import pytest

from tokenbind.transport import FetchError, fetch
from tokenbind.transport.connection import BoundedConnection
from tokenbind.transport.origin import HttpsUrl


# Whoever is not let go after this time, where half a second was allowed, was held for ever.
HELD_SECONDS = 15


def drip(connection, byte=b"x"):
    """A byte now and then, until the other side leaves."""
    end = monotonic() + HELD_SECONDS
    while monotonic() < end:
        connection.sendall(byte)
        if select([connection], [], [], 0.05)[0] and not connection.recv(1):
            return
    raise AssertionError("we were held")


def dripped(*parts):
    """What a server does that sends *parts*, and then drips."""

    def answer(connection):
        connection.recv(65_536)
        for part in parts:
            connection.sendall(part)
        drip(connection)

    return answer


def flooded(start, endless):
    """What a server does that sends *start*, and then *endless* until the other side leaves."""

    def answer(connection):
        connection.settimeout(1)  # a kernel need not tell a server that its window will not open again
        connection.recv(65_536)
        connection.sendall(start)
        end = monotonic() + HELD_SECONDS
        while monotonic() < end:
            connection.sendall(endless)
        raise AssertionError("we were held")

    return answer


def chunks(connection):
    """One-byte chunks, now and then, without end."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(connection, b"1\r\nx\r\n")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(flooded(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500), id="endless-100"),
        pytest.param(flooded(CHUNKED + b"0\r\n", b"x: y\r\n" * 1000), id="endless-trailers"),
        pytest.param(dripped(b"HTTP/1.1 2"), id="status-line"),
        pytest.param(dripped(b"HTTP/1.1 200 OK\r\nX-Y: "), id="header"),
        pytest.param(dripped(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"), id="body"),
        pytest.param(dripped(b"HTTP/1.1 200 OK\r\n\r\n"), id="body-without-length"),
        pytest.param(dripped(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), id="body-of-a-connection-to-close"),
        pytest.param(dripped(CHUNKED, b"0"), id="chunk-size"),
        pytest.param(dripped(CHUNKED, b"1;"), id="chunk-extension"),
        pytest.param(dripped(CHUNKED, b"ffff\r\n"), id="chunk"),
        pytest.param(chunks, id="small-chunks"),
        pytest.param(dripped(CHUNKED, b"1\r\n{\r\n0\r\nT: "), id="trailer"),
        pytest.param(lambda connection: connection.recv(65_536) and select([connection], [], [], 20), id="silence"),
    ],
)
def test_a_server_that_never_ends_is_given_up_on(tls_listening, context, answer):
    """Every byte comes in time, the whole never does."""
    with pytest.raises(FetchError, match=r"did not answer within 0\.5 seconds"):
        fetch(f"https://127.0.0.1:{tls_listening(answer)}/", context=context, timeout_seconds=0.5)


def test_a_handshake_that_drips_is_given_up_on(listening, tokenbind_kit, context):
    """It is a good handshake, byte by byte."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(server)

    def handle(connection):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        handshake = server.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65_536))
        with pytest.raises(ssl.SSLWantReadError):
            handshake.do_handshake()
        for byte in outgoing.read():
            connection.sendall(bytes([byte]))
            if select([connection], [], [], 0.05)[0]:
                return

    with pytest.raises(FetchError, match=r"did not answer within 0\.5 seconds"):
        fetch(f"https://127.0.0.1:{listening(handle)}/", context=context, timeout_seconds=0.5)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nVia: "])
def test_a_proxy_that_drips_is_given_up_on(listening, context, start):
    """A socket's own timeout would begin anew with each byte."""
    proxy = f"http://127.0.0.1:{listening(dripped(start))}"
    with pytest.raises(FetchError, match=r"did not answer within 0\.5 seconds"):
        fetch("https://as.example/", context=context, timeout_seconds=0.5, proxy=proxy)


def test_a_proxy_that_sends_headers_without_end_is_given_up_on(listening, context):
    """It is the time that ends them, or their number."""
    port = listening(flooded(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"))
    with pytest.raises(FetchError, match="did not answer within|HTTPException"):
        fetch("https://as.example/", context=context, timeout_seconds=0.5, proxy=f"http://127.0.0.1:{port}")


@pytest.fixture
def swallowing():
    """An address that does not answer a SYN: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(8)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for client in waiting:
            client.close()


def test_an_address_that_swallows_packets_is_given_up_on(swallowing, context):
    """In the time of the whole."""
    with pytest.raises(FetchError, match=r"did not answer within 0\.3 seconds"):
        fetch(f"https://127.0.0.1:{swallowing[1]}/", context=context, timeout_seconds=0.3)


def resolving(monkeypatch, *addresses):
    """Have every name be at *addresses*."""
    original = socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **options):
        if host == "localhost":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        return original(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_it_leaves_time_for_the_next_address(swallowing, tls_listening, context, monkeypatch):
    """A name may have two, one of them dead."""

    def answer(connection):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 204 None\r\n\r\n")

    resolving(monkeypatch, swallowing, ("127.0.0.1", tls_listening(answer, "localhost")))

    assert 204 == fetch("https://localhost/", context=context, timeout_seconds=3).status


def test_when_no_address_answers_the_last_failure_is_told(context, monkeypatch):
    """Each was tried."""
    resolving(monkeypatch, ("127.0.0.1", 1), ("127.0.0.1", 2))
    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        fetch("https://localhost/", context=context)


def test_without_time_nothing_is_tried(context):
    """As when the resolver has used it up."""
    with pytest.raises(FetchError, match="did not answer within 0 seconds"):
        fetch("https://127.0.0.1:1/", context=context, timeout_seconds=0)


def test_a_connection_that_has_ended_is_cut_off_all_the_same(context):
    """The other side may be quicker than the watchdog; late is late."""
    url = HttpsUrl("127.0.0.1", 1, "")
    with BoundedConnection(url, context=context, timeout_seconds=20) as connection, socket.socket() as ended:
        assert not connection.late
        connection._cut_off(ended)
        assert connection.late
