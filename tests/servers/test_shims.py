"""What the shims of hypercorn and gunicorn do without a server: hooks that are missing, and the line that they log."""

import logging
import sys
from types import ModuleType, SimpleNamespace

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.trio.tcp_server import TCPServer as TrioTCPServer
import pytest

from tokenbind import ConfigurationError
from tokenbind.servers import gunicorn, hypercorn, telling


HOOKS = [
    (hypercorn, TCPServer, "__init__"),
    (hypercorn, TrioTCPServer, "__init__"),
    (gunicorn, ASGIProtocol, "connection_made"),
]


@pytest.fixture(autouse=True)
def untaught(monkeypatch):
    """The classes of the servers are as they were when the test ends, and nothing has been announced."""
    for _, cls, method in HOOKS:
        monkeypatch.setattr(cls, method, getattr(cls, method))
    monkeypatch.setattr(telling, "_announced", set())


@pytest.fixture
def module(monkeypatch):
    """Put a module, or its absence, in the place of a server's."""

    def module(name, **attributes):
        made = ModuleType(name)
        vars(made).update(attributes)
        monkeypatch.setitem(sys.modules, name, made if attributes else None)

    return module


@pytest.mark.parametrize(("shim", "cls", "method"), HOOKS)
def test_install_twice_is_install_once(shim, cls, method):
    """The second time changes nothing."""
    before = getattr(cls, method)
    shim.install()
    once = getattr(cls, method)
    shim.install()
    assert before is not once is getattr(cls, method)


class Nothing:
    """A class without any hook."""


class Renamed:
    """hypercorn's class, with another name for the transport."""

    def __init__(self, app, connection): ...


@pytest.mark.parametrize(
    ("shim", "name", "attributes", "missing"),
    [
        (hypercorn, "hypercorn.asyncio.tcp_server", {}, "no hypercorn.asyncio.tcp_server, "),
        (hypercorn, "hypercorn.trio.tcp_server", {"x": 1}, r"hypercorn.trio.tcp_server.TCPServer\(app, stream\)"),
        (hypercorn, "hypercorn.asyncio.tcp_server", {"TCPServer": Nothing}, r"TCPServer\(app, writer\)"),
        (hypercorn, "hypercorn.asyncio.tcp_server", {"TCPServer": Renamed}, r"TCPServer\(app, writer\)"),
        (gunicorn, "gunicorn.asgi.protocol", {}, "no gunicorn.asgi.protocol.ASGIProtocol here"),
        (gunicorn, "gunicorn.asgi.protocol", {"x": 1}, "no gunicorn.asgi.protocol.ASGIProtocol here"),
        (gunicorn, "gunicorn.asgi.protocol", {"ASGIProtocol": Nothing}, "ASGIProtocol.connection_made"),
    ],
)
def test_install_without_the_hooks_fails(shim, name, attributes, missing, module):
    """A server that has lost what the shim needs is an error where `install` is called, and says what is missing."""
    module(name, **attributes)
    with pytest.raises(ConfigurationError, match=missing):
        shim.install()


def without(monkeypatch, package):
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_install_without_hypercorn_fails(monkeypatch):
    """And says what to install."""
    without(monkeypatch, "hypercorn")
    with pytest.raises(ConfigurationError, match=r"found no hypercorn; install tokenbind\[hypercorn\]"):
        hypercorn.install()


def test_install_without_trio_teaches_the_other_worker(monkeypatch):
    """trio is hypercorn's choice, not ours."""
    without(monkeypatch, "trio")
    without(monkeypatch, "hypercorn.trio")
    monkeypatch.delitem(sys.modules, "hypercorn.trio")
    before = TCPServer.__init__
    hypercorn.install()
    assert before is not TCPServer.__init__


def test_trio_client_that_has_gone():
    """A socket that is not connected any more has no peer; the connection is worth nothing, but no error of ours."""

    def gone():
        raise OSError("not connected")

    socket = SimpleNamespace(getpeername=gone, getsockname=gone)
    ssl_object, *addresses = hypercorn._of_stream(SimpleNamespace(stream=SimpleNamespace(socket=socket)))
    assert (None, [None, None]) == (ssl_object(), addresses)


def test_worker_class_is_gunicorns_own():
    """It is made once, extends gunicorn's, and says where it is from; other names do not exist."""
    vars(gunicorn).pop("ASGIWorker", None)
    assert gunicorn.ASGIWorker is gunicorn.ASGIWorker
    assert issubclass(gunicorn.ASGIWorker, gasgi.ASGIWorker)
    assert ("tokenbind.servers.gunicorn", "ASGIWorker") == (
        gunicorn.ASGIWorker.__module__,
        gunicorn.ASGIWorker.__name__,
    )
    assert hasattr(ASGIProtocol.connection_made, "_tokenbind")
    with pytest.raises(AttributeError, match="ASGIWorkers"):
        getattr(gunicorn, "ASGIWorkers")  # noqa: B009 - it is not there


@pytest.mark.parametrize("extensions", [None, {}, {"tls": "the server's own", "x": {}, "tokenbind": "not ours"}])
def test_what_an_application_is_told(extensions):
    """A ``tls`` of the server stays; what tokenbind goes by is ours, whatever stood there; all else stays."""
    scope = {"type": "http", "extensions": extensions}
    own = {"ssl_object": None, "socket_peer": "the peer", "socket_name": "our name"}
    app = telling.telling(lambda *arguments: arguments, lambda: None, "the peer", "our name")
    assert (scope, "receive", "send", "spawn", "soon") == app(scope, "receive", "send", "spawn", "soon")
    assert {**(extensions or {}), "tokenbind": own} == scope["extensions"]


def test_tls_object_is_asked_for_at_the_first_request():
    """Under trio, there is none before; and it is asked for once."""
    calls = []
    app = telling.telling(lambda scope, *_: scope, lambda: calls.append("asked"), None, None)
    assert [] == calls
    first, second = app({}, None, None), app({}, None, None)
    assert ["asked"] == calls
    assert first["extensions"] == second["extensions"]
    assert first["extensions"] is not second["extensions"]


@pytest.fixture
def log():
    """A server's own log, of which everything is kept."""
    log = logging.getLogger("tests.server.error")
    log.lines = []
    log.setLevel(logging.INFO)
    log.addFilter(lambda record: log.lines.append(record.getMessage()) or True)
    yield log
    log.filters = []


def test_the_line_is_said_once_with_the_next_line_of_the_server(log):
    """Whoever announces after, and whatever the log says then; other filters see each line once."""
    telling.announce(log.name, "a shim")
    telling.announce(log.name, "another")
    assert [] == log.lines
    log.info("started")
    log.info("running")
    told = "tokenbind: applications are told the certificate that each TLS connection has proven (a shim)"
    assert sorted([told, "started", "running"]) == sorted(log.lines)


def test_the_line_obeys_the_level_of_the_log(log):
    """An operator who wants warnings only gets warnings only."""
    log.setLevel(logging.WARNING)
    telling.announce(log.name, "a shim")
    log.info("running")
    log.warning("look out")
    assert ["look out"] == log.lines
