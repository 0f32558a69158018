"""`install` and the dependency `bound_token`, for FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from fastapi import FastAPI, Request, Security, WebSocket
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.responses import Response
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from ..errors import ConfigurationError, InsufficientScope
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from .asgi import TOKEN_KEY, App, BoundTokenMiddleware, Receive, Scope, Send
from .guard import GuardOptions
from .views import VIEW_ERRORS, refuse, scopes_of, token_in
from .websocket import Websocket


__all__ = ["bound_token", "install"]


def install(
    app: FastAPI,
    verifier: Verifier,
    peer_source: PeerSource | None = None,
    *,
    end_responses: bool = False,
    **options: Unpack[GuardOptions],
) -> None:
    """Guard every path of *app*, its documentation included, and say so in its OpenAPI document (RFC 8705 §3).

    Adds `BoundTokenMiddleware`, and the answer 403 for the `InsufficientScope` of a dependency or a view. Middleware
    that is added later stands before the guard, and sees what it refuses. Apps that are mounted are guarded too.

    It does NOT ask for scopes beyond *required_scopes*: `bound_token` does.

    Args:
        app: The application; routes can be added before and after. The other arguments are those of
            `BoundTokenMiddleware`.

    Raises:
        ConfigurationError: if an argument cannot be right, or *app* is guarded already.
    """
    if hasattr(app.state, "tokenbind"):
        raise ConfigurationError("install was called on this application before")
    middleware = BoundTokenMiddleware(app, verifier, peer_source, end_responses=end_responses, **options)
    guard = app.state.tokenbind = middleware.guard

    def guarded(app: App) -> App:
        middleware.app = _with_its_own_errors(app)
        return middleware

    async def answer(connection: Request | WebSocket, error: Any) -> Any:
        token = connection.scope.get(TOKEN_KEY)
        if isinstance(connection, Request):
            refusal = refuse(guard, error, token)
            return Response(refusal.body, refusal.status, dict(refusal.headers))
        if token is not None:
            raise error  # the middleware knows whether the websocket was accepted
        return await Websocket(connection.scope, connection.receive, connection.send).refuse(refuse(guard, error, None))

    app.add_middleware(guarded)
    for kind in VIEW_ERRORS:
        app.add_exception_handler(kind, answer)
    _describe(app, options)


def bound_token(*scopes: str) -> Callable[..., Awaitable[BoundToken]]:
    """A dependency: the request's `BoundToken`, if it has all of *scopes*.

    ::

        @app.get("/invoices")
        def invoices(token: Annotated[BoundToken, Depends(bound_token("invoices:read"))]): ...

    The operation shows the security scheme and the scopes in OpenAPI. Works for websockets too, and asks for the scopes
    of ``Security(bound_token(), scopes=[...])`` as well. On a path that is exempt it refuses every request with 401.

    Raises:
        ConfigurationError: if a scope cannot be one; at the first request, before the view runs, if neither `install`
            nor `BoundTokenMiddleware` guards the application. FastAPI tells a dependency nothing before that.
    """
    own = list(scopes_of(scopes))

    async def dependency(
        connection: HTTPConnection, inherited: SecurityScopes, _drawn: None = Security(_SCHEME, scopes=own)
    ) -> BoundToken:
        name = getattr(connection.app, "title", "")
        token = token_in(connection.scope, TOKEN_KEY, f"call install(app, verifier) on the application {name!r}")
        needed = dict.fromkeys([*own, *inherited.scopes])
        if needed:
            token.require_scope(*needed)
        return token

    return dependency


class _CertificateBoundToken(SecurityBase):
    """What OpenAPI says of the tokens; FastAPI looks for it among the dependencies."""

    scheme_name = "CertificateBoundToken"
    model = HTTPBearer(
        bearerFormat="JWT",
        description="A certificate-bound access token (RFC 8705): it is accepted only over mutual TLS, with the client "
        "certificate that it was issued to.",
    )

    async def __call__(self) -> None:
        """The middleware has judged the token; there is nothing left to do."""


_SCHEME = _CertificateBoundToken()


def _describe(app: FastAPI, options: GuardOptions) -> None:
    """Let the OpenAPI document say that every operation needs a token, but for those that are exempt."""
    make, mount = app.openapi, options.get("mount", "").rstrip("/")

    def openapi() -> dict[str, Any]:
        document = make()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes.setdefault(_SCHEME.scheme_name, _SCHEME.model.model_dump(mode="json", by_alias=True, exclude_none=True))
        document.setdefault("security", [{_SCHEME.scheme_name: list(options.get("required_scopes", ()))}])
        for method, path in options.get("exempt", ()):
            operations = document["paths"].get(path.removeprefix(mount), {})
            operations.get(method.lower(), {}).setdefault("security", [])
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _with_its_own_errors(app: App) -> App:
    """*app*, but for the RuntimeError that Starlette makes of an error after a mounted app has made a 500 of it."""

    async def unwrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except RuntimeError as error:
            if isinstance(error.__cause__, InsufficientScope):
                raise error.__cause__ from None
            raise

    return unwrapped
