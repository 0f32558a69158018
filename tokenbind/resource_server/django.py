"""The guard as Django's own middleware, for WSGI and ASGI, configured by one setting; `bound_token`, `require_scope`.

::

    MIDDLEWARE = ["tokenbind.resource_server.django.BoundTokenMiddleware", ...]
    TOKENBIND = {"verifier": "project.tokens.verifier", "exempt": {("GET", "/health")}}

``TOKENBIND`` has the arguments of `ResourceServer`: ``verifier``, ``peer_source``, ``realm``, ``required_scopes``,
``exempt``, ``mount``, ``monitor``. The objects among them can be given as they are, as a function that makes one, or as
the dotted path of either. With this module in ``INSTALLED_APPS``, ``manage.py check`` looks at them.

Websockets do not go through Django's middleware: wrap their application in that of `tokenbind.resource_server.asgi`.
"""
# mypy: disable-error-code=import-untyped, allow-subclassing-any

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache, wraps
from typing import Any, TypeVar, Unpack

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.utils import deprecation
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Unavailable
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from . import asgi, wsgi
from .challenge import Refusal
from .guard import GuardOptions, ResourceServer
from .settings import resource_server
from .views import VIEW_ERRORS, cache_control, refuse, scopes_of, token_in


__all__ = ["BoundTokenMiddleware", "bound_token", "install", "require_scope"]

View = TypeVar("View", bound=Callable[..., Any])

_PATH = f"{__name__}.BoundTokenMiddleware"

# asgiref's, which sees what Django has marked as asynchronous, too.
_is_asynchronous: Callable[[Any], bool] = vars(deprecation)["iscoroutinefunction"]


