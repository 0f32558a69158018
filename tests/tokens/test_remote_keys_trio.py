"""`RemoteKeySet` under trio, as hypercorn's worker runs it: the loop never blocks, and nobody is told of an end."""

import pytest
import trio

from tokenbind import InvalidToken, Reason, SigningKey

from .issuing_server import IssuingServer


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


def test_the_loop_never_blocks(issuer):
    """While the issuer hangs, other tasks go on; one that is cancelled takes nobody with it; the thief gets nothing."""
    verifier, bound = issuer.verifier(issuer.keys()), []
    hanging = issuer.hang(then=issuer.answer)

    async def verify():
        bound.append(await verifier.verify_async(issuer.mint(), issuer.client.peer))

    async def main():
        with trio.CancelScope() as impatient:
            impatient.cancel()
            await verify()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(verify)
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            assert not bound
            hanging.released.set()
        assert {issuer.client.thumbprint} == {token.thumbprint for token in bound}
        with pytest.raises(InvalidToken) as caught:
            await verifier.verify_async(issuer.mint(), issuer.thief.peer)
        assert Reason.CERTIFICATE_MISMATCH is caught.value.reason

    trio.run(main)


def test_an_issuer_that_hangs_is_not_waited_for_for_ever(issuer):
    """The wait for an unknown key ends in time; then it is unknown."""
    keys = issuer.keys(timeout_seconds=0.2)
    assert keys.refetch(None)
    verifier, hanging = issuer.verifier(keys), issuer.hang(then=issuer.answer)

    async def main():
        with pytest.raises(InvalidToken) as caught:
            await verifier.verify_async(issuer.mint(SigningKey.generate()), issuer.client.peer)
        assert Reason.KEY_UNKNOWN is caught.value.reason

    trio.run(main)
    hanging.released.set()


def test_a_loop_that_has_ended_before_the_answer(issuer, caplog):
    """The thread has nobody to tell, and lives."""
    keys = issuer.keys()
    hanging = issuer.hang(then=issuer.answer)

    async def main():
        with trio.move_on_after(0.01) as impatient:
            await keys.refetch_async(None)
        assert impatient.cancelled_caught

    trio.run(main)
    hanging.released.set()
    assert keys.refetch(None) or keys.current()
    assert "" == caplog.text
    assert issuer.accepts(issuer.verifier(keys), issuer.mint())
