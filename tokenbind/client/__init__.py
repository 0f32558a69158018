"""The role that calls APIs: who it is, how it gets tokens, and (by the name of the HTTP library) how it sends them."""

from ..transport import CallbackIdentity, FileIdentity, Identity, IdentitySource, MemoryIdentity, PKCS12Identity
from .client_authentication import ClientSecretBasic, PrivateKeyJWT
from .grants import ClientCredentials, Grant, IssuedToken, StaticToken
from .refresh_token import RefreshToken
from .token_cache import TokenCache
from .token_exchange import TokenExchange


__all__ = [
    "CallbackIdentity",
    "ClientCredentials",
    "ClientSecretBasic",
    "FileIdentity",
    "Grant",
    "Identity",
    "IdentitySource",
    "IssuedToken",
    "MemoryIdentity",
    "PKCS12Identity",
    "PrivateKeyJWT",
    "RefreshToken",
    "StaticToken",
    "TokenCache",
    "TokenExchange",
]
