"""Python runs this first: it takes tokenbind out of the examples, to measure what it costs to have it in there."""

from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace

import tokenbind.resource_server.asgi
import tokenbind.resource_server.wsgi
import tokenbind.servers


_TOKEN = SimpleNamespace(client_id="owner", thumbprint="A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0")


def _asgi(app, *_arguments, **_options):
    async def unguarded(scope, receive, send):
        scope["tokenbind.token"] = _TOKEN
        await app(scope, receive, send)

    return unguarded


def _wsgi(app, *_arguments, **_options):
    def unguarded(environ, start_response):
        environ["tokenbind.token"] = _TOKEN
        return app(environ, start_response)

    return unguarded


tokenbind.resource_server.asgi.BoundTokenMiddleware = _asgi
tokenbind.resource_server.wsgi.BoundTokenMiddleware = _wsgi
for module in iter_modules(tokenbind.servers.__path__):
    try:
        import_module(f"tokenbind.servers.{module.name}").install = lambda: None
    except ImportError:
        pass
