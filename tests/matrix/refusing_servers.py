"""Real servers that cannot tell the certificate, or are not made to: the owner gets 503, and the operator what to do.

These need programs that only the environment ``servers`` has, so pytest finds them only when it is given this file::

    pytest tests/matrix/refusing_servers.py
"""

import asyncio
import re
import socket
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
import httpx
import pytest

from ..servers.commands import LISTENS, serving


WSGI_SERVICE = """
import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


def invoices(environ, start_response):
    start_response("200 OK", [])
    return [b"nobody gets here"]


keys = KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text()))
app = BoundTokenMiddleware(
    invoices, TokenVerifier(issuer="https://as.example", audience="https://api.example", keys=keys)
)
"""

# Servers without a command line; a module that is run, and says where it listens.
EVENTLET = """
import os
import ssl
import sys

os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # dnspython imports trio, which does not survive eventlet's patches

import eventlet
import eventlet.wsgi

from service import app

listener = eventlet.listen(("127.0.0.1", 0))
print(f"Running on https://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
files = {"certfile": "server.pem", "keyfile": "server.pem", "ca_certs": "ca.pem"}
eventlet.wsgi.server(eventlet.wrap_ssl(listener, server_side=True, cert_reqs=ssl.CERT_REQUIRED, **files), app)
"""

CONTEXT = """
import ssl
import sys

from service import app

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")
context.load_cert_chain("server.pem")
context.verify_mode = ssl.CERT_OPTIONAL

def say(port):
    print(f"Running on https://127.0.0.1:{port}", file=sys.stderr, flush=True)
"""

GEVENT = f"""{CONTEXT}
from gevent.pywsgi import WSGIServer

server = WSGIServer(("127.0.0.1", 0), app, ssl_context=context)
server.init_socket()
say(server.address[1])
server.serve_forever()
"""

CHEROOT = f"""{CONTEXT}
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

server = Server(("127.0.0.1", 0), app)
server.ssl_adapter = BuiltinSSLAdapter("server.pem", "server.pem")
server.ssl_adapter.context = context
server.prepare()
say(server.bind_addr[1])
server.serve()
"""

FILES = "--certfile server.pem --keyfile server.pem --ca-certs ca.pem"
GUNICORN = f"gunicorn service:app -b 127.0.0.1:0 {FILES} --cert-reqs 1"
HYPERCORN = f"-b 127.0.0.1:0 --graceful-timeout 1 {FILES} --verify-mode CERT_REQUIRED"
GRANIAN = "granian service:app --port {port} --ssl-certificate server.pem --ssl-keyfile pkcs8.pem --ssl-ca ca.pem"
GRANIAN += " --ssl-client-verify"
INSTALL_HYPERCORN = "import tokenbind.servers.hypercorn\n\ntokenbind.servers.hypercorn.install()\n"


@pytest.fixture
def files(tokenbind_kit, tmp_path):
    """The server's certificate and key, its key as granian wants it, and the CA of the clients."""
    leaf = tokenbind_kit.ca.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    (tmp_path / "pkcs8.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tokenbind_kit.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def said(log, remedy, reference):
    """Whether the log names the remedy under the reference of the answer."""
    found = re.search(
        f"EVERY request like it is refused with 503, certificate_source_missing: .*{remedy}.*{reference}", log
    )
    assert found, log


GRANIANS = "granian keeps the certificate from Python: use another server, or end TLS in a proxy in front"
SERVERS = {
    "granian": (f"{GRANIAN} --interface asgi", None, GRANIANS),
    "granian, wsgi": (f"{GRANIAN} --interface wsgi", "", GRANIANS),
    "eventlet": (
        "run",
        EVENTLET,
        "eventlet never asks clients for certificates, whatever cert_reqs= says: use another",
    ),
    "gevent.pywsgi": ("run", GEVENT, "handler_class=tokenbind.servers.gevent.WSGIHandler"),
    "cheroot": ("run", CHEROOT, r"peer_source=TLSConnection\.cheroot\(\)"),
    "gunicorn, pywsgi": (
        f"{GUNICORN} -k gevent_pywsgi",
        "",
        "does not give its socket: use -k sync, gthread or gevent",
    ),
    "gunicorn, uvicorn-worker": (
        f"{GUNICORN} -k uvicorn_worker.UvicornWorker",
        None,
        r"tokenbind\.servers\.uvicorn\.install\(\) in its module or in gunicorn.conf.py",
    ),
    "hypercorn, wsgi": (
        f"hypercorn wsgi:service:app {HYPERCORN}",
        INSTALL_HYPERCORN,
        r"the bridge from ASGI .* drops it: use a2wsgi\.WSGIMiddleware",
    ),
}


@pytest.mark.parametrize(("command", "program", "remedy"), SERVERS.values(), ids=SERVERS)
def test_server_that_does_not_tell(command, program, remedy, files, tokenbind_kit, tokenbind_client):
    """*program* is that of a WSGI server, or empty; None: the server is an ASGI server."""
    options = {} if program is None else {"service": WSGI_SERVICE}
    if command == "run":
        (files / "run.py").write_text(program)
    elif program:
        options["install"] = program
    command = command.format(port=free_port()).split()
    context = tokenbind_client.identity.current().ssl_context(tokenbind_kit.ca_pem)
    headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client)}"}
    with serving(files, tokenbind_kit, command, **options) as server:
        # granian says that it listens before it does.
        with httpx.Client(transport=httpx.HTTPTransport(verify=context, retries=6), timeout=20) as session:
            answer = session.get(f"https://127.0.0.1:{server.port}", headers=headers)
        assert 503 == answer.status_code
    said(server.log, remedy, answer.json()["reference"])


