"""The API that the ASGI servers of these examples serve. Yours may be made with any framework."""

import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware


verifier = TokenVerifier(
    issuer="https://as.example",
    audience="https://api.example",
    keys=KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text())),
)


async def api(scope, receive, send):
    """Tell the client who it is: over HTTP, and in a websocket's first message."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    token = scope["tokenbind.token"]  # None for /health
    answer = json.dumps(token and {"client": token.client_id, "thumbprint": token.thumbprint})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": answer})
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.encode()})


async def lifespan(receive, send):
    """There is nothing to be opened or closed."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


app = BoundTokenMiddleware(api, verifier, exempt={("GET", "/health")})
