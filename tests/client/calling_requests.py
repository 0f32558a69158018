"""`requests`, as every client is asked: the session of ours, and one of the caller's with our adapter."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import requests

from tokenbind.client.requests import BoundTokenAdapter, BoundTokenSession

from .calling import Answer


class Requests:
    """Our session."""

    name = "requests"

    def __init__(self, identity, tokens, *, origin, proxy=None, **options):
        self._session = self.open(identity, tokens, origin=origin, **options)
        if proxy is not None:
            self._session.proxies["https"] = proxy

    def open(self, identity, tokens, **options):
        return BoundTokenSession(identity, tokens, **options)

    def call(self, url, method="GET", *, body=None, headers=None, follow_redirects=True):
        response = self._session.request(
            method, url, data=body, headers=headers, allow_redirects=follow_redirects, timeout=20
        )
        shown = {}
        for one in (*response.history, response):
            shown |= one.request.headers
        return Answer(response.status_code, response.content, _lowered(response.headers), _lowered(shown))

    def call_at_once(self, urls):
        barrier = Barrier(len(urls))

        def call(url):
            barrier.wait(20)
            return self.call(url)

        with ThreadPoolExecutor(len(urls)) as threads:
            return list(threads.map(call, urls))

    def read_slowly(self, url, between):
        with self._session.get(url, stream=True, timeout=20) as response:
            chunks = response.iter_content(16)
            first = next(chunks)
            between()
            return first + b"".join(chunks)

    def close(self):
        self._session.close()


class MountedRequests(Requests):
    """The caller's session, which trusts the environment, with our adapter for all of https."""

    name = "requests-mounted"

    def open(self, identity, tokens, **options):
        session = requests.Session()
        session.mount("https://", BoundTokenAdapter(identity, tokens, **options))
        return session


def _lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


CALLERS = [Requests, MountedRequests]
