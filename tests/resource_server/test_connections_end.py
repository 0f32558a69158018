"""Connections end with their token: websockets always, responses by choice; under asyncio and trio."""

from contextlib import suppress
import json

import anyio
from anyio.lowlevel import checkpoint
import pytest

from tokenbind import InvalidToken, Reason, Unavailable
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.resource_server.lifetime import watched
from tokenbind.testing import asgi_with_peer


DEADLINE_SECONDS = 20
ANSWER = {"extensions": {"websocket.http.response": {}}}
CLOSE = {"type": "websocket.close", "code": 1008}
START = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/plain")]}
EVENTS = {**START, "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")]}
MORE = {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}


@pytest.fixture
def guard(tokenbind_client, verifier):
    """Put an application behind the middleware, on the client's connection."""
    return lambda app, **options: asgi_with_peer(BoundTokenMiddleware(app, verifier, **options), tokenbind_client)


@pytest.fixture(params=["asyncio", "trio"])
def serve(request, tokenbind_token):
    """Run *app* for a scope with the client's token, as a server does; gives what it has sent.

    The client sends *incoming*, and then nothing until it is told that this is over; then it is gone. *after* says what
    is done when a message of which type was sent.
    """

    def serve(app, scope, incoming=(), *, after=(None, None)):
        scope = {"path": "/", "headers": [(b"authorization", b"Bearer " + tokenbind_token.encode())], **scope}
        sent, waiting = [], list(incoming)
        kind, act = after

        async def main():
            closed = anyio.Event()

            async def receive():
                if waiting:
                    return waiting.pop(0)
                await closed.wait()
                return {"type": f"{scope['type']}.disconnect"}

            async def send(message):
                await checkpoint()
                sent.append(message)
                if message["type"] in ("websocket.close", "websocket.http.response.body"):
                    closed.set()
                if message["type"] == kind:
                    act()

            with anyio.fail_after(DEADLINE_SECONDS):
                await app(scope, receive, send)

        anyio.run(main, backend=request.param)
        return sent

    return serve


