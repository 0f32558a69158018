"""Every client in turn, and the API that it calls."""

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from tokenbind.testing import MovableClock

from .serving import Api, Grant, Source


def _kinds():
    for library in ("requests", "httpx", "aiohttp"):
        if Path(__file__).with_name(f"calling_{library}.py").exists():
            yield from import_module(f".calling_{library}", __package__).CALLERS


KINDS = list(_kinds())


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def caller_kind(request):
    """How to open a client: of each library in turn."""
    return request.param


@pytest.fixture(scope="session")
def running_api():
    api = Api()
    with api.server:
        yield api


@pytest.fixture
def api(running_api):
    """A protected API over mutual TLS that has seen nothing yet."""
    running_api.begin()
    return running_api


@pytest.fixture
def grant(api):
    """A grant that counts."""
    return Grant(api.kit)


@pytest.fixture
def client(api):
    """The rightful client of the API."""
    return api.kit.client("client")


@pytest.fixture
def renewed(api, client):
    """The same client with its next certificate."""
    return api.kit.renewed(client)


@pytest.fixture
def source(client):
    """Its identity, which can be renewed."""
    return Source(client)


@pytest.fixture
def open_client(caller_kind, api, source, grant):
    """Opens a client, of *source* with *grant* for *api* if nothing else is said; closes it at the end."""
    with ExitStack() as stack:

        def open_client(identity=source, tokens=grant, origin=api.url, ca=api.kit.ca_pem, **options):
            caller = caller_kind(identity, tokens, origin=origin, ca=ca, **options)
            stack.callback(caller.close)
            return caller

        yield open_client


@pytest.fixture
def clock(monkeypatch):
    """The clock by which tokens are kept, and pauses made."""
    clock = MovableClock()
    monkeypatch.setattr("tokenbind.client.token_cache.elapsed", clock)
    return clock
