"""What the commands read and print."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
import sys
from typing import Any

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InvalidRequest


__all__ = [
    "certificate_of",
    "print_facts",
    "print_json",
    "printable",
    "read_bytes",
    "read_certificate",
    "read_jwks",
    "read_secret",
    "read_token_argument",
    "write_private",
]


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(value, indent=2, default=str))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {printable(value)}")


def printable(value: object) -> str:
    """*value* as text in one line."""
    # Claims are somebody's words; a line of theirs must not look like one of ours.
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in str(value))


def read_bytes(path: str) -> bytes:
    """The content of a file, or of standard input for ``-``.

    Raises:
        ConfigurationError: if it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None


def read_token_argument(text: str) -> str:
    """The token that a command was given, or the one on standard input for ``-``, without the line end after it.

    Raises:
        ConfigurationError: if it is the name of a file instead.
    """
    if text == "-":
        return read_bytes("-").decode("latin-1").rstrip("\r\n")
    try:
        is_file = len(text) < 256 and Path(text).is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file:
        raise ConfigurationError(f"{printable(text)} is a file; give - as the token, and the file as standard input")
    return text


def read_certificate(path: str) -> PeerCertificate:
    """The certificate in a PEM or DER file.

    Raises:
        ConfigurationError: if the file cannot be read, or is no certificate.
    """
    return certificate_of(read_bytes(path), path)


def certificate_of(data: bytes, path: str) -> PeerCertificate:
    """The certificate that *data* is, the content of the file *path*.

    Raises:
        ConfigurationError: if it is none.
    """
    try:
        # A DER certificate begins with 0x30, which is the character 0; everything else is read, and refused, as PEM.
        return PeerCertificate.from_der(data) if data[:1] == b"0" else PeerCertificate.from_pem(data.decode("latin-1"))
    except InvalidRequest as error:
        raise ConfigurationError(f"{path}: {error}") from None


def read_jwks(path: str) -> Any:
    """The JSON in a file; whether it is a JWK Set is for `KeySet.from_jwks` to say.

    Raises:
        ConfigurationError: if the file cannot be read, or is not JSON.
    """
    if path.startswith("https://"):
        raise ConfigurationError("--jwks takes a file; without it, `tokenbind verify` fetches the issuer's keys")
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not JSON") from None


def read_secret(path: str | None) -> bytes | None:
    """The first line of a file, as bytes, or None without a path.

    Raises:
        ConfigurationError: if it cannot be read, or the line is empty.
    """
    if path is None:
        return None
    secret = read_bytes(path).partition(b"\n")[0].rstrip(b"\r")
    if not secret:
        raise ConfigurationError(f"the first line of {path} is empty; a password belongs there")
    return secret


def write_private(path: str, data: bytes, *, replace: bool) -> None:
    """Write a file that only its owner can read (0600), from its first byte on.

    Raises:
        ConfigurationError: if it cannot be written, is there already and *replace* is false, or is no regular file.
    """
    if os.path.lexists(path) and not (Path(path).is_file() and not Path(path).is_symlink()):
        raise ConfigurationError(f"{path} is no regular file; give another name")
    temporary = f"{path}.new-{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            if replace:
                Path(temporary).replace(path)
            else:
                os.link(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists; give --force to replace it") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
