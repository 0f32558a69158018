"""The one origin that a token may be sent to (RFC 6454 §4: scheme, host and port)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import ConfigurationError, OriginRefused


__all__ = ["Origin"]


_is_origin = re.compile(r"https://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]*)?/?", re.IGNORECASE).fullmatch


class Origin:
    """An https origin, such as ``https://api.example`` or ``https://api.example:8443``.

    Raises:
        ConfigurationError: if it is not https, or has more than scheme, host and port.
    """

    def __init__(self, text: str) -> None:
        self._host_and_port = _parse(text)
        if self._host_and_port is None or not _is_origin(text):
            raise ConfigurationError(
                "origin= must be https with host and port alone, such as 'https://api.example'; "
                "an international name in its ASCII form (xn--...)"
            )
        self._text = text.rstrip("/")

    def require(self, url: str) -> None:
        """Pass if *url* is on this origin, whatever its path.

        Raises:
            OriginRefused: otherwise.
        """
        if _parse(url) != self._host_and_port:
            raise OriginRefused(f"the token and the certificate are for {self._text} only; nothing was sent")


def _parse(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        return None
    return parts.hostname, port
