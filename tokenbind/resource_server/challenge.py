"""What a refused client is told (RFC 6750 §3), as a value that any framework can send.

Every refused token gets the same words, byte for byte but for the reference: why it was refused is the operator's to
know, and stands under the same reference in the event and in the log.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
import re
from typing import Any, NamedTuple

from ..errors import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable


__all__ = ["Challenge", "Refusal", "as_asgi", "cache_control_to_add"]

# RFC 6750 §3: realm is a quoted-string; without quote and backslash none has to be escaped.
_is_quotable = re.compile(r"[ !#-\[\]-~]*").fullmatch
_is_scope_token = re.compile(r"[!#-\[\]-~]+").fullmatch

_DESCRIPTIONS = {
    400: "The request is malformed",
    401: "The access token is refused on this connection",
    403: "The access token lacks a scope that is needed here",
    425: "Send the request again after the TLS handshake",
    503: "Access tokens cannot be verified at the moment",
}


class Refusal(NamedTuple):
    """A complete answer: status, headers as latin-1 text, and body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Challenge:
    """Writes refusals for one resource server."""

    def __init__(self, realm: str, required_scopes: tuple[str, ...]) -> None:
        if not isinstance(realm, str) or not realm or not _is_quotable(realm):
            raise ConfigurationError('realm= must be printable ASCII without " and \\')
        if not all(isinstance(scope, str) and _is_scope_token(scope) for scope in required_scopes):
            raise ConfigurationError('required_scopes= must be scopes, such as ("invoices:read",) (RFC 6749 §3.3)')
        self._realm = realm
        self._required_scopes = required_scopes

    def refusal(self, error: InvalidRequest | InvalidToken | InsufficientScope | Unavailable) -> Refusal:
        """The answer to a request that failed with *error*; nothing of the error's own text is in it."""
        missing = error.reason is Reason.TOKEN_MISSING
        description = "An access token is needed" if missing else _DESCRIPTIONS[error.status]
        members = {"error": error.error_code or ("unauthorized" if missing else "temporarily_unavailable")}
        body = json.dumps({**members, "error_description": description, "reference": error.reference}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
        ]
        if error.status in (400, 401, 403):
            headers.append(("www-authenticate", self._challenge(error, description)))
        return Refusal(error.status, headers, body)

    def _challenge(
        self, error: InvalidRequest | InvalidToken | InsufficientScope | Unavailable, description: str
    ) -> str:
        parameters = [f'realm="{self._realm}"']
        if error.error_code is not None:
            parameters += [
                f'error="{error.error_code}"',
                f'error_description="{description} (reference {error.reference})"',
            ]
        scopes = error.required if isinstance(error, InsufficientScope) else self._required_scopes
        # What an application asks for may be made of what the client sent, and must not become more parameters.
        scope = " ".join(scope for scope in scopes if _is_scope_token(scope))
        if scope and error.status != 400:
            parameters.append(f'scope="{scope}"')
        return "Bearer " + ", ".join(parameters)


def as_asgi(refusal: Refusal, kind: str = "http.response") -> tuple[dict[str, Any], dict[str, Any]]:
    """The two messages of an ASGI answer; *kind* is what their types begin with."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
    return (
        {"type": f"{kind}.start", "status": refusal.status, "headers": headers},
        {"type": f"{kind}.body", "body": refusal.body},
    )


def cache_control_to_add(values: Iterable[str]) -> str | None:
    """The Cache-Control value that an answer of the application still needs, given the ones that it has.

    RFC 9111 §3.5: a response may say that a shared cache may keep it in spite of Authorization. The next one to be
    given it has perhaps no token, and surely another certificate, so an answer to a bound request never may.
    """
    directives = {directive.strip() for directive in ",".join(values).lower().split(",")}
    if directives == {""}:
        return "no-store"
    # Compared whole: private="set-cookie" keeps one field private, and lets the rest be kept (RFC 9111 §5.2.2.7).
    return None if "no-store" in directives or "private" in directives else "private"
