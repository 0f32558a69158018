"""Attacks on forwarded certificates that need a real server: what it makes of addresses, and of its connections."""

import logging
import sys
import threading

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import make_server

from tokenbind import Reason
from tokenbind.peer import Trust

from ..peer.forwarding import HEADER, preset, value_of
from ..servers.commands import serving
from .proxied import connected, guarded, over_uvicorn


NAME = HEADER.encode()
LOOPBACK, ELSEWHERE = Trust.addresses("127.0.0.1"), Trust.addresses("10.0.0.1")
SPOOFED = b"X-Forwarded-For: 10.0.0.1:4711"


@pytest.fixture
def certificate(kit):
    return NAME + b": " + value_of("percent", kit.client().peer.der)


@pytest.fixture
def bearer(kit):
    # Good for a day: the clock of the kit stands still, and that of a server's own process does not.
    return b"Authorization: Bearer " + kit.mint(kit.client(), lifetime=86_400).encode()


def test_attack_38_uvicorn_believes_x_forwarded_for(kit, bearer, certificate):
    """Attack 38: by default it writes address and port of the header into the scope; the socket's peer is another."""
    with over_uvicorn(guarded(kit, preset("nginx", ELSEWHERE))) as address, connected(address) as ask:
        assert 400 == ask(bearer, certificate, SPOOFED)[0]
        assert Reason.PROXY_UNTRUSTED == kit.monitor.last_reason
        assert 400 == ask(bearer, SPOOFED)[0]
    with over_uvicorn(guarded(kit, preset("nginx", LOOPBACK))) as address, connected(address) as ask:
        status, said = ask(bearer, certificate, SPOOFED)
        assert (200, kit.client().thumbprint) == (status, said["thumbprint"])
        assert said["client"][0].startswith("10.0.0.1"), "the server did believe it"
        assert 401 == ask(bearer, SPOOFED)[0]


def test_uvicorn_without_a_shim(kit, bearer, certificate, caplog, monkeypatch):
    """It does not tell who is at the other end, so everybody is refused, and the log says what to do."""
    monkeypatch.delitem(sys.modules, "gunicorn.workers.gasgi", raising=False)  # of another test: it would be guessed
    app = guarded(kit, preset("nginx", LOOPBACK))
    with over_uvicorn(app, protocol="h11") as address, connected(address) as ask:
        assert 503 == ask(bearer, certificate, b"X-Forwarded-For: 127.0.0.1:4711")[0]
    assert Reason.CERTIFICATE_SOURCE_MISSING == kit.monitor.last_reason
    assert "--http tokenbind.servers.uvicorn:HTTP" in caplog.text
    assert logging.ERROR in {record.levelno for record in caplog.records}


def test_a_unix_socket_and_no_other(kit, bearer, certificate, tmp_path):
    """The proxy's socket is known by its name; a port, and another socket, are not it."""
    path = str(tmp_path / "api.sock")
    app = guarded(kit, preset("nginx", Trust.unix_socket(path)))
    with over_uvicorn(app, path=path) as address, connected(address) as ask:
        assert (200, kit.client().thumbprint) == ((answer := ask(bearer, certificate))[0], answer[1]["thumbprint"])
        assert 401 == ask(bearer)[0]
    for other in (None, str(tmp_path / "other.sock")):
        with over_uvicorn(app, path=other) as address, connected(address) as ask:
            assert 400 == ask(bearer, certificate)[0]
            assert Reason.PROXY_UNTRUSTED == kit.monitor.last_reason


def test_attack_48_one_connection_of_the_proxy_for_many_clients(kit, bearer, certificate):
    """Attack 48, and 47: requests of several clients come over one connection; each is judged by its own header."""
    stranger = NAME + b": " + value_of("percent", kit.client("stranger").peer.der)
    others = b"Authorization: Bearer " + kit.mint(kit.client("stranger")).encode()
    with over_uvicorn(guarded(kit, preset("nginx", LOOPBACK))) as address, connected(address) as ask:
        for _ in range(3):
            assert kit.client().thumbprint == ask(bearer, certificate)[1]["thumbprint"]
            assert 401 == ask(bearer)[0]
            assert Reason.CERTIFICATE_MISSING == kit.monitor.last_reason
            assert kit.client("stranger").thumbprint == ask(others, stranger)[1]["thumbprint"]
            assert 401 == ask(bearer, stranger)[0]
            assert Reason.CERTIFICATE_MISMATCH == kit.monitor.last_reason


