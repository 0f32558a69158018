"""https URLs in one spelling, which every library reads alike."""

from urllib.parse import urlsplit

from hypothesis import given, strategies as st
import pytest
import urllib3

from tokenbind import ConfigurationError
from tokenbind.transport import require_url
from tokenbind.transport.origin import read_https_url


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "text"),
    [
        ("https://a", "a", 443, "", "https://a"),
        ("HTTPS://A.Example:443/B?c#d", "a.example", 443, "/B?c", "https://a.example/B?c"),
        ("https://a_b-c:8443?x", "a_b-c", 8443, "?x", "https://a_b-c:8443?x"),
        ("https://127.0.0.1:00443//", "127.0.0.1", 443, "//", "https://127.0.0.1//"),
        ("https://[::0:1]:8443/", "::1", 8443, "/", "https://[::1]:8443/"),
        ("https://a/@b:c", "a", 443, "/@b:c", "https://a/@b:c"),
    ],
)
def test_a_url_is_taken_apart(url, host, port, target, text):
    """Host in one spelling, port always there, the rest untouched."""
    read = read_https_url(url)

    assert (host, port, target) == read
    assert (host, port) == read.origin
    assert text == str(read)
    assert read == require_url("url", url)


PIECES = (
    st.text() | st.text("aA.:/@?#[]\\%-_ 1\u3002\t\n") | st.sampled_from(["a.example", ":443", "/", "[::1]", "user@"])
)


@given(st.lists(PIECES).map(lambda pieces: "https://" + "".join(pieces)))
def test_what_is_read_others_read_alike(url):
    """No look-alike: urllib.parse and urllib3 see the same host and port. And what is written is read again."""
    read = read_https_url(url)
    if read is None:
        with pytest.raises(ConfigurationError, match="jwks_uri= must be an https URL in plain ASCII"):
            require_url("jwks_uri", url)
        return

    parts, parsed = urlsplit(url), urllib3.util.parse_url(url)
    assert (read.port, read.port, None) == (parts.port or 443, parsed.port or 443, parsed.auth)
    assert read == read_https_url(str(read))
    if ":" not in read.host:
        assert (read.host, read.host) == (parts.hostname, parsed.host)
