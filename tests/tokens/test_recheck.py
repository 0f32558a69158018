"""`recheck`: a token that was accepted, on a connection that is still open."""

from datetime import datetime, timedelta, timezone

import pytest

from tokenbind import BindingPolicy, InvalidToken, Reason, TokenVerifiers, Unavailable
from tokenbind.monitoring import Accepted
from tokenbind.revocation import MemoryRevocation


@pytest.fixture(params=[False, True], ids=["verifier", "verifiers"])
def accepted(request, verifier_of, tokenbind_kit, tokenbind_client):
    """A function of a verifier's options: the verifier, alone or among others, and a token that it has accepted."""

    def accept(**options):
        verifier = verifier_of(**options)
        if request.param:
            verifier = TokenVerifiers([verifier_of(issuer="https://other.example"), verifier])
        return verifier, verifier.verify(tokenbind_kit.mint(tokenbind_client), tokenbind_client.peer)

    return accept


def refused(verifier, token, peer, error=InvalidToken):
    with pytest.raises(error) as caught:
        verifier.recheck(token, peer)
    return caught.value


def test_a_token_that_stands(accepted, tokenbind_client, tokenbind_monitor):
    """When to ask again: soon where tokens are revoked, and never later than its end; nobody is told each time."""
    verifier, token = accepted()
    assert 10 == verifier.recheck(token, tokenbind_client.peer)
    verifier, token = accepted(revocation=MemoryRevocation())
    assert 0.5 == verifier.recheck(token, tokenbind_client.peer)
    assert [Accepted, Accepted] == [type(event) for event in tokenbind_monitor.events]


def test_a_token_that_expires(accepted, tokenbind_kit, tokenbind_client, tokenbind_clock, tokenbind_monitor):
    """The last second is asked for exactly, leeway included; then it is over, and the monitor is told whose it was."""
    verifier, token = accepted(expiry_leeway_seconds=5)
    tokenbind_clock.move(token.expires_at.timestamp() - tokenbind_clock() + 4.75)
    assert 0.25 == verifier.recheck(token, tokenbind_client.peer)
    tokenbind_clock.move(0.25)
    error = refused(verifier, token, tokenbind_client.peer)
    event = tokenbind_monitor.refused[-1]
    assert Reason.TOKEN_EXPIRED is error.reason
    assert (error.reference, token.token_id) == (event.reference, event.token_id)


def test_a_token_that_is_revoked(accepted, tokenbind_client):
    """Token or certificate."""
    revocation = MemoryRevocation()
    verifier, token = accepted(revocation=revocation)
    revocation.revoke_certificate(tokenbind_client.thumbprint)
    assert Reason.TOKEN_REVOKED is refused(verifier, token, tokenbind_client.peer).reason


def test_another_certificate(accepted, tokenbind_client, tokenbind_stranger):
    """It is the same decision as at first, the binding included."""
    verifier, token = accepted()
    assert Reason.CERTIFICATE_MISMATCH is refused(verifier, token, tokenbind_stranger.peer).reason
    assert Reason.CERTIFICATE_MISSING is refused(verifier, token, None).reason


def test_report_only_that_ends(verifier_of, tokenbind_kit, tokenbind_client, tokenbind_clock):
    """What was let pass until a date is not let pass after it, open connection or not."""
    until = datetime.fromtimestamp(tokenbind_clock(), timezone.utc) + timedelta(seconds=60)
    verifier = verifier_of(binding=BindingPolicy.unsafe_report_only(until=until))
    token = verifier.verify(tokenbind_kit.mint(tokenbind_client), None)
    assert verifier.recheck(token, None)
    tokenbind_clock.move(61)
    assert Reason.CERTIFICATE_MISSING is refused(verifier, token, None).reason


def test_revocation_that_is_unavailable(accepted, tokenbind_client):
    """It is never "fine" then."""

    class Away(MemoryRevocation):
        away = False

        def check(self, token, presented, /):
            if self.away:
                raise Unavailable(Reason.REVOCATION_UNAVAILABLE, "no news since yesterday")

    revocation = Away()
    verifier, token = accepted(revocation=revocation)
    revocation.away = True
    assert Reason.REVOCATION_UNAVAILABLE is refused(verifier, token, tokenbind_client.peer, Unavailable).reason
