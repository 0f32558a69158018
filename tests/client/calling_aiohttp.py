"""`aiohttp`, as every client is asked: our session, in an event loop that runs in a thread while it is open."""

import asyncio
from threading import Thread

from aiohttp import ClientTimeout

from tokenbind.client.aiohttp import BoundTokenSession

from .calling import Answer


class Aiohttp:
    """Our session."""

    name = "aiohttp"

    def __init__(self, identity, tokens, *, origin, **options):
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._session = self._run(self._open(identity, tokens, origin=origin, **options))
        except BaseException:
            self._stop()
            raise

    def call(self, url, method="GET", *, body=None, headers=None, follow_redirects=True):
        return self._run(self._call(url, method, body, headers, follow_redirects))

    def call_at_once(self, urls):
        async def call_all():
            return await asyncio.gather(*(self._call(url) for url in urls))

        return self._run(call_all())

    def read_slowly(self, url, between):
        response = self._run(self._get(url))
        first = self._run(response.content.readany())
        between()
        return first + self._run(response.content.read())

    def close(self):
        self._run(self._session.close())
        self._stop()

    async def _open(self, identity, tokens, **options):
        return BoundTokenSession(identity, tokens, timeout=ClientTimeout(20), **options)

    async def _get(self, url):
        return await self._session.get(url)

    async def _call(self, url, method="GET", body=None, headers=None, follow_redirects=True):
        async with self._session.request(
            method, url, data=_sendable(body), headers=headers, allow_redirects=follow_redirects
        ) as response:
            shown = {}
            for one in (*response.history, response):
                shown |= one.request_info.headers
            return Answer(response.status, await response.read(), _lowered(response.headers), _lowered(shown))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def _stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


def _sendable(body):
    async def pieces():
        for piece in body:
            yield piece

    return body if body is None or isinstance(body, bytes) else pieces()


def _lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


CALLERS = [Aiohttp]
