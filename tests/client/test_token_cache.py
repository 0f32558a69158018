"""The cache alone: what cannot be seen from outside, or not in time."""

from contextlib import suppress
import gc
from threading import Thread
import weakref

import pytest

from tokenbind import ClientError, ConfigurationError, GrantError, IdentityError, Reason
from tokenbind.client import IssuedToken, TokenCache
from tokenbind.monitoring import TokenNotFetched
from tokenbind.testing import RecordingMonitor

from .serving import Grant, wait_until


class Somebody:
    """As much of an identity as the cache asks for."""

    def __init__(self, thumbprint):
        self.thumbprint = thumbprint
        self.problem = None

    def require_valid(self):
        if self.problem:
            raise self.problem

    def remaining_seconds(self):
        return 3600.0


class Opaque(Grant):
    """Opaque tokens, numbered."""

    def __init__(self):
        super().__init__(None)

    def mint(self, identity):
        return f"token-{len(self.asked)}"


@pytest.fixture
def grant():
    """A grant of opaque tokens."""
    return Opaque()


@pytest.fixture
def cache(grant):
    """Its cache."""
    return TokenCache(grant)


def fetched(cache, identity, *more):
    """What is found once no token request is under way."""
    found = cache.look_up(identity, *more)
    if not isinstance(found, tuple):
        found.result(20)
        found = cache.look_up(identity, *more)
    return found


def test_two_who_are_refused_are_left_alone_both(cache, grant, clock):
    """Neither makes that the other is asked for again."""
    grant.failure = GrantError("invalid_client", None, 401)
    one, other = Somebody("one"), Somebody("other")
    for _ in range(10):
        for identity in (one, other):
            with pytest.raises(GrantError):
                fetched(cache, identity)
    assert ["one", "other"] == grant.asked
    clock.move(1.3)
    grant.failure = None
    assert "token-3" == fetched(cache, one)[1]
    assert "token-4" == fetched(cache, other)[1]


def test_one_who_is_refused_leaves_it_to_the_others(cache, grant):
    """A certificate that is not registered says nothing of another; a server that is away is away for all."""
    one, other = Somebody("one"), Somebody("other")
    grant.failure = GrantError("invalid_client", None, 401)
    with pytest.raises(GrantError):
        fetched(cache, one)
    grant.failure = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "away")
    for identity in (other, Somebody("third")):
        with pytest.raises(ClientError, match="away"):
            fetched(cache, identity)
    with pytest.raises(GrantError):
        fetched(cache, one)
    assert ["one", "other"] == grant.asked


def test_one_whose_tokens_are_refused_leaves_it_to_the_others(cache, grant, clock):
    """Of those who share a cache each has another token once in half a minute, and nobody more."""
    one, other = Somebody("one"), Somebody("other")
    for identity in (one, other):
        first = fetched(cache, identity)[1]
        second = fetched(cache, identity, None, first)[1]
        assert first != second
        with pytest.raises(ClientError, match="refuses every token"):
            fetched(cache, identity, None, second)
    assert ["one"] * 2 + ["other"] * 2 == grant.asked
    clock.move(31)
    assert "token-5" == fetched(cache, other, None, second)[1]


def test_the_number_of_certificates_is_bounded(cache, grant, clock):
    """In a process that lives for years; the last ones are kept."""
    for number in range(100):
        fetched(cache, Somebody(str(number)))
    assert 64 == len(cache._held)
    assert "token-100" == fetched(cache, Somebody("99"))[1]
    grant.failure = GrantError("invalid_client", None, 401)
    for number in range(100, 200):
        with pytest.raises(GrantError):
            fetched(cache, Somebody(str(number)))
    assert 64 == len(cache._failures)


def test_where_no_thread_can_be_started_the_caller_fetches(cache, grant, monkeypatch):
    """There are too many, or the interpreter is about to end."""

    class Thread:
        def __init__(self, **_):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("tokenbind.client.token_cache.Thread", Thread)
    identity = Somebody("x")
    assert cache.look_up(identity).done()
    assert (identity, "token-1") == cache.look_up(identity)


@pytest.mark.parametrize("runs", [False, True])
def test_who_is_interrupted_leaves_it_to_the_others(cache, grant, monkeypatch, runs):
    """By a signal, such as that of a time limit, as the thread is started: it may run, or never will."""
    real = Thread

    class Interrupted(real):
        def start(self):
            if runs:
                super().start()
            raise KeyboardInterrupt

    monkeypatch.setattr("tokenbind.client.token_cache.Thread", Interrupted)
    identity = Somebody("x")
    grant.open.clear()
    with pytest.raises(KeyboardInterrupt):
        cache.look_up(identity)
    monkeypatch.setattr("tokenbind.client.token_cache.Thread", real)
    grant.open.set()
    assert identity is fetched(cache, identity)[0]
    wait_until(lambda: not cache._flights)


def test_a_thread_that_comes_late_finds_what_another_has_got(cache, grant):
    """Between its first look and its turn."""
    identity = Somebody("x")
    found = fetched(cache, identity)
    assert found == cache._renew(grant, identity, None, None)
    assert 1 == len(grant.asked)


