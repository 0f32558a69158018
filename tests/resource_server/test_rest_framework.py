"""Django REST framework: the authentication and the permission class, with the Django middleware and without it."""

from types import ModuleType

from django.test import override_settings
from django.urls import path
import pytest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from tokenbind import ConfigurationError, Reason
from tokenbind.resource_server.django import bound_token
from tokenbind.resource_server.rest_framework import BoundTokenAuthentication, TokenUser, require_scope
from tokenbind.testing import peer_environ


MIDDLEWARE = "tokenbind.resource_server.django.BoundTokenMiddleware"
EXEMPT = {("GET", f"/{name}") for name in ("exempt", "exempt-user", "exempt-scope")}


def excuse(error, context):
    """An exception handler that answers 200 to everything."""
    return Response({"excuse": str(error)})


class KnownClients(BoundTokenAuthentication):
    """A project's own users."""

    def get_user(self, token):
        if "read" not in token.scopes:
            raise AuthenticationFailed("no such user")
        return TokenUser(token)


class ByOtherMeans(BaseAuthentication):
    """Some other authentication, which succeeds."""

    def authenticate(self, request):
        return object(), None


class Invoices(APIView):
    """Says who asks."""

    authentication_classes = (BoundTokenAuthentication,)
    permission_classes = (AllowAny,)

    def get(self, request):
        thumbprint = None if request.auth is None else bound_token(request).thumbprint
        return Response({"thumbprint": thumbprint, "user": getattr(request.user, "pk", None)})


class AsksItself(Invoices):
    """Asks for the scope in the view."""

    def get(self, request):
        request.auth.require_scope("read")
        return super().get(request)


class Public(Invoices):
    """Lets a shared cache keep what it says."""

    def get(self, request):
        return Response({}, headers={"Cache-Control": "public, max-age=60"})


class Broken(Invoices):
    """Fails."""

    def get(self, request):
        raise APIException


def urls():
    """Every way to ask for the token, and for the scope ``read``."""
    read = require_scope("read")
    views = {
        "any": Invoices.as_view(),
        "permission": Invoices.as_view(permission_classes=[IsAuthenticated, read]),
        "both": Invoices.as_view(permission_classes=[IsAuthenticated & read]),
        "either": Invoices.as_view(permission_classes=[IsAdminUser | read]),
        "view": AsksItself.as_view(),
        "known": Invoices.as_view(authentication_classes=[KnownClients]),
        "other": Invoices.as_view(authentication_classes=[ByOtherMeans], permission_classes=[read]),
        "public": Public.as_view(),
        "broken": Broken.as_view(),
        "exempt": Invoices.as_view(),
        "exempt-user": Invoices.as_view(permission_classes=[IsAuthenticated]),
        "exempt-scope": Invoices.as_view(permission_classes=[read]),
    }
    module = ModuleType("urls")
    module.urlpatterns = [path(name, view) for name, view in views.items()]
    return module


@pytest.fixture(params=[[MIDDLEWARE], []], ids=["middleware", "alone"])
def middleware(request):
    """The setting, with and without our middleware."""
    return request.param


@pytest.fixture(params=["rest_framework.views.exception_handler", f"{__name__}.excuse"])
def project(request, middleware, tokenbind_verifier):
    """A project, whose exception handler may be one that is too kind."""
    with override_settings(
        MIDDLEWARE=middleware,
        TOKENBIND={"verifier": tokenbind_verifier, "exempt": EXEMPT},
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "EXCEPTION_HANDLER": request.param},
        ALLOWED_HOSTS=["testserver"],
    ):
        with override_settings(ROOT_URLCONF=urls()):
            yield


@pytest.fixture
def get(tokenbind_kit):
    """GET from the project, as *peer*, with a token of the rightful client for *scope*."""

    def get(path, peer, scope="read", **options):
        token = tokenbind_kit.mint(tokenbind_kit.client(), scope=scope)
        client = APIClient(**peer_environ(peer), HTTP_AUTHORIZATION=f"Bearer {token}", **options)
        return client.get(path, HTTP_ACCEPT="application/json")

    return get


VIEWS = ["permission", "both", "either", "view"]


@pytest.mark.parametrize("view", ["any", *VIEWS])
def test_owner_and_thief(
    view, project, get, tokenbind_client, tokenbind_stranger, tokenbind_monitor, tokenbind_verifier
):
    """The owner gets 200, and is the user; the thief and nobody get 401. Each request is judged once."""
    answer = get(f"/{view}", tokenbind_client)
    assert 200 == answer.status_code
    assert {"thumbprint": tokenbind_client.thumbprint, "user": "https://as.example client"} == answer.json()
    assert "no-store" == answer.headers["cache-control"]
    assert 1 == len(tokenbind_monitor.events)
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = get(f"/{view}", thief)
        assert (401, reason) == (answer.status_code, tokenbind_monitor.last_reason)
        assert ("application/json", "no-store") == (answer.headers["content-type"], answer.headers["cache-control"])
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert {"error", "error_description", "reference"} == set(answer.json())
        assert tokenbind_monitor.refused[-1].reference == answer.json()["reference"]
    assert 3 == len(tokenbind_monitor.events)


