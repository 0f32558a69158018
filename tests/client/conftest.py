"""Every client in turn, and the API that it calls."""

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from .serving import Api, Grant, Source


def _kinds():
    for library in ("requests", "httpx", "aiohttp"):
        if Path(__file__).with_name(f"calling_{library}.py").exists():
            yield from import_module(f".calling_{library}", __package__).CALLERS


@pytest.fixture(params=_kinds(), ids=lambda kind: kind.name)
def kind(request):
    """How to open a client: of each library in turn."""
    return request.param


@pytest.fixture(scope="session")
def _api():
    api = Api()
    with api.server:
        yield api


@pytest.fixture
def api(_api):
    """A protected API over mutual TLS that has seen nothing yet."""
    _api.seen, _api.refused, _api.challenge = [], set(), Api.challenge
    _api.kit.monitor.events.clear()
    return _api


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
def open_client(kind, api, source, grant):
    """Opens a client, of *source* with *grant* for *api* if nothing else is said; closes it at the end."""
    with ExitStack() as stack:

        def open_client(identity=source, tokens=grant, origin=api.url, ca=api.kit.ca_pem, **options):
            caller = kind(identity, tokens, origin=origin, ca=ca, **options)
            stack.callback(caller.close)
            return caller

        yield open_client
