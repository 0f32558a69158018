"""A lock that a fork cannot leave locked."""

from __future__ import annotations

import os
from threading import Lock


__all__ = ["ProcessLock"]


class ProcessLock:
    """One lock for each process: a child does not wait for a thread that held it at the fork, and is not there."""

    def __init__(self) -> None:
        self._locks: dict[int, Lock] = {}

    def mine(self) -> Lock:
        """That of this process."""
        return self._locks.setdefault(os.getpid(), Lock())
