"""An ASGI service that calls an API with certificate-bound tokens: one httpx client, for as long as it runs.

Its configuration is environment variables; the certificate may be renewed at any time::

    API=https://api.example API_CA=ca.pem CLIENT_CERTIFICATE=billing.pem CLIENT_KEY=billing.key \\
    CLIENT_ID=billing TOKEN_ISSUER=https://as.example TOKEN_ENDPOINT=https://as.example/token \\
    uvicorn --factory calling_service:from_environment --host 127.0.0.1 --port 8000
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import os

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tokenbind.client import ClientCredentials, FileIdentity, Grant, IdentitySource
from tokenbind.client.httpx import AsyncBoundTokenClient


def create_app(identity: IdentitySource, grant: Grant, api: str, ca: str | bytes | None = None) -> Starlette:
    """The application; tests give it an identity and a grant of their own."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
        async with AsyncBoundTokenClient(identity, grant, origin=api, ca=ca, timeout=10) as client:
            yield {"client": client}

    return Starlette(routes=[Route("/report", report)], lifespan=lifespan)


async def report(request: Request) -> JSONResponse:
    """What the API says; 502 if it, or the authorization server, does not."""
    client: httpx.AsyncClient = request.state.client
    try:
        answer = await client.get("/invoices")
        answer.raise_for_status()
    except httpx.HTTPError as error:  # those of tokenbind are such, too; none shows a token
        return JSONResponse({"error": str(error)}, 502)
    return JSONResponse({"number": len(answer.json()["invoices"])})


def from_environment() -> Starlette:
    """The application as it runs in production; uvicorn calls this."""
    ca = os.environ.get("API_CA")
    grant = ClientCredentials(
        os.environ["TOKEN_ISSUER"],
        client_id=os.environ["CLIENT_ID"],
        token_endpoint=os.environ.get("TOKEN_ENDPOINT"),
        ca=ca,
    )
    identity = FileIdentity(os.environ["CLIENT_CERTIFICATE"], os.environ["CLIENT_KEY"])
    return create_app(identity, grant, os.environ["API"], ca)
