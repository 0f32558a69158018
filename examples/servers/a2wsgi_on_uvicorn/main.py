"""A WSGI application on an ASGI server. a2wsgi hands on what uvicorn says, so the guard is the application's own."""

from a2wsgi import WSGIMiddleware
from wsgi_service import app as wsgi_app


app = WSGIMiddleware(wsgi_app)
