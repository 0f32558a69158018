"""`RemoteKeySet`: an issuer's keys over real HTTPS, while it rotates them."""

from itertools import count
from threading import Event, Thread
from time import monotonic

import pytest

from tokenbind import Reason, SigningKey
from tokenbind.errors import TokenBindError
from tokenbind.tokens import remote_keys

from .issuing_server import IssuingServer, eventually


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


@pytest.fixture
def suspend(monkeypatch):
    """Call it with seconds: for the keys, they have passed; no thread has run in them."""
    real, passed = remote_keys.elapsed, []
    monkeypatch.setattr(remote_keys, "elapsed", lambda: real() + sum(passed))
    return passed.append


@pytest.fixture(params=["url", "issuer"])
def verifier(request, issuer):
    """By the URL of the keys, and by the name of the issuer."""
    return issuer.discovering() if request.param == "issuer" else issuer.verifier(issuer.keys())


def test_the_keys_are_fetched_once_by_the_first_token(verify, issuer, verifier):
    """Nothing happens before; afterwards, tokens are verified with what is known."""
    assert [] == issuer.requests
    for _ in range(3):
        assert verify(verifier, issuer.mint(), issuer.client.peer).thumbprint == issuer.client.thumbprint
        assert issuer.accepts(verifier, issuer.mint())

    assert 1 == issuer.requests.count("/jwks")
    assert Reason.SIGNATURE_INVALID is issuer.refuses(verifier, issuer.mint(SigningKey.generate(kid=issuer.key.kid)))


