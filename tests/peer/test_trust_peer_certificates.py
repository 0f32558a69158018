"""`Trust.peer_certificates`: the proxy shows a certificate, which is never a client's."""

from datetime import datetime, timezone
import ssl
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
import pytest

from tokenbind import ConfigurationError, InvalidRequest, PeerCertificate
from tokenbind.peer import Trust

from .forwarding import ANYONE, HEADER, preset, value_of
from .trusting import Socket, environ_of, no_evidence, scope_of, tls_object, untrusted, verified_tls


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
