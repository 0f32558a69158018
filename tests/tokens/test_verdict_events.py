"""What the monitor is told of every verdict."""

from datetime import datetime, timezone
import logging

import pytest

from tokenbind import BindingPolicy, InvalidToken, Reason, Unavailable
from tokenbind.monitoring import Accepted, Refused
from tokenbind.revocation import MemoryRevocation


class AwayRevocation:
    """A revocation source that knows nothing at the moment."""

    def check(self, token, presented, /):
        raise Unavailable(Reason.REVOCATION_UNAVAILABLE, "no news since yesterday")


def refused(verify, verifier, token, peer, error=InvalidToken):
    with pytest.raises(error) as caught:
        verify(verifier, token, peer)
    return caught.value


def test_an_accepted_token(verify, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """The event says whose token it was, what was proven, and where the certificate came from."""
    bound = verify(tokenbind_kit.verifier, tokenbind_token, tokenbind_client.peer)

    assert [
        Accepted("https://as.example", "client", "client", bound.token_id, tokenbind_client.thumbprint, None, "pem")
    ] == tokenbind_monitor.events
    assert tokenbind_monitor is tokenbind_kit.verifier.monitor


def test_a_token_that_a_policy_let_pass(verify, tokenbind_kit, tokenbind_stranger, tokenbind_token, tokenbind_monitor):
    """In report-only mode the event holds why the token would have been refused, and no thumbprint."""
    policy = BindingPolicy.unsafe_report_only(until=datetime(9999, 1, 1, tzinfo=timezone.utc))
    for peer, reason in ((None, Reason.CERTIFICATE_MISSING), (tokenbind_stranger.peer, Reason.CERTIFICATE_MISMATCH)):
        verify(tokenbind_kit.verifier.with_binding(policy), tokenbind_token, peer)
        event = tokenbind_monitor.accepted[-1]
        assert (None, reason, None if peer is None else "pem") == event[-3:]


@pytest.mark.parametrize("used_before", [False, True])
def test_a_stolen_token(verify, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_token, used_before):
    """The event says whose token was stolen, both thumbprints, and the reference that the client is sent."""
    if used_before:
        verify(tokenbind_kit.verifier, tokenbind_token, tokenbind_client.peer)
    error = refused(verify, tokenbind_kit.verifier, tokenbind_token, tokenbind_stranger.peer)

    assert (
        Refused(
            Reason.CERTIFICATE_MISMATCH,
            str(error),
            error.reference,
            401,
            expected=tokenbind_client.thumbprint,
            presented=tokenbind_stranger.thumbprint,
            issuer="https://as.example",
            client_id="client",
            subject="client",
            token_id=tokenbind_kit.verifier.verify(tokenbind_token, tokenbind_client.peer).token_id,
            source="pem",
        )
        == tokenbind_kit.monitor.refused[-1]
    )


def test_a_forged_token(verify, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """Nothing that a forger wrote stands in the event."""
    forged = tokenbind_token[: tokenbind_token.rindex(".") + 1] + "A" * 86
    error = refused(verify, tokenbind_kit.verifier, forged, None)

    assert [Refused(Reason.SIGNATURE_INVALID, str(error), error.reference, 401)] == tokenbind_monitor.events
    assert "client" not in str(error)


@pytest.mark.parametrize("used_before", [False, True])
def test_revocation_that_is_unavailable(
    verify, verifier_of, tokenbind_monitor, tokenbind_client, tokenbind_token, used_before
):
    """`Unavailable` passes through, known token or not, and the event has its status; nothing is accepted."""
    verifier = verifier_of(revocation=AwayRevocation())
    for _ in range(1 + used_before):
        error = refused(verify, verifier, tokenbind_token, tokenbind_client.peer, Unavailable)
    event = tokenbind_monitor.refused[-1]

    assert (503, Reason.REVOCATION_UNAVAILABLE) == (error.status, error.reason)
    assert (503, Reason.REVOCATION_UNAVAILABLE, error.reference) == (event.status, event.reason, event.reference)
    assert "client" == event.client_id
    assert [] == tokenbind_monitor.accepted


def test_a_revoked_token(verify, verifier_of, tokenbind_kit, tokenbind_client, tokenbind_token):
    """A revoked token is refused with whose it was; without the entry it is accepted."""
    revocation = MemoryRevocation()
    verifier = verifier_of(revocation=revocation)
    bound = verify(verifier, tokenbind_token, tokenbind_client.peer)
    revocation.revoke_token(bound.issuer, bound.token_id, expires_at=bound.expires_at)

    assert Reason.TOKEN_REVOKED is refused(verify, verifier, tokenbind_token, tokenbind_client.peer).reason
    assert bound.token_id == tokenbind_kit.monitor.refused[-1].token_id
    assert Reason.TOKEN_REVOKED is tokenbind_kit.monitor.last_reason


def test_without_a_monitor_the_verdicts_are_the_same(verify, verifier_of, tokenbind_client, tokenbind_token):
    """Nobody has to listen."""
    verifier = verifier_of(monitor=None)

    assert None is verifier.monitor
    assert tokenbind_client.thumbprint == verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
    assert Reason.CERTIFICATE_MISSING is refused(verify, verifier, tokenbind_token, None).reason


def test_a_monitor_that_fails_changes_no_verdict(verify, verifier_of, tokenbind_client, tokenbind_token, caplog):
    """Its error is logged, without the token; good tokens are accepted, bad ones refused, as before."""

    class Broken:
        def record(self, event, /):
            raise OSError("disk full")

    verifier = verifier_of(monitor=Broken())
    with caplog.at_level(logging.WARNING):
        assert tokenbind_client.thumbprint == verify(verifier, tokenbind_token, tokenbind_client.peer).thumbprint
        assert Reason.CERTIFICATE_MISSING is refused(verify, verifier, tokenbind_token, None).reason

    assert [("tokenbind", logging.ERROR)] * 2 == [(record.name, record.levelno) for record in caplog.records]
    assert "disk full" in caplog.text
    for part in tokenbind_token.split("."):
        assert part not in caplog.text
