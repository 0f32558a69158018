"""A trailer of one request is no header of the next: connections of a proxy carry the requests of many clients."""

import asyncio
from base64 import b64encode

from aiohttp import web
import pytest

from tokenbind import Reason
from tokenbind.peer import Trust, forwarded
from tokenbind.resource_server.aiohttp import bound_token, install


COMMON = b"Host: api.example\r\nX-Secret: " + b"x" * 32 + b"\r\n"
UPLOAD = b" HTTP/1.1\r\n" + COMMON + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n%s\r\n\r\n"


@pytest.fixture
def app(tokenbind_kit, tmp_path):
    async def whoami(request):
        return web.Response(text=bound_token(request).thumbprint)

    async def health(request):
        return web.Response(text=(await request.read()).decode())

    (tmp_path / "secret").write_text("x" * 32)
    trust = Trust.secret_header("X-Secret", file=tmp_path / "secret")
    source = forwarded.rfc9440(header="Cert-K7Qd2", trusted_proxy=trust)
    app = web.Application()
    app.add_routes([web.get("/", whoami), web.post("/health", health)])
    install(app, tokenbind_kit.verifier, source, exempt={("POST", "/health")})
    return app


def statuses(app, *connections):
    """The answers on each of *connections*, on which all requests are sent at once."""

    async def ask(address, requests):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(requests)
        answers = await reader.read()
        writer.close()
        return [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]

    async def main():
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with asyncio.timeout(20):
                return [await ask(runner.addresses[0], requests) for requests in connections]
        finally:
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/", 401), ("/nowhere", 401)])
def test_a_trailer_of_the_request_before(app, tokenbind_kit, tokenbind_client, tokenbind_monitor, path, status):
    """aiohttp's parser in C makes a header of it, so no other request may follow on that connection."""
    certificate = b"Cert-K7Qd2: :" + b64encode(tokenbind_client.peer.der) + b":"
    bearer = b"Authorization: Bearer " + tokenbind_kit.mint(tokenbind_client).encode()
    stolen = b"GET / HTTP/1.1\r\nConnection: close\r\n" + COMMON + bearer + b"\r\n"
    connections = [
        stolen + certificate + b"\r\n\r\n",
        b"POST " + path.encode() + UPLOAD % certificate + stolen + b"\r\n",
        stolen + b"\r\n",
    ]
    assert [[200], [status], [401]] == statuses(app, *connections)
    assert Reason.CERTIFICATE_MISSING == tokenbind_monitor.last_reason


def test_under_an_application_without_a_guard(app, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """Its routes would let a trailer through to the next request, so nothing is read from that."""
    outer, certificate = web.Application(), b"Cert-K7Qd2: :" + b64encode(tokenbind_client.peer.der) + b":\r\n"
    outer.add_subapp("/api", app)
    bearer = b"Authorization: Bearer " + tokenbind_kit.mint(tokenbind_client).encode() + b"\r\n"
    request = b"GET /api/ HTTP/1.1\r\nConnection: close\r\n" + COMMON + bearer + certificate + b"\r\n"
    assert [[503]] == statuses(outer, request)
    assert Reason.CERTIFICATE_SOURCE_MISSING == tokenbind_monitor.last_reason


def test_other_requests_share_a_connection(app, tokenbind_kit, tokenbind_client):
    """It is ended for what is chunked, and for nothing else."""
    upload = b"POST /health HTTP/1.1\r\nContent-Length: 1\r\n" + COMMON + b"\r\na"
    last = b"POST /health HTTP/1.1\r\nConnection: close\r\n" + COMMON + b"\r\n"
    assert [[200, 200, 200]] == statuses(app, upload + upload + last)
