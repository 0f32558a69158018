"""`verify_binding`: the one verdict, under each policy."""

from datetime import datetime, timezone
from itertools import product

import pytest

from tokenbind import BindingPolicy, ConfigurationError, InvalidToken, PeerCertificate, Reason
from tokenbind.binding import Confirmation, VerifiedBinding, verify_binding


NOW = 1_800_000_000.0
UNTIL = datetime.fromtimestamp(NOW, timezone.utc)
REPORT_ONLY = BindingPolicy.unsafe_report_only(until=UNTIL)
POLICIES = [BindingPolicy.REQUIRED, BindingPolicy.WHEN_PRESENT, REPORT_ONLY]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def refusal(confirmation, peer, policy, now=NOW):
    with pytest.raises(InvalidToken) as caught:
        verify_binding(confirmation, peer, policy, now)
    return caught.value


@pytest.fixture
def confirmation(tokenbind_client):
    return Confirmation.of(tokenbind_client.peer)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("now", [NOW - 1, NOW, NOW + 1])
def test_the_right_certificate(confirmation, tokenbind_client, policy, now):
    """The certificate that the token names is accepted under every policy, at any time, and its thumbprint shown."""
    expected = VerifiedBinding(tokenbind_client.thumbprint, None)

    assert expected == verify_binding(confirmation, tokenbind_client.peer, policy, now)


def test_appendix_a(appendix_a):
    """RFC 8705 Appendix A: its certificate, expired in 2022 and self-signed, proves its cnf (attack 21)."""
    confirmation = Confirmation.from_claims({"cnf": {"x5t#S256": appendix_a.thumbprint}})

    for peer in (PeerCertificate.from_der(appendix_a.der), PeerCertificate.from_thumbprint(appendix_a.thumbprint)):
        assert appendix_a.thumbprint == verify_binding(confirmation, peer, BindingPolicy.REQUIRED, NOW).thumbprint


WRONG_THUMBPRINTS = {  # of the certificate of Appendix A; well-formed, but of something else
    "its public key (SPKI)": "Wfn777VsDXE-cW3Wvzm7CuMw6D6h15KRhVqq3o80H48",
    "its PEM text": "RZUyid0cUQWEONv2uroCiSi6CqAXdVZueQmkxBeJ0gc",
    "its key, the jkt of RFC 7638": "Fvi_j8Immo6AlgIwpZKqaXnNP_9b09pLKkQHObRebQY",
    "in upper case": "A4DTL2JMUMHASVJJ5TKYN64SQZMUXBMRJA0N761Y5V0",
}


@pytest.mark.parametrize("wrong", WRONG_THUMBPRINTS.values(), ids=WRONG_THUMBPRINTS)
def test_hashes_of_something_else(appendix_a, wrong):
    """Attack 16: a hash of the key, or of the text, of the right certificate is a mismatch that names both sides."""
    confirmation = Confirmation.from_claims({"cnf": {"x5t#S256": wrong}})

    error = refusal(confirmation, PeerCertificate.from_der(appendix_a.der), BindingPolicy.REQUIRED)

    assert (Reason.CERTIFICATE_MISMATCH, wrong, appendix_a.thumbprint) == (
        error.reason,
        error.expected,
        error.presented,
    )


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_the_thief(confirmation, tokenbind_client, tokenbind_stranger, tokenbind_renewed_client, policy):
    """Attacks 1 to 3: no certificate, another one of the CA, or a new one with the same key, is refused.

    That goes for `WHEN_PRESENT`, which enforces every cnf, and for report-only once its time is over.
    """
    assert Reason.CERTIFICATE_MISSING is refusal(confirmation, None, policy).reason
    for thief in (tokenbind_stranger, tokenbind_renewed_client):
        error = refusal(confirmation, thief.peer, policy)
        assert Reason.CERTIFICATE_MISMATCH is error.reason
        assert (tokenbind_client.thumbprint, thief.thumbprint) == (error.expected, error.presented)


def test_a_ca_that_came_along_is_not_the_peer(appendix_a, tokenbind_client):
    """Attack 17: the thumbprint of a further certificate of the chain proves nothing."""
    peer = PeerCertificate.from_pem(tokenbind_client.pem + appendix_a.pem)

    assert Reason.CERTIFICATE_MISMATCH is refusal(Confirmation(appendix_a.thumbprint), peer, POLICIES[0]).reason


@pytest.mark.parametrize("present", [True, False])
def test_unbound_tokens(tokenbind_client, present):
    """Attack 4: an unbound token is refused by default, and passes `WHEN_PRESENT` with nothing proven."""
    peer = tokenbind_client.peer if present else None

    assert Reason.TOKEN_UNBOUND is refusal(None, peer, BindingPolicy.REQUIRED).reason
    assert VerifiedBinding(None, None) == verify_binding(None, peer, BindingPolicy.WHEN_PRESENT, NOW)


def test_report_only_until_its_end(confirmation, tokenbind_client, tokenbind_stranger):
    """Report-only passes the three reasons without a thumbprint, up to its end; from then on it is `REQUIRED`."""
    cases = {
        Reason.CERTIFICATE_MISSING: (confirmation, None),
        Reason.CERTIFICATE_MISMATCH: (confirmation, tokenbind_stranger.peer),
        Reason.TOKEN_UNBOUND: (None, tokenbind_client.peer),
    }

    for reason, (named, peer) in cases.items():
        assert VerifiedBinding(None, reason) == verify_binding(named, peer, REPORT_ONLY, NOW - 0.001)
        for now in (NOW, NOW + 1e9):
            assert reason is refusal(named, peer, REPORT_ONLY, now).reason


def test_report_only_needs_a_timezone():
    """An end without a timezone would be another one on another machine."""
    with pytest.raises(ConfigurationError, match="timezone"):
        BindingPolicy.unsafe_report_only(until=UNTIL.replace(tzinfo=None))


@pytest.mark.parametrize("until", [None, 1e12, "2050-01-01", UNTIL.date()])
def test_report_only_needs_a_datetime(until):
    """Nothing else has an end that can be told."""
    with pytest.raises(ConfigurationError, match="until= must be a datetime"):
        BindingPolicy.unsafe_report_only(until=until)


def test_policies_name_themselves():
    """The repr of a policy is its name."""
    names = ["<BindingPolicy required>", "<BindingPolicy when_present>", "<BindingPolicy report_only>"]

    assert names == [repr(policy) for policy in POLICIES]


def test_one_changed_character_never_verifies(appendix_a):
    """There is no second spelling: any other character anywhere is refused, as malformed or as a mismatch."""
    right, peer = appendix_a.thumbprint, PeerCertificate.from_der(appendix_a.der)

    assert right == judge({"x5t#S256": right}, peer)
    for position, character in product(range(43), ALPHABET):
        text = right[:position] + character + right[position + 1 :]
        canonical = position < 42 or character in ALPHABET[::4]
        refused = Reason.CERTIFICATE_MISMATCH if canonical else Reason.CONFIRMATION_MALFORMED
        assert text == right or refused == judge({"x5t#S256": text}, peer)


def judge(cnf, peer):
    """What is proven, or why nothing is."""
    try:
        return verify_binding(Confirmation.from_claims({"cnf": cnf}), peer, BindingPolicy.REQUIRED, NOW).thumbprint
    except InvalidToken as error:
        return error.reason
