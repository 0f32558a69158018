"""The uvicorn shim in real uvicorn over real mutual TLS."""

import json
import ssl
import warnings

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from tokenbind import Reason
from tokenbind.servers import uvicorn as shim


LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
HTTP = pytest.mark.parametrize("http", ["H11", "HttpTools"])


def shimmed(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # uvicorn deprecates WebSockets, and it is still in use
        return getattr(shim, name)


@HTTP
@LOOPS
def test_each_connection_has_its_own_certificate(
    http, loop, serve, connect, context, bearer, tokenbind_kit, tokenbind_monitor
):
    """Three interleaved clients on connections that stay open: own token 200, another's 401, never a mix-up."""
    port = serve(http=getattr(shim, http), loop=loop)
    clients = [tokenbind_kit.client(name) for name in ("alice", "bob", "carol")]
    connections = {client: connect(port, context(client)) for client in clients}
    ports = set()
    for _ in range(3):
        for client, victim in zip(clients, clients[1:] + clients[:1], strict=True):
            answer = connections[client].get("/", headers=bearer(client))
            assert (200, client.thumbprint) == (answer.status_code, answer.json()["thumbprint"])
            ports.add((client.name, answer.json()["socket_peer"][1]))
            stolen = connections[client].get("/", headers=bearer(victim))
            assert (401, Reason.CERTIFICATE_MISMATCH) == (stolen.status_code, tokenbind_monitor.last_reason)
            assert client.thumbprint == tokenbind_monitor.refused[-1].presented
    assert 3 == len(ports)  # one connection each: they were kept alive


@HTTP
@LOOPS
def test_no_certificate_is_401(http, loop, serve, connect, context, bearer, tokenbind_client, tokenbind_monitor):
    """The server asked and got none: the token is refused for that reason."""
    answer = connect(serve(http=getattr(shim, http), loop=loop), context()).get("/", headers=bearer(tokenbind_client))
    assert (401, Reason.CERTIFICATE_MISSING) == (answer.status_code, tokenbind_monitor.last_reason)


@pytest.mark.parametrize("ws", ["WebSocketsSansIO", "WSProto", "WebSockets"])
@pytest.mark.parametrize(("http", "loop"), [("H11", "asyncio"), ("HttpTools", "uvloop")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_websocket(
    http, loop, ws, serve, news, context, bearer, tokenbind_client, tokenbind_stranger, tokenbind_monitor
):
    """The owner's websocket is accepted; the thief's and nobody's handshakes get the answer of a refused request."""
    port = serve(http=getattr(shim, http), ws=shimmed(ws), loop=loop)
    headers = bearer(tokenbind_client)
    status, text = news(port, context(tokenbind_client), headers)
    assert 101 == status
    answer = json.loads(text)
    assert tokenbind_client.thumbprint == answer["thumbprint"]
    assert ("127.0.0.1", port) == tuple(answer["socket_name"])
    for thief, reason in [(tokenbind_stranger, Reason.CERTIFICATE_MISMATCH), (None, Reason.CERTIFICATE_MISSING)]:
        status, _ = news(port, context(thief), headers)
        assert (401, reason) == (status, tokenbind_monitor.last_reason)


@pytest.mark.parametrize(
    ("version", "number"), [(ssl.TLSVersion.TLSv1_2, 0x0303), (ssl.TLSVersion.TLSv1_3, 0x0304)], ids=hex
)
def test_extension_is_that_of_the_connection(version, number, serve, connect, context, bearer, tokenbind_client):
    """What other readers of the ASGI TLS extension find: the leaf as PEM, and the version; what is unknown is None."""
    answer = (
        connect(serve(http=shim.HTTP, ssl_ciphers="ECDHE+AESGCM"), context(tokenbind_client, version))
        .get("/", headers=bearer(tokenbind_client))
        .json()
    )
    assert {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(tokenbind_client.peer.der)],
        "client_cert_error": None,
        "tls_version": number,
        "cipher_suite": None,
    } == answer["tls"]
    assert ["tls", "tokenbind"] == answer["extensions"]


def test_forwarded_for_does_not_reach_the_socket_peer(serve, connect, context, bearer, tokenbind_client):
    """uvicorn writes X-Forwarded-For over ``scope["client"]``; the peer of the socket stays what it is."""
    port = serve(http=shim.HTTP)
    headers = {**bearer(tokenbind_client), "X-Forwarded-For": "10.0.0.1"}
    answer = connect(port, context(tokenbind_client)).get("/", headers=headers).json()
    assert ["10.0.0.1", 0] == answer["client"]
    assert "127.0.0.1" == answer["socket_peer"][0]
    assert ["127.0.0.1", port] == answer["socket_name"]


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        ({"http": H11Protocol}, "https"),
        ({"http": shim.H11, "ssl_cert_reqs": ssl.CERT_NONE}, "https"),
        ({"http": shim.H11, "ssl_certfile": None, "ssl_ca_certs": None}, "http"),
    ],
    ids=["without the shim", "certificates not asked for", "plain HTTP"],
)
def test_server_that_does_not_know_is_503(
    options, scheme, serve, connect, context, bearer, caplog, tokenbind_client, tokenbind_monitor
):
    """The owner with its own token gets 503, and the operator one loud line."""
    connection = connect(serve(**options), context(tokenbind_client), scheme)
    for _ in range(2):
        answer = connection.get("/", headers=bearer(tokenbind_client))
        assert (503, Reason.CERTIFICATE_SOURCE_MISSING) == (answer.status_code, tokenbind_monitor.last_reason)
        assert "www-authenticate" not in answer.headers
    assert "ERROR" == next(record.levelname for record in caplog.records if record.name == "tokenbind")


def test_stock_websocket_class_does_not_know(serve, news, context, bearer, tokenbind_client, tokenbind_monitor):
    """The websocket class needs the shim as well as the http class: the stock one says nothing of the connection."""
    port = serve(http=shim.H11, ws=WSProtocol)
    assert (503, None) == news(port, context(tokenbind_client), bearer(tokenbind_client))
    assert Reason.CERTIFICATE_SOURCE_MISSING is tokenbind_monitor.last_reason


def test_extension_of_the_server_is_left_alone(serve, connect, context, bearer, tokenbind_client):
    """A server that fills ``tls`` knows better; what tokenbind goes by stands beside it."""

    class Newer(shim.H11):
        def connection_made(self, transport):
            super().connection_made(transport)
            telling = self.app

            async def filling(scope, receive, send):
                await telling({**scope, "extensions": {"tls": "the server's own", "x": {}}}, receive, send)

            self.app = filling

    answer = connect(serve(http=Newer), context(tokenbind_client)).get("/", headers=bearer(tokenbind_client))
    assert (200, "the server's own") == (answer.status_code, answer.json()["tls"])
    assert ["tls", "tokenbind", "x"] == answer.json()["extensions"]
