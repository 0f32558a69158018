"""A token endpoint: client credentials over mutual TLS, for clients that are registered by their certificate.

It shows what `TokenIssuer` needs around it, and publishes its keys where `TokenVerifier.from_issuer` looks for them.
An authorization server has much more: other grants, refresh tokens, registration. That role of tokenbind is not in this
release.

Run it::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example SIGNING_KEY=issuer.key CLIENTS=clients.json \\
    uvicorn --factory token_endpoint:from_environment --host 127.0.0.1 --port 8444 \\
        --http tokenbind.servers.uvicorn:HTTP \\
        --ssl-keyfile server.key --ssl-certfile server.pem --ssl-ca-certs ca.pem --ssl-cert-reqs 1

SIGNING_KEY is made by ``tokenbind keygen``, and CLIENTS holds the thumbprints that ``tokenbind thumbprint`` prints::

    {"billing": {"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0", "scope": "invoices:read"}}
"""

from collections.abc import Mapping
from hmac import compare_digest
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tokenbind import InvalidRequest, PeerCertificate, SigningKey, TokenIssuer
from tokenbind.peer import TLSConnection


MAX_BODY_BYTES = 10_000


def create_app(issuer: TokenIssuer, audience: str, clients: Mapping[str, Mapping[str, str]]) -> Starlette:
    """The application.

    Args:
        issuer: Mints the tokens.
        audience: The one API that they are for.
        clients: For each client id, the thumbprint of its certificate (``x5t#S256``) and the scopes that it may have
            (``scope``).
    """
    source = TLSConnection()

    async def token(request: Request) -> JSONResponse:
        peer = source.from_scope(request.scope)
        form = await _read_form(request)
        if form is None:
            return _refuse("invalid_request")
        client_id = form.get("client_id", "")
        client = clients.get(client_id)
        if peer is None or client is None or not _is_registered(peer, client):
            return _refuse("invalid_client", 401)
        if form.get("grant_type") != "client_credentials":
            return _refuse("unsupported_grant_type" if "grant_type" in form else "invalid_request")
        allowed = client["scope"].split()
        asked = form.get("scope", client["scope"]).split()
        if not set(asked) <= set(allowed):
            return _refuse("invalid_scope")
        return _answer(200, issuer.token_response(peer, client_id=client_id, audience=audience, scope=asked))

    async def metadata(_request: Request) -> JSONResponse:
        """RFC 8414 §2, as far as there is something to say."""
        return JSONResponse(
            {
                "issuer": issuer.issuer,
                "token_endpoint": f"{issuer.issuer}/token",
                "jwks_uri": f"{issuer.issuer}/jwks",
                "tls_client_certificate_bound_access_tokens": True,
            }
        )

    async def jwks(_request: Request) -> JSONResponse:
        return JSONResponse(issuer.jwks())

    async def malformed(_request: Request, _error: Exception) -> JSONResponse:
        """A certificate that cannot be read, or has expired. Anything else is our own mistake: 500, and a traceback."""
        return _refuse("invalid_request")

    routes = [
        Route("/token", token, methods=["POST"]),
        Route("/.well-known/oauth-authorization-server", metadata),
        Route("/jwks", jwks),
    ]
    return Starlette(routes=routes, exception_handlers={InvalidRequest: malformed})


def _is_registered(peer: PeerCertificate, client: Mapping[str, str]) -> bool:
    return compare_digest(peer.thumbprint, client["x5t#S256"])


async def _read_form(request: Request) -> dict[str, str] | None:
    """The form, or None. RFC 6749 §3.2: parameters "MUST NOT be included more than once"."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True)
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()} if all(len(v) == 1 for v in fields.values()) else None


def _refuse(error: str, status: int = 400) -> JSONResponse:
    """RFC 6749 §5.2."""
    return _answer(status, {"error": error})


def _answer(status: int, members: Mapping[str, object]) -> JSONResponse:
    return JSONResponse(members, status, headers={"cache-control": "no-store"})


def from_environment() -> Starlette:
    """The application as it runs in production; uvicorn calls this."""
    key = SigningKey.from_pem(Path(os.environ["SIGNING_KEY"]).read_bytes())
    return create_app(
        TokenIssuer(os.environ["TOKEN_ISSUER"], key),
        os.environ["TOKEN_AUDIENCE"],
        json.loads(Path(os.environ["CLIENTS"]).read_text()),
    )
