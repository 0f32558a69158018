"""The ASGI middleware: what it lets through, what it answers, and what becomes of the application's own answers."""

import asyncio

import pytest

from tokenbind import InsufficientScope, InvalidRequest, Reason
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import RecordingMonitor, asgi_with_peer


class App:
    """Answers 200 and keeps each scope; *headers* are those of the answer; *act* is done at the point *when*."""

    def __init__(self, *, headers=(), act=None, when="first"):
        self.headers = headers
        self.scopes = []
        self.act = act
        self.when = when

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        self._act("first", scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"done"})
        self._act("last", scope)

    def _act(self, when, scope):
        if self.act is not None and self.when == when:
            self.act(scope)


def need_write(scope):
    scope["tokenbind.token"].require_scope("write")


def websocket(token, path="/"):
    return {"type": "websocket", "path": path, "headers": [(b"authorization", b"Bearer " + token.encode())]}


CONNECT = {"type": "websocket.connect"}
CLOSE = {"type": "websocket.close", "code": 1008}


def test_token_is_in_the_scope_and_a_thief_does_not_get_there(
    get_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """200 for the owner, and the app finds the token; 401 for a thief, whose request the app never sees."""
    app = App()
    guarded = BoundTokenMiddleware(app, tokenbind_verifier)
    answer = get_asgi(guarded, tokenbind_client, tokenbind_token)
    assert (200, b"done") == (answer.status, answer.body)
    assert tokenbind_client.thumbprint == app.scopes[0]["tokenbind.token"].thumbprint
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = get_asgi(guarded, thief, tokenbind_token)
        assert (401, reason) == (answer.status, tokenbind_monitor.last_reason)
        assert 'error="invalid_token"' in answer.challenge
        assert tokenbind_monitor.refused[-1].reference == answer.reference
    assert 1 == len(app.scopes)


def test_callers_scope_is_not_changed(send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """The token goes into a copy: an outer middleware's scope does not get it."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": websocket(tokenbind_token)["headers"]}
    outer = dict(scope, extensions={"tls": {"client_cert": tokenbind_client.peer.der}})
    kept = dict(outer)
    assert 2 == len(send_asgi(BoundTokenMiddleware(App(), tokenbind_verifier), outer))
    assert kept == outer


def test_server_without_tls_extension_is_503(send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_monitor):
    """No TLS extension: unavailable, without a challenge."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": websocket(tokenbind_token)["headers"]}
    start, _ = send_asgi(BoundTokenMiddleware(App(), tokenbind_verifier), scope)
    assert (503, Reason.CERTIFICATE_SOURCE_MISSING) == (start["status"], tokenbind_monitor.last_reason)
    assert b"www-authenticate" not in dict(start["headers"])


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        ({"headers": [(b"early-data", b"1")]}, 425, Reason.EARLY_DATA),
        ({"query_string": b"access_token=x"}, 400, Reason.TOKEN_IN_QUERY),
        ({"headers": [(b"authorization", b"Bearer x")]}, 400, Reason.AUTHORIZATION_REPEATED),
    ],
)
def test_request_reaches_the_guard_whole(
    request_, status, reason, get_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_monitor
):
    """Query and repeated headers are the guard's to judge."""
    guarded = BoundTokenMiddleware(App(), tokenbind_verifier)
    answer = get_asgi(guarded, tokenbind_client, tokenbind_token, **request_)
    assert (status, reason) == (answer.status, tokenbind_monitor.last_reason)


def test_lifespan_passes_as_it_is(send_asgi, tokenbind_verifier):
    """Start-up and shutdown belong to the application."""
    app, scope, passed = App(), {"type": "lifespan", "state": {}}, []

    async def lifespan(scope, receive, send):
        passed.append(scope)
        await send(await receive())

    sent = send_asgi(BoundTokenMiddleware(lifespan, tokenbind_verifier), scope, {"type": "lifespan.startup"})
    assert [{"type": "lifespan.startup"}] == sent
    assert passed[0] is scope
    assert not app.scopes


