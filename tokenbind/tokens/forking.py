"""What a process must not take over from the one it was forked from: locks that are held, threads, connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
import os
import weakref


__all__ = ["Forking"]

_alive: weakref.WeakSet[Forking] = weakref.WeakSet()


class Forking(ABC):
    """Calls `_be_born` in the child, after each fork; a subclass calls it in its constructor too."""

    def __init__(self) -> None:
        self._be_born()
        _alive.add(self)

    @abstractmethod
    def _be_born(self) -> None:
        """What a process begins with: no thread, nobody who waits, no lock that is held."""


def _after_fork() -> None:
    for one in list(_alive):
        one._be_born()


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_after_fork)
