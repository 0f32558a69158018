"""The memory that a cached token takes, as `tracemalloc` counts it: the entry, its key, and its part of the dict."""

from __future__ import annotations

import gc
import tracemalloc

from measure import Samples
from verifying import CACHE_KINDS
from workload import Workload


__all__ = ["memory_samples"]

_TOKENS = 1000


def memory_samples(workload: Workload) -> Samples:
    """Bytes for each token, next to the bytes of the token itself."""
    tokens = workload.tokens[:_TOKENS]
    samples: Samples = {"token": [sum(map(len, tokens)) / len(tokens)]}
    for kind, options in CACHE_KINDS.items():
        # So large that none of them is forgotten while they are counted.
        verifier = workload.verifier(cache_size=4 * _TOKENS, **options)
        verifier.verify(workload.tokens[-1], workload.peer)  # what is remembered once is not counted
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for token in tokens:
                verifier.verify(bytes(bytearray(token)), workload.peer)  # a new object, as if just received
            gc.collect()
            samples[f"cached token{kind}"] = [(tracemalloc.get_traced_memory()[0] - before) / len(tokens)]
        finally:
            tracemalloc.stop()
    return samples
