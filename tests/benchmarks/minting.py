"""Mint, and take thumbprints."""

from __future__ import annotations

from functools import partial
from itertools import repeat

from floors import floor_mint, floor_thumbprint
from measure import Case
from workload import Workload

from tokenbind import TokenIssuer, thumbprint


__all__ = ["mint_cases", "thumbprint_cases"]


def mint_cases(workload: Workload) -> dict[str, Case]:
    """A token like those of the workload. The certificate is parsed already: how long it lives is asked each time."""
    name, token = workload.algorithm, workload.tokens[0]
    claims = workload.kit.verifier.verify(token, workload.peer).claims
    floor = floor_mint(name, workload.private_key, token.partition(b".")[0], claims)
    issuer = TokenIssuer(workload.kit.issuer.issuer, workload.kit.key)
    return {
        f"FLOOR mint {name}": Case(floor, repeat(())),
        f"mint {name}": Case(partial(issuer.mint, workload.peer, **workload.mint_options), repeat(())),
    }


def thumbprint_cases(workload: Workload) -> dict[str, Case]:
    """Of the same certificate in two forms."""
    return {
        "SHA-256 + base64url": Case(floor_thumbprint, repeat((workload.der,))),
        "thumbprint DER": Case(thumbprint, repeat((workload.der,))),
        "thumbprint PEM": Case(thumbprint, repeat((workload.client.pem,))),
    }
