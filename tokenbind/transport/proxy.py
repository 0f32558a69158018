"""The forward proxy that our requests go through: by argument alone, never from the environment."""

from __future__ import annotations

from binascii import b2a_base64
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import ConfigurationError
from .origin import HOST, read_host


__all__ = ["Proxy", "require_proxy"]

_is_proxy = re.compile(
    rf"http://(?:(?P<user>[!-~]*?):(?P<password>[!-~]*)@)?(?P<host>{HOST}):(?P<port>[0-9]{{1,5}})/?"
).fullmatch
_has_controls = re.compile(rb"[\x00-\x1f\x7f]").search


class Proxy(NamedTuple):
    """Where the proxy is, and the headers of the CONNECT, which hold its password."""

    host: str
    port: int
    headers: dict[str, str]

    def __repr__(self) -> str:
        return "<Proxy>"


def require_proxy(proxy: str | None) -> Proxy | None:
    """Read ``http://[user:password@]host:port``, with user and password percent-encoded; None stays None.

    Does NOT connect to it.

    Raises:
        ConfigurationError: if it is anything else. The message does not show it.
    """
    if proxy is None:
        return None
    found = _is_proxy(proxy) if isinstance(proxy, str) else None
    host, port = (read_host(found["host"]), int(found["port"])) if found else (None, 0)
    user, password = (unquote_to_bytes(found[name] or "") if found else b"" for name in ("user", "password"))
    # RFC 7617 §2: "a user-id containing a colon character is invalid", and neither may contain control characters.
    if not found or not host or not 0 < port < 65_536 or b":" in user or _has_controls(user + password):
        raise ConfigurationError(
            "proxy= must be http://host:port or http://user:password@host:port, with user and password percent-encoded"
        )
    if found["user"] is None:
        return Proxy(host, port, {})
    credentials = b2a_base64(user + b":" + password, newline=False).decode()
    return Proxy(host, port, {"Proxy-Authorization": f"Basic {credentials}"})
