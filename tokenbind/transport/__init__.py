"""Our own outgoing HTTPS, in one place: who we are (`identity`), bounded requests (`fetch`), and `discovery`."""

from .callback_identity import CallbackIdentity
from .discovery import ServerMetadata, discover, require_address, require_allowed_hosts, require_issuer
from .fetch import FetchError, Response, fetch, fetch_json
from .identity import Identity, Password
from .identity_sources import FileIdentity, IdentitySource, MemoryIdentity
from .origin import require_url
from .pkcs12 import PKCS12Identity
from .proxy import require_proxy
from .trust_anchors import Anchors, TrustAnchors, TrustSource


__all__ = [
    "Anchors",
    "CallbackIdentity",
    "FetchError",
    "FileIdentity",
    "Identity",
    "IdentitySource",
    "MemoryIdentity",
    "PKCS12Identity",
    "Password",
    "Response",
    "ServerMetadata",
    "TrustAnchors",
    "TrustSource",
    "discover",
    "fetch",
    "fetch_json",
    "require_address",
    "require_allowed_hosts",
    "require_issuer",
    "require_proxy",
    "require_url",
]
