"""RFC 8414: the metadata of exactly this issuer, from where the RFC says that it is."""

import json

import pytest

from tokenbind import ConfigurationError
from tokenbind.transport import (
    FetchError,
    discover,
    require_address,
    require_allowed_hosts,
    require_issuer,
)


OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


@pytest.fixture
def site(tokenbind_server):
    """A server with pages, each an object, or a status with a body; its URL, its pages, and the paths asked for."""
    pages, asked = {}, []

    def app(environ, start_response):
        asked.append(environ["PATH_INFO"])
        page = pages.get(asked[-1], ("404 Not Found", b"<html>"))
        status, body = page if isinstance(page, tuple) else ("200 OK", json.dumps(page).encode())
        start_response(status, [("content-length", str(len(body)))])
        return [body]

    return tokenbind_server(app, interface="wsgi").url, pages, asked


@pytest.mark.parametrize(
    ("path", "oauth", "openid"),
    [
        ("", OAUTH, OPENID),
        ("/", OAUTH, OPENID),
        ("/realms/x", f"{OAUTH}/realms/x", f"/realms/x{OPENID}"),
        ("/tenant/v2.0/", f"{OAUTH}/tenant/v2.0", f"/tenant/v2.0{OPENID}"),
    ],
)
def test_the_document_is_where_the_rfc_says_or_where_openid_says(site, context, path, oauth, openid):
    """RFC 8414 §3.1 between host and path; OpenID Connect Discovery §4 behind both, asked only if need be."""
    url, pages, asked = site
    issuer = url + path
    pages[openid] = {"issuer": issuer, "jwks_uri": f"{url}/openid"}

    assert f"{url}/openid" == discover(issuer, context=context).url("jwks_uri")
    assert [oauth, openid] == asked

    asked.clear()
    pages[oauth] = {"issuer": issuer, "jwks_uri": f"{url}/oauth"}
    metadata = discover(issuer, context=context)
    assert (issuer, f"{url}/oauth", [oauth]) == (metadata.issuer, metadata.url("jwks_uri"), asked)


@pytest.mark.parametrize(
    "page",
    [
        ("400 Bad Request", b""),
        ("403 Forbidden", b"x" * 200_000),
        ("405 Method Not Allowed", b""),
        ("410 Gone", b""),
        ("302 Found", b""),
        ("200 OK", b"<html>"),
        ("200 OK", b"x" * 200_000),
        ("200 OK", b"[]"),
    ],
)
def test_another_site_at_the_root_is_no_document(site, context, page):
    """The issuer may live under a path of a host whose root is somebody else's. If there is none, both are told."""
    url, pages, _ = site
    pages[f"{OAUTH}/as"] = page
    with pytest.raises(FetchError) as caught:
        discover(f"{url}/as", context=context)
    first, second = str(caught.value).split("; ")
    assert first.startswith(f"there is no metadata: {url}{OAUTH}/as answered {page[0][:3]}")
    assert f"{url}/as{OPENID} answered 404" == second

    pages[f"/as{OPENID}"] = {"issuer": f"{url}/as"}
    assert f"{url}/as" == discover(f"{url}/as", context=context).issuer


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Oops", "503 Later"])
def test_a_server_out_of_order_has_said_nothing(site, context, status):
    """It is not asked for the other form, which might be older."""
    url, pages, asked = site
    pages.update({OAUTH: (status, b""), OPENID: {"issuer": url}})
    with pytest.raises(FetchError, match=f"{OAUTH} answered {status[:3]}"):
        discover(url, context=context)
    assert [OAUTH] == asked


def test_a_server_that_cannot_be_reached_is_asked_once(context):
    """There is no answer to fall back from."""
    with pytest.raises(FetchError, match=f"^https://127.0.0.1:1{OAUTH} cannot be reached: ConnectionRefusedError"):
        discover("https://127.0.0.1:1", context=context)
    with pytest.raises(FetchError, match="did not answer within 0 seconds"):
        discover("https://127.0.0.1:1", context=context, timeout_seconds=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda issuer: f"{issuer}/",
        lambda issuer: issuer.replace("https", "HTTPS"),
        lambda issuer: issuer.replace("https", "http"),
        lambda issuer: f"{issuer}.evil.org",
        lambda issuer: f"{issuer}\u00fc\n" + "x" * 1000,
        lambda issuer: None,
        lambda issuer: [issuer],
    ],
)
def test_the_issuer_must_be_identical(site, context, change):
    """RFC 8414 §3.3; to the character. The other form is not asked for, and both names are shown."""
    url, pages, asked = site
    pages.update({OAUTH: {"issuer": change(url)}, OPENID: {"issuer": url}})
    with pytest.raises(FetchError, match="is the metadata of the issuer") as caught:
        discover(url, context=context)
    message = str(caught.value)
    assert [OAUTH] == asked
    assert ascii(change(url))[:100] in message
    assert f"not of '{url}'" in message
    assert message.isprintable()
    assert len(message) < 500


