"""Servers as operators start them: a process of its own, and the service that it serves."""

from contextlib import contextmanager
import json
import os
import re
import signal
import subprocess
import sys
import threading


DEADLINE_SECONDS = 20

SERVICE = """
import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.resource_server.wsgi import BoundTokenMiddleware as WSGIMiddleware


async def invoices(scope, receive, send):
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
        return
    own = scope["extensions"]["tokenbind"]
    told = {
        "thumbprint": scope["tokenbind.token"].thumbprint,
        "http_version": scope["http_version"],
        "socket_peer": own["socket_peer"],
        "socket_name": own["socket_name"],
        "tls": scope["extensions"]["tls"],
        "tls_object": type(own["ssl_object"]).__module__,
    }
    text = json.dumps(told)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close"})
    else:
        headers = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


keys = KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text()))
verifier = TokenVerifier(issuer="https://as.example", audience="https://api.example", keys=keys)
app, wsgi_app = BoundTokenMiddleware(invoices, verifier), WSGIMiddleware(None, verifier)
"""

# How each server says where it listens.
LISTENS = r"(?:unning on|istening at:) https?://127\.0\.0\.1:(\d+)"


class Process:
    """A running server: its port, and what it has written."""

    port = None
    log = ""


@contextmanager
def serving(folder, kit, command, install="", warnings="default", *, service=SERVICE, listens=LISTENS):
    """Start a module's *command* in *folder* for the *service*, which has the statements *install* in front."""
    (folder / "service.py").write_text(f"{install}\n{service}")
    (folder / "jwks.json").write_text(json.dumps(kit.issuer.jwks()))
    process = Process()
    arguments = [sys.executable, "-W", warnings, "-m", *command]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(arguments, cwd=folder, **options) as running:
        # Ends the waiting for a line that does not come, or for workers that do not end.
        deadline = threading.Timer(DEADLINE_SECONDS, os.killpg, (running.pid, signal.SIGKILL))
        deadline.start()
        try:
            for line in running.stdout:
                process.log += line
                if found := re.search(listens, process.log, re.DOTALL):
                    process.port = int(found[1])
                    break
            assert process.port is not None, process.log
            yield process
        finally:
            running.terminate()
            process.log += running.stdout.read()
            deadline.cancel()
