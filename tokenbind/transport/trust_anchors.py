"""`TrustAnchors`: the CAs that vouch for a server, from a file that may change meanwhile."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import ConfigurationError
from .followed_files import FollowedFiles, file_name
from .tls_context import Trust, client_context, require_trust


__all__ = ["Anchors", "TrustAnchors", "TrustSource"]


class Anchors(NamedTuple):
    """PEM certificates, or None for the system's; with a number that grows when they change."""

    number: int
    pem: bytes | None


class TrustSource(Protocol):
    """Gives the trust anchors to use now."""

    def current(self) -> Anchors: ...


class TrustAnchors:
    """From what is given as ``ca=``: the name of a file, PEM text as bytes, None for the system's, or a `TrustSource`.

    A file is followed: what is written into it counts within a second. Bytes and None never change.

    Raises:
        ConfigurationError: if it cannot be read, or holds no certificate.
    """

    def __init__(self, ca: Trust | TrustSource) -> None:
        self._source: TrustSource
        if ca is not None and callable(getattr(ca, "current", None)):
            self._source = ca  # type: ignore[assignment]
            given = self._source.current()
            if not isinstance(given, Anchors):
                raise ConfigurationError("ca= has a current() that does not return Anchors(number, pem)")
            client_context(given.pem)
            return
        require_trust(ca)
        fixed = ca if isinstance(ca, bytes) else None
        files = () if ca is None or fixed is not None else (file_name(ca, _problem, "give the text as bytes"),)

        def anchors(contents: tuple[bytes, ...], last: Anchors | None) -> Anchors:
            pem = contents[0] if contents else fixed
            try:
                if pem is not None and pem.count(b"-----BEGIN ") != pem.count(b"-----END "):
                    raise ConfigurationError("ca= is cut off: the END line of a certificate is not there")
                client_context(pem)
            except ConfigurationError as error:
                raise (_problem(f"{files[0]} has no PEM certificates, or a part of one") if files else error) from None
            return Anchors(1 if last is None else last.number + 1, pem)

        try:
            self._source = FollowedFiles(
                "the CA certificates", files, anchors, error=_problem, news=lambda _anchors: "new ones were read"
            )
        except ConfigurationError:
            if files and not files[0].exists():
                raise ConfigurationError(f"ca= names a file that does not exist: {str(files[0])!r}") from None
            raise

    def current(self) -> Anchors:
        """What is in the file now; the last good ones while it cannot be used."""
        return self._source.current()


def _problem(why: str) -> ConfigurationError:
    return ConfigurationError(f"ca= cannot be used: {why}")
