"""How fast tokenbind is, against the least that would do and against what is done by hand: ``python tests/benchmarks``.

Prints a table of ratios, each with what it must be and what it aims at, and "ok" or "MISSED". The exit status is 0 all
the same, because a clock must not fail a build. ``--quick`` proves that the program runs; its numbers mean little.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
import json
import os
from pathlib import Path
import platform

from calling import client_cases
from forwarding import forwarded_cases
from goals import ALGORITHMS, COMPARISONS
from importing import import_samples
from javascript import NodeError, node_cases
from measure import Timed, measure
from minting import mint_cases, thumbprint_cases
from peers import peer_cases
from publishing import publish
from remembering import memory_samples
from report import rows_of, table
from serving import server_samples
from verifying import cache_cases, refusal_cases, verify_cases
from workload import Workload


# Rounds and seconds of the interleaved windows, rounds of imports, rounds of the server.
_FULL = 120, 0.010, 15, 60
_QUICK = 3, 0.001, 2, 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="renew the table and the chart of speed.md there")
    options = parser.parse_args()
    rounds, window, import_rounds, server_rounds = _QUICK if options.quick else _FULL
    missing = _missing()
    workloads = [Workload(algorithm) for algorithm in ALGORITHMS]
    environment = _environment()
    with ExitStack() as stack:
        cases = _cases(workloads)
        try:
            in_node, versions = stack.enter_context(node_cases(workloads))
        except NodeError as error:
            missing["Node"] = str(error)
        else:
            cases |= in_node
            environment += f", {versions}"
        cases |= stack.enter_context(client_cases(workloads[0], missing))
        samples = measure(cases, rounds=rounds, window_seconds=window)
    samples |= memory_samples(workloads[0]) | import_samples(rounds=import_rounds)
    if "uvicorn" not in missing:
        samples |= server_samples(rounds=server_rounds)
    rows = rows_of(COMPARISONS, samples, missing)
    notes = [f"Rows that need {name} are left out: {why}." for name, why in missing.items()]
    print(environment, *notes, table(rows), sep="\n\n")
    if options.json:
        report = {"environment": environment, "notes": notes, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if options.docs:
        publish(options.docs, environment, rows)


def _missing() -> dict[str, str]:
    """What rows need and is not here, and why."""
    packages = "aiohttp", "httpx", "joserfc", "requests", "uvicorn"
    missing = {name: "it is not installed" for name in packages if not find_spec(name)}
    if not Path("/proc/self/statm").exists():
        missing["/proc/self/statm"] = "this is no Linux"
    return missing


def _cases(workloads: list[Workload]) -> dict[str, Timed]:
    """Everything that is a function call in this process."""
    cases: dict[str, Timed] = {}
    for workload in workloads:
        cases |= verify_cases(workload) | peer_cases(workload) | mint_cases(workload)
    for of_one in (cache_cases, refusal_cases, thumbprint_cases, forwarded_cases):
        cases |= of_one(workloads[0])
    return cases


def _environment() -> str:
    """What the numbers depend on; they mean less on a machine whose load is not about 1."""
    names = [name for name in ("cryptography", "joserfc", "uvicorn", "uvloop", "tokenbind") if find_spec(name)]
    versions = ", ".join(f"{name} {version(name)}" for name in [*names, "PyJWT"])
    return (
        f"Python {platform.python_version()}, {versions}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
