"""`TLSConnection` behind a bridge between ASGI and WSGI: one record of the connection counts, and no other after it."""

from types import MappingProxyType, SimpleNamespace

import pytest

from tokenbind import Reason, Unavailable
from tokenbind.peer import TLSConnection


@pytest.fixture
def socket(tokenbind_client):
    """A TLS socket of the client's connection."""
    return SimpleNamespace(getpeercert=lambda binary_form: tokenbind_client.peer.der)


def scope_of(ssl_object):
    return {"type": "http", "scheme": "https", "extensions": {"tokenbind": {"ssl_object": ssl_object}}}


def reason_of(read, request):
    with pytest.raises(Unavailable) as refused:
        read(request)
    return refused.value.reason


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_scope_in_the_environ_is_read(kind, socket, tokenbind_client):
    """What an ASGI server told the bridge, with what it does not know being no knowledge here either."""
    source = TLSConnection()
    assert tokenbind_client.thumbprint == source.from_environ({"asgi.scope": kind(scope_of(socket))}).thumbprint
    nobody = SimpleNamespace(getpeercert=lambda binary_form: None)
    assert source.from_environ({"asgi.scope": kind(scope_of(nobody))}) is None
    extension = {"extensions": {"tls": {"client_cert": tokenbind_client.peer.der}}}
    assert tokenbind_client.thumbprint == source.from_environ({"asgi.scope": extension}).thumbprint
    for silent in (scope_of(None), {}, {"extensions": {}}):
        assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(source.from_environ, {"asgi.scope": kind(silent)})


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_environ_in_the_scope_is_read(kind, socket, tokenbind_client):
    """What a WSGI server told the bridge, in the form of that server."""
    environ = {"gunicorn.socket": socket}
    peer = TLSConnection().from_scope({"extensions": {}, "wsgi_environ": kind(environ)})
    assert tokenbind_client.thumbprint == peer.thumbprint
    text = {"SSL_CLIENT_CERT": tokenbind_client.pem, "SSL_CLIENT_VERIFY": "SUCCESS"}
    peer = TLSConnection.cheroot().from_scope({"wsgi_environ": kind(text)})
    assert (tokenbind_client.thumbprint, True) == (peer.thumbprint, peer.chain_verified)
    for silent in ({}, text):
        missing = reason_of(TLSConnection().from_scope, {"wsgi_environ": kind(silent)})
        assert Reason.CERTIFICATE_SOURCE_MISSING is missing


@pytest.mark.parametrize("text", ["{}", "", b"{}", [("extensions", {})]])
def test_what_is_no_mapping_is_no_bridge(text, tokenbind_client):
    """A variable of the process, or anything else that is text: not even looked at."""
    source = TLSConnection()
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(source.from_environ, {"asgi.scope": text})
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(source.from_scope, {"wsgi_environ": text})


def test_environ_does_not_stand_in_for_what_the_server_said(socket):
    """A scope that has a record of its own connection: plain HTTP, or no certificate, stays what it is."""
    behind = {"wsgi_environ": {"gunicorn.socket": socket}}
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(TLSConnection().from_scope, scope_of(None) | behind)
    assert TLSConnection().from_scope({"extensions": {"tls": {}}} | behind) is None


def test_scope_does_not_stand_in_for_the_socket(connections, socket, tokenbind_client, tokenbind_stranger):
    """An environ that has a socket of its own: what that says, or plain HTTP."""
    behind = {"asgi.scope": scope_of(SimpleNamespace(getpeercert=lambda binary_form: tokenbind_stranger.peer.der))}
    source = TLSConnection()
    assert tokenbind_client.thumbprint == source.from_environ({"werkzeug.socket": socket} | behind).thumbprint
    plain = {"gunicorn.socket": connections.pair()[0]}
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(source.from_environ, plain | behind)
    # Text is a variable of the process, and no socket.
    assert tokenbind_stranger.thumbprint == source.from_environ({"gunicorn.socket": "text"} | behind).thumbprint


@pytest.mark.parametrize("form", [TLSConnection.cheroot, TLSConnection.mod_wsgi, TLSConnection.uwsgi])
def test_named_forms_read_no_scope(form, socket):
    """Exactly one source: what was named is read, and nothing fills in for it."""
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(form().from_environ, {"asgi.scope": scope_of(socket)})


def test_one_bridge_and_no_further(socket):
    """A bridge behind a bridge, or within itself without end, is not gone through."""
    twice = {"asgi.scope": {"wsgi_environ": {"gunicorn.socket": socket}}}
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(TLSConnection().from_environ, twice)
    twice = {"wsgi_environ": {"asgi.scope": scope_of(socket)}}
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(TLSConnection().from_scope, twice)
    endless = {}
    endless |= {"asgi.scope": endless, "wsgi_environ": endless, "extensions": endless}
    for read in (TLSConnection().from_environ, TLSConnection().from_scope):
        assert Reason.CERTIFICATE_SOURCE_MISSING is reason_of(read, endless)
