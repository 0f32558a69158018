"""What is `httpx`'s own: streams, cancellation, limits, proxies, hooks and auth classes, and its keywords."""

from base64 import b64encode
from contextlib import aclosing
import pickle

import anyio
from anyio.lowlevel import checkpoint
import httpx
import pytest
import trustme

from tokenbind import ConfigurationError, GrantError, OriginRefused, Reason
from tokenbind.client import TokenCache
from tokenbind.client.httpx import (
    AsyncBoundTokenClient,
    AsyncBoundTokenTransport,
    BoundTokenClient,
    BoundTokenTransport,
)

from .calling_httpx import CALLERS
from .serving import STREAMED, Proxy, Recorder, wait_until


ONE_CONNECTION = httpx.Limits(max_connections=1)
IMPATIENT = httpx.Timeout(20, pool=0.05)
ASYNC = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture(params=CALLERS, ids=lambda kind: kind.name)
def caller_kind(request):
    """Of this library alone."""
    return request.param


@pytest.fixture
def open_sync(api, source, grant):
    """Makes a `BoundTokenClient` for the API."""
    defaults = {"origin": api.url, "ca": api.kit.ca_pem, "timeout": 20}
    return lambda tokens=grant, **options: BoundTokenClient(source, tokens, **(defaults | options))


@pytest.fixture
def open_async(api, source, grant):
    """Makes an `AsyncBoundTokenClient` for the API."""
    defaults = {"origin": api.url, "ca": api.kit.ca_pem, "timeout": 20}
    return lambda tokens=grant, **options: AsyncBoundTokenClient(source, tokens, **(defaults | options))


@pytest.fixture
def tokens(api, grant, renewed):
    """With one for the next certificate already, so that a rotation is seen in the next request."""
    tokens = TokenCache(grant)
    with BoundTokenClient(renewed.identity, tokens, origin=api.url, ca=api.kit.ca_pem) as client:
        assert 200 == client.get("/").status_code
    wait_until(lambda: api.connections == 0)
    return tokens


@pytest.fixture
def endless(api):
    """A server whose 401 does not end."""
    with Recorder(api.kit.ca, answer=b"HTTP/1.1 401 No\r\nContent-Length: 999999\r\n\r\n" + b"x" * 99_999) as server:
        yield server


