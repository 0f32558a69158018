"""Outgoing HTTPS, bounded, against a real server that answers what no server should."""

from collections.abc import Iterator
import socket
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
            return iter(chunks) if isinstance(chunks, Iterator) else list(chunks)

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


def test_a_body_that_drips_is_given_up_on(answering, context):
    """Every byte comes in time, the whole does not."""
    dripping = threading.Event()

    def drip():
        while not dripping.wait(0.05):
            yield b"x"

    try:
        with pytest.raises(FetchError, match=r"within 0\.3 seconds"):
            fetch(answering(chunks=drip()), context=context, timeout_seconds=0.3)
    finally:
        dripping.set()


def test_a_server_of_another_ca_is_refused(answering):
    """The system's CAs do not vouch for it."""
    with pytest.raises(FetchError, match="SSLError"):
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
