"""Django: the middleware, `bound_token`, `require_scope` and `install`, under WSGI and under ASGI."""

import asyncio
import json
from types import ModuleType

from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.http import HttpResponse, JsonResponse
from django.test import Client, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
import httpx
import pytest

from tokenbind import ConfigurationError, Reason
from tokenbind.peer import TLSConnection
from tokenbind.resource_server.django import BoundTokenMiddleware, bound_token, install, require_scope
from tokenbind.testing import asgi_with_peer, peer_environ


MIDDLEWARE = "tokenbind.resource_server.django.BoundTokenMiddleware"
EXEMPT = {("GET", "/health"), ("GET", "/exempt"), ("GET", "/exempt-decorated")}


class Subclass(BoundTokenMiddleware):
    """A project's own."""


def sync_only(get_response):
    """A middleware of the old kind."""
    return lambda request: get_response(request)  # noqa: PLW0108 - a function of ours is not asynchronous


def async_only(get_response):
    """A middleware of the new kind."""

    async def middleware(request):
        return await get_response(request)

    return middleware


async_only.sync_capable, async_only.async_capable = False, True


class Excusing:
    """A middleware that answers 200 to every exception of a view."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, _request, exception):
        return HttpResponse(str(exception))


class Breaking(Excusing):
    """A middleware that answers 500 to every exception of a view."""

    def process_exception(self, _request, exception):
        return HttpResponse(str(exception), status=500)


def of_this_module(name):
    return f"{__name__}.{name}"


def any_token(request):
    return JsonResponse({"thumbprint": bound_token(request).thumbprint})


async def asynchronous(request):
    return any_token(request)


def function(request):
    request.bound_token.require_scope("read")
    return any_token(request)


async def async_function(request):
    return function(request)


def health(request):
    return JsonResponse({"thumbprint": request.bound_token})


def for_all_the_world(request):
    response = any_token(request)
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


def headers(request):
    told = [*request.headers, *request.META, *(name for name, _ in getattr(request, "scope", {}).get("headers", ()))]
    return JsonResponse({"told": [str(name).lower().replace("_", "-") for name in told]})


def urls():
    """Every way to ask for the token, and for the scope ``read``."""

    @method_decorator(require_scope("read"), name="dispatch")
    class Invoices(View):
        def get(self, request):
            return any_token(request)

    class AsyncInvoices(View):
        async def get(self, request):
            return any_token(request)

    @method_decorator(require_scope("read"), name="dispatch")
    class AsyncDispatch(AsyncInvoices):
        pass

    views = {
        "any": any_token,
        "decorator": require_scope("read")(any_token),
        "async-decorator": require_scope("read")(asynchronous),
        "class": Invoices.as_view(),
        "async-class": AsyncDispatch.as_view(),
        "async-decorated-class": require_scope("read")(AsyncInvoices.as_view()),
        "function": function,
        "async-function": async_function,
        "health": health,
        "exempt": any_token,
        "exempt-decorated": require_scope("read")(any_token),
        "public": for_all_the_world,
        "headers": headers,
    }
    module = ModuleType("urls")
    module.urlpatterns = [path(name, view) for name, view in views.items()]
    return module


DECORATED = ["decorator", "async-decorator", "class", "async-class", "async-decorated-class"]
VIEWS = [*DECORATED, "function", "async-function"]


@pytest.fixture
def inner():
    """The middleware below the guard's."""
    return []


@pytest.fixture
def project(inner, tokenbind_verifier):
    """A project whose settings are those of the documentation."""
    with override_settings(
        MIDDLEWARE=[MIDDLEWARE, *inner],
        TOKENBIND={"verifier": tokenbind_verifier, "exempt": EXEMPT},
        ALLOWED_HOSTS=["testserver"],
    ):
        with override_settings(ROOT_URLCONF=urls()):
            yield


def get_wsgi(path, peer, headers):
    """GET as Django's own test client does it."""
    answer = Client(**peer_environ(peer)).get(path, headers=headers)
    return answer.status_code, answer.headers, answer.content


def get_asgi(path, peer, headers):
    """GET from the ASGI application."""

    async def get():
        transport = httpx.ASGITransport(asgi_with_peer(get_asgi_application(), peer))
        async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
            return await client.get(path, headers=headers)

    answer = asyncio.run(get())
    return answer.status_code, answer.headers, answer.content


@pytest.fixture(params=[get_wsgi, get_asgi])
def get(request, tokenbind_kit):
    """GET from the project, as *peer*, with a token of the rightful client for *scope*: status, headers and JSON."""

    def get(path, peer, scope="read"):
        token = tokenbind_kit.mint(tokenbind_kit.client(), scope=scope)
        status, headers, body = request.param(path, peer, {"Authorization": f"Bearer {token}"})
        return status, headers, json.loads(body)

    return get


