"""The WSGI servers that give the application their socket, or are made to, over real mutual TLS."""

from contextlib import contextmanager
import ssl
import subprocess
import sys
from textwrap import dedent
import threading
from wsgiref import simple_server

import httpx
import pytest
from werkzeug.serving import make_server

from tokenbind import Reason
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.servers.wsgiref import WSGIRequestHandler
from tokenbind.transport import fetch
from tokenbind.transport.tls_context import client_context


def app(environ, start_response):
    """Answers with the thumbprint that was proven."""
    start_response("200 OK", [])
    return [environ["tokenbind.token"].thumbprint.encode()]


@pytest.fixture
def ask(tokenbind_kit, tokenbind_client):
    """Send the client's token with a certificate, or with none; gives status and body."""
    headers = {"authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client)}"}

    def ask(url, client):
        ca = tokenbind_kit.ca_pem
        context = client_context(ca) if client is None else client.identity.current().ssl_context(ca)
        return fetch(url, context=context, headers=headers)

    return ask


@pytest.fixture
def server_context(tokenbind_kit):
    """Of a server that asks for certificates, and does without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(context)
    tokenbind_kit.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.fixture
def werkzeug_server(tokenbind_kit, server_context):
    """Werkzeug's development server."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    server = make_server("127.0.0.1", 0, guarded, ssl_context=server_context, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_werkzeug(werkzeug_server, ask, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """200 for the owner, 401 for a thief and for nobody."""
    assert tokenbind_client.thumbprint.encode() == ask(werkzeug_server, tokenbind_client).body
    for thief, reason in ((tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)):
        assert 401 == ask(werkzeug_server, thief).status
        assert reason is tokenbind_kit.monitor.last_reason


@pytest.fixture(params=["sync", "gthread"])
def gunicorn_server(request, tokenbind_kit, tmp_path):
    """gunicorn from its command line; the keys that it verifies with come from a file."""
    leaf = tokenbind_kit.ca.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    (tmp_path / "service.py").write_text(
        dedent(
            f"""
            from tokenbind import KeySet, TokenVerifier
            from tokenbind.resource_server.wsgi import BoundTokenMiddleware

            def api(environ, start_response):
                start_response("200 OK", [])
                return [environ["tokenbind.token"].thumbprint.encode()]

            keys = KeySet.from_jwks({tokenbind_kit.issuer.jwks()!r})
            verifier = TokenVerifier(
                issuer={tokenbind_kit.issuer.issuer!r}, audience={tokenbind_kit.audience!r}, keys=keys
            )
            app = BoundTokenMiddleware(api, verifier)
            """
        )
    )
    tls = ["--certfile", "server.pem", "--keyfile", "server.pem", "--ca-certs", "ca.pem", "--cert-reqs", "1"]
    options = ["--bind", "127.0.0.1:0", "--worker-class", request.param, *tls]
    command = [sys.executable, "-m", "gunicorn", "service:app", *options]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "Listening at: " in line:
                yield line.split("Listening at: ")[1].split()[0]
                break
        else:
            pytest.fail("gunicorn did not start")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_gunicorn(gunicorn_server, ask, tokenbind_client, tokenbind_renewed_client, tokenbind_stranger):
    """200 for the owner, 401 for thieves and for nobody, in the synchronous and in the threaded worker."""
    assert tokenbind_client.thumbprint.encode() == ask(gunicorn_server, tokenbind_client).body
    for thief in (tokenbind_stranger, tokenbind_renewed_client, None):
        answer = ask(gunicorn_server, thief)
        assert (401, b"invalid_token") == (answer.status, answer.body[11:24])


@contextmanager
def wsgiref(guarded, context, handler_class):
    """The standard library's server; *context* is of its own listening socket, or None for plain HTTP."""
    with simple_server.make_server("127.0.0.1", 0, guarded, handler_class=handler_class) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(simple_server.WSGIRequestHandler):
    """Says nothing of its requests."""

    def log_message(self, *args): ...


class QuietAndTelling(Quiet, WSGIRequestHandler):
    """The same, with the shim."""


def test_wsgiref(server_context, ask, tokenbind_kit, tokenbind_client, tokenbind_stranger, tokenbind_monitor):
    """As its documentation says: 200 for the owner, 401 for a thief and for nobody."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    with wsgiref(guarded, server_context, QuietAndTelling) as url:
        assert tokenbind_client.thumbprint.encode() == ask(url, tokenbind_client).body
        for thief, reason in ((tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)):
            assert (401, reason) == (ask(url, thief).status, tokenbind_monitor.last_reason)


def test_wsgiref_without_the_shim(server_context, ask, tokenbind_kit, tokenbind_client, caplog):
    """503, and the log names the class that is missing."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    with wsgiref(guarded, server_context, Quiet) as url:
        assert 503 == ask(url, tokenbind_client).status
    assert "handler_class=tokenbind.servers.wsgiref.WSGIRequestHandler" in caplog.text


@pytest.mark.parametrize(("secure", "scheme"), [(True, "https"), (False, "http")])
def test_scheme_is_that_of_the_connection(secure, scheme, server_context, tokenbind_kit):
    """A wsgiref server with the shim says ``https`` over TLS, and on plain HTTP gives no socket."""

    def told(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['wsgi.url_scheme']} {'tokenbind.socket' in environ}".encode()]

    with wsgiref(told, server_context if secure else None, QuietAndTelling) as url:
        verify = ssl.create_default_context(cadata=tokenbind_kit.ca_pem.decode())
        answer = httpx.get(url.replace("https", scheme), verify=verify, trust_env=False)
    assert f"{scheme} {secure}" == answer.text
