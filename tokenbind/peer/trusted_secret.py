"""Trust in a secret that the proxy sends along."""

from __future__ import annotations

from hmac import compare_digest
from pathlib import Path
from stat import S_ISREG

from ..errors import ConfigurationError, Reason, Unavailable
from .fields import header_name
from .incoming import Incoming
from .trusted_addresses import untrusted


__all__ = ["TrustedSecret"]

_MIN_BYTES = 32
_MAX_FILE_BYTES = 10_000
_VISIBLE = bytes(range(0x21, 0x7F))


class TrustedSecret:
    """The rule of `Trust.secret_header`."""

    thumbprints: frozenset[str] = frozenset()

    def __init__(self, name: str, file: Path) -> None:
        self.secret_header: bytes = header_name(name, "name")
        self._file = file
        try:
            stamp: tuple[int, ...] | None = _stamp(file)
            # Both in one, so that of two threads none leaves what it has read under the stamp of the other.
            self._known = stamp, _read(file)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error  # without the path, which OSError repeats
            raise ConfigurationError(f"Trust.secret_header(): {file} cannot be used: {why}") from None

    def check(self, incoming: Incoming) -> None:
        """As in `Rule.check`."""
        sent = incoming.fields.get(self.secret_header, ())
        # Nothing is said of what is wrong with it, and each value is compared, whatever the others were.
        good = [compare_digest(value, sent[0] or b"") for value in self._current()] if len(sent) == 1 else []
        if True not in good:
            raise untrusted("it has not the secret header, or it has another value in it")

    def _current(self) -> tuple[bytes, ...]:
        try:
            known, values = self._known
            stamp = _stamp(self._file)
            if stamp != known:
                values = _read(self._file)
                self._known = stamp, values
        except (OSError, ValueError) as error:
            # A secret that was taken away must not go on to be good.
            self._known = None, ()
            raise Unavailable(
                Reason.CERTIFICATE_SOURCE_MISSING,
                f"no information about the peer certificate: the secret of the proxy in {self._file} cannot be read: "
                f"{type(error).__name__}",
            ) from None
        return values


def _stamp(file: Path) -> tuple[int, ...]:
    status = file.stat()
    if not S_ISREG(status.st_mode):
        raise OSError("it is no regular file")  # a pipe would be waited for, by every request
    # The time of change, too: who writes in place can set the other one back, as archives and images do.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read(file: Path) -> tuple[bytes, ...]:
    with file.open("rb") as stream:
        values = tuple(stream.read(_MAX_FILE_BYTES).split())
    if len(values) not in (1, 2):
        raise ValueError("it must hold one value, or two while it is changed, each on a line of its own")
    if any(len(value) < _MIN_BYTES or value.translate(None, _VISIBLE) for value in values):
        raise ValueError(f"each value must be at least {_MIN_BYTES} visible ASCII characters")
    return values
