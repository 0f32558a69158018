"""What the modules of the frameworks share: how a view gets its token and names its scopes, and what refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError, InsufficientScope, InvalidToken, Reason
from ..tokens import BoundToken
from .challenge import Refusal, _is_scope_token, cache_control_to_add
from .guard import RequestError, ResourceServer


__all__ = ["VIEW_ERRORS", "TokenNeeded", "cache_control", "refuse", "scopes_of", "token_in"]


class TokenNeeded(InvalidToken):
    """A view asks for the token of a request that came without, and was let through because its path is exempt."""

    def __init__(self) -> None:
        super().__init__(Reason.TOKEN_MISSING, "the view asks for a token, but its path is in exempt=")


#: What a view is refused with. Not every InvalidToken: a view may have a verifier of its own, for other tokens.
VIEW_ERRORS = (InsufficientScope, TokenNeeded)


def token_in(request: Mapping[str, Any], key: str, remedy: str) -> BoundToken:
    """The token that the guard has put into *request*, under *key*.

    Raises:
        TokenNeeded: if the request is exempt.
        ConfigurationError: if no guard has seen the request; *remedy* says what to do.
    """
    token = request.get(key, "")
    if token is None:
        raise TokenNeeded
    # By its type: servers that copy the process environment put strings there.
    if not isinstance(token, BoundToken):
        raise ConfigurationError(f"no guard has seen this request, so there is no token: {remedy}")
    return token


def scopes_of(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """*scopes*, as a decorator or a dependency was given them.

    Raises:
        ConfigurationError: if one is no scope, or is none of these: ``@require_scope`` without parentheses gets a view.
    """
    if not all(isinstance(scope, str) and _is_scope_token(scope) for scope in scopes):
        raise ConfigurationError('scopes are given one by one, such as ("invoices:read", "invoices:write")')
    return scopes


def refuse(guard: ResourceServer, error: RequestError, token: BoundToken | None) -> Refusal:
    """The answer to a view's request, of which the monitor is told here, and only here."""
    guard.report(error, token)
    return guard.refusal(error)


def cache_control(value: str | None) -> str:
    """The ``Cache-Control`` of an answer that a view has given *value*, if any: no shared cache may keep it."""
    added = cache_control_to_add([value] if value else [])
    return ", ".join(filter(None, (value, added)))
