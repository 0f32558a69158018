"""What both middlewares are made of: an application, and the guard before it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from ..monitoring import Monitor
from ..peer import PeerSource
from ..tokens import Verifier
from .guard import ResourceServer


__all__ = ["Guarded"]

App = TypeVar("App")


class Guarded(Generic[App]):
    """An application behind a `ResourceServer`; the arguments after *app* are those of `ResourceServer`."""

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        peer_source: PeerSource | None = None,
        *,
        realm: str = "api",
        required_scopes: Collection[str] = (),
        exempt: Collection[tuple[str, str]] = (),
        mount: str = "",
        monitor: Monitor | None = None,
    ) -> None:
        self.app: App = app
        self.guard: ResourceServer = ResourceServer(
            verifier,
            peer_source,
            realm=realm,
            required_scopes=required_scopes,
            exempt=exempt,
            mount=mount,
            monitor=monitor,
        )
