"""`TLSConnection.from_environ`: WSGI socket objects, and the named forms for servers that give text."""

from ssl import CERT_OPTIONAL, DER_cert_to_PEM_cert

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import InvalidRequest, InvalidToken, PeerCertificate, Reason, Unavailable
from tokenbind.peer import TLSConnection


SOCKET_KEYS = ["tokenbind.socket", "gunicorn.socket", "werkzeug.socket"]
FORMS = {
    "sockets": TLSConnection,
    "cheroot": TLSConnection.cheroot,
    "mod_wsgi": TLSConnection.mod_wsgi,
    "uwsgi": TLSConnection.uwsgi,
}


def refusal(source, environ):
    with pytest.raises((InvalidRequest, Unavailable)) as refused:
        source.from_environ(environ)
    return refused.value.reason


@pytest.mark.parametrize("key", SOCKET_KEYS)
def test_socket_under_each_key_is_asked(key, connections, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """The socket of the connection says who is there; the owner's token is for the owner's socket only."""
    server = connections.server(CERT_OPTIONAL)
    own, others, nobodys = (
        connections.sockets(server, connections.client(client))[0]
        for client in (tokenbind_client, tokenbind_stranger, None)
    )
    source, token = TLSConnection(), tokenbind_kit.mint(tokenbind_client)
    bound = tokenbind_kit.verifier.verify(token, source.from_environ({key: own}))
    assert tokenbind_client.thumbprint == bound.thumbprint
    assert source.from_environ({key: own}).chain_verified is True
    with pytest.raises(InvalidToken) as refused:
        tokenbind_kit.verifier.verify(token, source.from_environ({key: others}))
    assert Reason.CERTIFICATE_MISMATCH is refused.value.reason
    assert source.from_environ({key: nobodys}) is None


@pytest.mark.parametrize("key", SOCKET_KEYS)
def test_plain_socket_is_no_knowledge(key, connections):
    """Plain HTTP: the server gives a socket that cannot be asked."""
    assert Reason.CERTIFICATE_SOURCE_MISSING is refusal(TLSConnection(), {key: connections.pair()[0]})


@pytest.mark.parametrize("key", [*SOCKET_KEYS, "SSL_CLIENT_CERT", "HTTPS_CLIENT_CERTIFICATE"])
def test_process_environment_is_not_believed(key, tokenbind_client):
    """Some servers copy the variables of the process into the environ: text there is nobody's certificate."""
    environ = {key: tokenbind_client.pem, "SSL_CLIENT_VERIFY": "SUCCESS", "wsgi.url_scheme": "https"}
    assert Reason.CERTIFICATE_SOURCE_MISSING is refusal(TLSConnection(), environ)


def test_text_does_not_hide_the_socket(connections, tokenbind_client):
    """A process variable that is named like a socket changes nothing where there is a socket."""
    serving, _ = connections.sockets(connections.server(), connections.client(tokenbind_client))
    environ = {"tokenbind.socket": "text", "gunicorn.socket": connections.pair()[0], "werkzeug.socket": serving}
    assert tokenbind_client.thumbprint == TLSConnection().from_environ(environ).thumbprint


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_empty_environ_is_no_knowledge(form):
    """A server that says nothing of TLS: 503 in every form."""
    assert Reason.CERTIFICATE_SOURCE_MISSING is refusal(form(), {})


@pytest.mark.parametrize("form", [TLSConnection.cheroot, TLSConnection.mod_wsgi, TLSConnection.uwsgi])
def test_named_forms_read_no_sockets(form, connections, tokenbind_client):
    """Exactly one source: what was named is read, and nothing fills in for it."""
    serving, _ = connections.sockets(connections.server(), connections.client(tokenbind_client))
    assert Reason.CERTIFICATE_SOURCE_MISSING is refusal(form(), dict.fromkeys(SOCKET_KEYS, serving))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_named_forms_are_for_wsgi_alone(form, connections, tokenbind_client):
    """The form of the environ changes neither `from_scope` nor `from_request`."""
    serving, _ = connections.sockets(connections.server(), connections.client(tokenbind_client))
    assert tokenbind_client.thumbprint == form().from_request((), tls_peer=serving).thumbprint
    scope = {"extensions": {"tls": {"client_cert": tokenbind_client.peer.der}}}
    assert tokenbind_client.thumbprint == form().from_scope(scope).thumbprint


@pytest.mark.parametrize(
    ("form", "verify", "verified"),
    [
        ("cheroot", "SUCCESS", True),
        ("cheroot", "NONE", False),
        ("mod_wsgi", "SUCCESS", True),
        ("mod_wsgi", "FAILED:unable to verify the first certificate", False),
        ("mod_wsgi", "GENEROUS", False),
        ("mod_wsgi", None, None),
    ],
)
def test_pem_forms(form, verify, verified, tokenbind_client):
    """SSL_CLIENT_CERT is the leaf, and only SUCCESS means that the server verified its chain."""
    environ = {"SSL_CLIENT_CERT": tokenbind_client.pem.strip()}
    if verify is not None:
        environ["SSL_CLIENT_VERIFY"] = verify
    peer = FORMS[form]().from_environ(environ)
    assert PeerCertificate(tokenbind_client.thumbprint, (tokenbind_client.peer.der,), "tls", verified) == peer


@pytest.mark.parametrize(
    ("form", "environ"),
    [
        ("cheroot", {"SSL_CLIENT_VERIFY": "NONE"}),
        ("cheroot", {"SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_CERT": ""}),
        ("mod_wsgi", {"SSL_CLIENT_CERT": ""}),
        ("mod_wsgi", {"SSL_CLIENT_CERT": None}),
        ("uwsgi", {"wsgi.url_scheme": "https"}),
    ],
)
def test_certain_absence(form, environ):
    """How each server says that the handshake had no certificate."""
    assert FORMS[form]().from_environ(environ) is None


@pytest.mark.parametrize(
    ("form", "environ"),
    [
        ("cheroot", {"SSL_CLIENT_CERT": "a certificate without SSL_CLIENT_VERIFY"}),
        ("mod_wsgi", {"SSL_CLIENT_VERIFY": "SUCCESS"}),
        ("uwsgi", {"wsgi.url_scheme": "http"}),
        ("uwsgi", {"wsgi.url_scheme": "https", "HTTPS_CLIENT_CERTIFICATE": b"0"}),
    ],
)
def test_form_of_another_server_is_no_knowledge(form, environ):
    """What the named server always sets is not there, or not as it sets it."""
    assert Reason.CERTIFICATE_SOURCE_MISSING is refusal(FORMS[form](), environ)


@pytest.mark.parametrize("form", ["cheroot", "mod_wsgi"])
@pytest.mark.parametrize(
    "certificate",
    [
        lambda pem: pem + pem,
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.encode(),
        lambda pem: "(null)",
        lambda pem: 5,
    ],
    ids=["two certificates", "spaces for line ends", "bytes", "text", "number"],
)
def test_unreadable_pem_is_an_error_not_absence(form, certificate, tokenbind_client):
    """There is something that cannot be read: 400."""
    environ = {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_CERT": certificate(tokenbind_client.pem)}
    assert Reason.CERTIFICATE_MALFORMED is refusal(FORMS[form](), environ)


def test_uwsgi_gives_der_as_latin_1(tokenbind_client):
    """uWSGI's text is the DER, each byte a character; what its router verified is not said."""
    environ = {"wsgi.url_scheme": "https", "HTTPS_CLIENT_CERTIFICATE": tokenbind_client.peer.der.decode("latin-1")}
    peer = TLSConnection.uwsgi().from_environ(environ)
    assert PeerCertificate(tokenbind_client.thumbprint, (tokenbind_client.peer.der,), "tls", None) == peer


@pytest.mark.parametrize("text", ["", "\u20ac", "0\x82", "-----BEGIN CERTIFICATE-----\n"])
def test_uwsgi_text_that_is_no_der(text):
    """There is something that cannot be read: 400."""
    environ = {"wsgi.url_scheme": "https", "HTTPS_CLIENT_CERTIFICATE": text}
    assert Reason.CERTIFICATE_MALFORMED is refusal(TLSConnection.uwsgi(), environ)


DER = b"\x30\x82\x01\x00\x30" + bytes(255)
leaves = st.one_of(
    st.text(),
    st.binary(),
    st.none(),
    st.integers(),
    st.builds(object),
    st.sampled_from(["https", "SUCCESS", DER_cert_to_PEM_cert(DER), DER.decode("latin-1")]),
)
keys = [
    *(*SOCKET_KEYS, "SSL_CLIENT_CERT", "SSL_CLIENT_VERIFY", "HTTPS_CLIENT_CERTIFICATE", "wsgi.url_scheme"),
    *("asgi.scope", "wsgi_environ", "extensions", "tls", "tokenbind", "client_cert", "SERVER_SOFTWARE", "http_version"),
]
values = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from(keys), inner, max_size=4), max_leaves=8)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(list(FORMS)), st.fixed_dictionaries({}, optional=dict.fromkeys(keys, values)))
def test_whatever_the_environ_holds_only_our_errors_come_out(form, environ):
    """Totality: a `PeerCertificate`, None, or one of the two documented errors."""
    try:
        outcome = FORMS[form]().from_environ(environ)
    except (InvalidRequest, Unavailable) as error:
        outcome = error.reason
    allowed = (None, Reason.CERTIFICATE_MALFORMED, Reason.CERTIFICATE_SOURCE_MISSING)
    assert outcome in allowed or isinstance(outcome, PeerCertificate)
