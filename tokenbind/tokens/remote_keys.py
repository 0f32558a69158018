"""`RemoteKeySet`: an issuer's published keys, kept up to date by a thread of their own.

One thread does all fetching: it starts with the first token, fetches within every `refresh_seconds`, and in between
when a token names a key that is not known. A verification waits for it only when there are no keys at all, or, one
caller at a time and once in `cooldown_seconds`, for an unknown key; everybody else is answered at once. What a fetch
brings replaces what was known as a whole, so a key that the issuer has withdrawn is gone, from the verifiers' caches
too.

The age of the keys is measured by a clock that counts on while the machine is suspended, where there is one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
import logging
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, Reason, TokenBindError, Unavailable
from .clock import elapsed
from .closing import Closing
from .forking import Forking
from .jwks_fetcher import jwks_fetcher
from .keys import KeySet, read_jwks
from .refresher import Bell, start_thread
from .waiting import wait_async


if TYPE_CHECKING:
    from ..transport.tls_context import Trust

__all__ = ["RemoteKeySet"]

_MAX_KEYS = 100
_MAX_PAUSE_SECONDS = 30  # between attempts while the issuer is away
_MAX_SECONDS = 2_000_000  # a socket's timeout is an int of milliseconds

_GRACE_SECONDS = 0.5
_NO_PROBLEMS: Sequence[ConfigurationError] = ()

_log = logging.getLogger("tokenbind")


class RemoteKeySet(Closing, Forking):
    """The keys that an issuer publishes. A `KeySource`; share one between all verifiers of that issuer.

    What it does: fetches over verified TLS, without redirects, with bounds on size and time; takes at most 100 keys;
    skips keys that are broken, unsafe, private or not for signatures. A set without any usable key is an answer: the
    issuer has withdrawn them. If the issuer cannot be reached, or answers no JWK Set, the last keys serve on until they
    are `max_stale_seconds` old; then it is `Unavailable`. That the issuer is away at the start is no error: the first
    token is.

    What it does NOT do: it does not verify who runs *url*, beyond TLS.

    Bounds: a key that the issuer publishes `refresh_seconds` before it signs with it is never missed. One that it signs
    with at once is known within `cooldown_seconds` (or `timeout_seconds`, if that is more) plus `timeout_seconds`. A
    withdrawn key verifies nothing any more after the next fetch that succeeds, at most `refresh_seconds` later while
    the issuer answers within a quarter of that.

    `close` it, or use it in a ``with`` block, to end its thread; the thread ends with the last reference too. After a
    fork, each process fetches for itself.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: Trust = None,
        refresh_seconds: float = 300,
        max_stale_seconds: float = 3600,
        cooldown_seconds: float = 5,
        timeout_seconds: float = 4,
        proxy: str | None = None,
        discover: bool = False,
        address: str | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        """
        Args:
            url: Where the JWK Set is, https; with *discover*, the issuer.
            ca: Which CA vouches for that server: a PEM file, PEM bytes, or None for the system's.
            refresh_seconds: How old what was fetched may become before the next fetch has ended.
            max_stale_seconds: How old they may become while the issuer cannot be reached.
            cooldown_seconds: The least time between two fetches for unknown keys.
            timeout_seconds: For a whole fetch, the metadata included.
            proxy: ``http://[user:password@]host:port``. No proxy is taken from the environment.
            discover: Take the address of the JWK Set from the issuer's metadata (RFC 8414), at every refresh.
            address: With *discover*, the https origin at which to reach what is on the issuer's own origin.
            allowed_hosts: With *discover*, further hosts (``host`` or ``host:port``) that the JWK Set may be on.

        Raises:
            ConfigurationError: if an argument cannot be right.
        """
        for name, seconds in (
            ("refresh_seconds", refresh_seconds),
            ("max_stale_seconds", max_stale_seconds),
            ("cooldown_seconds", cooldown_seconds),
            ("timeout_seconds", timeout_seconds),
        ):
            if not isinstance(seconds, (int, float)) or not 0 < seconds <= _MAX_SECONDS:
                raise ConfigurationError(f"{name}= must be a positive number of seconds, at most {_MAX_SECONDS}")
        if max_stale_seconds < refresh_seconds:
            raise ConfigurationError("max_stale_seconds= must not be less than refresh_seconds=")
        self._fetch = jwks_fetcher(url, ca, timeout_seconds, proxy, discover, address, allowed_hosts)
        self._url, self._discover = url.partition("?")[0], discover  # to be shown; a query may hold a secret
        self._refresh, self._max_stale = refresh_seconds, max_stale_seconds
        self._cooldown, self._timeout = cooldown_seconds, timeout_seconds
        self._known: tuple[KeySet | None, float] = (None, 0.0)  # and until when they may be used
        self._fetched_at: float | None = None
        self._problem = "nothing was fetched yet"
        self._flaw = ""  # of the document
        self._failures = 0
        self._closed = False
        Forking.__init__(self)

    def _be_born(self) -> None:
        """What a process begins with, after a fork as well: no thread, and nobody who waits."""
        self._first_done = False
        self._lock = Lock()
        self._bell = Bell()
        self._has_thread = False
        self._document: object = None  # the fork may have come between it and its keys
        self._asked = _new_future()  # for the first fetch, and later for those that callers ask for
        self._asked_at = -float("inf")
        self._begun = float("inf")  # since when somebody waits for the first fetch

    def current(self) -> KeySet:
        """As in `KeySource.current`: what was fetched last, at once.

        Raises:
            Unavailable: ``keys_unavailable``.
        """
        keys, until = self._known
        if keys is None or elapsed() >= until:
            problem = self._problem or "they are too old"  # the machine was suspended, and no fetch has failed yet
            raise Unavailable(Reason.KEYS_UNAVAILABLE, f"the issuer's keys are not known: {problem}")
        if not self._has_thread:
            self._start()  # in a process that was forked after the first fetch
        return keys

    def refetch(self, seen: KeySet | None) -> bool:
        """As in `KeySource.refetch`."""
        future = self._ask(seen)
        if future is not None:
            wait([future], self._timeout + _GRACE_SECONDS)
        return self._has_other_keys_than(seen)

    async def refetch_async(self, seen: KeySet | None) -> bool:
        """As in `KeySource.refetch_async`."""
        future = self._ask(seen)
        if future is not None:
            await wait_async(future, self._timeout + _GRACE_SECONDS)
        return self._has_other_keys_than(seen)

    def close(self) -> None:
        """End the thread, and know no keys any more. A fetch that is under way is not waited for."""
        with self._lock:
            self._closed = True
            self._known = (None, 0.0)
            self._problem = "this key set was closed"
            self._bell.ring()
        self._answer(self._asked)

    def describe(self) -> dict[str, Any]:
        """Where the keys come from, which there are, how old they are, and what went wrong last, as JSON."""
        keys = self._known[0]
        return {
            "source": "issuer" if self._discover else "url",
            "url": self._url,
            "refresh_seconds": self._refresh,
            "max_stale_seconds": self._max_stale,
            "age_seconds": None if self._fetched_at is None else round(elapsed() - self._fetched_at, 3),
            "problem": self._problem or None,
            "keys": keys.describe()["keys"] if keys else [],
        }

    def __repr__(self) -> str:
        return f"<RemoteKeySet {self._url}>"

    def _has_other_keys_than(self, seen: KeySet | None) -> bool:
        keys, until = self._known
        return keys is not None and keys is not seen and elapsed() < until

    def _ask(self, seen: KeySet | None) -> Future[None] | None:
        """What the caller has to wait for, if anything."""
        with self._lock:
            if self._closed or self._has_other_keys_than(seen):
                return None
            now = elapsed()
            self._begun = min(self._begun, now)
            late = now > self._begun + self._timeout + _GRACE_SECONDS  # name resolution cannot be cut off
            if self._first_done or late or now < self._known[1]:
                if not self._asked.done() or now - self._asked_at < self._cooldown:
                    return None
                self._asked, self._asked_at = _new_future(), now
                self._bell.ring()
            # Else there is no alternative to the first fetch, so everybody waits for it.
            asked = self._asked
        self._start()
        return asked if self._has_thread else None

    def _start(self) -> None:
        with self._lock:
            if not self._has_thread and not self._closed:
                try:
                    start_thread(self, self._bell)
                    self._has_thread = True
                except RuntimeError:
                    self._problem = "no thread can be started"  # now; the next caller tries again

    def _answer(self, asked: Future[None]) -> None:
        """Let those go on who wait for it."""
        with self._lock:
            if not asked.done():
                asked.set_result(None)

    def _refresh_now(self) -> float | None:
        """Fetch, for those who ask now; returns the seconds until the next time, or None if there is none."""
        with self._lock:
            if self._closed:
                return None
            self._bell.silence()  # together with taking what was asked for, or it would be fetched twice
            asked = self._asked
        started = elapsed()
        try:
            self._take(self._fetch(), started)
        except Exception as error:  # noqa: BLE001 - the thread must live; whatever it was, there are no new keys
            self._failed(str(error) if isinstance(error, TokenBindError) else type(error).__name__)
        else:
            self._failures = 0
        self._first_done = True
        self._answer(asked)
        # Counted so that the next fetch ends, and does not only begin, before this one is `refresh_seconds` old.
        pause = max(self._refresh / 2, self._refresh - self._timeout - (elapsed() - started))
        return min(pause, _MAX_PAUSE_SECONDS, 2.0 ** min(self._failures - 1, 10)) if self._failures else pause

    def _take(self, document: dict[str, Any], fetched_at: float) -> None:
        keys, new_problems = self._known[0], _NO_PROBLEMS
        flaw = self._flaw
        if keys is None or document != self._document:
            keys, new_problems = read_jwks(document, _MAX_KEYS)
            flaw = str(new_problems[0]) if new_problems else ""
        with self._lock:
            if self._closed:
                return
            self._known = keys, fetched_at + self._max_stale
            self._document, self._fetched_at = document, fetched_at
            self._flaw = self._problem = flaw
        if self._failures:
            _warn("the keys of %s are fetched again, after %d failures", self._url, self._failures)
        for problem in new_problems:
            _warn("in the keys of %s: %s", self._url, problem)

    def _failed(self, problem: str) -> None:
        with self._lock:
            if self._closed:
                return
            self._failures += 1
            self._problem = problem
        meanwhile = (
            "the last ones serve on" if elapsed() < self._known[1] else "every token is refused with 503 until then"
        )
        _warn("the keys of %s could not be fetched, %s: %s", self._url, meanwhile, problem)


def _warn(message: str, *arguments: object) -> None:
    with suppress(Exception):  # of a filter or handler of the application's; the thread must live
        _log.warning(message, *arguments)


def _new_future() -> Future[None]:
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # so that an asyncio task which is cancelled does not cancel it for others
    return future
