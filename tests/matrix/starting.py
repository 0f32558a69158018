"""Starts the real programs, from the files that users are shown, and stops them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
import os
from pathlib import Path
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from tempfile import TemporaryDirectory
from threading import Event, Lock
from time import clock_gettime, monotonic
from typing import Any

from connections import DEADLINE_SECONDS, REFUSALS, Connection, GRPCConnection
from credentials import Credentials
from rows import Row


__all__ = ["Running", "connection_class", "running", "until"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "servers"
PORT = "8443"
_STOP_SECONDS = 8


class Running:
    """A server that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed something that fits."""
        return until(lambda: re.search(pattern, self.log), f"the log says nothing like {pattern!r}")

    def cpu_seconds(self) -> float:
        """What all its processes have used so far, of the processor. None of them may end meanwhile."""
        # clock_getcpuclockid(3) is this computation; it counts threads that have ended, too.
        return sum(clock_gettime(~pid << 3 | 2) for pid in _group(self._process.pid))

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop all its processes for the time of the ``with`` block."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def check(self) -> None:
        """Raises if it has ended."""
        if _has_ended(self._process):
            raise RuntimeError(f"ended: {_has_ended(self._process)}")


@contextmanager
def running(row: Row, credentials: Credentials, *, guarded: bool = True, venv: Path | None = None) -> Iterator[Running]:
    """Run the program of *row* from a copy of its files, until the ``with`` block ends.

    Args:
        row: Which.
        credentials: What it is configured with.
        guarded: Without, nothing of tokenbind is in it; that is to be compared with.
        venv: The environment of Debian's Python, for a program that runs this.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tokenbind-matrix-")))
        folder.chmod(0o755)  # Apache is another user
        port = _free_port()
        for file in [*(EXAMPLES / row.folder).iterdir(), *EXAMPLES.glob("*_service.py")]:
            if file.is_file():
                shutil.copy(file, folder)
        for file in folder.iterdir():
            _edit(file, PORT, str(port))
        if row.change:
            found = {_edit(file, *row.change) for file in folder.iterdir()}
            if found != {0, 1}:
                raise ValueError(f"{row.change[0]!r} does not stand once in a file of {row.folder}")
        credentials.write_server_files(folder)
        if venv:
            (folder / "venv").symlink_to(venv)
        environ = {
            # uWSGI and others take options from variables, too: this environment has one for the compilation.
            **{name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "UVICORN_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin",
            "VIRTUAL_ENV": sys.prefix,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),  # gunicorn has a socket there, one for all
        }
        if not guarded:
            shutil.copy(Path(__file__).parent / "unguarded" / "sitecustomize.py", folder)
            environ["PYTHONPATH"] = str(folder)
        log = folder / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["./run.sh", *row.arguments, *(() if guarded else row.unguarded)],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stack.callback(_stop, process)
        server = Running(port, process, log)
        try:
            _wait_until_it_serves(server, row, credentials)
            yield server
            server.check()
        except Exception as error:
            error.add_note(f"the log of {row.name}:\n{server.log[-4000:]}")
            raise


def _edit(file: Path, old: str, new: str) -> int:
    text = file.read_text()
    if found := text.count(old):
        file.write_text(text.replace(old, new))
    return found


def connection_class(row: Row) -> type[Connection]:
    """Its clients' kind of connection."""
    return GRPCConnection if "grpc" in row.features else Connection


def _wait_until_it_serves(server: Running, row: Row, credentials: Credentials) -> None:
    connect = connection_class(row)
    context = credentials.context(credentials.owner, protocol=connect.protocol)

    def serves() -> bool:
        server.check()
        try:
            with connect(server.port, context) as connection:
                return connection.ask(None, "/health").status == 200
        except REFUSALS:
            return False

    until(serves, "it does not serve")


def until(condition: Callable[[], Any], otherwise: str, *, seconds: float = DEADLINE_SECONDS) -> Any:
    """Ask again and again, until it is true."""
    deadline = monotonic() + seconds
    while not (found := condition()):
        if monotonic() > deadline:
            raise TimeoutError(otherwise)
        Event().wait(0.005)
    return found


def _has_ended(process: subprocess.Popen[bytes]) -> os.waitid_result | None:
    """How it has ended. It is not waited for yet: until then, nobody else is given its number, which is the group's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started, which is the session that was made for it."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        until(lambda: _has_ended(process), "it does not end", seconds=_STOP_SECONDS)
    except TimeoutError:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(DEADLINE_SECONDS)


def _group(leader: int) -> list[int]:
    """The processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


_given: set[int] = set()
_lock = Lock()


def _free_port() -> int:
    """One that is free, below those that the system gives to clients, and not given before."""
    with _lock:
        while True:
            port = random.randrange(20_000, 32_000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in _given:
                _given.add(port)
                return port
