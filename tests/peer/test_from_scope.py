"""`TLSConnection.from_scope`: the ASGI TLS extension in all its shapes, and what tokenbind's own shims record."""

from itertools import repeat
import re
import ssl
from types import MappingProxyType, SimpleNamespace

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import InvalidRequest, InvalidToken, PeerCertificate, Reason, Unavailable
from tokenbind.peer import TLSConnection


CA_DER = b"\x30\x82\x01\x00\x30" + bytes(255)  # of the outer shape of a certificate; nothing looks further


def from_tls(tls):
    return TLSConnection().from_scope({"type": "http", "extensions": {"tls": tls}})


def pems(client, *more):
    return [ssl.DER_cert_to_PEM_cert(der) for der in (client.peer.der, *more)]


SHAPES = {
    "list": lambda client: {"client_cert_chain": pems(client)},
    "tuple": lambda client: {"client_cert_chain": tuple(pems(client))},
    "generator": lambda client: {"client_cert_chain": (pem for pem in pems(client))},
    "text": lambda client: {"client_cert_chain": "".join(pems(client))},
    "der alone": lambda client: {"client_cert": client.peer.der},
    "der and no chain": lambda client: {"client_cert": client.peer.der, "client_cert_chain": None},
    "der and an empty chain": lambda client: {"client_cert": client.peer.der, "client_cert_chain": ()},
    "both": lambda client: {"client_cert": client.peer.der, "client_cert_chain": iter(pems(client))},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_leaf_is_read_from_every_shape(shape, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """Each known shape gives the same certificate, and binding takes it for its own token only."""
    peer = from_tls(shape(tokenbind_client))
    assert PeerCertificate(tokenbind_client.thumbprint, (tokenbind_client.peer.der,), "tls") == peer
    token = tokenbind_kit.mint(tokenbind_client)
    assert tokenbind_client.thumbprint == tokenbind_kit.verifier.verify(token, peer).thumbprint
    with pytest.raises(InvalidToken) as refused:
        tokenbind_kit.verifier.verify(token, from_tls(shape(tokenbind_stranger)))
    assert Reason.CERTIFICATE_MISMATCH is refused.value.reason


@pytest.mark.parametrize("kind", [list, tuple, iter, "".join])
def test_chain_is_kept_leaf_first(kind, tokenbind_client):
    """The first certificate is the client's, whatever it sent after it."""
    peer = from_tls(
        {"client_cert_chain": kind(pems(tokenbind_client, CA_DER)), "client_cert": tokenbind_client.peer.der}
    )
    assert (tokenbind_client.peer.der, CA_DER) == peer.chain
    assert tokenbind_client.thumbprint == peer.thumbprint


def test_generator_can_be_read_by_others_too(tokenbind_client):
    """An iterator is put back as a tuple, so that a second reader finds what the first one found."""
    scope = {"extensions": {"tls": {"client_cert_chain": iter(pems(tokenbind_client, CA_DER))}}}
    first = TLSConnection().from_scope(scope)
    assert tuple(pems(tokenbind_client, CA_DER)) == scope["extensions"]["tls"]["client_cert_chain"]
    assert first == TLSConnection().from_scope(scope)


@pytest.mark.parametrize(
    ("tls", "verified"),
    [({}, None), ({"client_cert_error": None}, True), ({"client_cert_error": "unable to verify"}, False)],
)
def test_chain_verified_is_what_the_server_says(tls, verified, tokenbind_client):
    """No word of an error is no statement; None is "verified"; a text is "not verified", and still the certificate."""
    peer = from_tls({**tls, "client_cert_chain": pems(tokenbind_client)})
    assert verified is peer.chain_verified
    assert tokenbind_client.thumbprint == peer.thumbprint


@pytest.mark.parametrize(
    "tls",
    [
        {},
        {"client_cert_chain": []},
        {"client_cert_chain": ()},
        {"client_cert_chain": iter(())},
        {"client_cert_chain": ""},
        {"client_cert_chain": None},
        {"client_cert_chain": None, "client_cert": None, "client_cert_error": None},
    ],
    ids=lambda tls: re.sub(" at 0x.*?>", ">", repr(tls)),
)
def test_empty_chain_is_no_certificate(tls):
    """An extension without a certificate says that the handshake had none."""
    assert from_tls(tls) is None


@pytest.mark.parametrize(
    "shape",
    [
        lambda leaf, other: {"client_cert_chain": pems(leaf), "client_cert": other.peer.der},
        lambda leaf, other: {"client_cert_chain": ["".join(pems(leaf, other.peer.der))]},
        lambda leaf, other: {"client_cert_chain": [leaf.peer.der]},
        lambda leaf, other: {"client_cert_chain": pems(leaf)[0].encode()},
        lambda leaf, other: {"client_cert_chain": [*pems(leaf), None]},
        lambda leaf, other: {"client_cert_chain": pems(leaf)[0].replace("M", "!", 1)},
        lambda leaf, other: {"client_cert_chain": ["junk"]},
        lambda leaf, other: {"client_cert_chain": 5},
        lambda leaf, other: {"client_cert": pems(leaf)[0]},
        lambda leaf, other: {"client_cert": bytearray(leaf.peer.der)},
        lambda leaf, other: {"client_cert": leaf.peer.der + b"\0"},
        lambda leaf, other: {"client_cert": b""},
        lambda leaf, other: {"client_cert_chain": pems(leaf) * 11},
        lambda leaf, other: {"client_cert_chain": "".join(pems(leaf) * 11)},
        lambda leaf, other: {"client_cert_chain": repeat(pems(leaf)[0])},
    ],
    ids=[
        *("leaf and chain differ", "two in one text", "DER in the chain", "chain as bytes", "None in the chain"),
        *(
            "broken base64",
            "no PEM",
            "number",
            "leaf as PEM",
            "leaf as bytearray",
            "bytes after the leaf",
            "empty leaf",
        ),
        *("long list", "long text", "endless iterator"),
    ],
)
def test_unreadable_extension_is_an_error_not_absence(shape, tokenbind_client, tokenbind_stranger):
    """There is something, and it cannot be read or has two meanings: 400, never "no certificate"."""
    with pytest.raises(InvalidRequest) as refused:
        from_tls(shape(tokenbind_client, tokenbind_stranger))
    assert Reason.CERTIFICATE_MALFORMED is refused.value.reason


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"extensions": None},
        {"extensions": {}},
        {"extensions": {"websocket.http.response": {}}},
        {"extensions": {"tls": None}},
        {"extensions": {"tls": True}},
        {"extensions": {"tls": [("client_cert_chain", ())]}},
        {"extensions": {"tls": MappingProxyType({})}},
        {"extensions": "tls"},
        {"extensions": ["tls"]},
        {"extensions": {"tokenbind": {}}},
        {"extensions": {"tokenbind": {"ssl_object": None}}},
        {"extensions": {"tokenbind": "ssl_object"}},
        {"extensions": {"tokenbind": {"ssl_object": "text"}, "tls": {}}},
    ],
    ids=repr,
)
def test_server_that_says_nothing_is_no_knowledge(scope):
    """No extension, or none that can be one: 503, never "no certificate"."""
    with pytest.raises(Unavailable) as refused:
        TLSConnection().from_scope({"type": "http", "scheme": "https", **scope})
    assert Reason.CERTIFICATE_SOURCE_MISSING is refused.value.reason


