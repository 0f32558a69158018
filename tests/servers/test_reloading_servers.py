"""Real servers whose TLS files are rewritten under load: no handshake fails, and a removed CA is refused at once."""

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
import re
from threading import Event

import pytest

from .commands import serving
from .rotating_files import DEADLINE_SECONDS, RotatingFiles, wait_for


ROTATIONS = 10

RELOADING_UVICORN = """
import uvicorn

from tokenbind.servers.uvicorn import ssl_context

uvicorn.run(
    "service:app",
    http="tokenbind.servers.uvicorn:HTTP",
    port=0,
    ssl_certfile="tls.crt",
    ssl_keyfile="tls.key",
    ssl_ca_certs="ca.crt",
    ssl_cert_reqs=2,
    ssl_context_factory=ssl_context,
    loop="{loop}",
)
"""
RELOADING_HYPERCORN = "from tokenbind.servers import hypercorn\n\nhypercorn.install(reload_tls=True)\n"
RELOADING_GUNICORN = """
from tokenbind.servers.gunicorn import ssl_context

bind = "127.0.0.1:0"
certfile, keyfile, ca_certs, cert_reqs = "tls.crt", "tls.key", "ca.crt", 2
"""

HYPERCORN = "hypercorn service:app -b 127.0.0.1:0 --graceful-timeout 1 --certfile tls.crt --keyfile tls.key"
HYPERCORN += " --ca-certs ca.crt --verify-mode CERT_REQUIRED"

WAYS = {
    "uvicorn, asyncio": ("serve", "", {"serve.py": RELOADING_UVICORN.format(loop="asyncio")}),
    "uvicorn, uvloop": ("serve", "", {"serve.py": RELOADING_UVICORN.format(loop="uvloop")}),
    "hypercorn, asyncio": (f"{HYPERCORN} -k asyncio", RELOADING_HYPERCORN, {}),
    "hypercorn, trio": (f"{HYPERCORN} -k trio", RELOADING_HYPERCORN, {}),
    "gunicorn, asgi": (
        "gunicorn service:app -k tokenbind.servers.gunicorn.ASGIWorker",
        "",
        {"gunicorn.conf.py": RELOADING_GUNICORN},
    ),
    "gunicorn, gthread": ("gunicorn service:wsgi_app -k gthread", "", {"gunicorn.conf.py": RELOADING_GUNICORN}),
}


def ask(port, context):
    """The status of a request on a connection of its own, and the serial number of the server's certificate."""
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", "/")
        serial = connection.sock.getpeercert()["serialNumber"]
        return connection.getresponse().status, serial
    finally:
        connection.close()


@pytest.mark.parametrize(("command", "install", "more"), WAYS.values(), ids=WAYS)
def test_a_rotation_under_load(command, install, more, tmp_path, tokenbind_kit):
    """Clients connect without a pause while certificate, key and CA bundle are swapped, and are all let in."""
    files, failed, seen, done = RotatingFiles(tmp_path), [], set(), Event()
    good, gone = files.client_context(files.clients), files.client_context(files.removed)
    for name, text in more.items():
        (tmp_path / name).write_text(text)

    def connect():
        while not done.is_set():
            try:
                status, serial = ask(server.port, good)
                seen.add(serial)
                assert 401 == status
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                failed.append(error)

    with serving(tmp_path, tokenbind_kit, command.split(), install) as server:
        assert 401 == ask(server.port, gone)[0]
        with ThreadPoolExecutor(4) as pool:
            try:
                for _ in range(4):
                    pool.submit(connect)
                for _ in range(ROTATIONS):
                    number = len(seen)
                    files.rotate(files.clients, files.removed)
                    wait_for(lambda number=number: failed or len(seen) > number)
            finally:
                done.set()
        assert [] == failed
        assert len(seen) >= ROTATIONS
        files.rotate(files.clients)
        with pytest.raises(OSError):  # noqa: PT011 - which one it is, is the client's
            ask(server.port, gone)
        assert 401 == ask(server.port, good)[0]
        files["tls.key"].write_bytes(b"")
        assert 401 == ask(server.port, good)[0]
    assert re.search("changed, and cannot be used; the last good ones serve on", server.log)
