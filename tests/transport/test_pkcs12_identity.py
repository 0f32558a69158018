"""`PKCS12Identity`: one file with everything, its chain in whatever order."""

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from hypothesis import given, settings, strategies as st
import pytest
import trustme

from tokenbind import IdentityError
from tokenbind.transport import PKCS12Identity

from .rotating import Pair, presented


@pytest.fixture(scope="module")
def root():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(root):
    return root.create_child_ca().create_child_ca()


def pack(pair, password=b"open", others=None, key=True, certificate=True):
    """PKCS#12 of a pair; other certificates than the leaf in the order given."""
    leaf, *chain = (x509.load_pem_x509_certificate(block) for block in pair.blocks)
    return pkcs12.serialize_key_and_certificates(
        b"client",
        serialization.load_pem_private_key(pair.key, None) if key else None,
        leaf if certificate else None,
        (chain if others is None else others(chain)) or None,
        NoEncryption() if password is None else BestAvailableEncryption(password),
    )


@pytest.mark.parametrize(
    ("given", "password"),
    [
        ("open", b"open"),
        (b"open", b"open"),
        (lambda: "open", b"open"),
        (None, None),
        ("s\u00e9cret", "s\u00e9cret".encode()),
    ],
)
def test_from_bytes_with_every_kind_of_password(root, ca, given, password):
    """A server sees the certificate with its chain."""
    pair = Pair(ca)
    source = PKCS12Identity(pack(pair, password), given)
    identity = source.current()
    assert pair.der == identity.certificate.der
    assert pair.chain.replace(b"\n", b"") == identity._pem.replace(b"\n", b"")
    assert list(identity.certificate.chain) == presented(identity.ssl_context(root.cert_pem.bytes()), root)
    assert f"<PKCS12Identity {identity.thumbprint}>" == repr(source)
    assert identity is source.current()


def test_a_chain_is_put_in_order_and_strangers_are_left_out(root, ca):
    """Whoever has made the file: servers need not sort. A root in it may be sent."""
    pair, stranger = Pair(ca), x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
    top = x509.load_pem_x509_certificate(root.cert_pem.bytes())
    shuffled = pack(pair, others=lambda chain: [stranger, top, *reversed(chain)])
    certificates = x509.load_pem_x509_certificates(PKCS12Identity(shuffled, "open").current()._pem)
    assert [*x509.load_pem_x509_certificates(pair.chain), top] == certificates


def test_the_file_is_followed(ca, tmp_path, clock, caplog):
    """Like those of `FileIdentity`, mode and password included."""
    file, pairs = tmp_path / "client.p12", [Pair(ca), Pair(ca)]
    file.write_bytes(pack(pairs[0]))
    file.chmod(0o644)
    source = PKCS12Identity(file, "open")
    assert f"{str(file)!r} is open to every user" in caplog.text
    first = source.current()
    for torn in (pack(pairs[1])[:500], b"", pack(pairs[1], b"other")):
        file.write_bytes(torn)
        clock.now += 1
        assert first is source.current()
    file.write_bytes(pack(pairs[1]))
    clock.now += 1
    assert pairs[1].der == source.current().certificate.der


@pytest.mark.parametrize(
    ("data", "password", "why"),
    [
        (b"", "open", "this is not PKCS#12, or it is cut off"),
        (b"0\x82junk", "open", "this is not PKCS#12, or it is cut off"),
        (lambda pair: pair.der, "open", "this is not PKCS#12, or it is cut off"),
        (lambda pair: pack(pair)[:500], "open", "is the password right"),
        (pack, "wrong", "is the password right"),
        (pack, None, "does it need a password"),
        (pack, lambda: 1 / 0, "ZeroDivisionError"),
        (pack, 5, "password must be"),
        (lambda pair: pair.bundle, None, "PEM, not PKCS#12"),
        (lambda pair: pack(pair, key=False), "open", "no private key"),
        (lambda pair: pack(pair, certificate=False, others=lambda chain: []), "open", "no private key with its cert"),
    ],
)
def test_what_cannot_be_read_is_our_error(ca, data, password, why):
    """At once, for bytes; nothing of it is shown."""
    with pytest.raises(IdentityError, match=why) as caught:
        PKCS12Identity(data(Pair(ca)) if callable(data) else data, password)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_named(tmp_path, clock):
    """After a second."""
    with pytest.raises(IdentityError, match="client.p12': No such file"):
        PKCS12Identity(tmp_path / "client.p12", "open")


@pytest.fixture(scope="module")
def packed(ca):
    return pack(Pair(ca), None)


@settings(deadline=None)
@given(st.tuples(st.integers(0, 3000), st.integers(0, 50), st.binary(max_size=20)))
def test_whatever_was_written_is_an_identity_or_our_error(packed, change):
    """Totality."""
    start, length, new = change
    try:
        PKCS12Identity(packed[:start] + new + packed[start + length :]).current()
    except IdentityError:
        pass