def test_all_who_come_first_wait_for_one_fetch(issuer):
    """There is no alternative to it; one who comes while it is under way does not cause another."""
    keys, accepted = issuer.keys(), []
    verifier = issuer.verifier(keys)
    hanging = issuer.hang(then=issuer.answer)
    threads = [Thread(target=lambda: accepted.append(issuer.accepts(verifier, issuer.mint()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    issuer.wait_for_requests(1)
    eventually(lambda: len(keys._asked._waiters) == len(threads))
    assert [] == accepted
    hanging.released.set()
    for thread in threads:
        thread.join()

    assert [True] * 5 == accepted
    assert ["/jwks"] == issuer.requests
    assert not keys.refetch(keys.current())
    assert ["/jwks"] * 2 == issuer.requests


def test_a_token_of_an_unknown_key_first(issuer):
    """The first fetch has just been; one more is allowed, and then it is refused at once."""
    verifier = issuer.verifier(issuer.keys())

    assert [Reason.KEY_UNKNOWN] * 3 == [issuer.refuses(verifier, issuer.mint(SigningKey.generate())) for _ in range(3)]
    assert len(issuer.requests) <= 2


def test_the_keys_are_refreshed_in_the_background(issuer):
    """Without any token; the same document is the same KeySet."""
    keys = issuer.keys(refresh_seconds=0.05)
    assert keys.refetch(None)
    known = keys.current()
    issuer.wait_for_requests(4)

    assert keys.current() is known
    issuer.publish(issuer.key, SigningKey.generate())
    assert eventually(lambda: keys.current() is not known)


def test_a_refresh_ends_before_the_last_one_is_too_old(issuer, suspend):
    """A key published `refresh_seconds` before its use is known, though a fetch may take all its time."""
    for refresh, timeout, taken, pause in ((300, 4, 3.0, 293), (300, 4, 0.0, 296), (16, 4, 4.0, 8), (1, 4, 0.2, 0.5)):
        keys = issuer.keys(refresh_seconds=refresh, timeout_seconds=timeout)
        keys._fetch = lambda taken=taken: suspend(taken) or {"keys": [issuer.key.public_jwk]}
        assert pause - 0.5 <= keys._refresh_now() <= pause


def test_a_withdrawn_key_verifies_nothing_after_the_refresh(verify, issuer):
    """Tokens that were remembered neither; those of keys that are still there, are still remembered or verified."""
    staying, going = SigningKey.generate(), SigningKey.generate()
    issuer.publish(going, staying)
    keys = issuer.keys(refresh_seconds=0.05)
    verifier = issuer.verifier(keys)
    gone, good = issuer.mint(going), issuer.mint(staying)
    for _ in range(2):
        assert issuer.accepts(verifier, gone)
        assert issuer.accepts(verifier, good)
    before = keys.current()
    issuer.publish(staying)
    eventually(lambda: keys.current() is not before)

    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, gone)
    with pytest.raises(TokenBindError):
        verify(verifier, gone, issuer.client.peer)
    assert issuer.accepts(verifier, good)


def test_what_was_verified_is_remembered_when_keys_are_only_added(issuer):
    """The same claims object: it was not verified again. When one goes, it was."""
    keys = issuer.keys(refresh_seconds=0.05)
    verifier, token = issuer.verifier(keys), issuer.mint()

    def verified():
        return verifier.verify(token, issuer.client.peer)._token

    first, before, other = verified(), keys.current(), SigningKey.generate()
    issuer.publish(other, issuer.key)
    eventually(lambda: keys.current() is not before)
    assert verified() is first

    before = keys.current()
    issuer.publish(issuer.key)
    eventually(lambda: keys.current() is not before)
    assert verified() is not first


def test_a_new_key_is_asked_for(verify, issuer, verifier):
    """At once, by its kid; another unknown one is not, in the same cooldown."""
    assert issuer.accepts(verifier, issuer.mint())
    new, newer = SigningKey.generate(), SigningKey.generate()
    issuer.publish(issuer.key, new)

    assert verify(verifier, issuer.mint(new), issuer.client.peer).thumbprint == issuer.client.thumbprint
    assert issuer.accepts(verifier, issuer.mint(new))
    issuer.publish(issuer.key, new, newer)
    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, issuer.mint(newer))
    assert 2 == issuer.requests.count("/jwks")


def test_one_waits_and_the_others_are_refused_at_once(verify, issuer):
    """While the issuer hangs: they come back before it is released, which the one who waits does not."""
    verifier, new, waited = issuer.verifier(issuer.keys(cooldown_seconds=1e-6)), SigningKey.generate(), []
    assert issuer.accepts(verifier, issuer.mint())
    issuer.publish(issuer.key, new)
    hanging = issuer.hang(then=issuer.answer)
    token = issuer.mint(new)
    waiting = Thread(target=lambda: waited.append(verifier.verify(token, issuer.client.peer)))
    waiting.start()
    issuer.wait_for_requests(2)

    for _ in range(20):
        with pytest.raises(TokenBindError):
            verify(verifier, token, issuer.client.peer)
        assert issuer.accepts(verifier, issuer.mint())
    assert [] == waited
    assert not hanging.released.is_set()
    hanging.released.set()
    waiting.join()
    assert issuer.client.thumbprint == waited[0].thumbprint
    assert ["/jwks"] * 2 == issuer.requests


def test_a_flood_of_invented_kids_does_not_keep_a_new_key_out(issuer):
    """With times a tenth of the default ones: 1,000 kids a second, and an issuer that hangs, and then recovers.

    By default, a new key must be known within 10 s of the recovery; so it is here within 1 s.
    """
    keys = issuer.keys(cooldown_seconds=0.5, timeout_seconds=0.4)
    verifier, new, stop, flooded = issuer.verifier(keys), SigningKey.generate(), Event(), []
    assert issuer.accepts(verifier, issuer.mint())
    invented = [issuer.mint(SigningKey.generate()) for _ in range(20)]

    def flood():
        for number in count():
            if stop.wait(0.001):
                return
            flooded.append(issuer.refuses(verifier, invented[number % len(invented)]))

    flooding = [Thread(target=flood) for _ in range(2)]
    issuer.hang()
    for thread in flooding:
        thread.start()
    issuer.wait_for_requests(3)  # the second has hung for its whole time
    issuer.publish(issuer.key, new)
    recovered, token = monotonic(), issuer.mint(new)
    end = recovered + 1
    try:
        while Reason.KEY_UNKNOWN is _verdict(verifier, token, issuer.client.peer):
            assert monotonic() < end, "the new key is kept out"
            Event().wait(0.005)
    finally:
        stop.set()
        for thread in flooding:
            thread.join()
    assert issuer.accepts(verifier, token)
    assert {Reason.KEY_UNKNOWN} == set(flooded)
    assert len(flooded) > 50
    assert len(issuer.requests) <= 6


def _verdict(verifier, token, peer):
    try:
        return verifier.verify(token, peer)
    except TokenBindError as error:
        return error.reason
