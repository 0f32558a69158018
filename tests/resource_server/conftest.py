"""The smallest ASGI and WSGI servers there can be, and a client of the guard in both colours."""

import asyncio
from contextlib import closing, nullcontext
import json

import django
from django.conf import settings
import pytest

from tokenbind import KeySet, TokenVerifier
from tokenbind.revocation import MemoryRevocation
from tokenbind.testing import asgi_with_peer, peer_environ


if not settings.configured:
    settings.configure(
        SECRET_KEY="of tests"
    )  # each test overrides what it needs; REST framework cannot be imported before
django.setup()


class Answer:
    """What came back: `status`, `headers` as a list of pairs, `body`; its challenge and its reference."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def challenge(self):
        return ", ".join(self.values("www-authenticate"))

    @property
    def reference(self):
        return json.loads(self.body)["reference"]


def bearer(token):
    return [] if token is None else [(b"authorization", b"Bearer " + token.encode())]


@pytest.fixture
def send_asgi():
    """Send one scope to an ASGI application; returns the messages that it sent, in *sent* too should it raise."""

    def send(app, scope, *incoming, sent=None):
        sent, waiting = [] if sent is None else sent, list(incoming)

        async def receive():
            return waiting.pop(0)

        async def keep(message):
            sent.append(message)

        asyncio.run(app(scope, receive, keep))
        return sent

    return send


@pytest.fixture
def get_asgi(send_asgi):
    """GET from an ASGI application as *peer*, with a token; returns an `Answer`, or raises what the app raises."""

    def get(app, peer=None, token=None, headers=(), **scope):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [*bearer(token), *headers], **scope}
        start, *body = send_asgi(asgi_with_peer(app, peer), scope, {"type": "http.request"})
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return Answer(start["status"], headers, b"".join(message["body"] for message in body))

    return get


@pytest.fixture
def get_wsgi():
    """GET from a WSGI application as *peer*, with a token; returns an `Answer`, or raises what the app raises."""

    def get(app, peer=None, token=None, **environ):
        started, chunks = [], []

        def start_response(status, headers, exc_info=None):
            assert bool(started) == (exc_info is not None)  # PEP 3333 for a second call; Werkzeug raises it on a first
            started.append((int(status[:3]), headers))
            return chunks.append

        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        request = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", **peer_environ(peer), **environ}
        body = app(request, start_response)
        with closing(body) if hasattr(body, "close") else nullcontext():
            chunks.extend(body)
        return Answer(*started[-1], b"".join(chunks))

    return get


@pytest.fixture(params=["authenticate", "authenticate_async"])
def authenticate(request):
    """Ask a guard, sync and async, as *peer* over TLS; returns the token or raises the refusal."""

    def ask(guard, peer=None, token=None, method="GET", path="/", headers=(), **options):
        options = {"tls_peer": peer_environ(peer)["tokenbind.socket"], **options}
        answer = getattr(guard, request.param)(method, path, [*bearer(token), *headers], **options)
        return asyncio.run(answer) if request.param == "authenticate_async" else answer

    return ask


class RevocationList(MemoryRevocation):
    """One that can be away, or broken."""

    error = None

    def check(self, token, presented, /):
        if self.error is not None:
            raise self.error
        super().check(token, presented)


@pytest.fixture
def revocation(tokenbind_clock):
    return RevocationList(clock=tokenbind_clock)


@pytest.fixture
def verifier(tokenbind_kit, revocation):
    """The kit's, with a revocation list."""
    return TokenVerifier(
        issuer=tokenbind_kit.issuer.issuer,
        audience=tokenbind_kit.audience,
        keys=KeySet.from_jwks(tokenbind_kit.issuer.jwks()),
        revocation=revocation,
        clock=tokenbind_kit.clock,
        monitor=tokenbind_kit.monitor,
    )
