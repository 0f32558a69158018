"""Verify and bind, from the cache too, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import repeat
from typing import Any

from floors import floor_thumbprint, floor_verify
from measure import Case, Timed
from workload import Workload

from tokenbind import InvalidToken, PeerCertificate, Reason, TokenVerifier
from tokenbind.revocation import MemoryRevocation


__all__ = ["CACHED_TOKENS", "CACHE_KINDS", "cache_cases", "refusal_cases", "verify_cases"]

#: The end of a case's name, and the options of its verifier.
CACHE_KINDS: dict[str, dict[str, Any]] = {"": {}, ", raw-bytes keys": {"cache_key": "token"}}

CACHED_TOKENS = 400  # in use at the same time
_REVOKED = 1000


def verify_cases(workload: Workload) -> dict[str, Timed]:
    """The whole verification, without a cache."""
    name, verifier = workload.algorithm, workload.verifier(cache_size=0)
    floor = floor_verify(name, workload.private_key.public_key())
    return {
        f"FLOOR {name}": workload.case(floor, workload.der),
        f"tokenbind {name}, from DER": workload.case(_from_der(verifier), workload.der),
        f"tokenbind {name}, known": workload.case(verifier.verify, workload.peer),
    }


def cache_cases(workload: Workload) -> dict[str, Timed]:
    """Tokens seen before, with everything that is decided anew at each call; and a cache that never helps."""
    cases: dict[str, Timed] = {"never hit": workload.case(workload.verifier().verify, workload.peer)}
    for kind, options in CACHE_KINDS.items():
        cached = workload.verifier(revocation=_revocation(workload), **options)
        for token in workload.tokens[:CACHED_TOKENS]:
            cached.verify(token, workload.peer)
        cases[f"cached, known{kind}"] = workload.case(cached.verify, workload.peer, CACHED_TOKENS)
        cases[f"cached, from DER{kind}"] = workload.case(_from_der(cached), workload.der, CACHED_TOKENS)
    return cases


def refusal_cases(workload: Workload) -> dict[str, Timed]:
    """What is refused before a signature is looked at, by a verifier that knows other tokens."""
    verifier = workload.verifier()
    for token in workload.tokens[:CACHED_TOKENS]:
        verifier.verify(token, workload.peer)
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
    return {
        f"refuse {what}": Case(_refused(verifier, reason), repeat((token, workload.peer)))
        for what, (token, reason) in tokens.items()
    }


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