def test_the_full_spoof_over_asgi(kit, bearer, certificate):
    """The twin of the header, and Connection to have the proxy remove the real one: only the twin arrives."""
    app = guarded(kit, preset("nginx", LOOPBACK))
    with over_uvicorn(app) as address, connected(address) as ask:
        assert 400 == ask(bearer, certificate.replace(b"-", b"_", 2), b"Connection: keep-alive, " + NAME)[0]
    assert Reason.CERTIFICATE_MALFORMED == kit.monitor.last_reason


@pytest.fixture
def werkzeug(kit):
    """Serve an application with Werkzeug; gives its address."""
    running = []

    def serve(app):
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return "127.0.0.1", server.port

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def ask_once(address, *lines):
    with connected(address) as ask:
        return ask(*lines)


def test_proxy_fix(kit, bearer, certificate, werkzeug):
    """ProxyFix, around the guard, makes REMOTE_ADDR of a header; the socket does not change."""
    for trust, status in ((ELSEWHERE, 400), (LOOPBACK, 200)):
        address = werkzeug(ProxyFix(guarded(kit, preset("nginx", trust), "wsgi"), x_for=1))
        answer = ask_once(address, bearer, certificate, b"X-Forwarded-For: 10.0.0.1")
        assert status == answer[0]
        if status == 400:
            assert Reason.PROXY_UNTRUSTED == kit.monitor.last_reason
        else:
            assert ("10.0.0.1", kit.client().thumbprint) == (answer[1]["client"], answer[1]["thumbprint"])
        assert 400 + (status == 200) == ask_once(address, bearer)[0]


def test_the_full_spoof_over_wsgi(kit, bearer, certificate, werkzeug):
    """Werkzeug drops the twin, so that there is no certificate."""
    address = werkzeug(guarded(kit, preset("nginx", LOOPBACK), "wsgi"))
    twin = certificate.replace(b"-", b"_", 2)
    assert 401 == ask_once(address, bearer, twin, b"Connection: keep-alive, " + NAME)[0]
    assert Reason.CERTIFICATE_MISSING == kit.monitor.last_reason
    status, said = ask_once(address, bearer, certificate, twin)
    assert (200, kit.client().thumbprint) == (status, said["thumbprint"])
    assert 400 == ask_once(address, bearer, certificate, certificate)[0]
    assert Reason.CERTIFICATE_MALFORMED == kit.monitor.last_reason


GUNICORN = """
import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.peer import Trust, forwarded
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


def view(environ, start_response):
    start_response("200 OK", [("content-length", "2")])
    print("REMOTE_ADDR", environ["REMOTE_ADDR"], flush=True)
    return [b"{}"]


keys = KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text()))
verifier = TokenVerifier(issuer="https://as.example", audience="https://api.example", keys=keys)
source = forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=Trust.addresses(ADDRESS))
app = BoundTokenMiddleware(view, verifier, source)
"""


@pytest.mark.parametrize(("address", "status"), [("10.0.0.1", 400), ("127.0.0.1", 200)])
def test_the_proxy_protocol(kit, bearer, certificate, tmp_path, address, status):
    """gunicorn writes what the PROXY protocol says into REMOTE_ADDR; whoever connects can say anything."""
    command = ["gunicorn", "-b", "127.0.0.1:0", "--proxy-protocol", "-k", "sync", "service:app"]
    with serving(tmp_path, kit, command, f"ADDRESS = {address!r}", service=GUNICORN) as process:
        with connected(("127.0.0.1", process.port)) as ask:
            assert status == ask(bearer, certificate, before=b"PROXY TCP4 10.0.0.1 10.0.0.2 4711 8000\r\n")[0]
        twin = certificate.replace(b"-", b"_", 2)
        with connected(("127.0.0.1", process.port)) as ask:  # gunicorn drops the twin
            before = b"PROXY TCP4 10.0.0.1 10.0.0.2 4711 8000\r\n"
            assert 400 + (status == 200) == ask(bearer, twin, before=before)[0]
    assert (status == 200) == ("REMOTE_ADDR 10.0.0.1" in process.log), process.log
    assert (status == 400) == ("proxy_untrusted" in process.log), process.log
