"""What is `aiohttp`'s own: middlewares, bodies, websockets, timeouts, cancellation, and its keywords."""

import asyncio
import gc
from importlib.metadata import version
from io import BytesIO
import pickle
import subprocess
import sys
import warnings

import aiohttp
import pytest
import trustme

from tokenbind import ClientError, ConfigurationError, OriginRefused, Reason
from tokenbind.client.aiohttp import BoundTokenSession
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import MutualTLSServer

from .serving import Recorder


DEADLINE_SECONDS = 20

FORKING = """
import asyncio, gc, os, sys
from tokenbind.client import FileIdentity
from tokenbind.client.aiohttp import BoundTokenSession

async def main(certificate, key, ca, url, token):
    async with BoundTokenSession(FileIdentity(certificate, key), lambda: token, origin=url, ca=ca) as session:
        async with session.get("/first") as response:
            await response.read()
        child = os.fork()
        if child == 0:
            gc.collect()
            os._exit(0)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        async with session.post("/parent", data=b"x") as response:
            assert 200 == response.status

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def talk(api, source, grant):
    """Runs *dialogue* with a session that has the given options; `make` gives those that need an event loop."""

    def talk(dialogue, make=dict, **options):
        async def main():
            given = {"tokens": grant, "origin": api.url, "ca": api.kit.ca_pem} | options | make()
            async with asyncio.timeout(DEADLINE_SECONDS):
                async with BoundTokenSession(source, **given) as session:
                    return await dialogue(session)

        return asyncio.run(main())

    return talk


async def until(condition):
    """Wait until *condition* returns something true; `talk` has the deadline."""
    while not condition():  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0.002)


async def call_until(client, session, api):
    """Call until it is *client* whose certificate is shown."""
    while not api.seen or api.seen[-1].thumbprint != client.thumbprint:
        await status_of(session.get("/"))


async def endless(started):
    yield b"piece"
    started.set()
    await asyncio.Event().wait()


async def head_of(request):
    async with request as response:
        return response.status


async def status_of(request):
    async with request as response:
        await response.read()
        return response.status


class TestRequests:
    """As those of an `aiohttp.ClientSession`."""

    @pytest.mark.parametrize("method", ["get", "options", "post", "put", "patch", "delete"])
    def test_each_method(self, api, talk, method):
        """With ``async with`` and with ``await``, at the URL and at its path; redirects are followed."""

        async def dialogue(session):
            async with getattr(session, method)(f"{api.url}/1") as response:
                assert b"client" == await response.read()
            response = await session.request(method, "/redirect?/2")
            assert method.upper() == response.method
            assert b"client" == await response.read()

        talk(dialogue)
        assert ["/1", "/redirect", "/2"] == [seen.path for seen in api.seen]

    def test_head_follows_no_redirect(self, api, talk):
        """Unless it is told to, as in aiohttp."""

        async def dialogue(session):
            assert 302 == await status_of(session.head("/redirect?/1"))
            assert 200 == await status_of(session.head("/redirect?/1", allow_redirects=True))

        talk(dialogue)

    @pytest.mark.parametrize(
        ("options", "sent"),
        [
            ({}, b""),
            ({"data": b"bytes"}, b"bytes"),
            ({"data": "text"}, b"text"),
            ({"data": {"a": "b"}}, b"a=b"),
            ({"json": {"a": 1}}, b'{"a": 1}'),
        ],
    )
    def test_what_is_there_is_sent_once_more(self, api, talk, options, sent):
        """After a 401, whole."""
        assert 200 == talk(lambda session: status_of(session.post("/refuse-once", **options)))
        assert [(401, sent), (200, sent)] == [(seen.status, seen.body) for seen in api.seen]
        assert 1 == len({seen.connection for seen in api.seen})

    @pytest.mark.parametrize("kind", ["generator", "file", "multipart"])
    def test_what_may_be_gone_is_not_sent_again(self, api, talk, kind):
        """The caller gets the 401: a second time, it might be sent empty."""

        async def generator():
            yield b"bytes"

        async def dialogue(session):
            multipart = aiohttp.FormData()
            multipart.add_field("file", BytesIO(b"bytes"), filename="name")
            data = {"generator": generator(), "file": BytesIO(b"bytes"), "multipart": multipart}[kind]
            return await status_of(session.post("/refuse-once", data=data))

        assert 401 == talk(dialogue)
        assert [401] == [seen.status for seen in api.seen]
        assert b"bytes" in api.seen[0].body

    def test_cookies_outlive_a_certificate(self, api, source, renewed, talk):
        """They are the session's, not the connections'."""

        async def dialogue(session):
            while not api.seen or api.seen[-1].thumbprint != renewed.thumbprint:
                async with session.get("/") as response:
                    assert "a=b" == response.request_info.headers["Cookie"]
                source.client = renewed

        talk(dialogue, lambda: {"cookie_jar": aiohttp.CookieJar(unsafe=True), "cookies": {"a": "b"}})


class TestNothingLeaves:
    """Neither certificate nor token, to anybody else, nor out of the session."""

    @pytest.mark.parametrize(
        "options",
        [
            {"ssl": False},
            {"ssl": aiohttp.Fingerprint(bytes(32))},
            {"server_hostname": "localhost"},
            {"proxy": "https://127.0.0.1:1"},
        ],
    )
    def test_foreign_tls_settings_are_refused(self, api, talk, options):
        """They would silently be something else than what was asked for."""
        for method in ("get", "ws_connect"):
            with pytest.raises(aiohttp.ClientError, match="refused|show the certificate") as caught:
                talk(lambda session, method=method: status_of(getattr(session, method)("/", **options)))
            assert isinstance(caught.value, ClientError)
        assert [] == api.seen

    @pytest.mark.parametrize(
        ("of_session", "of_request"),
        [
            ({}, {"headers": {"authorization": "mine"}}),
            ({}, {"auth": "mine"}),
            ({"headers": {"Authorization": "mine"}}, {}),
        ],
    )
    def test_authorization_of_the_caller_is_not_sent(self, api, talk, of_session, of_request):
        """However it is given; what was sent is shown nowhere."""

        async def dialogue(session):
            if "auth" in of_request:
                of_request["auth"] = aiohttp.BasicAuth("mine")
            async with session.get("/redirect?/x", **of_request) as response:
                for one in (response, *response.history):
                    assert "Authorization" not in one.request_info.headers

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of auth=
            talk(dialogue, **of_session)
        assert 2 == len(api.seen)
        assert all(seen.authorization.startswith("Bearer ey") for seen in api.seen)

    def test_an_exception_does_not_carry_the_token(self, api, client, talk):
        """Its repr has the headers of the request; after an answer, and when it is none."""
        token = api.kit.mint(client)
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            talk(lambda session: status_of(session.get("/refuse")), tokens=lambda: token, raise_for_status=True)
        assert "Host" in repr(caught.value)
        assert token not in repr(caught.value)

        with Recorder(api.kit.ca, answer=b"HTTP/1.1 nonsense\r\n\r\n") as other:
            with pytest.raises(aiohttp.ClientResponseError) as caught:
                talk(lambda session: status_of(session.get("/")), tokens=lambda: token, origin=other.url)
        assert f"Authorization: Bearer {token}" in other.heads[0]
        assert token not in repr(caught.value)

    @pytest.mark.parametrize("of_request", [False, True])
    def test_middlewares_do_not_see_the_token(self, api, talk, of_request):
        """Ours is the last, whether those of the caller are the session's or a request's."""
        headers = []

        async def middleware(request, handler):
            request.headers["Authorization"] = "mine"
            response = await handler(request)
            headers.append(dict(request.headers))
            return response

        async def dialogue(session):
            options = {"middlewares": [middleware]} if of_request else {}
            return await status_of(session.get("/redirect?/x", **options))

        assert 200 == talk(dialogue, **({} if of_request else {"middlewares": [middleware]}))
        assert 2 == len(headers)
        assert not any("Authorization" in one for one in headers)
        assert all(seen.authorization.startswith("Bearer ey") for seen in api.seen)

    @pytest.mark.parametrize(
        ("options", "error"), [({}, OriginRefused), ({"middlewares": ()}, aiohttp.ClientConnectionError)]
    )
    def test_a_middleware_that_sends_by_itself(self, api, talk, options, error):
        """With the inner session of aiohttp, it gets no further, and without our middleware nowhere at all."""

        async def middleware(request, handler):
            if str(request.url).startswith(other.url):
                return await handler(request)
            return await request.session.get(other.url, **options)

        with Recorder(trustme.CA()) as other, pytest.raises(error):
            talk(lambda session: status_of(session.get("/")), middlewares=[middleware])
        assert ([], 0) == (api.seen, other.connections)

    def test_what_a_trace_is_shown(self, talk):
        """Of the headers, all but the token; what is sent, as it is sent."""
        shown = {}

        def make():
            trace = aiohttp.TraceConfig()
            for name in ("start", "redirect", "headers_sent", "end"):

                async def look(_session, _context, params, name=name):
                    shown.setdefault(name, []).append("Authorization" in params.headers)

                getattr(trace, f"on_request_{name}").append(look)
            return {"trace_configs": [trace]}

        talk(lambda session: status_of(session.get("/redirect?/x")), make)
        assert {"start": [False], "redirect": [False], "headers_sent": [True, True], "end": [False]} == shown

    def test_a_proxy_sees_neither(self, api, proxying, talk, monkeypatch):
        """Of the session, or of a request; those of the environment do not count."""
        port, heads = proxying({f"127.0.0.1:{api.server.port}": api.server.port})
        proxy = f"http://user:secret@127.0.0.1:{port}"
        for name in ("HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert 200 == talk(lambda session: status_of(session.get("/")), proxy=proxy)
        assert 200 == talk(lambda session: status_of(session.get("/", proxy=proxy)))
        assert 200 == talk(lambda session: status_of(session.get("/")))
        assert ["CONNECT"] * 2 == [head.split()[0] for head in heads]
        assert not any("bearer" in head.lower() for head in heads)


class TestWebsockets:
    """Over the connection that has the certificate."""

    @pytest.fixture
    def chat(self, api):
        """The origin of an API that repeats what it is told, and the thumbprint that its token was for."""

        async def app(scope, receive, send):
            assert "websocket.connect" == (await receive())["type"]
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send(
                    {"type": "websocket.send", "text": f"{message['text']} {scope['tokenbind.token'].thumbprint}"}
                )

        with MutualTLSServer(BoundTokenMiddleware(app, api.kit.verifier), api.kit) as server:
            yield server.url

    @pytest.mark.parametrize("scheme", ["wss", "https"])
    def test_it_keeps_its_certificate(self, chat, source, client, renewed, talk, scheme):
        """A rotation does not disturb it, and its connection is closed when it is."""

        async def dialogue(session):
            url = chat.replace("https", scheme)
            async with session.ws_connect(url) as old:
                source.client = renewed
                while True:
                    async with session.ws_connect(url) as new:
                        await new.send_str("new")
                        if await new.receive_str() == f"new {renewed.thumbprint}":
                            break
                await old.send_str("old")
                assert f"old {client.thumbprint}" == await old.receive_str()
                pools = session._connections._generations._entries
                assert 2 == len(pools)
            assert 1 == len(pools)

        talk(dialogue, origin=chat)

    @pytest.mark.parametrize("url", ["wss://localhost:{}", "ws://127.0.0.1:{}", "wss://127.0.0.1:1"])
    def test_another_origin_gets_nothing(self, api, talk, url):
        """No connection is made, whatever the scheme."""
        with pytest.raises(OriginRefused):
            talk(lambda session: status_of(session.ws_connect(url.format(api.server.port))))

    def test_a_refusal_does_not_carry_the_token(self, chat, talk):
        """It is aiohttp's own error."""
        kind, status = aiohttp.WSServerHandshakeError, 401
        if version("websockets").startswith("14."):  # in the server: it gives the answer two Content-Lengths
            kind, status = aiohttp.ClientResponseError, 400
        with pytest.raises(kind) as caught:
            talk(lambda session: status_of(session.ws_connect("/")), tokens=lambda: "opaque", origin=chat)
        assert status == caught.value.status
        assert "opaque" not in repr(caught.value)


