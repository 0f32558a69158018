"""Whether verdicts stay right while an issuer rotates its keys, and is away: ``python tests/stress --seconds 60``.

A real uvicorn over mutual TLS, with ``TokenVerifier.from_issuer``, is asked without a pause, while a real issuer
changes its keys every second, each published one second before its use. In the second half, it is down, hangs, or
answers 500 for two to three seconds, again and again. The exit status is 1 if one of these is broken:

* A good token is refused only if its key was published while the issuer was away (or a fetch that hung then had not
  ended), and only until ``cooldown_seconds`` plus ``timeout_seconds`` after its return: so never in the first half.
* A token of a withdrawn key is never accepted once a fetch has completed that began after the withdrawal.
* Stolen tokens and those of keys that never were are never accepted, and every request is answered.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
import json
import logging
import os
from pathlib import Path
import ssl
import sys
from tempfile import TemporaryDirectory
from threading import Event, active_count
from typing import Any

from requesting import EXCUSED, Bounds, Clients
from rotating import RotatingIssuer, now

from tokenbind import TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import BindingKit, MutualTLSServer


BOUNDS = Bounds(refresh=0.8, cooldown=1.0, timeout=1.0)
_MAX_STALE_SECONDS = 30  # longer than any outage: the last keys serve on
_PROGRESS_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/stress", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="for both halves together; at least 20 to mean much")
    parser.add_argument("--clients", type=int, default=4, help="with good tokens; two more have others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args()
    logging.getLogger("tokenbind").setLevel(logging.CRITICAL)  # thousands of refusals, as they should be
    report = _run(options.seconds, options.clients)
    print(_table(report), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if report["verdict"] == "ok" else 1


def _run(seconds: float, good: int) -> dict[str, Any]:
    kit = BindingKit()
    with (
        TemporaryDirectory() as folder,
        RotatingIssuer(kit, kit.audience) as issuer,
        TokenVerifier.from_issuer(
            issuer.url,
            audience=kit.audience,
            ca=kit.ca_pem,
            refresh_seconds=BOUNDS.refresh,
            cooldown_seconds=BOUNDS.cooldown,
            timeout_seconds=BOUNDS.timeout,
            max_stale_seconds=_MAX_STALE_SECONDS,
        ) as verifier,
        MutualTLSServer(BoundTokenMiddleware(_app, verifier), kit, client_certificates="required") as server,
    ):
        identities = [_context(kit, name, folder) for name in ("client", "thief")]
        clients = Clients(server.url, issuer, verifier._keys, identities, BOUNDS)
        clients.start(good=good, bad=2)
        began, halves, growth = now(), False, []
        while (passed := now() - began) < seconds:
            Event().wait(min(_PROGRESS_SECONDS, seconds / 10, seconds - passed))
            growth.append(_resources())
            if not halves and now() - began >= seconds / 2:
                halves, first = True, _summed(clients)
                issuer.begin_outages()
            _print_progress(now() - began, issuer, clients, growth[-1])
        clients.stop()
        return _report(now() - began, issuer, clients, first, growth)


async def _app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _context(kit: BindingKit, name: str, folder: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=kit.ca_pem.decode())
    context.load_cert_chain(*kit.client(name).write(folder))
    return context


def _resources() -> dict[str, float]:
    """Of this process: clients, API and issuer together."""
    if not Path("/proc/self/statm").exists():
        return {"threads": active_count()}
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return {
        "megabytes": round(megabytes, 1),
        "threads": active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def _summed(clients: Clients) -> Counter[tuple[str, str]]:
    return sum((seen.counts.copy() for seen in clients.seen), Counter())


def _print_progress(passed: float, issuer: RotatingIssuer, clients: Clients, resources: dict[str, float]) -> None:
    counts = _summed(clients)
    wrong = sum(len(seen.wrong) for seen in clients.seen)
    refused = sum(number for (what, status), number in counts.items() if what == "good" and status != "200")
    print(
        f"{passed:4.0f} s  {issuer.rotations} rotations, {len(issuer.outages)} outages; "
        f"{counts['good', '200']} good tokens accepted, {refused} refused; {wrong} wrong; {resources}",
        flush=True,
    )


def _report(
    seconds: float, issuer: RotatingIssuer, clients: Clients, first: Counter[tuple[str, str]], growth: list[Any]
) -> dict[str, Any]:
    counts, seen = _summed(clients), clients.seen
    wrong = [what for one in seen for what in one.wrong]
    if not counts["good", "200"] or not counts["withdrawn", "401"]:
        wrong.append("there was nothing to judge")
    times = sorted(sum((one.good_tenths for one in seen), Counter()).elements())
    return {
        "seconds": round(seconds, 1),
        "bounds": asdict(BOUNDS),
        "rotations": issuer.rotations,
        "outages": [outage.how for outage in issuer.outages],
        "first_half": {f"{what}: {status}": number for (what, status), number in sorted(first.items())},
        "second_half": {f"{what}: {status}": number for (what, status), number in sorted((counts - first).items())},
        "requests_per_second": round(sum(counts[what] for what in counts if what[0] != EXCUSED) / seconds),
        "good_milliseconds": {
            "median": times[len(times) // 2] / 10,
            "p99": times[len(times) * 99 // 100] / 10,
            "slowest": times[-1] / 10,
        }
        if times
        else {},
        "last_refusal_after_an_outage_seconds": round(max(one.refused_after_outage for one in seen), 3),
        "last_acceptance_after_withdrawal_seconds": {
            "without outages": round(max(one.the_same_before_outages for one in seen), 3),
            "with outages": round(max(one.accepted_after_withdrawal for one in seen), 3),
        },
        "resources": {name: [growth[len(growth) // 5][name], growth[-1][name]] for name in growth[0]},
        "wrong": wrong[:50],
        "verdict": f"BROKEN {len(wrong)} times" if wrong else "ok",
    }


def _table(report: dict[str, Any]) -> str:
    lines = []
    for name, value in report.items():
        members = value if isinstance(value, dict) else {"": value}
        separator = " -> " if name == "resources" else ", "
        for member, number in members.items():
            shown = separator.join(map(str, number)) or "none" if isinstance(number, list) else str(number)
            lines.append((f"{name.replace('_', ' ')} {member}".strip(), shown))
    width = max(len(name) for name, _ in lines)
    return "\n".join(["", *(f"{name:{width}}  {shown}" for name, shown in lines)])


if __name__ == "__main__":
    sys.exit(main())
