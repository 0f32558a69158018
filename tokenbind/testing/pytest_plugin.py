"""The fixtures ``tokenbind_*``, which pytest finds by itself. trustme is imported when one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from tokenbind import TokenIssuer, TokenVerifier

    from . import BindingKit, ClientCertificate, MovableClock, MutualTLSServer, RecordingMonitor


@pytest.fixture
def tokenbind_kit() -> BindingKit:
    """A `tokenbind.testing.BindingKit`, new for each test; the other fixtures are parts of it."""
    from . import BindingKit

    return BindingKit()


@pytest.fixture
def tokenbind_ca(tokenbind_kit: BindingKit) -> Any:
    """The `trustme.CA` of the clients."""
    return tokenbind_kit.ca


@pytest.fixture
def tokenbind_clock(tokenbind_kit: BindingKit) -> MovableClock:
    """The clock of issuer and verifier; ``.move(seconds)``."""
    return tokenbind_kit.clock


@pytest.fixture
def tokenbind_issuer(tokenbind_kit: BindingKit) -> TokenIssuer:
    """A `TokenIssuer`."""
    return tokenbind_kit.issuer


@pytest.fixture
def tokenbind_verifier(tokenbind_kit: BindingKit) -> TokenVerifier:
    """A `TokenVerifier` that trusts the issuer."""
    return tokenbind_kit.verifier


@pytest.fixture
def tokenbind_monitor(tokenbind_kit: BindingKit) -> RecordingMonitor:
    """What the verifier has seen: ``.events``, ``.last_reason``."""
    return tokenbind_kit.monitor


@pytest.fixture
def tokenbind_client(tokenbind_kit: BindingKit) -> ClientCertificate:
    """The rightful client."""
    return tokenbind_kit.client("client")


@pytest.fixture
def tokenbind_renewed_client(tokenbind_kit: BindingKit, tokenbind_client: ClientCertificate) -> ClientCertificate:
    """The same client with the same key and a new certificate; its old tokens are not for it."""
    return tokenbind_kit.renewed(tokenbind_client)


@pytest.fixture
def tokenbind_stranger(tokenbind_kit: BindingKit) -> ClientCertificate:
    """Somebody else with a certificate of the same CA: the thief."""
    return tokenbind_kit.client("stranger")


@pytest.fixture
def tokenbind_expired_client(tokenbind_kit: BindingKit) -> ClientCertificate:
    """The client with a certificate that ended yesterday."""
    return tokenbind_kit.expired("client")


@pytest.fixture
def tokenbind_token(tokenbind_kit: BindingKit, tokenbind_client: ClientCertificate) -> str:
    """A token that is bound to ``tokenbind_client``."""
    return tokenbind_kit.mint(tokenbind_client)


@pytest.fixture
def tokenbind_server(tokenbind_kit: BindingKit) -> Iterator[Callable[..., MutualTLSServer]]:
    """Call it with an app, and the options of `MutualTLSServer`, to serve it until the test ends."""
    from . import MutualTLSServer

    with ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(MutualTLSServer(app, tokenbind_kit, **options))
