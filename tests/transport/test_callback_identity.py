"""`CallbackIdentity`: renewed in the background in good time; the last identity stays while that fails."""

import gc
import logging
import re
import threading
from time import time
import weakref

import pytest
import trustme

from tokenbind import ConfigurationError, IdentityError
from tokenbind.transport import CallbackIdentity, callback_identity, identity as identity_module

from .rotating import Clock, Pair, forked, wait_for


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def clock(monkeypatch):
    """Of certificates, and of when to renew; it only moves when it is told to, and is looked at all the time."""
    clock = Clock(time())
    monkeypatch.setattr(callback_identity, "time", clock)
    monkeypatch.setattr(identity_module, "time", clock)
    monkeypatch.setattr(callback_identity, "_LONGEST_SECONDS", 0.01)
    return clock


class Authority:
    """Issues one pair after the other; `answers` come before that."""

    def __init__(self, ca):
        self.ca, self.answers, self.issued, self.busy, self.most = ca, [], [], 0, 0

    def __call__(self):
        self.busy += 1
        self.most = max(self.busy, self.most)
        try:
            answer = self.answers.pop(0) if self.answers else Pair(self.ca, -1, 3 / 86_400 * 1200)
            self.issued.append(answer)
            if isinstance(answer, BaseException):
                raise answer
            return (answer.chain, answer.key.decode()) if isinstance(answer, Pair) else answer
        finally:
            self.busy -= 1


@pytest.fixture
def authority(ca):
    return Authority(ca)


def test_it_is_renewed_after_that_part_of_its_life(authority, clock):
    """Two thirds of an hour, here; counted from when we got it, as authorities date certificates back."""
    with CallbackIdentity(authority) as source:
        first = source.current()
        assert authority.issued[0].der == first.certificate.der
        clock.now += 2390
        for _ in range(10):
            threading.Event().wait(0.01)
            assert first is source.current()
        clock.now += 20
        wait_for(lambda: source.current() is not first)
        assert authority.issued[1].der == source.current().certificate.der
        assert source.current().generation > first.generation
        assert f"<CallbackIdentity {source.current().thumbprint}>" == repr(source)
    assert (2, 1) == (len(authority.issued), authority.most)


def test_it_is_renewed_while_nobody_uses_it(authority, clock):
    """So that the first request after a quiet night finds a good one."""
    with CallbackIdentity(authority) as source:
        source.current()
        for count in (2, 3, 4):
            clock.now += 2500
            wait_for(lambda count=count: len(authority.issued) == count and source._due > clock.now)


def expired(ca):
    return Pair(ca, -2, -1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (OSError("secret"), "issue() failed: OSError"),
        (SystemExit("secret"), "issue() failed: SystemExit"),
        (None, "issue() must return (certificate, key); it returned NoneType"),
        (("secret", "b", "c"), "issue() must return (certificate, key); it returned tuple of 3"),
        ("ab", "it returned str"),
        (("secret", "b"), "no certificate"),
        ((b"x", 5), "key= must be PEM"),
        (expired, "expired at"),
        ("the same", "the same certificate again"),
    ],
)
def test_a_failure_keeps_the_last_one(authority, clock, caplog, answer, why, monkeypatch):
    """One warning says so, until it works again; and so does the error when the last one has expired."""
    monkeypatch.setattr(callback_identity, "_SHORTEST_SECONDS", 0.001)
    caplog.set_level(logging.INFO, "tokenbind")
    with CallbackIdentity(authority) as source:
        first = source.current()
        if answer is expired:
            answer = expired(authority.ca)
        authority.answers = [authority.issued[0] if answer == "the same" else answer] * 20
        clock.now += 2500
        wait_for(lambda: not authority.answers or source.current() is not first)
        wait_for(lambda: source.current() is not first)
        wait_for(lambda: len(caplog.records) == 2)
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]
    assert why in caplog.messages[0]
    assert "the client's certificate can be renewed again" == caplog.messages[1]
    assert "secret" not in caplog.text
    clock.now += 3600
    with pytest.raises(IdentityError, match=f"expired at .* UTC; its renewal fails: .*{re.escape(why)}"):
        first.require_valid()


