"""`TokenVerifier`: signature, claims, expiry, revocation and binding, in this order, and then a `BoundToken`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from hashlib import sha256
from time import time
from typing import Protocol

from ..binding import BindingPolicy, PeerCertificate, verify_binding
from ..errors import ConfigurationError, InvalidToken, Reason, Unavailable
from ..monitoring import Accepted, Monitor, Refused, emit
from ..revocation import Revocation
from .algorithms import ALGORITHMS, DEFAULT_ALGORITHMS, canonical_algorithms
from .bound_token import BoundToken, VerifiedToken
from .claims import claims_policy, read_claims, require_leeway
from .compact import MAX_TOKEN_BYTES, CompactToken, Header, malformed, read_base64url, read_compact, read_header
from .keys import KeySource, VerificationKey
from .profile import AccessTokenProfile
from .verified_cache import VerifiedCache


__all__ = ["TokenVerifier", "Verifier"]

_HEADERS_REMEMBERED = 64
_LONGEST_CACHED = 4096  # bytes: hashing a longer token would cost more than refusing it by its header


class Verifier(Protocol):
    """What a resource server asks of a verifier."""

    @property
    def monitor(self) -> Monitor | None:
        """Who is told of verdicts."""

    def verify(self, token: str | bytes, peer: PeerCertificate | None, /) -> BoundToken:
        """As `TokenVerifier.verify`: a bound token, or InvalidToken, or Unavailable."""
        ...

    async def verify_async(self, token: str | bytes, peer: PeerCertificate | None, /) -> BoundToken:
        """The same for asyncio, where nothing may block."""
        ...


class TokenVerifier:
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
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        profile: AccessTokenProfile = AccessTokenProfile.RFC9068,
        binding: BindingPolicy = BindingPolicy.REQUIRED,
        cache_size: int = 1024,
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
            audience: What this resource server is called in ``aud``; with several names, one of them must be there.
            keys: The issuer's keys, and no one else's.
            algorithms: The permitted ``alg`` values.
            profile: What an access token of this issuer looks like.
            binding: What to do with tokens whose binding does not hold.
            cache_size: How many verified tokens of up to 4 KiB are remembered (some 2 KB each); 0 for none. Expiry,
                binding and revocation are decided anew at every call all the same.
            revocation: Asked at every call.
            monitor: Told of every verdict.
            clock: Seconds since the epoch.
            max_lifetime_seconds: Tokens with more between ``iat`` and ``exp`` are refused.
            not_before_leeway_seconds: How far ``iat`` and ``nbf`` may lie in the future; at most 60.
            expiry_leeway_seconds: How long after ``exp`` a token is still taken; at most 60.

        Raises:
            ConfigurationError: if an argument cannot be right.
        """
        if not all(callable(getattr(keys, name, None)) for name in ("find", "find_async")):
            raise ConfigurationError("keys= must be a KeySet, such as KeySet.from_jwks({...})")
        if not isinstance(cache_size, int) or cache_size < 0:
            raise ConfigurationError("cache_size= must be a whole number: 0 for no cache, or more")
        for plugged, name in ((revocation, "check"), (monitor, "record")):
            if plugged is not None and not callable(getattr(plugged, name, None)):
                raise ConfigurationError("revocation= must have the method check, and monitor= the method record")
        _require_policy(binding)
        require_leeway(expiry_leeway_seconds, "expiry_leeway_seconds=")
        self._claims = claims_policy(issuer, audience, profile, not_before_leeway_seconds, max_lifetime_seconds)
        self._expiry_leeway = expiry_leeway_seconds
        self._keys = keys
        self._algorithms = canonical_algorithms(algorithms)
        self._binding = binding
        self._cache = VerifiedCache(cache_size)
        self._longest_cached = _LONGEST_CACHED if cache_size else -1
        self._headers: dict[bytes, Header] = {}
        self._revocation = revocation
        self._monitor = monitor
        self._clock = clock

    @property
    def monitor(self) -> Monitor | None:
        """The monitor that is told of verdicts."""
        return self._monitor

    def with_binding(self, policy: BindingPolicy) -> TokenVerifier:
        """The same verifier under another binding policy; keys, cache, revocation and monitor are shared."""
        _require_policy(policy)
        other = copy(self)
        other._binding = policy
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
        verified = None
        try:
            data = _as_bytes(token)
            digest = sha256(data).digest() if len(data) <= self._longest_cached else b""
            verified = self._cache.get(digest) if digest else None
            if verified is None:
                compact, header = self._read(data)
                key = self._keys.find(header.kid, header.algorithm)
                verified = self._verify_signature_and_claims(compact, header, key, digest)
            return self._verify_now(verified, peer)
        except (InvalidToken, Unavailable) as error:
            self._report(error, verified, peer)
            raise

    async def verify_async(self, token: str | bytes, peer: PeerCertificate | None) -> BoundToken:
        """The same for asyncio: only a key that has to be fetched is waited for, the rest is too quick to hand away.

        Raises:
            InvalidToken, Unavailable: as for `verify`.
        """
        verified = None
        try:
            data = _as_bytes(token)
            digest = sha256(data).digest() if len(data) <= self._longest_cached else b""
            verified = self._cache.get(digest) if digest else None
            if verified is None:
                compact, header = self._read(data)
                key = await self._keys.find_async(header.kid, header.algorithm)
                verified = self._verify_signature_and_claims(compact, header, key, digest)
            return self._verify_now(verified, peer)
        except (InvalidToken, Unavailable) as error:
            self._report(error, verified, peer)
            raise

    def _read(self, data: bytes) -> tuple[CompactToken, Header]:
        """Everything that can be refused before a key has to be found."""
        compact = read_compact(data)
        header = self._headers.get(compact.header)
        if header is None:
            header = read_header(compact.header)
            self._require_header(header)
        return compact, header

    def _require_header(self, header: Header) -> None:
        # RFC 8725 §3.11: explicit typing, so that an ID token or a logout token is never taken for an access token.
        if header.type is None or header.type.lower() not in self._claims.profile.types:
            raise InvalidToken(Reason.TOKEN_TYPE_REFUSED, "typ is not that of an access token of this profile")
        # RFC 8725 §3.1: the caller's list decides, compared with case, and nothing in the token.
        if header.algorithm not in self._algorithms:
            if header.algorithm in ALGORITHMS:
                raise InvalidToken(
                    Reason.ALGORITHM_NOT_ENABLED,
                    f"the token is signed with {header.algorithm}, which is not enabled: if the issuer means it, give "
                    f'the verifier algorithms=("{header.algorithm}",)',
                )
            raise InvalidToken(Reason.ALGORITHM_REFUSED, "alg is no signature algorithm that is accepted here")

    def _verify_signature_and_claims(
        self, compact: CompactToken, header: Header, key: VerificationKey, digest: bytes
    ) -> VerifiedToken:
        payload = read_base64url(compact.payload)
        key.verify(read_base64url(compact.signature), compact.signing_input)
        # Remembered only now, so that what strangers send does not push out the few headers that the issuer uses.
        if compact.header not in self._headers:
            if len(self._headers) >= _HEADERS_REMEMBERED:
                self._headers.clear()
            self._headers[compact.header] = header
        now = self._clock()
        verified = read_claims(payload, self._claims, now)
        if digest and now < verified.expires_at:
            self._cache.put(digest, verified)
        return verified

    def _verify_now(self, token: VerifiedToken, peer: PeerCertificate | None) -> BoundToken:
        """What is decided anew at every call."""
        now = self._clock()
        # RFC 7519 §4.1.4: "the current date/time MUST be before the expiration date/time".
        if not now < token.expires_at + self._expiry_leeway:
            raise InvalidToken(Reason.TOKEN_EXPIRED, f"the token expired {now - token.expires_at:.0f} seconds ago")
        if self._revocation is not None:
            self._revocation.check(token, None if peer is None else peer.thumbprint)
        binding = verify_binding(token.confirmation, peer, self._binding, now=now)
        if self._monitor is not None:
            emit(
                self._monitor,
                Accepted(
                    token.issuer,
                    token.client_id,
                    token.subject,
                    token.token_id,
                    binding.thumbprint,
                    binding.refusal,
                    None if peer is None else peer.source,
                ),
            )
        return BoundToken(token, binding.thumbprint, binding.refusal)

    def _report(
        self,
        error: InvalidToken | Unavailable,
        token: VerifiedToken | None,
        peer: PeerCertificate | None,
    ) -> None:
        if self._monitor is None:
            return
        event = Refused(
            error.reason,
            str(error),
            error.reference,
            error.status,
            expected=getattr(error, "expected", None),
            presented=getattr(error, "presented", None),
            source=None if peer is None else peer.source,
        )
        if token is not None:
            event = event._replace(
                issuer=token.issuer, client_id=token.client_id, subject=token.subject, token_id=token.token_id
            )
        emit(self._monitor, event)


def _require_policy(policy: object) -> None:
    if not isinstance(policy, BindingPolicy):
        raise ConfigurationError("the binding policy must be a BindingPolicy, such as BindingPolicy.REQUIRED")


def _as_bytes(token: object) -> bytes:
    if type(token) is str and token.isascii():  # asked, because a UnicodeEncodeError would carry the token along
        token = token.encode()
    if type(token) is not bytes:
        raise malformed("it is neither ASCII text nor bytes")
    if len(token) > MAX_TOKEN_BYTES:
        raise malformed(f"it is longer than {MAX_TOKEN_BYTES} bytes")
    return token
