"""Attacks 50-54, on the claims: rows of the table. The rightful client presents each."""

import re

from tokenbind import Reason

from .cases import cases, claims, claims_text


ISSUER, AUDIENCE = "https://as.example", "https://api.example"


def in_seconds(seconds):
    return lambda kit: int(kit.clock()) + seconds


CLAIMS = [
    *cases(50, Reason.CLAIM_MISSING, {"missing": claims(aud=...), "null": claims(aud=None)}),
    *cases(
        50,
        Reason.CLAIM_MALFORMED,
        {
            "empty-list": claims(aud=[]),
            "number": claims(aud=1),
            "object": claims(aud={AUDIENCE: AUDIENCE}),
            "number-beside-ours": claims(aud=[AUDIENCE, 1]),
            "null-beside-ours": claims(aud=[AUDIENCE, None]),
            "nested": claims(aud=[[AUDIENCE]]),
        },
    ),
    *cases(
        50,
        Reason.AUDIENCE_MISMATCH,
        {
            "other": claims(aud="https://other.example"),
            "list-of-others": claims(aud=["https://other.example", ISSUER]),
            "prefix": claims(aud=AUDIENCE[:-1]),
            "longer": claims(aud=AUDIENCE + ".evil.example"),
            "slash": claims(aud=AUDIENCE + "/"),
            "case": claims(aud="https://API.example"),
            "empty": claims(aud=""),
            "joined": claims(aud=f"{AUDIENCE} https://other.example"),
        },
    ),
    *cases(50, None, {"list-with-ours": claims(aud=["https://other.example", AUDIENCE])}),
    *cases(51, Reason.CLAIM_MISSING, {"missing": claims(iss=...)}),
    *cases(51, Reason.CLAIM_MALFORMED, {"null": claims(iss=None), "list": claims(iss=[ISSUER])}),
    *cases(
        51,
        Reason.ISSUER_MISMATCH,
        {
            "slash": claims(iss=ISSUER + "/"),
            "case": claims(iss="https://AS.example"),
            "port": claims(iss=ISSUER + ":443"),
            "space": claims(iss=ISSUER + " "),
            "cyrillic": claims(iss="https://\u0430s.example"),
            "combining": claims(iss=ISSUER + "\u0301"),
            "empty": claims(iss=""),
        },
    ),
    *cases(52, Reason.CLAIM_MISSING, {"missing": claims(exp=...)}),
    *cases(52, Reason.TOKEN_EXPIRED, {"past": claims(exp=in_seconds(-1)), "now": claims(exp=in_seconds(0))}),
    *cases(
        52,
        Reason.CLAIM_MALFORMED,
        {
            "null": claims(exp=None),
            "true": claims(exp=True),
            "string": claims(exp=lambda kit: str(int(kit.clock()) + 60)),
            "list": claims(exp=lambda kit: [kit.clock() + 60]),
            "negative": claims(exp=-1),
            "1e30": claims(exp=10**30),
        },
    ),
    *cases(
        52,
        Reason.TOKEN_MALFORMED,
        {"1e999": claims_text(lambda text: re.sub(r'"exp": \d+', '"exp": 1e999', text))},
    ),
    *cases(
        52,
        Reason.TOKEN_MALFORMED,
        {"nan": claims(exp=float("nan")), "infinity": claims(exp=float("inf")), "minus": claims(exp=float("-inf"))},
    ),
    *cases(52, Reason.TOKEN_LIFETIME_REFUSED, {"years": claims(exp=in_seconds(10**8))}),
    *cases(52, None, {"one-second-left": claims(exp=in_seconds(1)), "fraction": claims(exp=in_seconds(1.5))}),
    *cases(53, None, {f"{name}-8s-ahead": claims(**{name: in_seconds(8)}) for name in ("iat", "nbf")}),
    *cases(
        53,
        Reason.TOKEN_NOT_YET_VALID,
        {f"{name}-62s-ahead": claims(**{name: in_seconds(62)}) for name in ("iat", "nbf")},
    ),
    *cases(53, Reason.CLAIM_MISSING, {"iat-missing": claims(iat=...)}),
    *cases(53, None, {"nbf-missing": claims(nbf=...)}),
    *cases(
        53,
        Reason.CLAIM_MALFORMED,
        {
            f"{name}-{kind}": claims(**{name: value})
            for name in ("iat", "nbf")
            for kind, value in {"true": True, "string": "0", "null": None, "negative": -1}.items()
        },
    ),
    *cases(
        54,
        Reason.CLAIM_MISSING,
        {f"{name}-missing": claims(**{name: ...}) for name in ("sub", "client_id", "jti")}
        | {f"{name}-empty": claims(**{name: ""}) for name in ("sub", "client_id", "jti")},
    ),
    *cases(
        54,
        Reason.CLAIM_MALFORMED,
        {f"{name}-number": claims(**{name: 1}) for name in ("sub", "client_id", "jti")},
    ),
]