def test_what_is_on_the_issuers_origin_is_at_the_address(site, context):
    """The names stay: the issuer's host need not exist."""
    url, pages, _ = site
    pages[f"{OAUTH}/as"] = {
        "issuer": "https://as.example/as",
        "jwks_uri": "https://AS.example:443/as/keys?a=b",
        "own": f"{url}/keys",
    }
    metadata = discover("https://as.example/as", context=context, address=f"{url}/")

    assert f"{url}/as/keys?a=b" == metadata.url("jwks_uri")
    assert f"{url}/keys" == metadata.url("own")
    pages[f"{OAUTH}/as"]["issuer"] = f"{url}/as"
    with pytest.raises(FetchError, match="not of 'https://as.example/as'"):
        discover("https://as.example/as", context=context, address=url)


def test_tls_verifies_the_name_of_the_address(tls_listening, context):
    """A certificate for the issuer's name is not one for the address."""
    port = tls_listening(lambda connection: connection.recv(65_536), "as.example")
    with pytest.raises(FetchError, match=r"SSLCertVerificationError \(.*mismatch.*\)"):
        discover("https://as.example", context=context, address=f"https://127.0.0.1:{port}")


def test_discovery_goes_through_the_proxy(tls_listening, proxying, context):
    """With the issuer's name."""

    def answer(connection):
        connection.recv(65_536)
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"issuer": "https://as.example"}')

    proxy, heads = proxying({"as.example:443": tls_listening(answer, "as.example")})
    discover("https://as.example", context=context, proxy=f"http://127.0.0.1:{proxy}")
    assert 1 == len(heads)
    with pytest.raises(ConfigurationError, match="proxy="):
        discover("https://as.example", context=context, proxy="proxy.example")


URLS = [
    "as.example",
    "http://as.example",
    "https://as.example\n",
    "https:///",
    "https://user@as.example",
    "https://\u00fc",
]


@pytest.mark.parametrize("issuer", [*URLS, "https://as.example?a", "https://as.example/#", "https://as.example/?", 5])
def test_what_is_no_issuer_is_refused_at_once(context, issuer):
    """RFC 8414 §2: https, "with no query or fragment components"."""
    with pytest.raises(ConfigurationError, match="issuer= must"):
        require_issuer(issuer)
    with pytest.raises(ConfigurationError, match="issuer= must"):
        discover(issuer, context=context)


@pytest.mark.parametrize("address", [*URLS, "https://a.example/as", "https://a.example?", "https://a.example/#", ""])
def test_what_is_no_address_is_refused_at_once(context, address):
    """A path would be taken for a prefix, and be none."""
    with pytest.raises(ConfigurationError, match="address= must"):
        require_address(address)
    with pytest.raises(ConfigurationError, match="address= must"):
        discover("https://as.example", context=context, address=address)


@pytest.mark.parametrize(
    "hosts",
    [
        "keys.example",
        ["https://keys.example"],
        ["keys.example", "keys.example/"],
        ["*.example"],
        ["keys.example:"],
        ["user@keys.example"],
        ["keys.example#"],
        ["keys.example?"],
        [""],
        [None],
        None,
        7,
    ],
)
def test_what_is_no_list_of_hosts_is_refused_at_once(context, hosts):
    """A text would be a list of its letters."""
    with pytest.raises(ConfigurationError, match="allowed_hosts= must"):
        require_allowed_hosts(hosts)
    with pytest.raises(ConfigurationError, match="allowed_hosts= must"):
        discover("https://as.example", context=context, allowed_hosts=hosts)


def test_what_is_right_is_read():
    """Issuers with and without a path; no address is none."""
    assert ("as.example", 443) == require_issuer("https://as.example").origin
    assert "/as/" == require_issuer("https://as.example:8443/as/").target
    assert ("a.example", 8443) == require_address("https://a.example:8443/").origin
    assert require_address(None) is None
    assert {("a", 443), ("b", 1)} == require_allowed_hosts(["A", "b:1"])


@pytest.mark.parametrize("form", ["openid-configuration", "oauth-authorization-server"])
def test_the_address_of_the_metadata_is_no_issuer(form):
    """It is what people copy."""
    with pytest.raises(ConfigurationError, match="not the address of its metadata"):
        require_issuer(f"https://as.example/.well-known/{form}")
