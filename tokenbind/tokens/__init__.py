"""The token side: minting and verifying JWT access tokens (RFC 7519, RFC 9068, RFC 8725). Knows nothing of TLS."""

from .bound_token import BoundToken
from .issuer import TokenIssuer
from .keys import KeySet, KeySource, VerificationKey
from .profile import AccessTokenProfile
from .protocol import Verifier, VerifierOptions
from .signing_key import Signer, SigningKey, jws_signature
from .verifier import TokenVerifier
from .verifiers import TokenVerifiers


__all__ = [
    "AccessTokenProfile",
    "BoundToken",
    "KeySet",
    "KeySource",
    "Signer",
    "SigningKey",
    "TokenIssuer",
    "TokenVerifier",
    "TokenVerifiers",
    "VerificationKey",
    "Verifier",
    "VerifierOptions",
    "jws_signature",
]
