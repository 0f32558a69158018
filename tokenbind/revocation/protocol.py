"""What the verifier asks, and of what."""

from __future__ import annotations

from typing import Protocol

from ..binding import Confirmation


__all__ = ["RevocableToken", "Revocation"]


class RevocableToken(Protocol):
    """What of a token, its signature verified, can be revoked; `issued_at` is in seconds since the epoch."""

    @property
    def issuer(self) -> str: ...
    @property
    def token_id(self) -> str | None: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def issued_at(self) -> float: ...
    @property
    def confirmation(self) -> Confirmation | None: ...


class Revocation(Protocol):
    """Answers from this process's own memory: a request waits for no network.

    A source that is fed from elsewhere raises `Unavailable` once what it knows is too old; it never says "fine" then.
    """

    def check(self, token: RevocableToken, presented: str | None, /) -> None:
        """Return if nothing about *token* is revoked, nor the certificate whose thumbprint is *presented*.

        Raises:
            InvalidToken: ``token_revoked``.
            Unavailable: ``revocation_unavailable``.
        """
