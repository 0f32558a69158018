"""The API that the WSGI servers of these examples serve. Yours may be made with any framework."""

import json
from pathlib import Path

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


verifier = TokenVerifier(
    issuer="https://as.example",
    audience="https://api.example",
    keys=KeySet.from_jwks(json.loads(Path(__file__).with_name("jwks.json").read_text())),
)


def api(environ, start_response):
    """Tell the client who it is."""
    token = environ["tokenbind.token"]  # None for /health
    answer = json.dumps(token and {"client": token.client_id, "thumbprint": token.thumbprint}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


app = BoundTokenMiddleware(api, verifier, exempt={("GET", "/health")})
