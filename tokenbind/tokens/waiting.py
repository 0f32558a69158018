"""Waits for another thread, in whichever event loop this is."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future


__all__ = ["wait_async"]


async def wait_async(future: Future[None], seconds: float) -> None:
    """Until *future* is done, or for so long. A caller that is cancelled leaves *future* to the others."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        from .trio import wait_in_trio

        await wait_in_trio(future, seconds)
        return
    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.wait([waiter], timeout=seconds)
    finally:
        waiter.cancel()  # or the thread would call a loop that may be closed by then