def test_own_record_goes_before_the_extension(tokenbind_client, tokenbind_stranger):
    """The TLS object that a shim has recorded is asked at each request; the extension does not fill in for it."""
    tls = {"client_cert_chain": pems(tokenbind_stranger)}
    own = SimpleNamespace(getpeercert=lambda binary_form: tokenbind_client.peer.der)
    scope = {"extensions": {"tls": tls, "tokenbind": {"ssl_object": own}}}
    assert tokenbind_client.thumbprint == TLSConnection().from_scope(scope).thumbprint
    own.getpeercert = lambda binary_form: None
    assert TLSConnection().from_scope(scope) is None
    scope["extensions"]["tokenbind"]["ssl_object"] = None
    with pytest.raises(Unavailable):
        TLSConnection().from_scope(scope)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.builds(object),
    st.just(CA_DER),
    st.just(ssl.DER_cert_to_PEM_cert(CA_DER)),
)
names = st.sampled_from(
    [
        *("client_cert_chain", "client_cert", "client_cert_error", "ssl_object", "tls", "tokenbind", "x"),
        *("wsgi_environ", "asgi.scope", "gunicorn.socket", "scheme", "SERVER_SOFTWARE", "extensions"),
    ]
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.iterables(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(names, inner, max_size=4),
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(
    st.fixed_dictionaries(
        {"extensions": st.one_of(junk, st.fixed_dictionaries({"tls": junk}))},
        optional={"wsgi_environ": junk, "scheme": junk, "http_version": junk, "SERVER_SOFTWARE": junk},
    )
)
def test_whatever_the_extension_holds_only_our_errors_come_out(scope):
    """Totality: a `PeerCertificate`, None, or one of the two documented errors."""
    try:
        outcome = TLSConnection().from_scope(scope)
    except (InvalidRequest, Unavailable) as error:
        outcome = error.reason
    allowed = (None, Reason.CERTIFICATE_MALFORMED, Reason.CERTIFICATE_SOURCE_MISSING)
    assert outcome in allowed or isinstance(outcome, PeerCertificate)
