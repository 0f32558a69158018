"""Python runs this first: it takes tokenbind out of the program beside it, to measure what it costs to have it in."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
import re
from types import SimpleNamespace
from typing import Any


_TOKEN = SimpleNamespace(client_id="owner", thumbprint="A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0")


def _asgi(app: Any, *_arguments: Any, **_options: Any) -> Any:
    async def unguarded(scope: Any, receive: Any, send: Any) -> None:
        scope["tokenbind.token"] = _TOKEN
        await app(scope, receive, send)

    return unguarded


def _wsgi(app: Any, *_arguments: Any, **_options: Any) -> Any:
    def unguarded(environ: Any, start_response: Any) -> Any:
        environ["tokenbind.token"] = _TOKEN
        return app(environ, start_response)

    return unguarded


def _nothing(*_arguments: Any, **_options: Any) -> None:
    pass


def _token(_request: Any) -> Any:
    return _TOKEN


def _interceptor(*_arguments: Any, **_options: Any) -> Any:
    import grpc

    class Unguarded(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            return continuation(handler_call_details)

    return Unguarded()


def _async_interceptor(*_arguments: Any, **_options: Any) -> Any:
    import grpc.aio

    class Unguarded(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            return await continuation(handler_call_details)

    return Unguarded()


_STAND_INS: dict[tuple[str, str], dict[str, Callable[..., Any]]] = {
    ("tokenbind.resource_server", "asgi"): {"BoundTokenMiddleware": _asgi},
    ("tokenbind.resource_server", "wsgi"): {"BoundTokenMiddleware": _wsgi},
    ("tokenbind.resource_server", "aiohttp"): {"install": _nothing, "bound_token": _token},
    ("tokenbind.resource_server", "grpc"): {
        "BoundTokenInterceptor": _interceptor,
        "AsyncBoundTokenInterceptor": _async_interceptor,
        "bound_token": _token,
    },
    ("tokenbind.servers", "uvicorn"): {"install": _nothing},
    ("tokenbind.servers", "hypercorn"): {"install": _nothing},
}

_program = "".join(file.read_text() for file in Path(__file__).parent.iterdir() if file.suffix in {".py", ".wsgi"})
for (package, name), stand_ins in _STAND_INS.items():
    if re.search(rf"^from {package}(\.| import ){name}\b", _program, re.MULTILINE):
        try:
            module = import_module(f"{package}.{name}")
        except ImportError:  # some processes of Apache run nothing of the program, and have not its environment
            continue
        for attribute, stand_in in stand_ins.items():
            setattr(module, attribute, stand_in)
