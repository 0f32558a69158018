"""Our own outgoing HTTPS, in one place: who we are (`identity`), and bounded requests (`fetch`)."""

from .fetch import FetchError, Response, fetch
from .identity import Identity
from .identity_sources import FileIdentity, IdentitySource, MemoryIdentity


__all__ = ["FetchError", "FileIdentity", "Identity", "IdentitySource", "MemoryIdentity", "Response", "fetch"]