async def told(monitor):
    """Until the monitor was told of a refusal, and whoever told it has gone on."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not monitor.refused:  # noqa: ASYNC110 - the monitor is no event
            await anyio.sleep(0.01)
    await checkpoint()


WEBSOCKET, HTTP = {"type": "websocket"}, {"type": "http", "method": "GET"}
CONNECT = [{"type": "websocket.connect"}]


class Idle:
    """A websocket application that accepts, and then waits for a client that says nothing."""

    def __init__(self):
        self.events = []

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        self.events.append((await receive())["type"])
        try:
            await send({"type": "websocket.send", "text": "a secret"})
        except OSError:
            self.events.append("refused")
            raise


@pytest.fixture(params=["expired", "revoked", "unavailable"])
def end(request, revocation, tokenbind_clock, tokenbind_client):
    """A way for the token to end: what does it, the reason, and the close code."""

    def be_away():
        revocation.error = Unavailable(Reason.REVOCATION_UNAVAILABLE, "no news since yesterday")

    return {
        "expired": (lambda: tokenbind_clock.move(301), Reason.TOKEN_EXPIRED, 1008),
        "revoked": (lambda: revocation.revoke_certificate(tokenbind_client.thumbprint), Reason.TOKEN_REVOKED, 1008),
        "unavailable": (be_away, Reason.REVOCATION_UNAVAILABLE, 1013),
    }[request.param]


def test_an_idle_websocket_is_closed(end, guard, serve, tokenbind_monitor, caplog):
    """Nobody says anything, and it is closed; the application hears of it, and what it still sends goes nowhere."""
    act, reason, code = end
    app = Idle()
    sent = serve(guard(app), WEBSOCKET, CONNECT, after=("websocket.accept", act))
    assert [{"type": "websocket.accept"}, {"type": "websocket.close", "code": code}] == sent
    assert ["websocket.disconnect", "refused"] == app.events
    assert reason is tokenbind_monitor.last_reason
    assert f"{reason}: " in caplog.text
    assert f"(reference {tokenbind_monitor.refused[-1].reference})" in caplog.text


def test_what_the_client_sends_after_its_token_goes_nowhere(end, guard, serve, tokenbind_monitor):
    """hypercorn and others hand on what comes after the close frame; the application must not obey it."""
    act, _, code = end
    heard = []

    async def obeying(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await told(tokenbind_monitor)
        heard.append(await receive())

    late = {"type": "websocket.receive", "text": "delete it all"}
    serve(guard(obeying), WEBSOCKET, [*CONNECT, late], after=("websocket.accept", act))
    assert [{"type": "websocket.disconnect", "code": code}] == heard


@pytest.mark.parametrize("extensions", [{}, ANSWER], ids=["close", "answer"])
def test_one_that_was_not_accepted_in_time_is_refused(extensions, guard, serve, revocation, tokenbind_client):
    """A handshake that lasts longer than the token gets no websocket, and an answer where the server can give one."""

    async def slow(scope, receive, send):
        await receive()
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        await receive()
        await send({"type": "websocket.accept"})

    sent = serve(guard(slow), {**WEBSOCKET, **extensions}, CONNECT)
    if extensions:
        start, body = sent
        assert (401, "websocket.http.response.body") == (start["status"], body["type"])
        assert "invalid_token" == json.loads(body["body"])["error"]
    else:
        assert [CLOSE] == sent


def test_refused_handshake_is_answered(guard, serve, tokenbind_monitor):
    """Where the server can, the handshake without a good token gets the answer that a request would get."""
    scope = {**WEBSOCKET, **ANSWER, "headers": []}
    start, body = serve(guard(Idle()), scope, CONNECT)
    assert ("websocket.http.response.start", 401) == (start["type"], start["status"])
    assert b"www-authenticate" in dict(start["headers"])
    assert Reason.TOKEN_MISSING is tokenbind_monitor.last_reason
    assert tokenbind_monitor.refused[-1].reference == json.loads(body["body"])["reference"]


@pytest.mark.parametrize("accepted", [False, True])
def test_scope_refused_in_a_websocket(accepted, guard, serve, tokenbind_monitor):
    """403 before the websocket is accepted, closed with 1008 afterwards; reported once."""

    async def narrow(scope, receive, send):
        await receive()
        if accepted:
            await send({"type": "websocket.accept"})
        scope["tokenbind.token"].require_scope("write")

    sent = serve(guard(narrow), {**WEBSOCKET, **ANSWER}, CONNECT)
    assert sent[-1] == CLOSE if accepted else sent[0]["status"] == 403
    assert [Reason.SCOPE_INSUFFICIENT] == [event.reason for event in tokenbind_monitor.refused]


@pytest.mark.parametrize("last", ["websocket.close", "websocket.http.response.start", "websocket.disconnect"])
def test_a_websocket_that_is_over_is_left_alone(last, guard, serve, revocation, tokenbind_client, tokenbind_monitor):
    """It was closed, refused by the application, or left by the client: whatever that still does, nothing is sent."""

    async def tidying(scope, receive, send):
        await receive()
        if last == "websocket.disconnect":
            assert last == (await receive())["type"]
        else:
            await send({"type": last})
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        await told(tokenbind_monitor)

    sent = serve(guard(tidying), WEBSOCKET, [*CONNECT, {"type": "websocket.disconnect"}])
    assert [] == [message for message in sent if message["type"] != last]


def test_errors_of_the_application_are_its_own(guard, serve):
    """As they are: in no group, and an OSError too, if it is not of our making."""
    for error in (ValueError("its own"), ConnectionResetError("its own")):

        async def broken(scope, receive, send, error=error):
            raise error

        with pytest.raises(type(error)) as caught:
            serve(guard(broken), WEBSOCKET, CONNECT)
        assert error is caught.value


def test_a_revocation_list_that_breaks_ends_the_websocket(guard, serve, revocation):
    """Whatever goes wrong in the watch, the connection does not go on without it."""

    def break_it():
        revocation.error = ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError):
        serve(guard(Idle()), WEBSOCKET, CONNECT, after=("websocket.accept", break_it))


def stream(*messages, then="wait"):
    """An application that sends these, and then waits without a word."""

    async def streaming(scope, receive, send):
        for message in messages:
            await send(message)
        await anyio.sleep_forever() if then == "wait" else await checkpoint()

    return streaming


def test_a_stream_of_events_is_complete_when_its_token_ends(end, guard, serve, tokenbind_monitor):
    """An idle stream of server-sent events ends as if there were no more; the client comes again, with a new token."""
    act, reason, _ = end
    app = guard(stream(EVENTS, MORE), end_responses=True)
    sent = serve(app, HTTP, after=("http.response.body", act))
    assert ["http.response.start", "http.response.body", "http.response.body"] == [message["type"] for message in sent]
    assert {"type": "http.response.body", "body": b""} == sent[-1]
    assert reason is tokenbind_monitor.last_reason


def test_any_other_response_is_cut_off(end, guard, serve):
    """It does not pass for complete: the server is given an error, with the reason."""
    act, reason, _ = end
    with pytest.raises(Exception) as caught:  # noqa: PT011 - InvalidToken or Unavailable
        serve(guard(stream(START, MORE), end_responses=True), HTTP, after=("http.response.body", act))
    assert reason is caught.value.reason


@pytest.mark.parametrize("begun", [EVENTS, START, None], ids=["events", "other", "not begun"])
@pytest.mark.parametrize("returns", [True, False])
def test_what_is_sent_after_the_token_goes_nowhere(returns, begun, guard, serve, revocation, tokenbind_client):
    """An application that does not let itself be cancelled, or a task that it leaves behind, has nobody to speak to."""

    async def stubborn(scope, receive, send):
        if begun:
            await send(begun)
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), suppress(OSError if returns else ()):
                await send(MORE if begun else START)

    app = guard(stubborn, end_responses=True)
    if begun is START:
        with pytest.raises(InvalidToken):
            serve(app, HTTP)
        return
    start, body = serve(app, HTTP)
    assert (200, b"") == (start["status"], body["body"]) if begun else start["status"] == 401


def test_a_response_that_has_not_begun_is_refused(guard, serve, revocation, tokenbind_client, tokenbind_monitor):
    """The token ended while the application thought: 401, as if it had come too late."""

    async def thinking(scope, receive, send):
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        await anyio.sleep_forever()

    start, body = serve(guard(thinking, end_responses=True), HTTP)
    assert (401, Reason.TOKEN_REVOKED) == (start["status"], tokenbind_monitor.last_reason)
    assert tokenbind_monitor.refused[-1].reference == json.loads(body["body"])["reference"]


def test_what_comes_after_a_response_goes_on(guard, serve, revocation, tokenbind_client, tokenbind_monitor):
    """A background task of the application is none of the client's business."""
    done = []

    async def with_a_task(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"done"})
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        await told(tokenbind_monitor)
        done.append(True)

    assert 2 == len(serve(guard(with_a_task, end_responses=True), HTTP))
    assert done


