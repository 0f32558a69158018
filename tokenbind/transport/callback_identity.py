"""`CallbackIdentity`: a certificate from a function, such as one that asks Vault or step-ca, renewed in good time."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
import logging
import os
from threading import Event, Thread
from time import time
from types import TracebackType
from typing import Self
import weakref

from ..errors import ConfigurationError, IdentityError
from .identity import Identity, successor


__all__ = ["CallbackIdentity"]

_SHORTEST_SECONDS = 1.0  # between two calls, however short-lived the certificates are
_LONGEST_SECONDS = 60.0  # between two looks at the clock, which may be set, and between two attempts

_log = logging.getLogger("tokenbind")

Issue = Callable[[], tuple[str | bytes, str | bytes]]


class CallbackIdentity:
    """An identity that *issue* gives, at once, and again in the background before its certificate ends.

    A daemon thread waits until it is time; it starts with the first use in a process, and so in a child after a fork,
    too. It ends with `close`, or when nobody refers to this object. If *issue* fails, the last identity stays, it is
    called again after 1, 2, 4 ... 60 seconds, and one warning in the log says why.

    Does NOT time *issue* out: a call that hangs delays the next.

    Args:
        issue: Returns certificate and key in PEM, each *str* or *bytes*: the certificate with its chain, leaf first,
            the key unencrypted. It is called by one thread at a time. Of what it raises, only the kind is shown.
        renew_after: The part of the time from getting a certificate to its end, after which *issue* is called again;
            between 0 and 1.

    Raises:
        IdentityError: if *issue* fails, or what it returns cannot be used.
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(self, issue: Issue, renew_after: float = 2 / 3) -> None:
        if not callable(issue):
            raise ConfigurationError("issue= must be a function that returns certificate and key")
        if isinstance(renew_after, bool) or not isinstance(renew_after, (int, float)) or not 0 < renew_after < 1:
            raise ConfigurationError("renew_after= must be a part of the certificate's life, between 0 and 1")
        self._issue = issue
        self._renew_after = renew_after
        self._warned: set[str] = set()
        self._failures = 0
        self._closed = False
        self._bells: dict[int, Event] = {}  # that of this process ends its thread
        self._identity = self._issued()
        self._due = self._time_to_renew()

    def current(self) -> Identity:
        """The identity to use now; after `close`, the last one."""
        if os.getpid() not in self._bells:
            self._start()
        return self._identity

    def close(self) -> None:
        """Renew no more; the last identity stays."""
        self._closed = True
        bell = self._bells.get(os.getpid())
        if bell is not None:
            bell.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._identity.thumbprint}>"

    def _start(self) -> None:
        bell = Event()
        if self._closed or self._bells.setdefault(os.getpid(), bell) is not bell:
            return
        try:
            Thread(target=_keep, args=(weakref.ref(self), bell), daemon=True, name="tokenbind-identity").start()
        except RuntimeError:  # there are too many, or the process ends; the next use tries again
            del self._bells[os.getpid()]

    def _renew_if_due(self) -> float:
        """Returns the seconds until the next look."""
        left = self._due - time()
        if left > 0:
            return min(left, _LONGEST_SECONDS)
        try:
            identity = successor(self._issued(), self._identity)
            if identity is self._identity:
                raise IdentityError("issue() returned the same certificate again")
        except IdentityError as error:
            return self._failed(str(error))
        except BaseException as error:  # noqa: BLE001 - SystemExit would end this thread, and all renewal, without a word
            return self._failed(f"issue() failed: {type(error).__name__}")
        self._identity = identity
        self._due = self._time_to_renew()
        self._failures = 0
        if self._warned:
            _log.info("the client's certificate can be renewed again")
        self._warned.clear()
        return 0

    def _failed(self, problem: str) -> float:
        self._identity.note(f"its renewal fails: {problem}")
        if problem not in self._warned:
            self._warned.add(problem)
            _log.warning("the client's certificate cannot be renewed, and the last one goes on: %s", problem)
        pause = min(_SHORTEST_SECONDS * 2.0**self._failures, _LONGEST_SECONDS)
        self._failures = min(self._failures + 1, 10)
        return pause

    def _issued(self) -> Identity:
        given: object = None
        failure = None
        try:
            given = self._issue()
        except Exception as error:  # noqa: BLE001 - the user's own function; what it says may be the secret
            failure = f"issue() failed: {type(error).__name__}"
        if failure:  # raised here, and not in the handler: the error in there would go along
            raise IdentityError(failure)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            if iscoroutine(given):
                given.close()
            size = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
            raise IdentityError(f"issue() must return (certificate, key); it returned {type(given).__name__}{size}")
        return Identity(*given)

    def _time_to_renew(self) -> float:
        return time() + max(self._identity.remaining_seconds() * self._renew_after, _SHORTEST_SECONDS)


def _keep(reference: weakref.ref[CallbackIdentity], bell: Event) -> None:
    while not bell.is_set():
        owner = reference()
        if owner is None:
            return
        pause = owner._renew_if_due()
        del owner
        bell.wait(pause)
