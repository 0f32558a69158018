"""Outgoing HTTPS, bounded, against a real server that answers what no server should."""

from contextlib import suppress
from http.client import RemoteDisconnected
from pathlib import Path
import socket
import ssl
from threading import Timer
from time import monotonic

from hypothesis import given, strategies as st
import pytest
import trustme

from tokenbind.transport import FetchError, fetch
from tokenbind.transport.connection import BoundedConnection
from tokenbind.transport.fetch import shown
from tokenbind.transport.tls_context import client_context


def test_an_answer_comes_whole(answering, context):
    """Status, headers without case, and body."""
    response = fetch(answering("418 Teapot", [("X-Kind", "tea")], (b"a", b"b")), context=context)

    assert (418, "tea", b"ab") == (response.status, response.headers["x-kind"], response.body)


def test_what_is_sent_arrives(tokenbind_server, context):
    """Method, target, body and headers reach the server, and no encoding is asked for."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)))
        start_response("200 OK", [])
        return [b""]

    url = tokenbind_server(app, interface="wsgi").url
    fetch(f"{url}/a//b?b=c#d", context=context, method="POST", body=b"a=b", headers={"x-a": "1"})

    assert ("POST", "/a//b", "b=c") == (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"])
    assert (b"a=b", "1") == (seen["body"], seen["HTTP_X_A"])
    assert "identity" == seen["HTTP_ACCEPT_ENCODING"]
    fetch(f"{url}?e", context=context)
    assert ("/", "e") == (seen["PATH_INFO"], seen["QUERY_STRING"])


def test_a_redirect_is_an_answer(answering, context):
    """It is handed back, not followed."""
    assert 307 == fetch(answering("307 Go", [("location", "https://127.0.0.1:1/")]), context=context).status


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 100\r\n\r\n%b", id="length"),
        pytest.param(b"Connection: close\r\n\r\n%b", id="until-the-end"),
        pytest.param(b"Content-Length: -5\r\n\r\n%b", id="negative-length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n64\r\n%b\r\n0\r\n\r\n", id="one-chunk"),
        pytest.param(b"Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n63\r\n%.99b\r\n0\r\n\r\n", id="two-chunks"),
    ],
)
def test_a_body_over_the_cap_is_refused(saying, context, head):
    """One byte too many; exactly the cap is let through. However its end is marked."""
    url = saying(b"HTTP/1.1 404 Gone\r\n" + head % (b"x" * 100))

    assert b"x" * 100 == fetch(url, context=context, max_bytes=100).body
    with pytest.raises(FetchError, match="404 with more than 99 bytes") as caught:
        fetch(url, context=context, max_bytes=99)
    assert 404 == caught.value.status


def test_a_chunk_of_a_negative_size_does_not_fill_the_memory(tls_listening, context):
    """http.client reads to the end of such a one, and this has none."""

    def answer(connection):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with pytest.raises(FetchError, match="more than 1000 bytes"):
        fetch(f"https://127.0.0.1:{tls_listening(answer)}/", context=context, max_bytes=1000, timeout_seconds=20)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"},
        {"content-encoding": ""},
        {"content-encoding": "identity, gzip"},
        {"transfer-encoding": "gzip, chunked"},
        {"transfer-encoding": "identity"},
    ],
)
def test_an_encoded_body_is_refused(saying, context, headers):
    """A small gzip body can be a large one."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    with pytest.raises(FetchError, match="200 with an encoding"):
        fetch(saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n"), context=context)


def test_identity_is_no_encoding(saying, context):
    """In any case."""
    assert b"{}" == fetch(saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n{}"), context=context).body


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "RemoteDisconnected"),
        (b"junk", "BadStatusLine"),
        (b"HTTP/1.1\r\n\r\n", "BadStatusLine"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "BadStatusLine"),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n", "BadStatusLine"),
        (b"HTTP/2 200 OK\r\n\r\n", "UnknownProtocol"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "LineTooLong"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "LineTooLong"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n", "HTTPException"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "InvalidHeader"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n{}", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, "ProtocolError"),
    ],
)
def test_an_answer_that_is_broken_or_ends_early_is_an_error(saying, context, data, kind):
    """Never a part of one."""
    with pytest.raises(FetchError, match=f"cannot be reached: {kind}$") as caught:
        fetch(saying(data), context=context)
    assert caught.value.status is None


