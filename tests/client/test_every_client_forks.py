"""Clients in a process that forks, as servers that fork workers do. An event loop does not outlive that anyway."""

from pathlib import Path
import subprocess
import sys

import pytest

from .opening import KINDS


ROOT = Path(__file__).parents[2]
THREADED = [kind for kind in KINDS if kind.name not in {"httpx-asyncio", "httpx-trio", "aiohttp"}]


@pytest.mark.parametrize("kind", THREADED, ids=lambda kind: kind.name)
def test_parent_and_child_go_on(api, kind, client, tmp_path):
    """The child has connections of its own, and those of the parent are not ended; whatever was locked meanwhile."""
    (tmp_path / "ca.pem").write_bytes(api.kit.ca_pem)
    tokens = [api.kit.mint(client) for _ in range(3)]
    command = [sys.executable, "-m", "tests.client.forking", kind.__module__, kind.name, api.url]
    subprocess.run([*command, *client.write(tmp_path), tmp_path / "ca.pem", *tokens], cwd=ROOT, check=True, timeout=60)

    first, *child, parent = api.seen
    assert ["/first", "/child", "/child", "/parent"] == [seen.path for seen in api.seen]
    assert first.connection == parent.connection != child[0].connection == child[1].connection
    assert {200} == {seen.status for seen in api.seen}
