"""What is no longer good, asked again at every request, whatever is cached."""

from .memory import MemoryRevocation
from .protocol import RevocableToken, Revocation


__all__ = ["MemoryRevocation", "RevocableToken", "Revocation"]
