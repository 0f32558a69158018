"""`install`, `bound_token` and `require_scope`, for Flask."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, Unpack

from flask import Flask, current_app, has_request_context, request

from ..errors import ConfigurationError
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from .guard import GuardOptions
from .views import VIEW_ERRORS, refuse, scopes_of, token_in
from .wsgi import TOKEN_KEY, BoundTokenMiddleware


__all__ = ["bound_token", "install", "require_scope"]

P = ParamSpec("P")
R = TypeVar("R")

_EXTENSION = "tokenbind"


def install(
    app: Flask, verifier: Verifier, peer_source: PeerSource | None = None, **options: Unpack[GuardOptions]
) -> None:
    """Guard every path of *app*, those of its blueprints and its static files included (RFC 8705 §3).

    Wraps ``app.wsgi_app`` in `BoundTokenMiddleware`, and answers 403 to the `InsufficientScope` of a view or a
    ``before_request`` function, before any error handler sees it.

    It does NOT ask for scopes beyond *required_scopes*: `require_scope` does.

    Args:
        app: The application; views and blueprints can be added before and after. The other arguments are those of
            `BoundTokenMiddleware`.

    Raises:
        ConfigurationError: if an argument cannot be right, or *app* is guarded already.
    """
    if _EXTENSION in app.extensions:
        raise ConfigurationError("install was called on this application before")
    middleware = BoundTokenMiddleware(app.wsgi_app, verifier, peer_source, **options)
    app.extensions[_EXTENSION] = guard = middleware.guard
    handle_other_exception = app.handle_user_exception

    # Not an error handler: a blueprint's handler for every Exception would go before it.
    def handle_user_exception(e: Exception) -> Any:
        if not isinstance(e, VIEW_ERRORS):
            return handle_other_exception(e)
        refusal = refuse(guard, e, request.environ.get(TOKEN_KEY))
        return app.response_class(refusal.body, refusal.status, refusal.headers)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    app.handle_user_exception = handle_user_exception  # type: ignore[method-assign]


def bound_token() -> BoundToken:
    """The `BoundToken` of the current request. On a path that is exempt, the request is refused with 401.

    Raises:
        ConfigurationError: if there is no request, or neither `install` nor `BoundTokenMiddleware` guards the
            application.
    """
    if not has_request_context():
        raise ConfigurationError("bound_token() belongs into a view: there is no request here")
    return token_in(request.environ, TOKEN_KEY, f"call install(app, verifier) on {current_app!r}")


def require_scope(scope: str, *more: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of views: the view runs only if the request's token has *scope* and all of *more*; otherwise 403.

    ::

        @app.get("/invoices")
        @require_scope("invoices:read")
        def invoices(): ...

    Raises:
        ConfigurationError: if a scope cannot be one; at a request, before the view runs, as `bound_token` does. Flask
            tells a view nothing before that.
    """
    scopes = scopes_of((scope, *more))

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def with_scope(*args: P.args, **kwargs: P.kwargs) -> R:
            bound_token().require_scope(*scopes)
            run: Callable[P, R] = current_app.ensure_sync(view)
            return run(*args, **kwargs)

        return with_scope

    return decorate
