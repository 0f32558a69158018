"""The role that calls APIs: who it is, how it gets tokens, and (by the name of the HTTP library) how it sends them."""

from ..transport import FileIdentity, Identity, IdentitySource, MemoryIdentity
from .grants import ClientCredentials, Grant, IssuedToken
from .token_cache import TokenCache


__all__ = [
    "ClientCredentials",
    "FileIdentity",
    "Grant",
    "Identity",
    "IdentitySource",
    "IssuedToken",
    "MemoryIdentity",
    "TokenCache",
]
