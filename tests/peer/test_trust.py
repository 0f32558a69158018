"""`Trust`: who has sent a request, by what no header has a say in."""

from contextlib import closing
from datetime import datetime, timezone
import logging
import os
import socket
import ssl
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import ConfigurationError, InvalidRequest, PeerCertificate, Reason, Unavailable
from tokenbind.peer import Trust, forwarded

from .forwarding import ANYONE, HEADER, preset, value_of


@pytest.fixture
def client(tokenbind_kit):
    return tokenbind_kit.client()


@pytest.fixture
def field(client):
    """The header of the client's certificate, as the proxy sends it."""
    return HEADER.lower().encode(), value_of("percent", client.peer.der)


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


def ways(source, *fields, peer=("10.0.0.1", 4711)):
    """The same request in each of the three ways."""
    yield lambda: source.from_scope(scope_of(*fields, peer=peer))
    yield lambda: source.from_environ(environ_of(*fields, peer=peer))
    yield lambda: source.from_request(iter(fields), socket_peer=peer)


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
    assert "Trust.secret_header" in str(refusal.value) or "TLS" in str(refusal.value)
    return str(refusal.value)


# Addresses.


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
    no_evidence(lambda: preset("nginx", Trust.addresses("10.0.0.1")).from_request([field]))


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


# Unix sockets.


@pytest.mark.parametrize("path", ["/run/api.sock", "api.sock"])
def test_a_unix_socket(client, field, path, tmp_path, monkeypatch):
    """The server's own socket must be the one, by its name; relative ones are taken from here."""
    monkeypatch.chdir(tmp_path)
    absolute = str(tmp_path / path)
    source = preset("nginx", Trust.unix_socket(path))
    for name in (path, absolute):
        assert client.thumbprint == source.from_scope(scope_of(field, peer="", name=name)).thumbprint
        assert client.thumbprint == source.from_environ(environ_of(field, peer="", name=name)).thumbprint
    for name in ("", "/run/other.sock", b"\0api", ("127.0.0.1", 8000), path + "x", 5):
        untrusted(lambda name=name: source.from_scope(scope_of(field, peer="", name=name)))
        untrusted(lambda name=name: source.from_environ(environ_of(field, peer="", name=name)))


def test_no_address_is_no_unix_socket(field):
    """That there is no client in the scope is no evidence."""
    source = preset("nginx", Trust.unix_socket("/run/api.sock"))
    no_evidence(lambda: source.from_scope(scope_of(field, peer=None, name=None, client=None)))
    no_evidence(lambda: source.from_scope({"type": "http", "headers": [field], "client": None}))
    no_evidence(lambda: source.from_environ({"HTTP_X_K7QD2_CERT": "x", "REMOTE_ADDR": ""}))
    no_evidence(lambda: source.from_request([field], socket_peer=""))


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


# The proxy's own certificate.


def test_the_certificate_of_the_proxy(tokenbind_kit, client, field, connections):
    """By thumbprint, by DNS name, by URI: read from the connection, in each way."""
    proxy = tokenbind_kit.client("proxy")
    tls, stranger = verified_tls(connections, proxy), verified_tls(connections, tokenbind_kit.client("stranger"))
    trust = Trust.peer_certificates(tokenbind_kit.client("old-proxy").thumbprint, proxy.thumbprint)
    source = preset("nginx", trust)
    assert client.thumbprint == source.from_scope(scope_of(field, tls=tls)).thumbprint
    assert client.thumbprint == source.from_request([field], tls_peer=tls).thumbprint
    environ = environ_of(field) | {"gunicorn.socket": tls}
    environ["gunicorn.socket"] = Socket(("10.0.0.1", 1), der=proxy.peer.der)
    assert client.thumbprint == source.from_environ(environ).thumbprint
    untrusted(lambda: source.from_scope(scope_of(field, tls=stranger)), "is not the proxy's")
    untrusted(lambda: source.from_request([field], tls_peer=stranger))
    untrusted(lambda: source.from_scope(scope_of(field, tls=tls_object(None))), "without the client certificate")
    for scope in (scope_of(field), {"type": "http", "headers": [field]}):
        no_evidence(lambda scope=scope: source.from_scope(scope))
    no_evidence(lambda: source.from_environ(environ_of(field)))