def test_responses_go_on_by_default(guard, serve, revocation, tokenbind_client, tokenbind_monitor):
    """Without the option, what has begun is finished."""

    async def streaming(scope, receive, send):
        await send(START)
        revocation.revoke_certificate(tokenbind_client.thumbprint)
        for more in (True, False):
            await anyio.sleep(0.3)
            await send({**MORE, "more_body": more})

    assert 3 == len(serve(guard(streaming), HTTP))
    assert [] == tokenbind_monitor.refused


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_from_without(backend):
    """A server that cancels the application cancels the watch too, and gets no error of ours."""
    seen = []

    async def watch(sleep):
        try:
            await sleep(DEADLINE_SECONDS)
        finally:
            seen.append("watch ended")

    async def main():
        with anyio.move_on_after(0.01) as scope:
            await watched(anyio.sleep_forever, watch)
        await checkpoint()
        seen.append(scope.cancelled_caught)

    anyio.run(main, backend=backend)
    assert ["watch ended", True] == seen


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("error", [None, ValueError("its own"), TimeoutError("its own")])
def test_the_error_of_the_watch_goes_before_all_others(error, backend):
    """Whatever comes of being cancelled: an error, or nothing."""

    async def watch(sleep):
        await sleep(0)
        raise ZeroDivisionError

    async def stubborn():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            if error is not None:
                raise error from None

    with pytest.raises(ZeroDivisionError):
        anyio.run(watched, stubborn, watch, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_timeout_of_the_application_is_its_own(backend):
    """It does not pass for the end of a token."""

    async def watch(sleep):
        await sleep(DEADLINE_SECONDS)

    async def late():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        anyio.run(watched, late, watch, backend=backend)
