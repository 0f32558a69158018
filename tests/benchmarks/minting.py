"""Mint, and take thumbprints."""

from __future__ import annotations

from functools import partial
from itertools import repeat

from floors import floor_mint, floor_thumbprint
from measure import Case
from report import Comparison
from workload import Workload

from tokenbind import TokenIssuer, thumbprint


__all__ = ["mint_cases", "thumbprint_cases"]

Cases = tuple[dict[str, Case], list[Comparison]]

_MINT = {"RS256": (1.03, 1.015), "ES256": (1.15, 1.08), "EdDSA": (1.12, 1.06)}


def mint_cases(workload: Workload) -> Cases:
    """A token like those of the workload. The certificate is parsed already: how long it lives is asked each time."""
    name, token = workload.algorithm, workload.tokens[0]
    claims = workload.kit.verifier.verify(token, workload.peer).claims
    floor = floor_mint(name, workload.private_key, token.partition(b".")[0], claims)
    issuer = TokenIssuer(workload.kit.issuer.issuer, workload.kit.key)
    cases = {
        f"FLOOR mint {name}": Case(floor, repeat(())),
        f"mint {name}": Case(partial(issuer.mint, workload.peer, **workload.mint_options), repeat(())),
    }
    must, aim = _MINT[name]
    return cases, [Comparison(f"mint {name}", f"mint {name}", f"FLOOR mint {name}", must, aim)]


def thumbprint_cases(workload: Workload) -> Cases:
    """Of the same certificate in two forms."""
    cases = {
        "SHA-256 + base64url": Case(floor_thumbprint, repeat((workload.der,))),
        "thumbprint DER": Case(thumbprint, repeat((workload.der,))),
        "thumbprint PEM": Case(thumbprint, repeat((workload.client.pem,))),
    }
    return cases, [
        Comparison("thumbprint from DER", "thumbprint DER", "SHA-256 + base64url", 1.3, 1.05),
        Comparison("thumbprint from PEM", "thumbprint PEM", "SHA-256 + base64url", 6, 4.8),
    ]
