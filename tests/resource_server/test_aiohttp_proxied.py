"""aiohttp behind a proxy: on which socket a request came, and which of its headers no handler sees. Real servers."""

import asyncio
from contextlib import asynccontextmanager
import json
from urllib.parse import quote

import aiohttp
from aiohttp import web
import pytest

from tokenbind import Reason
from tokenbind.peer import Trust, forwarded
from tokenbind.resource_server.aiohttp import TOKEN_KEY, install


HEADER, VERIFY, SECRET = b"X-K7Qd2-Cert", b"X-K7Qd2-Verify", b"X-K7Qd2-Secret"
PROXYS = {name.lower() for name in (HEADER, VERIFY, SECRET)}


def told(request):
    """What an application sees of a request."""
    token = request.get(TOKEN_KEY)
    return {
        "thumbprint": token and token.thumbprint,
        "names": [name.lower() for name in request.headers],
        "raw": [name.decode().lower() for name, _ in request.raw_headers],
        "other": request.headers.get("X-Other", "").encode("utf-8", "surrogateescape").hex(),
        "type": request.content_type,
    }


async def view(request):
    if request.content_type == "multipart/form-data":
        form = await request.post()
        return web.json_response({**told(request), "file": form["file"].file.read().decode()})
    return web.json_response({**told(request), "body": await request.text()})


async def news(request):
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    await websocket.send_json(told(request))
    await websocket.close()
    return websocket


def application(kit, trust, **options):
    app = web.Application()
    app.add_routes([web.route("*", "/", view), web.get("/health", view), web.get("/news", news)])
    source = forwarded.nginx(header=HEADER.decode(), trusted_proxy=trust, verify_header=VERIFY.decode(), **options)
    install(app, kit.verifier, source, exempt={("GET", "/health")})
    return app


@asynccontextmanager
async def serving(app, path=None):
    """Serve *app* on a Unix socket, or on a port; gives its runner."""
    runner = web.AppRunner(app)
    await runner.setup()
    await (web.UnixSite(runner, path) if path else web.TCPSite(runner, "127.0.0.1", 0)).start()
    try:
        async with asyncio.timeout(20):
            yield runner
    finally:
        await runner.cleanup()


def talk(app, *requests, path=None):
    """What comes back of each request, on connections of their own."""

    async def main():
        async with serving(app, path) as runner:
            return [await ask(runner, request) for request in requests]

    async def ask(runner, request):
        if path:
            reader, writer = await asyncio.open_unix_connection(path)
        else:
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    return asyncio.run(main())


def request_of(*fields, line=b"GET / HTTP/1.1", body=b"", host=b"api.example"):
    lines = [b"Host: " + host, b"Connection: close", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([line, *lines, *(name + b": " + value for name, value in fields), b"", body])


def status_of(answer):
    return int(answer[9:12])


def content(answer):
    assert 200 == status_of(answer), answer
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def certificate(client):
    return HEADER, quote(client.pem, safe="").encode()


@pytest.fixture
def bearer(tokenbind_kit, tokenbind_client):
    return b"Authorization", b"Bearer " + tokenbind_kit.mint(tokenbind_client).encode()


@pytest.fixture
def proxied(bearer, tokenbind_client):
    """What the proxy sends for the client."""
    return [bearer, certificate(tokenbind_client), (VERIFY, b"SUCCESS"), (SECRET, b"s" * 32)]


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text("s" * 32)
    return Trust.secret_header(SECRET.decode(), file=tmp_path / "secret")


def test_a_unix_socket_and_no_other(
    tmp_path, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_monitor, bearer, proxied
):
    """The proxy's socket is known by its own name: another one, and a port, are not it."""
    path, trust = str(tmp_path / "api.sock"), Trust.unix_socket(tmp_path / "api.sock")
    stolen = [bearer, certificate(tokenbind_stranger), (VERIFY, b"SUCCESS")]
    for fields, reason in (
        (proxied, None),
        (stolen, Reason.CERTIFICATE_MISMATCH),
        ([bearer], Reason.CERTIFICATE_MISSING),
    ):
        (answer,) = talk(application(tokenbind_kit, trust), request_of(*fields), path=path)
        assert (401 if reason else 200) == status_of(answer)
        if reason is None:
            assert tokenbind_client.thumbprint == content(answer)["thumbprint"]
        else:
            assert reason == tokenbind_monitor.last_reason
    for other in (str(tmp_path / "other.sock"), None):
        tokenbind_monitor.events.clear()
        (answer,) = talk(application(tokenbind_kit, trust), request_of(*proxied), path=other)
        assert (400, Reason.PROXY_UNTRUSTED) == (status_of(answer), tokenbind_monitor.last_reason)


def test_hosts(tokenbind_kit, tokenbind_client, tokenbind_monitor, secret, proxied):
    app = application(tokenbind_kit, secret, hosts=["api.example"])
    good, bad = talk(app, request_of(*proxied), request_of(*proxied, host=b"shop.example"))
    assert tokenbind_client.thumbprint == content(good)["thumbprint"]
    assert (400, Reason.PROXY_UNTRUSTED) == (status_of(bad), tokenbind_monitor.last_reason)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"GET /health HTTP/1.1"])
