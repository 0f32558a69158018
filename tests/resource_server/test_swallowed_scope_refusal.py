"""Frameworks that answer 500 to the error of `require_scope`: the middleware answers 403 in their stead."""

import pytest

from tokenbind import InsufficientScope, Reason
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


def swallowing(environ, start_response):
    """As Flask: the refusal becomes a 500."""
    try:
        environ["tokenbind.token"].require_scope("write")
    except InsufficientScope:
        start_response("500 Internal Server Error", [])(b"written")
        return [b"broken"]
    start_response("200 OK", [])
    return [b"done"]


def swallowing_lazily(environ, start_response):
    """The same, in a generator."""
    yield from swallowing(environ, start_response)


def swallowing_in_silence(environ, start_response):
    """The same, without a body."""
    for _ in swallowing(environ, start_response):
        return
    yield


def handling(environ, start_response):
    """An application that can do without the scope."""
    try:
        environ["tokenbind.token"].require_scope("write")
    except InsufficientScope:
        start_response("204 No Content", [])
    return []


@pytest.mark.parametrize("app", [swallowing, swallowing_lazily, swallowing_in_silence])
def test_a_500_of_a_refused_scope_is_403(app, get_wsgi, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """Nothing of the 500 is sent; with the scope it is 200."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client))
    assert (403, Reason.SCOPE_INSUFFICIENT) == (answer.status, tokenbind_monitor.last_reason)
    assert tokenbind_monitor.refused[-1].reference == answer.reference
    if app is not swallowing_in_silence:
        answer = get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client, scope="write"))
        assert (200, b"done") == (answer.status, answer.body)


def test_an_application_that_handles_the_refusal_has_its_way(get_wsgi, tokenbind_kit, tokenbind_client):
    """Only a 500 is replaced."""
    guarded = BoundTokenMiddleware(handling, tokenbind_kit.verifier)
    assert 204 == get_wsgi(guarded, tokenbind_client, tokenbind_kit.mint(tokenbind_client)).status
