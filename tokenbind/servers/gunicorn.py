"""gunicorn's own ASGI worker tells an application nothing of the TLS connection; this does.

On the command line, or in ``gunicorn.conf.py`` as ``worker_class``, in place of ``asgi``::

    gunicorn app:app -k tokenbind.servers.gunicorn.ASGIWorker \\
        --keyfile server.key --certfile server.pem --ca-certs ca.pem --cert-reqs 2

or with `install`, called where the application is made, or in ``gunicorn.conf.py``, for ``-k asgi``.

The worker class also refuses to start where gunicorn's own would serve plain HTTP: if the TLS files cannot be used.

Either puts into every scope, ``http`` and ``websocket``, over HTTP/1.1 and HTTP/2, what `tokenbind.servers.uvicorn`
does. For ``uvicorn-worker`` call `tokenbind.servers.uvicorn.install` in the same places. The workers ``sync``,
``gthread`` and ``gevent`` need nothing: they give WSGI applications their socket.

A server certificate that is rewritten while gunicorn runs: see `ssl_context`.

It needs two things of gunicorn, and fails loudly without them: that `connection_made` gets the transport, and that
every request goes to the protocol's ``app``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
import ssl
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .telling import Connection, announce, hook_missing, of_transport, teach
from .tls_context import ReloadingSSLContext


if TYPE_CHECKING:
    ASGIWorker: Any

__all__ = ["ASGIWorker", "install", "ssl_context"]

_WORKER_BOOT_ERROR = 3  # with which a worker ends gunicorn, instead of being started again
_contexts: dict[tuple[str | None, ...], ReloadingSSLContext] = {}


def install() -> None:
    """Teach gunicorn's ASGI worker to say what it knows of its connections.

    For this process, and for the workers that it becomes. Calling it again changes nothing.

    Raises:
        ConfigurationError: if gunicorn is missing, has no such worker, or has not the hooks that are needed.
    """
    _install("install")


def ssl_context(conf: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ReloadingSSLContext:
    """gunicorn's hook of this name: import it in ``gunicorn.conf.py``. It gives gunicorn's context, which is made anew
    when a file of ``certfile``, ``keyfile`` or ``ca_certs`` has changed.

    Some workers ask for each connection. They are given the same one, and so can resume sessions, too.
    """
    files = conf.certfile, conf.keyfile, conf.ca_certs
    if files not in _contexts:
        _contexts[files] = ReloadingSSLContext(default_ssl_context_factory, *files)
    return _contexts[files]


def __getattr__(name: str) -> Any:
    """Make the worker class when it is asked for, so that reading this needs no gunicorn."""
    if name != "ASGIWorker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    worker = _import("gunicorn.workers.gasgi", "ASGIWorker")
    _install(name)  # in the process that becomes the workers
    own = {"__module__": __name__, "_get_ssl_context": _context_or_exit(getattr(worker, "_get_ssl_context", None))}
    globals()[name] = made = type(name, (worker,), own)
    return made


def _context_or_exit(get_ssl_context: Any) -> Callable[[Any], Any]:
    def get_context_or_exit(self: Any) -> Any:
        context = get_ssl_context(self)
        if context is None and self.cfg.is_ssl:
            # gunicorn has logged why; it would go on without TLS, on a port that it calls https.
            files = dict.fromkeys(filter(None, (self.cfg.certfile, self.cfg.keyfile, self.cfg.ca_certs)))
            self.log.error("tokenbind: not started, because it would be plain HTTP: check %s", ", ".join(files))
            raise SystemExit(_WORKER_BOOT_ERROR)
        return context

    return get_context_or_exit


def _install(shim: str) -> None:
    cls = _import("gunicorn.asgi.protocol", "ASGIProtocol")
    if not hasattr(cls, "connection_made"):
        raise hook_missing("gunicorn.asgi.protocol.ASGIProtocol.connection_made")
    cls.connection_made = teach(cls.connection_made, _connection_of)
    announce("gunicorn.error", f"{__name__}.{shim}")


def _import(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"there is no {module}.{name} here: install tokenbind[gunicorn]") from error


def _connection_of(_protocol: Any, transport: Any) -> Connection:
    return of_transport(transport)
