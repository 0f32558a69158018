"""What both middlewares are made of: an application, and the guard before it."""

from __future__ import annotations

from typing import Generic, TypeVar, Unpack

from ..peer import PeerSource
from ..tokens import Verifier
from .guard import GuardOptions, ResourceServer


__all__ = ["Guarded"]

App = TypeVar("App")


class Guarded(Generic[App]):
    """An application behind a `ResourceServer`; the arguments after *app* are those of `ResourceServer`."""

    def __init__(
        self, app: App, verifier: Verifier, peer_source: PeerSource | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        self.app: App = app
        self.guard: ResourceServer = ResourceServer(verifier, peer_source, **options)
