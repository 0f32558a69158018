"""The one origin that a token may be sent to (RFC 6454 §4: scheme, host and port)."""

from __future__ import annotations

from ..errors import ConfigurationError, OriginRefused
from ..transport.origin import read_https_url


__all__ = ["Origin"]


class Origin:
    """An https origin, such as ``https://api.example`` or ``https://api.example:8443``.

    Raises:
        ConfigurationError: if it is not https, or has more than scheme, host and port.
    """

    def __init__(self, text: str) -> None:
        url = read_https_url(text)
        if url is None or url.target not in {"", "/"} or "#" in text:
            raise ConfigurationError(
                "origin= must be https with host and port alone, such as 'https://api.example'; "
                "an international name in its ASCII form (xn--...)"
            )
        self._origin = url.origin
        self._text = text.rstrip("/")
        self._prefix = f"{self._text}/"
        self._host = self._text[len("https://") :]

    def __str__(self) -> str:
        return self._text

    def require(self, url: str, host: str | None = None) -> None:
        """Pass if *url* is on this origin, whatever its path, and so is *host*.

        Args:
            host: The Host header, if the request has one: by it, servers of many names choose who gets the request.

        Raises:
            OriginRefused: otherwise.
        """
        # The usual case, and quick: behind its slash, nothing changes the authority (RFC 3986 §3.2).
        if not url.startswith(self._prefix):
            read = read_https_url(url)
            if read is None or read.origin != self._origin:
                where = "what is no https URL" if read is None else read._replace(target="")
                raise OriginRefused(
                    f"a request or a redirect to {where} is refused: token and certificate are for {self._text} only; "
                    "nothing was sent there"
                )
        if host is not None and host != self._host:
            read = read_https_url(f"https://{host}")
            if read is None or read.origin != self._origin or read.target or "#" in host:
                raise OriginRefused(f"the Host header names another server than {self._text}; nothing was sent")
