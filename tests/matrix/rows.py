"""The rows of the matrix: which programs are run, from which files of examples/servers, and what each must be able to.

It imports nothing but the standard library, so that it can be read without the programs.
"""

from __future__ import annotations

from typing import NamedTuple


__all__ = ["COLUMNS", "ROWS", "Row"]

#: Of the table; a row knows its cells in all but ``version`` and ``CPU``.
COLUMNS = (
    *("server", "version", "variant", "certificate by", "HTTP", "websocket", "keep-alive", "resumes TLS"),
    *("no certificate", "CPU", "remark"),
)


class Row(NamedTuple):
    """A program in one of its ways of running.

    Attributes:
        server: What it is called, and the distributions whose versions count.
        variant: What tells it from the other rows of this server.
        folder: Its files, in examples/servers.
        certificate: How the certificate gets to the middleware.
        features: What it can; each is tested, and so is that it cannot the others:
            ``grpc``, ``h2``, ``ws``: gRPC, HTTP/2 and websockets;
            ``keep``: connections that stay open, many at a time;
            ``resume``: TLS sessions that are resumed, in TLS 1.2 and in 1.3;
            ``optional``: a client without a certificate gets as far as the middleware;
            ``fails``: it answers 500 now and then, with tokenbind or without; its overhead is not measured;
            ``says``: its log tells at start that the shim is in force.
        arguments: Further ones for its run.sh.
        unguarded: Further ones that undo what the shim needs, for the run without tokenbind.
        change: A text in its files and what it is replaced by, as its page says.
        remark: For the table.
    """

    server: str
    variant: str
    folder: str
    certificate: str
    features: frozenset[str]
    arguments: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()
    change: tuple[str, str] | None = None
    remark: str = ""

    @property
    def name(self) -> str:
        return f"{self.server}: {self.variant}"

    def cells(self, version: str = "", cpu: str = "") -> tuple[str, ...]:
        """One for each of `COLUMNS`."""
        has = self.features.__contains__
        return (
            self.server,
            version,
            self.variant,
            self.certificate,
            "gRPC" if has("grpc") else "1.1, 2" if has("h2") else "1.1",
            "yes" if has("ws") else "-",
            "yes" if has("keep") else "-",
            "1.2, 1.3" if has("resume") else "never",
            "401" if has("optional") else "refused by TLS",
            cpu,
            self.remark,
        )


def _row(server: str, variant: str, folder: str, certificate: str, features: str, **options: object) -> Row:
    return Row(server, variant, folder, certificate, frozenset(features.split()), **options)  # type: ignore[arg-type]


def _required(row: Row, old: str, new: str) -> Row:
    """The same with certificates required, as its page says how."""
    return row._replace(
        variant=f"{row.variant}, certificates required", features=row.features - {"optional"}, change=(old, new)
    )


_uvicorn = [
    _row(
        "uvicorn",
        f"{http}, {loop}, {websocket}",
        "uvicorn",
        f"`uvicorn.{cls}`, `uvicorn.{ws}`",
        "optional keep resume ws says",
        arguments=(
            *("--http", f"tokenbind.servers.uvicorn:{cls}", "--ws", f"tokenbind.servers.uvicorn:{ws}"),
            *("--loop", loop),
        ),
        unguarded=("--http", http, "--ws", websocket),
    )
    for http, loop, websocket, cls, ws in (
        ("h11", "asyncio", "websockets-sansio", "H11", "WebSocketsSansIO"),
        ("h11", "uvloop", "wsproto", "H11", "WSProto"),
        ("httptools", "asyncio", "wsproto", "HttpTools", "WSProto"),
        ("httptools", "uvloop", "websockets-sansio", "HttpTools", "WebSocketsSansIO"),
    )
]
_uvicorn_install = _row(
    "uvicorn", "as it chooses", "uvicorn_install", "`uvicorn.install`", "optional keep resume ws says"
)
_uvicorn_zttp = _uvicorn_install._replace(
    variant="zttp, HTTP/2", features=_uvicorn_install.features | {"h2"}, arguments=("--http", "zttp", "--http2")
)
_hypercorn = [
    _row(
        *("hypercorn", worker, "hypercorn", "`hypercorn.install`", "optional keep resume h2 ws says"),
        arguments=("--worker-class", worker),
    )
    for worker in ("asyncio", "uvloop", "trio")
]
_gunicorn_asgi = [
    _row(
        *("gunicorn", f"asgi, {loop}", "gunicorn_asgi", "`gunicorn.ASGIWorker`", "optional keep resume h2 ws says"),
        arguments=("--asgi-loop", loop),
        unguarded=("--worker-class", "asgi"),
    )
    for loop in ("asyncio", "uvloop")
]
_gunicorn_uvicorn = _row(
    *("gunicorn + uvicorn-worker", "as it chooses", "gunicorn_uvicorn", "`uvicorn.install`"),
    "optional keep resume ws says",
)