def test_the_names_of_the_proxy(tokenbind_kit, client, field, connections):
    """Only of a chain that this server's TLS layer has verified."""
    proxy = tokenbind_kit.ca.issue_cert("Proxy.Internal", "spiffe.invalid", common_name="other.internal")
    identity = SimpleNamespace(pem=proxy.cert_chain_pems[0].bytes().decode())
    der = ssl.PEM_cert_to_DER_cert(identity.pem)
    context = connections.client()
    proxy.configure_cert(context)
    tls = connections.memory(connections.server(), context)[0]

    def ask(tls, *names):
        return preset("nginx", Trust.peer_certificates(names=names)).from_scope(scope_of(field, tls=tls))

    for name in ("proxy.internal", "PROXY.internal", "spiffe.invalid"):
        assert client.thumbprint == ask(tls, "spiffe://a/b", name).thumbprint
        untrusted(lambda name=name: ask(tls_object(der), name))  # who has verified it?
    for name in ("internal", "other.internal", "x.proxy.internal", "spiffe://proxy.internal", "proxy.internal."):
        untrusted(lambda name=name: ask(tls, name))
    untrusted(lambda: ask(verified_tls(connections, client), "proxy.internal"))


def with_names(make):
    """A verified peer whose certificate has the names that *make* gives."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    for extension in make(x509):
        builder = builder.add_extension(extension, critical=False)
    return PeerCertificate.from_der(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    ("make", "trusted"),
    [
        (lambda x: [x.SubjectAlternativeName([x.UniformResourceIdentifier("spiffe://a/proxy")])], True),
        (lambda x: [x.SubjectAlternativeName([x.DNSName("a.test"), x.DNSName("proxy.test")])], True),
        (lambda x: [x.SubjectAlternativeName([x.UniformResourceIdentifier("spiffe://a/Proxy")])], False),
        (lambda x: [x.SubjectAlternativeName([x.UniformResourceIdentifier("proxy.test")])], False),
        (lambda x: [x.SubjectAlternativeName([x.DNSName("spiffe://a/proxy")])], False),
        (lambda x: [x.SubjectAlternativeName([x.DNSName("*.test")])], False),
        (lambda x: [x.SubjectAlternativeName([x.RFC822Name("proxy.test")])], False),
        (lambda x: [x.SubjectAlternativeName([x.RegisteredID(x.ObjectIdentifier("1.2.3"))])], False),
        (lambda x: [x.IssuerAlternativeName([x.DNSName("proxy.test")])], False),
        (lambda x: [x.UnrecognizedExtension(x.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x82\x05x")], False),
        (lambda x: [], False),
    ],
)
def test_only_names_of_the_kind_count(client, field, make, trusted):
    """DNS names are compared as such, URIs exactly; no other name counts, and broken ones are none."""
    peer = with_names(make)
    verified = PeerCertificate(peer.thumbprint, peer.chain, "tls", True)
    trust = Trust.peer_certificates(names=["proxy.test", "spiffe://a/proxy"])
    incoming = SimpleNamespace(ask_tls=lambda: verified)
    if trusted:
        trust.check(incoming)
    else:
        untrusted(lambda: trust.check(incoming))
    for chain_verified in (None, False):
        unverified = PeerCertificate(peer.thumbprint, peer.chain, "tls", chain_verified)
        untrusted(lambda unverified=unverified: trust.check(SimpleNamespace(ask_tls=lambda: unverified)))


@pytest.mark.parametrize(
    "make",
    [
        Trust.peer_certificates,
        lambda: Trust.peer_certificates("x"),
        lambda: Trust.peer_certificates("51:fb"),
        lambda: Trust.peer_certificates(None),
        lambda: Trust.peer_certificates(names="proxy.internal"),
        lambda: Trust.peer_certificates(names=["*.internal"]),
        lambda: Trust.peer_certificates(names=[""]),
        lambda: Trust.peer_certificates(names=[b"x"]),
    ],
)
def test_certificates_that_cannot_be(make):
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("trust", ["anyone", "thumbprint", "address"])
def test_attack_18_the_proxys_own_certificate(tokenbind_kit, connections, trust):
    """Attack 18: the proxy's certificate is not a client's, neither as the connection's nor in the header."""
    proxy = tokenbind_kit.client("proxy")
    tls, own = verified_tls(connections, proxy), (HEADER.encode(), value_of("percent", proxy.peer.der))
    source = preset(
        "nginx",
        {
            "anyone": ANYONE,
            "thumbprint": Trust.peer_certificates(proxy.thumbprint),
            "address": Trust.addresses("10.0.0.1"),
        }[trust],
    )
    environ = environ_of(own, der=proxy.peer.der)
    for ask in (
        lambda: source.from_scope(scope_of(own, tls=tls)),
        lambda: source.from_environ(environ),
        lambda: source.from_request([own], socket_peer=("10.0.0.1", 1), tls_peer=tls),
    ):
        with pytest.raises(InvalidRequest, match="proxy's own"):
            ask()
    assert None is source.from_scope(scope_of(tls=tls)), "the connection's certificate takes no missing one's place"
    assert None is source.from_environ(environ_of(der=proxy.peer.der))


