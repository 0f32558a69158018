"""Every row of the table, and what is asked of it. No clock is read here.

`must` and `aim` bound the ratio of *case* to *reference*: from above, or, with *faster*, the inverse ratio ("so many
times as fast", "so much is kept") from below. A row without them is there to be compared with.
"""

from __future__ import annotations

from typing import NamedTuple


__all__ = ["ALGORITHMS", "COMPARISONS", "GROUPS", "Comparison"]


class Comparison(NamedTuple):
    """A row still to be measured. Without what it *needs* (a package, a program), it is left out with a note."""

    what: str
    case: str
    reference: str
    must: float | None = None
    aim: float | None = None
    faster: bool = False
    unit: str = "µs"
    needs: str = ""


ALGORITHMS = ("RS256", "ES256", "EdDSA")

# Must and aim: at most so many times FLOOR, and at least so many times as fast as jwt.decode with a check by hand.
_FLOOR = {"RS256": (1.15, 1.05), "ES256": (1.08, 1.02), "EdDSA": (1.08, 1.02)}
_BY_HAND = {"RS256": (2.2, 2.5), "ES256": (1.5, 1.6), "EdDSA": (None, None)}
_MINT = {"RS256": (1.03, 1.015), "ES256": (1.15, 1.08), "EdDSA": (1.12, 1.06)}

#: What others do, with the check by hand, and what has to be there for it.
_PEERS = {"jwt.decode": "", "PyJWKClient": "", "joserfc": "joserfc", "jose": "Node", "fast-jwt": "Node"}


def _verify(name: str) -> list[Comparison]:
    rows = []
    for how in ("from DER", "known"):
        mine, what = f"tokenbind {name}, {how}", f"verify + bind {name}, {how}"
        rows.append(Comparison(what, mine, f"FLOOR {name}", *_FLOOR[name]))
        rows.append(Comparison(f"{what}: times", mine, f"jwt.decode {name}", *_BY_HAND[name], faster=True))
    for peer, needs in _PEERS.items():
        rows.append(Comparison(f"{peer} {name}", f"{peer} {name}", f"FLOOR {name}", needs=needs))
        if peer != "jwt.decode":
            against = f"tokenbind {name}, from DER"
            rows.append(Comparison(f"{peer} {name}: to tokenbind", f"{peer} {name}", against, needs=needs))
    return rows


_CACHED = [
    Comparison("cached verify, known", "cached, known", "FLOOR RS256", 1 / 12, 1 / 19),
    Comparison("cached verify, from DER", "cached, from DER", "FLOOR RS256", 1 / 9, 1 / 13),
    *(
        Comparison(
            f"cached verify, {how}, raw-bytes keys",
            f"cached, {how}, raw-bytes keys",
            "FLOOR RS256",
            must,
            aim,
        )
        for how, must, aim in (("known", 1 / 12, 1 / 40), ("from DER", 1 / 9, 1 / 20))
    ),
    Comparison("fast-jwt cached", "fast-jwt cached RS256", "FLOOR RS256", needs="Node"),
    Comparison("fast-jwt cached: to tokenbind", "fast-jwt cached RS256", "cached, from DER", needs="Node"),
    Comparison("cache on, never hit", "never hit", "tokenbind RS256, known", 1.10, 1.05),
    Comparison("memory of a cached token", "cached token", "token", unit="B"),
    Comparison(
        "memory of a cached token, raw-bytes keys",
        "cached token, raw-bytes keys",
        "token",
        unit="B",
    ),
]

_REFUSED = [f"size, {size} KiB" for size in (32, 1024)]
_REFUSED += [f"{what}, {size} KiB" for what in ("typ", "alg", "kid") for size in (1, 4, 16)]

_UVICORN = [
    Comparison("uvicorn over mTLS, no authentication", "/none", "/none", faster=True, needs="uvicorn"),
    Comparison("uvicorn over mTLS, cached: kept", "/cached", "/none", 0.90, 0.94, faster=True, needs="uvicorn"),
    Comparison(
        "uvicorn over mTLS, cached, raw-bytes keys: kept",
        "/cached-by-token",
        "/none",
        0.90,
        0.94,
        faster=True,
        needs="uvicorn",
    ),
    Comparison("uvicorn over mTLS, uncached: kept", "/uncached", "/none", 0.45, 0.51, faster=True, needs="uvicorn"),
    Comparison("uvicorn over mTLS, jwt.decode: kept", "/by-hand", "/none", faster=True, needs="uvicorn"),
]

# Token and certificate chosen anew for each call, against a fixed header on the same TLS context.
_CALLS = [
    Comparison(f"a call with a bound token, {library}", f"call, {library}", f"plain call, {library}", 1.10, needs=needs)
    for library, needs in (
        ("requests", "requests"),
        ("httpx", "httpx"),
        ("httpx, asyncio", "httpx"),
        ("aiohttp", "aiohttp"),
    )
]

GROUPS: dict[str, list[Comparison]] = {
    **{f"Verify and bind, {name}": _verify(name) for name in ALGORITHMS},
    "Tokens seen before, RS256": _CACHED,
    "Refuse before the signature": [
        Comparison(f"refuse {what}", f"refuse {what}", "FLOOR RS256", 1 / 4, 1 / 8) for what in _REFUSED
    ],
    "Mint": [Comparison(f"mint {name}", f"mint {name}", f"FLOOR mint {name}", *_MINT[name]) for name in ALGORITHMS],
    "Thumbprints": [
        Comparison("thumbprint from DER", "thumbprint DER", "SHA-256 + base64url", 1.3, 1.05),
        Comparison("thumbprint from PEM", "thumbprint PEM", "SHA-256 + base64url", 6, 4.8),
        Comparison("thumbprint from RFC 9440", "thumbprint RFC 9440", "SHA-256 + base64url", 4.3, 3.5),
        Comparison("thumbprint from nginx's header", "thumbprint nginx", "SHA-256 + base64url", 19, 15),
        Comparison("thumbprint from a header seen before", "header again", "SHA-256 + base64url", 0.9, 0.6),
        Comparison("a request through nginx, trust and all", "scope, nginx", "SHA-256 + base64url"),
        Comparison("a request through nginx, header seen before", "scope, nginx, again", "SHA-256 + base64url"),
    ],
    "A request to uvicorn, RS256": _UVICORN,
    "A client's call": _CALLS,
    "Import": [
        Comparison("import tokenbind: CPU", "import tokenbind, CPU", "import jwt, CPU", 0.5, 0.3, unit="ms"),
        Comparison(
            "import tokenbind: memory",
            "import tokenbind, memory",
            "import jwt, memory",
            0.7,
            0.5,
            unit="MiB",
            needs="/proc/self/statm",
        ),
    ],
}

COMPARISONS = [comparison for group in GROUPS.values() for comparison in group]
