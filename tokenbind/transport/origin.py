"""https URLs in the one spelling that we use ourselves, and their origin (RFC 6454 §4: scheme, host and port)."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address
import re
from typing import NamedTuple

from ..errors import ConfigurationError


__all__ = ["HOST", "HttpsUrl", "read_host", "read_https_url", "require_url"]

#: A host: a name in ASCII without a dot at its end, an IPv4 address, or an IPv6 address in brackets.
HOST = r"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]+\])"

_is_https_url = re.compile(
    rf"(?i:https)://(?P<host>{HOST})(?::(?P<port>[0-9]{{1,5}}))?(?P<target>(?:[/?][!-\"$-~]*)?)(?:\#[!-~]*)?"
).fullmatch


class HttpsUrl(NamedTuple):
    """An https URL without its fragment.

    Attributes:
        host: In lower case; an IPv6 address in its canonical form, without brackets.
        port: 443 if the URL names none.
        target: Path and query, as they were; empty if the URL ends with its host.
    """

    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, int]:
        """Two URLs with the same one are of the same origin."""
        return self.host, self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}{'' if self.port == 443 else f':{self.port}'}{self.target}"


def read_https_url(url: object) -> HttpsUrl | None:
    """Take an https URL apart; None for everything else.

    Stricter than `urllib.parse`, so that no two libraries see two hosts in it: printable ASCII without white space, no
    userinfo, no empty label, no dot at the end of the host, and a port that can be. Nothing is decoded.
    """
    found = _is_https_url(url) if isinstance(url, str) else None
    port = int(found["port"] or 443) if found else 0
    host = read_host(found["host"]) if found else None
    return HttpsUrl(host, port, found["target"]) if found and host and 0 < port < 65_536 else None


def require_url(name: str, url: str) -> HttpsUrl:
    """Read the https URL that was given as the argument *name*.

    Raises:
        ConfigurationError: if it is anything else. The message does not show it: it may hold a password.
    """
    read = read_https_url(url)
    if read is None and isinstance(url, str) and url.startswith("http://"):
        raise ConfigurationError(f"{name}= must be an https URL, and is http")
    if read is None:
        raise ConfigurationError(
            f"{name}= must be an https URL in plain ASCII, without credentials or white space in it; "
            "an international name in its ASCII form (xn--...)"
        )
    return read


def read_host(host: str) -> str | None:
    """What `HttpsUrl.host` is for a text that matches `HOST`; None if there is no such host."""
    if not host.startswith("["):
        return host.lower() if len(host) <= 253 else None
    try:
        return str(IPv6Address(host[1:-1]))
    except AddressValueError:
        return None
