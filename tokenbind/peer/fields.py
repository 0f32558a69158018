"""The few header fields that a forwarded certificate is read from: found among those of a request, and hidden there.

Names are compared with every character but letters and digits taken for a hyphen: servers and frameworks make one name
of ``Client-Cert`` and ``Client_Cert``, and so would the application.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
import re
from typing import Any, TypeAlias

from ..errors import ConfigurationError


__all__ = ["Fields", "Names", "header_name"]

#: By canonical name, the values in their order; None stands for one whose own name is only alike.
Fields: TypeAlias = dict[bytes, list[bytes | None]]

_is_name = re.compile("[A-Za-z0-9]+(-[A-Za-z0-9]+)*").fullmatch
_TAKEN = ("authorization", "connection", "content-length", "content-type", "cookie", "early-data", "host")

_CANONICAL = bytes(code if chr(code).isalnum() and code < 128 else 0x2D for code in bytes(range(256)).lower())


def header_name(name: object, keyword: str) -> bytes:
    """The canonical form of a name that the user has chosen."""
    if type(name) is not str or not _is_name(name):
        raise ConfigurationError(f"{keyword}= takes the name of a header, of letters, digits and single hyphens")
    if name.lower() in _TAKEN:
        raise ConfigurationError(f"{keyword}= names {name}, which is no header of its own")
    return name.lower().encode()


class Names:
    """A set of canonical names, and what is done with the headers of those names."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names = frozenset(names)
        self._lengths = frozenset(map(len, self._names))
        self._keys = [(name, environ_key(name)) for name in self._names]

    def __bool__(self) -> bool:
        return bool(self._names)

    def hides(self, name: bytes) -> bool:
        """Whether *name* is one of them, or looks like one."""
        return len(name) in self._lengths and name.translate(_CANONICAL) in self._names

    def among(self, headers: Iterable[tuple[bytes, bytes]]) -> Fields:
        """Their values among *headers*."""
        found: Fields = {}
        names, lengths = self._names, self._lengths
        for name, value in headers:
            # By its length first, because this is asked of every header of every request.
            if len(name) in lengths:
                plain = name.translate(_CANONICAL)
                if plain in names:
                    found.setdefault(plain, []).append(value if name == plain or name.lower() == plain else None)
        return found

    def in_environ(self, environ: Mapping[str, Any]) -> Fields:
        """Their values in a WSGI environ: at most one each, in which servers have joined what came repeatedly."""
        return {name: [_latin_1(environ[key])] for name, key in self._keys if key in environ}

    def hide_in_scope(self, scope: MutableMapping[str, Any]) -> None:
        """Take them, and all that look like them, out of an ASGI scope, which must be the caller's own."""
        if self._names:
            scope["headers"] = [field for field in scope["headers"] if not self.hides(field[0])]
            if isinstance(environ := scope.get("wsgi_environ"), Mapping):  # a2wsgi
                scope["wsgi_environ"] = environ = dict(environ)
                self.hide_in_environ(environ)

    def hide_in_environ(self, environ: MutableMapping[str, Any]) -> None:
        """The same for a WSGI environ."""
        if self._names:
            for _, key in self._keys:
                environ.pop(key, None)
            if isinstance(scope := environ.get("asgi.scope"), Mapping):  # a2wsgi
                environ["asgi.scope"] = scope = {**scope, "wsgi_environ": None}
                self.hide_in_scope(scope)


def environ_key(name: bytes) -> str:
    """Where WSGI has the header of this canonical name."""
    return "HTTP_" + name.decode().upper().replace("-", "_")


def _latin_1(text: object) -> bytes | None:
    try:
        return text.encode("latin-1") if isinstance(text, str) else None
    except UnicodeEncodeError:
        return None
