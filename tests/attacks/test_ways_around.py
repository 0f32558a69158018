"""Attack 69: no other door leads to the application."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tokenbind import InvalidRequest, Reason
from tokenbind.monitoring import Accepted

from .serving import LIFESPAN, bearer


HANDSHAKE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

over_asgi = pytest.mark.parametrize("service", ["asgi"], indirect=True)


@over_asgi
@pytest.mark.parametrize(
    ("token", "client", "reason"),
    [
        pytest.param(None, "client", Reason.TOKEN_MISSING, id="attack-69-no-token"),
        pytest.param("bound", None, Reason.CERTIFICATE_MISSING, id="attack-69-no-certificate"),
        pytest.param("bound", "stranger", Reason.CERTIFICATE_MISMATCH, id="attack-69-other-certificate"),
        pytest.param("unbound", "client", Reason.TOKEN_UNBOUND, id="attack-69-unbound"),
    ],
)
@pytest.mark.parametrize("target", [b"/", b"/health"])
def test_websocket_refused(service, token, client, reason, target):
    """Attack 69: a websocket handshake is refused before it is accepted; an exempt GET is no exempt handshake."""
    kit = service.kit
    make = {"bound": kit.mint, "unbound": kit.unbound}
    lines = [] if token is None else [bearer(make[token](kit.client()))]
    answer = service.ask(client and kit.client(client), *HANDSHAKE, *lines, target=target)
    assert (401, reason) == (answer.status, service.reason)


@over_asgi
def test_attack_69_websocket_in_the_query(service):
    """Attack 69: the query is no way for websockets either, though browsers know no other."""
    kit = service.kit
    target = f"/?access_token={kit.mint(kit.client())}".encode()
    assert 400 == service.ask(kit.client(), *HANDSHAKE, target=target).status
    assert Reason.TOKEN_IN_QUERY == service.reason


@over_asgi
def test_attack_69_websocket_accepted(service):
    """Attack 69, the negative twin: the rightful client's handshake is accepted."""
    kit = service.kit
    answer = service.ask_with(kit.client(), kit.mint(kit.client()), *HANDSHAKE)
    assert 101 == answer.status
    assert isinstance(kit.monitor.events[-1], Accepted)


@over_asgi
def test_attack_69_lifespan(service):
    """Attack 69: lifespan, which carries no request, reaches the application."""
    assert "lifespan.startup" == LIFESPAN[0]


@over_asgi
@pytest.mark.parametrize("kind", ["webtransport", "HTTP", "http2", ""])
def test_attack_69_other_kinds(service, kind):
    """Attack 69: a kind of connection that cannot be guarded is refused, and the application not called."""
    with pytest.raises(InvalidRequest) as refusal:
        asyncio.run(service.app({"type": kind, "headers": []}, None, None))
    assert Reason.SCOPE_TYPE_REFUSED == refusal.value.reason


@pytest.mark.parametrize("path", ["/health", "/health?verbose=1", "/%68ealth"])
def test_attack_69_exempt(service, path):
    """Attack 69, the negative twin: the exempt path needs no token, and is given none, not even a good one."""
    kit = service.kit
    for lines in ([], [bearer(kit.mint(kit.client()))], [b"Authorization: Bearer x"]):
        answer = service.ask(kit.client(), *lines, target=path.encode())
        assert (200, None) == (answer.status, answer.json["thumbprint"])


LOOKALIKES = [
    "/health/",
    "/health//",
    "/healthz",
    "/Health",
    "/./health",
    "/secret/../health",
    "/health/../secret",
    "/secret/health",
    "/secret//health",
    "/health%2F..%2Fsecret",
    "/health;v=1",
    "/health%00",
    "/health%20",
    "/health%0a",
    "/secret?/health",
]


@pytest.mark.parametrize("target", [pytest.param(path, id=f"attack-69-{path}") for path in LOOKALIKES])
def test_exempt_paths_are_exact(service, target):
    """Attack 69: what only looks like the exempt path is guarded."""
    answer = service.ask(service.kit.client(), target=target.encode())
    assert (401, Reason.TOKEN_MISSING) == (answer.status, service.reason)


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "get", "WEBSOCKET"])
def test_attack_69_exempt_methods_are_exact(service, method):
    """Attack 69: another method of the exempt path is guarded, where the server lets it through at all."""
    events = len(service.kit.monitor.events)
    answer = service.ask(service.kit.client(), target=b"/health", method=method.encode())
    assert (401 if len(service.kit.monitor.events) > events else 400) == answer.status


def mounted(service, at, app):
    if service.interface == "asgi":
        return Starlette(routes=[Mount(at, app=app)])
    return DispatcherMiddleware(lambda environ, start: pytest.fail("not the mounted application"), {at: app})


@pytest.mark.parametrize("exempt", ["/health", "/api/health"])
def test_attack_69_mounted(service, exempt):
    """Attack 69: mounted somewhere, the middleware guards as before, and exempts full paths only."""
    kit = service.kit
    app = mounted(service, "/api", service.guarded(kit.verifier, exempt={("GET", exempt)}, mount="/api"))
    health = service.ask_in_process(kit.client(), app=app, url="https://api.example/api/health")
    assert (200 if exempt == "/api/health" else 401) == health.status
    url = "https://api.example/api/invoices"
    header = (b"authorization", b"Bearer " + kit.mint(kit.client()).encode())
    assert 401 == service.ask_in_process(kit.client(), app=app, url=url).status
    assert 401 == service.ask_in_process(kit.client("stranger"), header, app=app, url=url).status
    assert kit.client().thumbprint == service.ask_in_process(kit.client(), header, app=app, url=url).json["thumbprint"]


@over_asgi
@pytest.mark.parametrize(("exempt", "status"), [("/health", 401), ("/api/health", 200)])
def test_attack_69_mounted_by_taking_the_path_apart(service, exempt, status):
    """Attack 69: the full path is compared, where the framework takes the mount point out of the path too."""
    guarded = service.guarded(service.kit.verifier, exempt={("GET", exempt)}, mount="/api/")

    async def app(scope, receive, send):
        await guarded({**scope, "root_path": "/api", "path": "/health"}, receive, send)

    assert status == service.ask_in_process(service.kit.client(), app=app).status


@pytest.mark.parametrize("mount", [None, "/public"])
def test_attack_69_mount_point_of_the_client(service, mount):
    """Attack 69: gunicorn and Daphne can take the mount point from a header, so that the path may be split anywhere."""
    guarded = service.guarded(service.kit.verifier, exempt={("GET", "/public/invoices")}, mount=mount or "")

    def elsewhere(*arguments):
        split = {"root_path": "/public", "path": "/invoices", "SCRIPT_NAME": "/public", "PATH_INFO": "/invoices"}
        return guarded({**arguments[0], **split}, *arguments[1:])

    answer = service.ask_in_process(service.kit.client("stranger"), app=elsewhere)
    assert (200 if mount else 401) == answer.status
