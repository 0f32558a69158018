"""The rooms of tokenbind, and who may import whom: read from the imports themselves.

::

    cli -> testing -> gateway, servers -> the three roles -> tokens, peer -> revocation -> transport -> monitoring
        -> binding -> errors

An arrow means "may import any room further right". Rooms that share a place never import each other.
"""

import ast
from importlib.util import resolve_name
import os
from pathlib import Path
import subprocess
import sys

import pytest

import tokenbind


PACKAGE = Path(tokenbind.__file__).parent
LINE = (
    {"__main__"},
    {"cli"},
    {"testing"},
    {"gateway", "servers"},
    {"resource_server", "authorization_server", "client"},
    {"tokenbind"},  # the front door: no adapter is imported by it
    {"tokens", "peer"},
    {"revocation"},
    {"transport"},
    {"monitoring"},
    {"binding"},
    {"errors"},
)
PLACES = {room: place for place, rooms in enumerate(LINE) for room in rooms}
# What the library depends on, and the rooms that may use it; all else is for the module that is named after it.
DEPENDENCIES = {
    "cryptography": {"tokens", "transport", "authorization_server"},
    "jwt": {"tokens"},
    "urllib3": {"transport", "client"},
}
FREE_ROOMS = {"testing", "cli"}
NO_IO = {
    "asyncio",
    "http",
    "io",
    "logging",
    "os",
    "pathlib",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib",
}


def sources():
    """Every module of the package: its dotted name and its text."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts), path.read_text()


def imports(module, source):
    """What *module* imports: dotted names, and whether only when a function is called or a type is checked."""
    package = module.rpartition(".")[0]

    def visit(node, lazy):
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            yield from ((f"{origin}.{alias.name}", lazy) for alias in node.names)
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy or typing or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))

    return visit(ast.parse(source), False)


def room_of(dotted):
    """The room that a dotted name of tokenbind is in; names of the front door itself are in "tokenbind"."""
    name = [*dotted.split("."), ""][1]
    return name if name in PLACES else "tokenbind"


def violations(module, source):
    """Every import of *module* that the line does not allow, in words."""
    room, own_name = room_of(module), module.rpartition(".")[2]
    for dotted, lazy in imports(module, source):
        top = dotted.partition(".")[0]
        if top == "tokenbind":
            other = room_of(dotted)
            if other != room and PLACES[other] <= PLACES[room]:
                yield f"{module} imports {dotted}, which is not further right"
        elif top in sys.stdlib_module_names:
            if room == "binding" and top in NO_IO:
                yield f"{module} imports {top}: the core does no I/O"
        elif room == "binding":
            if not (own_name == "peer_certificate" and dotted.startswith("cryptography.x509") and lazy):
                yield f"{module} imports {dotted}: the core is the standard library's"
        elif own_name != top and room not in DEPENDENCIES.get(top, set()) | FREE_ROOMS:
            yield f"{module} imports {dotted}, which only the module {top} may"


def test_the_rooms_are_those_of_the_design():
    """Each module is in a room that has a place in the line; a new room needs its reason, and its place here."""
    rooms = {module.split(".")[1] for module, _ in sources()} - {"__init__"}

    assert set() == rooms - set(PLACES)
    assert {"binding", "tokens", "peer", "errors"} <= rooms


@pytest.mark.parametrize(("module", "source"), [pytest.param(*item, id=item[0]) for item in sources()])
def test_every_import_follows_the_arrows(module, source):
    """No import points back, sideways, or to a library that is not this module's to use."""
    assert [] == list(violations(module, source))


@pytest.mark.parametrize(("module", "source"), [pytest.param(*item, id=item[0]) for item in sources()])
def test_no_file_is_long(module, source):
    """What is over 300 lines is two things."""
    assert len(source.splitlines()) <= 300


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tokenbind.tokens.keys", "from ..resource_server import guard"),
        ("tokenbind.tokens.keys", "from tokenbind.resource_server import guard"),
        ("tokenbind.tokens.keys", "import tokenbind.resource_server.guard"),
        ("tokenbind.tokens.keys", "from .. import resource_server"),
        ("tokenbind.tokens.keys", "from .. import SigningKey"),
        ("tokenbind.tokens.keys", "def lazily():\n    from ..peer import TLSConnection"),
        ("tokenbind.peer.source", "from ..tokens import BoundToken"),
        ("tokenbind.client.origin", "from ..resource_server import Refusal"),
        ("tokenbind.client.origin", "if TYPE_CHECKING:\n    from ..servers import uvicorn"),
        ("tokenbind.transport.fetch", "from ..revocation import Revocation"),
        ("tokenbind.monitoring.__init__", "from ..binding.nothing import x; from ..transport import fetch"),
        ("tokenbind.errors", "from .binding import thumbprint"),
        ("tokenbind.__init__", "from .resource_server import ResourceServer"),
        ("tokenbind.resource_server.guard", "import starlette.requests"),
        ("tokenbind.resource_server.guard", "from requests import Session"),
        ("tokenbind.resource_server.guard", "import jwt"),
        ("tokenbind.client.requests", "import httpx"),
        ("tokenbind.tokens.keys", "import trustme"),
        ("tokenbind.binding.thumbprint", "from cryptography import x509"),
        ("tokenbind.binding.peer_certificate", "from cryptography.x509 import Certificate"),
        ("tokenbind.binding.pem", "def lazily():\n    from cryptography.x509 import Certificate"),
        ("tokenbind.binding.pem", "import ssl"),
        ("tokenbind.binding.pem", "from os import path"),
    ],
)
def test_a_wrong_arrow_is_seen(module, source):
    """The check sees what it is there for, in each way in which an import can be written."""
    assert 1 == len(list(violations(module, source)))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tokenbind.tokens.keys", "from ..errors import Reason; from .compact import Header; import json, jwt"),
        ("tokenbind.cli.demo", "from ..testing import BindingKit; from tokenbind import KeySet; import rich"),
        ("tokenbind.client.requests", "import requests.adapters; from ..transport import Identity"),
        ("tokenbind.binding.peer_certificate", "def x509():\n    from cryptography import x509"),
        ("tokenbind.binding.peer_certificate", "if TYPE_CHECKING:\n    from cryptography.x509 import Certificate"),
    ],
)
def test_a_right_arrow_is_let_pass(module, source):
    """The check does not cry wolf."""
    assert [] == list(violations(module, source))


def test_the_front_door_imports_little():
    """``import tokenbind`` brings neither a JOSE nor an X.509 nor a TLS library, no event loop, no adapter."""
    heavy = {"asyncio", "cryptography", "jwt", "logging", "requests", "ssl", "trustme", "urllib3", "uvicorn"}
    code = "import sys; before = set(sys.modules); import tokenbind; print(*sorted(set(sys.modules) - before))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, env=environment, timeout=60
    ).stdout.split()

    assert "tokenbind.tokens.verifier" in loaded
    assert set() == heavy & {name.partition(".")[0] for name in loaded}
