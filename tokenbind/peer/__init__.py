"""The connection side: where a peer certificate comes from. Decides nothing about tokens."""

from . import forwarded
from .source import PeerSource, SSLObject
from .tls_connection import TLSConnection
from .trust import Trust


__all__ = ["PeerSource", "SSLObject", "TLSConnection", "Trust", "forwarded"]
