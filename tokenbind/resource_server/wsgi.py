"""The guard as WSGI middleware (PEP 3333): for Flask, Django, Pyramid, Bottle, Falcon, or no framework."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus
from typing import Any

from ..binding import PeerCertificate
from ..errors import InsufficientScope, InvalidRequest, InvalidToken, Unavailable
from ..tokens import BoundToken
from .challenge import cache_control_to_add
from .guard import RequestError, ResourceServer
from .middleware import Guarded


__all__ = ["TOKEN_KEY", "BoundTokenMiddleware", "authenticate"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Where the `BoundToken` stands in the environ.
TOKEN_KEY = "tokenbind.token"

# At most one of each is there: servers have joined repeated headers with commas, which no token has in it.
_HEADERS = (("HTTP_AUTHORIZATION", b"authorization"), ("HTTP_EARLY_DATA", b"early-data"))


class BoundTokenMiddleware(Guarded[App]):
    """Lets a request through to *app* only with a token that is bound to its peer's certificate.

    The application finds the `BoundToken` in ``environ["tokenbind.token"]``. Answers of the application are marked so
    that no shared cache keeps them, and an `InsufficientScope` that it raises becomes the answer 403.

    The arguments after *app* are those of `ResourceServer`.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            token = authenticate(self.guard, environ)
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            return self._refuse(error, start_response)
        environ[TOKEN_KEY] = token
        if token is None:
            return self.app(environ, start_response)
        start = _Start(start_response, token)
        body: Iterable[bytes] = ()
        try:
            body = self.app(environ, start)
        except InsufficientScope as error:
            start.refused = error
        if start.refused is not None:
            getattr(body, "close", lambda: None)()
            return self._refuse_scope(start.refused, start)
        # A generator has not run yet. Nothing else is wrapped: servers know lists and file wrappers by their type.
        if isinstance(body, Generator):
            return self._iterate(body, start)
        start.final = True
        return body

    def _iterate(self, body: Generator[bytes, Any, Any], start: _Start) -> Iterable[bytes]:
        yielded = False
        try:
            for chunk in body:
                if start.refused is not None:
                    break
                yielded = True
                yield chunk
        except InsufficientScope as error:
            if yielded:
                raise
            start.refused = error
        finally:
            body.close()
        if start.refused is not None:
            yield from self._refuse_scope(start.refused, start)

    def _refuse_scope(self, error: InsufficientScope, start: _Start) -> Iterable[bytes]:
        self.guard.report(error, start.token)
        # PEP 3333: with exc_info, headers that the application has set, but that were not sent yet, are replaced.
        # Only then: Werkzeug's test client raises whatever comes with exc_info.
        exc_info = [(type(error), error, error.__traceback__)] if start.called else []
        return self._refuse(error, start.start_response, *exc_info)

    def _refuse(self, error: RequestError, start_response: StartResponse, *exc_info: Any) -> Iterable[bytes]:
        refusal = self.guard.refusal(error)
        start_response(f"{refusal.status} {HTTPStatus(refusal.status).phrase}", refusal.headers, *exc_info)
        return [refusal.body]


class _Start:
    """The application's start_response: keeps its answer out of shared caches, and knows of a scope that it refused.

    Attributes:
        called: Whether the application has started an answer.
        refused: What `BoundToken.require_scope` raised, if it left the application, or if that made a 500 of it.
        final: Whether it is too late to answer in the application's stead.
    """

    def __init__(self, start_response: StartResponse, token: BoundToken) -> None:
        self.start_response = start_response
        self.token = token
        self.called = False
        self.refused: InsufficientScope | None = None
        self.final = False

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self.token.scope_refusal is not None and status.startswith("500") and not self.final:
            self.refused = self.token.scope_refusal
            return lambda _data: None
        self.called = True
        value = cache_control_to_add([value for name, value in headers if name.lower() == "cache-control"])
        if value is not None:
            headers = [*headers, ("cache-control", value)]
        return self.start_response(status, headers, *([exc_info] if exc_info else []))


def authenticate(guard: ResourceServer, environ: Environ) -> BoundToken | None:
    """The token of a WSGI request, or None if it is exempt.

    Raises:
        InvalidRequest, InvalidToken, InsufficientScope, Unavailable: see `ResourceServer.authenticate`.
    """
    presented = _presented(guard, environ)
    return None if presented is None else guard.finish(guard.verifier.verify(*presented))


def _presented(guard: ResourceServer, environ: Environ) -> tuple[bytes, PeerCertificate | None] | None:
    """What `ResourceServer.prepare` makes of an environ."""
    mount = environ.get("SCRIPT_NAME", "")
    presented = guard.prepare(
        environ["REQUEST_METHOD"],
        _text(mount),
        _text(mount + environ.get("PATH_INFO", "")),
        environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
        [(name, environ[key].encode("latin-1", "replace")) for key, name in _HEADERS if key in environ],
        guard.peer_source.from_environ,
        environ,
    )
    guard.hidden_headers.hide_in_environ(environ)
    return presented


def _text(native: str) -> str:
    # PEP 3333: text in the environ is bytes decoded as latin-1, whatever they mean.
    return native.encode("latin-1", "replace").decode("utf-8", "replace")
