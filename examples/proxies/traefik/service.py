"""The API behind Traefik."""

from api import api, verifier

from tokenbind.peer import Trust, forwarded
from tokenbind.resource_server.asgi import BoundTokenMiddleware


peer_source = forwarded.traefik(
    trusted_proxy=Trust.secret_header("Proxy-Secret", file="/etc/ssl/api/secret"),
    hosts=["api.example"],
)
app = BoundTokenMiddleware(api, verifier, peer_source, exempt={("GET", "/health")})
