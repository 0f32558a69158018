"""FastAPI: `install` and the dependency `bound_token`, with FastAPI's own test client."""

from typing import Annotated

import fastapi
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tokenbind import BoundToken, ConfigurationError, Reason, TokenBindError
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.resource_server.fastapi import bound_token, install
from tokenbind.testing import asgi_with_peer


# As OpenAPI 3.1 lets it, and 3.0 did not.
SHOWS_SCOPES = tuple(map(int, fastapi.__version__.split(".")[:2])) >= (0, 123)
EXEMPT = {("GET", "/health"), ("GET", "/exempt"), ("WEBSOCKET", "/exempt")}
READ = Depends(bound_token("read"))
Reader = Annotated[BoundToken, READ]


def add_routes(app):
    """Every way to ask for the token, and for the scope ``read``."""
    router, mounted = APIRouter(prefix="/router", dependencies=[READ]), FastAPI()

    @app.get("/any")
    def any_token(token: Annotated[BoundToken, Depends(bound_token())]):
        return token.thumbprint

    @app.get("/depends")
    def depends(token: BoundToken = READ):
        return token.thumbprint

    @app.get("/annotated")
    @app.get("/exempt")
    @mounted.get("/annotated")
    async def annotated(token: Reader):
        return token.thumbprint

    @app.get("/security")
    def security(token: Annotated[BoundToken, Security(bound_token(), scopes=["read"])]):
        return token.thumbprint

    @router.get("/view")
    def in_a_router(request: Request):
        return request.scope["tokenbind.token"].thumbprint

    @app.get("/view")
    @mounted.get("/view")
    def view(token: Annotated[BoundToken, Depends(bound_token())]):
        token.require_scope("read")
        return token.thumbprint

    @mounted.get("/broken")
    def broken():
        raise RuntimeError("of its own")

    @app.get("/health")
    def health():
        return "fine"

    @app.websocket("/news")
    @app.websocket("/exempt")
    async def news(websocket: WebSocket, token: Reader):
        await websocket.accept()
        await websocket.send_text(token.thumbprint)
        await websocket.close()

    app.include_router(router)
    app.mount("/mounted", mounted)


@pytest.fixture
def app(tokenbind_verifier):
    """An application in which routes are added before `install` and after it."""
    app = FastAPI(debug=True)

    @app.get("/before")
    def before(token: Reader):
        return token.thumbprint

    install(app, tokenbind_verifier, exempt=EXEMPT)
    add_routes(app)
    return app


@pytest.fixture
def client_of(tokenbind_kit):
    """A test client of an application: as *peer*, with a token of the rightful client for *scope*."""

    def client_of(app, peer, scope="read", **options):
        token = tokenbind_kit.mint(tokenbind_kit.client(), scope=scope)
        return TestClient(asgi_with_peer(app, peer), headers={"Authorization": f"Bearer {token}"}, **options)

    return client_of


PATHS = ["before", "depends", "annotated", "security", "router/view", "view", "mounted/annotated", "mounted/view"]


@pytest.mark.parametrize("path", ["any", *PATHS])
def test_owner_and_thief(path, app, client_of, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """The owner gets 200, and the view the token; the thief and nobody 401."""
    answer = client_of(app, tokenbind_client).get(f"/{path}")
    assert (200, tokenbind_client.thumbprint) == (answer.status_code, answer.json())
    assert "no-store" == answer.headers["cache-control"]
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = client_of(app, thief).get(f"/{path}")
        assert (401, reason) == (answer.status_code, tokenbind_monitor.last_reason)
        assert tokenbind_monitor.refused[-1].reference == answer.json()["reference"]


@pytest.mark.parametrize("path", PATHS)
def test_a_scope_too_small_is_403(path, app, client_of, tokenbind_client, tokenbind_monitor):
    """In a dependency as in a view: the guard's own answer, reported once, under the reference of the answer."""
    answer = client_of(app, tokenbind_client, "write").get(f"/{path}")
    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["error"])
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="insufficient_scope"')
    assert answer.headers["www-authenticate"].endswith('scope="read"')
    assert "no-store" == answer.headers["cache-control"]
    (event,) = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, answer.json()["reference"]) == (event.reason, event.reference)
    assert "client" == event.client_id


def test_broader_handlers_do_not_see_the_refusal(app, client_of, tokenbind_client):
    """An application that answers 200 to every error of ours, or to every error, has no say."""

    @app.exception_handler(TokenBindError)
    @app.exception_handler(Exception)
    def excuse(_request, error):
        return JSONResponse(str(error))

    assert 403 == client_of(app, tokenbind_client, "write").get("/depends").status_code
    assert 401 == client_of(app, tokenbind_client).get("/exempt").status_code


