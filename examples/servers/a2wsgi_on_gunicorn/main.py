"""An ASGI application on a WSGI server. a2wsgi hands on what gunicorn says, so the guard is the application's own."""

from a2wsgi import ASGIMiddleware
from asgi_service import app as asgi_app


app = ASGIMiddleware(asgi_app)
