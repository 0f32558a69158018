"""Whether clients get through while their certificate rotates without end: ``python tests/rotation --seconds 20``.

The certificate is renewed every quarter of a second, under 8 threads with `requests` and under 64 tasks each with httpx
and aiohttp; then a thousand times while one thread asks. The API closes every connection after 25 requests, the
authorization server binds each token to the certificate that it sees, and no request is sent twice: the replay after a
401 is switched off. A plain session that caches its token, as it is mostly done, is put through the same beside it.

The exit status is 1 if one request of ours failed, if there were many more token requests than certificates, or if
memory, descriptors or threads grew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import logging
from pathlib import Path
import sys
from typing import Any

from asking import ask_plainly, ask_with_aiohttp, ask_with_httpx, ask_with_requests
from growing import growth
from table import GROWTH, HEAD, PREAMBLE, growth_of, how_of, row_of
from world import REQUESTS_A_CONNECTION, ROTATION_SECONDS, Rotation, World


_RUNS: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("requests, 8 threads, in memory", ask_with_requests, "memory"),
    ("requests, 8 threads, files", ask_with_requests, "files"),
    ("httpx, 64 tasks, in memory", ask_with_httpx, "memory"),
    ("aiohttp, 64 tasks, files", ask_with_aiohttp, "files"),
    ("a plain session, 8 threads, files", ask_plainly, "files"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/rotation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="for each run")
    parser.add_argument("--rotations", type=int, default=1000, help="for the growth; at least 100 to mean much")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args()
    logging.getLogger("tokenbind").setLevel(logging.CRITICAL)  # hundreds of refusals of the plain one
    print(PREAMBLE.format(rotation=ROTATION_SECONDS, connection=REQUESTS_A_CONNECTION, seconds=options.seconds))
    print(HEAD, flush=True)
    report: dict[str, Any] = {}
    wrong: list[str] = []
    for name, ask, kind in _RUNS:
        plain = ask is ask_plainly
        with World() as world, world.rotating(kind) as rotation:
            outcome = ask(world, rotation, options.seconds / 2 if plain else options.seconds)
        report[name] = outcome.as_json() | {
            "certificates": rotation.number,
            "token requests": world.token_requests,
            "certificates that the API saw": len(world.seen),
        }
        print(row_of(name, report[name]), how_of(report[name]), sep="\n", end="", flush=True)
        if not plain:
            wrong += [f"{name}: {what}" for what in outcome.wrong]
            if world.token_requests > rotation.number * 1.1 + 1:
                wrong.append(f"{name}: {world.token_requests} token requests for {rotation.number} certificates")
            if len(world.seen) < 3:
                wrong.append(f"{name}: there was no rotation to judge; give it more --seconds")
        elif not outcome.wrong:
            print(f"    too short for the plain session: {_why_none_failed(world, rotation)}")
    with World() as world, world.rotating("by hand") as rotation:
        report["growth"], grown = growth(world, rotation, options.rotations)
    print("", GROWTH.format_map(report["growth"]), growth_of(report["growth"]), sep="\n")
    report["wrong"] = wrong + grown
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    ours = sum(report[name]["requests"] for name, ask, _ in _RUNS if ask is not ask_plainly)
    if report["wrong"]:
        print("", *(f"wrong: {what}" for what in report["wrong"][:20]), sep="\n")
    else:
        rotations = report["growth"]["rotations"]
        print(f"\nok: none of our {ours} requests failed; nothing grew over {rotations} rotations")
    return 1 if report["wrong"] else 0


def _why_none_failed(world: World, rotation: Rotation) -> str:
    if not world.closed_connections:
        return "no connection was closed yet"
    return f"none was closed after a rotation yet ({rotation.number} certificates)"


if __name__ == "__main__":
    sys.exit(main())
