"""For your tests: certificates, tokens and thieves made with trustme, and applications called as if over mutual TLS.

Install ``tokenbind[testing]``. With pytest, the fixtures named ``tokenbind_*`` are there without any import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .clock import MovableClock
    from .in_process import asgi_with_peer, peer_environ, wsgi_with_peer
    from .kit import BindingKit, ClientCertificate
    from .monitor import RecordingMonitor
    from .server import MutualTLSServer

__all__ = [
    "BindingKit",
    "ClientCertificate",
    "MovableClock",
    "MutualTLSServer",
    "RecordingMonitor",
    "asgi_with_peer",
    "peer_environ",
    "wsgi_with_peer",
]

_MODULES = {
    "BindingKit": "kit",
    "ClientCertificate": "kit",
    "MovableClock": "clock",
    "MutualTLSServer": "server",
    "RecordingMonitor": "monitor",
    "asgi_with_peer": "in_process",
    "peer_environ": "in_process",
    "wsgi_with_peer": "in_process",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: pytest imports this package at every start, whether a test uses it or not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
