"""WSGI frameworks behind the guard, with their own test clients and the wiring of production."""

import flask
import pytest
from werkzeug.test import Client as WerkzeugClient

from tokenbind import Reason
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.testing import peer_environ, wsgi_with_peer


@pytest.fixture
def flask_app(tokenbind_verifier):
    """A Flask application as in production: its `wsgi_app` is wrapped, nothing else."""
    app = flask.Flask("invoices")

    @app.get("/invoices")
    def invoices():
        return {"thumbprint": flask.request.environ["tokenbind.token"].thumbprint}

    @app.get("/payments")
    def payments():
        flask.request.environ["tokenbind.token"].require_scope("payments")
        return {}

    @app.get("/broken")
    def broken():
        raise ZeroDivisionError

    app.wsgi_app = BoundTokenMiddleware(app.wsgi_app, tokenbind_verifier)
    return app


def test_flask_test_client(flask_app, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """`environ_overrides` say who is there: 200 for the owner, 401 for thief and nobody, 503 without a word."""
    client, headers = flask_app.test_client(), {"Authorization": f"Bearer {tokenbind_token}"}
    answer = client.get("/invoices", headers=headers, environ_overrides=peer_environ(tokenbind_client))
    assert (200, {"thumbprint": tokenbind_client.thumbprint}) == (answer.status_code, answer.json)
    assert "no-store" == answer.headers["cache-control"]
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        answer = client.get("/invoices", headers=headers, environ_overrides=peer_environ(thief))
        assert (401, reason) == (answer.status_code, tokenbind_monitor.last_reason)
        assert tokenbind_monitor.refused[-1].reference == answer.json["reference"]
    assert 503 == client.get("/invoices", headers=headers).status_code


def test_scope_refused_in_a_flask_view_is_403(flask_app, tokenbind_kit, tokenbind_client, tokenbind_monitor):
    """Although Flask makes a 500 of every error; an error of the application's own stays one."""
    client, environ = flask_app.test_client(), peer_environ(tokenbind_client)
    for scope, view, status in (("payments", "payments", 200), ("other", "payments", 403), ("other", "broken", 500)):
        headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client, scope=scope)}"}
        answer = client.get(f"/{view}", headers=headers, environ_overrides=environ)
        assert status == answer.status_code
        if status == 403:
            assert Reason.SCOPE_INSUFFICIENT is tokenbind_monitor.last_reason
            assert tokenbind_monitor.refused[-1].reference == answer.json["reference"]
            assert answer.headers["www-authenticate"].endswith('scope="payments"')


def test_werkzeug_client(flask_app, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """A client without overrides takes the application behind a connection: 200 for the owner, 401 for the thief."""
    headers = {"Authorization": f"Bearer {tokenbind_token}"}
    owner, thief = (WerkzeugClient(wsgi_with_peer(flask_app, peer)) for peer in (tokenbind_client, tokenbind_stranger))
    assert 200 == owner.get("/invoices", headers=headers).status_code
    assert 401 == thief.get("/invoices", headers=headers).status_code
    assert Reason.CERTIFICATE_MISMATCH is tokenbind_monitor.last_reason
