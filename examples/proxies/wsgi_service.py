"""The same for WSGI, with the peer source of service.py."""

import json

from api import verifier
from service import peer_source

from tokenbind.resource_server.wsgi import BoundTokenMiddleware


def api(environ, start_response):
    """Tell the client who it is, and how long its request was."""
    token = environ["tokenbind.token"]  # None for /health
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    claims = token and {"client": token.client_id, "thumbprint": token.thumbprint, "bytes": size}
    answer = json.dumps(claims).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


app = BoundTokenMiddleware(api, verifier, peer_source, exempt={("GET", "/health")})
