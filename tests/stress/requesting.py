"""Clients with keep-alive connections, who know of every request how it must be answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
import random
import ssl
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from rotating import PublishedKey, RotatingIssuer, now

from tokenbind import SigningKey, TokenIssuer


__all__ = ["EXCUSED", "Bounds", "Clients", "Seen"]

_INVENTED = 50
EXCUSED = "of these, published in an outage"


@dataclass(frozen=True)
class Bounds:
    """The times of the verifier, in seconds."""

    refresh: float
    cooldown: float
    timeout: float


@dataclass
class Seen:
    """What one client has seen. `counts` by what was sent and what came; `wrong` is what must not be."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    good_tenths: Counter[int] = field(default_factory=Counter)  # of a millisecond, that good tokens took
    refused_after_outage: float = 0.0
    accepted_after_withdrawal: float = 0.0
    the_same_before_outages: float = 0.0


class Clients:
    """Threads that ask *url* without a pause: *good* of them with good tokens, *bad* of them with others.

    Args:
        keys: The `RemoteKeySet` of the server, asked when the fetch began that its keys are from.
    """

    def __init__(
        self, url: str, issuer: RotatingIssuer, keys: Any, identities: list[ssl.SSLContext], bounds: Bounds
    ) -> None:
        self._address, self._issuer, self._keys, self._bounds = urlsplit(url), issuer, keys, bounds
        self._client, self._thief = identities
        self._stop = Event()
        self._invented = [issuer.mint(TokenIssuer(issuer.url, SigningKey.generate())) for _ in range(_INVENTED)]
        self.seen: list[Seen] = []
        self._threads: list[Thread] = []

    def start(self, *, good: int, bad: int) -> None:
        for run in [self._send_good] * good + [self._send_bad] * bad:
            self.seen.append(Seen())
            self._threads.append(Thread(target=self._guarded, args=[run, self.seen[-1]], name="client"))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, run: Any, seen: Seen) -> None:
        try:
            run(seen)
        except Exception as error:  # noqa: BLE001 - a client that ended early would have seen nothing wrong
            seen.wrong.append(f"a client ended with {error!r}")

    def _send_good(self, seen: Seen) -> None:
        connection = self._connection(self._client)
        while not self._stop.is_set():
            key = self._issuer.current
            # Half of them are remembered by the server, half are new to it.
            token = key.token if random.random() < 0.5 else self._issuer.mint(key.minting)
            began = now()
            status = self._status(connection, token, seen)
            took = now() - began
            seen.counts["good", status] += 1
            if status == "200":
                seen.good_tenths[round(took * 1e4)] += 1
            else:
                self._judge_refusal(seen, key, began, status)

    def _judge_refusal(self, seen: Seen, key: PublishedKey, began: float, status: str) -> None:
        """A good token is refused only if its key was published while the issuer was away, and not for long."""
        bounds = self._bounds
        for outage in self._issuer.outages:
            # A fetch that hangs when the issuer comes back is given up on after `timeout`; no other is begun before.
            if outage.began <= key.published <= outage.ended + bounds.timeout:
                seen.refused_after_outage = max(seen.refused_after_outage, began - outage.ended)
                if status == "401" and began <= outage.ended + bounds.cooldown + bounds.timeout:
                    seen.counts[EXCUSED, status] += 1
                    return
        age = began - key.published
        seen.wrong.append(f"a good token was answered with {status}, {age:.3f} s after its key was published")

    def _send_bad(self, seen: Seen) -> None:
        connection, stolen = self._connection(self._client), self._connection(self._thief)
        while not self._stop.is_set():
            for key in list(self._issuer.withdrawn):
                self._send_withdrawn(connection, key, seen)
            for what, through, token in (
                ("invented kid", connection, random.choice(self._invented)),
                ("stolen", stolen, self._issuer.current.token),
            ):
                status = self._status(through, token, seen)
                seen.counts[what, status] += 1
                if status != "401":
                    seen.wrong.append(f"a token ({what}) was answered with {status}")

    def _send_withdrawn(self, connection: HTTPSConnection, key: PublishedKey, seen: Seen) -> None:
        fetch_began, began = self._keys._fetched_at or 0.0, now()
        status = self._status(connection, key.token, seen)
        seen.counts["withdrawn", status] += 1
        if status == "200":
            seen.accepted_after_withdrawal = max(seen.accepted_after_withdrawal, began - key.withdrawn)
            if not self._issuer.outages:
                seen.the_same_before_outages = seen.accepted_after_withdrawal
            if fetch_began > key.withdrawn:
                seen.wrong.append("a token of a withdrawn key was accepted after a fetch that began later")
        elif status != "401":
            seen.wrong.append(f"a token of a withdrawn key was answered with {status}")

    def _connection(self, context: ssl.SSLContext) -> HTTPSConnection:
        return HTTPSConnection(self._address.hostname or "", self._address.port, context=context, timeout=20)

    def _status(self, connection: HTTPSConnection, token: str, seen: Seen) -> str:
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            seen.wrong.append(f"no answer: {error!r}")
            return "none"
        return str(answer.status)