INNER = pytest.mark.parametrize("inner", [[], [of_this_module("sync_only")], [of_this_module("async_only")]])


@INNER
@pytest.mark.parametrize("view", ["any", *VIEWS])
def test_owner_and_thief(view, project, get, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """The owner gets 200, and the view the token; the thief and nobody 401. Whatever is asynchronous, and what not."""
    status, headers, body = get(f"/{view}", tokenbind_client)
    assert (200, {"thumbprint": tokenbind_client.thumbprint}, "no-store") == (status, body, headers["cache-control"])
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        status, headers, body = get(f"/{view}", thief)
        assert (401, reason) == (status, tokenbind_monitor.last_reason)
        assert tokenbind_monitor.refused[-1].reference == body["reference"]
        assert 'error="invalid_token"' in headers["www-authenticate"]


@INNER
@pytest.mark.parametrize("view", VIEWS)
def test_a_scope_too_small_is_403(view, project, get, tokenbind_client, tokenbind_monitor):
    """By the decorator or in the view: the guard's own answer, reported once, under the reference of the answer."""
    status, headers, body = get(f"/{view}", tokenbind_client, "write")
    assert (403, "insufficient_scope") == (status, body["error"])
    assert ("application/json", "no-store") == (headers["content-type"], headers["cache-control"])
    assert headers["www-authenticate"].startswith('Bearer realm="api", error="insufficient_scope"')
    assert headers["www-authenticate"].endswith('scope="read"')
    (event,) = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, body["reference"]) == (event.reason, event.reference)
    assert "client" == event.client_id


@pytest.mark.parametrize("inner", [[of_this_module("Excusing")]])
@pytest.mark.parametrize("view", DECORATED)
def test_other_middleware_does_not_see_the_decorators_refusal(view, project, get, tokenbind_client):
    """Not even one that answers 200 to every exception."""
    assert 403 == get(f"/{view}", tokenbind_client, "write")[0]


@pytest.mark.parametrize("inner", [[of_this_module("Breaking")]])
@pytest.mark.parametrize("view", VIEWS)
def test_a_500_that_other_middleware_makes_of_it_is_403(view, project, get, tokenbind_client, tokenbind_monitor):
    """And is reported once."""
    status, _, body = get(f"/{view}", tokenbind_client, "write")
    assert (403, body["reference"]) == (status, *[event.reference for event in tokenbind_monitor.refused])


@pytest.mark.parametrize("view", ["exempt", "exempt-decorated"])
def test_an_exempt_path_that_asks_for_the_token_is_refused(view, project, get, tokenbind_client, tokenbind_monitor):
    """401, with a good token as without one: nobody has looked at it. A view that does not ask is 200."""
    status, headers, body = get("/health", tokenbind_client)
    assert (200, {"thumbprint": None}, None) == (status, body, headers.get("cache-control"))
    status, headers, body = get(f"/{view}", tokenbind_client)
    assert (401, 'Bearer realm="api"') == (status, headers["www-authenticate"])
    (event,) = tokenbind_monitor.refused
    assert (Reason.TOKEN_MISSING, body["reference"]) == (event.reason, event.reference)


def test_no_shared_cache_keeps_an_answer(project, get, tokenbind_client):
    """Even if the view says so."""
    _, headers, _ = get("/public", tokenbind_client)
    assert "public, max-age=60, private" == headers["cache-control"]


class Proxied(TLSConnection):
    """A peer source that has a header of its own."""

    hidden_headers = frozenset({b"x-proxy-secret"})


