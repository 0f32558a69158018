"""Executes what README.md and docs/ show, each document in a namespace and an empty folder of its own.

* A ``python`` block is run, and so are the tests that it defines, with their fixtures. If its first line is the name of
  a file (``# service.py``), it becomes that file instead.
* A ``console`` block is a session: after ``$`` stands a command, below it what it prints, with ``...`` for what differs
  each time. A server, ``python serve.py`` included, runs until the document ends, on a free port instead of 8443; a
  block without ``$`` is what it prints next. ``pip install`` is not run.
* ``<!--- invisible-code-block: python`` is what a page takes for granted, and what it checks.
"""
# ruff: noqa: S101, S603, SIM300 - these are tests

from contextlib import ExitStack, chdir
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from inspect import signature
import os
from pathlib import Path
from queue import Empty, Queue
import re
import subprocess
import sys
from tempfile import TemporaryDirectory
from threading import Thread
import warnings

from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser

from tokenbind import TokenIssuer
from tokenbind.testing import BindingKit, MutualTLSServer


ROOT = Path(__file__).parent
PORT = "8443"
SERVES = re.compile(r"(\w+=\S+ )*(uvicorn|hypercorn|gunicorn|python serve\.py)\b").match
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
ENVIRON = {**os.environ, "PATH": PATH, "PYTHONUNBUFFERED": "1"}  # as on a terminal

sys.path.insert(0, str(ROOT / "examples"))  # for their own tests, and for the documents

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette's test client would rather have httpx2 than httpx
    import starlette.testclient  # noqa: F401


class Server:
    """A server that a document has started; what it prints is read line by line."""

    def __init__(self, command):
        if "serve.py" in command:
            Path("serve.py").write_text(Path("serve.py").read_text().replace(PORT, "0"))
        command = ["sh", "-c", "exec env " + re.sub(f"(--port |:){PORT}", r"\g<1>0", command)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRON
        )
        self._lines = Queue()
        self._reader = Thread(target=self._read)
        self._reader.start()
        self.port = PORT

    def expect(self, lines):
        """Wait until it has printed *lines*, in this order, whatever it prints between them."""
        for line in lines.splitlines():
            wanted = re.compile(re.escape(line).replace(r"\.\.\.", ".*").replace(PORT, r"(?P<port>\d+)"))
            printed = []
            while not (found := wanted.search(printed[-1] if printed else "")):
                printed.append(self._next_line())
                assert printed[-1], f"the server has not printed {line!r}, but {printed}"
            self.port = found.groupdict().get("port") or self.port

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        self._reader.join()
        self._process.stdout.close()

    def _next_line(self):
        try:
            return self._lines.get(timeout=20)
        except Empty:
            return ""

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def run_python(example):
    namespace = example.namespace
    request = namespace.pop("request")  # Sybil puts pytest's there, over one that the document may have
    namespace |= namespace.get("_request", {})
    if file := re.match(r"# ([\w.]+\.py)\n", example.parsed):
        Path(file[1]).write_text(_with_port(example.parsed, namespace))
        return
    PythonEvaluator()(example)
    for name in [name for name in namespace if name.startswith("test_")]:
        test = namespace.pop(name)
        test(**{fixture: request.getfixturevalue(fixture) for fixture in signature(test).parameters})
    namespace["_request"] = {name: namespace[name] for name in namespace if name == "request"}


def run_console(example):
    servers = example.namespace["_servers"]
    continued, *commands = re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)
    if continued:
        servers[-1].expect(continued)
    for text in commands:
        command, _, expected = text.replace("\\\n", " ").partition("\n")
        if "pip install" in command:
            continue
        if SERVES(command):
            servers.append(Server(command))
            servers[-1].expect(expected)
        else:
            command = ["sh", "-c", _with_port(command, example.namespace)]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRON, check=False
            )
            expected = _with_port(expected, example.namespace)
            as_shown = OutputChecker().check_output(expected, done.stdout, ELLIPSIS | NORMALIZE_WHITESPACE)
            assert (0, True) == (done.returncode, as_shown), f"{text}\nprinted:\n{done.stdout}"


def _with_port(text, namespace):
    servers = namespace["_servers"]
    return text.replace(PORT, servers[-1].port) if servers else text


def open_document(namespace):
    stack = namespace["_stack"] = ExitStack()
    stack.enter_context(chdir(stack.enter_context(TemporaryDirectory())))
    namespace["__name__"] = "__main__"
    servers = namespace["_servers"] = []
    stack.callback(lambda: [server.close() for server in servers])


def close_document(namespace):
    namespace["_stack"].close()


def open_readme(namespace):
    """What README.md takes for granted: an authorization server, an API that runs, and a client with its files."""
    from token_endpoint import create_app

    open_document(namespace)
    stack, kit = namespace["_stack"], BindingKit()
    client = kit.client("client")
    client.write(".")
    Path("ca.pem").write_bytes(kit.ca_pem)
    clients = {"billing": {"x5t#S256": client.thumbprint, "scope": "invoices:read"}}
    issuing = []

    async def authorization_server(scope, receive, send):
        await issuing[0](scope, receive, send)

    async def my_api(_scope, _receive, send):
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'["invoice 1"]'})

    async def app_of_the_readme(scope, receive, send):
        await namespace["app"](scope, receive, send)

    server = stack.enter_context(MutualTLSServer(authorization_server, kit))
    issuing.append(create_app(TokenIssuer(server.url, kit.key), kit.audience, clients))
    api = stack.enter_context(MutualTLSServer(app_of_the_readme, kit))
    namespace |= {"issuer": server.url, "app": my_api, "my_api": my_api, "api": api.url}


def close_readme(namespace):
    close_document(namespace)
    assert ["invoice 1"] == namespace["invoices"]


parsers = [CodeBlockParser("python", run_python), CodeBlockParser("console", run_console)]
fixtures = ["request"]
pytest_collect_file = (
    Sybil(
        parsers, patterns=["docs/*.md", "docs/*/*.md"], setup=open_document, teardown=close_document, fixtures=fixtures
    )
    + Sybil(
        parsers, pattern="README.md", exclude="*/README.md", setup=open_readme, teardown=close_readme, fixtures=fixtures
    )
).pytest()