_gthread = _row(
    *("gunicorn", "gthread", "gunicorn_wsgi", "the server itself", "optional keep"),
    remark="a TLS context for each connection",
)
_gevent = _row(
    *("gunicorn", "gevent", "gunicorn_wsgi", "the server itself", "optional keep resume"),
    arguments=("--worker-class", "gevent"),
)
_gunicorn_wsgi = [
    _gthread,
    _gthread._replace(variant="gthread, `--preload`", arguments=("--preload",)),
    _row(
        *("gunicorn", "gthread, `ssl_context`", "gunicorn_reload", "the server itself", "optional keep resume"),
        remark="one TLS context, by our hook",
    ),
    _gevent,
    _gevent._replace(variant="gevent, `--preload`", arguments=(*_gevent.arguments, "--preload")),
    _gthread._replace(
        variant="sync", features=frozenset({"optional"}), arguments=("--worker-class", "sync", "--threads", "1")
    ),
]

_werkzeug = _row("Werkzeug", "threaded", "werkzeug", "the server itself", "optional resume")
_wsgiref = _row("wsgiref", "threaded", "wsgiref", "`wsgiref.WSGIRequestHandler`", "optional resume")
_gevent_pywsgi = _row("gevent", "pywsgi", "gevent", "`gevent.WSGIHandler`", "optional keep resume")
_cheroot = _row("cheroot", "built-in adapter", "cheroot", "`TLSConnection.cheroot()`", "optional keep resume")
_cherrypy = _row("CherryPy", "built-in adapter", "cherrypy", "`TLSConnection.cheroot()`", "optional keep resume")
_uwsgi = _row("uWSGI", "`https`", "uwsgi", "`TLSConnection.uwsgi()`", "optional keep resume")
_mod_wsgi = _row("mod_wsgi", "daemon mode", "apache", "`TLSConnection.mod_wsgi()`", "optional keep resume h2")

_aiohttp = _row(
    *("aiohttp", "`aiohttp.web`", "aiohttp", "`resource_server.aiohttp.install`", "optional keep resume ws")
)
_grpc = _row(
    *("grpcio", "threads", "grpc", "`resource_server.grpc.BoundTokenInterceptor`", "grpc h2 keep resume"),
    remark="asks for certificates only if it requires them",
)
_grpc_aio = _grpc._replace(
    variant="asyncio", folder="grpc_aio", certificate="`resource_server.grpc.AsyncBoundTokenInterceptor`"
)

_BRIDGED = "optional keep resume says"
_bridges = [
    _row("a2wsgi", "WSGI application on uvicorn", "a2wsgi_on_uvicorn", "as uvicorn's", _BRIDGED),
    _row("a2wsgi", "ASGI application on gunicorn, gthread", "a2wsgi_on_gunicorn", "as gunicorn's", "optional keep"),
    _row(
        *("asgiref", "WSGI application on uvicorn", "asgiref", "`asgiref.WsgiToAsgi`", f"{_BRIDGED} fails"),
        remark="answers 500 now and then, without tokenbind as well",
    ),
]

_SSL_CERT_REQS = ("--ssl-cert-reqs 1", "--ssl-cert-reqs 2")
_CERT_REQS = ("cert_reqs = 1", "cert_reqs = 2")
_VERIFY_MODE = ("context.verify_mode = ssl.CERT_OPTIONAL", "context.verify_mode = ssl.CERT_REQUIRED")

ROWS = (
    *_uvicorn,
    _uvicorn_install,
    _uvicorn_zttp,
    _required(_uvicorn[0], *_SSL_CERT_REQS),
    *_hypercorn,
    _required(_hypercorn[0], "--verify-mode CERT_OPTIONAL", "--verify-mode CERT_REQUIRED"),
    *_gunicorn_asgi,
    _required(_gunicorn_asgi[0], *_CERT_REQS),
    _gunicorn_uvicorn,
    _required(_gunicorn_uvicorn, *_CERT_REQS),
    *_gunicorn_wsgi,
    _required(_gthread, *_CERT_REQS),
    _werkzeug,
    _required(_werkzeug, *_VERIFY_MODE),
    _wsgiref,
    _required(_wsgiref, *_VERIFY_MODE),
    _gevent_pywsgi,
    _required(_gevent_pywsgi, *_VERIFY_MODE),
    _cheroot,
    _required(_cheroot, *_VERIFY_MODE),
    _cherrypy,
    _required(_cherrypy, *_VERIFY_MODE),
    _uwsgi,
    _required(_uwsgi, "HIGH,ca.pem", "HIGH,!ca.pem"),
    _mod_wsgi,
    _mod_wsgi._replace(variant="embedded mode", arguments=("-DEMBEDDED",)),
    _required(_mod_wsgi, "SSLVerifyClient optional", "SSLVerifyClient require"),
    _aiohttp,
    _required(_aiohttp, *_VERIFY_MODE),
    _grpc,
    _grpc_aio,
    *_bridges,
)