async def until(condition):
    """As `wait_until`, for a task."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.002)


class TestCancellation:
    """Of a task, at each place where it waits."""

    @ASYNC
    def test_of_one_that_waits_for_a_token(self, api, grant, open_async, backend):
        """The others wait on: the token is fetched once, and for them."""
        grant.open.clear()
        statuses = []

        async def call(client):
            statuses.append((await client.get("/")).status_code)

        async def main():
            async with open_async() as client, anyio.create_task_group() as tasks:
                with anyio.CancelScope() as first:
                    async with anyio.create_task_group() as impatient:
                        impatient.start_soon(call, client)
                        await until(grant.waiting.is_set)
                        tasks.start_soon(call, client)
                        first.cancel()
                assert [] == statuses
                grant.open.set()

        anyio.run(main, backend=backend)
        assert ([200], 1, 1) == (statuses, len(grant.asked), len(api.seen))

    @ASYNC
    def test_of_one_that_waits_for_an_answer(self, api, source, renewed, tokens, open_async, backend):
        """Its generation was superseded meanwhile: what is idle of that is closed with it."""

        async def main():
            async with open_async(tokens) as client:
                with anyio.CancelScope() as scope:

                    async def body():
                        yield b"x"
                        assert 200 == (await client.get("/")).status_code
                        source.client = renewed
                        assert 200 == (await client.get("/")).status_code
                        await until(lambda: api.connections == 3)
                        scope.cancel()
                        await checkpoint()

                    await client.post("/", content=body())
                assert scope.cancelled_caught
                await until(lambda: api.connections == 1)

        anyio.run(main, backend=backend)

    @ASYNC
    def test_of_one_that_waits_for_another_token(self, api, grant, open_async, backend):
        """The refused answer is closed, so that its connection is free."""

        async def main():
            async with open_async(limits=ONE_CONNECTION, timeout=IMPATIENT) as client:
                assert 200 == (await client.get("/")).status_code
                grant.open.clear()
                grant.waiting.clear()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.get, "/refuse")
                    await until(grant.waiting.is_set)
                    tasks.cancel_scope.cancel()
                assert 200 == (await client.get("/")).status_code
                grant.open.set()

        anyio.run(main, backend=backend)
        assert ["/", "/refuse", "/"] == [seen.path for seen in api.seen]


class TestStreams:
    """Answers that are open."""

    def test_one_that_is_left(self, api, source, renewed, tokens, open_sync):
        """Not read to its end, across a rotation: all old connections are closed with it, and not before."""
        with open_sync(tokens) as client:
            with client.stream("GET", "/stream") as response:
                pass
            response.stream.close()  # a second time, which must not count
            with client.stream("GET", "/stream") as response:
                pieces = response.iter_raw(len(STREAMED[0]))
                assert STREAMED[0] == next(pieces)
                assert 200 == client.get("/").status_code
                source.client = renewed
                assert 200 == client.get("/").status_code
                wait_until(lambda: api.connections == 3)
                assert STREAMED[1] == next(pieces)
            wait_until(lambda: api.connections == 1)
        wait_until(lambda: api.connections == 0)

    @pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")  # trio's, of httpx's own generators
    @ASYNC
    def test_one_that_is_left_by_a_task(self, api, source, renewed, tokens, open_async, backend):
        """The same."""

        async def main():
            async with open_async(tokens) as client:
                async with client.stream("GET", "/stream") as response:
                    pass
                await response.stream.aclose()
                async with client.stream("GET", "/stream") as response:
                    async with aclosing(response.aiter_raw(len(STREAMED[0]))) as pieces:
                        assert STREAMED[0] == await anext(pieces)
                        assert 200 == (await client.get("/")).status_code
                        source.client = renewed
                        assert 200 == (await client.get("/")).status_code
                        await until(lambda: api.connections == 3)
                        assert STREAMED[1] == await anext(pieces)
                await until(lambda: api.connections == 1)

        anyio.run(main, backend=backend)
        wait_until(lambda: api.connections == 0)

    def test_a_request_that_fails(self, api, source, renewed, tokens, open_sync):
        """The same."""
        with open_sync(tokens) as client:

            def body():
                yield b"x"
                assert 200 == client.get("/").status_code
                source.client = renewed
                assert 200 == client.get("/").status_code
                wait_until(lambda: api.connections == 3)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                client.post("/", content=body())
            wait_until(lambda: api.connections == 1)

    def test_those_of_a_closed_client_end(self, open_sync):
        """As with httpx itself."""
        with open_sync() as client, client.stream("GET", "/stream") as response:
            client.close()
            with pytest.raises(httpx.TransportError):
                list(response.iter_raw())

    def test_limits_count_open_answers(self, open_sync):
        """And free the connection afterwards."""
        with open_sync(limits=ONE_CONNECTION) as client:
            with client.stream("GET", "/stream"), pytest.raises(httpx.PoolTimeout):
                client.get("/", timeout=IMPATIENT)
            assert 200 == client.get("/").status_code

    @ASYNC
    def test_limits_count_open_answers_of_tasks(self, open_async, backend):
        """The same."""

        async def main():
            async with open_async(limits=ONE_CONNECTION, timeout=IMPATIENT) as client:
                async with client.stream("GET", "/stream"):
                    with pytest.raises(httpx.PoolTimeout):
                        await client.get("/")
                assert 200 == (await client.get("/")).status_code

        anyio.run(main, backend=backend)

    def test_nobody_fails_for_connections_that_cannot_be_closed(
        self, api, source, renewed, tokens, open_client, monkeypatch
    ):
        """The answer has come."""
        failed = []
        close, aclose = httpx.HTTPTransport.close, httpx.AsyncHTTPTransport.aclose

        def fail(transport):
            close(transport)
            failed.append(transport)
            raise OSError

        async def fail_async(transport):
            await aclose(transport)
            failed.append(transport)
            raise OSError

        caller = open_client(tokens=tokens)
        assert 200 == caller.call(api.url).status
        source.client = renewed
        with monkeypatch.context() as patch:
            patch.setattr(httpx.HTTPTransport, "close", fail)
            patch.setattr(httpx.AsyncHTTPTransport, "aclose", fail_async)
            assert 200 == caller.call(api.url).status
        assert 1 == len(failed)


class TestReplay:
    """After a 401: only what can be sent again as it was."""

    @pytest.mark.parametrize("body", [{"content": iter([b"a", b"b"])}, {"files": {"f": b"ab"}}])
    def test_not_with_generators_nor_files(self, api, open_sync, body):
        """They could be sent empty."""
        with open_sync() as client:
            assert 401 == client.post("/refuse-once", **body).status_code
        assert 1 == len(api.seen)

    @ASYNC
    def test_not_with_generators_of_tasks(self, api, open_async, backend):
        """The same."""

        async def body():
            yield b"ab"

        async def main():
            async with open_async() as client:
                assert 401 == (await client.post("/refuse-once", content=body())).status_code

        anyio.run(main, backend=backend)
        assert [b"ab"] == [seen.body for seen in api.seen]

    def test_files_that_were_read_are_bytes(self, api, open_sync):
        """And are sent again."""
        with open_sync() as client:
            request = client.build_request("POST", "/refuse-once", files={"f": b"ab"})
            request.read()
            assert 200 == client.send(request).status_code
        assert api.seen[0].body == api.seen[1].body != b""

    def test_an_endless_refusal_is_not_read_to_its_end(self, endless, open_sync):
        """The request is sent again over another connection."""
        with open_sync(origin=endless.url) as client, client.stream("GET", "/") as response:
            assert 401 == response.status_code
        assert 2 == endless.connections == len(set(endless.heads))

    @pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
    @ASYNC
    def test_an_endless_refusal_is_not_read_to_its_end_by_a_task(self, endless, open_async, backend):
        """The same."""

        async def main():
            async with open_async(origin=endless.url) as client, client.stream("GET", "/") as response:
                assert 401 == response.status_code

        anyio.run(main, backend=backend)
        assert 2 == endless.connections == len(set(endless.heads))

    def test_a_refusal_that_breaks_off_is_no_more_than_a_refusal(self, api, open_client):
        """Its body does not matter; the request is sent once more, over a new connection."""
        refusal = b"HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer error=invalid_token\r\nContent-Length: 9\r\n\r\n"
        answers = iter([refusal, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
        with Recorder(api.kit.ca) as server:
            server.converse = lambda connection: [connection.sendall(next(answers)), connection.close()]
            assert 200 == open_client(origin=server.url).call(server.url).status
        assert (2, 2) == (len(server.heads), server.connections)

    def test_an_answer_that_breaks_off_is_an_error(self, api, open_client):
        """Of httpx, and about the caller's request."""
        with Recorder(api.kit.ca, answer=b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\n") as server:
            server.converse = lambda connection: [Recorder.converse(server, connection), connection.close()]
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                open_client(origin=server.url).call(server.url)
        assert "authorization" not in caught.value.request.headers
        assert "Bearer" in server.heads[0]


class Meddler(httpx.Auth):
    """An auth class that looks at everything, and sets a header of its own."""

    requires_response_body = True

    def __init__(self):
        self.seen = []

    def auth_flow(self, request):
        request.headers["Authorization"] = "Basic bWU6bWU="
        self.seen.append(dict(request.headers))
        response = yield request
        self.seen.append(dict(response.request.headers))
        if response.status_code == 401:
            yield request


class TestAuth:
    """Nobody sees the token, or replaces it."""

    @pytest.mark.parametrize("path", ["/", "/refuse"])
    def test_an_auth_class(self, api, open_sync, path):
        """Of a request: what it writes into the header is not sent."""
        meddler = Meddler()
        with open_sync() as client:
            client.get(path, auth=meddler)
        assert api.seen
        assert all(seen.authorization.startswith("Bearer ey") for seen in api.seen)
        assert {"Basic bWU6bWU="} == {headers["authorization"] for headers in meddler.seen}

    @ASYNC
    def test_an_auth_class_of_tasks(self, api, open_async, backend):
        """The same."""
        meddler = Meddler()

        async def main():
            async with open_async() as client:
                client.auth = meddler
                assert 200 == (await client.get("/")).status_code

        anyio.run(main, backend=backend)
        assert ["Bearer ey"] == [seen.authorization[:9] for seen in api.seen]
        assert {"Basic bWU6bWU="} == {headers["authorization"] for headers in meddler.seen}

    def test_headers_netrc_and_credentials_in_the_url(self, api, open_sync, tmp_path):
        """The first are overwritten, the last refused."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password me\n")
        with open_sync(headers={"Authorization": "Basic bWU6bWU="}) as client:
            client.get("/", headers=[("authorization", "Basic bWU6bWU="), ("Authorization", "Basic")])
            client.get("/", auth=httpx.NetRCAuth(str(netrc)))
            with pytest.raises(OriginRefused):
                client.get(api.url.replace("//", "//me:me@"))
        assert ["Bearer ey"] * 2 == [seen.authorization[:9] for seen in api.seen]

    def test_event_hooks(self, api, open_sync):
        """They are called once for a request that is sent twice."""
        seen = []
        hooks = {"request": [seen.append], "response": [lambda response: seen.append(response.request)]}
        with open_sync(event_hooks=hooks, follow_redirects=True) as client:
            assert 200 == client.get("/redirect?/refuse-once").status_code
        assert 3 == len(api.seen)
        assert [302, 401, 200] == [one.status for one in api.seen]
        assert ["/redirect", "/redirect", "/refuse-once", "/refuse-once"] == [request.url.path for request in seen]
        assert not any("authorization" in request.headers for request in seen)

    def test_a_redirect_that_is_not_followed(self, open_sync):
        """The next request has no token, and gets one if it is sent."""
        with open_sync() as client:
            response = client.get("/redirect?/other")
            assert "authorization" not in response.next_request.headers
            assert 200 == client.send(response.next_request).status_code


class TestProxies:
    """In between: they see neither token nor certificate."""

    @pytest.mark.parametrize(("over_tls", "make"), [(False, str), (True, httpx.URL), (True, httpx.Proxy)])
    def test_what_a_proxy_sees(self, api, open_client, over_tls, make):
        """Where we go, and its own password; TLS to an https proxy is without our certificate."""
        ca = trustme.CA()
        with Proxy(ca if over_tls else None) as proxy:
            url = proxy.url.replace("//", "//us%40er:secret@")
            options = {"proxy_ca": ca.cert_pem.bytes()} if over_tls else {}
            caller = open_client(proxy=make(url), **options)
            assert [200, 200] == [caller.call(api.url).status for _ in range(2)]
            assert (1, []) == (proxy.connections, proxy.certificates)
            assert [f"CONNECT 127.0.0.1:{api.server.port}"] == [head.partition(" HTTP")[0] for head in proxy.heads]
            credentials = b64encode(b"us@er:secret").decode()
            assert f"proxy-authorization: basic {credentials}".lower() in proxy.heads[0].lower()
            assert "Bearer" not in proxy.heads[0]
        assert ["Bearer ey"] * 2 == [seen.authorization[:9] for seen in api.seen]

    def test_an_https_proxy_of_another_ca_is_refused(self, api, open_client):
        """The API's CA does not vouch for it; nothing is told it, not even where we go."""
        with Proxy(trustme.CA()) as proxy, pytest.raises(httpx.ConnectError):
            open_client(proxy=proxy.url, proxy_ca=api.kit.ca_pem).call(api.url)
        assert ([], b"", []) == (proxy.heads, proxy.bytes, api.seen)

    def test_a_proxy_with_a_context_of_its_own(self, api, open_sync):
        """It is the caller's to say how it is reached."""
        ca = trustme.CA()
        context = httpx.create_ssl_context()
        ca.configure_trust(context)
        with Proxy(ca) as proxy, open_sync(proxy=httpx.Proxy(proxy.url, ssl_context=context)) as client:
            assert 200 == client.get("/").status_code

    @pytest.mark.parametrize("proxy", ["", "127.0.0.1:3128", "ftp://user:secret@proxy.example", "http://a:b:c", 3128])
    def test_what_is_no_proxy_is_refused_at_once(self, open_sync, proxy):
        """Without showing it."""
        with pytest.raises(ConfigurationError, match="proxy= must be a URL") as caught:
            open_sync(proxy=proxy)
        assert "secret" not in str(caught.value)

    def test_its_ca_is_looked_at_at_once(self, open_sync):
        """Where there is a proxy for it."""
        with pytest.raises(ConfigurationError, match="does not exist"):
            open_sync(proxy="https://proxy.example", proxy_ca="no-such.pem")


class TestErrors:
    """Ours come out as errors of httpx."""

    def test_of_the_grant(self, api, grant, open_client):
        """With all that the server said, and the caller's request."""
        grant.failure = GrantError("invalid_client", "who are you", 401)
        with pytest.raises(httpx.TransportError) as caught:
            open_client().call(api.url)

        assert isinstance(caught.value, GrantError)
        assert ("invalid_client", "who are you", 401) == (
            caught.value.error,
            caught.value.description,
            caught.value.status,
        )
        assert api.url == str(caught.value.request.url)
        assert "authorization" not in caught.value.request.headers

    def test_are_pickled_as_ours(self, api, grant, open_sync):
        """They come from other processes as what they are."""
        grant.failure = GrantError("invalid_client", "who are you", 401)
        with open_sync() as client, pytest.raises(GrantError) as caught:
            client.get("/")

        copy = pickle.loads(pickle.dumps(caught.value))
        assert GrantError is type(copy)
        assert (str(caught.value), Reason.GRANT_REFUSED, 401) == (str(copy), copy.reason, copy.status)

    def test_of_the_network(self, open_client):
        """They carry the request without the token."""
        with pytest.raises(httpx.ConnectError) as caught:
            open_client(origin="https://127.0.0.1:1").call("https://127.0.0.1:1")

        assert "authorization" not in caught.value.request.headers

    @pytest.mark.parametrize(
        "extensions", [{"sni_hostname": "localhost"}, {"target": b"https://localhost/"}, {"target": b"localhost:443"}]
    )
    def test_another_server_by_name(self, api, open_sync, extensions):
        """TLS would take its certificate for the origin's; a server of many names, or a proxy, would ask it."""
        with open_sync() as client, pytest.raises(OriginRefused, match="another server"):
            client.get("/", extensions=extensions)
        assert [] == api.seen

    def test_another_target_at_the_origin(self, api, open_sync):
        """As it is to be sent: nothing in it is spelled anew."""
        with open_sync() as client:
            assert 200 == client.get("/", extensions={"target": b"/a{b}"}).status_code
        assert ["/a{b}"] == [seen.path for seen in api.seen]


class TestKeywords:
    """Of `httpx.Client`."""

    @pytest.mark.parametrize("kind", [BoundTokenClient, AsyncBoundTokenClient])
    @pytest.mark.parametrize(
        "option",
        [
            {"verify": False},
            {"cert": "client.pem"},
            {"auth": ("me", "me")},
            {"trust_env": True},
            {"http2": True},
            {"mounts": {}},
            {"transport": None},
            {"nonsense": 1},
        ],
        ids=lambda option: next(iter(option)),
    )
    def test_those_that_would_go_around_are_refused(self, source, grant, kind, option):
        """When the client is made."""
        with pytest.raises(ConfigurationError, match=f"^{next(iter(option))}= is none of"):
            kind(source, grant, origin="https://api.example", **option)

    def test_the_others_are_passed_on(self, api, open_sync):
        """And URLs are relative to the origin, unless `base_url` says more."""
        with open_sync(
            base_url=f"{api.url}/v1", headers={"x": "y"}, params={"q": "1"}, follow_redirects=True, max_redirects=3
        ) as client:
            response = client.get("/redirect")
        assert (f"{api.url}/v1/redirect?q=1", "y") == (str(response.url), response.request.headers["x"])
        assert (3, True, False) == (client.max_redirects, client.follow_redirects, client.trust_env)

    def test_nothing_is_pickled(self, source, grant):
        """There is a private key in it."""
        for kind in (BoundTokenTransport, AsyncBoundTokenTransport, BoundTokenClient, AsyncBoundTokenClient):
            with pytest.raises(TypeError):
                pickle.dumps(kind(source, grant, origin="https://api.example"))


def test_a_mounted_transport_leaves_the_rest_alone(api, source, grant):
    """Mounted on the origin alone, the rest goes its own way, without token and certificate."""
    transport = BoundTokenTransport(source, grant, origin=api.url, ca=api.kit.ca_pem)
    with Recorder(api.kit.ca) as elsewhere:
        context = httpx.create_ssl_context(trust_env=False)
        api.kit.ca.configure_trust(context)
        with httpx.Client(mounts={api.url: transport}, verify=context, follow_redirects=True) as client:
            assert 200 == client.get(f"{api.url}/redirect?{elsewhere.url}/").status_code
            look_alike = httpx.URL(f"{api.url}@127.0.0.1:{elsewhere.port}/")
            assert 200 == client.get(look_alike).status_code
    assert (2, []) == (len(elsewhere.heads), elsewhere.certificates)
    assert "Bearer" not in "".join(elsewhere.heads)
    assert ["/redirect"] == [seen.path for seen in api.seen]
