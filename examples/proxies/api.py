"""The API that stands behind the proxies of these examples. Yours may be made with any framework."""

import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier


verifier = TokenVerifier(
    issuer="https://as.example",
    audience="https://api.example",
    keys=KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text())),
)


async def api(scope, receive, send):
    """Tell the client who it is, and how long its request was."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    token = scope["tokenbind.token"]  # None for /health
    claims = token and {"client": token.client_id, "thumbprint": token.thumbprint, "bytes": size}
    answer = json.dumps(claims).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def lifespan(receive, send):
    """There is nothing to be opened or closed."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
