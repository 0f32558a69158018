"""ASGI applications of all kinds behind the middleware, with their own test clients and the wiring of production."""

import asyncio
import warnings

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tokenbind import Reason
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import asgi_with_peer


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather use httpx2, where it is installed
    from starlette.testclient import TestClient


async def invoices(request):
    token = request.scope["tokenbind.token"]
    return JSONResponse({"thumbprint": token.thumbprint})


async def payments(request):
    request.scope["tokenbind.token"].require_scope("payments")
    return JSONResponse({})


async def health(request):
    return JSONResponse({"token": request.scope["tokenbind.token"]})


async def news(websocket):
    await websocket.accept()
    await websocket.send_text(websocket.scope["tokenbind.token"].thumbprint)
    await websocket.close()


ROUTES = [
    Route("/invoices", invoices),
    Route("/payments", payments),
    Route("/health", health),
    WebSocketRoute("/news", news),
]
EXEMPT = {("GET", "/health"), ("GET", "/api/health")}


def wrapped(verifier, mount=""):
    return BoundTokenMiddleware(Starlette(routes=ROUTES), verifier, exempt=EXEMPT, mount=mount)


def with_middleware_argument(verifier):
    middleware = Middleware(BoundTokenMiddleware, verifier=verifier, exempt=EXEMPT)
    return Starlette(routes=ROUTES, middleware=[middleware])


def with_add_middleware(verifier, mount=""):
    app = Starlette(routes=ROUTES)
    app.add_middleware(BoundTokenMiddleware, verifier=verifier, exempt=EXEMPT, mount=mount)
    return app


def mounted_with_add_middleware(verifier):
    return Starlette(routes=[Mount("/api", app=with_add_middleware(verifier, "/api"))])


def mounted_and_wrapped(verifier):
    return Starlette(routes=[Mount("/api", app=wrapped(verifier, "/api"))])


def mount_within(verifier):
    return BoundTokenMiddleware(Starlette(routes=[Mount("/api", routes=ROUTES)]), verifier, exempt=EXEMPT)


WIRINGS = pytest.mark.parametrize(
    ("wire", "root"),
    [
        (wrapped, ""),
        (with_middleware_argument, ""),
        (with_add_middleware, ""),
        (mounted_with_add_middleware, "/api"),
        (mounted_and_wrapped, "/api"),
        (mount_within, "/api"),
    ],
)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@WIRINGS
def test_starlette_test_client(
    wire, root, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The owner gets 200, the thief 401, nobody 401; an exempt path needs nothing, mounted or not."""
    app, path = wire(tokenbind_verifier), f"{root}/invoices"
    answer = TestClient(asgi_with_peer(app, tokenbind_client)).get(path, headers=bearer(tokenbind_token))
    assert (200, {"thumbprint": tokenbind_client.thumbprint}) == (answer.status_code, answer.json())
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        client = TestClient(asgi_with_peer(app, thief))
        answer = client.get(path, headers=bearer(tokenbind_token))
        assert (401, reason) == (answer.status_code, tokenbind_monitor.last_reason)
        assert {"token": None} == client.get(f"{root}/health").json()
    assert 503 == TestClient(app).get(path, headers=bearer(tokenbind_token)).status_code


@WIRINGS
def test_starlette_websocket(
    wire, root, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The owner's websocket is accepted, the thief's is refused."""
    app, options = wire(tokenbind_verifier), {"url": f"{root}/news", "headers": bearer(tokenbind_token)}
    with TestClient(asgi_with_peer(app, tokenbind_client)).websocket_connect(**options) as websocket:
        assert tokenbind_client.thumbprint == websocket.receive_text()
    thief = TestClient(asgi_with_peer(app, tokenbind_stranger)).websocket_connect(**options)
    with pytest.raises(WebSocketDisconnect), thief:
        pass
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_monitor.last_reason


@WIRINGS
def test_scope_refused_in_a_view_is_403(wire, root, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """`require_scope` in a view is 403 with the scope that is needed, even where Starlette makes a 500 of it first."""
    client = TestClient(asgi_with_peer(wire(tokenbind_kit.verifier), tokenbind_client))
    good, narrow = (tokenbind_kit.mint(tokenbind_client, scope=scope) for scope in ("payments", "invoices"))
    assert 200 == client.get(f"{root}/payments", headers=bearer(good)).status_code
    answer = client.get(f"{root}/payments", headers=bearer(narrow))
    assert (403, Reason.SCOPE_INSUFFICIENT) == (answer.status_code, tokenbind_monitor.last_reason)
    assert answer.headers["www-authenticate"].endswith('scope="payments"')


def test_httpx_asgi_transport(
    tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """An asynchronous test client: 200 for the owner, 401 for the thief."""
    app = wrapped(tokenbind_verifier)

    async def get(peer):
        transport = httpx.ASGITransport(app=asgi_with_peer(app, peer))
        async with httpx.AsyncClient(transport=transport, base_url="https://api.example") as client:
            return await client.get("/invoices", headers=bearer(tokenbind_token))

    answer = asyncio.run(get(tokenbind_client))
    assert (200, {"thumbprint": tokenbind_client.thumbprint}) == (answer.status_code, answer.json())
    assert "no-store" == answer.headers["cache-control"]
    stolen = asyncio.run(get(tokenbind_stranger))
    assert (401, Reason.CERTIFICATE_MISMATCH) == (stolen.status_code, tokenbind_monitor.last_reason)
    assert tokenbind_monitor.refused[-1].reference == stolen.json()["reference"]