class TestEnds:
    """Of tasks, answers and sessions, wherever they are."""

    def test_a_timeout_counts_for_the_token(self, grant, talk):
        """It is for the whole request."""

        async def dialogue(session):
            with pytest.raises(TimeoutError):
                await session.get("/", timeout=aiohttp.ClientTimeout(0.05))
            grant.open.set()
            return await status_of(session.get("/"))

        grant.open.clear()
        assert 200 == talk(dialogue)
        assert 1 == len(grant.asked)

    def test_a_task_that_ends_while_another_token_is_fetched(self, api, grant, talk):
        """Others go on."""

        async def dialogue(session):
            assert 200 == await status_of(session.get("/"))
            grant.open.clear()
            grant.waiting.clear()
            task = asyncio.create_task(status_of(session.get("/refuse-once")))
            await until(grant.waiting.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            grant.open.set()
            return await status_of(session.get("/"))

        assert 200 == talk(dialogue)

    def test_a_task_that_ends_while_it_waits_for_a_connection(self, api, source, renewed, talk):
        """It does not keep the old ones open."""

        async def dialogue(session):
            started = asyncio.Event()
            uploading = asyncio.create_task(status_of(session.post("/", data=endless(started))))
            await started.wait()
            with pytest.raises(TimeoutError):
                await session.get("/", timeout=aiohttp.ClientTimeout(0.05))
            uploading.cancel()
            await until(lambda: api.seen)
            source.client = renewed
            await call_until(renewed, session, api)
            await until(lambda: api.connections == 1)

        talk(dialogue, limit=1)

    def test_an_answer_that_is_dropped(self, api, source, renewed, talk):
        """Its connection is given back, and closed with the others."""

        async def dialogue(session):
            response = await session.get("/stream")
            source.client = renewed
            del response
            gc.collect()
            await call_until(renewed, session, api)
            await until(lambda: api.connections == 1)

        talk(dialogue)

    def test_a_session_that_is_closed_while_a_token_is_fetched(self, api, grant, talk):
        """Sends nothing any more."""

        async def dialogue(session):
            grant.open.clear()
            waiting = asyncio.create_task(status_of(session.get("/")))
            await until(grant.waiting.is_set)
            await session.close()
            grant.open.set()
            with pytest.raises(aiohttp.ClientConnectionError, match="closed"):
                await waiting

        talk(dialogue)
        assert [] == api.seen

    def test_a_session_that_is_closed_while_it_sends(self, api, talk):
        """Breaks off, and leaves no connection."""

        async def dialogue(session):
            started = asyncio.Event()
            uploading = asyncio.create_task(status_of(session.post("/", data=endless(started))))
            await started.wait()
            assert not session.closed
            for _ in range(2):
                await session.close()
                assert session.closed
            with pytest.raises(aiohttp.ClientError):
                await uploading
            with pytest.raises(RuntimeError, match="closed"):
                await session.get("/")
            await until(lambda: api.seen)

        talk(dialogue)

    def test_how_connections_end_is_of_no_interest(self, talk):
        """Such as on data that come after the end: nobody is to be told that an error was never retrieved."""

        class Connection:
            pass

        said, connections = [], [Connection()]

        async def dialogue(session):
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: said.append(context["message"]))
            connections[0].closed = loop.create_future()
            session._connections._used.add(connections[0])
            loop.call_later(0.05, connections[0].closed.set_exception, aiohttp.ClientConnectionError("lost"))

        talk(dialogue)
        assert connections.pop().closed.done()
        gc.collect()
        assert [] == said

    def test_a_fork_does_not_end_the_connections_of_the_parent(self, api, client, tmp_path):
        """A process that is started meanwhile forgets them, and says nothing on them."""
        (tmp_path / "ca.pem").write_bytes(api.kit.ca_pem)
        arguments = [*client.write(tmp_path), tmp_path / "ca.pem", api.url, api.kit.mint(client)]
        subprocess.run([sys.executable, "-W", "error", "-c", FORKING, *arguments], check=True, timeout=60)
        assert ["/first", "/parent"] == [seen.path for seen in api.seen]
        assert 1 == len({seen.connection for seen in api.seen})

    @pytest.mark.parametrize("sent", [100_000, 10], ids=["endless", "broken"])
    def test_a_refusal_without_an_end_is_not_read_to_it(self, api, client, talk, sent):
        """The request is sent once more, over another connection; as it is if the refusal breaks off."""
        tokens = iter([api.kit.mint(client), api.kit.mint(client, lifetime=200), api.kit.mint(client, lifetime=200)])
        answer = b"HTTP/1.1 401 No\r\nContent-Length: 10000000\r\n\r\n" + bytes(sent)

        class Refusing(Recorder):
            def converse(self, connection):
                super().converse(connection)
                if sent == 10:
                    connection.close()

        with Refusing(api.kit.ca, answer=answer) as other:
            assert 401 == talk(lambda session: head_of(session.get("/")), tokens=lambda: next(tokens), origin=other.url)
        assert (2, 2) == (other.connections, len(other.heads))


