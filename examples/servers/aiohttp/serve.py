"""aiohttp's own server; run_app is for a process of its own, AppRunner for a part of another."""

import json
from pathlib import Path
import ssl

from aiohttp import web

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.aiohttp import bound_token, install


async def who_am_i(request):
    """Tell the client who it is: over HTTP, and in a websocket's first message."""
    token = bound_token(request)
    answer = {"client": token.client_id, "thumbprint": token.thumbprint}
    websocket = web.WebSocketResponse()
    if not websocket.can_prepare(request):
        return web.json_response(answer)
    await websocket.prepare(request)
    await websocket.send_json(answer)
    await websocket.close()
    return websocket


async def health(_request):
    """No token is asked for."""
    return web.json_response(None)


verifier = TokenVerifier(
    issuer="https://as.example",
    audience="https://api.example",
    keys=KeySet.from_jwks(json.loads(Path("jwks.json").read_text())),
)
app = web.Application()
app.add_routes([web.get("/", who_am_i), web.get("/health", health)])
install(app, verifier, exempt={("GET", "/health")})

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8443, ssl_context=context)
