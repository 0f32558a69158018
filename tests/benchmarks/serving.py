"""What a request costs a uvicorn that is never idle, over mutual TLS with keep-alive: CPU, taken by itself.

The server stands still until a request waits on every connection, and the client sleeps until all are answered. Else
one would wake the other with every message, which on a virtual machine costs more than the request.
"""

from __future__ import annotations

import asyncio
from multiprocessing import get_context
from multiprocessing.connection import Connection
import random
import socket
import ssl
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from measure import Samples
from peers import verify_by_hand
from workload import Workload

from tokenbind.resource_server.asgi import BoundTokenMiddleware


__all__ = ["server_samples"]

_CONNECTIONS = 32
_BATCHES = 12  # of one request on each connection, for each path and round
_END = b";"  # of every body
_PATHS = ("/none", "/by-hand", "/uncached", "/cached", "/cached-by-token")


def server_samples(*, rounds: int) -> Samples:
    """Server CPU for each path. ``/none`` is asked of uvicorn as it comes, the others of uvicorn with our shim."""
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    samples: Samples = {path: [] for path in _PATHS}
    with TemporaryDirectory() as folder:
        server = spawn.Process(target=_serve, args=(there, folder), daemon=True)
        server.start()
        try:
            client = _Client(here)
            for number in range(rounds + 1):
                spent = dict.fromkeys(_PATHS, 0.0)
                for path in random.sample(_PATHS * _BATCHES, len(_PATHS) * _BATCHES):
                    spent[path] += client.batch(path)
                for path in _PATHS if number else ():  # the first round fills the caches
                    samples[path].append(spent[path] / (_BATCHES * _CONNECTIONS) * 1e6)
        finally:
            server.kill()
            server.join()
    return samples


class _Client:
    """Holds its connections open. Except during a batch, the server stands still."""

    def __init__(self, pipe: Connection) -> None:
        ports, self._token, ca_pem, identity = pipe.recv()
        context = ssl.create_default_context(cadata=ca_pem)
        context.load_cert_chain(*identity)

        def connect(port: int) -> ssl.SSLSocket:
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            return context.wrap_socket(connection, server_hostname="127.0.0.1")

        self._plain, self._shimmed = ([connect(port) for _ in range(_CONNECTIONS)] for port in ports)
        self._pipe = pipe
        self._send("/none")
        self._receive("/none")

    def batch(self, path: str) -> float:
        """The CPU seconds in which the server answers one request on each connection."""
        self._send(path)
        self._pipe.send("go")
        return self._receive(path)

    def _send(self, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n\r\n".encode()
        for connection in self._connections(path):
            connection.sendall(request)

    def _receive(self, path: str) -> float:
        if not self._pipe.poll(20):
            raise RuntimeError(f"{path}: not every request was answered")
        spent = float(self._pipe.recv())
        for connection in self._connections(path):
            answer = b""
            while not answer.endswith(_END):
                answer += connection.recv(4096) or b"the connection was closed" + _END
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {answer!r}")
        return spent

    def _connections(self, path: str) -> list[ssl.SSLSocket]:
        return self._plain if path == "/none" else self._shimmed


def _serve(pipe: Connection, folder: str) -> None:
    """In the server's process: uvicorn as it comes, and uvicorn with our shim, on one event loop."""
    import uvicorn

    workload = Workload("RS256")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    workload.kit.ca.issue_cert("127.0.0.1").configure_cert(context)
    workload.kit.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    app, listening, servers = _counted(_app(workload), pipe), [], []
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


def _counted(app: Any, pipe: Connection) -> Any:
    """*app*, and after a request of each connection: say what they have cost, and stand still until told to go on."""
    answered, started = 0, 0.0

    def stand_still() -> None:
        nonlocal started
        pipe.send(process_time() - started)
        pipe.recv()
        started = process_time()

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        nonlocal answered
        await app(scope, receive, send)
        answered += 1
        if answered % _CONNECTIONS == 0:
            asyncio.get_running_loop().call_soon(stand_still)  # after the answers have been written

    return counted


def _app(workload: Workload) -> Any:
    kit = workload.kit
    verify = verify_by_hand("RS256", workload.private_key.public_key(), kit.issuer.issuer, kit.audience)

    async def none(scope: Any, receive: Any, send: Any) -> None:
        body = b"fine" + _END
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
        "/cached-by-token": BoundTokenMiddleware(none, workload.verifier(cache_key="token")),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await apps.get(scope["path"], none)(scope, receive, send)

    return app
