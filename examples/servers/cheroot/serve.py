"""cheroot, with its built-in SSL adapter: the other one keeps the certificate to itself."""

import ssl

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from wsgi_service import api, verifier

from tokenbind.peer import TLSConnection
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


app = BoundTokenMiddleware(api, verifier, TLSConnection.cheroot(), exempt={("GET", "/health")})

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

server = Server(("127.0.0.1", 8443), app)
server.ssl_adapter = BuiltinSSLAdapter("server.pem", "server.key")
server.ssl_adapter.context = context

if __name__ == "__main__":
    server.start()
