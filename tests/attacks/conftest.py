"""One kit for all attacks, and one server of each kind: a case makes what it needs of them, and moves nothing."""

from contextlib import closing

import pytest

from .cases import AttackKit
from .serving import Service


@pytest.fixture(scope="session")
def kit():
    return AttackKit()


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def service(request, kit):
    """The protected application over real mutual TLS."""
    with closing(Service(kit, request.param)) as service:
        yield service
