"""Clients that ask without a pause, and what became of their requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic
from typing import Any

import requests
from world import Rotation, World

from tokenbind.client.aiohttp import BoundTokenSession as AiohttpSession
from tokenbind.client.httpx import AsyncBoundTokenClient
from tokenbind.client.requests import BoundTokenSession


__all__ = ["Outcome", "ask_plainly", "ask_with_aiohttp", "ask_with_httpx", "ask_with_requests"]

_THREADS, _TASKS = 8, 64


class Outcome:
    """How often there was which answer, or error."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    @property
    def wrong(self) -> list[str]:
        """Everything that is not 200."""
        failures = [f"{number} times {what}" for what, number in self.counts.items() if what != "200"]
        return failures if self.counts["200"] else [*failures, "nothing got through"]

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        all_of_them = self.counts.total()
        failed = all_of_them - self.counts["200"]
        return {
            "requests": all_of_them,
            "failed": failed,
            "failed %": round(100 * failed / max(1, all_of_them), 2),
            "how": dict((self.counts - Counter({"200": self.counts["200"]})).most_common(4)),
            "slowest ms": round(self.slowest * 1000),
        }

    def note(self, what: object, began: float) -> None:
        """An answer's status, or an error."""
        self.slowest = max(self.slowest, monotonic() - began)
        self.counts[f"{type(what).__name__}: {what}"[:160] if isinstance(what, Exception) else str(what)] += 1


def ask_with_requests(world: World, rotation: Rotation, seconds: float) -> Outcome:
    """Threads that share one session."""
    with BoundTokenSession(
        rotation.source, world.grant(), origin=world.api, ca=world.kit.ca_pem, replay_on_401=False
    ) as session:
        return _in_threads(lambda: session.get(world.api, timeout=20).status_code, seconds)


def ask_plainly(world: World, rotation: Rotation, seconds: float) -> Outcome:
    """The same with what is mostly done: files, and a token that is kept for its lifetime."""
    ca = rotation.files[0].with_name("ca.pem")
    ca.write_bytes(world.kit.ca_pem)
    session = requests.Session()
    session.trust_env = False
    session.verify, session.cert = str(ca), tuple(map(str, rotation.files))
    token = session.post(world.token_endpoint, data={"grant_type": "client_credentials"}).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    with closing(session):
        return _in_threads(lambda: session.get(world.api, timeout=20).status_code, seconds)


def ask_with_httpx(world: World, rotation: Rotation, seconds: float) -> Outcome:
    """Tasks that share one client."""

    async def run() -> Outcome:
        async with AsyncBoundTokenClient(
            rotation.source, world.grant(), origin=world.api, ca=world.kit.ca_pem, replay_on_401=False, timeout=20
        ) as client:

            async def ask() -> int:
                return (await client.get(world.api)).status_code

            return await _in_tasks(ask, seconds)

    return asyncio.run(run())


def ask_with_aiohttp(world: World, rotation: Rotation, seconds: float) -> Outcome:
    """Tasks that share one session."""

    async def run() -> Outcome:
        async with AiohttpSession(
            rotation.source, world.grant(), origin=world.api, ca=world.kit.ca_pem, replay_on_401=False
        ) as session:

            async def ask() -> int:
                async with session.get(world.api) as response:
                    await response.read()
                    return response.status

            return await _in_tasks(ask, seconds)

    return asyncio.run(run())


def _in_threads(ask: Callable[[], int], seconds: float) -> Outcome:
    outcome, end = Outcome(), monotonic() + seconds

    def go_on(_: int) -> None:
        while (began := monotonic()) < end:
            try:
                what: object = ask()
            except Exception as error:  # noqa: BLE001 - that is what is counted
                what = error
            outcome.note(what, began)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(go_on, range(_THREADS)))
    return outcome


async def _in_tasks(ask: Callable[[], Awaitable[int]], seconds: float) -> Outcome:
    outcome, end = Outcome(), monotonic() + seconds

    async def go_on() -> None:
        while (began := monotonic()) < end:
            try:
                what: object = await ask()
            except Exception as error:  # noqa: BLE001 - that is what is counted
                what = error
            outcome.note(what, began)

    await asyncio.gather(*(go_on() for _ in range(_TASKS)))
    return outcome
