"""Werkzeug's server, which is for development."""

import ssl

from werkzeug.serving import run_simple
from wsgi_service import app


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

if __name__ == "__main__":
    run_simple("127.0.0.1", 8443, app, ssl_context=context, threaded=True)