def test_a_server_of_another_ca_is_refused(answering):
    """The system's CAs do not vouch for it; the message says what is wrong with the certificate."""
    with pytest.raises(FetchError, match=r"SSLCertVerificationError \(.*certificate.*\)"):
        fetch(answering(), context=client_context(None))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "//127.0.0.1/",
        "https:127.0.0.1/",
        "https://127.0.0.1:0/",
        "https://127.0.0.1:65536/",
        "https://127.0.0.1:x/",
        "https://127.0.0.1:-1/",
        "https://127.0.0.1:\u0661/",
        "https://127.0.0.1:1/a b",
        "https://127.0.0.1:1/a\r\nHost: b",
        "https://127.0.0.1:1/\u00fc",
        "https://user@127.0.0.1:1/",
        "https://127.0.0.1:1@127.0.0.1:2/",
        "https://127.0.0.1:1\\@127.0.0.1:2/",
        "https://a..b/",
        "https://.a/",
        "https://a./",
        "https:///",
        "https://a\x00b/",
        "https://xn--\u00fc/",
        "https://\u2024/",
        "https://a\u3002b/",
        f"https://{'a' * 64}/",
        f"https://{'a.' * 127}a/",
        "https://[::1/",
        "https://[::x]/",
        "https://[1.2.3.4]/",
        "https://[fe80::1%25lo]/",
        "",
        5,
        None,
        b"https://127.0.0.1:1/",
    ],
)
def test_what_is_no_https_url_is_refused(context, url):
    """Before a name is looked up; and what is shown is printable."""
    with pytest.raises(FetchError, match="refusing to fetch .*: it is not https") as caught:
        fetch(url, context=context)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@given(st.text() | st.text().map(lambda text: f"https://127.0.0.1:1{text}"))
def test_any_text_for_a_url_gives_our_error(text):
    """Totality. Nobody listens on port 1, 1x, 1xx..."""
    with pytest.raises(FetchError):
        fetch(text, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout_seconds=0)


def test_a_url_is_shown_without_what_may_be_secret():
    """No query, no fragment, no credentials; and not at any length."""
    assert "https://a/b" == shown("https://a/b?code=secret#secret")
    assert "https://a:1/@b" == shown("https://A:1/@b?@")
    assert "'a/b'" == shown("https://user:secret@a/b?c")
    assert "'b/'" == shown("https:user:s/e?c#r@et@b/")
    assert r"'https://\xfc\n/'" == shown("https://\u00fc\n/?secret")
    assert len(shown("https://a/" + "b" * 1000)) < len(shown("\u00fc" * 1000)) + 5 < 210


def test_a_message_of_a_failure_shows_no_query(context):
    """It ends up in logs."""
    with pytest.raises(FetchError) as caught:
        fetch("https://127.0.0.1:1/token?code=secret", context=context)
    assert "https://127.0.0.1:1/token cannot be reached: ConnectionRefusedError (nothing listens there)" == str(
        caught.value
    )


def test_a_name_that_does_not_exist_is_an_error(context, monkeypatch):
    """The kind of failure is named; the resolver is asked once."""

    def getaddrinfo(*_arguments, **_options):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(FetchError, match="https://nowhere.example/ cannot be reached: gaierror"):
        fetch("https://nowhere.example/", context=context)


def test_a_header_that_cannot_be_sent_is_not_shown(answering, context):
    """It may hold a token, which http.client's own error quotes."""
    with pytest.raises(FetchError, match="ValueError$") as caught:
        fetch(answering(), context=context, headers={"authorization": "Bearer secret\r\n"})
    assert caught.value.__context__ is None


def test_without_a_thread_for_the_watchdog_nothing_is_sent(answering, context, monkeypatch):
    """It could take for ever. Where the number of threads is limited, there may be none."""

    def start(self):
        raise RuntimeError("can't start new thread")

    url = answering()
    monkeypatch.setattr(Timer, "start", start)
    with pytest.raises(FetchError, match="cannot be reached: RuntimeError"):
        fetch(url, context=context)


