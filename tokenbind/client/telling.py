"""Tells the monitor, or else the log, what happened to a client's certificate and tokens."""

from __future__ import annotations

import logging

from ..errors import ConfigurationError
from ..monitoring import (
    ClientEvent,
    IdentityRotated,
    Monitor,
    TokenFetched,
    TokenNotFetched,
    TokenRejected,
    emit,
)


__all__ = ["require_monitor", "tell"]

_log = logging.getLogger("tokenbind")


def require_monitor(monitor: object) -> None:
    """Pass if it is one, or None.

    Raises:
        ConfigurationError: otherwise; each event would be lost.
    """
    if monitor is not None and not callable(getattr(monitor, "record", None)):
        raise ConfigurationError("monitor= must have a method record(event)")


def tell(monitor: Monitor | None, event: ClientEvent) -> None:
    """Give *event* to *monitor*; without one it goes to the log: a failure as a warning, the rest for who looks."""
    if monitor is not None:
        emit(monitor, event)
        return
    match event:
        case IdentityRotated():
            _log.info("the client's certificate is now %s, valid until %s", event.thumbprint, event.not_after)
        case TokenFetched():
            _log.debug("a token for %s was fetched, good for %.0f s", event.thumbprint, event.lifetime_seconds)
        case TokenNotFetched():
            _log.warning(
                "no token for the certificate %s: %s; %s; asked again in %.0f s at the earliest",
                event.thumbprint,
                event.detail.removeprefix("no token: "),
                f"requests go on with {event.serving} for {event.serving_seconds:.0f} s"
                if event.serving
                else "requests fail until there is one",
                event.retry_in_seconds,
            )
        case TokenRejected():
            _log.warning("%s refused the token of %s: %s", event.origin, event.thumbprint, event.error or "401")
        case _:
            _log.info("a request to %s is sent once more, with another token", event.origin)
