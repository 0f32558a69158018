"""asgiref's bridge from ASGI to WSGI drops what the server said of the connection; this one hands it on.

a2wsgi's bridges, and uvicorn's ``--interface wsgi``, which is a2wsgi's, need nothing.
"""

from __future__ import annotations

from typing import Any

from asgiref import wsgi


__all__ = ["WsgiToAsgi"]


class WsgiToAsgi(wsgi.WsgiToAsgi):
    """asgiref's, with the same arguments; the environ has the scope under ``asgi.scope``, for `TLSConnection`."""

    def __init__(self, wsgi_application: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(wsgi_application, *args, **kwargs)  # type: ignore[no-untyped-call]
        self._arguments = args, kwargs

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request; asgiref's bridge is made for it, around an application that knows the scope."""
        args, kwargs = self._arguments

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            environ["asgi.scope"] = scope
            return self.wsgi_application(environ, start_response)

        bridge = wsgi.WsgiToAsgi(application, *args, **kwargs)  # type: ignore[no-untyped-call]
        await bridge(scope, receive, send)
