"""Outgoing HTTPS, bounded, against a real server that answers what no server should."""

from contextlib import suppress
from select import select
import socket
import ssl
import threading

import pytest

from tokenbind.transport import FetchError, fetch
from tokenbind.transport.tls_context import client_context


@pytest.fixture
def context(tokenbind_kit):
    """A client's context without a certificate."""
    return client_context(tokenbind_kit.ca_pem)


@pytest.fixture
def answering(tokenbind_server):
    """A server that gives every request the same answer; called with status, headers and chunks, returns its URL."""

    def serve(status="200 OK", headers=(), chunks=(b"{}",)):
        def app(environ, start_response):
            start_response(status, list(headers))
            return list(chunks)

        return tokenbind_server(app, interface="wsgi").url + "/"

    return serve


def test_an_answer_comes_whole(answering, context):
    """Status, headers without case, and body."""
    response = fetch(answering("418 Teapot", [("X-Kind", "tea")], (b"a", b"b")), context=context)

    assert (418, "tea", b"ab") == (response.status, response.headers["x-kind"], response.body)


def test_what_is_sent_arrives(tokenbind_server, context):
    """Method, body and headers reach the server, and no encoding is asked for."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read(3))
        start_response("200 OK", [])
        return [b""]

    fetch(
        tokenbind_server(app, interface="wsgi").url, context=context, method="POST", body=b"a=b", headers={"x-a": "1"}
    )

    assert ("POST", b"a=b", "1") == (seen["REQUEST_METHOD"], seen["body"], seen["HTTP_X_A"])
    assert "identity" == seen["HTTP_ACCEPT_ENCODING"]


def test_a_redirect_is_an_answer(answering, context):
    """It is handed back, not followed."""
    assert 307 == fetch(answering("307 Go", [("location", "https://127.0.0.1:1/")]), context=context).status


def test_a_body_over_the_cap_is_refused(answering, context):
    """One byte too many; exactly the cap is let through."""
    url = answering(chunks=(b"x" * 100,))

    assert 100 == len(fetch(url, context=context, max_bytes=100).body)
    with pytest.raises(FetchError, match="more than 99 bytes"):
        fetch(url, context=context, max_bytes=99)


def test_an_encoded_body_is_refused(answering, context):
    """A small gzip body can be a large one."""
    with pytest.raises(FetchError, match="content encoding"):
        fetch(answering(headers=[("content-encoding", "gzip")]), context=context)


def test_a_server_of_another_ca_is_refused(answering):
    """The system's CAs do not vouch for it."""
    with pytest.raises(FetchError, match="SSLCertVerificationError"):
        fetch(answering(), context=client_context(None))


def test_only_https_is_fetched(context):
    """Not even on loopback."""
    with pytest.raises(FetchError, match="not https"):
        fetch("http://127.0.0.1/", context=context)


def test_a_port_where_nobody_listens_is_an_error(context):
    """The kind of failure is named."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(FetchError, match="cannot be reached"):
            fetch(f"https://127.0.0.1:{unused.getsockname()[1]}/", context=context)


def _endless_interim(connection):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 500)


def _dripped(*parts):
    def answer(connection):
        for part in parts:
            connection.sendall(part)
        while True:
            connection.sendall(b"x")
            connection.recv(1) if select([connection], [], [], 0.05)[0] else None

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_endless_interim, id="endless-100"),
        pytest.param(_dripped(b"HTTP/1.1 2"), id="status-line"),
        pytest.param(_dripped(b"HTTP/1.1 200 OK\r\nX-Y: "), id="header"),
        pytest.param(_dripped(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"), id="body"),
        pytest.param(_dripped(b"HTTP/1.1 200 OK\r\n\r\n"), id="body-without-length"),
        pytest.param(_dripped(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0"), id="chunk-size"),
        pytest.param(
            _dripped(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nT: "), id="trailer"
        ),
    ],
)
def test_a_server_that_never_ends_is_given_up_on(tokenbind_kit, context, answer):
    """Every byte comes in time, the whole never does; the time is that of the whole request."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(server)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError), server.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.settimeout(2)  # a kernel need not tell a server that its window will not open again
                connection.recv(65_536)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(FetchError, match=r"within 0\.5 seconds"):
                fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", context=context, timeout_seconds=0.5)
        finally:
            thread.join(20)
    assert not thread.is_alive()
