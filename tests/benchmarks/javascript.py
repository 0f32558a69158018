"""jose and fast-jwt, in a Node of their own beside this process, within the same rounds."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import shutil
import subprocess
from tempfile import TemporaryDirectory
from typing import Any

from measure import Timed
from verifying import CACHED_TOKENS
from workload import Workload


__all__ = ["NodeError", "node_cases"]

_SOURCE = Path(__file__).parent / "node"
_INSTALL = (
    *("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),  # npm's own would take minutes without a network
)
_INSTALL_SECONDS = 45


class NodeError(Exception):
    """There is no Node here that could be measured, and why."""


class _NodeCase:
    """A case that is run by the other process, which reads its own clock."""

    def __init__(self, node: subprocess.Popen[str], name: str) -> None:
        self._node = node
        self._name = name

    def run(self, calls: int) -> float:
        return float(_ask(self._node, {"case": self._name, "calls": calls})["seconds"])


@contextmanager
def node_cases(workloads: list[Workload]) -> Iterator[tuple[dict[str, Timed], str]]:
    """The cases, as long as the block lasts, and the versions of what they run.

    Raises:
        NodeError: if there is no Node, or npm cannot install, or what it has installed does not run.
    """
    programs = [shutil.which(name) for name in ("node", "npm")]
    if not all(programs):
        raise NodeError("node and npm are not installed")
    with TemporaryDirectory() as folder:
        _install(Path(folder), str(programs[1]))
        node = subprocess.Popen(
            [str(programs[0]), "verify.js"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with node:  # which closes its input, and so ends it
            try:
                names = _ask(node, [_as_json(workload) for workload in workloads])
                yield {name: _NodeCase(node, name) for name in names["cases"]}, _versions(Path(folder), names)
            finally:
                node.kill()


def _install(folder: Path, npm: str) -> None:
    for name in ("package.json", "verify.js"):
        shutil.copy(_SOURCE / name, folder)
    try:
        subprocess.run(
            [npm, *_INSTALL], cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NodeError(f"npm has not installed them within {_INSTALL_SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        raise NodeError(f"npm says: {error.stderr.strip().partition(chr(10))[0]}") from None


def _ask(node: subprocess.Popen[str], question: object) -> dict[str, Any]:
    assert node.stdin
    assert node.stdout
    try:
        node.stdin.write(json.dumps(question) + "\n")
        node.stdin.flush()
        answer = node.stdout.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise NodeError("the program in Node has ended; what it printed stands above")
    return dict(json.loads(answer))


def _as_json(workload: Workload) -> dict[str, Any]:
    return {
        "algorithm": workload.algorithm,
        "issuer": workload.kit.issuer.issuer,
        "audience": workload.kit.audience,
        "jwk": workload.kit.issuer.jwks()["keys"][0],
        "der": b64encode(workload.der).decode(),
        "tokens": [token.decode() for token in workload.tokens],
        "cached": CACHED_TOKENS,
    }


def _versions(folder: Path, answer: dict[str, Any]) -> str:
    installed = {
        name: json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        for name in ("jose", "fast-jwt")
    }
    return ", ".join(f"{name} {version}" for name, version in (answer["versions"] | installed).items())
