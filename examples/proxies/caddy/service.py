"""The API behind Caddy."""

from api import api, verifier

from tokenbind.peer import Trust, forwarded
from tokenbind.resource_server.asgi import BoundTokenMiddleware


peer_source = forwarded.caddy(
    header="Cert-K7Qd2",
    trusted_proxy=Trust.unix_socket("/run/api/api.sock"),
    hosts=["api.example"],
)
app = BoundTokenMiddleware(api, verifier, peer_source, exempt={("GET", "/health")})