@pytest.mark.parametrize("kind", ["webtransport", "HTTP", ""])
def test_unknown_type_of_scope_is_refused(kind, send_asgi, tokenbind_verifier):
    """What is not known cannot be guarded, so it does not pass."""
    app = App()
    with pytest.raises(InvalidRequest) as refused:
        send_asgi(BoundTokenMiddleware(app, tokenbind_verifier), {"type": kind, "headers": []})
    assert Reason.SCOPE_TYPE_REFUSED is refused.value.reason
    assert not app.scopes


def test_websocket_is_refused_before_it_is_accepted(
    send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The owner's is accepted; the thief's is closed instead, which a server answers with 403."""
    app = App()
    guarded, scope = BoundTokenMiddleware(app, tokenbind_verifier), websocket(tokenbind_token)
    assert [{"type": "websocket.accept"}] == send_asgi(asgi_with_peer(guarded, tokenbind_client), scope, CONNECT)
    assert tokenbind_client.thumbprint == app.scopes[0]["tokenbind.token"].thumbprint
    assert [CLOSE] == send_asgi(asgi_with_peer(guarded, tokenbind_stranger), scope, CONNECT)
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_monitor.last_reason
    assert 1 == len(app.scopes)


def test_websocket_is_received_before_it_is_refused(tokenbind_verifier):
    """ASGI: the application takes ``websocket.connect``, then answers it."""
    order = []

    async def receive():
        order.append("received")
        return CONNECT

    async def send(message):
        order.append(message)

    guarded = asgi_with_peer(BoundTokenMiddleware(App(), tokenbind_verifier), None)
    asyncio.run(guarded(websocket("x"), receive, send))
    assert ["received", CLOSE] == order


@pytest.mark.parametrize(("when", "sent"), [("first", [CLOSE]), ("last", [{"type": "websocket.accept"}, CLOSE])])
def test_scope_refused_in_a_websocket_closes_it(
    when, sent, send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_monitor
):
    """`require_scope` before or after accepting: 1008, and the monitor is told."""
    guarded = asgi_with_peer(BoundTokenMiddleware(App(act=need_write, when=when), tokenbind_verifier), tokenbind_client)
    assert sent == send_asgi(guarded, websocket(tokenbind_token), CONNECT)
    assert Reason.SCOPE_INSUFFICIENT is tokenbind_monitor.last_reason


def test_scope_refused_in_the_application_is_403(
    get_asgi, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The error of `require_scope` becomes the answer, with the scope that is needed; with the scope it is 200."""
    guarded = BoundTokenMiddleware(App(act=need_write), tokenbind_kit.verifier)
    good, narrow = (tokenbind_kit.mint(tokenbind_client, scope=scope) for scope in ("read write", "read"))
    assert 200 == get_asgi(guarded, tokenbind_client, good).status
    answer = get_asgi(guarded, tokenbind_client, narrow)
    assert 403 == answer.status
    assert answer.challenge.startswith('Bearer realm="api", error="insufficient_scope"')
    assert answer.challenge.endswith('scope="write"')
    event = tokenbind_monitor.refused[-1]
    assert (Reason.SCOPE_INSUFFICIENT, answer.reference) == (event.reason, event.reference)
    assert tokenbind_monitor.accepted[-1].token_id == event.token_id
    assert 401 == get_asgi(guarded, tokenbind_stranger, good).status


def test_scope_refused_after_the_answer_started_is_raised(
    send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client
):
    """One answer only: what was begun stays, and the server is told of the error."""
    guarded = asgi_with_peer(
        BoundTokenMiddleware(App(act=need_write, when="last"), tokenbind_verifier), tokenbind_client
    )
    sent = []
    scope = {**websocket(tokenbind_token), "type": "http", "method": "GET"}
    with pytest.raises(InsufficientScope):
        send_asgi(guarded, scope, sent=sent)
    assert [200] == [message["status"] for message in sent if message["type"] == "http.response.start"]


def test_arguments_are_those_of_the_guard(get_asgi, tokenbind_kit, tokenbind_client):
    """`realm=`, `required_scopes=` and `monitor=` reach it; the application is not called without the scope."""
    app, own = App(), RecordingMonitor()
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier, realm="own", required_scopes=["read"], monitor=own)
    assert 200 == get_asgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client, scope="read")).status
    answer = get_asgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (403, Reason.SCOPE_INSUFFICIENT, 1) == (answer.status, own.last_reason, len(app.scopes))
    assert 'realm="own"' in answer.challenge


