"""What a request costs uvicorn over mutual TLS with keep-alive: server CPU, taken by the server process of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
import random
import socket
import ssl
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from floors import verify_by_hand
from measure import Samples
from report import Comparison, Row, rows_of
from workload import Workload

from tokenbind.resource_server.asgi import BoundTokenMiddleware


__all__ = ["server_rows"]

_CONNECTIONS = 4
_END = b";"  # of every body
_PATHS = ("/none", "/by-hand", "/uncached", "/cached")
_COMPARISONS = [
    Comparison("uvicorn over mTLS, cached: kept", "/cached", "/none", 0.90, 0.94, faster=True),
    Comparison("uvicorn over mTLS, uncached: kept", "/uncached", "/none", 0.45, 0.51, faster=True),
    Comparison("uvicorn over mTLS, jwt.decode: kept", "/by-hand", "/none", faster=True),
]


def server_rows(*, rounds: int, requests: int) -> list[Row]:
    """The share of requests per second and core that is left, next to an application that asks for nothing."""
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    with TemporaryDirectory() as folder:
        server = spawn.Process(target=_serve, args=(there, folder), daemon=True)
        server.start()
        try:
            call = _caller(*here.recv())
            samples: Samples = {path: [] for path in _PATHS}
            for _ in range(rounds):
                for path in random.sample(_PATHS, len(_PATHS)):
                    started = float(call("/cpu"))
                    for _ in range(requests // _CONNECTIONS):
                        call(path)
                    samples[path].append((float(call("/cpu")) - started) / requests * 1e6)
        finally:
            server.kill()
            server.join()
    return rows_of(_COMPARISONS, samples)


def _caller(ports: list[int], token: str, ca_pem: str, identity: tuple[Path, Path]) -> Callable[[str], bytes]:
    """A function that sends a path on each of its connections, all open for good, and returns the last answer."""
    context = ssl.create_default_context(cadata=ca_pem)
    context.load_cert_chain(*identity)

    def connect(port: int) -> ssl.SSLSocket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        return context.wrap_socket(connection, server_hostname="127.0.0.1")

    plain, shimmed = ([connect(port) for _ in range(_CONNECTIONS)] for port in ports)

    def call(path: str) -> bytes:
        connections = {"/cpu": plain[:1], "/none": plain}.get(path, shimmed)
        for connection in connections:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        for connection in connections:
            answer = b""
            while not answer.endswith(_END):
                answer += connection.recv(4096) or b"the connection was closed" + _END
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {answer!r}")
        return answer.removesuffix(_END).rpartition(b"\n")[2]

    return call


def _serve(pipe: Connection, folder: str) -> None:
    """In the server's process: uvicorn as it comes, and uvicorn with our shim, on one event loop."""
    import uvicorn

    workload = Workload("RS256")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    workload.kit.ca.issue_cert("127.0.0.1").configure_cert(context)
    workload.kit.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    app, listening, servers = _app(workload), [], []
    for http in ("auto", "tokenbind.servers.uvicorn:HTTP"):
        config = uvicorn.Config(
            app, http=http, ws="none", lifespan="off", log_level="warning", access_log=False, timeout_keep_alive=600
        )
        config.load()
        config.ssl = context
        listening.append(socket.create_server(("127.0.0.1", 0)))
        servers.append(uvicorn.Server(config))

    async def serve() -> None:
        await asyncio.gather(*(server.serve([one]) for server, one in zip(servers, listening, strict=True)))

    token = workload.kit.mint(workload.client, **workload.mint_options)
    ports = [one.getsockname()[1] for one in listening]
    pipe.send((ports, token, workload.kit.ca_pem.decode(), workload.client.write(folder)))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())


def _app(workload: Workload) -> Any:
    kit = workload.kit
    verify = verify_by_hand("RS256", workload.private_key.public_key(), kit.issuer.issuer, kit.audience)

    async def none(scope: Any, receive: Any, send: Any) -> None:
        body = (b"%f" % process_time() if scope["path"] == "/cpu" else b"fine") + _END
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def by_hand(scope: Any, receive: Any, send: Any) -> None:
        token = dict(scope["headers"])[b"authorization"][7:]
        verify(token, scope["extensions"]["tokenbind"]["ssl_object"].getpeercert(True))
        await none(scope, receive, send)

    apps = {
        "/by-hand": by_hand,
        "/uncached": BoundTokenMiddleware(none, workload.verifier(cache_size=0)),
        "/cached": BoundTokenMiddleware(none, workload.verifier()),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await apps.get(scope["path"], none)(scope, receive, send)

    return app