class BoundTokenMiddleware(MiddlewareMixin):
    """Lets a request through only with a token that is bound to its peer's certificate (RFC 8705 §3).

    The view finds the `BoundToken` in ``request.bound_token``: None if the request is exempt. Answers of views are
    marked so that no shared cache keeps them, and an `InsufficientScope` that leaves a view becomes the answer 403.

    It belongs first into ``MIDDLEWARE``: what stands before it sees requests that it refuses, and may answer them. It
    does NOT ask for scopes beyond ``required_scopes``: `require_scope` does.

    Raises:
        ConfigurationError: when the application is made, if ``TOKENBIND`` cannot be right.
    """

    get_response: Any

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._guard = _resource_server()

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """The refusal, if it is one."""
        try:
            _authenticate(self._guard, request)
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            return _answer(self._guard.refusal(error))
        return None

    async def __acall__(self, request: Any) -> HttpResponse:
        guard = self._guard
        try:
            presented = _presented(guard, request)
            token = None if presented is None else guard.finish(await guard.verifier.verify_async(*presented))
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            return _answer(guard.refusal(error))
        request.bound_token = token
        return self.process_response(request, await self.get_response(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The refusal that a view has raised, if it has."""
        return _answer(refuse(self._guard, exception, _seen(request))) if isinstance(exception, VIEW_ERRORS) else None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """*response*, kept out of shared caches, or 403 if it is the 500 that was made of a scope too small."""
        token = _seen(request)
        if token is None:
            return response
        if response.status_code == 500 and token.scope_refusal is not None:
            return _answer(refuse(self._guard, token.scope_refusal, token))
        response.headers["Cache-Control"] = cache_control(response.headers.get("Cache-Control"))
        return response


def install(
    namespace: dict[str, Any],
    verifier: Verifier | str,
    peer_source: PeerSource | str | None = None,
    **options: Unpack[GuardOptions],
) -> None:
    """For settings.py, after ``MIDDLEWARE``: write both settings, with the middleware first.

    ::

        install(globals(), "project.tokens.verifier", exempt={("GET", "/health")})

    Django is configured by its settings and not by its application object, which test clients do not use.

    Args:
        namespace: The ``globals()`` of settings.py. The other arguments are what ``TOKENBIND`` is to hold.

    Raises:
        ConfigurationError: if *namespace* is none of settings, or has the middleware already.
    """
    if not isinstance(namespace, dict):
        raise ConfigurationError("install(globals(), verifier) belongs into settings.py: it takes no application")
    middleware = list(namespace.get("MIDDLEWARE", ()))
    if _PATH in middleware:
        raise ConfigurationError("the middleware is in MIDDLEWARE already: install would write it there")
    namespace["MIDDLEWARE"] = [_PATH, *middleware]
    namespace["TOKENBIND"] = {"verifier": verifier, "peer_source": peer_source, **options}


def bound_token(request: HttpRequest) -> BoundToken:
    """The `BoundToken` of *request*, for Django's and for REST framework's requests.

    On a path that is exempt, the middleware refuses the request with 401.

    Raises:
        ConfigurationError: if no middleware has seen the request.
    """
    return token_in(vars(getattr(request, "_request", request)), "bound_token", f"put {_PATH!r} into MIDDLEWARE")


def require_scope(scope: str, *more: str) -> Callable[[View], View]:
    """A decorator of views: the view runs only if the request's token has *scope* and all of *more*; otherwise 403.

    For functions, sync and async; and for classes with ``@method_decorator(require_scope(...), name="dispatch")``.

    Raises:
        ConfigurationError: where it stands, if a scope cannot be one, or ``MIDDLEWARE`` lacks the middleware.
    """
    scopes = scopes_of((scope, *more))
    if not any(map(_is_the_middleware, settings.MIDDLEWARE)):
        raise ConfigurationError(f"require_scope needs {_PATH!r} in MIDDLEWARE")

    def refusal_of(request: HttpRequest) -> HttpResponse | None:
        try:
            bound_token(request).require_scope(*scopes)
        except VIEW_ERRORS as error:
            # Answered here, because other middleware might make something else of an exception.
            return _answer(refuse(_resource_server(), error, _seen(request)))
        return None

    def decorate(view: Any) -> Any:
        @wraps(view)
        def with_scope(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return refusal_of(request) or view(request, *args, **kwargs)

        @wraps(view)
        async def with_scope_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return refusal_of(request) or await view(request, *args, **kwargs)

        return with_scope_async if _is_asynchronous(view) else with_scope

    return decorate


@cache
def _resource_server() -> ResourceServer:
    return resource_server("TOKENBIND", getattr(settings, "TOKENBIND", None))


def _is_configured() -> bool:
    return hasattr(settings, "TOKENBIND")


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "TOKENBIND":  # override_settings, in tests
        _resource_server.cache_clear()


def _check(**_: Any) -> list[Error]:
    try:
        if _is_configured() or _PATH in settings.MIDDLEWARE:
            _resource_server()
    except ConfigurationError as error:
        return [Error(str(error), id="tokenbind.E001")]
    return []


setting_changed.connect(_forget)
register(_check, Tags.security)


def _is_the_middleware(path: str) -> bool:
    if path == _PATH:
        return True
    try:
        found = import_string(path)
    except Exception:  # noqa: BLE001 - Django will say so itself; or that module is just importing this one
        return True
    return isinstance(found, type) and issubclass(found, BoundTokenMiddleware)


def _authenticate(guard: ResourceServer, request: Any) -> None:
    presented = _presented(guard, request)
    request.bound_token = None if presented is None else guard.finish(guard.verifier.verify(*presented))


def _presented(guard: ResourceServer, request: Any) -> tuple[bytes, PeerCertificate | None] | None:
    if hasattr(request, "scope"):
        presented = asgi._presented(guard, request.scope)
        request.scope = {**request.scope}
        guard.hidden_headers.hide_in_scope(request.scope)
        guard.hidden_headers.hide_in_environ(request.META)
    else:
        presented = wsgi._presented(guard, request.META)
    vars(request).pop("headers", None)  # Django makes them of META, once
    return presented


def _seen(request: HttpRequest) -> BoundToken | None:
    return getattr(request, "bound_token", None)


class _Answer(HttpResponse):
    """Can be awaited, because ``dispatch`` of an asynchronous class is, and does not look it."""

    def __await__(self) -> Generator[None, None, _Answer]:
        yield from ()
        return self


def _answer(refusal: Refusal) -> HttpResponse:
    return _Answer(refusal.body, status=refusal.status, headers=dict(refusal.headers))
