"""`TokenVerifier`: signature, claims, expiry, revocation and binding, in this order, and then a `BoundToken`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from time import time
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from ..binding import BindingPolicy, PeerCertificate, verify_binding
from ..errors import ConfigurationError, InvalidToken, Reason, Unavailable
from ..monitoring import Monitor
from ..revocation import Revocation
from .algorithms import canonical_algorithms
from .bound_token import BoundToken, VerifiedToken
from .claims import claims_policy, claims_reader, require_leeway
from .closing import Closing
from .keys import KeySet, KeySource
from .profile import AccessTokenProfile
from .protocol import VerifierOptions
from .signed_tokens import SignedTokens
from .verdicts import report_accepted, report_refused


if TYPE_CHECKING:
    from ..transport.tls_context import Trust

__all__ = ["TokenVerifier"]

_create: Any = object.__new__
_REVOCATION_SECONDS, _SET_CLOCK_SECONDS = 0.5, 10.0  # how soon to look again for one, and whether the clock was set
_CLEARED_BY_NEWS = (Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE)


class TokenVerifier(Closing):
    """Verifies the certificate-bound JWT access tokens of one issuer. Safe to share between threads and tasks.

    What it does: the token's form, ``typ``, algorithm and signature; ``iss``, ``aud``, ``exp``, ``nbf``, ``iat`` and
    the claims that the profile requires; that the token is not revoked; and that the peer certificate is the one
    that the token names (RFC 8705 §3).

    What it does NOT verify: the chain and dates of the peer certificate (RFC 8705 §6.2: the TLS layer's business),
    scopes (`BoundToken.require_scope`), and where *peer* came from (`tokenbind.peer`).
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        keys: KeySource,
        algorithms: Collection[str] | None = None,
        profile: AccessTokenProfile = AccessTokenProfile.RFC9068,
        binding: BindingPolicy = BindingPolicy.REQUIRED,
        cache_size: int = 1024,
        cache_key: Literal["sha256", "token"] = "sha256",
        revocation: Revocation | None = None,
        monitor: Monitor | None = None,
        clock: Callable[[], float] = time,
        max_lifetime_seconds: float = 86_400,
        not_before_leeway_seconds: float = 10,
        expiry_leeway_seconds: float = 0,
    ) -> None:
        """
        Args:
            issuer: The exact ``iss`` of the tokens.
            audience: What this resource server is called in ``aud``; of several names, one must be there.
            keys: The issuer's keys, and no one else's.
            algorithms: The permitted ``alg`` values; default: those of the profile.
            profile: What an access token of this issuer looks like.
            binding: What to do with tokens whose binding does not hold.
            cache_size: How many verified tokens of up to 4 KiB are remembered (some 2 KB each); 0 for none. Expiry,
                binding and revocation are decided anew at every call all the same.
            cache_key: By what: their SHA-256, or the token itself, which is quicker, and leaves live tokens in memory.
            revocation: Asked at every call.
            monitor: Told of every verdict.
            clock: Seconds since the epoch.
            max_lifetime_seconds: Tokens with more between ``iat`` and ``exp`` are refused.
            not_before_leeway_seconds: How far ``iat`` and ``nbf`` may lie in the future; at most 60.
            expiry_leeway_seconds: How long after ``exp`` a token is still taken; at most 60.

        Raises:
            ConfigurationError: if an argument cannot be right.
        """
        if isinstance(keys, type) or not all(callable(getattr(keys, name, None)) for name in ("current", "refetch")):
            raise ConfigurationError("keys= must be a KeySet, such as KeySet.from_jwks({...}) or KeySet.from_url(...)")
        for plugged, name in ((revocation, "check"), (monitor, "record")):
            if plugged is not None and not callable(getattr(plugged, name, None)):
                raise ConfigurationError("revocation= must have the method check, and monitor= the method record")
        _require_policy(binding)
        require_leeway(expiry_leeway_seconds, "expiry_leeway_seconds=")
        self._claims = claims_policy(issuer, audience, profile, not_before_leeway_seconds, max_lifetime_seconds)
        self._expiry_leeway = expiry_leeway_seconds
        self._keys = keys
        self._fixed_keys = keys if isinstance(keys, KeySet) else None
        self._tokens = SignedTokens(
            keys,
            canonical_algorithms(profile.algorithms if algorithms is None else algorithms),
            profile.types,
            claims_reader(self._claims),
            cache_size,
            cache_key,
        )
        self._binding = binding
        self._revocation = revocation
        self._monitor = monitor
        self._clock = clock
        self._closes_keys = False

    @classmethod
    def from_issuer(
        cls,
        issuer: str,
        *,
        audience: str | Collection[str],
        ca: Trust = None,
        address: str | None = None,
        allowed_hosts: Collection[str] = (),
        proxy: str | None = None,
        refresh_seconds: float = 300,
        max_stale_seconds: float = 3600,
        cooldown_seconds: float = 5,
        timeout_seconds: float = 4,
        **options: Unpack[VerifierOptions],
    ) -> Self:
        """A verifier that finds the issuer's keys by its metadata (RFC 8414, or OpenID Connect Discovery).

        Nothing is fetched until the first token comes; an issuer that is away then is `Unavailable`, and no crash.
        `close` it, or use it in a ``with`` block, to end the thread that keeps the keys up to date.

        Args:
            issuer: The exact issuer identifier, an https URL, which metadata and ``iss`` must name.
            audience: As for the constructor, and so are *options*.
            address: The https origin at which to reach what is on the issuer's own origin, if that is another one.
            allowed_hosts: Further hosts (``host`` or ``host:port``) that the metadata may send us to for the keys.
            ca, proxy, refresh_seconds, max_stale_seconds, cooldown_seconds, timeout_seconds: See `RemoteKeySet`.

        Raises:
            ConfigurationError: if an argument cannot be right.
        """
        from .remote_keys import RemoteKeySet

        keys = RemoteKeySet(
            issuer,
            ca=ca,
            refresh_seconds=refresh_seconds,
            max_stale_seconds=max_stale_seconds,
            cooldown_seconds=cooldown_seconds,
            timeout_seconds=timeout_seconds,
            proxy=proxy,
            discover=True,
            address=address,
            allowed_hosts=allowed_hosts,
        )
        verifier = cls(issuer=issuer, audience=audience, keys=keys, **options)
        verifier._closes_keys = True
        return verifier

    @property
    def issuer(self) -> str:
        """The issuer whose tokens it verifies."""
        return self._claims.issuer

    @property
    def monitor(self) -> Monitor | None:
        """The monitor that is told of verdicts."""
        return self._monitor

    @property
    def schemes(self) -> frozenset[str]:
        """The Authorization schemes of its profile."""
        return self._claims.profile.schemes

    def with_binding(self, policy: BindingPolicy) -> TokenVerifier:
        """The same verifier under another binding policy; keys, cache, revocation and monitor are shared."""
        _require_policy(policy)
        other = copy(self)
        other._binding = policy
        other._closes_keys = False  # the original does
        return other

    def verify(self, token: str | bytes, peer: PeerCertificate | None) -> BoundToken:
        """Verify *token* as presented by *peer*.

        Args:
            token: The compact JWT, as in the Authorization header.
            peer: The certificate that the other end of the connection proved, or None if it has proven none.

        Raises:
            InvalidToken: with the `Reason`; never anything else, whatever *token* is.
            Unavailable: if keys or revocation cannot be known now.
        """
        now, keys = self._clock(), self._fixed_keys
        try:
            if keys is None:
                keys = self._keys.current()
            verified = self._tokens.verified(token, keys, now)
        except (InvalidToken, Unavailable) as error:
            news = error.reason in _CLEARED_BY_NEWS and self._keys.refetch(keys)
            verified, now = self._once_more(token, peer, error, news=news)
        return self._decide(verified, peer, now)

    async def verify_async(self, token: str | bytes, peer: PeerCertificate | None) -> BoundToken:
        """The same for asyncio and trio: only keys that have to be fetched are waited for; the rest is too quick.

        Raises:
            InvalidToken, Unavailable: as for `verify`.
        """
        now, keys = self._clock(), self._fixed_keys
        try:
            if keys is None:
                keys = self._keys.current()
            verified = self._tokens.verified(token, keys, now)
        except (InvalidToken, Unavailable) as error:
            news = error.reason in _CLEARED_BY_NEWS and await self._keys.refetch_async(keys)
            verified, now = self._once_more(token, peer, error, news=news)
        return self._decide(verified, peer, now)

    def recheck(self, token: BoundToken, peer: PeerCertificate | None) -> float:
        """Decide again about *token*, accepted with *peer* on a connection that is still open: all but its signature.

        Returns the seconds after which to ask again.

        Raises:
            InvalidToken, Unavailable: as for `verify`.
        """
        now = self._clock()
        self._decide(token._token, peer, now, anew=False)
        patience = _SET_CLOCK_SECONDS if self._revocation is None else _REVOCATION_SECONDS
        return min(patience, token._token.expires_at + self._expiry_leeway - now)

    def describe(self) -> dict[str, Any]:
        """The policy that is in force, and what is known of the keys, as JSON; for a start-up line or a health page."""
        return {
            **self._claims.describe(),
            **self._tokens.describe(),
            "binding": self._binding.name,
            "report_only_until": self._binding.report_only_until,
            "expiry_leeway_seconds": self._expiry_leeway,
            "revocation": None if self._revocation is None else type(self._revocation).__name__,
            "keys": self._keys.describe(),
        }

    def __repr__(self) -> str:
        return f"<TokenVerifier of {self._claims.issuer} for {', '.join(sorted(self._claims.audience))}>"

    def close(self) -> None:
        """End what `from_issuer` has started. Keys that were given to the constructor are their owner's to close."""
        if self._closes_keys:
            self._keys.close()  # type: ignore[attr-defined]

    def _once_more(
        self,
        token: str | bytes,
        peer: PeerCertificate | None,
        error: InvalidToken | Unavailable,
        *,
        news: bool,
    ) -> tuple[VerifiedToken, float]:
        """Verify it with the new keys, if there are any; otherwise *error* it is, or why there still are no keys."""
        if news or isinstance(error, Unavailable):
            now = self._clock()
            try:
                return self._tokens.verified(token, self._keys.current(), now), now
            except (InvalidToken, Unavailable) as last:
                error = last
        report_refused(self._monitor, error, peer)
        try:
            raise error from None
        finally:
            del error  # the frame and the error would hold each other

    def _decide(self, token: VerifiedToken, peer: PeerCertificate | None, now: float, anew: bool = True) -> BoundToken:
        """What is decided at every call, and again for a connection that stays open."""
        try:
            # RFC 7519 §4.1.4: "the current date/time MUST be before the expiration date/time".
            if not now < token.expires_at + self._expiry_leeway:
                raise InvalidToken(Reason.TOKEN_EXPIRED, f"the token expired {now - token.expires_at:.0f} seconds ago")
            revocation = self._revocation
            if revocation is not None:
                revocation.check(token, None if peer is None else peer._thumbprint)
            thumbprint, refusal = verify_binding(token.confirmation, peer, self._binding, now)
        except (InvalidToken, Unavailable) as error:
            report_refused(self._monitor, error, peer, token)
            raise
        except AttributeError:
            if isinstance(peer, PeerCertificate | None):
                raise
            wanted = "must be None or a PeerCertificate, such as PeerCertificate.from_pem(text)"
            raise ConfigurationError(f"the peer {wanted}, not {type(peer)}") from None
        if self._monitor is not None and anew:
            report_accepted(self._monitor, token, peer, thumbprint, refusal)
        bound: BoundToken = _create(BoundToken)
        bound._token, bound._thumbprint, bound._binding_refusal, bound._scope_refusal = token, thumbprint, refusal, None
        return bound


def _require_policy(policy: object) -> None:
    if not isinstance(policy, BindingPolicy):
        raise ConfigurationError("the binding policy must be a BindingPolicy, such as BindingPolicy.REQUIRED")
