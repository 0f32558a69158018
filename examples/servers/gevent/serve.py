"""gevent's own WSGI server."""

from gevent import monkey


monkey.patch_all()

import ssl  # noqa: E402

from gevent.pywsgi import WSGIServer  # noqa: E402
from wsgi_service import app  # noqa: E402

from tokenbind.servers.gevent import WSGIHandler  # noqa: E402


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")  # the CA of the clients' certificates
context.load_cert_chain("server.pem", "server.key")
context.verify_mode = ssl.CERT_OPTIONAL  # ask for a certificate; CERT_REQUIRED lets nobody in without one

if __name__ == "__main__":
    WSGIServer(("127.0.0.1", 8443), app, handler_class=WSGIHandler, ssl_context=context).serve_forever()
