"""A protected application behind a proxy that forwards certificates, and whoever goes around it."""

import asyncio
from contextlib import contextmanager
import http.client
import json
import socket
import threading
from types import SimpleNamespace

import httpx
import uvicorn

from tokenbind.resource_server import asgi, wsgi
from tokenbind.servers import uvicorn as shim


PROXY, STRANGER = ("10.0.0.1", 4711), ("192.0.2.9", 4711)
DEADLINE_SECONDS = 20


def told(token, names, more):
    content = {"thumbprint": token and token.thumbprint, "headers": sorted({name.lower() for name in names}), **more}
    return json.dumps(content).encode()


async def asgi_app(scope, receive, send):
    """Says what it was told: the token, all header names, and who it thinks its client is."""
    names = [name.decode("latin-1").replace("_", "-") for name, _ in scope["headers"]]
    body = told(scope[asgi.TOKEN_KEY], names, {"client": scope.get("client")})
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


def wsgi_app(environ, start_response):
    """The same."""
    names = [key[5:].replace("_", "-") for key in environ if key.startswith("HTTP_")]
    body = told(environ[wsgi.TOKEN_KEY], names, {"client": environ.get("REMOTE_ADDR")})
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]


def guarded(kit, source, interface="asgi", **options):
    """The application behind the middleware."""
    if interface == "asgi":
        return asgi.BoundTokenMiddleware(asgi_app, kit.verifier, source, **options)
    return wsgi.BoundTokenMiddleware(wsgi_app, kit.verifier, source, **options)


class Proxied:
    """Asks the application of one *interface* in process, from any address."""

    def __init__(self, kit, interface):
        self.kit, self.interface = kit, interface

    def ask(self, source, *fields, peer=PROXY, tls=None, path="/", **options):
        """Send *fields* as they are; gives the status and the JSON of the answer."""
        app = guarded(self.kit, source, self.interface, exempt={("GET", "/health")}, **options)
        fields = [(name, value) for name, value in fields if value is not None]
        if self.interface == "asgi":
            answer = asyncio.run(self._over_asgi(app, fields, peer, tls, path))
        else:
            answer = self._over_wsgi(app, fields, peer, tls, path)
        return answer.status_code, answer.json()

    async def _over_asgi(self, app, fields, peer, tls, path):
        async def served(scope, receive, send):
            own = {"ssl_object": tls, "socket_peer": peer, "socket_name": ("10.0.0.2", 8000)}
            # What uvicorn makes of X-Forwarded-For by default.
            scope = {**scope, "headers": fields, "extensions": {"tokenbind": own}, "client": PROXY}
            await app(scope, receive, send)

        request = httpx.Request("GET", f"http://api.example{path}")
        response = await httpx.ASGITransport(served).handle_async_request(request)
        await response.aread()
        return response

    def _over_wsgi(self, app, fields, peer, tls, path):
        def served(environ, start_response):
            environ = {key: value for key, value in environ.items() if not key.startswith("HTTP_")}
            for name, value in fields:
                key, text = "HTTP_" + name.decode().upper().replace("-", "_"), value.decode("latin-1")
                environ[key] = f"{environ[key]},{text}" if key in environ else text
            connection = SimpleNamespace(getpeername=lambda: peer, getsockname=lambda: ("10.0.0.2", 8000))
            if tls is not None:
                connection.getpeercert = tls.getpeercert
            environ |= {"gunicorn.socket": connection, "REMOTE_ADDR": PROXY[0]}
            return app(environ, start_response)

        response = httpx.WSGITransport(served).handle_request(httpx.Request("GET", f"http://api.example{path}"))
        response.read()
        return response


@contextmanager
def over_uvicorn(app, *, protocol=shim.HTTP, path=None):
    """Real uvicorn with its defaults, on loopback without TLS, or on a Unix socket."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            started.set()

        async def shutdown(self, sockets=None):
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await super().shutdown(sockets)

    options = {"http": protocol, "ws": "none", "loop": "asyncio", "lifespan": "off", "log_config": None}
    server = Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **options))
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listener:
        listener.bind(path or ("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            assert started.wait(DEADLINE_SECONDS)
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(DEADLINE_SECONDS)


@contextmanager
def connected(address):
    """A connection as a proxy keeps it, or anybody makes it; sends header lines, gives status and JSON."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.connect(address)

        def ask(*lines, before=b""):
            connection.sendall(before + b"\r\n".join([b"GET / HTTP/1.1", b"Host: api.example", *lines, b"", b""]))
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, json.loads(response.read())

        yield ask
