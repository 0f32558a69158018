"""`RemoteKeySet` among threads and tasks: no wrong verdict, and nothing blocks."""

import asyncio
from threading import Event, Thread

import pytest

from tokenbind import InvalidToken, KeySet, Reason, SigningKey

from .issuing_server import IssuingServer, eventually


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


class Rotation:
    """Keys of which one stays, and each other one is published, is withdrawn, and never comes again."""

    def __init__(self, issuer, keys):
        self.issuer, self.keys, self.staying = issuer, keys, SigningKey.generate()
        self.good = issuer.mint(self.staying)
        self._withdrawn, self.gone = [], ()
        issuer.publish(self.staying)
        assert keys.refetch(None)
        self.turn()

    def turn(self):
        """Publish another one in place of the last one; wait until that is known."""
        going = SigningKey.generate()
        self.going = self.issuer.mint(going)
        self.issuer.publish(self.staying, going)
        eventually(lambda: self._knows_after_asking(going))
        self.gone = (*self.gone[-3:], *self._withdrawn)
        self._withdrawn = [self.going]

    def _knows_after_asking(self, key):
        self.keys.refetch(self.keys.current())
        return key.kid in {known["kid"] for known in self.keys.describe()["keys"]}


def test_sixteen_threads_while_keys_rotate(issuer):
    """A key that was withdrawn before the last completed fetch began verifies nothing; one that stays always does."""
    keys = issuer.keys(cooldown_seconds=1e-6)
    verifiers = [issuer.verifier(keys, cache_size=size) for size in (0, 4, 1024)]
    rotation, stop, wrong, seen = Rotation(issuer, keys), Event(), [], []

    def judge(number):
        verifier, accepted, refused = verifiers[number % 3], 0, 0
        while not stop.is_set():
            gone, going = rotation.gone, rotation.going  # withdrawn before now, and perhaps still good
            for token in gone:
                if _verdict(verifier, token, issuer) is not Reason.KEY_UNKNOWN:
                    wrong.append("a withdrawn key was accepted")
                refused += 1
            if _verdict(verifier, rotation.good, issuer) is not None:
                wrong.append("a good key was refused")
            if _verdict(verifier, going, issuer) not in (None, Reason.KEY_UNKNOWN):
                wrong.append("neither good nor unknown")
            accepted += 1
        seen.append((accepted, refused))

    threads = [Thread(target=judge, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            rotation.turn()
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert [] == wrong
    assert len(seen) == 16
    assert all(sum(numbers) for numbers in zip(*seen, strict=True))
    assert issuer.accepts(verifiers[1], rotation.good)
    keys.close()


def _verdict(verifier, token, issuer):
    try:
        verifier.verify(token, issuer.client.peer)
    except InvalidToken as error:
        return error.reason
    return None


class Overtaken:
    """A `KeySource` that hands the old set to one caller, and then is at the new one, when `current` is called next."""

    def __init__(self, *sets):
        self.sets = list(sets)

    def current(self):
        return self.sets.pop(0) if len(self.sets) > 1 else self.sets[0]

    def refetch(self, seen):
        return False

    async def refetch_async(self, seen):
        return False


def test_a_thread_that_was_overtaken(issuer):
    """It verifies with what it was given, in a generation of its own; nobody finds afterwards what it has verified."""
    old, new = SigningKey.generate(), SigningKey.generate()
    before, after = (KeySet.from_jwks({"keys": [key.public_jwk]}) for key in (old, new))
    gone, good = issuer.mint(old), issuer.mint(new)
    keys = Overtaken(before, after)
    verifier = issuer.verifier(keys)

    assert verifier.verify(gone, issuer.client.peer).thumbprint  # it began before the new keys came
    assert verifier._tokens._generation.keys is None
    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, gone)
    assert issuer.accepts(verifier, good)
    for sets in ([before, after], [after, before, after], [before, after, after]):
        keys.sets = sets
        for _ in range(4):
            _verdict(verifier, gone, issuer)
        assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, gone)
        assert verifier._tokens._generation.keys is after
        assert issuer.accepts(verifier, good)


def test_one_that_another_thread_is_turning(issuer):
    """Nobody waits for another thread, which a fork may have left behind: a request verifies for itself, uncached."""
    verifier, token = issuer.verifier(KeySet.from_jwks({"keys": [issuer.key.public_jwk]})), issuer.mint()
    with verifier._tokens._turning:
        assert issuer.accepts(verifier, token)
        assert verifier._tokens._generation.keys is None
    assert issuer.accepts(verifier, token)
    assert [token.encode()] != list(verifier._tokens._generation.cache.young) != []


def test_the_loop_never_blocks(issuer):
    """While the issuer hangs, a task ticks, good tokens pass; a waiter that is cancelled takes nobody with it."""
    verifier, ticks, new = issuer.verifier(issuer.keys()), [], SigningKey.generate()
    hanging = issuer.hang(then=issuer.answer)

    async def tick():
        while True:
            ticks.append(None)
            await asyncio.sleep(0)

    async def until_ticked(more=100):
        number = len(ticks)
        for _ in range(more):
            await asyncio.sleep(0)
        assert len(ticks) >= number + more - 1

    async def main():
        ticking = asyncio.create_task(tick())
        first = [asyncio.create_task(verifier.verify_async(issuer.mint(), issuer.client.peer)) for _ in range(3)]
        await until_ticked()
        assert not any(task.done() for task in first)
        first[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await first[0]
        hanging.released.set()
        assert {issuer.client.thumbprint} == {bound.thumbprint for bound in await asyncio.gather(*first[1:])}

        issuer.publish(issuer.key, new)
        again = issuer.hang(then=issuer.answer)
        waiting = asyncio.create_task(verifier.verify_async(issuer.mint(new), issuer.client.peer))
        await until_ticked()
        with pytest.raises(InvalidToken):
            await verifier.verify_async(issuer.mint(new), issuer.client.peer)
        assert await verifier.verify_async(issuer.mint(), issuer.client.peer)
        assert not waiting.done()
        again.released.set()
        assert (await waiting).thumbprint == issuer.client.thumbprint
        with pytest.raises(InvalidToken):
            await verifier.verify_async(issuer.mint(new), issuer.thief.peer)
        ticking.cancel()

    asyncio.run(main())


def test_a_loop_that_is_closed_before_the_answer(issuer, caplog):
    """The thread has nobody to tell, and lives."""
    keys = issuer.keys()
    hanging = issuer.hang(then=issuer.answer)

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await keys.refetch_async(None)
        task = asyncio.create_task(keys.refetch_async(None))
        await asyncio.sleep(0)
        return task

    cancelled = asyncio.run(main())
    assert cancelled.cancelled()
    hanging.released.set()
    assert keys.refetch(None) or keys.current()
    assert "" == caplog.text
    assert issuer.accepts(issuer.verifier(keys), issuer.mint())
