"""What a call with a bound token costs a client, against a plain one with the same TLS context and a fixed header.

Both keep one connection open to a server in a process of its own, which says the same to everything. Only the client's
CPU counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.connection import Connection
import ssl
from tempfile import NamedTemporaryFile
from time import thread_time
from typing import Any

from measure import Case, Timed
from workload import Workload


__all__ = ["client_cases"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"


@contextmanager
def client_cases(workload: Workload, missing: dict[str, str]) -> Iterator[dict[str, Timed]]:
    """``call, LIBRARY`` and ``plain call, LIBRARY`` for each library that is there."""
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(there, workload.kit.ca_pem), daemon=True)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.join)
        stack.callback(server.kill)
        here.send(workload.kit.ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
        url = f"https://127.0.0.1:{here.recv()}/invoices"
        cases: dict[str, Timed] = {}
        runner = stack.enter_context(asyncio.Runner())
        for name, make in (("requests", _requests), ("httpx", _httpx)):
            if name not in missing:
                cases |= make(workload, url, stack)
        closing = AsyncExitStack()
        stack.callback(lambda: runner.run(closing.aclose()))
        for name, prepare in (("httpx", _httpx_async), ("aiohttp", _aiohttp)):
            if name not in missing:
                pair = runner.run(prepare(workload, url, closing))
                what = f"{name}, asyncio" if name == "httpx" else name
                cases[f"call, {what}"], cases[f"plain call, {what}"] = (_InLoop(runner, ask) for ask in pair)
        yield cases


class _InLoop:
    """Calls one after the other in one run of the loop."""

    def __init__(self, runner: asyncio.Runner, ask: Callable[[], Awaitable[object]]) -> None:
        self._runner = runner
        self._ask = ask

    def run(self, calls: int) -> float:
        return self._runner.run(self._run(calls))

    async def _run(self, calls: int) -> float:
        started = thread_time()
        for _ in range(calls):
            await self._ask()
        return thread_time() - started


Pair = tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]]


def _mine(workload: Workload, url: str) -> tuple[Any, ...]:
    """The arguments of our clients; the token is one that a function has at hand."""
    token = workload.kit.mint(workload.client, **workload.mint_options)
    options = {"origin": url.removesuffix("/invoices"), "ca": workload.kit.ca_pem}
    return (workload.client.identity, lambda: token), options, token


def _context(workload: Workload) -> ssl.SSLContext:
    return workload.client.identity.current().ssl_context(workload.kit.ca_pem)


def _requests(workload: Workload, url: str, stack: ExitStack) -> dict[str, Timed]:
    import requests
    from requests.adapters import HTTPAdapter

    from tokenbind.client.requests import BoundTokenSession

    context = _context(workload)

    class Adapter(HTTPAdapter):
        def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
            host, _ = super().build_connection_pool_key_attributes(request, True, None)
            return host, {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}

        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            pass

    arguments, options, token = _mine(workload, url)
    bound, plain = BoundTokenSession(*arguments, **options), requests.Session()
    plain.trust_env = False
    plain.mount("https://", Adapter())
    plain.headers["Authorization"] = f"Bearer {token}"
    for session in (bound, plain):
        stack.callback(session.close)
    return {
        "call, requests": Case(lambda: bound.get(url), repeat(())),
        "plain call, requests": Case(lambda: plain.get(url), repeat(())),
    }


def _httpx(workload: Workload, url: str, stack: ExitStack) -> dict[str, Timed]:
    import httpx

    from tokenbind.client.httpx import BoundTokenClient

    arguments, options, token = _mine(workload, url)
    bound = stack.enter_context(BoundTokenClient(*arguments, **options))
    plain = stack.enter_context(
        httpx.Client(verify=_context(workload), trust_env=False, headers={"Authorization": f"Bearer {token}"})
    )
    return {
        "call, httpx": Case(lambda: bound.get(url), repeat(())),
        "plain call, httpx": Case(lambda: plain.get(url), repeat(())),
    }


async def _httpx_async(workload: Workload, url: str, stack: AsyncExitStack) -> Pair:
    import httpx

    from tokenbind.client.httpx import AsyncBoundTokenClient

    arguments, options, token = _mine(workload, url)
    bound = await stack.enter_async_context(AsyncBoundTokenClient(*arguments, **options))
    plain = await stack.enter_async_context(
        httpx.AsyncClient(verify=_context(workload), trust_env=False, headers={"Authorization": f"Bearer {token}"})
    )
    return lambda: bound.get(url), lambda: plain.get(url)


async def _aiohttp(workload: Workload, url: str, stack: AsyncExitStack) -> Pair:
    import aiohttp

    from tokenbind.client.aiohttp import BoundTokenSession

    arguments, options, token = _mine(workload, url)
    bound = await stack.enter_async_context(BoundTokenSession(*arguments, **options))
    connector = aiohttp.TCPConnector(ssl=_context(workload))
    plain = await stack.enter_async_context(
        aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {token}"})
    )

    async def ask(session: Any) -> None:
        async with session.get(url) as response:
            await response.read()

    return lambda: ask(bound), lambda: ask(plain)


def _serve(pipe: Connection, ca_pem: bytes) -> None:
    """In a process of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ca_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    with NamedTemporaryFile() as file:
        file.write(pipe.recv())
        file.flush()
        context.load_cert_chain(file.name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