def test_what_flies_at_a_fork_does_not_land_on_the_next(cache, grant):
    """In the child there is nobody to wait for; in the parent, it goes on."""
    identity = Somebody("x")
    grant.open.clear()
    before = cache.look_up(identity)
    cache._be_born()
    after = cache.look_up(identity)
    assert before is not after
    wait_until(lambda: len(grant.asked) == 2)
    grant.open.set()
    assert None is before.result(20) is after.result(20)
    assert {} == cache._flights
    assert identity is cache.look_up(identity)[0]


def test_a_certificate_that_expires_meanwhile_is_asked_nothing(cache, grant, clock):
    """Not even for a renewal."""
    identity = Somebody("x")
    fetched(cache, identity)
    identity.problem = IdentityError("expired")
    clock.move(290)
    with pytest.raises(IdentityError):
        cache.look_up(identity)
    assert 1 == len(grant.asked)


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, RecursionError, MemoryError])
def test_whatever_a_grant_ends_with_is_heard(cache, grant, problem):
    """Nobody waits for ever."""
    grant.failure = problem("secret")
    with pytest.raises(ClientError, match=f"failed with {problem.__name__}$"):
        fetched(cache, Somebody("x"))


def test_a_grant_that_says_what_is_wrong_with_it(cache, grant):
    """Its configuration, for example a CA file that has gone."""
    grant.failure = ConfigurationError("ca= names a file that does not exist")
    with pytest.raises(ClientError, match="no token: ca= names a file") as caught:
        fetched(cache, Somebody("x"))
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason


def test_an_error_of_a_grant_that_is_not_whole(cache, grant):
    """It is asked once all the same, and not at once again."""
    grant.failure = ClientError(Reason.GRANT_REFUSED, "busy", retry_after_seconds="120")  # text, as the header has it
    for _ in range(5):
        with pytest.raises(ClientError, match="failed with TypeError"):
            fetched(cache, Somebody("x"))
    assert 1 == len(grant.asked)


def test_an_error_that_is_kept_keeps_nothing_alive(cache, grant):
    """Neither what it passed through, nor what it came from."""

    class Connection:
        pass

    alive = []

    class Failing(Opaque):
        def fetch(self, identity):
            connection = Connection()
            alive.append(weakref.ref(connection))
            try:
                raise OSError(connection)
            except OSError as error:
                raise ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "away") from error

    cache = TokenCache(Failing())
    for _ in range(3):
        with pytest.raises(ClientError, match="away"):
            fetched(cache, Somebody("x"))
    gc.collect()
    assert [None] == [one() for one in alive]


def test_the_token_request_counts_from_its_beginning(cache, grant, clock):
    """What it takes is a part of the token's life."""
    identity = Somebody("x")

    class Slow(Opaque):
        def fetch(self, identity):
            clock.move(200)
            return IssuedToken("slow", 300.0, None)

    cache = TokenCache(Slow())
    assert "slow" == fetched(cache, identity)[1]
    assert cache._held["x"].good_until <= clock() + 100 - 30


def test_a_token_is_not_shown(cache, grant):
    """In no repr."""
    fetched(cache, Somebody("x"))
    assert "token-1" not in repr(cache)
    assert "token-1" not in repr(cache._held)  # which tracebacks show that come with local variables
    assert "token-1" not in repr(IssuedToken("token-1", 1.0, None))


def test_a_stale_token_serves_until_the_next_is_there(cache, grant, clock):
    """Its own, rather than that of the certificate before."""
    grant.expires_in = 3600.0
    identity, previous = Somebody("x"), Somebody("previous")
    for one in (previous, identity):
        fetched(cache, one)
    grant.open.clear()
    clock.move(3300)
    assert (identity, "token-2") == cache.look_up(identity) == cache.look_up(identity, previous)
    grant.open.set()


def test_after_an_outage_the_next_one_begins_anew(grant, clock):
    """With the first pause, and whoever was told to wait need not."""
    monitor = RecordingMonitor()
    cache = TokenCache(grant, monitor=monitor)
    away = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "away")
    for problem in (away, away, away, None, away):
        grant.failure = problem
        clock.move(100)
        with suppress(ClientError):
            fetched(cache, Somebody(str(len(grant.asked))))
    pauses = [event.retry_in_seconds for event in monitor.events if isinstance(event, TokenNotFetched)]
    assert all(0.75 <= pause / about <= 1.25 for pause, about in zip(pauses, [1, 2, 4, 1], strict=True))


def test_a_function_serves_the_last_certificate_no_longer_than_it_lives():
    """While the next one cannot be used yet."""
    cache = TokenCache(lambda: "opaque")
    identity, previous = Somebody("x"), Somebody("previous")
    identity.problem = IdentityError("not valid before")
    assert (previous, "opaque") == cache.look_up(identity, previous)
    previous.remaining_seconds = lambda: 0
    with pytest.raises(IdentityError, match="not valid before"):
        cache.look_up(identity, previous)


def test_who_is_interrupted_before_asking_leaves_nothing_behind(cache, grant):
    """Ctrl-C at any moment."""
    identity = Somebody("x")
    identity.problem = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        cache.look_up(identity)
    identity.problem = None
    assert (identity, "token-1") == fetched(cache, identity)
