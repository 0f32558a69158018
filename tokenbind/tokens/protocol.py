"""What a resource server asks of a verifier, and what one can be told when it is built."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, Protocol, TypedDict

from ..binding import BindingPolicy, PeerCertificate
from ..monitoring import Monitor
from ..revocation import Revocation
from .bound_token import BoundToken
from .profile import AccessTokenProfile


__all__ = ["Verifier", "VerifierOptions"]


class Verifier(Protocol):
    """What a resource server asks of a verifier."""

    @property
    def monitor(self) -> Monitor | None:
        """Who is told of verdicts."""

    @property
    def schemes(self) -> frozenset[str]:
        """The Authorization schemes under which tokens may come, in lower case."""
        ...

    def verify(self, token: str | bytes, peer: PeerCertificate | None, /) -> BoundToken:
        """As `TokenVerifier.verify`: a bound token, or InvalidToken, or Unavailable."""
        ...

    async def verify_async(self, token: str | bytes, peer: PeerCertificate | None, /) -> BoundToken:
        """The same for asyncio and trio, where nothing may block."""
        ...

    def recheck(self, token: BoundToken, peer: PeerCertificate | None, /) -> float:
        """As `TokenVerifier.recheck`: whether a token stands whose connection is still open, and when to ask again."""
        ...


class VerifierOptions(TypedDict, total=False):
    """The keywords of `TokenVerifier` that have defaults."""

    algorithms: Collection[str] | None
    profile: AccessTokenProfile
    binding: BindingPolicy
    cache_size: int
    cache_key: Literal["sha256", "token"]
    revocation: Revocation | None
    monitor: Monitor | None
    clock: Callable[[], float]
    max_lifetime_seconds: float
    not_before_leeway_seconds: float
    expiry_leeway_seconds: float