DESCRIPTORS = Path("/proc/self/fd")


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "data", [b"", b"junk", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_no_descriptor_is_left_open(saying, context, data):
    """Not even while the error is kept."""
    url, kept = saying(data), []
    before = len(list(DESCRIPTORS.iterdir()))
    for _ in range(5):
        with pytest.raises(FetchError) as caught:
            fetch(url, context=context, max_bytes=50)
        kept.append(caught.value)

    deadline = monotonic() + 20  # the server's end is in this process too
    while len(list(DESCRIPTORS.iterdir())) > before and monotonic() < deadline:
        pass
    assert before == len(list(DESCRIPTORS.iterdir()))


def test_what_to_do_about_a_failure(context):
    """A host that is not known, and a server of another CA, in words."""
    with pytest.raises(FetchError, match="that host is not known"):
        fetch("https://nosuch.invalid/", context=context, timeout_seconds=5)


@pytest.mark.parametrize(
    ("answer", "broken_off"),
    [
        (b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", False),
        (b"junk", False),
    ],
)
def test_an_error_says_whether_the_connection_broke_off_before_an_answer(saying, context, answer, broken_off):
    """The request was sent, in each of these."""
    with pytest.raises(FetchError) as caught:
        fetch(saying(answer), context=context)
    assert (True, broken_off) == (caught.value.sent, caught.value.broken_off)


def test_an_error_says_whether_anything_was_sent(listening, answering, context):
    """Not before the end of the handshake."""
    for url in ("https://127.0.0.1:1/", f"https://127.0.0.1:{listening(lambda connection: None)}/"):
        with pytest.raises(FetchError) as caught:
            fetch(url, context=context)
        assert (False, True) == (caught.value.sent, caught.value.broken_off)
    with pytest.raises(FetchError) as caught:
        fetch(answering(), context=client_context(None))
    assert (False, False) == (caught.value.sent, caught.value.broken_off)
    with pytest.raises(FetchError, match="did not answer within") as caught:
        fetch("https://127.0.0.1:1/", context=context, timeout_seconds=0)
    assert (False, False) == (caught.value.sent, caught.value.broken_off)


@pytest.mark.parametrize("kind", [RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError])
def test_a_server_that_closes_in_place_of_an_answer_may_not_take_our_certificate(
    saying, tokenbind_kit, monkeypatch, kind
):
    """Said of a context that presents one, and of no other. How it ends depends on which packet came first."""

    def closed(connection):
        raise kind

    if kind is not RemoteDisconnected:
        monkeypatch.setattr(BoundedConnection, "getresponse", closed)
    url, client = saying(b""), tokenbind_kit.client().identity.current()
    hint = "it closed the connection: if it asks for certificates, does it take ours (its CA, its dates)?"
    for context, hinted in (
        (client.ssl_context(tokenbind_kit.ca_pem), True),
        (client_context(tokenbind_kit.ca_pem), False),
    ):
        with pytest.raises(FetchError, match=f"cannot be reached: {kind.__name__}") as caught:
            fetch(url, context=context)
        assert (hinted, True) == (hint in str(caught.value), caught.value.broken_off)


def test_a_server_that_wants_another_certificate_is_told_apart(listening, context, tokenbind_kit):
    """From one that speaks no TLS."""
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.maximum_version = ssl.TLSVersion.TLSv1_2  # where it says so in the handshake
    theirs.verify_mode = ssl.CERT_REQUIRED
    tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(theirs)
    trustme.CA().configure_trust(theirs)

    def handshake(connection):
        with suppress(ssl.SSLError):
            theirs.wrap_socket(connection, server_side=True).close()

    url = f"https://127.0.0.1:{listening(handshake)}/"
    with pytest.raises(FetchError, match=r"SSLError \(it does not take our certificate: .*ALERT_UNKNOWN_CA\)"):
        fetch(url, context=tokenbind_kit.client().identity.current().ssl_context(tokenbind_kit.ca_pem))
