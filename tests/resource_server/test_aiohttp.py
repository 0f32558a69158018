"""aiohttp.web behind the guard: aiohttp's own server and client, over real mutual TLS."""

import asyncio
from contextlib import asynccontextmanager
import json
import ssl

import aiohttp
from aiohttp import web
import pytest
from yarl import URL

from tokenbind import ConfigurationError, InsufficientScope, Reason, Unavailable
from tokenbind.resource_server.aiohttp import TOKEN_KEY, bound_token, install


DEADLINE_SECONDS = 20
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def talk(tokenbind_kit):
    """Serve an application over mutual TLS, and let *dialogue* talk to it; gives what that returns.

    It is given `connect`: a session of aiohttp's client, on connections of its own, for a peer or for none.
    """

    def talk(app, dialogue, *, tls=True):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(context)
        tokenbind_kit.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL

        async def main():
            runner = web.AppRunner(app, shutdown_timeout=0.01)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context if tls else None).start()

            origin = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"

            @asynccontextmanager
            async def connect(peer=None, base_url=origin):
                ca = tokenbind_kit.ca_pem.decode()
                context = (
                    ssl.create_default_context(cadata=ca)
                    if peer is None
                    else peer.identity.current().ssl_context(tokenbind_kit.ca_pem)
                )
                async with aiohttp.ClientSession(base_url, connector=aiohttp.TCPConnector(ssl=context)) as session:
                    yield session

            connect.origin = origin
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    return await dialogue(connect)
            finally:
                await runner.cleanup()

        return asyncio.run(main())

    return talk


@pytest.fixture
def get(talk):
    """GET as *peer*, with a token; gives status, headers and text."""

    def get(app, peer=None, token=None, path="/", *, method="GET", headers=(), tls=True):
        fields = [*bearer(token), *dict(headers).items()]

        async def dialogue(connect):
            async with connect(peer, None) as session:
                url = URL(f"{connect.origin}{path}", encoded=True)  # as it is, with its dots and slashes
                async with session.request(method, url, headers=fields) as answer:
                    return answer.status, answer.headers, await answer.text()

        return talk(app, dialogue, tls=tls)

    return get


def bearer(token):
    return [] if token is None else [("Authorization", f"Bearer {token}")]


async def told(request):
    """Answers with what was proven."""
    return web.json_response({"thumbprint": bound_token(request).thumbprint})


def application(verifier, handler=told, path="/", *, middlewares=(), **options):
    app = web.Application(middlewares=middlewares)
    app.router.add_route("*", path, handler)
    install(app, verifier, **options)
    return app


