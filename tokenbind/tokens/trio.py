"""Waits for another thread under trio."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress

import trio


__all__ = ["wait_in_trio"]


async def wait_in_trio(future: Future[None], seconds: float) -> None:
    """As `tokenbind.tokens.waiting.wait_async`."""
    loop, done = trio.lowlevel.current_trio_token(), trio.Event()

    def tell(_: object) -> None:
        with suppress(trio.RunFinishedError):
            loop.run_sync_soon(done.set)

    future.add_done_callback(tell)
    with trio.move_on_after(seconds):
        await done.wait()
