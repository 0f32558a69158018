"""The core: a certificate's thumbprint, a token's confirmation, and the verdict on the two.

No I/O and nothing but the standard library (X.509 parsing is imported when `PeerCertificate.x509` is asked for).
Read it in this order: `thumbprint`, `pem`, `peer_certificate`, `confirmation`.
"""

from .confirmation import BindingPolicy, Confirmation, VerifiedBinding, verify_binding
from .peer_certificate import PeerCertificate
from .thumbprint import parse_thumbprint, thumbprint


__all__ = [
    "BindingPolicy",
    "Confirmation",
    "PeerCertificate",
    "VerifiedBinding",
    "parse_thumbprint",
    "thumbprint",
    "verify_binding",
]
