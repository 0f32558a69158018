"""The thread of a `RemoteKeySet`: it ends when it should, survives what it may, and each process has its own."""

import gc
import logging
import subprocess
import sys
from threading import Thread, enumerate as threads_alive
import weakref

import pytest

from tokenbind import BindingPolicy, KeySet, Reason, SigningKey, Unavailable
from tokenbind.tokens import forking
from tokenbind.tokens.refresher import Bell

from .issuing_server import IssuingServer, document, eventually


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


OTHERS = set()


@pytest.fixture(autouse=True)
def others():
    """Threads that another test has left to the garbage are not counted."""
    OTHERS.update(threads_alive())
    yield
    OTHERS.clear()


@pytest.fixture
def no_thread_is_left(others):
    """Of those that fetch keys, when the test has ended."""
    yield
    eventually(lambda: not fetching())


def fetching():
    return {thread for thread in threads_alive() if thread.name == "tokenbind-keys"} - OTHERS


def test_close_ends_it(verify, issuer, no_thread_is_left):
    """Afterwards there are no keys, and nothing is fetched; closing again changes nothing."""
    with issuer.discovering(refresh_seconds=0.05) as verifier:
        assert fetching() == set()
        assert issuer.accepts(verifier, issuer.mint())
        assert len(fetching()) == 1
    eventually(lambda: not fetching())
    requests = len(issuer.requests)
    for _ in range(2):
        with pytest.raises(Unavailable, match="this key set was closed"):
            verify(verifier, issuer.mint(), issuer.client.peer)
        verifier.close()
    assert requests == len(issuer.requests)


def test_a_copy_does_not_close_what_it_shares(issuer, no_thread_is_left):
    """The verifier that was made from the issuer ends the thread; one with another binding policy does not."""
    with issuer.discovering() as verifier:
        verifier.with_binding(BindingPolicy.WHEN_PRESENT).close()
        assert issuer.accepts(verifier, issuer.mint())


@pytest.mark.parametrize("status", ["200 OK", "500 No"])
def test_close_during_a_fetch(issuer, no_thread_is_left, caplog, status):
    """Who waits is let go at once, and what the fetch brings is not taken, nor told."""
    keys, outcome = issuer.keys(timeout_seconds=600), []
    hanging = issuer.hang(then=document({"keys": [issuer.key.public_jwk]}, status=status))
    waiting = Thread(target=lambda: outcome.append(keys.refetch(None)))
    waiting.start()
    issuer.wait_for_requests(1)
    keys.close()
    waiting.join(20)

    assert [False] == outcome
    assert not hanging.released.is_set()
    hanging.released.set()
    eventually(lambda: not fetching())
    assert "this key set was closed" == keys.describe()["problem"]
    assert [] == keys.describe()["keys"]
    assert "" == caplog.text
    keys.close()


def test_one_that_is_dropped_ends_its_thread(issuer, no_thread_is_left):
    """At once if it is nowhere else, and with the garbage if it is part of a cycle."""
    for cycle in (False, True):
        keys = KeySet.from_url(f"{issuer.url}/jwks", ca=issuer.kit.ca_pem)
        assert issuer.accepts(issuer.verifier(keys), issuer.mint())
        eventually(lambda: len(fetching()) == 1)
        gone = weakref.ref(keys)
        if cycle:
            keys.itself = keys
        del keys
        gc.collect()
        eventually(lambda: not fetching())
        assert gone() is None


def test_a_bell_rings_in_the_midst_of_anything():
    """Twice is once; one who waits goes on, and it is silent again."""
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait(20)
    bell.ring()
    bell.silence()
    bell.silence()
    bell.wait(0.001)
    ringing = Thread(target=bell.ring)
    ringing.start()
    bell.wait(20)
    ringing.join()


