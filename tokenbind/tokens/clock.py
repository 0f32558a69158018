"""Seconds that count on while the machine is suspended, where it has such a clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import time


__all__ = ["elapsed"]

#: Seconds since an arbitrary beginning; never set back.
elapsed: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
