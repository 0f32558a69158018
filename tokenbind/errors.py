"""Every error that tokenbind raises, and the stable word for why.

::

    TokenBindError
    ├── InvalidRequest        400   the request itself is malformed (RFC 6750 §3.1 invalid_request)
    │   └── TooEarly          425   the request came as TLS early data, which can be replayed (RFC 8470)
    ├── InvalidToken          401   the token, or its binding, is refused (RFC 6750 §3.1 invalid_token)
    ├── InsufficientScope     403   the token is good, its scope is too small
    ├── Unavailable           503   the question cannot be answered now; never "allowed"
    ├── ConfigurationError          our caller's mistake, raised where an object is built
    └── ClientError                 this process as an OAuth client
        ├── IdentityError           its certificate or key cannot be used
        ├── GrantError              the authorization server refused to give a token
        └── OriginRefused           the request would carry the token to another origin

Whatever reads the wire is total: it returns a value or raises one of the first five, never anything else.
A message never holds token or key text. It is for the operator; what may go to the client is decided by
`tokenbind.resource_server`, which sends the same words for every refused token.
"""

from __future__ import annotations

from enum import StrEnum
import os
from typing import Any


__all__ = [
    "ClientError",
    "ConfigurationError",
    "GrantError",
    "IdentityError",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "OriginRefused",
    "Reason",
    "TokenBindError",
    "TooEarly",
    "Unavailable",
]


class Reason(StrEnum):
    """Why something was refused: a stable string for logs, metrics and tests."""

    # The request (400, 425).
    AUTHORIZATION_MALFORMED = "authorization_malformed"
    AUTHORIZATION_REPEATED = "authorization_repeated"
    TOKEN_IN_QUERY = "token_in_query"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_INCOMPLETE = "certificate_incomplete"
    CERTIFICATE_EXPIRED = "certificate_expired"
    PROXY_UNTRUSTED = "proxy_untrusted"
    EARLY_DATA = "early_data"
    SCOPE_TYPE_REFUSED = "scope_type_refused"

    # The token (401).
    TOKEN_MISSING = "token_missing"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_TYPE_REFUSED = "token_type_refused"
    ALGORITHM_REFUSED = "algorithm_refused"
    ALGORITHM_NOT_ENABLED = "algorithm_not_enabled"
    CRITICAL_HEADER_REFUSED = "critical_header_refused"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE_INVALID = "signature_invalid"
    CLAIM_MISSING = "claim_missing"
    CLAIM_MALFORMED = "claim_malformed"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE_MISMATCH = "audience_mismatch"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_LIFETIME_REFUSED = "token_lifetime_refused"
    TOKEN_REVOKED = "token_revoked"

    # The binding (401).
    TOKEN_UNBOUND = "token_unbound"
    CONFIRMATION_MALFORMED = "confirmation_malformed"
    CONFIRMATION_UNSUPPORTED = "confirmation_unsupported"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_MISMATCH = "certificate_mismatch"

    # 403
    SCOPE_INSUFFICIENT = "scope_insufficient"

    # 503
    CERTIFICATE_SOURCE_MISSING = "certificate_source_missing"
    REVOCATION_UNAVAILABLE = "revocation_unavailable"
    KEYS_UNAVAILABLE = "keys_unavailable"
    SIGNER_UNAVAILABLE = "signer_unavailable"

    # This process as a client.
    IDENTITY_UNUSABLE = "identity_unusable"
    GRANT_REFUSED = "grant_refused"
    AUTHORIZATION_SERVER_UNREACHABLE = "authorization_server_unreachable"
    ORIGIN_REFUSED = "origin_refused"


class TokenBindError(Exception):
    """The base of every error that tokenbind raises."""

    _reference: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)

    @property
    def reference(self) -> str:
        """Twelve random characters that stand in the response and in the event: who is told one finds the other."""
        if self._reference is None:
            self._reference = os.urandom(6).hex()
        return self._reference


def _restore(kind: type[TokenBindError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> TokenBindError:
    """Unpickle: the constructors take other arguments than the message that `Exception` remembers."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class _Refusal(TokenBindError):
    """A refusal with a reason; `status` is an HTTP status, `error_code` the registered OAuth code or None."""

    status: int
    error_code: str | None = None

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidRequest(_Refusal):
    """The request is malformed (RFC 6750 §3.1 ``invalid_request``)."""

    status = 400
    error_code: str | None = "invalid_request"


class TooEarly(InvalidRequest):
    """The request was sent as TLS early data and must be sent again after the handshake (RFC 8470 §5.2)."""

    status = 425


class InvalidToken(_Refusal):
    """The access token is refused (RFC 6750 §3.1 ``invalid_token``; RFC 8705 §3 for a binding that does not hold).

    Attributes:
        expected: On a certificate mismatch, the thumbprint that the token names; otherwise None.
        presented: On a certificate mismatch, the thumbprint of the peer certificate; otherwise None.
    """

    status = 401

    def __init__(
        self, reason: Reason, message: str, *, expected: str | None = None, presented: str | None = None
    ) -> None:
        Exception.__init__(self, message)  # not through its bases: strangers make us raise it as often as they like
        self.reason = reason
        self.expected = expected
        self.presented = presented
        # RFC 6750 §3.1: "If the request lacks any authentication information [...], the resource server SHOULD NOT
        # include an error code".
        self.error_code = None if reason is Reason.TOKEN_MISSING else "invalid_token"


class InsufficientScope(_Refusal):
    """The token is good, but lacks a scope (RFC 6750 §3.1 ``insufficient_scope``).

    Attributes:
        required: The scopes that the resource asks for.
    """

    status = 403
    error_code: str | None = "insufficient_scope"

    def __init__(self, required: tuple[str, ...]) -> None:
        super().__init__(Reason.SCOPE_INSUFFICIENT, f"this resource needs the scope {' '.join(required)!a}")
        self.required = required


class Unavailable(_Refusal):
    """The request can be neither allowed nor refused now; the answer is 503, never 200."""

    status = 503


class ConfigurationError(TokenBindError):
    """An object was built, or a token minted, with arguments that cannot be right. Says what to do."""


class ClientError(TokenBindError):
    """A failure of this process as an OAuth client, found before anything was sent to the resource server.

    Attributes:
        retry_after_seconds: How long the authorization server asked to be left alone (RFC 9110 §10.2.3), or None.
    """

    def __init__(self, reason: Reason, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class IdentityError(ClientError):
    """The client's own certificate or key cannot be read, or do not belong together."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.IDENTITY_UNUSABLE, message)


class GrantError(ClientError):
    """The authorization server refused to give a token (RFC 6749 §5.2).

    Attributes:
        error: The error code that the server sent, such as ``invalid_client``.
        description: Its ``error_description``, or None. Remote text: do not show it to end users.
        status: The HTTP status of its answer, or None.
    """

    def __init__(
        self,
        error: str,
        description: str | None = None,
        status: int | None = None,
        *,
        retry_after_seconds: float | None = None,
        hint: str | None = None,
    ) -> None:
        shown = f" ({description})" if description else ""
        super().__init__(
            Reason.GRANT_REFUSED,
            f"the authorization server refused: {error}{shown}" + (f"; {hint}" if hint else ""),
            retry_after_seconds=retry_after_seconds,
        )
        self.error = error
        self.description = description
        self.status = status


class OriginRefused(ClientError):
    """The request goes to another origin than the one the token is for; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.ORIGIN_REFUSED, message)
