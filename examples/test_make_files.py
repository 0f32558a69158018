"""The files, and the commands of the docstrings that use them: something to call for whoever has nothing yet."""

import stat
import subprocess
import sys

import make_files
import pytest
import service
from test_service import running
import token_endpoint

from tokenbind import GrantError
from tokenbind.client import ClientCredentials, FileIdentity
from tokenbind.client.requests import BoundTokenSession


@pytest.fixture
def folder(tmp_path):
    """With the files in it."""
    command = [sys.executable, make_files.__file__]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("wrote client.pem, client.key, ca.pem, ")
    return tmp_path


def test_authorization_server_and_api_run_with_them(folder):
    """The client gets a token by either way to name the server, and its answer; another certificate gets none."""
    ca = folder / "ca.pem"
    identity = FileIdentity(folder / "client.pem", folder / "client.key")
    with running(token_endpoint, folder) as issuer, running(service, folder) as api:
        for where in ({"token_endpoint": f"{issuer}/token"}, {"address": issuer}):
            grant = ClientCredentials("https://as.example", client_id="billing", ca=ca, **where)
            with BoundTokenSession(identity, grant, origin=api, ca=ca) as session:
                assert {"invoices": ["2026-001"], "client": "billing"} == session.get(f"{api}/invoices").json()
        with pytest.raises(GrantError, match="invalid_client"):
            grant.fetch(FileIdentity(folder / "server.pem", folder / "server.key").current())


def test_no_key_is_open_to_others(folder):
    """Neither those of the certificates nor the issuer's."""
    for name in ("client.key", "server.key", "issuer.key"):
        assert 0o600 == stat.S_IMODE((folder / name).stat().st_mode)
