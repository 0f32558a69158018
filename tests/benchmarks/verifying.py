"""Verify and bind, from the cache too, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import repeat

from floors import floor_thumbprint, floor_verify, verify_by_hand
from measure import Case
from report import Comparison
from workload import Workload

from tokenbind import InvalidToken, PeerCertificate, Reason, TokenVerifier
from tokenbind.revocation import MemoryRevocation


__all__ = ["cache_cases", "refusal_cases", "verify_cases"]

Cases = tuple[dict[str, Case], list[Comparison]]

# Must and aim: at most so many times FLOOR, and at least so many times as fast as jwt.decode with a check by hand.
_FLOOR = {"RS256": (1.15, 1.05), "ES256": (1.08, 1.02), "EdDSA": (1.08, 1.02)}
_BY_HAND = {"RS256": (2.2, 2.5), "ES256": (1.5, 1.6), "EdDSA": (None, None)}

_CACHED_TOKENS = 400  # in use at the same time
_REVOKED = 1000


def verify_cases(workload: Workload) -> Cases:
    """The whole verification, without a cache."""
    name = workload.algorithm
    verifier, public_key = workload.verifier(cache_size=0), workload.private_key.public_key()
    by_hand = verify_by_hand(name, public_key, workload.kit.issuer.issuer, workload.kit.audience)
    cases = {
        f"FLOOR {name}": Case(floor_verify(name, public_key), workload.presented(workload.der)),
        f"jwt.decode {name}": Case(by_hand, workload.presented(workload.der)),
        f"from DER {name}": Case(_from_der(verifier), workload.presented(workload.der)),
        f"known {name}": Case(verifier.verify, workload.presented(workload.peer)),
    }
    comparisons = []
    for how in ("from DER", "known"):
        mine, what = f"{how} {name}", f"verify + bind {name}, {how}"
        comparisons.append(Comparison(what, mine, f"FLOOR {name}", *_FLOOR[name]))
        comparisons.append(Comparison(f"{what}: times", mine, f"jwt.decode {name}", *_BY_HAND[name], faster=True))
    return cases, comparisons


def cache_cases(workload: Workload) -> Cases:
    """Tokens seen before, with everything that is decided anew at each call; and a cache that never helps."""
    cached = workload.verifier(revocation=_revocation(workload))
    for token in workload.tokens[:_CACHED_TOKENS]:
        cached.verify(token, workload.peer)
    cases = {
        "cached, known": Case(cached.verify, workload.presented(workload.peer, _CACHED_TOKENS)),
        "cached, from DER": Case(_from_der(cached), workload.presented(workload.der, _CACHED_TOKENS)),
        "never hit": Case(workload.verifier().verify, workload.presented(workload.peer)),
    }
    return cases, [
        Comparison("cached verify, known", "cached, known", "FLOOR RS256", 1 / 12, 1 / 19),
        Comparison("cached verify, from DER", "cached, from DER", "FLOOR RS256", 1 / 9, 1 / 13),
        Comparison("cache on, never hit", "never hit", "known RS256", 1.10, 1.05),
    ]


def refusal_cases(workload: Workload) -> Cases:
    """What is refused before a signature is looked at, by a verifier as it is built by default."""
    verifier = workload.verifier()
    tokens: dict[str, tuple[bytes, Reason]] = {
        f"size, {size >> 10} KiB": (b"x" * size, Reason.TOKEN_MALFORMED) for size in (32 << 10, 1 << 20)
    }
    for what, header, reason in (
        ("typ", {"typ": "JWT"}, Reason.TOKEN_TYPE_REFUSED),
        ("alg", {"alg": "none"}, Reason.ALGORITHM_REFUSED),
        ("kid", {"kid": "stranger"}, Reason.KEY_UNKNOWN),
    ):
        for size in (1 << 10, 4 << 10, 16 << 10):
            tokens[f"{what}, {size >> 10} KiB"] = _token_of_size(workload, size, header), reason
    cases, comparisons = {}, []
    for what, (token, reason) in tokens.items():
        cases[what] = Case(_refused(verifier, reason), repeat((token, workload.peer)))
        comparisons.append(Comparison(f"refuse {what}", what, "FLOOR RS256", 1 / 4, 1 / 8))
    return cases, comparisons


def _from_der(verifier: TokenVerifier) -> Callable[[bytes, bytes], object]:
    verify, from_der = verifier.verify, PeerCertificate.from_der
    return lambda token, der: verify(token, from_der(der))


def _refused(verifier: TokenVerifier, reason: Reason) -> Callable[[bytes, PeerCertificate], object]:
    def refused(token: bytes, peer: PeerCertificate) -> None:
        try:
            verifier.verify(token, peer)
        except InvalidToken as error:
            if error.reason is not reason:
                raise
        else:
            raise AssertionError("the token was accepted")

    return refused


def _token_of_size(workload: Workload, size: int, header: dict[str, str]) -> bytes:
    """Signed, and just under *size* bytes long."""
    claims = workload.kit.claims(workload.client)
    bare = len(workload.kit.sign(claims | {"filling": ""}, header=header))
    return workload.kit.sign(claims | {"filling": "x" * ((size - bare) * 3 // 4 - 1)}, header=header).encode()


def _revocation(workload: Workload) -> MemoryRevocation:
    """A list with entries of each kind, none of which is about our client, so that each is looked up."""
    revocation, issuer = MemoryRevocation(), workload.kit.issuer.issuer
    now = datetime.now(timezone.utc)
    for number in range(_REVOKED):
        revocation.revoke_token(issuer, f"token-{number}", expires_at=now + timedelta(hours=1))
        revocation.revoke_client(issuer, f"client-{number}", issued_before=now)
        revocation.revoke_subject(issuer, f"subject-{number}", issued_before=now)
        revocation.revoke_certificate(floor_thumbprint(b"%d" % number))
    return revocation
