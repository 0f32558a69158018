"""`TokenVerifiers`: several issuers, each with its own keys, profile and policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InvalidToken, Reason
from ..monitoring import Monitor
from .bound_token import BoundToken
from .closing import Closing
from .compact import read_compact, read_unverified
from .signed_tokens import as_bytes
from .verdicts import report_refused
from .verifier import TokenVerifier


__all__ = ["TokenVerifiers"]


class TokenVerifiers(Closing):
    """Verifies the tokens of several issuers: a `Verifier` that leaves each token to the one for its ``iss``.

    Keys are never shared: a token is verified as its issuer's, with that issuer's keys alone (RFC 8725 §3.8), so one
    issuer cannot speak for another. Until then ``iss`` is a stranger's word, which only says whom to ask.

    Args:
        verifiers: One for each issuer.
        monitor: Told of tokens that no verifier is for; default: the monitor of the first.

    Raises:
        ConfigurationError: if there is none, or two are for the same issuer.
    """

    def __init__(self, verifiers: Iterable[TokenVerifier], *, monitor: Monitor | None = None) -> None:
        members = list(verifiers) if isinstance(verifiers, Iterable) else []
        if not members or not all(isinstance(verifier, TokenVerifier) for verifier in members):
            raise ConfigurationError("TokenVerifiers takes a list of TokenVerifier objects, one for each issuer")
        self._by_issuer = {verifier.issuer: verifier for verifier in members}
        if len(self._by_issuer) != len(members):
            raise ConfigurationError("two verifiers are for the same issuer; give one of them several audiences")
        self._monitor = members[0].monitor if monitor is None else monitor

    @property
    def monitor(self) -> Monitor | None:
        """The monitor that is told of tokens that no verifier is for."""
        return self._monitor

    @property
    def schemes(self) -> frozenset[str]:
        """The Authorization schemes of all profiles."""
        return frozenset[str]().union(*(verifier.schemes for verifier in self._by_issuer.values()))

    def verify(self, token: str | bytes, peer: PeerCertificate | None) -> BoundToken:
        """As `TokenVerifier.verify`, by the verifier for the token's issuer.

        Raises:
            InvalidToken: ``issuer_mismatch`` if there is none; otherwise as `TokenVerifier.verify`.
            Unavailable: if that issuer's keys, or revocation, cannot be known now.
        """
        return self._verifier_for(token, peer).verify(token, peer)

    async def verify_async(self, token: str | bytes, peer: PeerCertificate | None) -> BoundToken:
        """The same for asyncio and trio.

        Raises:
            InvalidToken, Unavailable: as for `verify`.
        """
        return await self._verifier_for(token, peer).verify_async(token, peer)

    def recheck(self, token: BoundToken, peer: PeerCertificate | None) -> float:
        """As `TokenVerifier.recheck`, by the verifier for the token's issuer.

        Raises:
            InvalidToken, Unavailable: as `TokenVerifier.recheck`.
        """
        return self._by_issuer[token.issuer].recheck(token, peer)

    def describe(self) -> dict[str, Any]:
        """What each verifier says of itself, by issuer, as JSON."""
        return {"issuers": {issuer: verifier.describe() for issuer, verifier in self._by_issuer.items()}}

    def __repr__(self) -> str:
        return f"<TokenVerifiers of {', '.join(self._by_issuer)}>"

    def close(self) -> None:
        """Close every verifier."""
        for verifier in self._by_issuer.values():
            verifier.close()

    def _verifier_for(self, token: str | bytes, peer: PeerCertificate | None) -> TokenVerifier:
        try:
            issuer = read_unverified(read_compact(as_bytes(token)).payload).get("iss")
            if type(issuer) is str and issuer in self._by_issuer:
                return self._by_issuer[issuer]
            raise InvalidToken(
                Reason.ISSUER_MISMATCH,
                f"iss is none of those that are trusted here: {', '.join(map(repr, self._by_issuer))}",
            )
        except InvalidToken as error:
            report_refused(self._monitor, error, peer)
            raise
