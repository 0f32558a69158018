"""The tokens and certificates that every case of an algorithm is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import cycle
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from measure import Case

from tokenbind import KeySet, TokenVerifier
from tokenbind.testing import BindingKit


__all__ = ["Workload"]

_DISTINCT_TOKENS = 1280  # more than the 1024 that a cache holds by default, so that going round them never hits


class Workload:
    """An issuer with one algorithm, a client, and distinct tokens bound to it, of ten claims and 370 bytes of JSON."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.kit = BindingKit(issuer="https://login.example.com/realms/invoicing", algorithm=algorithm)
        self.client = self.kit.client("billing-service")
        self.peer = self.client.peer
        self.der = self.peer.chain[0]
        self.private_key: Any = load_pem_private_key(self.kit.key.to_pem(), None)
        self.mint_options: dict[str, Any] = {
            "client_id": "billing-service",
            "audience": self.kit.audience,
            "scope": "invoices:read invoices:write",
            "lifetime": 3600,
            "claims": {"tenant": "5f0c1a52-7a1e-4c55-9d0e-3b8d6a1f7c42"},
        }

    @cached_property
    def tokens(self) -> list[bytes]:
        return [self.kit.mint(self.client, **self.mint_options).encode() for _ in range(_DISTINCT_TOKENS)]

    def verifier(self, **options: Any) -> TokenVerifier:
        """A verifier of these tokens on the real clock, as a service would build it."""
        return TokenVerifier(
            issuer=self.kit.issuer.issuer,
            audience=self.kit.audience,
            keys=KeySet.from_jwks(self.kit.issuer.jwks()),
            algorithms=(self.algorithm,),
            **options,
        )

    def case(self, function: Callable[..., object], certificate: object, tokens: int = _DISTINCT_TOKENS) -> Case:
        """A function of a token and a certificate."""
        return Case(function, self._presented(certificate, tokens))

    def _presented(self, certificate: object, tokens: int) -> Iterator[tuple[bytes, object]]:
        """The tokens in turn, and the certificate; bytes are new objects each time, as if just received."""
        for token in cycle(self.tokens[:tokens]):
            yield bytes(bytearray(token)), bytes(bytearray(certificate)) if type(certificate) is bytes else certificate
