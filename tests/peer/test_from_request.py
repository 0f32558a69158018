"""`TLSConnection.from_request`: the certificate of real TLS connections."""

from contextlib import suppress
import ssl
from ssl import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, TLSVersion
from types import SimpleNamespace

import pytest

from tokenbind import InvalidRequest, InvalidToken, Reason, Unavailable
from tokenbind.peer import TLSConnection


KINDS = pytest.mark.parametrize("kind", ["sockets", "memory"])
VERSIONS = pytest.mark.parametrize(
    "version", [TLSVersion.TLSv1_2, TLSVersion.TLSv1_3], ids=lambda version: version.name
)


def peer_of(tls_object):
    return TLSConnection().from_request((), tls_peer=tls_object)


def reason_for(tls_object):
    with pytest.raises(Unavailable) as refused:
        peer_of(tls_object)
    return refused.value.reason


@KINDS
@VERSIONS
@pytest.mark.parametrize("mode", [CERT_OPTIONAL, CERT_REQUIRED], ids=lambda mode: mode.name)
def test_peer_is_the_leaf_of_the_handshake(connections, tokenbind_client, kind, version, mode):
    """Whatever the version, the kind of TLS object and the mode: the leaf as sent, verified by the TLS layer."""
    serving, _ = getattr(connections, kind)(connections.server(mode, version), connections.client(tokenbind_client))
    peer = peer_of(serving)
    assert version.name == serving.version().replace(".", "_")
    assert tokenbind_client.thumbprint == peer.thumbprint
    assert tokenbind_client.peer.der == peer.der
    assert (tokenbind_client.peer.der,) == peer.chain
    assert ("tls", True) == (peer.source, peer.chain_verified)


