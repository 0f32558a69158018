"""Interleaved measurement, made for machines that are shared with others.

Every round runs every case once, in random order, so that whatever the machine is doing hits all of them alike. What
counts is the CPU time of this thread, which stands still while a neighbour runs. Ratios are taken within a round, and
the median of those is what is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import gc
from itertools import islice
import random
from time import thread_time
from typing import Any, NamedTuple, Protocol


__all__ = ["Case", "Samples", "Timed", "measure"]

#: Microseconds per call, one for each round.
Samples = dict[str, list[float]]

_BATCH = 200  # calls; fresh arguments for so many still lie in the processor's cache, as a token just received does


class Timed(Protocol):
    """What can be measured."""

    def run(self, calls: int) -> float:
        """The CPU seconds of so many calls."""
        ...


class Case(NamedTuple):
    """A function, and an endless supply of arguments, which are made outside of the timed part."""

    function: Callable[..., object]
    arguments: Iterator[tuple[Any, ...]]

    def run(self, calls: int) -> float:
        """The CPU seconds of so many calls."""
        function, spent = self.function, 0.0
        while calls > 0:
            batch = list(islice(self.arguments, min(calls, _BATCH)))
            calls -= len(batch)
            started = thread_time()
            for arguments in batch:
                function(*arguments)
            spent += thread_time() - started
        return spent


def measure(cases: Mapping[str, Timed], *, rounds: int, window_seconds: float) -> Samples:
    """Run each case for about *window_seconds* in each round."""
    calls = {name: _calls_in(window_seconds, case) for name, case in cases.items()}
    samples: Samples = {name: [] for name in cases}
    order = list(cases)
    gc.collect()
    gc.disable()  # a collection would be paid by whichever case happens to run
    try:
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                samples[name].append(cases[name].run(calls[name]) / calls[name] * 1e6)
            gc.collect()
    finally:
        gc.enable()
    return samples


def _calls_in(seconds: float, case: Timed) -> int:
    case.run(10)
    return max(10, int(seconds / (case.run(20) / 20)))
