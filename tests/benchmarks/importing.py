"""What `import tokenbind` costs a fresh process, over what bare Python costs, against `import jwt`."""

from __future__ import annotations

from mmap import PAGESIZE
import random
import subprocess
import sys

from measure import Samples


__all__ = ["import_samples"]

_STATEMENTS = ("pass", "import jwt", "import tokenbind")
# Not ru_maxrss: a child starts with its parent's. The second field of statm is what is resident now, in pages.
_PROGRAM = """{}
import time
cpu = time.process_time()
try:
    with open("/proc/self/statm") as file:
        pages = file.read().split()[1]
except OSError:
    pages = 0
print(cpu, pages)
"""


def import_samples(*, rounds: int) -> Samples:
    """Each statement in a process of its own, in random order, round by round; the first round only warms up."""
    samples: Samples = {f"{statement}, {what}": [] for statement in _STATEMENTS[1:] for what in ("CPU", "memory")}
    for number in range(rounds + 1):
        costs = {statement: _cost(statement) for statement in random.sample(_STATEMENTS, len(_STATEMENTS))}
        bare_cpu, bare_pages = costs["pass"]
        for statement in _STATEMENTS[1:] if number else ():
            cpu, pages = costs[statement]
            samples[f"{statement}, CPU"].append((cpu - bare_cpu) * 1e3)
            samples[f"{statement}, memory"].append((pages - bare_pages) * PAGESIZE / (1 << 20))
    return samples


def _cost(statement: str) -> tuple[float, int]:
    """CPU seconds and resident pages of a process that does only this."""
    output = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM.format(statement)], check=True, capture_output=True, text=True
    ).stdout.split()
    return float(output[0]), int(output[1])
