"""How each client holds its tokens: one request for many callers, renewed in time, and no storm when there is none."""

from concurrent.futures import ThreadPoolExecutor
import math

import pytest

from tokenbind import ClientError, GrantError, Reason
from tokenbind.client import TokenCache
from tokenbind.testing import RecordingMonitor

from .serving import Grant, wait_until


def test_many_at_once_make_one_token_request(api, open_client, grant):
    """64 threads, or tasks, that start with nothing."""
    answers = open_client().call_at_once([api.url] * 64)
    assert [(200, b"client")] * 64 == [answer[:2] for answer in answers]
    assert 1 == len(grant.asked) == len({seen.token for seen in api.seen})


def test_many_at_once_of_two_make_two(api, open_client, client, grant):
    """Each has a token of its own, from one cache."""
    cache, other = TokenCache(grant), api.kit.client("other")
    callers = [open_client(one.identity, cache) for one in (client, other)]
    with ThreadPoolExecutor(2) as threads:
        for answers in threads.map(lambda caller: caller.call_at_once([api.url] * 8), callers):
            assert {200} == {answer.status for answer in answers}

    assert sorted([client.thumbprint, other.thumbprint]) == sorted(grant.asked)
    assert 2 == len({(seen.thumbprint, seen.token) for seen in api.seen})


def test_many_that_get_none_make_one_token_request_too(api, open_client, grant):
    """The refusal is theirs all, with what the server said; nothing is sent to the API."""
    grant.failure = GrantError("invalid_client", "who are you", 401)
    caller = open_client()

    def call(_):
        with pytest.raises(GrantError) as caught:
            caller.call(api.url)
        return caught.value.error, caught.value.description, caught.value.status

    with ThreadPoolExecutor(16) as threads:
        assert {("invalid_client", "who are you", 401)} == set(threads.map(call, range(32)))
    assert ([], 1) == (api.seen, len(grant.asked))


def test_clients_with_one_cache_share_its_tokens(api, open_client, grant):
    """Whichever of them comes first asks."""
    cache = TokenCache(grant)
    assert [200] * 2 == [open_client(tokens=cache).call(api.url).status for _ in range(2)]
    assert 1 == len(grant.asked) == len({seen.token for seen in api.seen})


def test_a_token_is_renewed_before_its_end_while_it_is_used(api, open_client, grant, clock):
    """Nobody waits for the new one who has one that is good; who has none does."""
    grant.expires_in = 3600.0
    caller = open_client()
    caller.call(api.url)
    clock.move(0.79 * 3600)
    caller.call(api.url)
    assert 1 == len(grant.asked)
    grant.open.clear()
    clock.move(0.12 * 3600)
    assert {200} == {answer.status for answer in caller.call_at_once([api.url] * 8)}
    assert (2, 1) == (len(grant.asked), len({seen.token for seen in api.seen}))
    grant.open.set()
    wait_until(lambda: caller.call(api.url) and len({seen.token for seen in api.seen}) == 2)
    assert 2 == len(grant.asked)
    clock.move(3600)
    caller.call(api.url)
    assert (3, 3) == (len(grant.asked), len({seen.token for seen in api.seen}))


@pytest.mark.parametrize("expires_in", [0.0, -1.0, math.nan, "300", None])
def test_a_lifetime_that_is_none_is_an_error(api, open_client, grant, expires_in):
    """Nothing is sent, and nobody asks again at once."""
    grant.expires_in = expires_in
    caller = open_client()
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            caller.call(api.url)
        is_number = isinstance(expires_in, float)
        reason = Reason.TOKEN_EXPIRED if is_number else Reason.AUTHORIZATION_SERVER_UNREACHABLE
        assert (reason, [], 1) == (caught.value.reason, api.seen, len(grant.asked))


def test_a_token_does_not_outlive_its_certificate(api, open_client, grant, client, clock):
    """Whatever the authorization server says."""
    grant.expires_in = math.inf
    caller = open_client()
    caller.call(api.url)
    lifetime = client.identity.current().remaining_seconds()
    clock.move(lifetime - 40)  # stale, and still good
    caller.call(api.url)
    wait_until(lambda: len(grant.asked) == 2)
    clock.move(40)
    assert 200 == caller.call(api.url).status  # what is left is that of the wall clock: it was renewed


def test_an_authorization_server_that_fails_is_asked_less_and_less(api, open_client, grant, clock):
    """After about 1, 2, 4 seconds and so on, at most a minute or so; then all is well again."""
    grant.failure = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "no token: it is away")
    monitor = RecordingMonitor()
    caller = open_client(monitor=monitor)
    for number in range(8):
        for _ in range(3):
            with pytest.raises(ClientError, match="it is away"):
                caller.call(api.url)
            assert number + 1 == len(grant.asked) == len(monitor.events)
            pause = monitor.events[-1].retry_in_seconds
            clock.move(0.45 * pause)
        assert 0.75 <= pause / min(2**number, 60) <= 1.25
    grant.failure = None
    assert 200 == caller.call(api.url).status
    assert 1 == len(api.seen)


@pytest.mark.parametrize(("retry_after", "too_early", "late_enough"), [(21_600, 59, 2), (30, 29, 2)])
def test_it_is_left_alone_for_as_long_as_it_says(api, open_client, grant, clock, retry_after, too_early, late_enough):
    """But no longer than a minute."""
    grant.failure = GrantError("temporarily_unavailable", None, 429, retry_after_seconds=retry_after)
    caller = open_client()
    for seconds, asked in ((0, 1), (too_early, 1), (late_enough, 2)):
        clock.move(seconds)
        with pytest.raises(GrantError, match="temporarily_unavailable"):
            caller.call(api.url)
        assert asked == len(grant.asked)


def test_what_a_grant_fails_with_is_an_error_of_ours(api, open_client, grant):
    """It is somebody else's code; its message may hold what is secret."""
    grant.failure = LookupError("hunter2")
    with pytest.raises(ClientError, match="failed with LookupError") as caught:
        open_client().call(api.url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_a_grant_returns_is_a_token(api, open_client):
    """Not its text alone, of which nobody knows how long it lives."""

    class Careless(Grant):
        def fetch(self, identity):
            return self.mint(identity)

    with pytest.raises(ClientError, match="must return an IssuedToken, not str"):
        open_client(tokens=Careless(api.kit)).call(api.url)


def test_a_function_is_asked_for_each_request(api, open_client, client):
    """It may give another token each time; what it raises comes out as it is."""
    tokens = iter([api.kit.mint(client) for _ in range(3)])
    caller = open_client(tokens=lambda: next(tokens, None) or {}["no more"])
    for _ in range(3):
        assert 200 == caller.call(api.url).status
    assert 3 == len({seen.token for seen in api.seen})
    with pytest.raises(KeyError, match="no more"):
        caller.call(api.url)
