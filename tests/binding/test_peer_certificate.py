"""`PeerCertificate`, a value."""

from datetime import datetime, timezone
import pickle

from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidRequest, PeerCertificate, Reason, thumbprint


def test_it_can_be_pickled(tokenbind_client):
    """Before and after it was parsed, which is not taken along."""
    peer = PeerCertificate.from_der(tokenbind_client.peer.der)
    for _ in range(2):
        assert peer == pickle.loads(pickle.dumps(peer))
        assert peer.x509


def test_from_der_and_pem(appendix_a):
    """Both readers give the same certificate; the word for where it came from differs."""
    der, pem = PeerCertificate.from_der(appendix_a.der), PeerCertificate.from_pem(appendix_a.pem)

    assert appendix_a.thumbprint == der.thumbprint == pem.thumbprint
    assert appendix_a.der == der.der == pem.der
    assert (appendix_a.der,) == der.chain == pem.chain
    assert ("der", "pem") == (der.source, pem.source)
    assert None is der.chain_verified is pem.chain_verified
    assert der != pem


def test_from_pem_with_a_chain(appendix_a, tokenbind_client):
    """Of a chain, the first certificate is the peer's."""
    peer = PeerCertificate.from_pem(appendix_a.pem + tokenbind_client.pem)

    assert appendix_a.thumbprint == peer.thumbprint
    assert (appendix_a.der, tokenbind_client.peer.der) == peer.chain
    assert appendix_a.der == peer.der


def test_from_thumbprint(appendix_a):
    """With only the thumbprint, there is no DER, no chain, and nothing that needs them."""
    peer = PeerCertificate.from_thumbprint(appendix_a.thumbprint)

    assert appendix_a.thumbprint == peer.thumbprint
    assert None is peer.der
    assert () == peer.chain
    for read in (lambda: peer.x509, lambda: peer.not_after):
        with pytest.raises(InvalidRequest) as caught:
            read()
        assert Reason.CERTIFICATE_INCOMPLETE == caught.value.reason


def test_x509_is_parsed_once(appendix_a):
    """`x509` is the certificate as `cryptography` reads it, the same object each time; `not_after` is in UTC."""
    peer = PeerCertificate.from_pem(appendix_a.pem)

    assert "CN=mtls" == peer.x509.subject.rfc4514_string()
    assert peer.x509 is peer.x509
    assert datetime(2022, 5, 2, 12, 37, 9, tzinfo=timezone.utc) == peer.not_after


def with_not_after(der, generalized_time):
    """The certificate of Appendix A, its notAfter as a GeneralizedTime; three lengths around it grow by two."""
    start = der.index(b"\x17\x0d220502")
    changed = bytearray(der[:start] + b"\x18\x0f" + generalized_time + der[start + 15 :])
    for length in (3, 6, der.index(b"\x30\x1e\x17") + 1):
        changed[length] += 2
    return bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda der: der[:5] + b"\xff" * (len(der) - 5), "does not parse", id="junk inside"),
        pytest.param(lambda der: with_not_after(der, b"20229902123709Z"), "does not parse", id="month 99"),
        pytest.param(lambda der: with_not_after(der, b"00000502123709Z"), "is no date", id="year 0"),
    ],
)
def test_junk_inside_the_outer_shape(appendix_a, spoil, why):
    """Bytes that are shaped like a certificate, but are none, have a thumbprint, and our own error for the rest."""
    peer = PeerCertificate.from_der(spoil(appendix_a.der))

    assert thumbprint(peer.der) == peer.thumbprint != appendix_a.thumbprint
    with pytest.raises(InvalidRequest, match=why) as caught:
        _ = peer.not_after
    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason


def test_the_last_date_there_is(appendix_a):
    """RFC 5280 §4.1.2.5: 99991231235959Z says "no well-defined expiration date", and is read."""
    peer = PeerCertificate.from_der(with_not_after(appendix_a.der, b"99991231235959Z"))

    assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc) == peer.not_after


@pytest.mark.parametrize(
    "name", ["thumbprint", "der", "chain", "source", "chain_verified", "x509", "not_after", "trusted", "__dict__"]
)
def test_it_is_immutable(appendix_a, name):
    """No property can be set, and no attribute can be added."""
    peer = PeerCertificate.from_der(appendix_a.der)

    with pytest.raises(AttributeError):
        setattr(peer, name, True)


def test_equality_and_hash(appendix_a, tokenbind_client):
    """Equal are the same certificate, chain, source and chain_verified; `x509` having been asked for is no matter."""
    one, other = PeerCertificate.from_der(appendix_a.der), PeerCertificate.from_der(appendix_a.der)
    _ = one.x509

    assert one == other
    assert hash(one) == hash(other)
    assert {one} == {one, other}
    different = [
        tokenbind_client.peer,
        PeerCertificate.from_thumbprint(appendix_a.thumbprint),
        PeerCertificate.from_pem(appendix_a.pem),
        PeerCertificate(one.thumbprint, one.chain, "der", chain_verified=True),
        PeerCertificate(one.thumbprint, one.chain * 2, "der"),
        appendix_a.thumbprint,
    ]
    assert [False] * len(different) == [one == value for value in different]


def test_repr(appendix_a):
    """Its repr names it and where it came from."""
    assert (
        f"<PeerCertificate {appendix_a.thumbprint} from tls, chain_verified=True>"
        == repr(PeerCertificate(appendix_a.thumbprint, (), "tls", chain_verified=True))
    )  # fmt: skip


@given(st.integers(0, 265), st.integers(0, 255))
def test_one_changed_byte(appendix_a, position, byte):
    """Property: a changed certificate has another thumbprint, and reading it gives a value or our own error."""
    der = bytearray(appendix_a.der)
    der[position] = byte
    try:
        peer = PeerCertificate.from_der(bytes(der))
        assert (der == appendix_a.der) == (peer.thumbprint == appendix_a.thumbprint)
        assert None is not peer.not_after.tzinfo
    except InvalidRequest:
        assert der != appendix_a.der
