"""One way to call an API with every library, so that one suite asks the same of each.

A library's `Caller` stands in ``calling_LIBRARY.py`` with a list ``CALLERS``. Asynchronous ones run an event loop in a
thread of their own for as long as they are open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Answer(NamedTuple):
    """What came back, complete."""

    status: int
    body: bytes
    headers: Mapping[str, str]  # of the answer; names in lower case
    request_headers: Mapping[str, str]  # of the request as the caller is shown it, which must not hold the token


class Caller(Protocol):
    """A client of one library, open."""

    def call(
        self,
        url: str,
        method: str = "GET",
        *,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,
    ) -> Answer:
        """One request; raises what the library raises."""
        ...

    def call_at_once(self, urls: Sequence[str]) -> list[Answer]:
        """All of them at the same time: by as many threads, or tasks."""
        ...

    def read_slowly(self, url: str, between: Any) -> bytes:
        """A streamed answer: reads its first chunk, calls *between*, reads the rest; returns all of it.

        *between* is called in the thread that called this, not in an event loop: it calls the client itself.
        """
        ...

    def close(self) -> None: ...


class CallerKind(Protocol):
    """How to open one: ``kind(identity, tokens, origin=..., ca=..., **options)``; they may be ``proxy=`` a URL, too."""

    name: str  # such as "requests", "httpx", "httpx-asyncio", "httpx-trio", "aiohttp"

    def __call__(self, identity: Any, tokens: Any, *, origin: str, **options: Any) -> Caller: ...
