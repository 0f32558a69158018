"""The API of wsgi_service.py for mod_wsgi, which gives the certificate as text."""

from wsgi_service import api, verifier

from tokenbind.peer import TLSConnection
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


application = BoundTokenMiddleware(api, verifier, TLSConnection.mod_wsgi(), exempt={("GET", "/health")})
