"""A connection that may outlive its token, and the watch over it; in asyncio or in trio.

`Verifier.recheck` decides. This module only asks it in time, and ends what has to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..binding import PeerCertificate
from ..errors import InvalidToken, Unavailable
from ..tokens import BoundToken, Verifier


__all__ = ["Sleep", "TokenEnded", "Watch", "end_of_token", "watched"]

Sleep = Callable[[float], Awaitable[object]]
Watch = Callable[[Sleep], Awaitable[None]]


class TokenEnded(Exception):
    """For a watch to raise: unwinds an application whose token does not stand any more."""

    def __init__(self, error: InvalidToken | Unavailable) -> None:
        self.error = error


async def end_of_token(
    verifier: Verifier, token: BoundToken, peer: PeerCertificate | None, sleep: Sleep
) -> InvalidToken | Unavailable:
    """Wait until *token*, accepted with *peer*, does not stand any more; returns why."""
    while True:
        try:
            seconds = verifier.recheck(token, peer)
        except (InvalidToken, Unavailable) as error:
            return error.with_traceback(None)  # which would hold this frame, and the frame it
        await sleep(seconds)


async def watched(run: Callable[[], Awaitable[None]], watch: Watch) -> None:
    """Run both until *run* is done; *watch* ends then.

    If *watch* raises, *run* is cancelled, and that is raised, whatever *run* makes of being cancelled.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        from .trio import watched_in_trio

        await watched_in_trio(run, watch)
        return
    watching = asyncio.ensure_future(watch(asyncio.sleep))

    def stop(_: object) -> None:
        if not watching.cancelled() and watching.exception() is not None:
            scope.reschedule(0)

    try:
        async with asyncio.timeout(None) as scope:
            watching.add_done_callback(stop)
            try:
                await run()
            finally:
                watching.remove_done_callback(stop)
    except Exception:
        _raise_of(watching)
        raise
    else:
        _raise_of(watching)
    finally:
        watching.cancel()


def _raise_of(watching: asyncio.Future[None]) -> None:
    if watching.done():
        watching.result()