@pytest.mark.parametrize("view", VIEWS)
def test_a_scope_too_small_is_403(view, project, get, tokenbind_client, tokenbind_monitor, monkeypatch):
    """The guard's own answer, reported once, whatever the exception handler is; and what was written is rolled back."""
    rolled_back = []
    monkeypatch.setattr("rest_framework.views.set_rollback", lambda: rolled_back.append(view))
    answer = get(f"/{view}", tokenbind_client, "write")
    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["error"])
    assert ("application/json", "no-store") == (answer.headers["content-type"], answer.headers["cache-control"])
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="insufficient_scope"')
    assert answer.headers["www-authenticate"].endswith('scope="read"')
    (event,) = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, answer.json()["reference"]) == (event.reason, event.reference)
    assert ("client", [view]) == (event.client_id, rolled_back)


def test_an_exempt_path_has_no_user(project, get, tokenbind_client, tokenbind_monitor):
    """It is for the permissions to say what that means; one that needs somebody is the guard's 401."""
    answer = get("/exempt", tokenbind_client)
    assert (200, {"thumbprint": None, "user": None}) == (answer.status_code, answer.json())
    assert "cache-control" not in answer.headers
    for view in ("exempt-user", "exempt-scope"):
        answer = get(f"/{view}", tokenbind_client)
        assert (401, 'Bearer realm="api"') == (answer.status_code, answer.headers["www-authenticate"])
        event = tokenbind_monitor.refused[-1]
        assert (Reason.TOKEN_MISSING, answer.json()["reference"]) == (event.reason, event.reference)
    assert 2 == len(tokenbind_monitor.events)


def test_a_malformed_request_is_400(project, tokenbind_client, tokenbind_monitor):
    """Not 401: it is the guard's answer, whatever its status."""
    answer = APIClient(**peer_environ(tokenbind_client)).get("/any?access_token=x")
    assert (400, Reason.TOKEN_IN_QUERY) == (answer.status_code, tokenbind_monitor.last_reason)
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


def test_no_shared_cache_keeps_an_answer(project, get, tokenbind_client):
    """Even if the view says so."""
    assert "public, max-age=60, private" == get("/public", tokenbind_client).headers["cache-control"]


@pytest.mark.parametrize("project", ["rest_framework.views.exception_handler"], indirect=True)
def test_users_of_the_projects_own(project, get, tokenbind_client):
    """A user that `get_user` does not find is 401 in REST framework's words; other errors are its own, too."""
    assert 200 == get("/known", tokenbind_client).status_code
    answer = get("/known", tokenbind_client, "write")
    assert (401, {"detail": "no such user"}) == (answer.status_code, answer.json())
    assert 'Bearer realm="api"' == answer.headers["www-authenticate"]
    assert 500 == get("/broken", tokenbind_client).status_code


def test_the_user_of_a_token(tokenbind_verifier, tokenbind_token, tokenbind_client):
    """It is somebody, and may do nothing that Django has a permission for."""
    token = tokenbind_verifier.verify(tokenbind_token, tokenbind_client.peer)
    user = TokenUser(token)
    assert ("client", "https://as.example client", token) == (str(user), user.id, user.token)
    assert user.is_authenticated
    assert user.is_active
    assert not any([user.is_anonymous, user.is_staff, user.is_superuser])
    assert not any([user.has_perm("invoices.view_invoice"), user.has_perms(["invoices.view_invoice"])])


@pytest.mark.parametrize("middleware", [[MIDDLEWARE]], indirect=True)
def test_the_permission_answers_where_another_class_authenticates(project, get, tokenbind_client, tokenbind_monitor):
    """With the guard's own answer, whatever the exception handler is."""
    assert 200 == get("/other", tokenbind_client).status_code
    answer = get("/other", tokenbind_client, "write")
    assert (403, Reason.SCOPE_INSUFFICIENT) == (answer.status_code, tokenbind_monitor.last_reason)


@pytest.mark.parametrize("middleware", [[]], indirect=True)
@pytest.mark.parametrize("project", ["rest_framework.views.exception_handler"], indirect=True)
def test_a_permission_without_a_guard_is_an_error(project, get, tokenbind_client):
    """Where the authentication is another one, there must be the middleware, or no view runs."""
    with pytest.raises(ConfigurationError, match="no guard has seen this request"):
        get("/other", tokenbind_client)
    assert 500 == get("/other", tokenbind_client, raise_request_exception=False).status_code


def test_mistakes_are_found_at_start():
    """Where the permission stands."""
    with pytest.raises(ConfigurationError, match="TOKENBIND"):
        require_scope("read")
    with override_settings(TOKENBIND={}):
        with pytest.raises(ConfigurationError, match="scopes are given one by one"):
            require_scope("read write")


@pytest.mark.parametrize("project", ["rest_framework.views.exception_handler"], indirect=True)
def test_a_request_without_a_view(project, tokenbind_token, tokenbind_client, tokenbind_stranger):
    """Without a view that could answer, the refusal is an exception of REST framework, with the guard's status."""

    def request(peer):
        http = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {tokenbind_token}", **peer_environ(peer))
        return Request(http, authenticators=[BoundTokenAuthentication()])

    assert tokenbind_client.thumbprint == request(tokenbind_client).auth.thumbprint
    with pytest.raises(APIException) as refused:
        _ = request(tokenbind_stranger).user
    assert (401, "invalid_token") == (refused.value.status_code, refused.value.detail["error"])
