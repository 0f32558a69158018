"""The mutual-TLS server on loopback: it starts, asks for certificates, and ends."""

import socket
import ssl

import pytest

from tokenbind import ConfigurationError
from tokenbind.testing import MutualTLSServer
from tokenbind.transport import FetchError, fetch
from tokenbind.transport.tls_context import client_context


async def asgi_app(scope, receive, send):
    """Answers with the number of certificates that the server told it of."""
    if scope["type"] == "http":
        body = str(len(scope["extensions"]["tls"]["client_cert_chain"])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def wsgi_app(environ, start_response):
    """The same; it also says whether the request came over https."""
    assert "https" == environ["wsgi.url_scheme"]
    start_response("200 OK", [])
    return [b"1" if environ["tokenbind.socket"].getpeercert(True) else b"0"]


APPS = {"asgi": asgi_app, "wsgi": wsgi_app}


@pytest.mark.parametrize("interface", APPS)
def test_the_app_learns_whether_there_is_a_certificate(tokenbind_kit, tokenbind_client, tokenbind_server, interface):
    """With client certificates optional, which is the default, so that the app's own refusal can be seen."""
    server = tokenbind_server(APPS[interface], interface=interface)

    assert b"1" == fetch(server.url, context=tokenbind_client.identity.current().ssl_context(tokenbind_kit.ca_pem)).body
    assert b"0" == fetch(server.url, context=client_context(tokenbind_kit.ca_pem)).body


@pytest.mark.parametrize("interface", APPS)
def test_required_certificates_are_required(tokenbind_kit, tokenbind_client, tokenbind_server, interface):
    """The handshake fails without one, with an expired one, and with one of another CA."""
    server = tokenbind_server(APPS[interface], interface=interface, client_certificates="required")

    assert b"1" == fetch(server.url, context=tokenbind_client.identity.current().ssl_context(tokenbind_kit.ca_pem)).body
    expired = tokenbind_kit.expired().identity.current().ssl_context(tokenbind_kit.ca_pem)
    foreign = type(tokenbind_kit)().client().identity.current().ssl_context(tokenbind_kit.ca_pem)
    for context in (client_context(tokenbind_kit.ca_pem), expired, foreign):
        with pytest.raises(FetchError):
            fetch(server.url, context=context)


@pytest.mark.parametrize("interface", APPS)
def test_after_the_block_nobody_listens(tokenbind_kit, interface):
    """Even if a client is still connected."""
    with MutualTLSServer(APPS[interface], tokenbind_kit, interface=interface) as server:
        context = ssl.create_default_context(cadata=tokenbind_kit.ca_pem.decode())
        client = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="127.0.0.1")
    client.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_an_asgi_app_that_does_not_start_is_an_error(tokenbind_kit):
    """Instead of a test that waits for it."""

    async def broken(scope, receive, send):
        assert "lifespan" == scope["type"]
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="did not start"), MutualTLSServer(broken, tokenbind_kit):
        pytest.fail("it started")


def test_without_uvicorn_the_server_says_what_to_install(tokenbind_kit, monkeypatch):
    """It is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(ConfigurationError, match=r"tokenbind\[testing\]"):
        MutualTLSServer(asgi_app, tokenbind_kit)
