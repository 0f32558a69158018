"""The proxy's headers are hidden from applications, wherever a server or a bridge keeps them."""

import pytest

from tokenbind.peer.fields import Names


NAMES = Names([b"x-k7qd2-cert", b"x-proxy-secret"])
MORE = [(b"Host", b"api.example"), (b"X-Proxy-Secre", b"x"), (b"authorization", b"x")]
HIDDEN = [(b"X-K7Qd2-Cert", b"x"), (b"x_k7qd2_cert", b"x"), (b"x.k7qd2-cert", b"x"), (b"X-PROXY_SECRET", b"x")]
ENVIRON = {"HTTP_HOST": "api.example", "HTTP_X_PROXY_SECRE": "x", "wsgi.input": None}
HIDDEN_IN_ENVIRON = {"HTTP_X_K7QD2_CERT": "x", "HTTP_X_PROXY_SECRET": "x"}


def test_in_a_scope():
    """Every spelling that could pass for it; the server's own list of headers stays as it is."""
    headers = [*HIDDEN[:2], *MORE, *HIDDEN[2:]]
    scope = {"headers": headers, "path": "/"}
    NAMES.hide_in_scope(scope)
    assert {"headers": MORE, "path": "/"} == scope
    assert len(HIDDEN) + len(MORE) == len(headers)


def test_in_an_environ():
    environ = ENVIRON | HIDDEN_IN_ENVIRON
    NAMES.hide_in_environ(environ)
    assert environ == ENVIRON


def test_on_the_other_side_of_a_bridge():
    """a2wsgi puts the scope into the environ, or the environ into the scope."""
    scope = {"headers": HIDDEN + MORE, "wsgi_environ": ENVIRON | HIDDEN_IN_ENVIRON}
    NAMES.hide_in_scope(scope)
    assert {"headers": MORE, "wsgi_environ": ENVIRON} == scope
    environ = ENVIRON | HIDDEN_IN_ENVIRON | {"asgi.scope": {"headers": HIDDEN + MORE}}
    NAMES.hide_in_environ(environ)
    assert environ == ENVIRON | {"asgi.scope": {"headers": MORE, "wsgi_environ": None}}


@pytest.mark.parametrize("other", [None, "text"])
def test_what_is_no_bridge(other):
    scope, environ = {"headers": MORE, "wsgi_environ": other}, {"asgi.scope": other}
    NAMES.hide_in_scope(scope)
    NAMES.hide_in_environ(environ)
    assert ({"headers": MORE, "wsgi_environ": other}, {"asgi.scope": other}) == (scope, environ)


@pytest.mark.parametrize("name", [name for name, _ in HIDDEN])
def test_a_name(name):
    assert NAMES.hides(name)
    assert not Names([]).hides(name)
    assert not NAMES.hides(name[:-1])
    assert not NAMES.hides(name[:-1] + b"\xff")


def test_nothing_to_hide():
    """Where no proxy is, nothing is copied or looked at."""
    assert (True, False) == (bool(NAMES), bool(Names([])))
    scope, environ = {"headers": (headers := [*HIDDEN])}, {**HIDDEN_IN_ENVIRON}
    Names([]).hide_in_scope(scope)
    Names([]).hide_in_environ(environ)
    assert headers is scope["headers"]
    assert environ == HIDDEN_IN_ENVIRON
