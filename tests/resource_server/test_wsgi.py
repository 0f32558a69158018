"""The WSGI middleware: what it lets through, what it answers, and what becomes of the application's own answers."""

from wsgiref.handlers import BaseHandler
from wsgiref.simple_server import demo_app
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import httpx
import pytest

from tokenbind import InsufficientScope, Reason
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.testing import RecordingMonitor, peer_environ


class App:
    """Answers 200 with ``done`` as a list and keeps each environ; *act* is done first."""

    def __init__(self, *, headers=(), act=None):
        self.headers = list(headers)
        self.environs = []
        self.act = act

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        if self.act is not None:
            self.act(environ)
        start_response("200 OK", self.headers)
        return [b"done"]


def authorized(peer, token):
    return {"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": f"Bearer {token}", **peer_environ(peer)}


def need_write(environ):
    environ["tokenbind.token"].require_scope("write")


def test_token_is_in_the_environ_and_a_thief_does_not_get_there(
    get_wsgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """200 for the owner, and the app finds the token; 401 for a thief, whose request the app never sees."""
    app = App()
    guarded = BoundTokenMiddleware(app, tokenbind_verifier)
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_token)
    assert (200, b"done") == (answer.status, answer.body)
    assert tokenbind_client.thumbprint == app.environs[0]["tokenbind.token"].thumbprint
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = get_wsgi(guarded, thief, tokenbind_token)
        assert (401, reason) == (answer.status, tokenbind_monitor.last_reason)
        assert 'error="invalid_token"' in answer.challenge
        assert tokenbind_monitor.refused[-1].reference == answer.reference
    assert 1 == len(app.environs)


@pytest.mark.parametrize(
    ("environ", "status", "reason"),
    [
        ({"HTTP_EARLY_DATA": "1"}, 425, Reason.EARLY_DATA),
        ({"QUERY_STRING": "access_token=x"}, 400, Reason.TOKEN_IN_QUERY),
        ({"HTTP_AUTHORIZATION": "Bearer x,Bearer x"}, 400, Reason.AUTHORIZATION_MALFORMED),  # as servers join two
        ({"HTTP_AUTHORIZATION": "Bearer \u20ac"}, 400, Reason.AUTHORIZATION_MALFORMED),  # as no server may give it
        ({"HTTP_AUTHORIZATION": "Basic YTpi"}, 401, Reason.TOKEN_MISSING),
        ({"tokenbind.socket": None}, 503, Reason.CERTIFICATE_SOURCE_MISSING),
    ],
)
def test_request_reaches_the_guard_whole(
    environ, status, reason, get_wsgi, tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_monitor
):
    """Query, early data, the one Authorization and the socket are the guard's to judge."""
    token = None if "HTTP_AUTHORIZATION" in environ else tokenbind_token
    answer = get_wsgi(BoundTokenMiddleware(App(), tokenbind_verifier), tokenbind_client, token, **environ)
    assert (status, reason) == (answer.status, tokenbind_monitor.last_reason)
    assert (status in {400, 401}) == bool(answer.challenge)


def test_both_sides_keep_to_pep_3333(get_wsgi, tokenbind_kit, tokenbind_client):
    """wsgiref's validator, around the middleware and around the application, finds nothing, whatever the answer is."""
    guarded = validator(BoundTokenMiddleware(validator(demo_app), tokenbind_kit.verifier, required_scopes=["read"]))
    environ = {}
    setup_testing_defaults(environ)
    environ |= {"QUERY_STRING": "", "PATH_INFO": "/"}
    environ = {name: value for name, value in environ.items() if name not in peer_environ(None)}
    for scope, status in [("read", 200), ("write", 403), (None, 401)]:
        token = scope and tokenbind_kit.mint(tokenbind_client, scope=scope)
        assert status == get_wsgi(guarded, tokenbind_client, token, **environ).status


