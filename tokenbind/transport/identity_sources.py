"""Where an `Identity` comes from. Each is asked for the current one at the moment of sending."""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
from pathlib import Path
from typing import Protocol

from ..errors import IdentityError
from .followed_files import FollowedFiles, file_name
from .identity import Identity, Password, successor
from .process_lock import ProcessLock


__all__ = ["FileIdentity", "IdentitySource", "MemoryIdentity"]


_log = logging.getLogger("tokenbind")


class IdentitySource(Protocol):
    """Gives the identity to use now. The same object as before means: nothing has changed."""

    def current(self) -> Identity: ...


class MemoryIdentity:
    """An identity from PEM text in memory; the key never touches the disk in the clear.

    Args:
        certificates: The certificate in PEM, with its chain if it has one, leaf first; *str* or *bytes*.
        key: The private key in PEM; *str* or *bytes*.
        password: The key's password, or a function that returns it; without one, an encrypted key is an error, never a
            prompt.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def __init__(self, certificates: str | bytes, key: str | bytes, password: Password = None) -> None:
        self._lock = ProcessLock()
        self._identity = Identity(certificates, key, password)

    def current(self) -> Identity:
        """The identity; the same until it is replaced."""
        return self._identity

    def replace(self, certificates: str | bytes, key: str | bytes, password: Password = None) -> None:
        """Go on with another certificate and key, all at once; the same ones again change nothing. For any thread.

        Raises:
            IdentityError: if they cannot be used, or the new certificate is not valid now while the last one is. Then
                the last one stays.
        """
        new = Identity(certificates, key, password)
        with self._lock.mine():
            # Of two threads the one with the newer pair wins.
            if new.generation > self._identity.generation:
                self._identity = successor(new, self._identity)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._identity.thumbprint}>"


class FileIdentity:
    """An identity from PEM files, which are followed: what is written into them is in use within a second.

    The files are looked at on the path of a request, about once a second; there is no thread. Two files, or one with
    both; replaced, rewritten in place, or behind links that are swapped, as in a Kubernetes volume. While they cannot
    be used (half a rewrite, a key of another certificate, a certificate that is expired or not valid yet) the last good
    identity stays, and one warning in the log says why. A key that every user of the machine may read is warned of.

    Args:
        certificates: The file of the certificate, with its chain if it has one, leaf first.
        key: The file of its private key; default: the same file.
        password: The key's password, or a function that returns it: called whenever the files have changed, and about
            once a second while they cannot be used.

    Raises:
        IdentityError: if, for a second, a file cannot be read, or they do not belong together.
    """

    def __init__(
        self,
        certificates: str | os.PathLike[str],
        key: str | os.PathLike[str] | None = None,
        password: Password = None,
    ) -> None:
        given = (certificates,) if key is None else (certificates, key)
        files = tuple(file_name(file, IdentityError, "for PEM text use MemoryIdentity") for file in given)
        self._files = follow(files, lambda contents: Identity(contents[0], contents[-1], password))

    def current(self) -> Identity:
        """The identity in the files as they are, or as they last were when they could be used."""
        return self._files.current()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._files.last.thumbprint}>"


def follow(files: tuple[Path, ...], make: Callable[[tuple[bytes, ...]], Identity]) -> FollowedFiles[Identity]:
    """The identity that *make* makes of the contents of *files*, the last of which holds the private key."""

    def note(identity: Identity, problem: str | None) -> None:
        identity.note(problem and f"its files have changed since, and cannot be used: {problem}")

    what = "the client's certificate and key"
    named = f"{what} in {', '.join(map(str, files))}" if files else what
    try:
        followed = FollowedFiles(
            what,
            files,
            lambda contents, last: successor(make(contents), last),
            error=IdentityError,
            private=files[-1] if files else None,
            note=note,
            news=lambda identity: f"{identity.thumbprint} was read, valid until {identity.not_after}",
        )
    except IdentityError as error:
        raise (IdentityError(f"{named}: {error}") if files else error) from None
    problem = followed.last.date_problem()
    if problem is not None:
        _log.warning("%s: %s, and no request is sent with it", named, problem)
    return followed
