"""Remembers which tokens were verified, so that a signature is checked once and not at every request.

Private to one policy and one generation of keys: what it holds is true under these only. It holds successes, never a
verdict on the binding, and it is asked with the whole token, or the SHA-256 of all of it, so that no two tokens share
an entry (a key that was a prefix or a part of the token let strangers in elsewhere: CVE-2026-35030).
"""

from __future__ import annotations

from .bound_token import VerifiedToken


__all__ = ["VerifiedCache"]


class VerifiedCache:
    """At most *size* entries (or two) in two generations: when the young one is full, it becomes the old one.

    Nothing is locked: dict operations are atomic, and a race loses an entry at worst.
    """

    __slots__ = ("_half", "longest", "old", "young")

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        #: Where an entry that was used lately is; `get` looks further, in `old` too.
        self.young: dict[bytes, VerifiedToken] = {}
        self.old: dict[bytes, VerifiedToken] = {}
        #: The length in bytes of the longest token that was put here, for those who ask.
        self.longest: int = 0

    def get(self, key: bytes) -> VerifiedToken | None:
        token = self.young.get(key)
        if token is None:
            token = self.old.get(key)
            if token is not None:
                self.put(key, token)
        return token

    def put(self, key: bytes, token: VerifiedToken) -> None:
        if len(self.young) >= self._half:
            self.old, self.young = self.young, {}
        self.young[key] = token
