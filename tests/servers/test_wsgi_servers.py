"""The WSGI servers that give the application their socket, over real mutual TLS."""

import ssl
import subprocess
import sys
from textwrap import dedent
import threading

import pytest
from werkzeug.serving import make_server

from tokenbind import Reason
from tokenbind.resource_server.wsgi import BoundTokenMiddleware
from tokenbind.testing import MutualTLSServer
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
def werkzeug_server(tokenbind_kit):
    """Werkzeug's development server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tokenbind_kit.ca.issue_cert("127.0.0.1").configure_cert(context)
    tokenbind_kit.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    server = make_server("127.0.0.1", 0, guarded, ssl_context=context, threaded=True)
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


def test_wsgiref_with_the_socket_in_the_environ(ask, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """The kit's own server, which puts it under the key that shims are to use."""
    guarded = BoundTokenMiddleware(app, tokenbind_kit.verifier)
    with MutualTLSServer(guarded, tokenbind_kit, interface="wsgi") as server:
        assert 200 == ask(server.url, tokenbind_client).status
        assert 401 == ask(server.url, tokenbind_stranger).status