def test_scope_refused_in_the_application_is_403(
    get_wsgi, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The error of `require_scope` becomes the answer, with the scope that is needed; with the scope it is 200."""
    guarded = BoundTokenMiddleware(App(act=need_write), tokenbind_kit.verifier)
    good, narrow = (tokenbind_kit.mint(tokenbind_client, scope=scope) for scope in ("read write", "read"))
    assert 200 == get_wsgi(guarded, tokenbind_client, good).status
    answer = get_wsgi(guarded, tokenbind_client, narrow)
    assert 403 == answer.status
    assert answer.challenge.startswith('Bearer realm="api", error="insufficient_scope"')
    assert answer.challenge.endswith('scope="write"')
    event = tokenbind_monitor.refused[-1]
    assert (Reason.SCOPE_INSUFFICIENT, answer.reference) == (event.reason, event.reference)
    assert tokenbind_monitor.accepted[-1].token_id == event.token_id
    assert 401 == get_wsgi(guarded, tokenbind_stranger, good).status


def test_arguments_are_those_of_the_guard(get_wsgi, tokenbind_kit, tokenbind_client):
    """`realm=`, `required_scopes=` and `monitor=` reach it; the application is not called without the scope."""
    app, own = App(), RecordingMonitor()
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier, realm="own", required_scopes=["read"], monitor=own)
    assert 200 == get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client, scope="read")).status
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (403, Reason.SCOPE_INSUFFICIENT, 1) == (answer.status, own.last_reason, len(app.environs))
    assert 'realm="own"' in answer.challenge


class Generating:
    """An application that is a generator: *needed* is required before chunk number *position*."""

    def __init__(self, position, needed="write"):
        self.position = position
        self.needed = needed
        self.closed = 0

    def __call__(self, environ, start_response):
        self.running = self._chunks(environ, start_response)  # kept, so that it is not closed by being forgotten
        return self.running

    def _chunks(self, environ, start_response):
        start_response("200 OK", [("x-app", "1")])
        try:
            for number in range(2):
                if number == self.position:
                    environ["tokenbind.token"].require_scope(self.needed)
                yield b"chunk"
        finally:
            self.closed += 1


@pytest.mark.parametrize("position", [0, 1])
def test_generator_with_the_scope_runs_through(position, get_wsgi, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """A generator gives all its chunks, and is closed; a thief's request does not start it."""
    app = Generating(position, "read")
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    token = tokenbind_kit.mint(tokenbind_client, scope="read")
    answer = get_wsgi(guarded, tokenbind_client, token)
    assert (200, b"chunkchunk", 1) == (answer.status, answer.body, app.closed)
    assert (["no-store"], ["1"]) == (answer.values("cache-control"), answer.values("x-app"))
    assert (401, 1) == (get_wsgi(guarded, tokenbind_stranger, token).status, app.closed)


def test_scope_refused_before_the_first_chunk_is_403(
    get_wsgi, tokenbind_verifier, tokenbind_client, tokenbind_token, tokenbind_monitor
):
    """The headers that the generator has set, but that were not sent yet, give way to the refusal."""
    app = Generating(0)
    answer = get_wsgi(BoundTokenMiddleware(app, tokenbind_verifier), tokenbind_client, tokenbind_token)
    assert (403, [], 1) == (answer.status, answer.values("x-app"), app.closed)
    assert 'scope="write"' in answer.challenge
    assert (Reason.SCOPE_INSUFFICIENT, answer.reference) == (
        tokenbind_monitor.last_reason,
        tokenbind_monitor.refused[-1].reference,
    )


def test_scope_refused_after_the_first_chunk_is_raised(get_wsgi, tokenbind_verifier, tokenbind_client, tokenbind_token):
    """One answer only: what was begun stays, and the server is told of the error."""
    app = Generating(1)
    with pytest.raises(InsufficientScope):
        get_wsgi(BoundTokenMiddleware(app, tokenbind_verifier), tokenbind_client, tokenbind_token)
    assert 1 == app.closed


def test_generator_is_closed_when_the_server_gives_up(tokenbind_verifier, tokenbind_client, tokenbind_token):
    """A client that disconnects: the server closes what it was given, and that closes the generator."""
    app = Generating(None)
    environ = authorized(tokenbind_client, tokenbind_token)
    body = BoundTokenMiddleware(app, tokenbind_verifier)(environ, lambda *started: None)
    assert (b"chunk", 0) == (next(iter(body)), app.closed)
    body.close()
    assert 1 == app.closed


@pytest.mark.parametrize("make", [lambda: [b"x"], lambda: (b"x",), lambda: FileWrapper(None), lambda: iter([b"x"])])
def test_other_bodies_are_handed_on_as_they_are(make, tokenbind_verifier, tokenbind_client, tokenbind_token):
    """Servers know lists (for Content-Length) and their own file wrappers (for sendfile) by their type."""
    body = make()

    def app(environ, start_response):
        start_response("200 OK", [])
        return body

    environ = authorized(tokenbind_client, tokenbind_token)
    assert BoundTokenMiddleware(app, tokenbind_verifier)(environ, lambda *started: None) is body


def test_write_callable_of_the_server_is_handed_on(get_wsgi, tokenbind_verifier, tokenbind_client, tokenbind_token):
    """PEP 3333: start_response returns write(), and takes exc_info."""

    def app(environ, start_response):
        start_response("200 OK", [])(b"written, ")
        start_response("500 Oops", [], (ValueError, ValueError(), None))
        return [b"returned"]

    answer = get_wsgi(BoundTokenMiddleware(app, tokenbind_verifier), tokenbind_client, tokenbind_token)
    assert (500, b"written, returned") == (answer.status, answer.body)


def raise_value_error(environ):
    raise ValueError("the application's own")


def test_other_errors_of_the_application_are_its_own(get_wsgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """Only `InsufficientScope` is ours to answer."""
    guarded = BoundTokenMiddleware(App(act=raise_value_error), tokenbind_verifier)
    with pytest.raises(ValueError, match="own"):
        get_wsgi(guarded, tokenbind_client, tokenbind_token)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ["no-store"]),
        ([("Cache-Control", "public, max-age=60")], ["public, max-age=60", "private"]),
        ([("cache-control", "private, max-age=60")], ["private, max-age=60"]),
    ],
)
def test_answers_are_kept_out_of_shared_caches(
    headers, expected, get_wsgi, tokenbind_verifier, tokenbind_token, tokenbind_client
):
    """Each answer to a bound request gets what its Cache-Control lacks; the application's own list stays as it is."""
    app = App(headers=[("x-kept", "1"), *headers])
    answer = get_wsgi(BoundTokenMiddleware(app, tokenbind_verifier), tokenbind_client, tokenbind_token)
    assert (expected, ["1"]) == (answer.values("cache-control"), answer.values("x-kept"))
    assert [("x-kept", "1"), *headers] == app.headers


