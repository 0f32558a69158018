"""A FastAPI service that takes certificate-bound access tokens, and no others.

Its configuration is three environment variables. uvicorn ends TLS; the protocol class lets it say which
certificate the client has proven::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json \\
    uvicorn --factory fastapi_service:from_environment --host 127.0.0.1 --port 8443 \\
        --http tokenbind.servers.uvicorn:HTTP \\
        --ssl-keyfile server.key --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1

TOKEN_JWKS is a file with the issuer's public keys. ``--ssl-cert-reqs 1`` asks every client for a certificate, and lets
probes in without one; 2 would insist. ``--ssl-ca-certs`` is the CA of the *clients*.
"""

import json
import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI

from tokenbind import BoundToken, KeySet, TokenVerifier
from tokenbind.resource_server.fastapi import bound_token, install


router = APIRouter()


def create_app(verifier: TokenVerifier) -> FastAPI:
    """The application; tests give it a verifier of their own."""
    app = FastAPI(title="Invoices")
    install(app, verifier, exempt={("GET", "/health"), ("GET", "/openapi.json")})
    app.include_router(router)
    return app


@router.get("/health")
def health() -> dict[str, str]:
    """Whether the service runs; no token is asked for."""
    return {"status": "ok"}


@router.get("/invoices")
def invoices(token: Annotated[BoundToken, Depends(bound_token("invoices:read"))]) -> dict[str, object]:
    """The invoices of the client."""
    return {"invoices": ["2026-001"], "client": token.client_id}


def from_environment() -> FastAPI:
    """The application as it runs in production; uvicorn calls this."""
    return create_app(
        TokenVerifier(
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
            keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
        )
    )
