"""`httpx`, as every client is asked: our clients, in threads, under asyncio and trio; and a client of the caller's."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from anyio import create_task_group
from anyio.from_thread import start_blocking_portal
import httpx

from tokenbind.client.httpx import AsyncBoundTokenClient, BoundTokenClient, BoundTokenTransport

from .calling import Answer


class Httpx:
    """Our client, in threads."""

    name = "httpx"

    def __init__(self, identity, tokens, *, origin, **options):
        self._client = BoundTokenClient(identity, tokens, origin=origin, timeout=20, **options)

    def call(self, url, method="GET", *, body=None, headers=None, follow_redirects=True):
        return _answer(
            self._client.request(method, url, content=body, headers=headers, follow_redirects=follow_redirects)
        )

    def call_at_once(self, urls):
        barrier = Barrier(len(urls))

        def call(url):
            barrier.wait(20)
            return self.call(url)

        with ThreadPoolExecutor(len(urls)) as threads:
            return list(threads.map(call, urls))

    def read_slowly(self, url, between):
        with self._client.stream("GET", url) as response:
            chunks = response.iter_bytes(16)
            first = next(chunks)
            between()
            return first + b"".join(chunks)

    def close(self):
        self._client.close()


class MountedHttpx(Httpx):
    """The caller's client, which trusts the environment, with our transport for all of https."""

    name = "httpx-mounted"

    def __init__(self, identity, tokens, *, origin, **options):
        transport = BoundTokenTransport(identity, tokens, origin=origin, **options)
        self._client = httpx.Client(mounts={"https://": transport}, timeout=20)


class AsyncioHttpx:
    """Our asynchronous client, on an event loop in a thread of its own."""

    name = "httpx-asyncio"
    backend = "asyncio"

    def __init__(self, identity, tokens, *, origin, **options):
        self._client = AsyncBoundTokenClient(identity, tokens, origin=origin, timeout=20, **options)
        self._loop = start_blocking_portal(self.backend)
        self._portal = self._loop.__enter__()

    def call(self, url, method="GET", *, body=None, headers=None, follow_redirects=True):
        return self._portal.call(self._call, url, method, body, headers, follow_redirects)

    async def _call(self, url, method="GET", body=None, headers=None, follow_redirects=True):
        if body is not None and not isinstance(body, bytes):
            body = _pieces(body)
        return _answer(
            await self._client.request(method, url, content=body, headers=headers, follow_redirects=follow_redirects)
        )

    def call_at_once(self, urls):
        return self._portal.call(self._call_at_once, urls)

    async def _call_at_once(self, urls):
        answers = [None] * len(urls)

        async def call(number, url):
            answers[number] = await self._call(url)

        async with create_task_group() as tasks:
            for number, url in enumerate(urls):
                tasks.start_soon(call, number, url)
        return answers

    def read_slowly(self, url, between):
        request = self._client.build_request("GET", url)
        response = self._portal.call(partial(self._client.send, request, stream=True))
        chunks = response.aiter_bytes(16)
        first = self._portal.call(anext, chunks)
        between()
        return first + self._portal.call(_read_all, chunks)

    def close(self):
        self._portal.call(self._client.aclose)
        self._loop.__exit__(None, None, None)


class TrioHttpx(AsyncioHttpx):
    """The same under trio."""

    name = "httpx-trio"
    backend = "trio"


async def _pieces(body):
    for piece in body:
        yield piece


async def _read_all(chunks):
    return b"".join([chunk async for chunk in chunks])


def _answer(response):
    shown = {}
    for one in (*response.history, response):
        shown |= dict(one.request.headers)
    return Answer(response.status_code, response.content, dict(response.headers), shown)


CALLERS = [Httpx, MountedHttpx, AsyncioHttpx, TrioHttpx]
