"""Our own outgoing HTTPS, in one place: who we are (`identity`), bounded requests (`fetch`), and `discovery`."""

from .discovery import ServerMetadata, discover, require_address, require_allowed_hosts, require_issuer
from .fetch import FetchError, Response, fetch, fetch_json
from .identity import Identity, Password
from .identity_sources import FileIdentity, IdentitySource, MemoryIdentity
from .origin import require_url
from .proxy import require_proxy
from .trust_anchors import Anchors, TrustAnchors, TrustSource


__all__ = [
    "Anchors",
    "FetchError",
    "FileIdentity",
    "Identity",
    "IdentitySource",
    "MemoryIdentity",
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
