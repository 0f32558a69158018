"""An ASGI service that takes certificate-bound access tokens, and no others.

Its configuration is three environment variables. uvicorn ends TLS; the protocol class lets it say which
certificate the client has proven::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json \\
    uvicorn --factory service:from_environment --host 127.0.0.1 --port 8443 \\
        --http tokenbind.servers.uvicorn:HTTP \\
        --ssl-keyfile server.key --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1

TOKEN_JWKS is a file with the issuer's public keys. ``--ssl-cert-reqs 1`` asks every client for a certificate, and lets
probes in without one; 2 would insist. ``--ssl-ca-certs`` is the CA of the *clients*.
"""

import json
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware


def create_app(verifier: TokenVerifier) -> Starlette:
    """The application; tests give it a verifier of their own."""
    return Starlette(
        routes=[Route("/health", health), Route("/invoices", invoices)],
        middleware=[Middleware(BoundTokenMiddleware, verifier=verifier, exempt={("GET", "/health")})],
    )


async def health(_request: Request) -> JSONResponse:
    """No token is asked for: the middleware lets this path through."""
    return JSONResponse({"status": "ok"})


async def invoices(request: Request) -> JSONResponse:
    """The middleware has verified the token, and its binding. The scope is ours to ask for."""
    token = request.scope["tokenbind.token"]
    token.require_scope("invoices:read")
    return JSONResponse({"invoices": ["2026-001"], "client": token.client_id})


def from_environment() -> Starlette:
    """The application as it runs in production; uvicorn calls this."""
    return create_app(
        TokenVerifier(
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
            keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
        )
    )
