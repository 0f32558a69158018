"""What a thousand rotations leave behind in a process: it should be nothing."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from threading import active_count
from time import monotonic
from typing import Any

from world import Rotation, World

from tokenbind.client.requests import BoundTokenSession
from tokenbind.transport import Identity


__all__ = ["growth"]

_DEADLINE_SECONDS = 20
_MAX_MEGABYTES, _MAX_MORE = 8, 4  # of a process in which two servers run as well


def growth(world: World, rotation: Rotation, rotations: int) -> tuple[dict[str, Any], list[str]]:
    """Rotate so often, each time until the API has seen the new certificate; what there is then, and what is wrong."""
    settled = max(1, rotations // 4)  # by then, whatever is kept on purpose is full
    with BoundTokenSession(
        rotation.source, world.grant(), origin=world.api, ca=world.kit.ca_pem, replay_on_401=False
    ) as session:
        before: dict[str, float] = {}
        for number in range(rotations):
            new, deadline = rotation.renew().thumbprint, monotonic() + _DEADLINE_SECONDS
            while new not in world.seen:
                status = session.get(world.api, timeout=_DEADLINE_SECONDS).status_code
                if status != 200 or monotonic() > deadline:
                    return {"rotations": number}, [f"rotation {number}: {status}, or the new certificate was not seen"]
            if number == settled:
                before = _resources()
        after = _resources()
    report = {name: [before[name], after[name]] for name in after} | {"rotations": rotations}
    allowed = {"megabytes": _MAX_MEGABYTES}
    wrong = [
        f"{name} grew from {before[name]} to {after[name]}"
        for name in after
        if after[name] - before[name] > allowed.get(name, _MAX_MORE)
    ]
    if world.token_requests > rotations * 1.1 + 2:
        wrong.append(f"{world.token_requests} token requests for {rotations} rotations")
    return report, wrong


def _resources() -> dict[str, float]:
    """Of this process: client, API and issuer together."""
    gc.collect()
    alive = sum(isinstance(thing, Identity) for thing in gc.get_objects())
    found: dict[str, float] = {"threads": active_count(), "identities": alive}
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found["megabytes"] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
        found["descriptors"] = len(list(Path("/proc/self/fd").iterdir()))
    return found
