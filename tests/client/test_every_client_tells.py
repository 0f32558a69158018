"""What each client tells of its certificates and tokens: to a monitor, or else to the log. Never a token."""

import logging

from tokenbind import GrantError, Reason
from tokenbind.client import TokenCache
from tokenbind.monitoring import IdentityRotated, RequestRetried, TokenFetched, TokenNotFetched, TokenRejected
from tokenbind.testing import RecordingMonitor

from .serving import wait_until


def a_life(api, caller, source, renewed, grant, told):
    """The first token, a new certificate, a refusal; then there is no token for what comes next."""
    caller.call(api.url)
    source.client = renewed
    caller.call(api.url)
    wait_until(lambda: len(told()) == 2)
    caller.call(api.url)
    caller.call(f"{api.url}/refuse-once")
    grant.failure = GrantError("invalid_client", "who are you", 401)
    source.client = api.kit.client("other")
    caller.call(api.url)
    wait_until(lambda: len(told()) == 7)


def test_a_monitor_is_told_in_order(api, open_client, source, client, renewed, grant):
    """A certificate is in use only when there is a token for it."""
    monitor = RecordingMonitor()
    a_life(api, open_client(monitor=monitor), source, renewed, grant, lambda: monitor.events)

    first, second, rotated, rejected, third, retried, failed = monitor.events
    for event, thumbprint in ((first, client.thumbprint), (second, renewed.thumbprint), (third, renewed.thumbprint)):
        assert isinstance(event, TokenFetched)
        assert (grant.issuer, thumbprint) == event[:2]
        assert 0 <= event.took_seconds < 20
        assert 300 == event.lifetime_seconds
    assert IdentityRotated(client.thumbprint, renewed.thumbprint, renewed.peer.not_after) == rotated
    assert TokenRejected(api.url, renewed.thumbprint, "invalid_token") == rejected
    assert RequestRetried(api.url, renewed.thumbprint) == retried
    assert isinstance(failed, TokenNotFetched)
    other = api.kit.client("other").thumbprint
    assert (grant.issuer, other, Reason.GRANT_REFUSED) == failed[:3]
    assert "invalid_client (who are you)" in failed.detail
    assert 0.75 <= failed.retry_in_seconds <= 1.25
    assert not any(seen.token in repr(monitor.events) for seen in api.seen)


def test_without_a_monitor_the_log_is_told(api, open_client, source, client, renewed, grant, caplog):
    """What needs somebody's attention is a warning."""
    caplog.set_level(logging.DEBUG, "tokenbind")
    a_life(api, open_client(), source, renewed, grant, lambda: ours(caplog))

    fetched = "a token for {} was fetched, good for 300 s"
    refused = (
        f"no token for the certificate {api.kit.client('other').thumbprint}: {grant.failure}; requests go on with "
        f"{renewed.thumbprint} for 270 s; asked again in 1 s at the earliest"
    )
    assert [
        ("DEBUG", fetched.format(client.thumbprint)),
        ("DEBUG", fetched.format(renewed.thumbprint)),
        ("INFO", f"the client's certificate is now {renewed.thumbprint}, valid until {renewed.peer.not_after}"),
        ("WARNING", f"{api.url} refused the token of {renewed.thumbprint}: invalid_token"),
        ("DEBUG", fetched.format(renewed.thumbprint)),
        ("INFO", f"a request to {api.url} is sent once more, with another token"),
        ("WARNING", refused),
    ] == ours(caplog)


def ours(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "tokenbind"]


def test_a_monitor_that_fails_changes_nothing(api, open_client, caplog):
    """It is logged."""

    class Broken:
        def record(self, event):
            raise LookupError

    assert 200 == open_client(monitor=Broken()).call(f"{api.url}/refuse-once").status
    assert {"the monitor failed on an event; nothing else changes by that"} == {message for _, message in ours(caplog)}


def test_a_cache_of_its_own_tells_its_monitor(api, open_client, grant):
    """Of tokens; what happens to requests, the client's own is told."""
    of_cache, of_client = RecordingMonitor(), RecordingMonitor()
    caller = open_client(tokens=TokenCache(grant, monitor=of_cache), monitor=of_client)
    assert 200 == caller.call(f"{api.url}/refuse-once").status
    assert [TokenFetched] * 2 == [type(event) for event in of_cache.events]
    assert [TokenRejected, RequestRetried] == [type(event) for event in of_client.events]