def test_it_backs_off(authority, clock, monkeypatch):
    """1, 2, 4 ... 60 seconds; and begins anew after a success."""
    monkeypatch.setattr(callback_identity, "_LONGEST_SECONDS", 60.0)
    source = CallbackIdentity(authority)
    assert 60 == source._renew_if_due()
    clock.now += 2395
    assert 5 == pytest.approx(source._renew_if_due(), abs=2)
    clock.now += 10
    for _ in range(2):
        authority.answers = [OSError()] * 2000
        assert [1, 2, 4, 8, 16, 32, 60, 60] == [source._renew_if_due() for _ in range(8)]
        assert {60} == {source._renew_if_due() for _ in range(1500)}
        authority.answers = []
        assert 0 == source._renew_if_due()
        clock.now += 2500


def test_a_life_of_a_moment_is_not_a_call_without_end(authority, clock):
    """An authority that gives what has nearly expired is asked once a second."""
    source = CallbackIdentity(authority, renew_after=1e-9)
    assert 1 == pytest.approx(source._due - clock.now)


def test_a_constructor_that_gets_nothing_raises(authority):
    """The function's own error, which may quote a secret, does not go along."""
    authority.answers = [OSError("secret")]
    with pytest.raises(IdentityError, match="^issue\\(\\) failed: OSError$") as caught:
        CallbackIdentity(authority)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    authority.answers = [("a", "b")]
    with pytest.raises(IdentityError, match="no certificate"):
        CallbackIdentity(authority)


def test_a_coroutine_is_no_pair():
    """It is closed: nobody will wait for it."""

    async def issue():
        return "a", "b"

    with pytest.raises(IdentityError, match=r"^issue\(\) must return \(certificate, key\); it returned coroutine$"):
        CallbackIdentity(issue)


def test_after_its_end_the_last_one_stays(authority, clock):
    """A request under way may need it."""
    source = CallbackIdentity(authority)
    first = source.current()
    source.close()
    clock.now += 2500
    assert first is source.current()


@pytest.mark.parametrize("renew_after", [0, 1, -1, 2, float("nan"), float("inf"), "1", None, True])
def test_arguments_that_cannot_be_right(authority, renew_after):
    """Before anything is issued."""
    with pytest.raises(ConfigurationError, match="renew_after="):
        CallbackIdentity(authority, renew_after)
    with pytest.raises(ConfigurationError, match="issue="):
        CallbackIdentity(renew_after)
    assert [] == authority.issued


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "tokenbind-identity"]


def test_a_child_renews_for_itself(authority, clock):
    """The parent's thread is not there; and the parent goes on."""

    def renewed():
        first = source.current()
        clock.now += 2500
        wait_for(lambda: source.current() is not first)
        return True

    with CallbackIdentity(authority) as source:
        source.current()
        assert forked(renewed)
        assert renewed()
    assert forked(lambda: source.current() is source.current() and not threads())


def test_the_thread_ends_with_its_source(authority, clock):
    """Closed, or forgotten. Without a use there is none."""
    wait_for(lambda: not threads())
    source = CallbackIdentity(authority)
    source.close()
    source.current()
    assert not threads()
    source = CallbackIdentity(authority)
    assert not threads()
    for _ in range(3):
        source.current()
    assert 1 == len(threads())
    gone = weakref.ref(source)
    del source
    gc.collect()
    wait_for(lambda: gone() is None and not threads())


def test_two_first_uses_at_once_start_one_thread(authority, clock):
    """The second finds that of the first."""
    with CallbackIdentity(authority) as source:
        source._start()
        source._start()
        assert 1 == len(threads())
    wait_for(lambda: not threads())


def test_where_no_thread_can_be_started_the_next_use_tries_again(authority, clock, monkeypatch):
    """The identity can be used meanwhile."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    with CallbackIdentity(authority) as source:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            source.current().require_valid()
        assert not source._bells
        source.current()
        assert source._bells
