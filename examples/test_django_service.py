"""The Django service, as gunicorn runs it, over real mutual TLS: with its rightful client and with a thief.

For tests in process there is Django's own test client: see docs/how-to/use-with-django.md.
"""

import ast
from contextlib import contextmanager
import json
import os
from pathlib import Path
import re
import shlex
import subprocess
import sys
from threading import Timer

import httpx
import pytest


SERVICE = Path(__file__).with_name("django_service.py")


def test_the_command_line_of_the_docstring(tokenbind_kit, tokenbind_client, tokenbind_stranger, tmp_path):
    """The client gets what its scope is for, in a view of Django as in one of REST framework; the thief nothing."""
    log, thefts = [], []

    def get(path, peer, scope=None):
        headers = {"Authorization": f"Bearer {tokenbind_kit.mint(tokenbind_client, scope=scope)}"}
        tls = peer.identity.current().ssl_context(tokenbind_kit.ca_pem)
        with httpx.Client(base_url=origin, verify=tls, trust_env=False) as client:
            return client.get(path, headers=headers)

    with running(tokenbind_kit, tmp_path, log) as origin:
        for path, scope in [("/invoices", "invoices:read"), ("/payments", "payments:read")]:
            assert "client" == get(path, tokenbind_client, scope).json()["client"]
            narrow = get(path, tokenbind_client, "other")
            assert (403, "insufficient_scope") == (narrow.status_code, narrow.json()["error"])
            assert narrow.headers["www-authenticate"].endswith(f'scope="{scope}"')
            stolen = get(path, tokenbind_stranger, scope)
            assert 401 == stolen.status_code
            thefts.append(stolen.json()["reference"])
        assert {"status": "ok"} == get("/health", tokenbind_stranger).json()
    for reference in thefts:
        assert re.search(rf"certificate_mismatch.*{reference}", log[0])


@contextmanager
def running(kit, folder, log):
    """The service on a free port; its origin. In the end *log* has what it has printed since."""
    (folder / "ca.pem").write_bytes(kit.ca_pem)
    (folder / "jwks.json").write_text(json.dumps(kit.issuer.jwks()))
    server = kit.ca.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    docstring = ast.get_docstring(ast.parse(SERVICE.read_text()))
    line = re.search(r"    TOKEN_ISSUER=.*?--cert-reqs \d", docstring, re.DOTALL)[0]
    command = ["env", *shlex.split(line.replace("\\\n", " ").replace(":8443", ":0"))]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(SERVICE.parent), "HOME": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = Timer(20, process.kill)
        deadline.start()
        try:
            printed = ""
            while not (origin := re.search(r"https://127\.0\.0\.1:\d+", printed)):
                printed += process.stderr.readline() or pytest.fail(f"gunicorn did not start: {printed}")
            yield origin[0]
        finally:
            deadline.cancel()
            process.terminate()
            log.append(process.communicate()[1])