def test_token_is_good_on_its_own_connection_only(connections, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """What the handshake says is what binding judges: the owner's connection passes, the thief's is a mismatch."""
    token = tokenbind_kit.mint(tokenbind_client)
    server = connections.server()
    own, _ = connections.sockets(server, connections.client(tokenbind_client))
    others, _ = connections.sockets(server, connections.client(tokenbind_stranger))
    assert tokenbind_client.thumbprint == tokenbind_kit.verifier.verify(token, peer_of(own)).thumbprint
    with pytest.raises(InvalidToken) as refused:
        tokenbind_kit.verifier.verify(token, peer_of(others))
    assert Reason.CERTIFICATE_MISMATCH is refused.value.reason
    assert tokenbind_stranger.thumbprint == refused.value.presented


@VERSIONS
def test_resumed_session_still_has_its_leaf(connections, tokenbind_client, version):
    """A resumed session, in which the chain methods of `ssl` are empty, gives the same certificate."""
    server, client = connections.server(version=version), connections.client(tokenbind_client)
    serving, asking = connections.sockets(server, client)
    serving.send(b"!")  # TLS 1.3 sends its tickets after the handshake
    assert b"!" == asking.recv(1)
    resumed, asking_again = connections.sockets(server, client, session=asking.session)
    assert asking_again.session_reused
    assert peer_of(serving) == peer_of(resumed)
    assert tokenbind_client.thumbprint == peer_of(resumed).thumbprint


@KINDS
@VERSIONS
def test_no_certificate_is_none_only_if_one_was_asked_for(connections, kind, version):
    """CERT_OPTIONAL and no certificate: it is certain that there is none."""
    serving, _ = getattr(connections, kind)(connections.server(CERT_OPTIONAL, version), connections.client())
    assert peer_of(serving) is None


@KINDS
@VERSIONS
def test_server_that_never_asks_does_not_know(connections, tokenbind_client, kind, version):
    """CERT_NONE: a client with a certificate was not asked for it, so there is no knowing."""
    serving, _ = getattr(connections, kind)(
        connections.server(CERT_NONE, version), connections.client(tokenbind_client)
    )
    with pytest.raises(Unavailable, match="CERT_REQUIRED") as refused:
        peer_of(serving)
    assert Reason.CERTIFICATE_SOURCE_MISSING is refused.value.reason


def test_certificate_that_appears_later_is_seen(connections, tokenbind_client):
    """Nothing is kept for a connection: with TLS 1.3 post-handshake authentication None becomes the certificate."""
    server = connections.server()
    server.post_handshake_auth = True
    serving, asking = connections.sockets(server, connections.client(tokenbind_client))
    assert peer_of(serving) is None
    serving.verify_client_post_handshake()
    serving.send(b"?")
    assert b"?" == asking.recv(1)  # reads the request for the certificate, and answers it
    asking.send(b"!")
    assert b"!" == serving.recv(1)
    assert tokenbind_client.thumbprint == peer_of(serving).thumbprint


def test_peer_is_known_after_the_client_has_gone(connections, tokenbind_client):
    """A request that is still worked on keeps its certificate when the client disconnects."""
    serving, asking = connections.sockets(connections.server(), connections.client(tokenbind_client))
    asking.close()
    with suppress(ConnectionResetError):  # if session tickets were still unread
        assert b"" == serving.recv(1)
    assert tokenbind_client.thumbprint == peer_of(serving).thumbprint


def test_handshake_not_done_is_no_knowledge(connections):
    """Before the handshake nobody has proven anything, and "no certificate" is not certain either."""
    server = connections.server(CERT_OPTIONAL)
    near, _ = connections.pair()
    with server.wrap_socket(near, server_side=True, do_handshake_on_connect=False) as socket:
        assert Reason.CERTIFICATE_SOURCE_MISSING is reason_for(socket)
    memory = server.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_for(memory)


def test_closed_connection_is_no_knowledge(connections, tokenbind_client):
    """A socket that the server itself has closed cannot be asked any more."""
    serving, _ = connections.sockets(connections.server(), connections.client(tokenbind_client))
    serving.close()
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_for(serving)


@pytest.mark.parametrize("make", [lambda plain: plain, lambda plain: None, lambda plain: object(), lambda plain: "tls"])
def test_what_is_no_tls_object_is_no_knowledge(connections, make):
    """A plain socket, nothing, or junk: 503, never "no certificate"."""
    assert Reason.CERTIFICATE_SOURCE_MISSING is reason_for(make(connections.pair()[0]))


@pytest.mark.parametrize("certificate", ["text", 5, bytearray(b"0"), b"no DER", {"subject": ()}])
def test_unreadable_certificate_is_an_error_not_absence(certificate):
    """A foreign TLS object that answers with something else than DER is refused with 400."""
    with pytest.raises(InvalidRequest) as refused:
        peer_of(SimpleNamespace(getpeercert=lambda binary_form: certificate))
    assert Reason.CERTIFICATE_MALFORMED is refused.value.reason


def test_foreign_tls_object_without_a_context(tokenbind_client):
    """Another library's object is asked too; what its TLS layer verified is unknown, and none given is none."""
    peer = peer_of(SimpleNamespace(getpeercert=lambda binary_form: tokenbind_client.peer.der))
    assert (tokenbind_client.thumbprint, None) == (peer.thumbprint, peer.chain_verified)
    assert peer_of(SimpleNamespace(getpeercert=lambda binary_form: None)) is None


def test_headers_have_no_say(connections, tokenbind_client, tokenbind_stranger):
    """A certificate in a header changes nothing: neither the one of the connection, nor that there is none."""
    headers = [(b"client-cert", tokenbind_client.pem.encode()), (b"x-ssl-client-cert", tokenbind_client.pem.encode())]
    server = connections.server(CERT_OPTIONAL)
    strangers, _ = connections.sockets(server, connections.client(tokenbind_stranger))
    nobodys, _ = connections.sockets(server, connections.client())
    source = TLSConnection()
    assert tokenbind_stranger.thumbprint == source.from_request(headers, tls_peer=strangers).thumbprint
    assert source.from_request(headers, socket_peer=("127.0.0.1", 1), tls_peer=nobodys) is None
