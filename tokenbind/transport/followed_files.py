"""Files that change while they are used: read on the path of a request, without a thread and without waiting."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
import logging
import os
from pathlib import Path
from stat import S_ISREG
from time import monotonic, sleep
from typing import Generic, NamedTuple, TypeVar

from ..errors import TokenBindError
from .process_lock import ProcessLock
from .tls_context import is_pem


__all__ = ["FollowedFiles", "file_name"]

_LOOK_SECONDS = 0.9  # so that a change is in use within a second
_SOON_SECONDS = 0.05  # while something is being written
# The coarsest clock of a file system (FAT): what is written within it can leave size and times as they are.
_SETTLED_SECONDS = 2.0
_FIRST_SECONDS = 1.0  # for files that are being written while we start
_PAUSE_SECONDS = 0.001  # more by half of it each time: never in step with who writes
_MAX_BYTES = 10_000_000
_OTHERS = 0o007 if os.name == "posix" else 0  # Windows has no such modes, and invents some

_log = logging.getLogger("tokenbind")

T = TypeVar("T")
Stamp = tuple[int, ...] | None


class _Seen(NamedTuple, Generic[T]):
    """What is known of the files; one object, so that a fork or another thread never finds half of it."""

    value: T
    made_of: tuple[bytes, ...]  # digests: there is no need to hold another copy of a key
    blocks: tuple[tuple[int, Stamp], ...]
    stamps: tuple[Stamp, ...]
    since: float  # when these stamps were first seen
    settled: bool = False  # the files have been read so long after that their stamps can be relied on
    refused: tuple[bytes, ...] | None = None
    problem: str | None = None
    failing_since: float = 0.0


class FollowedFiles(Generic[T]):
    """A value made of files, made anew when they change; the last good one stays while they cannot be used.

    At most about once a second, `current` looks whether the files are other ones. One thread does, the others have the
    last value at once. Whatever stands in for a file for a moment (nothing, a half, the certificate of one pair and the
    key of another) changes nothing; it is looked at again 50 ms later, and if it lasts, one warning in the log says so.

    Args:
        what: What is in the files, for the log.
        files: Without any, the value never changes.
        make: Makes a value of the contents; it is given the last value too, or None, and may return that.
        error: Makes an error of the words for why a file cannot be read.
        private: One of the files; if it is open to others, one warning says so.
        note: Called with the value in use and what is wrong with the files, or None when that is over.
        news: What the log says of a value that was made anew; whoever asks for it may not use it yet.

    Raises:
        TokenBindError: that of *make* or *error*, if after a second of trying there is no value.
    """

    def __init__(
        self,
        what: str,
        files: tuple[Path, ...],
        make: Callable[[tuple[bytes, ...], T | None], T],
        *,
        error: Callable[[str], TokenBindError],
        private: Path | None = None,
        note: Callable[[T, str | None], None] = lambda _value, _problem: None,
        news: Callable[[T], str] = lambda _value: "a change was read",
    ) -> None:
        self._what = f"{what} in {', '.join(map(str, files))}"
        self._files, self._make, self._error, self._note, self._news = files, make, error, note, news
        self._private, self._private_mode = private, 0
        self._lock = ProcessLock()
        self._warned: set[str] = set()
        self._seen: _Seen[T] = self._first()
        self._next_look = monotonic() + _SOON_SECONDS

    def current(self) -> T:
        """The value of the files as they are, or as they last were when they could be used."""
        if monotonic() >= self._next_look:
            lock = self._lock.mine()
            if lock.acquire(blocking=False):
                try:
                    self._look()
                finally:
                    lock.release()
        return self._seen.value

    @property
    def last(self) -> T:
        """The same, without looking."""
        return self._seen.value

    def _first(self) -> _Seen[T]:
        deadline, pause = monotonic() + _FIRST_SECONDS, _PAUSE_SECONDS
        refused: dict[tuple[bytes, ...], TokenBindError] = {}
        while True:
            try:
                stamps = self._stamps()
                contents = self._read(stamps)
                digests = _digests(contents)
                if digests in refused:  # the same is not tried twice: a password would be asked for again
                    raise refused[digests].with_traceback(None)
                try:
                    value = self._make(contents, None)
                except TokenBindError as error:
                    refused[digests] = error
                    raise
                return _Seen(value, digests, _blocks(contents, stamps), stamps, monotonic())
            except TokenBindError:
                if not self._files or monotonic() > deadline:
                    raise
            sleep(pause)
            pause += _PAUSE_SECONDS / 2

    def _look(self) -> None:
        now, last, stamps = monotonic(), self._seen, self._stamps()
        seen = last
        if not (last.settled and last.problem is None and stamps == last.stamps):
            since = last.since if stamps == last.stamps else now
            seen = self._renew(last._replace(stamps=stamps, since=since, settled=now >= since + _SETTLED_SECONDS))
            if last.problem is None:
                seen = seen._replace(failing_since=now)
            self._tell(last, seen, now)
            self._seen = seen
        self._next_look = now + (_LOOK_SECONDS if seen.settled else _SOON_SECONDS)

    def _renew(self, seen: _Seen[T]) -> _Seen[T]:
        refused = None
        try:
            contents = self._read(seen.stamps)
            digests, blocks = _digests(contents), _blocks(contents, seen.stamps)
            if digests == seen.made_of:
                return seen._replace(blocks=blocks, refused=None, problem=None)
            # Once settled it is tried again all the same: a certificate becomes valid by itself.
            if digests == seen.refused and not seen.settled:
                return seen
            if not seen.settled and any(map(_is_shortened, blocks, seen.blocks)):
                raise self._error("there is less in them than before: the rest may be still to come")
            refused = digests
            value = self._make(contents, seen.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the last good one is better than none
            problem = str(error) if isinstance(error, TokenBindError) else type(error).__name__
            return seen._replace(refused=refused, problem=problem)
        return seen._replace(value=value, made_of=digests, blocks=blocks, refused=None, problem=None)

    def _tell(self, last: _Seen[T], seen: _Seen[T], now: float) -> None:
        if seen.problem != last.problem:
            self._note(seen.value, seen.problem)
        if seen.problem is None:
            if self._warned:
                _log.info("%s can be used again", self._what)
            self._warned.clear()
            if seen.value is not last.value:
                _log.info("%s: %s", self._what, self._news(seen.value))
        # Half a rewrite is no news.
        elif seen.problem not in self._warned and now >= seen.failing_since + _SETTLED_SECONDS:
            self._warned.add(seen.problem)
            _log.warning("%s: a change cannot be used, and the last good state goes on: %s", self._what, seen.problem)

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(map(_stamp, self._files))

    def _read(self, stamps: tuple[Stamp, ...]) -> tuple[bytes, ...]:
        contents = tuple(map(self._content, self._files))
        if self._stamps() != stamps:
            raise self._error("the files change while they are read")
        return contents

    def _content(self, file: Path) -> bytes:
        try:
            with open(file, "rb", opener=_at_once) as stream:
                mode = os.fstat(stream.fileno()).st_mode
                if not S_ISREG(mode):
                    raise self._error(f"cannot read {str(file)!r}: it is not a regular file")
                content = stream.read(_MAX_BYTES + 1)
        except OSError as error:
            raise self._error(f"cannot read {str(file)!r}: {error.strerror}") from None
        if len(content) > _MAX_BYTES:
            raise self._error(f"cannot read {str(file)!r}: it is larger than {_MAX_BYTES} bytes")
        if file == self._private and mode & _OTHERS and mode != self._private_mode:
            self._private_mode = mode
            _log.warning(
                "the private key in %r is open to every user of this machine (mode %04o): make it 0600 (chmod 600), or "
                "in a Kubernetes volume 0400 (defaultMode: 0400; with fsGroup, 0440)",
                str(file),
                mode & 0o7777,
            )
        return content


def file_name(value: object, error: Callable[[str], TokenBindError], text_goes: str) -> Path:
    """*value* as the absolute path of a file, which need not exist.

    Raises:
        TokenBindError: made by *error*, if it cannot be one; PEM text is not shown, and *text_goes* says where to.
    """
    name = path = None
    try:
        name = os.fspath(value)  # type: ignore[call-overload]  # a TypeError, for what is none
        os.fsencode(name)
        # Not resolved: links, such as those of Kubernetes, will lead elsewhere tomorrow. Absolute: so may the process.
        path = Path(name).absolute()
    except (OSError, TypeError, ValueError):
        pass
    if is_pem(name):
        raise error(f"this is PEM text, where the name of a file is needed; {text_goes}")
    if path is None or not name or "\0" in name:
        raise error("the name of a file is needed, as str or path; this is no file name")
    return path


def _stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError:
        return None
    # The time of change, too: who writes in place can set the other one back, as archives and images do.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _digests(contents: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(sha256(content).digest() for content in contents)


def _blocks(contents: tuple[bytes, ...], stamps: tuple[Stamp, ...]) -> tuple[tuple[int, Stamp], ...]:
    """How many PEM blocks there are, in which file."""
    files = (stamp and stamp[:2] for stamp in stamps)
    return tuple((content.count(b"-----END "), file) for content, file in zip(contents, files, strict=True))


def _is_shortened(now: tuple[int, Stamp], before: tuple[int, Stamp]) -> bool:
    """Whether it is the same file with fewer blocks: a chain that is cut between two of them looks like a whole one."""
    return now[0] < before[0] and now[1] == before[1]


def _at_once(path: str, flags: int) -> int:
    # A pipe to which nobody writes would be waited for.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
