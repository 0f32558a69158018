"""The thread that refreshes a `RemoteKeySet`: it neither keeps alive what it works for, nor outlives it."""

from __future__ import annotations

from threading import Lock, Thread
from typing import Protocol
import weakref


__all__ = ["Bell", "Refreshed", "start_thread"]


class Bell:
    """An event that may be set from anywhere.

    The garbage collector calls `ring`, in the midst of whatever a thread is doing. A `threading.Event` would wait for
    its own lock there, if that was a call of `wait`, for ever.
    """

    __slots__ = ("_silence",)

    def __init__(self) -> None:
        self._silence = Lock()
        self._silence.acquire()

    def ring(self, _: object = None) -> None:
        """Let who waits go on, now or later."""
        try:
            self._silence.release()
        except RuntimeError:
            pass  # it rings already

    def wait(self, seconds: float) -> None:
        """Until it rings, or for so long; it is silent afterwards."""
        self._silence.acquire(timeout=seconds)

    def silence(self) -> None:
        """Forget that it rang."""
        self._silence.acquire(blocking=False)


class Refreshed(Protocol):
    """What the thread works for."""

    def _refresh_now(self) -> float | None:
        """Returns the seconds until the next time, or None to end the thread."""
        ...


def start_thread(owner: Refreshed, bell: Bell) -> None:
    """Refresh *owner* now, whenever *bell* rings, and when it is time, until there is no other reference to it.

    Raises:
        RuntimeError: if no thread can be started.
    """
    Thread(target=_refresh, args=(weakref.ref(owner, bell.ring), bell), daemon=True, name="tokenbind-keys").start()


def _refresh(reference: weakref.ref[Refreshed], bell: Bell) -> None:
    pause: float | None = 0.0
    while pause is not None:
        bell.wait(pause)
        owner = reference()
        if owner is None:
            return
        pause = owner._refresh_now()
        del owner
