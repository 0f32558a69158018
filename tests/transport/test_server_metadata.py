"""Which URLs of an authorization server's metadata may be used: none that leads elsewhere."""

from hypothesis import given, strategies as st
import pytest

from tokenbind.transport import FetchError, ServerMetadata


def metadata(jwks_uri, **options):
    """The metadata of an issuer with this one URL."""
    return ServerMetadata("https://as.example/as", {"jwks_uri": jwks_uri}, **options)


@pytest.mark.parametrize(
    ("jwks_uri", "allowed_hosts"),
    [
        ("https://as.example/keys", ()),
        ("https://keys.example/keys", ("keys.example",)),
        ("https://keys.example/keys", ["other.example", "KEYS.example:443"]),
        ("https://keys.example:8443/keys", {"keys.example:8443"}),
        ("https://[::1]:8443/keys", ("[::1]:8443",)),
    ],
)
def test_urls_on_the_issuers_origin_and_on_listed_hosts_are_given(jwks_uri, allowed_hosts):
    """As they are."""
    assert jwks_uri == metadata(jwks_uri, allowed_hosts=allowed_hosts).url("jwks_uri")


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "https://as.example.evil.org/keys",
        "https://evil.org/as.example",
        "https://as.example:444/keys",
        "https://keys.example:444/keys",
        "https://a.keys.example/keys",
        "https://as.example.internal/keys",
        "https://127.0.0.1/keys",
    ],
)
def test_urls_elsewhere_are_refused(jwks_uri):
    """A document must not send us to other machines; the message says how to allow it."""
    with pytest.raises(FetchError, match=r"jwks_uri .* is on another host, https://[^/]*; .* allowed_hosts="):
        metadata(jwks_uri, allowed_hosts=("keys.example",)).url("jwks_uri")


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "https://as.example@evil.org/keys",
        "https://user:secret@as.example/keys",
        "https://as.example\\@evil.org/keys",
        "https://as\u3002example/keys",
        "https://as\uff0eexample/keys",
        "https://as.example./keys",
        "http://as.example/keys",
        "//as.example/keys",
        "/keys",
        "file:///etc/passwd",
        "https://as.example/keys#a",
        "https://as.example/keys\n",
        "https://as.example/ keys",
        "https://as.example:0/keys",
        "https://as.example:x/keys",
        "",
        5,
        ["https://as.example/keys"],
        {"a": "https://as.example/keys"},
        False,
    ],
)
def test_what_is_no_plain_https_url_is_refused(jwks_uri):
    """Look-alikes, other schemes, other types; nothing secret is shown."""
    with pytest.raises(FetchError, match="jwks_uri .* is not a plain https URL") as caught:
        metadata(jwks_uri).url("jwks_uri")
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()
    assert "secret" not in str(caught.value)


def test_a_url_that_is_not_there_is_an_error():
    """Absent and null are alike."""
    with pytest.raises(FetchError, match="the metadata of https://as.example/as has no jwks_uri"):
        metadata(None).url("jwks_uri")
    with pytest.raises(FetchError, match="has no token_endpoint"):
        metadata("https://as.example/keys").url("token_endpoint")
    assert "<ServerMetadata of https://as.example/as>" == repr(metadata(None))


def test_the_endpoint_for_mutual_tls_is_its_alias():
    """RFC 8705 §5, under the same rules; what is not in there is at the top level. A bad one leads nowhere."""

    def url(aliases, **options):
        members = {"token_endpoint": "https://as.example/token", "mtls_endpoint_aliases": aliases}
        return ServerMetadata("https://as.example/as", members, **options).mutual_tls_url("token_endpoint")

    for none in (None, {}, {"token_endpoint": None}, {"revocation_endpoint": "https://as.example/revoke"}):
        assert "https://as.example/token" == url(none)
    alias = {"token_endpoint": "https://mtls.as.example/token"}
    assert "https://mtls.as.example/token" == url(alias, allowed_hosts=["mtls.as.example"])
    own = {"token_endpoint": "https://as.example/mtls"}
    assert "https://internal.example/mtls" == url(own, address="https://internal.example")
    with pytest.raises(FetchError, match=r"mtls_endpoint_aliases\.token_endpoint .* is on another host"):
        url(alias)
    for wrong in ("http://as.example/token", 5, []):
        with pytest.raises(FetchError, match=r"mtls_endpoint_aliases\.token_endpoint .* is not a plain https URL"):
            url({"token_endpoint": wrong})
    for wrong in ([], "https://as.example/token", 5, False):
        with pytest.raises(FetchError, match="mtls_endpoint_aliases .* is not a JSON object"):
            url(wrong)


def test_other_members_are_given_as_they_are():
    """Or None."""
    members = metadata(["x"])
    assert (["x"], None) == (members.get("jwks_uri"), members.get("other"))


@given(st.text() | st.text().map(lambda text: f"https://as.example{text}"))
def test_any_text_leads_to_the_issuer_or_to_our_error(text):
    """Totality, and nowhere else."""
    try:
        url = metadata(text, address="https://internal.example:8443").url("jwks_uri")
    except FetchError:
        return
    assert url.removeprefix("https://internal.example:8443")[:1] in {"", "/", "?"}
