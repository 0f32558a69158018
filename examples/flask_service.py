"""A Flask service that takes certificate-bound access tokens, and no others.

Its configuration is three environment variables. gunicorn ends TLS, and gives the application its socket, which knows
the certificate that the client has proven::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json \\
    gunicorn 'flask_service:from_environment()' --bind 127.0.0.1:8443 --worker-class gthread \\
        --keyfile server.key --certfile server.pem --ca-certs ca.pem --cert-reqs 1

TOKEN_JWKS is a file with the issuer's public keys. ``--cert-reqs 1`` asks every client for a certificate, and lets
probes in without one; 2 would insist. ``--ca-certs`` is the CA of the *clients*.
"""

import json
import os
from pathlib import Path

from flask import Flask

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.flask import bound_token, install, require_scope


def create_app(verifier: TokenVerifier) -> Flask:
    """The application; tests give it a verifier of their own."""
    app = Flask(__name__)
    install(app, verifier, exempt={("GET", "/health")})

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/invoices")
    @require_scope("invoices:read")
    def invoices() -> dict[str, object]:
        return {"invoices": ["2026-001"], "client": bound_token().client_id}

    return app


def from_environment() -> Flask:
    """The application as it runs in production; gunicorn calls this."""
    return create_app(
        TokenVerifier(
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
            keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
        )
    )
