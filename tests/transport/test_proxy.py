"""Through a real forward proxy, which sees where we go and nothing else; and only if it was asked for."""

from base64 import b64decode
import re

from hypothesis import given, strategies as st
import pytest
import trustme

from tokenbind import ConfigurationError
from tokenbind.transport import FetchError, fetch, fetch_json, require_proxy


@pytest.fixture
def origin(tls_listening):
    """A server named as.example; its port, and the requests that it got."""
    requests = []

    def answer(connection):
        requests.append(connection.recv(65_536).decode())
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    return tls_listening(answer, "as.example"), requests


def test_the_proxy_is_told_the_name_and_the_server_sees_a_plain_request(origin, proxying, context):
    """The name is the proxy's to resolve; TLS is with the server."""
    port, requests = origin
    proxy, heads = proxying({"as.example:443": port})

    assert {} == fetch_json(
        "https://as.example/a?b", context=context, timeout_seconds=20, max_bytes=9, proxy=f"http://127.0.0.1:{proxy}"
    )
    assert ["CONNECT as.example:443 HTTP"] == [head.partition("/")[0] for head in heads]
    assert requests[0].startswith("GET /a?b HTTP/1.1\r\n")
    assert "\r\nhost: as.example\r\n" in requests[0].lower()
    assert "proxy" not in requests[0].lower() + heads[0].lower()


def test_credentials_are_for_the_proxy_alone(origin, proxying, context):
    """RFC 7617, percent-decoded."""
    port, requests = origin
    proxy, heads = proxying({"as.example:8443": port})
    fetch("https://as.example:8443/", context=context, proxy=f"http://us%2Fer:p%40ss:%C3%BC@127.0.0.1:{proxy}/")

    sent = re.search(r"\r\nProxy-Authorization: Basic (\S+)\r\n", heads[0])
    assert "us/er:p@ss:\u00fc" == b64decode(sent[1]).decode()
    assert "authorization" not in requests[0].lower()


def test_the_server_behind_the_proxy_is_verified(tls_listening, proxying, context):
    """A certificate of another CA, or for another name, as of a proxy that reads along, is refused."""
    for server in ({"name": "as.example", "ca": trustme.CA()}, {"name": "other.example"}):
        proxy, heads = proxying({"as.example:443": tls_listening(lambda connection: None, **server)})
        with pytest.raises(FetchError, match="through the proxy: SSLCertVerificationError .*have this host exempt"):
            fetch("https://as.example/", context=context, proxy=f"http://127.0.0.1:{proxy}")
        assert 1 == len(heads)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
def test_the_environment_has_no_say(answering, proxying, context, monkeypatch, name):
    """Not with a proxy, and not without one."""
    proxy, heads = proxying({})
    url = answering()
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
    monkeypatch.setenv("NO_PROXY", "")

    assert 200 == fetch(url, context=context).status
    assert [] == heads


def test_the_environment_does_not_switch_a_proxy_off(origin, proxying, context, monkeypatch):
    """NO_PROXY is not ours either."""
    proxy, heads = proxying({"as.example:443": origin[0]})
    monkeypatch.setenv("NO_PROXY", "*")
    fetch("https://as.example/", context=context, proxy=f"http://127.0.0.1:{proxy}")

    assert 1 == len(heads)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it answered 407"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", "it answered 302"),
        (b"HTTP/1.1 204 None\r\n\r\n", "it answered 204"),
        (b"HTTP/1.1 200 OK\r\n\r\njunk", r"SSL.*Error.*is it an https port\?\)"),
        (b"junk\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_a_proxy_that_does_not_connect_us_is_an_error(listening, context, answer, words):
    """The message shows neither its address nor the password for it."""

    def refuse(connection):
        connection.recv(65_536)
        connection.sendall(answer)

    proxy = f"http://user:secret@127.0.0.1:{listening(refuse)}"
    with pytest.raises(FetchError, match=f"^https://as.example/ cannot be reached through the proxy: {words}$"):
        fetch("https://as.example/", context=context, proxy=proxy)


def test_a_proxy_that_is_not_there_is_an_error(context):
    """It is not gone around."""
    with pytest.raises(FetchError, match="through the proxy: ConnectionRefusedError"):
        fetch("https://as.example/", context=context, proxy="http://127.0.0.1:1")


NO_PROXIES = [
    "",
    "127.0.0.1:3128",
    "https://proxy.example:3128",
    "socks5://proxy.example:1080",
    "http://proxy.example",
    "http://proxy.example:",
    "http://proxy.example:0",
    "http://proxy.example:65536",
    "http://proxy.example:3128/path",
    "http://proxy.example:3128?",
    "http://user@proxy.example:3128",
    "http://us%3Aer:secret@proxy.example:3128",
    "http://user:sec%0Aret@proxy.example:3128",
    "http://user:sec ret@proxy.example:3128",
    "http://user:secr\u00e9t@proxy.example:3128",
    "http://a..b:3128",
    "http://[::x]:3128",
    "http://proxy.example:3128\n",
    b"http://proxy.example:3128",
    3128,
]


@pytest.mark.parametrize("proxy", NO_PROXIES)
def test_what_is_no_proxy_is_refused_at_once(context, proxy):
    """When something is built with it; and the message does not show it."""
    with pytest.raises(ConfigurationError, match="proxy= must be http://host:port") as caught:
        require_proxy(proxy)
    assert "3128" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="proxy= must be"):
        fetch("https://127.0.0.1:1/", context=context, proxy=proxy)


def test_a_proxy_is_read_and_not_shown():
    """Its password stands in its headers."""
    proxy = require_proxy("http://user:secret@[::1]:3128")

    assert ("::1", 3128) == (proxy.host, proxy.port)
    assert "<Proxy>" == repr(proxy)
    assert {} == require_proxy("http://Proxy.example:3128/").headers
    assert require_proxy(None) is None


@given(st.text() | st.text().map(lambda text: f"http://{text}@proxy.example:3128"))
def test_any_text_is_a_proxy_or_our_error(text):
    """Totality."""
    try:
        proxy = require_proxy(text)
    except ConfigurationError:
        pass
    else:
        assert ("proxy.example", 3128) == (proxy.host, proxy.port)
