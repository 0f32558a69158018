"""The standard library's server, which is for development."""

from socketserver import ThreadingMixIn
import ssl
from wsgiref.simple_server import WSGIServer, make_server

from wsgi_service import app

from tokenbind.servers.wsgiref import WSGIRequestHandler


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, which does the handshake, too."""

    daemon_threads = True


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

if __name__ == "__main__":
    server = make_server("127.0.0.1", 8443, app, server_class=Server, handler_class=WSGIRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
