"""`Trust.addresses`: who is at the other end of the socket, which no header has a say in."""

import logging
import socket
from types import SimpleNamespace

import pytest

from tokenbind import ConfigurationError
from tokenbind.peer import Trust

from .forwarding import preset
from .trusting import Socket, environ_of, no_evidence, scope_of, untrusted, ways


@pytest.mark.parametrize("network", ["10.0.0.1", "10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1", "::FFFF:0a00:1"])
def test_an_address(client, field, network, address):
    """IPv4 in either form, on either side, in each way; the negative twin is a neighbour."""
    source = preset("nginx", Trust.addresses("192.0.2.1", network, "2001:db8::/32"))
    for ask in ways(source, field, peer=(address, 4711)):
        assert client.thumbprint == ask().thumbprint
    for ask in ways(source, peer=(address, 4711, 0, 0)):
        assert None is ask()
    for stranger in ("11.0.0.1", "::ffff:11.0.0.1", "::10.0.0.1", "2001:db7::1", "fe80::1%eth0"):
        for ask in ways(source, field, peer=(stranger, 4711)):
            assert "and yet it has the header" in untrusted(ask)
        for ask in ways(source, peer=(stranger, 4711)):
            assert "and yet" not in untrusted(ask)
    for ask in ways(source, field, peer=("2001:db8::7", 4711, 0, 3)):
        assert client.thumbprint == ask().thumbprint


def test_link_local_addresses(client, field):
    source = preset("nginx", Trust.addresses("fe80::/10"))
    assert client.thumbprint == source.from_scope(scope_of(field, peer=("fe80::1%eth0", 1, 0, 2))).thumbprint


@pytest.mark.parametrize(
    "rewritten",
    [
        {"client": ("10.0.0.1", 4711)},
        {"client": ["10.0.0.1", 0]},
        {"client": ("10.0.0.1", 4711), "extensions": {}},
        {"client": ("10.0.0.1", 4711), "extensions": {"tokenbind": None}},
        {"client": ("10.0.0.1", 4711), "extensions": {"tokenbind": "x"}},
        {"client": ("10.0.0.1", 4711), "extensions": {"tls": {}}},
        {"client": ("10.0.0.1", 4711), "extensions": None},
        {"client": ("10.0.0.1", 4711), "extensions": {"tokenbind": {"socket_peer": None}}},
        {"client": None},
    ],
)
def test_the_client_of_a_scope_is_no_evidence(field, rewritten):
    """A server without a shim tells nothing; what it tells of the client may come from a header."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    scope = {"type": "http", "scheme": "http", "headers": [field], **rewritten}
    no_evidence(lambda: source.from_scope(scope))
    forwarded_for = (b"x-forwarded-for", b"10.0.0.1"), (b"forwarded", b"for=10.0.0.1"), (b"x-real-ip", b"10.0.0.1")
    untrusted(lambda: source.from_scope(scope_of(field, *forwarded_for, peer=("192.0.2.9", 1), client=("10.0.0.1", 0))))


@pytest.mark.parametrize("socket_key", [None, "text", "closed"])
def test_remote_addr_is_no_evidence(field, socket_key):
    """ProxyFix, waitress, mod_remoteip and the PROXY protocol rewrite it."""

    class Closed:
        def getpeername(self):
            raise OSError(107, "not connected")

    environ = environ_of(field, REMOTE_ADDR="10.0.0.1", REMOTE_PORT="4711", HTTP_X_FORWARDED_FOR="10.0.0.1")
    sockets = {None: {}, "text": {"gunicorn.socket": "10.0.0.1"}, "closed": {"gunicorn.socket": Closed()}}
    del environ["gunicorn.socket"]
    no_evidence(lambda: preset("nginx", Trust.addresses("10.0.0.1")).from_environ(environ | sockets[socket_key]))


@pytest.mark.parametrize("key", ["tokenbind.socket", "gunicorn.socket", "werkzeug.socket"])
def test_sockets_of_wsgi_servers(client, field, key):
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    environ = environ_of(field, REMOTE_ADDR="192.0.2.1")
    environ[key] = environ.pop("gunicorn.socket")
    assert client.thumbprint == source.from_environ(environ).thumbprint
    environ[key] = Socket(("192.0.2.1", 1))
    environ["REMOTE_ADDR"] = "10.0.0.1"
    untrusted(lambda: source.from_environ(environ))


def test_the_parts_of_a_request_without_a_peer(field):
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    assert "give socket_peer=" in no_evidence(lambda: source.from_request([field], socket_name=("10.0.0.1", 1)))


@pytest.mark.parametrize("peer", ["", "10.0.0.1", b"", (), (1, 2), (None, 1), 10, ("not an address", 1), ("", 1)])
def test_peers_that_have_no_address(field, peer):
    """A Unix socket has none, and text that looks like one was not given by a socket."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    for ask in ways(source, field, peer=peer):
        untrusted(ask)


@pytest.mark.parametrize(
    "networks",
    [
        (),
        ("",),
        ("proxy.example",),
        ("10.0.0.1/8",),
        ("10.0.0.0/33",),
        ("0.0.0.0/0",),
        ("::/0",),
        ("0.0.0.0/1", "128.0.0.0/1"),
        ("::ffff:0.0.0.0/96",),
        ("10.0.0.1", "::/1", "8000::/1"),
        ("fe80::1%eth0",),
        ("fe80::%eth0/64",),
        ("*",),
        ("10.0.0.0-10.0.0.9",),
        (None,),
        (167772161,),
        (b"\x0a\x00\x00\x01",),
    ],
)
def test_networks_that_cannot_be(networks):
    """What is no network, and everybody."""
    with pytest.raises(ConfigurationError):
        Trust.addresses(*networks)


@pytest.mark.parametrize("network", ["127.0.0.1", "127.0.0.0/8", "::1", "0.0.0.0/1"])
def test_a_network_with_this_machine_in_it(caplog, network):
    """Warned of once: whatever runs here could speak as the proxy."""
    trust = Trust.addresses(network, "192.0.2.1")
    trust.check(SimpleNamespace(socket_peer=("192.0.2.1", 1)))
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert network.partition("/")[0] in caplog.text


def test_a_network_with_our_own_address_in_it(caplog, monkeypatch):
    """The address that this machine would speak from counts, too; without a way there, nothing does."""
    ours = []

    class FakeSocket:
        def __init__(self, family, kind):
            pass

        __enter__, __exit__ = (lambda self: self), (lambda self, *error: None)

        def connect(self, address):
            if not ours:
                raise OSError(101, "no way")

        def getsockname(self):
            return ours

    monkeypatch.setattr(socket, "socket", FakeSocket)
    Trust.addresses("10.0.0.0/8")
    ours[:] = ["192.0.2.1", 1]
    Trust.addresses("10.0.0.0/8")
    assert "" == caplog.text
    ours[:] = ["10.3.2.1", 1]
    Trust.addresses("10.0.0.0/8")
    ours[:] = ["fe80::1%eth0", 1, 0, 2]
    Trust.addresses("fe80::/10")
    assert 2 == len(caplog.records)


def test_addresses_remembered_are_bounded(field):
    trust = Trust.addresses("10.0.0.1")
    source = preset("nginx", trust)
    for number in range(600):
        untrusted(lambda number=number: source.from_scope(scope_of(peer=(f"192.0.{number >> 8}.{number & 255}", 1))))
    assert 256 >= len(trust._rules[0]._known)