@pytest.mark.parametrize("shim", ["uvicorn", "gunicorn"])
def test_gunicorn_with_install_in_its_configuration(shim, files, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """What that remedy leads to, and the same for gunicorn's own worker: two lines for all applications."""
    (files / "gunicorn.conf.py").write_text(f"import tokenbind.servers.{shim}\ntokenbind.servers.{shim}.install()\n")
    worker = {"uvicorn": "uvicorn_worker.UvicornWorker", "gunicorn": "asgi"}[shim]
    headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client)}"}
    with serving(files, tokenbind_kit, f"{GUNICORN} --preload -w 2 -k {worker}".split()) as server:
        for client, status in ((tokenbind_client, 200), (tokenbind_stranger, 401)):
            context = client.identity.current().ssl_context(tokenbind_kit.ca_pem)
            url = f"https://127.0.0.1:{server.port}"
            assert status == httpx.get(url, headers=headers, verify=context, trust_env=False).status_code


def test_eventlet_lets_everybody_in(files, tokenbind_kit):
    """Why eventlet is no server for this: with CERT_REQUIRED, a client without a certificate gets to the middleware."""
    (files / "run.py").write_text(EVENTLET)
    context = ssl.create_default_context(cadata=tokenbind_kit.ca_pem.decode())
    with serving(files, tokenbind_kit, ["run"], service=WSGI_SERVICE) as server:
        assert 503 == httpx.get(f"https://127.0.0.1:{server.port}", verify=context, trust_env=False).status_code


class HTTP3Client(QuicConnectionProtocol):
    """As much of HTTP/3 as one request needs."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._status = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        for part in self._http.handle_event(event):
            if isinstance(part, HeadersReceived) and not self._status.done():
                self._status.set_result(int(dict(part.headers)[b":status"]))

    async def get(self, headers):
        pseudo = {b":method": b"GET", b":scheme": b"https", b":authority": b"127.0.0.1", b":path": b"/"}
        self._http.send_headers(self._quic.get_next_available_stream_id(), [*pseudo.items(), *headers], end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self._status, 20)


def test_hypercorn_over_quic(files, tokenbind_kit, tokenbind_client):
    """It asks for certificates over TCP, never over QUIC: a client without one is let in, and refused by the guard."""
    certificate, key = tokenbind_client.write(files)
    token = tokenbind_kit.mint(tokenbind_client)

    async def get(port, *identity):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="127.0.0.1")
        configuration.load_verify_locations(str(files / "ca.pem"))
        if identity:
            configuration.load_cert_chain(*identity)
        async with connect("127.0.0.1", port, configuration=configuration, create_protocol=HTTP3Client) as client:
            return await client.get([(b"authorization", f"Bearer {token}".encode())])

    command = f"hypercorn service:app --quic-bind 127.0.0.1:0 {HYPERCORN}".split()
    listens = rf"{LISTENS} \(QUIC\)"
    with serving(files, tokenbind_kit, command, INSTALL_HYPERCORN, listens=listens) as server:
        assert [503, 503] == [asyncio.run(get(server.port, *identity)) for identity in ((certificate, key), ())]
    said(server.log, "over HTTP/3, hypercorn never asks clients for certificates: switch QUIC off", "")
