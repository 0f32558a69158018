"""`KeySet`: the public keys of one issuer, and `KeySource`, where a verifier gets them from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigurationError, InvalidToken, Reason
from .algorithms import ALGORITHMS, verify_function
from .jwk import import_jwk, jwk_thumbprint


if TYPE_CHECKING:
    from ..transport.tls_context import Trust
    from .remote_keys import RemoteKeySet

__all__ = ["KeySet", "KeySource", "VerificationKey"]


class VerificationKey:
    """A public key together with the one algorithm it is used with here (RFC 8725 §3.1)."""

    __slots__ = ("algorithm", "kid", "verify")

    def __init__(self, public_key: Any, algorithm: str, kid: str | None) -> None:
        """Not public: `KeySet` makes them."""
        self.algorithm: str = algorithm
        self.kid: str | None = kid
        #: A function of signature and message: returns, or raises InvalidToken with ``signature_invalid``.
        self.verify: Callable[[bytes, bytes], None] = verify_function(public_key, algorithm)


class KeySource(Protocol):
    """Where a verifier gets the issuer's keys from: a `KeySet` is one that never changes."""

    def current(self) -> KeySet:
        """The keys as they are known now, at once. The same object as before means: nothing has changed.

        Raises:
            Unavailable: ``keys_unavailable``, if none are known, or what is known is too old.
        """
        ...

    def refetch(self, seen: KeySet | None, /) -> bool:
        """Something was not in *seen* (None: there were no keys): ask the issuer, if it is time for that.

        Waits if need be; bounded in how long, in how often, and in how many callers do.

        Returns:
            Whether there are other keys than *seen* now.
        """
        ...

    async def refetch_async(self, seen: KeySet | None, /) -> bool:
        """The same for asyncio and trio, where nothing may block."""
        ...

    def describe(self) -> dict[str, Any]:
        """What it is and what it knows, as JSON; for `TokenVerifier.describe`."""
        ...


class KeySet:
    """The public keys of one issuer, fixed. Never share one between issuers (RFC 8725 §3.8)."""

    __slots__ = ("_ids", "_keys", "_kids")

    def __init__(self, keys: Mapping[tuple[str | None, str], VerificationKey], ids: Collection[Any]) -> None:
        """Not public: use `from_jwks` or `from_url`."""
        self._keys = dict(keys)
        self._kids = frozenset(kid for kid, _ in keys)
        self._ids = frozenset(ids)

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any]) -> KeySet:
        """From a JWK Set (RFC 7517 §5), such as `TokenIssuer.jwks` returns.

        Keys that are not for signatures (``use``, ``key_ops``), or of a type that is not known here, are left out.
        A key with ``alg`` serves that algorithm alone; one without, every algorithm of its type and curve.

        Raises:
            ConfigurationError: if no key is left, if one is unsafe, private or broken, or if two cannot be told apart.
        """
        keys, problems = read_jwks(jwks, None)
        if problems:
            raise problems[0]
        return keys

    @staticmethod
    def from_url(
        url: str,
        *,
        ca: Trust = None,
        refresh_seconds: float = 300,
        max_stale_seconds: float = 3600,
        cooldown_seconds: float = 5,
        timeout_seconds: float = 4,
        proxy: str | None = None,
    ) -> RemoteKeySet:
        """The keys that an issuer publishes at *url*, kept up to date in the background.

        Arguments and behaviour are those of `RemoteKeySet`. Nothing is fetched until the first token comes.

        Raises:
            ConfigurationError: if an argument cannot be right.
        """
        from .remote_keys import RemoteKeySet

        return RemoteKeySet(
            url,
            ca=ca,
            refresh_seconds=refresh_seconds,
            max_stale_seconds=max_stale_seconds,
            cooldown_seconds=cooldown_seconds,
            timeout_seconds=timeout_seconds,
            proxy=proxy,
        )

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """The key named *kid*, for *algorithm*.

        Raises:
            InvalidToken: ``key_unknown``, or ``algorithm_refused`` if there is such a key, but for another algorithm.
        """
        key = self._keys.get((kid, algorithm))
        if key is not None:
            return key
        if kid is not None and kid in self._kids:
            raise InvalidToken(
                Reason.ALGORITHM_REFUSED,
                f"the token's header says {algorithm}, and the issuer's key of that kid is for "
                f"{', '.join(name for of, name in self._keys if of == kid)}",
            )
        raise InvalidToken(Reason.KEY_UNKNOWN, "the issuer's key set has no key of the token's kid")

    def retains(self, other: KeySet) -> bool:
        """Whether every key of *other* is in here too, with the same kid, for the same algorithms."""
        return other._ids <= self._ids

    def current(self) -> KeySet:
        """Itself: a fixed set is a `KeySource` that never changes."""
        return self

    def refetch(self, seen: KeySet | None) -> bool:
        """False: there is nowhere to ask."""
        return seen is not self

    async def refetch_async(self, seen: KeySet | None) -> bool:
        """False: there is nowhere to ask."""
        return seen is not self

    def __repr__(self) -> str:
        return f"<KeySet of {len({kid for kid, _, _ in self._ids})} keys>"

    def describe(self) -> dict[str, Any]:
        """Kids and algorithms, as JSON."""
        keys = [{"kid": kid, "alg": algorithm} for kid, algorithm, _ in sorted(self._ids, key=str)]
        return {"source": "fixed", "keys": keys}


def read_jwks(jwks: object, most: int | None) -> tuple[KeySet, Sequence[ConfigurationError]]:
    """The usable keys of a JWK Set, of which the first *most* are looked at, and what is wrong with it otherwise.

    Of two keys that cannot be told apart by ``kid``, ``kty``, ``alg`` and ``use`` the first is taken. There may be no
    usable key: an issuer that has withdrawn its only one says so in this way.

    Raises:
        ConfigurationError: if it is no JWK Set.
    """
    members = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(members, (list, tuple)):
        raise ConfigurationError('a JWK Set is needed: {"keys": [...]} (RFC 7517 §5)')
    found: dict[tuple[str | None, str], VerificationKey] = {}
    ids: list[tuple[str | None, str, str]] = []
    problems: list[ConfigurationError] = []
    if most is not None and len(members) > most:
        problems.append(ConfigurationError(f"the JWK Set has more than {most} keys; the others are not looked at"))
    for jwk in members[:most]:
        try:
            public_key, names = import_jwk(jwk)
        except ConfigurationError as problem:
            problems.append(problem)
            continue
        for name in names:
            kid = jwk.get("kid")
            if (kid, name) in found:
                problems.append(ConfigurationError(f"the JWK Set has two keys for {name} with the same kid"))
                continue
            found[kid, name] = VerificationKey(public_key, name, kid)
            ids.append((kid, name, jwk_thumbprint(jwk)))
    if not found:
        problems.append(ConfigurationError(f"the JWK Set has no key for any of {', '.join(ALGORITHMS)}"))
    # A token without kid can be verified if only one key comes into question.
    for name in ALGORITHMS:
        fitting = [key for (_, algorithm), key in found.items() if algorithm == name]
        if len(fitting) == 1:
            found[None, name] = fitting[0]
    return KeySet(found, ids), problems
