"""`VerifiedToken`, what the signature says, and `BoundToken`, what the application gets once the binding holds too."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..binding import Confirmation
from ..errors import InsufficientScope, Reason
from .compact import read_json_object


__all__ = ["BoundToken", "VerifiedToken"]


class VerifiedToken(NamedTuple):
    """A token whose signature and claims are good under one policy; its binding is still to be judged.

    Immutable through and through, because the cache hands it to many requests. Times are seconds since the epoch.
    """

    issuer: str
    subject: str | None
    client_id: str | None
    token_id: str | None
    audience: str | tuple[str, ...]
    scope: str
    issued_at: float
    expires_at: float
    confirmation: Confirmation | None
    payload: bytes

    def __repr__(self) -> str:
        return f"<VerifiedToken {self.token_id!r} for {self.client_id!r}>"


class BoundToken:
    """A verified access token. Only `TokenVerifier.verify` makes one."""

    __slots__ = ("_binding_refusal", "_scope_refusal", "_thumbprint", "_token")

    def __init__(self, token: VerifiedToken, thumbprint: str | None, binding_refusal: Reason | None) -> None:
        """Not public: use `TokenVerifier.verify`."""
        self._token = token
        self._thumbprint = thumbprint
        self._binding_refusal = binding_refusal
        self._scope_refusal: tuple[str, ...] | None = None

    @property
    def thumbprint(self) -> str | None:
        """The thumbprint that the token names and the peer proved; None if nothing was proven."""
        return self._thumbprint

    @property
    def binding_refusal(self) -> Reason | None:
        """In report-only mode, why the token would have been refused; otherwise None."""
        return self._binding_refusal

    @property
    def issuer(self) -> str:
        """``iss``"""
        return self._token.issuer

    @property
    def subject(self) -> str | None:
        """``sub``; always there under RFC 9068."""
        return self._token.subject

    @property
    def client_id(self) -> str | None:
        """``client_id``, or what the profile calls it; always there under RFC 9068."""
        return self._token.client_id

    @property
    def token_id(self) -> str | None:
        """``jti``, or what the profile calls it; always there under RFC 9068."""
        return self._token.token_id

    @property
    def audience(self) -> tuple[str, ...]:
        """``aud``, every value of it; one of them is the verifier's."""
        audience = self._token.audience
        return (audience,) if isinstance(audience, str) else audience

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of ``scope``, or of what the profile calls it; empty if there are none."""
        return frozenset(filter(None, self._token.scope.split(" ")))

    @property
    def issued_at(self) -> datetime:
        """``iat``, aware, in UTC."""
        return datetime.fromtimestamp(self._token.issued_at, timezone.utc)

    @property
    def expires_at(self) -> datetime:
        """``exp``, aware, in UTC."""
        return datetime.fromtimestamp(self._token.expires_at, timezone.utc)

    @property
    def claims(self) -> dict[str, Any]:
        """All claims, read afresh at each access, so that changing them changes nothing for anyone else.

        ``cnf`` in here is what the token says; what was proven is `thumbprint`.
        """
        return read_json_object(self._token.payload)

    def require_scope(self, scope: str, *more: str) -> None:
        """Return if the token has *scope* and all of *more* (compared exactly, RFC 6749 §3.3).

        Raises:
            InsufficientScope: otherwise; the middleware answers it with 403.
        """
        required = (scope, *more)
        if not self.scopes.issuperset(required):
            self._scope_refusal = required
            raise InsufficientScope(required)

    @property
    def scope_refusal(self) -> InsufficientScope | None:
        """For adapters: what `require_scope` raised last, made anew. Frameworks make a 500 of it on its way out."""
        return None if self._scope_refusal is None else InsufficientScope(self._scope_refusal)

    def __repr__(self) -> str:
        proof = f"bound to {self._thumbprint}" if self._thumbprint else "NOT bound"
        return f"<BoundToken {self._token.token_id!r} for {self._token.client_id!r}, {proof}>"
