"""A WSGI application on an ASGI server. asgiref's own bridge drops what uvicorn says; this one hands it on."""

from wsgi_service import app as wsgi_app

from tokenbind.servers.asgiref import WsgiToAsgi


app = WsgiToAsgi(wsgi_app)