def test_what_no_handler_sees(line, tokenbind_kit, tokenbind_client, secret, proxied):
    """The proxy's headers and their twins, on exempt paths too; all others are as they came, UTF-8 or not."""
    fields = [*proxied, (b"X-Other", b"caf\xe9"), (b"x-k7qd2-secre", b"x"), (b"Content-Type", b"text/x")]
    twins = [(name.replace(b"-", b"_", 1), value) for name, value in proxied[1:]]
    app = application(tokenbind_kit, secret)
    seen = content(talk(app, request_of(*fields, line=line, body=b"body"))[0])
    exempt = b"/health" in line
    assert (None if exempt else tokenbind_client.thumbprint) == seen["thumbprint"]
    others = ["host", "connection", "content-length", "authorization", "x-other", "x-k7qd2-secre", "content-type"]
    assert others == seen["raw"] == seen["names"]
    assert (b"caf\xe9".hex(), "text/x", "body") == (seen["other"], seen["type"], seen["body"])
    if exempt:
        again = content(talk(application(tokenbind_kit, secret), request_of(*fields, *twins, *twins, line=line))[0])
        assert seen["raw"] == again["raw"] == again["names"]


def test_a_form_with_a_file(tokenbind_kit, secret, proxied):
    """It is read and closed as ever."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--b--\r\n'
    form = (b"Content-Type", b"multipart/form-data; boundary=b")
    app = application(tokenbind_kit, secret)
    seen = content(talk(app, request_of(*proxied, form, line=b"POST / HTTP/1.1", body=body))[0])
    assert "hello" == seen["file"]
    assert set() == PROXYS & {name.encode() for name in seen["names"]}


def test_a_websocket(tokenbind_kit, tokenbind_client, tokenbind_monitor, secret, bearer, proxied):
    async def main():
        async with serving(application(tokenbind_kit, secret)) as runner, aiohttp.ClientSession() as session:
            url = f"ws://127.0.0.1:{runner.addresses[0][1]}/news"
            headers = [(name.decode(), value.decode()) for name, value in proxied]
            async with session.ws_connect(url, headers=headers) as websocket:
                seen = await websocket.receive_json()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, headers=headers[:2])
            return seen, refused.value.status

    seen, status = asyncio.run(main())
    assert tokenbind_client.thumbprint == seen["thumbprint"]
    assert set() == PROXYS & {name.encode() for name in seen["names"]}
    assert (400, Reason.PROXY_UNTRUSTED) == (status, tokenbind_monitor.last_reason)


def test_without_a_proxy(tokenbind_kit):
    """Nothing is hidden: there is no header that is not the application's."""
    app = web.Application()
    app.add_routes([web.get("/health", view)])
    install(app, tokenbind_kit.verifier, exempt={("GET", "/health")})
    seen = content(talk(app, request_of((HEADER, b"x"), line=b"GET /health HTTP/1.1"))[0])
    assert HEADER.decode().lower() in seen["names"]
