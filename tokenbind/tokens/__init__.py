"""The token side: minting and verifying JWT access tokens (RFC 7519, RFC 9068, RFC 8725). Knows nothing of TLS."""

from .bound_token import BoundToken
from .issuer import Signer, TokenIssuer
from .keys import KeySet, KeySource, SigningKey, VerificationKey
from .profile import AccessTokenProfile
from .verifier import TokenVerifier, Verifier


__all__ = [
    "AccessTokenProfile",
    "BoundToken",
    "KeySet",
    "KeySource",
    "Signer",
    "SigningKey",
    "TokenIssuer",
    "TokenVerifier",
    "VerificationKey",
    "Verifier",
]
