"""grpcio's server with threads. Messages are JSON here, so that there is no code to be generated."""

from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path

import grpc

from tokenbind import KeySet, TokenVerifier
from tokenbind.resource_server.grpc import BoundTokenInterceptor, bound_token


def who_am_i(_request, context):
    """Tell the client who it is."""
    token = bound_token(context)
    return json.dumps({"client": token.client_id, "thumbprint": token.thumbprint}).encode()


def health(_request, _context):
    """No token is asked for."""
    return b"null"


verifier = TokenVerifier(
    issuer="https://as.example",
    audience="https://api.example",
    keys=KeySet.from_jwks(json.loads(Path("jwks.json").read_text())),
)
interceptor = BoundTokenInterceptor(verifier, exempt={("POST", "/example.Api/Health")})

methods = {"WhoAmI": who_am_i, "Health": health}
handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}

credentials = grpc.ssl_server_credentials(
    [(Path("server.key").read_bytes(), Path("server.pem").read_bytes())],
    root_certificates=Path("ca.pem").read_bytes(),  # the CA of the clients' certificates
    require_client_auth=True,  # without this, grpcio asks for none
)

if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[interceptor])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("example.Api", handlers)])
    server.add_secure_port("127.0.0.1:8443", credentials)
    server.start()
    server.wait_for_termination()