def test_no_thread_can_be_started(verify, issuer, monkeypatch):
    """It is unavailable, and says why; the next token tries again."""
    verifier = issuer.verifier(issuer.keys())

    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", start)
        for _ in range(2):
            with pytest.raises(Unavailable, match="no thread can be started"):
                verify(verifier, issuer.mint(), issuer.client.peer)
    assert issuer.accepts(verifier, issuer.mint())


def test_a_log_that_raises_does_not_end_the_thread(issuer, monkeypatch):
    """A filter of the application's."""
    told = []

    def refuse(record):
        told.append(record.getMessage())
        raise ZeroDivisionError

    monkeypatch.setattr(logging.getLogger("tokenbind"), "filters", [refuse])
    verifier = issuer.verifier(issuer.keys(cooldown_seconds=0.001))
    issuer.answer = document(b"")
    assert Reason.KEYS_UNAVAILABLE is issuer.refuses(verifier, issuer.mint())
    issuer.publish("no key", issuer.key)
    assert issuer.accepts(verifier, issuer.mint())
    assert 3 == len(told)  # it failed, it is fetched again, and one key is none


FORKING = """
import os, signal, sys, threading
from tokenbind import InvalidToken, KeySet, PeerCertificate, Reason, TokenVerifier

signal.alarm(60)  # the deadline
url, audience, ca, good, new, peer = sys.argv[1:]
keys = KeySet.from_url(url + "/jwks", ca=ca.encode(), refresh_seconds=600, cooldown_seconds=600, timeout_seconds=10)
verifier = TokenVerifier(issuer=url, audience=audience, keys=keys)
peer = PeerCertificate.from_pem(peer)

def works(token):
    return verifier.verify(token, peer).thumbprint == peer.thumbprint

def forked(check):
    child = os.fork()
    if not child:
        signal.alarm(15)
        try:
            os._exit(0 if check() else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def in_the_child():
    assert not any(thread.name == "tokenbind-keys" for thread in threading.enumerate())
    assert works(good)
    assert any(thread.name == "tokenbind-keys" for thread in threading.enumerate())
    while not keys._first_done:
        threading.Event().wait(0.005)
    return True

assert 0 == forked(in_the_child), "before the first fetch"
assert works(good)
keys._lock.acquire()  # as another thread may have, at that moment
try:
    assert 0 == forked(in_the_child), "after it"
finally:
    keys._lock.release()
assert works(good)
print("rotate", flush=True)
sys.stdin.readline()

def fetches_for_itself():
    works(good)
    while True:
        try:
            return works(new)
        except InvalidToken as error:
            assert error.reason is Reason.KEY_UNKNOWN
            threading.Event().wait(0.005)

assert 0 == forked(fetches_for_itself), "a new key"
keys.close()
assert 0 == forked(lambda: keys.describe()["problem"] == "this key set was closed"), "closed"
print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_process_that_forks(issuer):
    """The child fetches for itself, has its own thread, and verifies; the parent goes on as before."""
    new = SigningKey.generate()
    arguments = [issuer.url, issuer.kit.audience, issuer.kit.ca_pem.decode(), issuer.mint(), issuer.mint(new)]
    command = [sys.executable, "-W", "ignore", "-c", FORKING, *arguments, issuer.client.pem]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert "rotate\n" == process.stdout.readline()
        assert ["/jwks"] * 3 == issuer.requests
        issuer.publish(issuer.key, new)
        assert ("done\n", None) == process.communicate("\n", timeout=20)
    assert 0 == process.returncode
    assert len(issuer.requests) in (4, 5)


def test_what_a_child_begins_with(issuer):
    """As above, in this process: no thread, nobody who waits, and the keys that were known."""
    keys = issuer.keys()
    verifier, token = issuer.verifier(keys), issuer.mint()
    assert issuer.accepts(verifier, token)
    known, bell = keys.current(), keys._bell
    forking._after_fork()
    assert not keys._has_thread

    assert issuer.accepts(verifier, token)
    issuer.wait_for_requests(2)
    eventually(lambda: keys.current() is not known)  # read anew: the fork may have come in between
    keys.close()
    bell.ring()  # for the parent's thread
