"""The gRPC service, over real mutual TLS, with its rightful client and with a thief."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import re
import shlex
from socket import socket
import subprocess
import sys

import grpc
import grpc_service
import pytest


@pytest.fixture
def folder(tokenbind_kit, tmp_path):
    """The service's files."""
    server = tokenbind_kit.ca.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    return tmp_path


@pytest.fixture
def connect(tokenbind_kit, folder):
    """A channel to a server, as a client."""

    @contextmanager
    def connect(server, peer):
        port = server.add_secure_port("127.0.0.1:0", grpc_service.credentials(folder))
        server.start()
        own = grpc.ssl_channel_credentials(tokenbind_kit.ca_pem, peer.key_pem, peer.pem.encode())
        try:
            with grpc.secure_channel(f"127.0.0.1:{port}", own) as channel:
                yield channel
        finally:
            server.stop(0).wait(20)

    return connect


def call(channel, method, token=None):
    """The messages that come back."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    make = channel.unary_stream(f"/billing.Invoices/{method}", response_deserializer=json.loads)
    return list(make(b"{}", metadata=metadata, timeout=20))


def status(channel, method, token=None):
    """The status that a call fails with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, token)
    return caught.value.code()


def test_the_client_gets_its_invoices(connect, tokenbind_kit, tokenbind_client):
    """Certificate, token and scope are right."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    with connect(grpc_service.create_server(tokenbind_kit.verifier), tokenbind_client) as channel:
        assert [{"invoices": ["2026-001"], "client": "client"}] == call(channel, "List", token)
        assert [{"invoice": "2026-001"}] == call(channel, "Follow", token)


@pytest.mark.parametrize("method", ["List", "Follow", "Unknown"])
def test_a_stolen_token_is_refused(method, connect, tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """The same token is worth nothing with another certificate."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    with connect(grpc_service.create_server(tokenbind_kit.verifier), tokenbind_stranger) as channel:
        assert grpc.StatusCode.UNAUTHENTICATED is status(channel, method, token)
    assert "certificate_mismatch" == tokenbind_kit.monitor.last_reason


def test_another_scope_is_not_enough(connect, tokenbind_kit, tokenbind_client):
    """The right client with a token for something else is told so, and the monitor too."""
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:write")
    with connect(grpc_service.create_server(tokenbind_kit.verifier), tokenbind_client) as channel:
        assert grpc.StatusCode.PERMISSION_DENIED is status(channel, "List", token)
    assert "scope_insufficient" == tokenbind_kit.monitor.last_reason


def test_the_check_needs_no_token(connect, tokenbind_kit, tokenbind_stranger):
    """Probes have a certificate, because gRPC insists on one, and no token; they get no further."""
    with connect(grpc_service.create_server(tokenbind_kit.verifier), tokenbind_stranger) as channel:
        assert [{"status": "ok"}] == call(channel, "Check")
        assert grpc.StatusCode.UNAUTHENTICATED is status(channel, "List")


def test_the_command_line_of_the_docstring(tokenbind_kit, tokenbind_client, tokenbind_stranger, folder):
    """Started as the docstring says, it tells the client from the thief."""
    (folder / "grpc_service.py").write_text(Path(grpc_service.__file__).read_text())
    token = tokenbind_kit.mint(tokenbind_client, scope="invoices:read")
    line = re.search(r"TOKEN_ISSUER=.*\.py", grpc_service.__doc__)[0]
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PORT": port}
    with subprocess.Popen(["env", *shlex.split(line)], cwd=folder, env=environ) as process:
        try:
            for peer in (tokenbind_client, tokenbind_stranger):
                own = grpc.ssl_channel_credentials(tokenbind_kit.ca_pem, peer.key_pem, peer.pem.encode())
                with grpc.secure_channel(f"127.0.0.1:{port}", own) as channel:
                    grpc.channel_ready_future(channel).result(20)
                    if peer is tokenbind_client:
                        assert "client" == call(channel, "List", token)[0]["client"]
                    else:
                        assert grpc.StatusCode.UNAUTHENTICATED is status(channel, "List", token)
        finally:
            process.terminate()
