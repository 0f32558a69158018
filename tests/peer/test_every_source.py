"""One property of all sources of a certificate: they cannot disagree about it."""

import ssl
from types import SimpleNamespace

from hypothesis import example, given, settings, strategies as st

from tokenbind import PeerCertificate, thumbprint
from tokenbind.peer import TLSConnection


def ders(length):
    """Bytes of the outer shape of a certificate in DER: one SEQUENCE that begins with a SEQUENCE."""
    header = b"\x30\x81" + bytes([length]) if length < 256 else b"\x30\x82" + length.to_bytes(2, "big")
    return st.binary(min_size=length - 1, max_size=length - 1).map(lambda content: header + b"\x30" + content)


def from_extension(**tls):
    return TLSConnection().from_scope({"extensions": {"tls": tls}})


def every_source(der):
    pem = ssl.DER_cert_to_PEM_cert(der)
    tls_object = SimpleNamespace(getpeercert=lambda binary_form: der)
    yield PeerCertificate.from_der(der)
    yield PeerCertificate.from_pem(pem)
    yield TLSConnection().from_request((), tls_peer=tls_object)
    yield TLSConnection().from_scope({"extensions": {"tokenbind": {"ssl_object": tls_object}}})
    yield from_extension(client_cert=der)
    yield from_extension(client_cert=der, client_cert_chain=iter([pem]))
    for kind in (list, tuple, iter, "".join):
        yield from_extension(client_cert_chain=kind([pem]))
    for key in ("tokenbind.socket", "gunicorn.socket", "werkzeug.socket"):
        yield TLSConnection().from_environ({key: tls_object})
    for text in (pem, pem.rstrip("\n"), pem.replace("\n", "\r\n")):
        environ = {"SSL_CLIENT_CERT": text, "SSL_CLIENT_VERIFY": "SUCCESS"}
        yield TLSConnection.cheroot().from_environ(environ)
        yield TLSConnection.mod_wsgi().from_environ(environ)
    yield TLSConnection.uwsgi().from_environ({"HTTPS_CLIENT_CERTIFICATE": der.decode("latin-1")})


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.integers(128, 255), st.integers(256, 2000)).flatmap(ders))
@example(b"\x30\x82\xff\xfb\x30" + bytes(65_530))  # the longest that is read
def test_every_source_gives_the_same_certificate(der):
    """The same bytes have one thumbprint and come out as they went in, on whatever way they came."""
    assert {(thumbprint(der), der)} == {(peer.thumbprint, peer.der) for peer in every_source(der)}
