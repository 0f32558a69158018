"""Certificate-bound access tokens over mutual TLS (RFC 8705).

A token names its client's certificate, and is accepted only on a connection on which that very certificate was
proven. This is the front door; roles and adapters have their own: `tokenbind.resource_server`, `tokenbind.client`,
`tokenbind.peer`, `tokenbind.servers`, `tokenbind.testing`.
"""

from .binding import BindingPolicy, PeerCertificate, thumbprint
from .errors import (
    ClientError,
    ConfigurationError,
    GrantError,
    IdentityError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    OriginRefused,
    Reason,
    TokenBindError,
    Unavailable,
)
from .tokens import (
    AccessTokenProfile,
    BoundToken,
    KeySet,
    SigningKey,
    TokenIssuer,
    TokenVerifier,
    TokenVerifiers,
    Verifier,
)


__all__ = [
    "AccessTokenProfile",
    "BindingPolicy",
    "BoundToken",
    "ClientError",
    "ConfigurationError",
    "GrantError",
    "IdentityError",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "KeySet",
    "OriginRefused",
    "PeerCertificate",
    "Reason",
    "SigningKey",
    "TokenBindError",
    "TokenIssuer",
    "TokenVerifier",
    "TokenVerifiers",
    "Unavailable",
    "Verifier",
    "thumbprint",
]

__version__ = "0.1.0"
