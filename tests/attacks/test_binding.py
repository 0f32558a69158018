"""Attacks 1-3 and 20-22 on the binding, where a row of the table does not say it all."""

import pytest

from tokenbind import InvalidRequest, PeerCertificate, Reason
from tokenbind.binding import confirmation

from .asserting import assert_refused, asynchronous, sync
from .cases_binding import X5T, self_signed


@pytest.mark.parametrize("verify", [sync, asynchronous])
@pytest.mark.parametrize(
    ("thief", "reason"),
    [
        pytest.param(lambda kit, client: None, Reason.CERTIFICATE_MISSING, id="attack-1-no-certificate"),
        pytest.param(
            lambda kit, client: kit.client("stranger").peer,
            Reason.CERTIFICATE_MISMATCH,
            id="attack-2-other-certificate",
        ),
        pytest.param(lambda kit, client: kit.renewed(client).peer, Reason.CERTIFICATE_MISMATCH, id="attack-3-renewed"),
    ],
)
def test_a_token_in_use(kit, thief, reason, verify):
    """The binding is judged at every call: that the client is using the token, and it is cached, helps no thief."""
    client = kit.client()
    token = kit.mint(client)
    for _ in range(2):
        assert client.thumbprint == verify(kit.verifier, token, client.peer).thumbprint
        error = assert_refused(reason, kit.verifier, token, thief(kit, client), verify)
    assert client.name == kit.monitor.refused[-1].client_id, "the event says whose token was stolen"
    assert (client.thumbprint if reason is Reason.CERTIFICATE_MISMATCH else None) == error.expected


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda der: der + b"\0", id="attack-20-trailing-byte"),
        pytest.param(lambda der: der + der, id="attack-20-twice"),
        pytest.param(lambda der: der[:-1], id="attack-20-truncated"),
        pytest.param(lambda der: b"\x30\x80" + der[4:] + b"\0\0", id="attack-20-ber-indefinite-length"),
        pytest.param(lambda der: b"\x30\x83\0" + der[2:], id="attack-20-ber-long-length"),
    ],
)
def test_other_encodings_of_the_certificate(kit, spoil):
    """Attack 20: a certificate has one encoding; another one is no certificate, so it has no thumbprint either."""
    der = kit.client().peer.der
    assert kit.client().thumbprint == PeerCertificate.from_der(der).thumbprint
    with pytest.raises(InvalidRequest) as refusal:
        PeerCertificate.from_der(spoil(der))
    assert Reason.CERTIFICATE_MALFORMED == refusal.value.reason


def test_attack_20_ber_inside_the_certificate(kit):
    """Attack 20: the raw bytes are hashed, so the same content encoded otherwise within is another certificate."""
    client = kit.client()
    der = client.peer.der
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256, at the end once more
    at = der.rindex(algorithm)
    inner = der[:at] + bytes.fromhex("30810a") + der[at + 2 :]
    other = PeerCertificate.from_der(inner[:2] + (len(inner) - 4).to_bytes(2, "big") + inner[4:])
    assert_refused(Reason.CERTIFICATE_MISMATCH, kit.verifier, kit.mint(client), other)


def test_attack_21_negative_twin(kit):
    """Attack 21: expired and self-signed certificates prove what they are, not what others are."""
    token = kit.mint(kit.client())
    for other in (kit.expired(), self_signed(kit)):
        assert_refused(Reason.CERTIFICATE_MISMATCH, kit.verifier, token, other.peer)


@pytest.mark.parametrize("verdict", [True, False])
def test_attack_22_compare_digest_decides(kit, monkeypatch, verdict):
    """Attack 22: the verdict on two thumbprints is the one of `hmac.compare_digest`, and of nothing before it."""
    asked = []
    monkeypatch.setattr(confirmation, "compare_digest", lambda *texts: asked.append(texts) or verdict)
    client, stranger = kit.client(), kit.client("stranger")
    for peer in (client.peer, stranger.peer):
        if verdict:
            assert client.thumbprint == kit.verifier.verify(kit.mint(client), peer).thumbprint
        else:
            assert_refused(Reason.CERTIFICATE_MISMATCH, kit.verifier, kit.mint(client), peer)
    assert [(client.thumbprint, client.thumbprint), (client.thumbprint, stranger.thumbprint)] == asked


def test_attack_22_non_ascii_is_not_compared(kit, monkeypatch):
    """Attack 22: `hmac.compare_digest` raises TypeError for text that is not ASCII; none reaches it."""
    client = kit.client()
    token = kit.sign(kit.claims(client, cnf={X5T: "é" + client.thumbprint[1:]}))
    monkeypatch.setattr(confirmation, "compare_digest", lambda *texts: pytest.fail("it was asked"))
    assert_refused(Reason.CONFIRMATION_MALFORMED, kit.verifier, token, client.peer)
