"""A gRPC service that takes certificate-bound access tokens, and no others.

The configuration is three environment variables, and three files beside this one: ``server.key``, ``server.pem``, and
``ca.pem``, the CA of the *clients*::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json python grpc_service.py

TOKEN_JWKS is a file with the issuer's public keys. Messages are JSON here, to do without generated code; with it,
``add_InvoicesServicer_to_server`` takes the place of `add_to_server`, and nothing else changes.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import json
import os
from pathlib import Path
from typing import Any

import grpc

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.grpc import BoundTokenInterceptor, bound_token


class Invoices:
    """The guard has verified the token, and its binding. The scope is ours to ask for."""

    def List(self, _request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - as gRPC names methods
        token = bound_token(context)
        token.require_scope("invoices:read")
        return {"invoices": ["2026-001"], "client": token.client_id}

    def Follow(self, _request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        bound_token(context).require_scope("invoices:read")
        yield {"invoice": "2026-001"}

    def Check(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        return {"status": "ok"}


def create_server(verifier: TokenVerifier) -> grpc.Server:
    """The server, without a port; tests give it a verifier of their own."""
    guard = BoundTokenInterceptor(verifier, end_streams=True, exempt={("POST", "/billing.Invoices/Check")})
    server = grpc.server(ThreadPoolExecutor(10), interceptors=[guard])
    add_to_server(Invoices(), server)
    return server


def add_to_server(servicer: Invoices, server: grpc.Server) -> None:
    """What generated code does."""
    codec = {"request_deserializer": json.loads, "response_serializer": lambda message: json.dumps(message).encode()}
    methods = {
        "List": grpc.unary_unary_rpc_method_handler(servicer.List, **codec),
        "Follow": grpc.unary_stream_rpc_method_handler(servicer.Follow, **codec),
        "Check": grpc.unary_unary_rpc_method_handler(servicer.Check, **codec),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("billing.Invoices", methods)])


def credentials(folder: Path) -> grpc.ServerCredentials:
    """Asks every client for a certificate. Without ``require_client_auth`` gRPC asks none, and refuses every call."""
    pair = (folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes()
    return grpc.ssl_server_credentials([pair], (folder / "ca.pem").read_bytes(), require_client_auth=True)


def from_environment() -> grpc.Server:
    """The server as it runs in production."""
    return create_server(
        TokenVerifier(
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
            keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
        )
    )


if __name__ == "__main__":
    server = from_environment()
    server.add_secure_port(f"127.0.0.1:{os.environ.get('PORT', '8443')}", credentials(Path()))
    server.start()
    server.wait_for_termination()
