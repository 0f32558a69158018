"""An issuer that changes its keys every second, as the documentation says, and is away when told to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
import sys
from threading import Event, Thread
from typing import Any, Self

from tokenbind import SigningKey, TokenIssuer
from tokenbind.testing import BindingKit
from tokenbind.tokens.clock import elapsed as now


sys.path.append(str(Path(__file__).parents[1] / "tokens"))

from issuing_server import IssuingServer, document


__all__ = ["Outage", "PublishedKey", "RotatingIssuer", "now"]

ROTATION_SECONDS = 1.0
OUTAGE_BEGINS = 0.9  # so long after a key was published: more than `refresh_seconds`
_OUTAGE_SECONDS = 2.0, 2.5, 3.0
_BETWEEN_OUTAGES = 6  # rotations
_LET_GO_AFTER_SECONDS = 2  # those who hung in an outage, and have long been given up on


@dataclass
class PublishedKey:
    """A key, when it was published first, and when it was withdrawn; one token that is used again and again."""

    minting: TokenIssuer
    published: float
    withdrawn: float = float("inf")
    token: str = ""


@dataclass
class Outage:
    """How the issuer was away, and when; it is not over as long as `ended` lies in no past."""

    how: str
    began: float
    ended: float = float("inf")


@dataclass
class RotatingIssuer:
    """Publishes a key one rotation before it signs with it, and one more after it has.

    Attributes:
        current: Signs.
        withdrawn: The last ones that are published no more.
        outages: All there were; the last one may be under way.
    """

    kit: BindingKit
    audience: str
    withdrawn: deque[PublishedKey] = field(default_factory=lambda: deque(maxlen=8))
    outages: list[Outage] = field(default_factory=list)
    rotations: int = 0

    def __post_init__(self) -> None:
        self.server = IssuingServer(self.kit)
        self.url: str = self.server.url
        self.peer = self.kit.client().peer
        self._stop, self._outages_wanted, self._hows = Event(), False, cycle(("down", "hanging", "500s"))
        self._seconds = cycle(_OUTAGE_SECONDS)
        self._signing = [SigningKey.generate() for _ in range(3)]  # previous, current and next
        self._published = [self._made(key) for key in self._signing]
        self._answer: Any = None
        self._publish()
        self._thread = Thread(target=self._run, name="issuer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.server.__exit__()

    @property
    def current(self) -> PublishedKey:
        return self._published[1]

    def begin_outages(self) -> None:
        """From now on, be away every few seconds."""
        self._outages_wanted = True

    def mint(self, minting: TokenIssuer) -> str:
        """A token of the client."""
        return minting.mint(self.peer, client_id="client", audience=self.audience)

    def _made(self, key: SigningKey) -> PublishedKey:
        minting = TokenIssuer(self.url, key)
        return PublishedKey(minting, now(), token=self.mint(minting))

    def _publish(self) -> None:
        previous, current, following = self._signing
        issuer = TokenIssuer(self.url, current, next_keys=[following], previous_keys=[previous])
        self._answer = document(issuer.jwks())
        if not self._away:
            self.server.answer = self._answer

    @property
    def _away(self) -> bool:
        return bool(self.outages) and self.outages[-1].ended > now()

    def _run(self) -> None:
        due, since = now(), 0
        while not self._wait_until(due := due + ROTATION_SECONDS):
            self._rotate()
            since += 1
            if self._outages_wanted and not self._away and since >= _BETWEEN_OUTAGES:
                since = 0
                self._wait_until(due + OUTAGE_BEGINS)
                self._begin_outage()
        if self._away:
            self._end_outage()

    def _wait_until(self, due: float) -> bool:
        """Whether it is to stop; ends an outage whose time is over."""
        while not self._stop.is_set() and (left := due - now()) > 0:
            end = self._ends if self._away else due
            if end <= now():
                self._end_outage()
            self._stop.wait(min(left, max(0.0, end - now())))
        return self._stop.is_set()

    def _rotate(self) -> None:
        key = SigningKey.generate()
        gone, *kept = self._published
        following = self._made(key)
        self._signing = [*self._signing[1:], key]
        self._publish()
        following.published = now()
        gone.withdrawn = now()
        self._published = [*kept, following]
        self.withdrawn.append(gone)
        self.rotations += 1
        self.server.requests.clear()
        if not self._away and self.outages and now() > self.outages[-1].ended + _LET_GO_AFTER_SECONDS:
            self.server.release()

    def _begin_outage(self) -> None:
        how = next(self._hows)
        self._ends = now() + next(self._seconds)
        self.outages.append(Outage(how, now()))
        if how == "down":
            self.server.stop()
        elif how == "hanging":
            self.server.hang()
        else:
            self.server.answer = document(b"", status="500 No")

    def _end_outage(self) -> None:
        outage = self.outages[-1]
        self.server.answer = self._answer  # those who hang, hang on
        if outage.how == "down":
            self.server.start()
        outage.ended = now()
