"""Pools of connections, one for each generation of credentials: a connection keeps the certificate of its handshake."""

from __future__ import annotations

from collections.abc import Callable
import ssl
from threading import Lock
from typing import Generic, TypeVar

from ..tokens.forking import Forking
from .credentials import Credentials


__all__ = ["Generations"]

Pool = TypeVar("Pool")


class _Entry(Generic[Pool]):
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.users = 0


class Generations(Forking, Generic[Pool]):
    """Opens a pool for each generation, and says when those of superseded ones are to be closed: once they are idle.

    A child process drops the pools of its parent as they are: to close them would end the parent's connections.

    Args:
        open: Makes a pool whose connections use the context.
    """

    def __init__(self, open: Callable[[ssl.SSLContext], Pool]) -> None:  # noqa: A002 - what it does
        self._open = open
        super().__init__()

    def _be_born(self) -> None:
        self._lock = Lock()
        self._entries: dict[tuple[int, int], _Entry[Pool]] = {}
        self._newest = (0, 0)

    def take(self, credentials: Credentials) -> Pool:
        """The pool of these credentials, to be given back after use."""
        with self._lock:
            entry = self._entries.get(credentials.generation)
            if entry is None:
                entry = self._entries[credentials.generation] = _Entry(self._open(credentials.context))
                self._newest = max(self._newest, credentials.generation)
            entry.users += 1
            return entry.pool

    def give_back(self, credentials: Credentials, pool: Pool) -> list[Pool]:
        """End a use of *pool*; returns the pools that nobody will use again, for the caller to close."""
        with self._lock:
            entry = self._entries.get(credentials.generation)
            if entry is not None and entry.pool is pool:  # or the use began before a fork
                entry.users -= 1
            if len(self._entries) == 1:
                return []
            idle = [number for number, e in self._entries.items() if not e.users and number < self._newest]
            return [self._entries.pop(number).pool for number in idle]

    def drop_all(self) -> list[Pool]:
        """Forget all pools, used or not; returns them, for the caller to close."""
        with self._lock:
            pools = [entry.pool for entry in self._entries.values()]
            self._entries.clear()
            return pools
