"""The kit: every certificate and token in it is what its name says."""

from datetime import datetime, timezone
import stat

import pytest

from tokenbind import ConfigurationError, InvalidRequest, InvalidToken, Reason
from tokenbind.testing import BindingKit, MovableClock, RecordingMonitor


def test_a_client_has_one_certificate_and_a_token_that_fits(tokenbind_kit):
    """The same name gives the same certificate, another name another one that the token refuses."""
    alice, bob = tokenbind_kit.client("alice"), tokenbind_kit.client("bob")
    token = tokenbind_kit.mint(alice)

    assert alice is tokenbind_kit.client("alice")
    assert alice.thumbprint == tokenbind_kit.verifier.verify(token, alice.peer).thumbprint
    with pytest.raises(InvalidToken):
        tokenbind_kit.verifier.verify(token, bob.peer)
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_kit.monitor.last_reason
    assert (1, 1) == (len(tokenbind_kit.monitor.accepted), len(tokenbind_kit.monitor.refused))


def test_a_renewed_certificate_has_name_and_key_of_the_old_one(tokenbind_client, tokenbind_renewed_client):
    """And another thumbprint, which is the point."""
    old, new = tokenbind_client.peer.x509, tokenbind_renewed_client.peer.x509

    assert (old.subject, old.issuer, old.public_key()) == (new.subject, new.issuer, new.public_key())
    assert tokenbind_client.key_pem == tokenbind_renewed_client.key_pem
    assert tokenbind_client.thumbprint != tokenbind_renewed_client.thumbprint


def test_an_expired_certificate_is_over_and_gets_no_token(tokenbind_kit, tokenbind_expired_client):
    """By the real time, which is what TLS asks."""
    assert tokenbind_expired_client.peer.not_after < datetime.now(timezone.utc)
    with pytest.raises(InvalidRequest) as caught:
        tokenbind_kit.mint(tokenbind_expired_client)
    assert Reason.CERTIFICATE_EXPIRED is caught.value.reason


def test_the_clock_stands_still_until_it_is_moved(tokenbind_kit, tokenbind_client, tokenbind_token):
    """Issuer and verifier go by it."""
    tokenbind_kit.clock.move(299)
    tokenbind_kit.verifier.verify(tokenbind_token, tokenbind_client.peer)
    tokenbind_kit.clock.move(1)

    with pytest.raises(InvalidToken, match="expired 0 seconds ago"):
        tokenbind_kit.verifier.verify(tokenbind_token, tokenbind_client.peer)
    clock = MovableClock()
    assert clock() == clock()


def test_signing_anything_starts_from_a_good_token(tokenbind_kit, tokenbind_client):
    """Untouched claims are accepted; what is changed or taken away is what is refused."""
    good = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client))
    tokenbind_kit.verifier.verify(good, tokenbind_client.peer)

    for token, reason in (
        (tokenbind_kit.unbound(tokenbind_client), Reason.TOKEN_UNBOUND),
        (tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, sub=...)), Reason.CLAIM_MISSING),
        (tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client), header={"typ": ...}), Reason.TOKEN_TYPE_REFUSED),
        (tokenbind_kit.sign(b"junk"), Reason.TOKEN_MALFORMED),
        (tokenbind_kit.sign({}, header=b"junk"), Reason.TOKEN_MALFORMED),
        (tokenbind_kit.sign({}, key=BindingKit().key), Reason.KEY_UNKNOWN),
    ):
        with pytest.raises(InvalidToken) as caught:
            tokenbind_kit.verifier.verify(token, tokenbind_client.peer)
        assert reason is caught.value.reason


def test_written_keys_are_private(tokenbind_client, tmp_path):
    """0600, as every key that tokenbind writes."""
    certificate, key = tokenbind_client.write(tmp_path)

    assert tokenbind_client.pem == certificate.read_text()
    assert 0o600 == stat.S_IMODE(key.stat().st_mode)
    assert tokenbind_client.thumbprint in repr(tokenbind_client)


def test_a_monitor_without_events_has_no_last_reason():
    """None, rather than an error."""
    assert RecordingMonitor().last_reason is None


def test_without_trustme_the_kit_says_what_to_install(monkeypatch):
    """It is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "trustme", None)
    with pytest.raises(ConfigurationError, match=r"tokenbind\[testing\]"):
        BindingKit()
