"""The connection side: where a peer certificate comes from. Decides nothing about tokens."""

from .source import PeerSource, SSLObject
from .tls_connection import TLSConnection


__all__ = ["PeerSource", "SSLObject", "TLSConnection"]
