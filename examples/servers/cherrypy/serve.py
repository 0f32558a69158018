"""CherryPy, whose server is cheroot."""

import ssl

import cherrypy
from wsgi_service import api, verifier

from tokenbind.peer import TLSConnection
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


app = BoundTokenMiddleware(api, verifier, TLSConnection.cheroot(), exempt={("GET", "/health")})

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

cherrypy.config.update(
    {
        "server.socket_host": "127.0.0.1",
        "server.socket_port": 8443,
        "server.ssl_module": "builtin",
        "server.ssl_certificate": "server.pem",
        "server.ssl_private_key": "server.key",
        "server.ssl_context": context,
        "environment": "production",
    }
)
cherrypy.tree.graft(app, "/")

if __name__ == "__main__":
    cherrypy.engine.start()
    cherrypy.engine.block()
