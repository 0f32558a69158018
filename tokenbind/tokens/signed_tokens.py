"""`SignedTokens`: whether a token is the issuer's, and its claims are good: what stays true from request to request."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import Any

from ..errors import ConfigurationError, InvalidToken, Reason
from .algorithms import ALGORITHMS
from .bound_token import VerifiedToken
from .compact import MAX_TOKEN_BYTES, malformed, read_base64url_pair, read_header, wrong_number_of_segments
from .keys import KeySet, KeySource, VerificationKey
from .verified_cache import VerifiedCache


__all__ = ["SignedTokens"]

HEADERS_REMEMBERED = 64
LONGEST_CACHED = 4096  # bytes


class _Generation:
    """What was found out with one set of keys: the key that each header segment names, and verified tokens."""

    __slots__ = ("cache", "headers", "keys")

    def __init__(self, keys: KeySet | None, cache: VerifiedCache) -> None:
        self.keys = keys
        self.cache = cache
        self.headers: dict[bytes, VerificationKey] = {}


class SignedTokens:
    """Verifies form, ``typ``, algorithm, signature and claims, and remembers what was good.

    What it remembers of a token ends with the key that signed it: a set of keys which lacks one of its predecessor's
    begins with an empty cache.

    Args:
        keys: The issuer's keys.
        algorithms, types: The permitted ``alg`` and (lower-case) ``typ`` values.
        read_claims: Judges the claims.
        cache_size: How many tokens are remembered; 0 for none.
        cache_key: By what: "sha256", or "token" itself.

    Raises:
        ConfigurationError: if the last two cannot be right.
    """

    def __init__(
        self,
        keys: KeySource,
        algorithms: frozenset[str],
        types: frozenset[str],
        read_claims: Callable[[bytes, float], VerifiedToken],
        cache_size: int,
        cache_key: str,
    ) -> None:
        if not isinstance(cache_size, int) or cache_size < 0:
            raise ConfigurationError("cache_size= must be a whole number: 0 for no cache, or more")
        if cache_key not in ("sha256", "token"):
            raise ConfigurationError('cache_key= must be "sha256" or "token"')
        self.keys = keys
        self._algorithms = algorithms
        self._types = types
        named = " or ".join(sorted(types)) or "absent"
        self._type_refused = f"typ is not {named}, as an access token of this profile has it"
        self._read_claims = read_claims
        self._cache_size = cache_size
        self._hashed = cache_key == "sha256"
        self._longest_cached = LONGEST_CACHED if cache_size else -1
        self._turning = Lock()
        self._generation = _Generation(None, VerifiedCache(cache_size))

    def describe(self) -> dict[str, Any]:
        """What is permitted, and what is remembered, as JSON."""
        return {
            "algorithms": sorted(self._algorithms),
            "cache_size": self._cache_size,
            "cache_key": "sha256" if self._hashed else "token",
        }

    def verified(self, token: str | bytes, keys: KeySet, now: float) -> VerifiedToken:  # noqa: C901 - one frame
        """*token*, verified under *keys*, which are the current ones. It may have expired; nothing is bound yet.

        Raises:
            InvalidToken: ``key_unknown`` if only newer keys could help; otherwise it is refused for good.
        """
        if type(token) is not bytes:
            token = as_bytes(token)
        generation = self._generation
        if generation.keys is not keys:
            generation = self._turn(keys)
        cache, identity = generation.cache, None
        # What is longer than anything remembered is not hashed, only to be refused by its header.
        if len(token) <= cache.longest:
            identity = sha256(token).digest() if self._hashed else token
            verified = cache.young.get(identity)
            if verified is None and identity in cache.old:
                verified = cache.get(identity)
            if verified is not None:
                return verified
        if len(token) > MAX_TOKEN_BYTES:
            as_bytes(token)  # says what is wrong
        first, last = token.find(b"."), token.rfind(b".")
        if first == last or token.find(b".", first + 1) != last:
            raise wrong_number_of_segments()
        header = token[:first]
        known = generation.headers.get(header)
        # What can be refused by its header costs no more than that: nothing else of it is even copied.
        key = known or self._key(header, keys)
        payload, signature = token[first + 1 : last], token[last + 1 :]
        check, read_claims = key.verify, self._read_claims
        payload, raw_signature = read_base64url_pair(payload, signature)
        check(raw_signature, token[:last])
        verified = read_claims(payload, now)
        if known is None:
            # Only now, so that what strangers send does not push out the few headers that the issuer uses.
            if len(generation.headers) >= HEADERS_REMEMBERED:
                generation.headers.clear()
            generation.headers[header] = key
        if len(token) <= self._longest_cached and now < verified.expires_at:
            cache.put(identity or (sha256(token).digest() if self._hashed else token), verified)
            if len(token) > cache.longest:  # noqa: PLR1730 - max() costs more than all of put
                cache.longest = len(token)
        return verified

    def _turn(self, keys: KeySet) -> _Generation:
        """The generation of *keys*, which takes the place of the one before."""
        passing = _Generation(keys, VerifiedCache(self._cache_size))
        # Not waited for: a fork may have come while another thread held it, and for one request a cache can be missed.
        if not self._turning.acquire(blocking=False):
            return passing
        try:
            before = self._generation
            # One that was overtaken must not make withdrawn keys known to a cache that outlives its request.
            if self.keys.current() is not keys:
                return passing
            kept = before.keys is None or keys.retains(before.keys)
            self._generation = _Generation(keys, before.cache) if kept else passing
            return self._generation
        finally:
            self._turning.release()

    def _key(self, segment: bytes, keys: KeySet) -> VerificationKey:
        """The key that a header segment names, if everything about the header is as it must be."""
        header = read_header(segment)
        # RFC 8725 §3.11: explicit typing, so that an ID token or a logout token is never taken for an access token.
        if (header.type or "").lower() not in self._types:
            raise InvalidToken(Reason.TOKEN_TYPE_REFUSED, self._type_refused)
        # RFC 8725 §3.1: the caller's list decides, compared with case, and nothing in the token.
        if header.algorithm not in self._algorithms:
            if header.algorithm in ALGORITHMS:
                raise InvalidToken(
                    Reason.ALGORITHM_NOT_ENABLED,
                    f"the token is signed with {header.algorithm}, which is not enabled: if the issuer means it, give "
                    f'the verifier algorithms=("{header.algorithm}",)',
                )
            raise InvalidToken(Reason.ALGORITHM_REFUSED, "alg is no signature algorithm that is accepted here")
        return keys.find(header.kid, header.algorithm)


def as_bytes(token: object) -> bytes:
    """*token* as bytes, if it can be one, and is not too long to be looked at.

    Raises:
        InvalidToken: ``token_malformed``.
    """
    if isinstance(token, (str, bytes)) and len(token) > MAX_TOKEN_BYTES:
        raise malformed(f"it is longer than {MAX_TOKEN_BYTES} bytes")
    if type(token) is str and token.isascii():  # asked, because a UnicodeEncodeError would carry the token along
        token = token.encode()
    if type(token) is not bytes:
        raise malformed("it is neither ASCII text nor bytes")
    return token
