"""The standard library's WSGI server tells an application nothing of the TLS connection; this handler does.

::

    server = make_server("127.0.0.1", 8443, app, handler_class=WSGIRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
"""

from __future__ import annotations

from typing import Any
from wsgiref import simple_server


__all__ = ["WSGIRequestHandler"]


class WSGIRequestHandler(simple_server.WSGIRequestHandler):
    """Puts the connection's TLS socket into the environ, for `TLSConnection`; ``wsgi.url_scheme`` becomes ``https``."""

    def get_environ(self) -> dict[str, Any]:
        """The environ of the request."""
        environ: dict[str, Any] = super().get_environ()
        if hasattr(self.connection, "getpeercert"):
            environ |= {"tokenbind.socket": self.connection, "HTTPS": "on"}
        return environ
