"""gevent's own WSGI server tells an application nothing of the TLS connection; this handler does.

::

    WSGIServer(("127.0.0.1", 8443), app, handler_class=WSGIHandler, ssl_context=context).serve_forever()
"""

from __future__ import annotations

from typing import Any

from gevent import pywsgi  # type: ignore[import-untyped]


__all__ = ["WSGIHandler"]


class WSGIHandler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """Puts the connection's socket into the environ, for `TLSConnection`."""

    def get_environ(self) -> dict[str, Any]:
        """The environ of the request."""
        return {**super().get_environ(), "tokenbind.socket": self.socket}
