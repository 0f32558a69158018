"""Flask: `install`, `bound_token` and `require_scope`, with Flask's own test client."""

import flask
from flask.views import MethodView
import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client

from tokenbind import ConfigurationError, InsufficientScope, Reason
from tokenbind.resource_server.flask import bound_token, install, require_scope
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.testing import peer_environ, wsgi_with_peer


EXEMPT = {("GET", "/health"), ("GET", "/exempt"), ("GET", "/exempt-function")}


def any_token():
    return {"thumbprint": bound_token().thumbprint}


@require_scope("read")
def decorator():
    return any_token()


@require_scope("read")
async def asynchronous():
    return any_token()


def function():
    bound_token().require_scope("read")
    return any_token()


class Invoices(MethodView):
    decorators = (require_scope("read"),)

    def get(self):
        return any_token()


def lenient():
    try:
        return function()
    except InsufficientScope:
        return {"without": True}


def add_routes(app, handled=None):
    """Every way to ask for the token, and for the scope ``read``; errors that are *handled* are answered with 200."""
    router = flask.Blueprint("router", __name__, url_prefix="/router")
    router.before_request(lambda: bound_token().require_scope("read"))
    router.get("/view")(any_token)
    for view in (any_token, decorator, asynchronous, function, lenient):
        app.get(f"/{view.__name__}")(view)
    app.add_url_rule("/class", view_func=Invoices.as_view("class"))
    app.get("/exempt")(decorator)
    app.get("/exempt-function")(function)
    app.get("/health")(dict)
    app.get("/broken")(lambda: 1 / 0)
    for where in (app, router):
        if handled is not None:
            where.register_error_handler(handled, str)
    app.register_blueprint(router)


@pytest.fixture
def app(tokenbind_verifier):
    """An application whose routes are added after `install`."""
    app = flask.Flask(__name__)
    install(app, tokenbind_verifier, exempt=EXEMPT)
    add_routes(app)
    return app


@pytest.fixture
def get(app, tokenbind_kit):
    """GET from the application, as *peer*, with a token of the rightful client for *scope*."""

    def get(path, peer, scope="read", app=app):
        token = tokenbind_kit.mint(tokenbind_kit.client(), scope=scope)
        headers = {"Authorization": f"Bearer {token}"}
        return app.test_client().get(path, headers=headers, environ_overrides=peer_environ(peer))

    return get


PATHS = ["decorator", "asynchronous", "function", "class", "router/view"]


@pytest.mark.parametrize("path", ["any_token", *PATHS])
def test_owner_and_thief(path, get, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """The owner gets 200, and the view the token; the thief and nobody 401."""
    answer = get(f"/{path}", tokenbind_client)
    assert (200, {"thumbprint": tokenbind_client.thumbprint}) == (answer.status_code, answer.json)
    assert "no-store" == answer.headers["cache-control"]
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = get(f"/{path}", thief)
        assert (401, reason) == (answer.status_code, tokenbind_monitor.last_reason)
        assert tokenbind_monitor.refused[-1].reference == answer.json["reference"]


@pytest.mark.parametrize("setting", [None, "TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS", "TRAP_HTTP_EXCEPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_a_scope_too_small_is_403(path, setting, app, get, tokenbind_client, tokenbind_monitor):
    """Whatever Flask does with errors: the guard's own answer, reported once, under the reference of the answer."""
    app.config[setting] = True
    answer = get(f"/{path}", tokenbind_client, "write")
    assert (403, "insufficient_scope") == (answer.status_code, answer.json["error"])
    assert "application/json" == answer.headers["content-type"]
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="insufficient_scope"')
    assert answer.headers["www-authenticate"].endswith('scope="read"')
    assert ["no-store"] == answer.headers.getlist("cache-control")
    (event,) = tokenbind_monitor.refused
    assert (Reason.SCOPE_INSUFFICIENT, answer.json["reference"]) == (event.reason, event.reference)
    assert "client" == event.client_id


@pytest.mark.parametrize("kind", [Exception, HTTPException, 500])
def test_error_handlers_do_not_see_the_refusal(kind, get, tokenbind_client, tokenbind_verifier):
    """Those of the application and of the blueprint, that answer 200 to every error; other errors are theirs."""
    app = flask.Flask(__name__)
    install(app, tokenbind_verifier, exempt=EXEMPT)
    add_routes(app, handled=kind)
    for path in PATHS:
        assert 403 == get(f"/{path}", tokenbind_client, "write", app=app).status_code
    assert 401 == get("/exempt", tokenbind_client, app=app).status_code
    assert 200 == get("/nothing" if kind is HTTPException else "/broken", tokenbind_client, app=app).status_code


def test_a_view_that_can_do_without_the_scope_has_its_way(get, tokenbind_client):
    """What does not leave the view is no refusal."""
    assert "without" in get("/lenient", tokenbind_client, "write").json
    assert "thumbprint" in get("/lenient", tokenbind_client).json


@pytest.mark.parametrize("path", ["/exempt", "/exempt-function"])
def test_an_exempt_path_that_asks_for_the_token_is_refused(path, get, tokenbind_client, tokenbind_monitor):
    """401, with a good token as without one: nobody has looked at it. A view that does not ask is 200."""
    assert 200 == get("/health", tokenbind_client).status_code
    answer = get(path, tokenbind_client)
    assert (401, 'Bearer realm="api"') == (answer.status_code, answer.headers["www-authenticate"])
    (event,) = tokenbind_monitor.refused
    assert (Reason.TOKEN_MISSING, answer.json["reference"]) == (event.reason, event.reference)


def test_without_install_no_view_runs(get, tokenbind_kit, tokenbind_client):
    """A forgotten `install` is 500, and says what to do; so is an environ that has a string there. Ours will do."""
    app = flask.Flask(__name__)
    add_routes(app)
    for path in ("/any_token", "/decorator", "/router/view"):
        assert 500 == get(path, tokenbind_client, app=app).status_code
    app.testing = True
    with pytest.raises(ConfigurationError, match=r"call install\(app, verifier\) on <Flask"):
        get("/decorator", tokenbind_client, app=app)
    with pytest.raises(ConfigurationError, match="no guard has seen this request"):
        app.test_client().get("/decorator", environ_overrides={"tokenbind.token": "of the process environment"})
    guarded = wsgi_with_peer(BoundTokenMiddleware(app, tokenbind_kit.verifier), tokenbind_client)
    for scope, status in [("read", 200), ("write", 403)]:
        headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client, scope=scope)}"}
        assert status == Client(guarded).get("/decorator", headers=headers).status_code


def test_without_a_request_there_is_no_token():
    """As in a shell, or in a thread of one's own."""
    with pytest.raises(ConfigurationError, match="there is no request"):
        bound_token()


def test_mistakes_are_found_at_start(tokenbind_verifier):
    """By `install` and `require_scope` themselves, not at the first request."""
    app = flask.Flask(__name__)
    with pytest.raises(ConfigurationError, match="exempt"):
        install(app, tokenbind_verifier, exempt={"/health"})
    install(app, tokenbind_verifier)
    with pytest.raises(ConfigurationError, match="before"):
        install(app, tokenbind_verifier)
    for scopes in [("read write",), (bound_token,), ("read", "")]:
        with pytest.raises(ConfigurationError, match="scopes are given one by one"):
            require_scope(*scopes)
