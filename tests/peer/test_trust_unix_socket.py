"""`Trust.unix_socket`: only positive evidence counts."""

from contextlib import closing
import socket

import pytest

from tokenbind import ConfigurationError
from tokenbind.peer import Trust

from .forwarding import preset
from .trusting import environ_of, no_evidence, scope_of, untrusted, ways


def test_a_unix_socket(client, field, tmp_path, monkeypatch):
    """The server's own socket must be the one, by its name; a relative one, which a server may have, is from here."""
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "api.sock")
    source = preset("nginx", Trust.unix_socket(path))
    for name in (path, "api.sock"):
        for ask in ways(source, field, peer="", name=name):
            assert client.thumbprint == ask().thumbprint
    for name in ("", "/api.sock", "x/api.sock", b"\0api", ("127.0.0.1", 8000), path + "x", 5):
        for ask in ways(source, field, peer="", name=name):
            untrusted(ask, "Unix socket")


def test_no_address_is_no_unix_socket(field):
    """That there is no client in the scope is no evidence."""
    source = preset("nginx", Trust.unix_socket("/run/api.sock"))
    no_evidence(lambda: source.from_scope(scope_of(field, peer=None, name=None, client=None)))
    no_evidence(lambda: source.from_scope({"type": "http", "headers": [field], "client": None}))
    no_evidence(lambda: source.from_environ({"HTTP_X_K7QD2_CERT": "x", "REMOTE_ADDR": ""}))
    assert "give socket_name=" in no_evidence(lambda: source.from_request([field], socket_peer=""))


@pytest.mark.parametrize("path", ["", "\0api", b"/run/api.sock", b"\0api"])
def test_sockets_that_anybody_can_open(path):
    """Abstract sockets have no permissions."""
    with pytest.raises(ConfigurationError):
        Trust.unix_socket(path)


def test_a_real_unix_socket(client, field, tmp_path):
    """What the kernel says of it is what is compared."""
    path = str(tmp_path / "s")
    with closing(socket.socket(socket.AF_UNIX)) as listener, closing(socket.socket(socket.AF_UNIX)) as proxy:
        listener.bind(path)
        listener.listen()
        proxy.connect(path)
        with closing(listener.accept()[0]) as accepted:
            environ = environ_of(field) | {"gunicorn.socket": accepted}
            trusted = preset("nginx", Trust.unix_socket(tmp_path / "s"))
            assert client.thumbprint == trusted.from_environ(environ).thumbprint
            untrusted(lambda: preset("nginx", Trust.unix_socket(tmp_path / "t")).from_environ(environ))
            untrusted(lambda: preset("nginx", Trust.addresses("10.0.0.1")).from_environ(environ))