def test_an_exempt_path_that_asks_for_the_token_is_refused(app, client_of, tokenbind_client, tokenbind_monitor):
    """401, with a good token as without one: nobody has looked at it. Without the dependency it is 200."""
    client = client_of(app, tokenbind_client)
    assert 200 == client.get("/health").status_code
    answer = client.get("/exempt")
    assert (401, 'Bearer realm="api"') == (answer.status_code, answer.headers["www-authenticate"])
    (event,) = tokenbind_monitor.refused
    assert (Reason.TOKEN_MISSING, answer.json()["reference"]) == (event.reason, event.reference)
    assert "exempt" in event.detail


@pytest.mark.parametrize("can_answer", [True, False])
def test_websockets(can_answer, app, client_of, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """With the scope it opens; without, as a thief, or on an exempt path, it does not. Answered where servers can."""

    async def server(scope, receive, send):
        if not can_answer:
            scope.get("extensions", {}).pop("websocket.http.response", None)
        await app(scope, receive, send)

    def connect(path="/news", peer=tokenbind_client, scope="read"):
        with client_of(server, peer, scope).websocket_connect(path) as websocket:
            return websocket.receive_text()

    assert tokenbind_client.thumbprint == connect()
    for status, reason, arguments in [
        (403, Reason.SCOPE_INSUFFICIENT, {"scope": "write"}),
        (401, Reason.CERTIFICATE_MISMATCH, {"peer": tokenbind_stranger}),
        (401, Reason.TOKEN_MISSING, {"path": "/exempt"}),
    ]:
        with pytest.raises(WebSocketDenialResponse if can_answer else WebSocketDisconnect) as refused:
            connect(**arguments)
        assert (status if can_answer else 1008) == getattr(refused.value, "status_code" if can_answer else "code")
        assert reason is tokenbind_monitor.last_reason
    assert 3 == len(tokenbind_monitor.refused)


def test_without_install_no_view_runs(client_of, tokenbind_client, tokenbind_verifier):
    """A forgotten `install` is 500, and says what to do. Either middleware of ours will do."""
    app = FastAPI(title="Invoices")
    add_routes(app)
    assert 500 == client_of(app, tokenbind_client, raise_server_exceptions=False).get("/any").status_code
    with pytest.raises(ConfigurationError, match=r"call install\(app, verifier\) on the application 'Invoices'"):
        client_of(app, tokenbind_client).get("/any")
    assert 200 == client_of(BoundTokenMiddleware(app, tokenbind_verifier), tokenbind_client).get("/any").status_code


def test_mistakes_are_found_at_start(tokenbind_verifier):
    """By `install` itself, not at the first request."""
    app = FastAPI()
    with pytest.raises(ConfigurationError, match="exempt"):
        install(app, tokenbind_verifier, exempt={"/health"})
    install(app, tokenbind_verifier)
    with pytest.raises(ConfigurationError, match="before"):
        install(app, tokenbind_verifier)
    for scopes in [("read write",), (app,)]:
        with pytest.raises(ConfigurationError, match="scopes are given one by one"):
            bound_token(*scopes)


def test_an_error_of_a_mounted_application_stays_its_own(app, client_of, tokenbind_client):
    """Only the error that hides a refused scope is looked behind."""
    with pytest.raises(RuntimeError, match="of its own"):
        client_of(app, tokenbind_client).get("/mounted/broken")


def test_openapi(app):
    """The scheme, and what each operation needs: scopes, any token, or none."""
    document = app.openapi()
    scheme = document["components"]["securitySchemes"]["CertificateBoundToken"]
    assert ("http", "bearer", "JWT") == (scheme["type"], scheme["scheme"], scheme["bearerFormat"])
    assert "RFC 8705" in scheme["description"]
    assert [{"CertificateBoundToken": []}] == document["security"]
    needs = {path: operations["get"].get("security") for path, operations in document["paths"].items()}
    assert [] == needs["/health"]
    assert [{"CertificateBoundToken": []}] == needs["/any"]
    shown = ["read"] if SHOWS_SCOPES else []
    for path in ("/depends", "/annotated", "/security", "/router/view"):
        assert [{"CertificateBoundToken": shown}] == needs[path]


def test_openapi_of_an_application_without_a_dependency(tokenbind_verifier):
    """Every operation needs the token that the guard asks for, under the mount point, too."""
    app = FastAPI()
    install(app, tokenbind_verifier, required_scopes=["api"], exempt={("GET", "/api/health")}, mount="/api")
    app.get("/health")(lambda: "fine")
    app.get("/invoices")(list)
    document = app.openapi()
    assert ["CertificateBoundToken"] == list(document["components"]["securitySchemes"])
    assert [{"CertificateBoundToken": ["api"]}] == document["security"]
    assert [[], None] == [document["paths"][path]["get"].get("security") for path in ("/health", "/invoices")]
    assert document == app.openapi()
