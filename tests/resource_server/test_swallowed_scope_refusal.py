"""Frameworks that answer 500 to the error of `require_scope`: the middleware answers 403 in their stead."""

import asyncio
from contextlib import nullcontext, suppress

import pytest

from tokenbind import InsufficientScope, Reason
from tokenbind.resource_server.asgi import BoundTokenMiddleware as ASGIMiddleware
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.testing import asgi_with_peer


def swallowing(environ, start_response):
    """As Flask: the refusal becomes a 500."""
    try:
        environ["tokenbind.token"].require_scope("write")
    except InsufficientScope:
        start_response("500 Internal Server Error", [])(b"written")
        return [b"broken"]
    start_response("200 OK", [])
    return [b"done"]


def swallowing_lazily(environ, start_response):
    """The same, in a generator."""
    yield from swallowing(environ, start_response)


def swallowing_in_silence(environ, start_response):
    """The same, without a body."""
    for _ in swallowing(environ, start_response):
        return
    yield


class Lazy:
    """Starts its answer only when it is iterated, and is no generator, so that it is handed on."""

    def __init__(self, environ, start_response):
        self.environ, self.start_response = environ, start_response

    def __iter__(self):
        return swallowing_lazily(self.environ, self.start_response)


def handling(environ, start_response):
    """An application that can do without the scope."""
    try:
        environ["tokenbind.token"].require_scope("write")
    except InsufficientScope:
        start_response("204 No Content", [])
    return []


@pytest.mark.parametrize("app", [swallowing, swallowing_lazily, swallowing_in_silence])
def test_a_500_of_a_refused_scope_is_403(app, get_wsgi, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """Nothing of the 500 is sent; with the scope it is 200."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (403, Reason.SCOPE_INSUFFICIENT) == (answer.status, tokenbind_monitor.last_reason)
    assert tokenbind_monitor.refused[-1].reference == answer.reference
    if app is not swallowing_in_silence:
        answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client, scope="write"))
        assert (200, b"done") == (answer.status, answer.body)


def test_an_application_that_handles_the_refusal_has_its_way(get_wsgi, tokenbind_kit, tokenbind_client):
    """Only a 500 is replaced."""
    guarded = BoundTokenMiddleware(handling, tokenbind_kit.verifier)
    assert 204 == get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client)).status


def test_a_body_that_starts_late_has_its_way(get_wsgi, tokenbind_kit, tokenbind_client):
    """Nobody could answer in its stead any more, so its 500 is sent."""
    guarded = BoundTokenMiddleware(Lazy, tokenbind_kit.verifier)
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (500, b"writtenbroken") == (answer.status, answer.body)


def asgi_app(error):
    """Handles a refused scope, then answers 500 and lets *error* pass, as Starlette does."""

    async def app(scope, receive, send):
        with suppress(InsufficientScope):
            scope["tokenbind.token"].require_scope("write")
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"broken"})
        if error is not None:
            raise error

    return app


@pytest.mark.parametrize(("error", "status"), [(None, 403), (InsufficientScope(("write",)), 403), (KeyError("x"), 500)])
def test_asgi_waits_for_what_leaves_the_application(error, status, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """Another error than the scope's keeps its 500, and passes."""
    guarded = asgi_with_peer(ASGIMiddleware(asgi_app(error), tokenbind_kit.verifier), tokenbind_client)
    headers = [(b"authorization", f"Bearer {tokenbind_kit.mint(tokenbind_client)}".encode())]
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": iter(headers)}
    with pytest.raises(KeyError) if status == 500 else nullcontext():
        asyncio.run(guarded(scope, None, send))
    assert [status, None] == [message.get("status") for message in sent]
    assert (status == 403) == (tokenbind_monitor.last_reason is Reason.SCOPE_INSUFFICIENT)


def test_headers_may_come_only_once(tokenbind_kit, tokenbind_client):
    """ASGI says iterable: early data is seen although the token was looked for first."""
    guarded = asgi_with_peer(ASGIMiddleware(asgi_app(None), tokenbind_kit.verifier), tokenbind_client)
    fields = [(b"authorization", f"Bearer {tokenbind_kit.mint(tokenbind_client)}".encode()), (b"early-data", b"1")]
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(guarded({"type": "http", "method": "GET", "path": "/", "headers": iter(fields)}, None, send))
    assert 425 == sent[0]["status"]
