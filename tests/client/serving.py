"""What clients are tried against: an API, a grant, sources that change, and hosts that record what they are sent."""

from contextlib import contextmanager, suppress
import re
from select import select
import socket
from socketserver import ThreadingTCPServer
import ssl
from threading import Event, Lock, Thread
import time
from typing import NamedTuple

import pytest

from tokenbind import PeerCertificate
from tokenbind.client import IssuedToken
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import BindingKit, MutualTLSServer
from tokenbind.transport.trust_anchors import Anchors


DEADLINE_SECONDS = 20
STREAMED = [b"%04d" % number * 256 for number in range(256)]


def wait_until(condition):
    """Wait until *condition* returns something true."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.002)


@contextmanager
def not_trusting_the_server():
    """What comes out of the block must be due to that; libraries do not all say so in their own words."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        yield
    reasons, error = [], caught.value
    while error is not None:
        reasons.append(str(error))
        error = error.__cause__ or error.__context__
    assert "CERTIFICATE_VERIFY_FAILED" in " ".join(reasons)


class Seen(NamedTuple):
    """A request, as the API saw it."""

    path: str
    authorization: str
    thumbprint: str | None
    connection: int
    body: bytes
    status: int

    @property
    def token(self):
        """The token in its header."""
        return self.authorization.removeprefix("Bearer ")


class Api:
    """A protected API over mutual TLS that remembers every request, accepted or not.

    ``/redirect?URL`` sends on, with 307 for a POST; ``/stream`` answers in many pieces; ``/refuse`` says 401 whatever
    the token, with `challenge`, and calls `when_refusing`; ``/refuse-once`` the first time; anything else answers with
    the name of the client.
    """

    def __init__(self):
        self.kit = BindingKit()
        self.begin()
        self.server = MutualTLSServer(self, self.kit)
        self._guarded = BoundTokenMiddleware(self._answer, self.kit.verifier)

    def begin(self):
        """Forget everything."""
        self.when_refusing = bool
        self.seen, self.refused, self.challenge = [], False, 'Bearer realm="api", error="invalid_token"'
        self.kit.monitor.events.clear()

    @property
    def url(self):
        return self.server.url

    @property
    def connections(self):
        """How many are open."""
        return len(self.server._server._server.server_state.connections)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._guarded(scope, receive, send)
            return
        status, body = 0, b""

        async def sending(message):
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                self.seen.append(Seen(path, authorization, thumbprint, scope["client"][1], body, status))
            await send(message)

        path, headers = scope["path"], dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode()
        chain = scope["extensions"]["tls"]["client_cert_chain"]
        thumbprint = PeerCertificate.from_pem(chain[0]).thumbprint if chain else None
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if path == "/refuse" or (path == "/refuse-once" and not self.refused):
            self.refused = True
            self.when_refusing()
            challenge = [] if self.challenge is None else [(b"www-authenticate", self.challenge.encode())]
            await sending({"type": "http.response.start", "status": 401, "headers": challenge})
            await sending({"type": "http.response.body", "body": b"refused"})
            return
        await self._guarded(scope, receive, sending)

    async def _answer(self, scope, receive, send):
        status, headers, pieces = 200, [], [scope["tokenbind.token"].client_id.encode()]
        if scope["path"] == "/redirect":
            status = 307 if scope["method"] == "POST" else 302
            headers = [(b"location", scope["query_string"])]
        if scope["path"] == "/stream":
            pieces = STREAMED
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Source:
    """An identity source that changes its mind: assign a client certificate to `client`."""

    def __init__(self, client):
        self.client = client

    @property
    def client(self):
        return self._client

    @client.setter
    def client(self, client):
        self._client, self._identity = client, client.identity.current()

    def current(self):
        return self._identity


class Anchored:
    """A trust source that changes its mind: assign PEM bytes to `pem`."""

    def __init__(self, pem):
        self._anchors = Anchors(1, pem)

    @property
    def pem(self):
        return self._anchors.pem

    @pem.setter
    def pem(self, pem):
        self._anchors = Anchors(self._anchors.number + 1, pem)

    def current(self):
        return self._anchors


class Grant:
    """A grant that mints by itself for whichever identity asks, and remembers who did.

    Set `failure` to have it raise that; clear `open` to have it wait; `mint` is called with the identity.
    """

    issuer = "https://as.example"

    def __init__(self, kit, expires_in=300.0):
        self.kit, self.expires_in, self.failure = kit, expires_in, None
        self.asked, self._lock = [], Lock()
        self.open, self.waiting = Event(), Event()
        self.open.set()

    def mint(self, identity):
        return self.kit.issuer.mint(identity.certificate, client_id="client", audience=self.kit.audience)

    def fetch(self, identity):
        with self._lock:
            self.asked.append(identity.thumbprint)
        self.waiting.set()
        assert self.open.wait(DEADLINE_SECONDS)
        if self.failure is not None:
            raise self.failure
        return IssuedToken(self.mint(identity), self.expires_in, None)


class _Listener(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 50


class Recorder:
    """A host that belongs to somebody else: asks for a client certificate, and records what it gets.

    `connections` is how often it was connected to, `certificates` those that were shown to it, `heads` what requests
    begin with, `bytes` everything that came after handshakes.

    Args:
        ca: Who signs its certificate; None: there is no TLS.
        name: Whom that is for.
        answer: What it says to everybody.
    """

    def __init__(self, ca, name="127.0.0.1", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"):
        self.connections, self.certificates, self.heads, self.bytes = 0, [], [], b""
        self._answer = answer
        self._context = ca and asking_context(ca, name)
        self._listener = _Listener(("127.0.0.1", 0), self._handle)
        self.port = self._listener.server_address[1]
        self.url = f"{'https' if ca else 'http'}://{name}:{self.port}"
        self._thread = Thread(target=self._listener.serve_forever, args=[0.02], daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(DEADLINE_SECONDS)

    def _handle(self, connection, _address, _server):
        self.connections += 1
        connection.settimeout(DEADLINE_SECONDS)
        with suppress(OSError):
            self.talk(connection, self._context)

    def talk(self, connection, context):
        """Read requests, and answer each, over TLS if there is a *context*."""
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
            if connection.getpeercert(True):
                self.certificates.append(connection.getpeercert(True))
        head = b""
        with connection:
            while data := connection.recv(65_536):
                self.bytes += data
                head += data
                if b"\r\n\r\n" in head:
                    self.heads.append(head.decode("latin-1"))
                    head = b""
                    self.converse(connection)

    def converse(self, connection):
        """Answer the request whose head has come."""
        connection.sendall(self._answer)


class Proxy(Recorder):
    """A forward proxy that records, too; a hostile one is the server itself, with a certificate of *hostile*'s."""

    def __init__(self, ca=None, hostile=None):
        super().__init__(ca)
        self._hostile = hostile and asking_context(hostile, "127.0.0.1")

    def converse(self, connection):
        port = re.match(r"CONNECT 127\.0\.0\.1:(\d+) ", self.heads[-1])[1]
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self._hostile:
            self.talk(connection, self._hostile)
            return
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as upstream:
            while True:
                for one in select([connection, upstream], [], [], DEADLINE_SECONDS)[0]:
                    data = one.recv(65_536)  # more than a TLS record holds: nothing is left behind in it
                    if not data:
                        return
                    self.bytes += data
                    (upstream if one is connection else connection).sendall(data)


def asking_context(ca, name):
    """Of a server that asks for a client's certificate, and takes anybody's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(name).configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
