"""Whether a proxy in front can be fooled: ``python tests/proxies`` runs the real programs, and attacks them.

Each setup is a proxy and a service behind it, started from the very files of examples/proxies that the how-to pages
show, on free ports of loopback. Clients with every kind of certificate ask it, and attackers send what they can. The
exit status is 1 if anything does not hold.

It needs the programs: the dependency group ``proxies``, and Apache from Debian (apache2-bin).
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path
import signal
import sys
from time import monotonic


# What is shared with them.
sys.path.extend(str(Path(__file__).parents[2] / folder) for folder in ("tests/matrix", "examples/proxies"))

from certificates import Certificates
from products import SETUPS
from programs import running
from report import Result, publish, table, version_of
from setups import Setup
from suite import Suite, checks_of


_AT_ONCE = 3  # setups; much of their time they wait for a program to start


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/proxies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="setups with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    setups = [setup for setup in SETUPS if not options.only or any(part in setup.name for part in options.only)]
    if options.write and len(setups) < len(SETUPS):
        parser.error("--write needs all setups")
    certificates, results = Certificates(), []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for result in pool.map(lambda setup: _check(setup, certificates), setups):
            print(result.text, flush=True)
            results.append(result)
    print("", table(results), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    failed = sum(len(result.failures) for result in results)
    if options.write and not failed:
        publish(results)
    print(f"\n{sum(len(result.passed) for result in results)} passed, {failed} failed")
    return 1 if failed else 0


def _check(setup: Setup, certificates: Certificates) -> Result:
    result, started = Result(setup), monotonic()
    with result.noting("run"), running(setup, certificates) as place:
        result.version = version_of(setup.proxy)
        suite = Suite(setup, place, certificates)
        for check in checks_of(setup):
            with result.noting(check.__name__):
                check(suite)
    result.seconds = monotonic() - started
    return result


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended, too
    sys.exit(main())
