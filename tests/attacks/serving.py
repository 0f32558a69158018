"""A protected application of either kind, served over mutual TLS, and a client that sends what no library would."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
import http.client
import json
import socket
from typing import NamedTuple

import httpx

from tokenbind.resource_server import asgi, wsgi
from tokenbind.testing import ClientCertificate, MutualTLSServer, asgi_with_peer, wsgi_with_peer
from tokenbind.transport.tls_context import client_context


CACHE_CONTROL = {"/public": "public, max-age=600", "/kept": "no-store", "/private": "private"}

LIFESPAN: list[str] = []  # what the ASGI application was told of its server


class Answer(NamedTuple):
    """What came back; header names are in lower case, those that the server adds by itself left out."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def answer(status, headers, body):
    fields: dict[str, str] = {}
    for name, value in headers:
        if (lower := name.lower()) not in ("date", "server", "connection"):
            fields[lower] = f"{fields[lower]}, {value}" if lower in fields else value
    return Answer(status, fields, body)


def respond(path, token, body):
    """The application: says what it was given, and then meddles with the claims."""
    claims = {} if token is None else token.claims
    said = {"thumbprint": token and token.thumbprint, "claims": claims, "body": body.decode("latin-1")}
    content = json.dumps(said).encode()
    claims.get("tenant", {}).get("roles", []).append("admin")
    claims["admin"] = True
    headers = {"content-type": "application/json", "content-length": str(len(content))}
    if path in CACHE_CONTROL:
        headers["cache-control"] = CACHE_CONTROL[path]
    return list(headers.items()), content


class Service:
    """The application behind the middleware of one *interface*, listening until `close`."""

    def __init__(self, kit, interface):
        self.kit, self.interface = kit, interface
        self._stack = ExitStack()
        self.app = self.guarded(kit.verifier, exempt={("GET", "/health")})
        self.server = self._stack.enter_context(
            MutualTLSServer(self.app, kit, interface=interface, client_certificates="optional")
        )
        self._contexts = {None: client_context(kit.ca_pem)}

    @property
    def reason(self):
        """Why the last request was refused; None if it was not."""
        return self.kit.monitor.last_reason

    def close(self):
        self._stack.close()

    def guarded(self, verifier, **options):
        """The middleware around the application."""
        if self.interface == "asgi":
            return asgi.BoundTokenMiddleware(asgi_app, verifier, **options)
        return wsgi.BoundTokenMiddleware(wsgi_app, verifier, **options)

    def ask(self, client: ClientCertificate | None, *lines: bytes, target=b"/", method=b"GET", body=b""):
        """Send a request, its header *lines* as they are, over a TLS connection of its own."""
        with self.connection(client) as connection:
            connection.sendall(request(method, target, lines, body))
            response = http.client.HTTPResponse(connection, method=method.decode())
            response.begin()
            return answer(response.status, response.getheaders(), b"" if response.status == 101 else response.read())

    def ask_with(self, client, token: str, *lines: bytes, **options):
        """The same with *token* in an Authorization header."""
        return self.ask(client, bearer(token), *lines, **options)

    def ask_for_bytes(self, client: ClientCertificate | None, *lines: bytes) -> bytes:
        """As `ask`, every byte of the answer."""
        with self.connection(client) as connection:
            connection.sendall(request(b"GET", b"/", lines, b""))
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    @contextmanager
    def connection(self, client):
        if client is not None and client.thumbprint not in self._contexts:
            self._contexts[client.thumbprint] = client.identity.current().ssl_context(self.kit.ca_pem)
        context = self._contexts[None if client is None else client.thumbprint]
        with (
            socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            yield connection

    def ask_in_process(self, client, *headers: tuple[bytes, bytes], app=None, url="https://api.example/"):
        """Call *app* without a socket, as if *client* were connected."""
        with_peer = asgi_with_peer if self.interface == "asgi" else wsgi_with_peer
        return self.call(with_peer(app or self.app, client), *headers, url=url)

    def without_tls(self, app):
        """*app* behind a server that tells of its connections, on one that has no TLS."""
        if self.interface == "wsgi":
            return lambda environ, start: app({**environ, "werkzeug.socket": socket.socket}, start)

        async def plain(scope, receive, send):
            await app({**scope, "extensions": {"tokenbind": {"ssl_object": None}}}, receive, send)

        return plain

    def call(self, app, *headers: tuple[bytes, bytes], url="https://api.example/"):
        """Call *app* without a socket, and without a word about any connection."""
        request = httpx.Request("GET", url, headers=headers)
        if self.interface == "wsgi":
            response = httpx.WSGITransport(app).handle_request(request)
            return answer(response.status_code, response.headers.multi_items(), response.read())

        async def call():
            response = await httpx.ASGITransport(app).handle_async_request(request)
            return answer(response.status_code, response.headers.multi_items(), await response.aread())

        return asyncio.run(call())


async def asgi_app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            LIFESPAN.append(kind)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    token = scope[asgi.TOKEN_KEY]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers, content = respond(scope["path"], token, body)
    fields = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": content})


def wsgi_app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers, content = respond(environ["PATH_INFO"], environ[wsgi.TOKEN_KEY], body)
    start_response("200 OK", headers)
    return [content]


def request(method, target, lines, body):
    """A request that ends its connection, unless *lines* say otherwise."""
    head = [b"%b %b HTTP/1.1" % (method, target), b"Host: 127.0.0.1", *lines]
    if not any(line.lower().startswith(b"connection:") for line in lines):
        head.append(b"Connection: close")
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*head, b"", b""]) + body


def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode("latin-1")


def refusal(status: int, error: str, reference: str) -> Answer:
    """The design's answer, whatever the reason; nothing in it but the reference tells one from another."""
    description = {400: "The request is malformed", 401: "The access token is refused on this connection"}[status]
    body = f'{{"error": "{error}", "error_description": "{description}", "reference": "{reference}"}}'.encode()
    challenge = f'Bearer realm="api", error="{error}", error_description="{description} (reference {reference})"'
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("www-authenticate", challenge),
    ]
    return answer(status, headers, body)