def test_exempt_requests_have_no_token(get_wsgi, tokenbind_verifier, tokenbind_token, tokenbind_client):
    """An exempt request passes without TLS, its answer is untouched, and a token in it counts for nothing."""
    app = App(headers=[("cache-control", "public")])
    guarded = BoundTokenMiddleware(app, tokenbind_verifier, exempt={("GET", "/health")})
    preset = {"PATH_INFO": "/health", "tokenbind.token": "forged by an outer layer", "tokenbind.socket": None}
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_token, **preset)
    assert (200, ["public"]) == (answer.status, answer.values("cache-control"))
    assert [None] == [environ["tokenbind.token"] for environ in app.environs]
    assert 401 == get_wsgi(guarded, tokenbind_client, PATH_INFO="/health", REQUEST_METHOD="HEAD").status


@pytest.mark.parametrize(
    ("script_name", "path_info", "status"),
    [
        ("", "/v1/g\u00c3\u00bct", 200),  # PEP 3333: UTF-8 read as latin-1
        ("/v1", "/g\u00c3\u00bct", 200),
        ("/v1/g\u00c3\u00bct", "", 200),
        ("", "/g\u00c3\u00bct", 401),
        ("/v2", "/g\u00c3\u00bct", 401),
        ("/v1", "/v1/g\u00c3\u00bct", 401),
        ("", "/v1/g\u00fct", 401),
        ("", "/v1/\u20ac", 401),
    ],
)
def test_exempt_is_compared_with_the_full_path(script_name, path_info, status, get_wsgi, tokenbind_verifier):
    """``("GET", "/v1/gut")`` is that path only, mount point included, decoded."""
    mount = script_name.encode("latin-1").decode()
    guarded = BoundTokenMiddleware(App(), tokenbind_verifier, exempt={("GET", "/v1/g\u00fct")}, mount=mount)
    assert status == get_wsgi(guarded, SCRIPT_NAME=script_name, PATH_INFO=path_info).status
    unmounted = BoundTokenMiddleware(App(), tokenbind_verifier, exempt={("GET", "/v1/g\u00fct")}, mount="/other")
    assert 401 == get_wsgi(unmounted, SCRIPT_NAME=script_name, PATH_INFO=path_info).status


def test_process_variable_is_no_certificate(
    monkeypatch, tokenbind_server, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """wsgiref copies the process environment into the environ; over real TLS only the handshake counts."""
    monkeypatch.setitem(BaseHandler.os_environ, "SSL_CLIENT_CERT", tokenbind_client.pem)
    monkeypatch.setitem(BaseHandler.os_environ, "SSL_CLIENT_VERIFY", "SUCCESS")
    app = App(headers=[("content-length", "4")])
    server = tokenbind_server(BoundTokenMiddleware(app, tokenbind_kit.verifier), interface="wsgi")
    headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client)}"}
    for client, status, reason in [
        (tokenbind_client, 200, None),
        (tokenbind_stranger, 401, Reason.CERTIFICATE_MISMATCH),
    ]:
        context = client.identity.current().ssl_context(tokenbind_kit.ca_pem)
        answer = httpx.get(server.url, headers=headers, verify=context, trust_env=False)
        assert (status, reason) == (answer.status_code, tokenbind_monitor.last_reason)
    (environ,) = app.environs
    assert tokenbind_client.pem == environ["SSL_CLIENT_CERT"]
