"""Where an `Identity` comes from. Each is asked for the current one at the moment of sending."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ..errors import IdentityError
from .identity import Identity
from .tls_context import is_pem


__all__ = ["FileIdentity", "IdentitySource", "MemoryIdentity"]


class IdentitySource(Protocol):
    """Gives the identity to use now. The same object as before means: nothing has changed."""

    def current(self) -> Identity: ...


class MemoryIdentity:
    """An identity from PEM text in memory; the key never touches the disk.

    Args:
        certificates: The certificate in PEM, with its chain if it has one, leaf first; *str* or *bytes*.
        key: The private key in PEM; *str* or *bytes*.
        password: The key's password; without one, an encrypted key is an error, never a prompt.

    Raises:
        IdentityError: if they cannot be read, or do not belong together.
    """

    def __init__(self, certificates: str | bytes, key: str | bytes, password: str | None = None) -> None:
        text = certificates if isinstance(certificates, str) else certificates.decode("latin-1")
        self._identity = Identity(text, key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key, password)

    def current(self) -> Identity:
        """The identity; always the same."""
        return self._identity

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._identity.thumbprint}>"


class FileIdentity(MemoryIdentity):
    """An identity from PEM files, read once.

    Args:
        certificates: The file of the certificate, with its chain if it has one, leaf first.
        key: The file of its private key; default: the same file.
        password: The key's password.

    Raises:
        IdentityError: if a file cannot be read, or they do not belong together.
    """

    def __init__(
        self,
        certificates: str | os.PathLike[str],
        key: str | os.PathLike[str] | None = None,
        password: str | None = None,
    ) -> None:
        super().__init__(_read(certificates), _read(certificates if key is None else key), password)


def _read(path: str | os.PathLike[str]) -> bytes:
    if is_pem(path):
        raise IdentityError("this is PEM text, where the name of a file is needed; for PEM text use MemoryIdentity")
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise IdentityError(f"cannot read {os.fspath(path)!r}: {getattr(error, 'strerror', 'no file name')}") from None
