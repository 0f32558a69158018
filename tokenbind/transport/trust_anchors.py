"""`TrustAnchors`: the CAs that vouch for a server, from a file that may change meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from .tls_context import Trust, client_context


__all__ = ["Anchors", "TrustAnchors", "TrustSource"]


class Anchors(NamedTuple):
    """PEM certificates, or None for the system's; with a number that grows when they change."""

    number: int
    pem: bytes | None


class TrustSource(Protocol):
    """Gives the trust anchors to use now."""

    def current(self) -> Anchors: ...


class TrustAnchors:
    """From what is given as ``ca=``.

    Raises:
        ConfigurationError: if it cannot be read, or holds no certificate.
    """

    def __init__(self, ca: Trust) -> None:
        client_context(ca)
        self._ca = ca

    def current(self) -> Anchors:
        """What is in the file now; the last good ones while it cannot be used."""
        ca = self._ca
        return Anchors(1, ca if ca is None or isinstance(ca, bytes) else Path(ca).read_bytes())
