"""An authorization server over real mutual TLS, and servers that are none."""

import pytest

from ..transport.conftest import context, listening, proxying, saying, tls_listening  # noqa: F401 - fixtures
from .authorization_server import AuthorizationServer
from .opening import api, caller_kind, client, clock, grant, open_client, renewed, running_api, source  # noqa: F401 - fixtures


@pytest.fixture
def authorization_server(tokenbind_kit, tokenbind_server, tokenbind_client):
    """At which ``tokenbind_client`` is registered as "billing", by its certificate."""
    server = AuthorizationServer(tokenbind_kit)
    server.clients["billing"] = {"method": "tls_client_auth", "certificate": tokenbind_client.thumbprint}
    server.start(tokenbind_server)
    return server


@pytest.fixture
def grant_of(authorization_server, tokenbind_kit):
    """Call it with the class of a grant and its arguments; the rest is right for ``authorization_server``."""

    def make(kind, **options):
        defaults = {"client_id": "billing", "ca": tokenbind_kit.ca_pem, "timeout_seconds": 20}
        return kind(authorization_server.url, **(defaults | options))

    return make
