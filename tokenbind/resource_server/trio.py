"""What `tokenbind.resource_server.lifetime` needs of trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .lifetime import Watch


__all__ = ["watched_in_trio"]


async def watched_in_trio(run: Callable[[], Awaitable[None]], watch: Watch) -> None:
    """As `tokenbind.resource_server.lifetime.watched`."""
    raised: list[Exception] = []  # not left to the nursery, which would make a group of them

    async def watching() -> None:
        try:
            await watch(trio.sleep)
        except Exception as error:  # noqa: BLE001 - raised below
            raised.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watching)
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - raised below
            raised.append(error)
        nursery.cancel_scope.cancel()
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()  # the frame and the error would hold each other
