"""An aiohttp service that takes certificate-bound access tokens, and no others.

aiohttp ends TLS itself, and says which certificate the client has proven. The configuration is three environment
variables, and three files beside this one: ``server.key``, ``server.pem``, and ``ca.pem``, the CA of the *clients*::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json python aiohttp_service.py

TOKEN_JWKS is a file with the issuer's public keys.
"""

import json
import os
from pathlib import Path
import ssl

from aiohttp import web

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.aiohttp import bound_token, install


def create_app(verifier: TokenVerifier) -> web.Application:
    """The application; tests give it a verifier of their own."""
    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/invoices", invoices), web.get("/news", news)])
    install(app, verifier, exempt={("GET", "/health")})
    return app


async def health(_request: web.Request) -> web.Response:
    """No token is asked for: the guard lets this path through."""
    return web.json_response({"status": "ok"})


async def invoices(request: web.Request) -> web.Response:
    """The guard has verified the token, and its binding. The scope is ours to ask for."""
    token = bound_token(request)
    token.require_scope("invoices:read")
    return web.json_response({"invoices": ["2026-001"], "client": token.client_id})


async def news(request: web.Request) -> web.WebSocketResponse:
    """A websocket; the guard closes it when its token expires."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    await websocket.send_json({"client": bound_token(request).client_id})
    async for _message in websocket:
        pass
    return websocket


def tls_context(certificate: str, key: str, clients_ca: str) -> ssl.SSLContext:
    """Asks every client for a certificate, and lets probes in without one; ``CERT_REQUIRED`` would insist."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_ca)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def from_environment() -> web.Application:
    """The application as it runs in production."""
    return create_app(
        TokenVerifier(
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
            keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
        )
    )


if __name__ == "__main__":
    web.run_app(
        from_environment(),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8443")),
        ssl_context=tls_context("server.pem", "server.key", "ca.pem"),
    )
