"""A clock that stands still until it is moved."""

from __future__ import annotations

from time import time


__all__ = ["MovableClock"]


class MovableClock:
    """Seconds since the epoch, for every ``clock=`` in tokenbind. Starts now, in whole seconds, and stands still.

    TLS does not ask it: certificates on real connections are judged by the real time.
    """

    def __init__(self) -> None:
        self._now = float(int(time()))

    def __call__(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        """Go forward by *seconds*, or back."""
        self._now += seconds