class Asking:
    """A middleware that looks at the headers first."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request) if request.headers else None


@pytest.mark.parametrize("above", [[], [of_this_module("Asking")]])
@pytest.mark.parametrize("fetch", [get_wsgi, get_asgi])
def test_views_do_not_see_the_headers_of_the_proxy(fetch, above, project, tokenbind_kit, tokenbind_client):
    """In none of the places where Django keeps headers; other headers they do."""
    setting = {"verifier": tokenbind_kit.verifier, "peer_source": Proxied()}
    token = tokenbind_kit.mint(tokenbind_client)
    sent = {"Authorization": f"Bearer {token}", "X-Proxy-Secret": "xyz", "X-Other": "abc"}
    with override_settings(TOKENBIND=setting, MIDDLEWARE=[*above, MIDDLEWARE]):
        told = json.loads(fetch("/headers", tokenbind_client, sent)[2])["told"]
    assert [name for name in told if "x-other" in name]
    assert [] == [name for name in told if "secret" in name]


def test_another_error_stays_djangos(project, tokenbind_kit, tokenbind_client):
    """A path that is not there is 404, for those who may know."""
    client = Client(**peer_environ(tokenbind_client))
    headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client)}"}
    assert 404 == client.get("/nothing", headers=headers).status_code
    assert 401 == client.get("/nothing").status_code


def test_without_the_middleware_no_view_runs(project):
    """It is 500, and says what to do; so it is where the decorator stands, at the start."""
    with override_settings(MIDDLEWARE=[of_this_module("sync_only")]):
        for view in ("/any", "/decorator"):
            assert 500 == Client(raise_request_exception=False).get(view).status_code
            with pytest.raises(ConfigurationError, match=f"put '{MIDDLEWARE}' into MIDDLEWARE"):
                Client().get(view)
        with pytest.raises(ConfigurationError, match=f"require_scope needs '{MIDDLEWARE}' in MIDDLEWARE"):
            require_scope("read")


@pytest.mark.parametrize("name", [of_this_module("Subclass"), "nothing.there"])
def test_what_may_be_the_middleware_is_no_mistake(name):
    """A subclass is as good; of what cannot be imported Django speaks itself."""
    with override_settings(MIDDLEWARE=[name]):
        assert any_token is not require_scope("read")(any_token)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        (None, "TOKENBIND must be a dict with a verifier, such as {'verifier'"),
        ({}, "TOKENBIND must be a dict with a verifier, such as {'verifier'"),
        ({"verifier": "tokenbind.nothing"}, "TOKENBIND: verifier: cannot import 'tokenbind.nothing'"),
        ({"verifier": "nothing.there"}, "TOKENBIND: verifier: cannot import"),
        ({"verifier": "no name"}, "TOKENBIND: verifier: cannot import"),
        ({"verifier": "tokenbind.TokenVerifier"}, "TOKENBIND: the verifier must be a TokenVerifier"),
        ({"verifier": ..., "peer_source": 1}, "TOKENBIND: peer_source= must be a peer source"),
        ({"verifier": ..., "exempt": {"/health"}}, "TOKENBIND: exempt="),
        ({"verifier": ..., "exemt": (), 1: 2}, r"TOKENBIND has \['1', 'exemt'\], but knows only \['exempt'"),
    ],
)
def test_mistakes_in_the_setting_are_found_at_start(setting, match, tokenbind_verifier):
    """When the application is made, and by ``manage.py check``."""
    if setting:
        setting = {key: tokenbind_verifier if value is ... else value for key, value in setting.items()}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], TOKENBIND=setting):
        with pytest.raises(ConfigurationError, match=match):
            get_asgi_application()
        (error,) = [error for error in run_checks() if error.id == "tokenbind.E001"]
        assert error.msg.startswith("TOKENBIND")


def test_a_project_without_any_of_it_is_none_of_our_business():
    """``manage.py check`` has nothing to say, until the middleware is there."""
    assert [] == run_checks(tags=["security"])
    with override_settings(MIDDLEWARE=[MIDDLEWARE]):
        assert ["tokenbind.E001"] == [error.id for error in run_checks(tags=["security"])]


a_verifier = a_source = None


def make_verifier():
    return a_verifier


def test_objects_can_be_named(project, get, tokenbind_client, tokenbind_stranger, tokenbind_verifier, monkeypatch):
    """By the dotted path of an object, or of a function that makes one."""
    monkeypatch.setitem(globals(), "a_verifier", tokenbind_verifier)
    monkeypatch.setitem(globals(), "a_source", TLSConnection())
    for verifier in (of_this_module("a_verifier"), of_this_module("make_verifier"), make_verifier):
        with override_settings(TOKENBIND={"verifier": verifier, "peer_source": of_this_module("a_source")}):
            assert [] == run_checks(tags=["security"])
            assert [200, 401] == [get("/any", peer)[0] for peer in (tokenbind_client, tokenbind_stranger)]


def test_install_writes_both_settings(get, tokenbind_client, tokenbind_stranger, tokenbind_verifier):
    """For settings.py, with the middleware first; not twice, and not for an application."""
    namespace = {"MIDDLEWARE": (of_this_module("Breaking"),), "ALLOWED_HOSTS": ["testserver"]}
    install(namespace, tokenbind_verifier, exempt=EXEMPT)
    assert [MIDDLEWARE, of_this_module("Breaking")] == namespace["MIDDLEWARE"]
    with override_settings(**namespace):
        with override_settings(ROOT_URLCONF=urls()):
            assert [200, 401] == [get("/function", peer)[0] for peer in (tokenbind_client, tokenbind_stranger)]
            assert 403 == get("/function", tokenbind_client, "write")[0]
    for wrong, match in [(namespace, "already"), (get_asgi_application(), "belongs into settings.py")]:
        with pytest.raises(ConfigurationError, match=match):
            install(wrong, tokenbind_verifier)
    without_middleware = {}
    install(without_middleware, "project.tokens.verifier")
    assert [MIDDLEWARE] == without_middleware["MIDDLEWARE"]
    assert "project.tokens.verifier" == without_middleware["TOKENBIND"]["verifier"]
