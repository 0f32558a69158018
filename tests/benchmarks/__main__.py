"""How fast tokenbind is, against the least that would do and against what is done by hand: ``python tests/benchmarks``.

Prints a table of ratios, each with what it must be and what it aims at, and "ok" or "MISSED". The exit status is 0 all
the same, because a clock must not fail a build. ``--quick`` proves that the program runs; its numbers mean little.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from importlib.util import find_spec
import json
import os
from pathlib import Path
import platform

from importing import import_rows
from measure import Case, measure
from minting import mint_cases, thumbprint_cases
from report import Comparison, Row, rows_of, table
from serving import server_rows
from verifying import cache_cases, refusal_cases, verify_cases
from workload import Workload


# Rounds and seconds of the interleaved windows, rounds of imports, rounds of the server.
_FULL = 120, 0.010, 15, 30
_QUICK = 3, 0.001, 2, 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    options = parser.parse_args()
    rounds, window, import_rounds, server_rounds = _QUICK if options.quick else _FULL
    rows = _call_rows(rounds, window)
    if find_spec("uvicorn"):
        rows += server_rows(rounds=server_rounds, requests=400)
    else:
        print("uvicorn is not installed, so its rows are left out")
    rows += import_rows(rounds=import_rounds)
    environment = _environment()
    print(environment, table(rows), sep="\n\n")
    if options.json:
        report = {"environment": environment, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _call_rows(rounds: int, window_seconds: float) -> list[Row]:
    """Everything that is a function call, in one interleaved run."""
    workloads = {algorithm: Workload(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
    rs256 = workloads["RS256"]
    cases: dict[str, Case] = {}
    comparisons: list[Comparison] = []
    for more_cases, more_comparisons in (
        *map(verify_cases, workloads.values()),
        cache_cases(rs256),
        refusal_cases(rs256),
        *map(mint_cases, workloads.values()),
        thumbprint_cases(rs256),
    ):
        cases |= more_cases
        comparisons += more_comparisons
    return rows_of(comparisons, measure(cases, rounds=rounds, window_seconds=window_seconds))


def _environment() -> str:
    """What the numbers depend on; they mean less on a machine whose load is not about 1."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("cryptography", "PyJWT", "tokenbind"))
    return (
        f"Python {platform.python_version()}, {versions}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
