"""The answer of a token endpoint: a token (RFC 6749 §5.1), or the error that says why there is none (§5.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
import re
from typing import Any, NamedTuple

from ..errors import ClientError, GrantError, Reason
from ..transport import Response
from ..transport.retry_after import read_retry_after
from ..transport.strict_json import read_json_object


__all__ = ["IssuedToken", "is_bearer_token", "read_token", "read_token_response", "strange"]


# RFC 6750 §2.1. Anything else cannot stand in a header, and http.client would quote it whole in its error.
is_bearer_token: Callable[[str], object] = re.compile(r"[A-Za-z0-9\-._~+/]+=*").fullmatch

# Those of RFC 6749 §5.2, and of later registrations for token endpoints. They are no secrets, whatever is contained in
# them; a code that is none of these may be a secret that was quoted.
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "invalid_dpop_proof",
        "use_dpop_nonce",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
        "slow_down",
    }
)

_DEFAULT_SECONDS = 60  # where the server does not say for how long


class IssuedToken(NamedTuple):
    """What the authorization server gave.

    Attributes:
        access_token: The token; never logged.
        expires_in_seconds: How long the server says that it lives, counted from the request.
        scope: The scope it was given, or None if as asked.
    """

    access_token: str
    expires_in_seconds: float
    scope: str | None

    def __repr__(self) -> str:
        return f"<IssuedToken for {self.expires_in_seconds:g} s>"


def read_token_response(
    response: Response, secrets: Collection[str] = (), hints: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The members of an answer that is no error. Does NOT look at any of them: `read_token` does.

    Args:
        secrets: What was sent and must not come back in a message; some servers quote it.
        hints: What the message says besides, for an error code.

    Raises:
        GrantError: if the server says that it refuses.
        ClientError: ``authorization_server_unreachable``, if this is not the answer of a token endpoint.
    """
    status, headers, body = response
    pause = read_retry_after(status, headers)
    if 300 <= status < 400:
        raise strange(f"it answered {status} (redirects are not followed)")
    try:
        members = read_json_object(body)
    except ValueError as error:
        what = "HTML, not JSON" if body[:200].lstrip()[:1] == b"<" else error
        raise strange(f"it answered {status} with {what}", pause) from None
    code, description = members.get("error"), members.get("error_description")
    if isinstance(code, str) and (status != 200 or "access_token" not in members):
        shown = _printable(description, secrets) if isinstance(description, str) else None
        code = code if code in _CODES else _printable(code, secrets)
        raise GrantError(code, shown, status, retry_after_seconds=pause, hint=(hints or {}).get(code))
    if status != 200:
        raise strange(f"it answered {status} without an error code", pause)
    return members


def read_token(members: dict[str, Any]) -> IssuedToken:
    """The token in an answer.

    Does NOT verify it: a client does not know its form (RFC 9068 §6).

    Raises:
        ClientError: ``authorization_server_unreachable``, if there is none that can be used.
    """
    token, kind = members.get("access_token"), members.get("token_type")
    expires_in, scope = members.get("expires_in"), members.get("scope")
    if not isinstance(token, str) or not is_bearer_token(token):
        raise strange("there is no access_token in its answer")
    # RFC 8705 §3 tokens stay "Bearer"; the value is compared without case (RFC 6749 §5.1).
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise strange(
            f"its token_type is {'DPoP' if str(kind).lower() == 'dpop' else 'something else'}, and not Bearer"
        )
    if expires_in is None:
        expires_in = _DEFAULT_SECONDS
    if isinstance(expires_in, str) and expires_in.isdecimal() and len(expires_in) <= 9:  # some send the number as text
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float)) or not 0 <= expires_in < 10**9:
        raise strange("its expires_in is not a number of seconds")
    return IssuedToken(token, float(expires_in), scope if isinstance(scope, str) else None)


def strange(what: str, retry_after_seconds: float | None = None) -> ClientError:
    """That *what* it answered is no token endpoint's."""
    return ClientError(
        Reason.AUTHORIZATION_SERVER_UNREACHABLE,
        f"the token endpoint is not as expected: {what}",
        retry_after_seconds=retry_after_seconds,
    )


def _printable(text: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "...")
    return "".join(character if character.isprintable() else "?" for character in text[:200])
