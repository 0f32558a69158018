"""`Trust`: what comes before what, in each of the ways in."""

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import InvalidRequest, Unavailable
from tokenbind.peer import Trust, forwarded

from .forwarding import HEADER, preset
from .trusting import environ_of, no_evidence, scope_of, untrusted, ways


def test_both_must_hold(secret, client, field):
    """Joined with &, neither is enough."""
    source = preset("nginx", Trust.addresses("10.0.0.1") & Trust.secret_header("X-Proxy-Secret", file=secret))
    good = (b"x-proxy-secret", b"a" * 32)
    for ask in ways(source, field, good):
        assert client.thumbprint == ask().thumbprint
    for ask in ways(source, field):
        untrusted(ask, "secret header")
    for ask in ways(source, field, good, peer=("10.0.0.2", 1)):
        untrusted(ask, "its sender")
    with pytest.raises(TypeError):
        Trust.addresses("10.0.0.1") & True


def test_trust_comes_first(secret):
    """Nothing of the header is looked into before it is known whose it is."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    for value in (b"", b"x", b"A" * (1 << 20)):
        for ask in ways(source, (HEADER.encode(), value), peer=("192.0.2.1", 1)):
            untrusted(ask)
        for ask in ways(source, (HEADER.encode(), value), (HEADER.encode(), value), peer=("192.0.2.1", 1)):
            untrusted(ask)


def test_what_is_remembered_needs_trust_too(client, field):
    """A certificate that was read for the proxy is not remembered for anybody else."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    for _ in range(2):
        for ask in ways(source, field):
            assert client.thumbprint == ask().thumbprint
        for ask in ways(source, field, peer=("192.0.2.1", 1)):
            untrusted(ask)


@pytest.mark.parametrize("host", [b"api.example", b"API.example", b"api.example:443", b"other.example:8443"])
def test_a_host_that_the_proxy_forwards_for(client, field, host):
    source = preset("nginx", hosts=["Api.Example", "other.example:8443"])
    for ask in ways(source, field, (b"Host", host)):
        assert client.thumbprint == ask().thumbprint


@pytest.mark.parametrize(
    "hosts",
    [
        [b"shop.example"],
        [b"api.example.evil.org"],
        [b"api.example."],
        [b"api.example:x"],
        [b"api.example:"],
        [b":443"],
        [b""],
        [],
        [b"other.example"],
        [b"api.example", b"api.example"],
    ],
)
def test_any_other_host(field, hosts):
    """A virtual host that forgets the header lets a client's own one pass."""
    source = preset("nginx", hosts=["api.example", "other.example:8443"])
    fields = [(b"host", host) for host in hosts]
    assert "and yet" in untrusted(lambda: source.from_request([field, *fields], socket_peer=("10.0.0.1", 1)))
    untrusted(lambda: source.from_scope(scope_of(*fields)))
    untrusted(lambda: source.from_scope(scope_of(field, (b"x-forwarded-host", b"api.example"), *fields)))


def test_headers_that_can_be_read_once(client, field):
    """An iterator stays readable for the application."""
    scope = scope_of(field)
    scope["headers"] = iter(scope["headers"])
    assert client.thumbprint == preset("nginx").from_scope(scope).thumbprint
    assert [field] == list(scope["headers"])
    assert None is preset("nginx").from_scope({"type": "http"})


def test_bridges(client, field):
    """A server of the other interface is asked through its bridge; and nobody is through two of them."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    scope, environ = scope_of(field), environ_of(field)
    assert client.thumbprint == source.from_environ({"asgi.scope": scope}).thumbprint
    assert client.thumbprint == source.from_scope({"headers": [], "wsgi_environ": environ}).thumbprint
    untrusted(lambda: source.from_environ({"asgi.scope": scope_of(field, peer=("192.0.2.1", 1))}))
    untrusted(lambda: source.from_scope({"headers": [], "wsgi_environ": environ_of(field, peer=("192.0.2.1", 1))}))
    no_evidence(lambda: source.from_environ({"asgi.scope": {"headers": [], "wsgi_environ": environ}}))
    no_evidence(lambda: source.from_scope({"headers": [], "wsgi_environ": {"asgi.scope": scope}}))
    no_evidence(lambda: source.from_environ({"asgi.scope": "text of the process environment"}))
    twin = (field[0].replace(b"-", b"_"), field[1])
    with pytest.raises(InvalidRequest, match="more than one"):  # which WSGI alone could not see
        source.from_environ({"asgi.scope": scope_of(field, twin)})


def test_what_a_source_needs(secret):
    """Beside the headers of a request and who has sent it."""
    socket, header = Trust.unix_socket("/run/api.sock"), Trust.secret_header("X-Proxy-Secret", file=secret)
    assert set() == preset("nginx", header & Trust.addresses("10.0.0.1")).needs
    assert {"socket_name"} == preset("nginx", header & socket).needs
    assert {"host"} == preset("nginx", header, hosts=["api.example"]).needs
    assert {"host", "socket_name"} == preset("nginx", socket, hosts=["api.example"]).needs


def test_remedies(field):
    """A server without a shim, and one that needs one more step, are told so."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    said = no_evidence(lambda: source.from_environ({"SERVER_SOFTWARE": "gevent/24 Python/3"}))
    assert "tokenbind.servers.gevent" in said
    said = no_evidence(lambda: source.from_environ({"SERVER_SOFTWARE": "WSGIServer/0.2", "REMOTE_ADDR": "10.0.0.1"}))
    assert "of TLS alone; or use Trust.secret_header" in said
    said = no_evidence(lambda: source.from_environ({"SERVER_SOFTWARE": "waitress"}))
    assert "proxy in front" not in said


JUNK = st.one_of(st.none(), st.text(max_size=5), st.binary(max_size=5), st.integers(), st.tuples(st.text(max_size=9)))


@settings(deadline=None)
@given(JUNK, JUNK, st.one_of(JUNK, st.lists(JUNK, max_size=2).map(tuple)))
def test_total(own, name, peer):
    """Whatever a server tells, it is a certificate, none, or a refusal."""
    for trust in (Trust.addresses("10.0.0.1"), Trust.unix_socket("/run/api.sock"), Trust.peer_certificates("A" * 43)):
        source = forwarded.nginx(header=HEADER, trusted_proxy=trust)
        for extensions in (own, {"tokenbind": own}, {"tokenbind": {"socket_peer": peer, "socket_name": name}}):
            with pytest.raises((InvalidRequest, Unavailable)):
                source.from_scope({"type": "http", "headers": [], "extensions": extensions})
        with pytest.raises((InvalidRequest, Unavailable)):
            source.from_environ({"gunicorn.socket": own, "asgi.scope": name, "HTTP_HOST": name})
        with pytest.raises((InvalidRequest, Unavailable)):
            source.from_request([], socket_peer=peer, socket_name=name)
