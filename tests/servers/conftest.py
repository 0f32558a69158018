"""Real uvicorn, configured as on its command line, in a thread of this process; and clients of it."""

from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection
import json
from socket import socket
import ssl
import threading

import httpx
import pytest
import uvicorn

from tokenbind.resource_server.asgi import BoundTokenMiddleware


DEADLINE_SECONDS = 20


class StoppableServer(uvicorn.Server):
    """Says when it is started, and does not wait for connections when it stops."""

    def __init__(self, config):
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets=None):
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


@contextmanager
def running(app, options):
    """Serve *app* with the options of `uvicorn.Config`; gives the port."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1, **options)
    server = StoppableServer(config)
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            assert server.up.wait(DEADLINE_SECONDS)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(DEADLINE_SECONDS)


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def news():
    """Open a websocket; gives the status of the handshake and, if it is 101, the first text that is sent.

    By hand: on a refused handshake over TLS, the client of `websockets` can wait for its own thread for ever.
    """

    def news(port, context, headers):
        connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE_SECONDS)
        try:
            connection.request("GET", "/", headers=HANDSHAKE | headers)
            response = connection.getresponse()
            if response.status != 101:
                return response.status, None
            size = response.fp.read(2)[1]  # RFC 6455 §5.2: one text frame, unmasked
            size = int.from_bytes(response.fp.read(2), "big") if size == 126 else size
            return response.status, response.fp.read(size).decode()
        finally:
            connection.close()

    return news


async def told(scope, receive, send):
    """Answers http and websocket with what the server told of the connection."""
    own, token = scope["extensions"].get("tokenbind", {}), scope.get("tokenbind.token")
    text = json.dumps(
        {
            "thumbprint": None if token is None else token.thumbprint,
            "client": scope["client"],
            "socket_peer": own.get("socket_peer"),
            "socket_name": own.get("socket_name"),
            "tls": scope["extensions"].get("tls"),
            "extensions": sorted(scope["extensions"]),
        }
    )
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text.encode()})


@pytest.fixture
def tls_options(tokenbind_kit, tmp_path):
    """uvicorn's options for mutual TLS with optional certificates, so that the guard's own refusals are seen."""
    tokenbind_kit.ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tokenbind_kit.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {
        "ssl_certfile": str(tmp_path / "server.pem"),
        "ssl_ca_certs": str(tmp_path / "ca.pem"),
        "ssl_cert_reqs": int(ssl.CERT_OPTIONAL),
    }


@pytest.fixture
def serve(tokenbind_kit, tls_options):
    """Serve `told` behind the guard until the test ends; takes options of `uvicorn.Config`, returns the port."""
    with ExitStack() as stack:
        app = BoundTokenMiddleware(told, tokenbind_kit.verifier)
        yield lambda **options: stack.enter_context(running(app, {**tls_options, **options}))


@pytest.fixture
def context(tokenbind_kit, tmp_path):
    """A client's TLS context: trusts the kit's CA, presents the certificate of the given client, or none."""

    def make(client=None, version=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        context = ssl.create_default_context(cadata=tokenbind_kit.ca_pem.decode())
        context.maximum_version = version
        if client is not None:
            context.load_cert_chain(*client.write(tmp_path))
        return context

    return make


@pytest.fixture
def connect():
    """A keep-alive HTTP client for a port, with a TLS context; closed when the test ends."""
    with ExitStack() as stack:

        def make(port, context, scheme="https"):
            options = {"base_url": f"{scheme}://127.0.0.1:{port}", "trust_env": False}
            return stack.enter_context(httpx.Client(verify=context, **options))

        yield make


@pytest.fixture
def bearer(tokenbind_kit):
    """The header fields of a request with a token of *client*."""
    return lambda client: {"Authorization": f"Bearer {tokenbind_kit.mint(client)}"}
