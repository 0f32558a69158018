"""A server's TLS context that follows its files: certificate, key, and the CA bundle of its clients.

Short-lived certificates are rewritten by cert-manager, spiffe-helper or certbot while the server runs, and servers read
theirs once. `ReloadingSSLContext` stands where a server wants an `ssl.SSLContext`. `tokenbind.servers.uvicorn`,
``.hypercorn`` and ``.gunicorn`` have it in the form of their server's hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
import logging
import os
from pathlib import Path
import ssl
from threading import Lock
from typing import Any, Self

from ..errors import ConfigurationError


__all__ = ["ReloadingSSLContext"]

_log = logging.getLogger("tokenbind")

Make = Callable[[], ssl.SSLContext]
File = str | os.PathLike[str] | None


class ReloadingSSLContext(ssl.SSLContext):
    """For each connection the context of the files as they are now.

    The files are read at every new connection, so a change counts from the next one on, without a thread. When they
    differ, *make* is called for a context that is new as a whole: a live one could take a new certificate, but never
    forget a CA. Session tickets end with their context, so a client whose CA was removed cannot resume either. Files
    that cannot be used, such as half a rewrite, change nothing: the last good context serves on, and one warning in the
    log says why.

    It does NOT end connections that are open: those of a client whose CA was removed last until they are closed.

    What is set on this object would have no effect, and is an error; *make* is where to set it.

    Args:
        make: Returns a new context, made from the files.
        files: The files that *make* reads; None is passed over.

    Raises:
        ConfigurationError: if *make* fails at first.
    """

    _reloader: _Reloader

    def __new__(cls, make: Make, *files: File) -> Self:  # noqa: ARG004 - those of __init__
        """A context without anything: what it is asked for, the current one does."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, make: Make, *files: File) -> None:
        object.__setattr__(self, "_reloader", _Reloader(make, files))

    def wrap_socket(self, *args: Any, **options: Any) -> Any:
        """As `ssl.SSLContext.wrap_socket`, by the current context."""
        return self._reloader.current().wrap_socket(*args, **options)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """As `ssl.SSLContext.wrap_bio`, by the current context."""
        return self._reloader.current().wrap_bio(*args, **options)

    def __setattr__(self, name: str, value: object) -> None:
        raise ConfigurationError(f"{name} has to be set where the context is made, each time anew")


class _Reloader:
    """The context of the files as they are, or as they last were when they could be used."""

    def __init__(self, make: Make, files: Iterable[File]) -> None:
        self._make = make
        self._files = [Path(file) for file in files if file is not None]
        self._made_of = self._failed_with = self._read()
        self._renewing = Lock()
        try:
            self._context = make()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the server's TLS files cannot be used: {error}") from None

    def current(self) -> ssl.SSLContext:
        found = self._read()
        # Whoever comes meanwhile has the last one.
        if found != self._made_of and self._renewing.acquire(blocking=False):
            try:
                self._renew(found)
            finally:
                self._renewing.release()
        return self._context

    def _renew(self, found: tuple[bytes | None, ...]) -> None:
        try:
            for file, digest, before in zip(self._files, found, self._made_of, strict=True):
                if digest is None and before is not None:
                    raise OSError(f"{file} is missing, or no file that can be read")
            context = self._make()
        except (OSError, ValueError) as error:
            if found != self._failed_with:
                self._failed_with = found
                _log.warning(
                    "the server's TLS files have changed, and cannot be used; the last good ones serve on: %s", error
                )
            return
        if self._read() == found:  # otherwise it may be made of halves; the next connection tries again
            self._context, self._made_of = context, found
            _log.info("the server's TLS files have changed, and are in use")

    def _read(self) -> tuple[bytes | None, ...]:
        """What is in the files, in a form that holds no key."""
        return tuple(map(_digest, self._files))


def _digest(file: Path) -> bytes | None:
    try:
        # A pipe would be waited for, and the server with it.
        return sha256(file.read_bytes()).digest() if file.is_file() else None
    except OSError:
        return None