def test_the_client_is_let_in(get, verifier, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """Certificate and token belong together; the handler has the token, and no shared cache the answer."""
    status, headers, text = get(application(verifier), tokenbind_client, tokenbind_token)
    assert (200, tokenbind_client.thumbprint) == (status, json.loads(text)["thumbprint"])
    assert "no-store" == headers["Cache-Control"]
    assert [tokenbind_client.thumbprint] == [event.thumbprint for event in tokenbind_monitor.accepted]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("stranger", Reason.CERTIFICATE_MISMATCH),
        ("renewed", Reason.CERTIFICATE_MISMATCH),
        ("no certificate", Reason.CERTIFICATE_MISSING),
        ("no token", Reason.TOKEN_MISSING),
        ("unbound", Reason.TOKEN_UNBOUND),
        ("expired", Reason.TOKEN_EXPIRED),
        ("revoked", Reason.TOKEN_REVOKED),
    ],
)
def test_all_others_are_not(
    case, reason, get, verifier, revocation, tokenbind_kit, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """401 for every other certificate and token, known path or not; answer and event have one reference."""
    peer, token = tokenbind_client, tokenbind_token
    if case == "stranger":
        peer = tokenbind_kit.client("stranger")
    elif case == "renewed":
        peer = tokenbind_kit.renewed(tokenbind_client)
    elif case == "no certificate":
        peer = None
    elif case == "no token":
        token = None
    elif case == "unbound":
        token = tokenbind_kit.unbound(tokenbind_client)
    elif case == "expired":
        tokenbind_kit.clock.move(301)
    elif case == "revoked":
        revocation.revoke_certificate(tokenbind_client.thumbprint)
    for path in ("/", "/unknown"):
        status, headers, text = get(application(verifier), peer, token, path)
        assert (401, reason) == (status, tokenbind_monitor.last_reason)
        assert tokenbind_monitor.refused[-1].reference == json.loads(text)["reference"]
        assert headers["WWW-Authenticate"].startswith('Bearer realm="api"')
        assert ["no-store"] == headers.getall("Cache-Control")


def test_malformed_requests(get, verifier, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """Two Authorization headers, and a token in the query: the guard is given all that was sent."""
    status, _, _ = get(application(verifier), tokenbind_client, tokenbind_token, headers={"Authorization": "Bearer x"})
    assert (400, Reason.AUTHORIZATION_REPEATED) == (status, tokenbind_monitor.last_reason)
    status, _, _ = get(application(verifier), tokenbind_client, tokenbind_token, "/?a=b&acc%65ss_token=x")
    assert (400, Reason.TOKEN_IN_QUERY) == (status, tokenbind_monitor.last_reason)


def test_plain_http(get, verifier, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """Nothing is known of a certificate, so nothing is allowed."""
    status, _, _ = get(application(verifier), None, tokenbind_token, tls=False)
    assert (503, Reason.CERTIFICATE_SOURCE_MISSING) == (status, tokenbind_monitor.last_reason)


def test_the_peer_source_is_asked_about_the_socket(
    get, verifier, tokenbind_stranger, tokenbind_client, tokenbind_token
):
    """Another source than the default gets the headers, and both ends of the connection; and it decides."""
    asked = []

    class Source:
        from_scope = from_environ = None

        def from_request(self, headers, /, *, socket_peer, socket_name, tls_peer):
            asked.append((dict(headers)[b"X-Cert"], socket_peer[0], socket_name, tls_peer.getpeercert(True)))
            return tokenbind_client.peer

    app = application(verifier, peer_source=Source())
    assert 200 == get(app, tokenbind_stranger, tokenbind_token, headers={"X-Cert": "1"})[0]
    ((header, address, own, der),) = asked
    assert (b"1", "127.0.0.1", "127.0.0.1", tokenbind_stranger.peer.der) == (header, address, own[0], der)


@pytest.mark.parametrize("end_responses", [False, True])
def test_three_clients_interleaved(end_responses, talk, verifier, tokenbind_kit):
    """Kept connections, each client's own; and each refused with the token of another, on the same connections."""
    clients = [tokenbind_kit.client(name) for name in ("alice", "bob", "carol")]

    async def dialogue(connect):
        async with connect(clients[0]) as alice, connect(clients[1]) as bob, connect(clients[2]) as carol:
            for _ in range(5):
                for session, client in zip((alice, bob, carol), clients, strict=True):
                    for owner in clients:
                        async with session.get("/", headers=bearer(tokenbind_kit.mint(owner))) as answer:
                            text = await answer.text()
                            assert (200 if owner is client else 401) == answer.status
                            assert (client.thumbprint in text) == (owner is client)

    talk(application(verifier, end_responses=end_responses), dialogue)


async def narrow(request):
    bound_token(request).require_scope("write")
    return web.Response(text="done")


@web.middleware
async def answering_500(request, handler):
    try:
        return await handler(request)
    except Exception:  # noqa: BLE001 - as such middlewares do
        return web.json_response({"error": "sorry"}, status=500)


@web.middleware
async def raising_500(request, handler):
    try:
        return await handler(request)
    except Exception:  # noqa: BLE001 - as such middlewares do
        raise web.HTTPInternalServerError from None


@pytest.mark.parametrize("middlewares", [(), (answering_500,), (raising_500,)])
def test_a_scope_that_is_missing(middlewares, get, verifier, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """`require_scope` in a handler is answered with 403, whatever a middleware makes of it, and reported once."""
    app = application(verifier, narrow, middlewares=middlewares)
    status, headers, text = get(app, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (403, True) == (status, 'scope="write"' in headers["WWW-Authenticate"])
    [event] = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, event.reference) == (event.reason, json.loads(text)["reference"])
    app = application(verifier, narrow, middlewares=middlewares)
    assert 200 == get(app, tokenbind_client, tokenbind_kit.mint(tokenbind_client, scope="write"))[0]


def test_a_scope_that_every_request_needs(get, verifier, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """`required_scopes` is asked for before any handler."""
    app = application(verifier, required_scopes=("read",))
    assert 403 == get(app, tokenbind_client, tokenbind_token, "/unknown")[0]
    assert [Reason.SCOPE_INSUFFICIENT] == [event.reason for event in tokenbind_monitor.refused]


@pytest.mark.parametrize("error", [web.HTTPNotFound, web.HTTPInternalServerError, ValueError])
def test_errors_of_the_application_are_its_own(error, get, verifier, tokenbind_client, tokenbind_token):
    """As they are, but for caches."""

    async def broken(request):
        raise error

    status, headers, _ = get(application(verifier, broken), tokenbind_client, tokenbind_token)
    assert getattr(error, "status_code", 500) == status
    assert "no-store" == headers["Cache-Control"]


def test_a_handler_can_do_without_the_scope(get, verifier, tokenbind_client, tokenbind_token, tokenbind_monitor):
    """What it answers then is its own affair."""

    async def handling(request):
        try:
            return await narrow(request)
        except InsufficientScope:
            return web.Response(status=204)

    assert 204 == get(application(verifier, handling), tokenbind_client, tokenbind_token)[0]
    assert [] == tokenbind_monitor.refused


@pytest.mark.parametrize("end_responses", [False, True])
def test_a_handler_without_an_answer(end_responses, get, verifier, tokenbind_client, tokenbind_token):
    """aiohttp says so, as without a guard."""

    async def silent(request):
        pass

    app = application(verifier, silent, end_responses=end_responses)
    assert 500 == get(app, tokenbind_client, tokenbind_token)[0]


def test_unknown_paths_are_refused_before_they_are_unknown(get, verifier, tokenbind_client, tokenbind_token):
    """404 and 405 are for those who may know; see `test_all_others_are_not`."""
    app = application(verifier, path="/known")
    assert 404 == get(app, tokenbind_client, tokenbind_token, "/unknown")[0]


def test_sub_applications_are_guarded(get, verifier, tokenbind_kit, tokenbind_client, tokenbind_token):
    """By the guard of the outer application, and by their own, too."""

    def made(**options):
        app, inner = web.Application(), web.Application()
        inner.router.add_get("/told", told)
        if options:
            install(inner, verifier, **options)
        app.add_subapp("/inner", inner)
        install(app, verifier, exempt={("GET", "/inner/open")})
        return app

    for options in ({}, {"required_scopes": ("read",)}):
        assert 401 == get(made(**options), tokenbind_kit.client("stranger"), tokenbind_token, "/inner/told")[0]
        assert 401 == get(made(**options), tokenbind_kit.client("stranger"), tokenbind_token, "/inner/unknown")[0]
        wide = tokenbind_kit.mint(tokenbind_client, scope="read")
        assert 200 == get(made(**options), tokenbind_client, wide, "/inner/told")[0]
        assert 404 == get(made(**options), tokenbind_client, wide, "/inner/unknown")[0]
    assert 403 == get(made(**options), tokenbind_client, tokenbind_token, "/inner/told")[0]


EXEMPT = {("GET", "/health"), ("GET", "/a/b"), ("WEBSOCKET", "/news"), ("GET", "/ü")}


@pytest.mark.parametrize(
    ("method", "path", "headers", "let_in"),
    [
        ("GET", "/health", {}, True),
        ("GET", "/he%61lth", {}, True),
        ("GET", "/health?x=1", {}, True),
        ("GET", "/%C3%BC", {}, True),
        ("GET", "/news", UPGRADE, True),
        ("HEAD", "/health", {}, False),
        ("POST", "/health", {}, False),
        ("GET", "/health/", {}, False),
        ("GET", "//health", {}, False),
        ("GET", "/x/../health", {}, False),
        ("GET", "/x/%2e%2e/health", {}, False),
        ("GET", "/a%2Fb", {}, False),  # the handler of /{name} would get it
        ("GET", "/Health", {}, False),
        ("GET", "/health", UPGRADE, False),
        ("GET", "/news", UPGRADE | {"Sec-WebSocket-Protocol": "a, b"}, True),
        ("GET", "/news", {}, False),
        ("GET", "/news", {"Upgrade": "websocket"}, False),  # a handler of both would answer as to any request
        ("GET", "/news", UPGRADE | {"Sec-WebSocket-Version": "1"}, False),
        ("GET", "/news", UPGRADE | {"Sec-WebSocket-Key": "ü"}, False),
        ("GET", "/health", {"Upgrade": "websocket"}, False),
        ("POST", "/news", UPGRADE, False),
    ],
)
def test_exempt(method, path, headers, let_in, get, verifier):
    """Compared exactly, with what routes are compared with."""

    async def anyone(request):
        assert request[TOKEN_KEY] is None
        return web.Response()

    app = application(verifier, anyone, "/{name:.*}", exempt=EXEMPT)
    app.on_response_prepare.append(marked := Marked())
    assert (200 if let_in else 401) == get(app, None, None, path, method=method, headers=headers)[0]
    assert [None if let_in else "no-store"] == marked.values


class Marked:
    """A signal that sees what the guard has made of the headers."""

    def __init__(self):
        self.values = []

    async def __call__(self, request, response):
        self.values.append(response.headers.get("Cache-Control"))


def test_a_view_that_needs_a_token_on_an_exempt_path(get, verifier, tokenbind_monitor):
    """It is refused as if it were not exempt; once."""
    app = application(verifier, exempt={("GET", "/")})
    assert 401 == get(app)[0]
    assert [Reason.TOKEN_MISSING] == [event.reason for event in tokenbind_monitor.refused]


def test_without_the_guard(verifier, talk):
    """A handler that asks for a token fails, and says what is missing."""
    caught = []

    async def asking(request):
        with pytest.raises(ConfigurationError, match=r"call .*install\(app, verifier\)") as error:
            bound_token(request)
        caught.append(error)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", asking)

    async def dialogue(connect):
        async with connect() as session, session.get("/"):
            pass

    talk(app, dialogue)
    assert caught


def test_install_at_the_wrong_time(verifier):
    """Twice, or when the application cannot be changed any more; and with arguments that cannot be right."""
    app = web.Application()
    install(app, verifier)
    with pytest.raises(ConfigurationError, match="before"):
        install(app, verifier)
    outer, inner = web.Application(), web.Application()
    outer.add_subapp("/inner", inner)
    with pytest.raises(ConfigurationError, match="call install before that"):
        install(inner, verifier)
    with pytest.raises(ConfigurationError, match="TokenVerifier"):
        install(outer, "a verifier")


@pytest.mark.parametrize(
    ("own", "sent"),
    [(None, "no-store"), ("public, max-age=60", "public, max-age=60, private"), ("private", "private")],
)
def test_no_shared_cache_keeps_a_stream(own, sent, get, verifier, tokenbind_client, tokenbind_token):
    """Its headers are gone before the handler returns, and are marked all the same."""

    async def streaming(request):
        response = web.StreamResponse(headers={} if own is None else {"Cache-Control": own})
        await response.prepare(request)
        await response.write(b"done")
        return response

    _, headers, text = get(application(verifier, streaming), tokenbind_client, tokenbind_token)
    assert ("done", sent) == (text, ", ".join(headers.getall("Cache-Control")))


@pytest.mark.parametrize("end_responses", [False, True])
def test_files(end_responses, get, verifier, tokenbind_stranger, tokenbind_client, tokenbind_token, tmp_path):
    """aiohttp sends them when the handler has returned; and static ones are guarded like any other path."""
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)

    async def sending(request):
        return web.FileResponse(tmp_path / "file")

    def made():
        app = application(verifier, sending, end_responses=end_responses)
        app.router.add_static("/static", tmp_path)
        return app

    for path in ("/", "/static/file"):
        status, headers, text = get(made(), tokenbind_client, tokenbind_token, path)
        assert (200, 1_000_000, "no-store") == (status, len(text), headers["Cache-Control"])
        assert 401 == get(made(), tokenbind_stranger, tokenbind_token, path)[0]


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


@pytest.fixture
def revoke(revocation, tokenbind_client):
    return lambda: revocation.revoke_certificate(tokenbind_client.thumbprint)


@pytest.fixture
def connected(talk, tokenbind_client, tokenbind_token):
    """As `talk`, with the client's session, which sends its token, in place of `connect`."""

    def connected(app, dialogue):
        async def with_session(connect):
            async with connect(tokenbind_client) as session:
                session.headers.extend(bearer(tokenbind_token))
                return await dialogue(session)

        return talk(app, with_session)

    return connected


async def echo(request):
    """A websocket that says what it hears."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(message.data)
    return websocket


def test_an_idle_websocket_is_closed(end, verifier, connected, tokenbind_monitor, caplog):
    """Nobody says anything, and it is closed; the log has the reference of the event."""
    act, reason, code = end

    async def dialogue(session):
        async with session.ws_connect("/") as websocket:
            await websocket.send_str("hello")
            assert "hello" == await websocket.receive_str()
            act()
            message = await websocket.receive()
            assert (aiohttp.WSMsgType.CLOSE, code) == (message.type, message.data)

    connected(application(verifier, echo), dialogue)
    assert [reason] == [event.reason for event in tokenbind_monitor.refused]
    assert f"(reference {tokenbind_monitor.refused[-1].reference})" in caplog.text


def test_a_websocket_that_only_speaks_is_closed(verifier, connected, revoke):
    """Its handler never listens; the next thing that it says goes nowhere, and its error is none of the log's."""
    over = []

    async def speaking(request):
        websocket = web.WebSocketResponse(timeout=0.1)
        await websocket.prepare(request)
        try:
            while True:
                await websocket.send_str("news")
                await asyncio.sleep(0.01)
        finally:
            over.append(websocket.closed)

    async def dialogue(session):
        async with session.ws_connect("/") as websocket:
            revoke()
            while (message := await websocket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (aiohttp.WSMsgType.CLOSE, 1008) == (message.type, message.data)

    connected(application(verifier, speaking), dialogue)
    assert [True] == over


def test_a_websocket_that_was_not_accepted_in_time(verifier, connected, revoke, tokenbind_monitor):
    """A handshake that lasts longer than the token gets 401."""

    async def slow(request):
        revoke()
        await asyncio.sleep(DEADLINE_SECONDS)

    async def dialogue(session):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("/")
        assert 401 == caught.value.status

    connected(application(verifier, slow), dialogue)
    assert [Reason.TOKEN_REVOKED] == [event.reason for event in tokenbind_monitor.refused]


@pytest.mark.parametrize("accepted", [False, True])
def test_scope_refused_in_a_websocket(accepted, verifier, connected, tokenbind_monitor):
    """403 before the websocket is accepted, closed with 1008 afterwards; reported once."""

    async def handler(request):
        if accepted:
            await web.WebSocketResponse().prepare(request)
        return await narrow(request)

    async def dialogue(session):
        if accepted:
            async with session.ws_connect("/") as websocket:
                message = await websocket.receive()
                assert (aiohttp.WSMsgType.CLOSE, 1008) == (message.type, message.data)
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect("/")
            assert 403 == caught.value.status

    connected(application(verifier, handler), dialogue)
    assert [Reason.SCOPE_INSUFFICIENT] == [event.reason for event in tokenbind_monitor.refused]


def test_a_connection_error_of_a_websocket_is_its_own(verifier, connected, caplog):
    """It is let pass if its token stands."""

    async def broken(request):
        await web.WebSocketResponse().prepare(request)
        raise ConnectionResetError("its own")

    async def dialogue(session):
        async with session.ws_connect("/") as websocket:
            assert (await websocket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    connected(application(verifier, broken), dialogue)
    assert "its own" in caplog.text


def test_a_stream_that_is_asked_for_as_a_websocket(verifier, connected, revoke, tokenbind_monitor):
    """By default what has begun goes on, whatever the client has called it."""

    async def streaming(request):
        response = web.StreamResponse()
        await response.prepare(request)
        revoke()
        while not tokenbind_monitor.refused:  # noqa: ASYNC110 - the monitor is no event
            await asyncio.sleep(0.01)
        await response.write(b"done")
        return response

    async def dialogue(session):
        async with session.get("/", headers=UPGRADE) as answer:
            assert "done" == await answer.text()

    connected(application(verifier, streaming), dialogue)


def stream(content_type):
    """A handler that sends a little, and then nothing more."""

    async def streaming(request):
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.sleep(DEADLINE_SECONDS)

    return streaming


def test_a_stream_of_events_is_complete_when_its_token_ends(end, verifier, connected, tokenbind_monitor):
    """An idle stream of server-sent events ends as if there were no more."""
    act, reason, _ = end

    async def dialogue(session):
        async with session.get("/") as answer:
            await answer.content.readline()
            act()
            assert b"\n" == await answer.content.read()

    connected(application(verifier, stream("text/event-stream; charset=utf-8"), end_responses=True), dialogue)
    assert [reason] == [event.reason for event in tokenbind_monitor.refused]


async def generated(request):
    """aiohttp sends a body like this when the handler has returned."""

    async def chunks():
        yield b"data: 1\n\n"
        await asyncio.sleep(DEADLINE_SECONDS)

    return web.Response(body=chunks())


@pytest.mark.parametrize("handler", [stream("text/plain"), generated])
def test_any_other_response_is_cut_off(handler, end, verifier, connected, tokenbind_monitor):
    """It does not pass for complete."""
    act, reason, _ = end

    async def dialogue(session):
        async with session.get("/") as answer:
            await answer.content.readline()
            act()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()

    connected(application(verifier, handler, end_responses=True), dialogue)
    assert [reason] == [event.reason for event in tokenbind_monitor.refused]


def test_a_response_that_has_not_begun_is_refused(verifier, connected, revoke, tokenbind_monitor):
    """The token ended while the handler thought: 401, as if it had come too late."""

    async def thinking(request):
        revoke()
        await asyncio.sleep(DEADLINE_SECONDS)

    async def dialogue(session):
        async with session.get("/") as answer:
            assert 401 == answer.status
            return (await answer.json())["reference"]

    reference = connected(application(verifier, thinking, end_responses=True), dialogue)
    assert [(Reason.TOKEN_REVOKED, reference)] == [
        (event.reason, event.reference) for event in tokenbind_monitor.refused
    ]


def test_what_comes_after_a_response_goes_on(verifier, connected, revoke, tokenbind_monitor):
    """What a handler does after its response is none of the client's business."""
    done = []

    async def with_a_task(request):
        response = web.Response(text="done")
        await response.prepare(request)
        await response.write_eof()
        revoke()
        while not tokenbind_monitor.refused:  # noqa: ASYNC110 - the monitor is no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        done.append(True)
        return response

    async def dialogue(session):
        async with session.get("/") as answer:
            assert "done" == await answer.text()
        while not done:  # noqa: ASYNC110 - set on the other side
            await asyncio.sleep(0.01)

    connected(application(verifier, with_a_task, end_responses=True), dialogue)


def test_a_scope_that_is_refused_too_late(verifier, connected):
    """The response has begun, so it is cut off, as by any other error."""

    async def late(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        return await narrow(request)

    async def dialogue(session):
        async with session.get("/") as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

    connected(application(verifier, late), dialogue)


def test_a_client_that_has_gone(verifier, connected, revoke, tokenbind_monitor):
    """The token of a response ends that nobody waits for: nobody is told, and nothing breaks."""
    over = []

    async def streaming(request):
        try:
            await stream("text/plain")(request)
        finally:
            over.append(request.transport)

    async def dialogue(session):
        async with session.get("/") as answer:
            await answer.content.readline()
            answer.close()
        revoke()
        while not over:  # noqa: ASYNC110 - set on the other side
            await asyncio.sleep(0.01)

    connected(application(verifier, streaming, end_responses=True), dialogue)
    assert [None] == over
