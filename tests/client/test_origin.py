"""The one origin that a token may be sent to."""

from hypothesis import given, strategies as st
import pytest

from tokenbind import ConfigurationError, OriginRefused
from tokenbind.client.origin import Origin


ORIGIN = Origin("https://api.example:8443/")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example:8443",
        "https://api.example:8443/invoices?x=1#y",
        "https://API.Example:8443/",
        "HTTPS://api.example:8443/",
    ],
)
def test_urls_of_the_origin_pass(url):
    """Whatever their path; host and scheme in any case."""
    ORIGIN.require(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example:8443/",
        "https://api.example/",
        "https://api.example:9999/",
        "https://api.example.evil.org:8443/",
        "https://api.example:8443@evil.org/",
        "https://evil.org:8443/",
        "https://user@api.example:8443/",
        "https://api.example:junk/",
        "https://[::1/",
        "//api.example:8443/",
        "",
    ],
)
def test_everything_else_is_refused(url):
    """Other scheme, host or port, look-alikes, and what is no URL."""
    with pytest.raises(OriginRefused, match="https://api.example:8443 only"):
        ORIGIN.require(url)


@given(st.text())
def test_any_text_is_refused_with_our_own_error(url):
    """Totality: no URL parser's error comes through."""
    with pytest.raises(OriginRefused):
        ORIGIN.require(url)


@pytest.mark.parametrize("host", ["api.example:8443", "API.example:8443", None])
def test_its_own_host_passes(host):
    """In a Host header; or there is none, and the library writes it."""
    ORIGIN.require("https://api.example:8443/", host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "api.example",
        "evil.org:8443",
        "api.example:8443/",
        "api.example:8443#",
        "api.example:8443?",
        "u@api.example:8443",
        "api.example:8443, evil.org",
        "api.example:8443 ",
        b"api.example:8443",
        "\ud800",
    ],
)
def test_another_host_is_refused(host):
    """Although the URL is right."""
    with pytest.raises(OriginRefused, match="Host header"):
        ORIGIN.require("https://api.example:8443/", host)


def test_the_default_port_may_be_written():
    """443 is what https means without a port."""
    Origin("https://api.example").require("https://api.example:443/")
    Origin("https://api.example:443").require("https://api.example/", "api.example")


@pytest.mark.parametrize(
    "text",
    [
        "https://b\u00fccher.example",
        "https://*",
        "https://a\\b",
        "https://a:0",
        "https://a\n",
        "https://a b",
        "",
        "api.example",
        "http://api.example",
        "https://api.example/v1",
        "https://u@api.example",
        "https://a?b",
        "https://",
    ],
)
def test_what_is_no_origin_is_refused_at_construction(text):
    """A path would look like a restriction and be none."""
    with pytest.raises(ConfigurationError, match="https://api.example"):
        Origin(text)
