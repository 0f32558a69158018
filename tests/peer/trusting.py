"""Requests from the proxy and from others, in each of the three ways, and how they are refused."""

from types import SimpleNamespace

import pytest

from tokenbind import InvalidRequest, Reason, Unavailable


def scope_of(*fields, peer=("10.0.0.1", 4711), name=("10.0.0.2", 8000), tls=None, **more):
    own = {"ssl_object": tls, "socket_peer": peer, "socket_name": name}
    return {"type": "http", "scheme": "http", "headers": [*fields], "extensions": {"tokenbind": own}, **more}


class Socket:
    """As much of a socket as a WSGI server gives."""

    def __init__(self, peer, name=("10.0.0.2", 8000), der=None):
        self.getpeername, self.getsockname = (lambda: peer), (lambda: name)
        if der is not None:
            self.getpeercert = lambda binary_form=False: der


def environ_of(*fields, peer=("10.0.0.1", 4711), name=("10.0.0.2", 8000), der=None, **more):
    headers = {"HTTP_" + key.decode().upper().replace("-", "_"): value.decode("latin-1") for key, value in fields}
    return {"wsgi.url_scheme": "http", "gunicorn.socket": Socket(peer, name, der), **headers, **more}


def tls_object(der):
    return SimpleNamespace(getpeercert=lambda binary_form=False: der)


def verified_tls(connections, client):
    """The server's end of a real connection on which *client* was proven."""
    return connections.memory(connections.server(), connections.client(client))[0]


def ways(source, *fields, peer=("10.0.0.1", 4711), name=("10.0.0.2", 8000)):
    """The same request in each of the three ways."""
    yield lambda: source.from_scope(scope_of(*fields, peer=peer, name=name))
    yield lambda: source.from_environ(environ_of(*fields, peer=peer, name=name))
    yield lambda: source.from_request(iter(fields), socket_peer=peer, socket_name=name)


def untrusted(ask, words=""):
    with pytest.raises(InvalidRequest) as refusal:
        ask()
    assert Reason.PROXY_UNTRUSTED == refusal.value.reason
    assert words in str(refusal.value)
    return str(refusal.value)


def no_evidence(ask):
    with pytest.raises(Unavailable) as refusal:
        ask()
    assert Reason.CERTIFICATE_SOURCE_MISSING == refusal.value.reason
    return str(refusal.value)


def ask_with(source, *secrets):
    fields = [(b"X-Proxy-Secret", value) for value in secrets]
    return lambda: source.from_request(fields)
