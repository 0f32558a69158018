"""What a call costs, in counts, which are the same on every machine and at every load.

Python functions, bytecode instructions, and calls of functions in C. What tests do themselves is not counted, nor what
`cryptography` does within: only that it is called.
"""

from collections import Counter
import gc
from pathlib import Path
import sys
from types import CoroutineType


TESTS = str(Path(__file__).parents[1])
CRYPTOGRAPHY = ("cryptography.", "asn1.")  # a module of its Rust part does not say its full name


class Cost:
    """The counts of one call, by function."""

    def __init__(self):
        self.frames, self.instructions, self.builtins = Counter(), Counter(), Counter()

    def of(self, *names):
        """How often functions in C of these names were called."""
        return sum(count for name, count in self.builtins.items() if name.rpartition(".")[2] in names)

    @property
    def hashes(self):
        return self.of("sha256", "openssl_sha256")

    @property
    def cryptography(self):
        """The calls into it, by name."""
        return [name.rpartition(".")[2] for name in self.builtins.elements() if name.startswith(CRYPTOGRAPHY)]

    def __str__(self):
        rows = [f"{self.frames.total()} functions, {self.instructions.total()} instructions:"]
        for name, count in self.instructions.most_common():
            rows.append(f"{count:6} instructions in {self.frames[name]} x {name}")
        return "\n".join([*rows, *(f"{count:6} x {name} in C" for name, count in self.builtins.most_common())])


def cost_of(function, *arguments):
    """What ``function(*arguments)`` costs when it is not the first time; a coroutine is run to its end."""
    for _ in range(3):  # caches are filled; and 3.12 misses instructions of code that was never traced
        cost = _measured(function, arguments)
    return cost


def _measured(function, arguments):
    cost, within, own = Cost(), [], _measured.__code__

    def trace(frame, event, arg):
        if within or frame.f_code.co_filename.startswith(TESTS):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        name = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"
        cost.frames[name] += 1

        def count(frame, event, arg):
            cost.instructions[name] += event == "opcode"
            return count

        return count

    def profile(frame, event, arg):
        if event == "c_call":
            name = _name(arg)
            if not within and frame.f_code is not own and not frame.f_code.co_filename.startswith(TESTS):
                cost.builtins[name] += 1
            if name.startswith(CRYPTOGRAPHY):
                within.append(name)
        elif within and event in ("c_return", "c_exception") and _name(arg) == within[-1]:
            within.pop()

    gc.collect()
    gc.disable()  # what is collected in between may have code of its own
    before = sys.gettrace(), sys.getprofile()  # such as that of coverage
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        _run(function, arguments)
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
        gc.enable()
    return cost


def _run(function, arguments):
    result = function(*arguments)
    if type(result) is CoroutineType:
        try:
            result.send(None)
        except StopIteration:
            return
        raise AssertionError("the coroutine waits for something")


def _name(function):
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or type(owner).__module__
    return f"{module}.{getattr(function, '__qualname__', repr(function))}"
