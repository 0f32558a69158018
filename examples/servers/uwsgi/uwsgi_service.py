"""The API of wsgi_service.py for uWSGI, which gives the certificate as text."""

from wsgi_service import api, verifier

from tokenbind.peer import TLSConnection
from tokenbind.resource_server.wsgi import BoundTokenMiddleware


app = BoundTokenMiddleware(api, verifier, TLSConnection.uwsgi(), exempt={("GET", "/health")})