class TestConstruction:
    """What is told at once."""

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"proxy": "https://127.0.0.1:1"}, ConfigurationError, "proxy="),
            ({"origin": None}, ConfigurationError, "origin="),
            ({"auth": None}, ConfigurationError, "auth"),
            ({"trust_env": True}, ConfigurationError, "trust_env"),
            ({"connector": None}, ConfigurationError, "connector"),
        ],
    )
    def test_what_cannot_be(self, talk, options, error, message):
        """Nor can what would go past tokenbind."""
        with pytest.raises(error, match=message):
            talk(None, **options)

    def test_it_is_made_in_an_event_loop(self, api, client, grant):
        """As an `aiohttp.ClientSession` is."""
        with pytest.raises(RuntimeError, match="event loop"):
            BoundTokenSession(client.identity, grant, origin=api.url)

    def test_it_is_not_pickled(self, talk):
        """It holds a private key."""

        async def dialogue(session):
            with pytest.raises(TypeError, match="private key"):
                pickle.dumps(session)

        talk(dialogue)

    def test_an_error_can_be_caught_by_the_name_of_either(self, api, grant, talk):
        """With everything that is known of it."""
        grant.failure = ClientError(Reason.GRANT_REFUSED, "no", retry_after_seconds=7)
        with pytest.raises(ClientError, match="no") as caught:
            talk(lambda session: status_of(session.get("/")))
        assert isinstance(caught.value, aiohttp.ClientError)
        assert (Reason.GRANT_REFUSED, 7) == (caught.value.reason, caught.value.retry_after_seconds)