def test_old_certificates_of_the_proxy_are_no_clients(tokenbind_kit, connections):
    """All that are named are the proxy's own, whichever it uses now."""
    old, new = tokenbind_kit.client("old"), tokenbind_kit.client("new")
    source = preset("nginx", Trust.peer_certificates(old.thumbprint, new.thumbprint))
    with pytest.raises(InvalidRequest, match="proxy's own"):
        source.from_scope(
            scope_of((HEADER.encode(), value_of("percent", old.peer.der)), tls=verified_tls(connections, new))
        )


@pytest.mark.parametrize("tls", [tls_object(None), tls_object(b"x"), SimpleNamespace()])
def test_a_connection_whose_certificate_cannot_be_read(client, field, tls):
    """Where it is not what the trust is in, it is not asked for more than it can say."""
    assert client.thumbprint == preset("nginx").from_scope(scope_of(field, tls=tls)).thumbprint


# A secret.


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret"
    file.write_text("a" * 32 + "\n")
    return file


def ask_with(source, *secrets):
    fields = [(b"X-Proxy-Secret", value) for value in secrets]
    return lambda: source.from_request(fields)


def test_a_secret(secret, client, field):
    """Once, whole, under its own name; in each way, whatever the server tells of its connections."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    good = (b"x-proxy-secret", b"a" * 32)
    for ask in ways(source, field, good, peer=None):
        assert client.thumbprint == ask().thumbprint
    assert {b"x-proxy-secret", HEADER.lower().encode()} == source.hidden_headers
    for wrong in (b"", b"a" * 31, b"a" * 33, b"A" * 32, b" " + b"a" * 32, b"\xff" * 32, b"a" * 32 + b"," + b"a" * 32):
        untrusted(ask_with(source, wrong))
    untrusted(ask_with(source))
    untrusted(ask_with(source, b"a" * 32, b"a" * 32))
    untrusted(lambda: source.from_request([(b"X_Proxy_Secret", b"a" * 32)]))
    untrusted(lambda: source.from_request([good, (b"X_Proxy_Secret", b"a" * 32)]))
    for ask in ways(source, field, peer=("10.0.0.1", 1)):
        assert "and yet it has the header" in untrusted(ask)
    untrusted(lambda: source.from_environ({"HTTP_X_PROXY_SECRET": "\u0100"}))
    untrusted(lambda: source.from_environ({"HTTP_X_PROXY_SECRET": b"a" * 32}))


def test_a_secret_changes(secret):
    """Two are good while it changes; then the old one is none."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    old, new = ask_with(source, b"a" * 32), ask_with(source, b"b" * 40)
    old()
    untrusted(new)
    for content, good, bad in ((f"{'a' * 32}\n{'b' * 40}\n", [old, new], []), ("b" * 40, [new], [old])):
        fresh = secret.with_suffix(".new")
        fresh.write_text(content)
        fresh.replace(secret)
        for ask in good * 2:
            ask()
        for ask in bad:
            untrusted(ask)


def unreadable(ask):
    with pytest.raises(Unavailable, match="cannot be read") as refusal:
        ask()
    assert Reason.CERTIFICATE_SOURCE_MISSING == refusal.value.reason
    return str(refusal.value)


def test_a_secret_that_cannot_be_read(secret):
    """Nobody is trusted while it cannot: it may have been taken away. Then it is good again."""
    source = preset("nginx", Trust.secret_header("X-Proxy-Secret", file=secret))
    ask = ask_with(source, b"a" * 32)
    kept = secret.rename(secret.with_suffix(".kept"))
    for _ in range(2):
        unreadable(ask)
    secret.write_text("short")
    assert "short" not in unreadable(ask)
    kept.replace(secret)
    ask()
    os.utime(secret, ns=(1, 1))
    ask()


@pytest.mark.parametrize(
    "content",
    ["", "a" * 31, "\n\n", "a" * 32 + "\n" + "b" * 31, "\n".join("abc"[at] * 32 for at in range(3)), "é" * 32],
)
def test_secrets_that_cannot_be(secret, content):
    secret.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        Trust.secret_header("X-Proxy-Secret", file=secret)
    assert not content.strip() or content not in str(error.value)


def test_secret_headers_that_cannot_be(secret):
    for name in ("X_Proxy_Secret", "", "Authorization", None):
        with pytest.raises(ConfigurationError):
            Trust.secret_header(name, file=secret)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Trust.secret_header("X-Proxy-Secret", file=secret.with_suffix(".missing"))
    with pytest.raises(ConfigurationError, match="same name"):
        preset("nginx", Trust.secret_header("x-k7qd2-cert", file=secret))


# Together.


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


# For which host.


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


# The ways in.


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


def test_remedies(field):
    """A server without a shim, and one that needs one more step, are told so."""
    source = preset("nginx", Trust.addresses("10.0.0.1"))
    said = no_evidence(lambda: source.from_environ({"SERVER_SOFTWARE": "gevent/24 Python/3"}))
    assert "tokenbind.servers.gevent" in said
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
            source.from_request([], socket_peer=peer)
