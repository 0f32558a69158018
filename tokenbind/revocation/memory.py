"""A revocation list in this process's memory: for tests, for one process, and as the shape of the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from time import time

from ..binding import parse_thumbprint
from ..binding.moments import seconds_of
from ..errors import InvalidToken, Reason
from .protocol import RevocableToken


__all__ = ["MemoryRevocation"]

_PRUNE_EVERY = 256


class _Entries:
    """What is revoked of one issuer, and until when."""

    __slots__ = ("clients", "subjects", "tokens")

    def __init__(self) -> None:
        # Tokens without a client or a subject are asked about, too, and are never found.
        self.tokens: dict[str | None, float] = {}
        self.clients: dict[str | None, float] = {}
        self.subjects: dict[str | None, float] = {}


class MemoryRevocation:
    """Revoked tokens, clients, subjects and certificates. Safe to use from several threads; gone with the process.

    Args:
        issued_at_tolerance_seconds: "Issued before T" also covers tokens whose ``iat`` is up to this much after T,
            because the issuer's clock may be ahead.
        clock: Seconds since the epoch.
    """

    def __init__(self, *, issued_at_tolerance_seconds: float = 60, clock: Callable[[], float] = time) -> None:
        self._tolerance = issued_at_tolerance_seconds
        self._clock = clock
        self._issuers: dict[str, _Entries] = {}
        self._thumbprints: set[str] = set()
        self._writing = Lock()

    def revoke_token(self, issuer: str, token_id: str, *, expires_at: datetime) -> None:
        """Refuse one token from now on; a day after *expires_at* (aware), past any leeway, the entry is dropped."""
        tokens = self._entries(issuer).tokens
        self._extend(tokens, token_id, seconds_of(expires_at, "expires_at=") + 86_400)
        with self._writing:
            if len(tokens) % _PRUNE_EVERY == 0:
                now = self._clock()
                for key in [key for key, until in tokens.items() if until < now]:
                    del tokens[key]

    def revoke_client(self, issuer: str, client_id: str, *, issued_before: datetime) -> None:
        """Refuse the tokens that *issuer* gave to *client_id* before *issued_before* (aware)."""
        until = seconds_of(issued_before, "issued_before=") + self._tolerance
        self._extend(self._entries(issuer).clients, client_id, until)

    def revoke_subject(self, issuer: str, subject: str, *, issued_before: datetime) -> None:
        """Refuse the tokens that *issuer* gave for *subject* before *issued_before* (aware)."""
        until = seconds_of(issued_before, "issued_before=") + self._tolerance
        self._extend(self._entries(issuer).subjects, subject, until)

    def revoke_certificate(self, thumbprint: str) -> None:
        """Refuse every token that is bound to, or presented with, this certificate, of any issuer.

        Raises:
            InvalidRequest: ``certificate_malformed``, if *thumbprint* is none.
        """
        self._thumbprints.add(parse_thumbprint(thumbprint))

    def check(self, token: RevocableToken, presented: str | None, /) -> None:
        """As in `Revocation.check`; this list is never unavailable."""
        entries = self._issuers.get(token.issuer)
        if entries is not None:
            if token.token_id in entries.tokens:
                raise _revoked("token")
            client_id, subject = token.client_id, token.subject
            if client_id in entries.clients and entries.clients[client_id] >= token.issued_at:
                raise _revoked("client")
            if subject in entries.subjects and entries.subjects[subject] >= token.issued_at:
                raise _revoked("subject")
        thumbprints = self._thumbprints
        if thumbprints:
            confirmation = token.confirmation
            if presented in thumbprints or (confirmation is not None and confirmation.thumbprint in thumbprints):
                raise _revoked("certificate")

    def _entries(self, issuer: str) -> _Entries:
        return self._issuers.setdefault(issuer, _Entries())

    def _extend(self, entries: dict[str | None, float], key: str, until: float) -> None:
        """Set the end of an entry, never to an earlier one: what is revoked stays revoked."""
        with self._writing:
            entries[key] = max(until, entries.get(key, until))


def _revoked(what: str) -> InvalidToken:
    return InvalidToken(Reason.TOKEN_REVOKED, f"the {what} is revoked")
