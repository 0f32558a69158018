"""Django REST framework: `BoundTokenAuthentication`, and `require_scope` for ``permission_classes``.

Configured by the setting ``TOKENBIND``: see `tokenbind.resource_server.django`, whose middleware can be there or not.
With it every path is guarded, without it the views that have the authentication class; the token is judged once.
"""
# mypy: disable-error-code=import-untyped, allow-subclassing-any

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import BasePermission

from ..errors import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Unavailable
from ..tokens import BoundToken
from .challenge import Refusal
from .django import _answer, _authenticate, _is_configured, _resource_server, _seen, bound_token
from .views import VIEW_ERRORS, TokenNeeded, cache_control, refuse, scopes_of


if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["BoundTokenAuthentication", "TokenUser", "require_scope"]


class TokenUser:
    """Whoever a token speaks for, as a user without a row in a database, and without a permission of Django's.

    Attributes:
        token: The `BoundToken`.
        username: Its subject, or its client where there is no subject.
        pk, id: Issuer and `username`, because two issuers may mean different ones by the same name.
    """

    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, token: BoundToken) -> None:
        self.token = token
        self.username: str = token.subject or token.client_id or ""
        self.pk: str = f"{token.issuer} {self.username}"
        self.id: str = self.pk

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """False: scopes are asked for with `require_scope`."""
        return False

    def has_perms(self, perm_list: object, obj: object = None) -> bool:
        """False, as `has_perm`."""
        return False

    def __str__(self) -> str:
        return self.username


class BoundTokenAuthentication(BaseAuthentication):
    """``request.auth`` is the `BoundToken`, bound to its peer's certificate; ``request.user`` what `get_user` makes.

    A request without such a token is refused, whatever the permissions are, and by the guard's own answer. An
    `InsufficientScope` that leaves the view becomes 403. A request that is exempt has no user.
    """

    def authenticate(self, request: Any) -> tuple[Any, BoundToken] | None:
        """The user and the token."""
        guard, http = _resource_server(), request._request
        _answer_as_the_guard(request.parser_context.get("view"), http)
        if not hasattr(http, "bound_token"):  # no middleware has judged it
            try:
                _authenticate(guard, http)
            except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
                raise _Refused(guard.refusal(error)) from error
        token = _seen(http)
        return None if token is None else (self.get_user(token), token)

    def get_user(self, token: BoundToken) -> Any:
        """Override this to find your own user; raise REST framework's ``AuthenticationFailed`` if there is none."""
        return TokenUser(token)

    def authenticate_header(self, request: Request) -> Any:
        """The challenge of a 401 that is not the guard's, such as that of `get_user`."""
        return dict(_resource_server()._challenge.refusal(TokenNeeded()).headers)["www-authenticate"]


def require_scope(scope: str, *more: str) -> type[Any]:
    """A permission class: the token has *scope* and all of *more*; otherwise the answer is 403.

    ::

        permission_classes = [require_scope("invoices:read")]

    It refuses by raising, so in ``a | b`` it belongs last.

    Raises:
        ConfigurationError: where it stands, if a scope cannot be one, or there is no setting ``TOKENBIND``; at a
            request, if neither `BoundTokenAuthentication` nor the middleware has seen it.
    """
    scopes = scopes_of((scope, *more))
    if not _is_configured():
        raise ConfigurationError("require_scope needs the setting TOKENBIND, and BoundTokenAuthentication")

    class RequireScope(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> Any:
            _answer_as_the_guard(view, request._request)
            bound_token(request._request).require_scope(*scopes)
            return True

    return RequireScope


class _Refused(APIException):
    """The guard's refusal, as an error of REST framework, which forgets the user then."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(json.loads(refusal.body))
        self.status_code = refusal.status
        self.refusal = refusal


def _answer_as_the_guard(view: Any, http: Any) -> None:
    """Let *view*, which is of this one request, refuse without its exception handler, and mark its answers."""
    if view is None:
        return
    from rest_framework.views import set_rollback  # needs Django's settings

    guard, handle_other_exception, finalize = _resource_server(), view.handle_exception, view.finalize_response

    def handle_exception(exc: Exception) -> Any:
        token = _seen(http)
        if isinstance(exc, NotAuthenticated) and token is None and hasattr(http, "bound_token"):
            exc = TokenNeeded()
        if isinstance(exc, _Refused):
            refusal = exc.refusal
        elif isinstance(exc, VIEW_ERRORS):
            refusal = refuse(guard, exc, token)
        else:
            return handle_other_exception(exc)
        set_rollback()
        return _answer(refusal)

    def finalize_response(*args: Any, **kwargs: Any) -> Any:
        response = finalize(*args, **kwargs)
        if _seen(http) is not None:
            response.headers["Cache-Control"] = cache_control(response.headers.get("Cache-Control"))
        return response

    view.handle_exception, view.finalize_response = handle_exception, finalize_response
