"""Whether every server keeps thieves out: ``python tests/matrix`` runs the real programs, and a table of what they do.

Each row is a program in one of its ways of running. It is started from the very files of examples/servers that the
how-to pages show, on a free port, and asked the same by the same clients. Then it runs once more beside itself without
tokenbind, for what tokenbind costs. The exit status is 1 if anything does not hold.

It needs the programs: the dependency group ``servers``, and Apache with mod_wsgi from Debian (apache2-bin,
libapache2-mod-wsgi-py3).
"""

from __future__ import annotations

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
import json
from pathlib import Path
import signal
import sys
from tempfile import TemporaryDirectory
from time import monotonic

from credentials import Credentials
from debian_python import make_venv
from overhead import measure
from rows import ROWS, Row
from starting import Running, running
from suite import Suite, checks_of
from table import Result, publish, table, version_of


_AT_ONCE = 3  # rows; most of their time they wait for a certificate to end


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="rows with this in their name")
    parser.add_argument("--quick", action="store_true", help="measure less of the overhead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.only or any(part in row.name for part in options.only)]
    if options.write and len(rows) < len(ROWS):
        parser.error("--write needs all rows")
    results = _run(rows, quick=options.quick)
    print("", table(results), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    failed = sum(len(result.failures) for result in results)
    if options.write and not failed:
        publish(results)
    print(f"\n{sum(len(result.passed) for result in results)} passed, {failed} failed")
    return 1 if failed else 0


def _run(rows: list[Row], *, quick: bool) -> list[Result]:
    credentials, results = Credentials(), []
    with TemporaryDirectory(prefix="tokenbind-venv-") as folder, ThreadPoolExecutor(_AT_ONCE + 1) as pool:
        needed = any(_runs_debians_python(row) for row in rows)
        venv = pool.submit(make_venv, Path(folder)) if needed else None
        # Rows that wait for the environment come last; the third thread makes it.
        ordered = sorted(rows, key=_runs_debians_python)
        with ThreadPoolExecutor(_AT_ONCE) as checkers:
            for result in checkers.map(lambda row: _check(row, credentials, venv), ordered):
                print(_progress(result), flush=True)
                results.append(result)
        measured: set[str] = set()
        for result in results:
            row = result.row
            if result.failures or row.change or "fails" in row.features or (quick and row.folder in measured):
                continue
            _measure(result, credentials, venv, quick=quick)
            measured.add(row.folder)
    return sorted(results, key=lambda result: rows.index(result.row))


def _check(row: Row, credentials: Credentials, venv: Future[Path] | None) -> Result:
    result, started = Result(row), monotonic()
    with result.noting("run"), running(row, credentials, venv=_venv(row, venv)) as server:
        suite = Suite(row, server, credentials)
        for check in checks_of(row):
            with result.noting(check.__name__):
                suite.do(check)
        result.version = version_of(row, server.log)
        if result.failures:
            result.log = server.log
    result.seconds = monotonic() - started
    return result


def _measure(result: Result, credentials: Credentials, venv: Future[Path] | None, *, quick: bool) -> None:
    row = result.row

    def start(guarded: bool) -> AbstractContextManager[Running]:
        return running(row, credentials, guarded=guarded, venv=_venv(row, venv))

    with result.noting("overhead"):
        result.overhead = cost = measure(start, row, credentials, quick=quick)
        print(
            f"{row.name:64} {cost.microseconds:6.0f} µs a request, {cost.ratio:.2f} times those of the server without "
            f"tokenbind",
            flush=True,
        )
    if result.failures:
        print(f"{row.name} FAILED overhead: {result.failures['overhead']}", flush=True)


def _runs_debians_python(row: Row) -> bool:
    return row.folder == "apache"


def _venv(row: Row, venv: Future[Path] | None) -> Path | None:
    return venv.result() if venv is not None and _runs_debians_python(row) else None


def _progress(result: Result) -> str:
    lines = [f"{result.row.name:64} {len(result.passed):2} ok  {result.seconds:5.1f} s"]
    lines += [f"FAILED {name}: {text}" for name, text in result.failures.items()]
    return "\n".join([*lines, result.log[-4000:]] if result.log else lines)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended, too
    sys.exit(main())