def raise_value_error(scope):
    raise ValueError("the application's own")


def test_other_errors_of_the_application_are_its_own(get_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """Only `InsufficientScope` is ours to answer."""
    with pytest.raises(ValueError, match="own"):
        get_asgi(
            BoundTokenMiddleware(App(act=raise_value_error), tokenbind_verifier), tokenbind_client, tokenbind_token
        )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ["no-store"]),
        ([(b"Cache-Control", b"public, max-age=60")], ["public, max-age=60", "private"]),
        ([(b"cache-control", b"private, max-age=60")], ["private, max-age=60"]),
        (iter([(b"cache-control", b"no-store")]), ["no-store"]),
    ],
)
def test_answers_are_kept_out_of_shared_caches(
    headers, expected, get_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client
):
    """Each answer to a bound request gets what its Cache-Control lacks; the rest of it stays."""
    guarded = BoundTokenMiddleware(App(headers=[(b"x-kept", b"1"), *headers]), tokenbind_verifier)
    answer = get_asgi(guarded, tokenbind_client, tokenbind_token)
    assert (expected, ["1"]) == (answer.values("cache-control"), answer.values("x-kept"))


def test_answer_without_headers(send_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """ASGI lets an application leave its headers out."""

    async def terse(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})

    guarded = asgi_with_peer(BoundTokenMiddleware(terse, tokenbind_verifier), tokenbind_client)
    (start,) = send_asgi(guarded, {**websocket(tokenbind_token), "type": "http", "method": "GET"})
    assert [(b"cache-control", b"no-store")] == start["headers"]


def test_exempt_requests_have_no_token(send_asgi, get_asgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """An exempt request passes without TLS, its answer is untouched, and a token in it counts for nothing."""
    app = App(headers=[(b"cache-control", b"public")])
    guarded = BoundTokenMiddleware(app, tokenbind_verifier, exempt={("GET", "/health"), ("WEBSOCKET", "/news")})
    preset = {"tokenbind.token": "forged by an outer layer"}
    answer = get_asgi(guarded, tokenbind_client, tokenbind_token, path="/health", **preset)
    assert (200, ["public"]) == (answer.status, answer.values("cache-control"))
    assert 1 == len(send_asgi(guarded, websocket("x", "/news"), CONNECT))
    assert [None, None] == [scope["tokenbind.token"] for scope in app.scopes]
    assert 401 == get_asgi(guarded, path="/news").status
    assert [CLOSE] == send_asgi(asgi_with_peer(guarded, None), websocket("x", "/health"), CONNECT)


@pytest.mark.parametrize(
    ("mount", "root_path", "path", "status"),
    [
        ("", "", "/v1/health", 200),
        ("/v1", "/v1", "/v1/health", 200),  # as uvicorn, and as Starlette mounts
        ("/v1", "/v1", "/health", 200),  # as servers that take the mount point out
        ("/v1/", "/v1", "/v1/health", 200),
        ("/v1", "/v1/", "/v1/health", 200),
        ("", "", "/health", 401),
        ("/v2", "/v2", "/v2/health", 401),
        ("/v2", "/v2", "/health", 401),
        ("/v1/health", "/v1/health", "/v1/health", 200),
        ("/v1/health", "/v1/health", "/", 401),
        ("/v1", "/v1", "/v1health", 401),
        ("", "", "/v1health", 200),
        ("", "/v1", "/v1/health", 401),  # a mount point that nobody has configured
        ("", "/v1", "/health", 401),
        ("/v1", "", "/v1/health", 401),
    ],
)
def test_exempt_is_compared_with_the_full_path(mount, root_path, path, status, get_asgi, tokenbind_verifier):
    """``("GET", "/v1/health")`` is that path only, below the mount point that is configured, however it is split."""
    exempt = {("GET", "/v1/health"), ("GET", "/v1health")}
    guarded = BoundTokenMiddleware(App(), tokenbind_verifier, exempt=exempt, mount=mount)
    assert status == get_asgi(guarded, root_path=root_path, path=path).status
