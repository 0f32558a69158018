"""`install` and `bound_token`, for aiohttp.web. aiohttp itself ends TLS, and says which certificate was proven."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Unpack

from aiohttp import WSCloseCode, web

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable
from ..peer import PeerSource
from ..peer.fields import Names
from ..tokens import BoundToken, Verifier
from .challenge import Refusal, cache_control_to_add
from .guard import WEBSOCKET, GuardOptions, ResourceServer
from .lifetime import Sleep, TokenEnded, end_of_token, watched
from .views import VIEW_ERRORS, refuse, token_in


__all__ = ["TOKEN_KEY", "bound_token", "install"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp 3.14 has keys for requests; before, requests took the keys of applications.
_Key: Any = getattr(web, "RequestKey", web.AppKey)

#: Where the `BoundToken` stands in the request; None if the request is exempt.
TOKEN_KEY: Any = _Key("tokenbind.token", BoundToken)

_EVENTS = "text/event-stream"
_INSTALLED: web.AppKey[bool] = web.AppKey("tokenbind", bool)
_ENDS_CONNECTIONS: web.AppKey[bool] = web.AppKey("tokenbind.ends_connections", bool)


def install(
    app: web.Application,
    verifier: Verifier,
    peer_source: PeerSource | None = None,
    *,
    end_responses: bool = False,
    **options: Unpack[GuardOptions],
) -> None:
    """Let a request through to *app*, and to its sub-applications, only with a token that is bound to its certificate.

    Puts a middleware before those that *app* has, so that unknown paths are refused like any other. Answers are marked
    so that no shared cache keeps them, and an `InsufficientScope` that a handler raises becomes the answer 403.

    A websocket is closed (1008) within a second after its token has expired or was revoked, even if nothing is sent.

    It does NOT guard what aiohttp does before any middleware: it answers requests that are no HTTP, and runs a route's
    ``expect_handler``. It does NOT ask for scopes beyond *required_scopes*: `BoundToken.require_scope` does.

    Args:
        app: The application, before it runs; routes and sub-applications can be added before and after.
        end_responses: Whether a response ends with its token, too. One that has not begun is refused then, a stream of
            server-sent events is complete, and any other is cut off. Otherwise what has begun goes on. A handler that
            sends events must let itself be cancelled.

    The other arguments are those of `ResourceServer`. In ``exempt``, paths are compared as aiohttp compares those of
    routes: whole, with the prefixes of sub-applications, and decoded but for ``%2F`` and ``%25``. ``mount`` has no use.

    Raises:
        ConfigurationError: if an argument cannot be right, or it is too late for *app*.
    """
    if _INSTALLED in app:
        raise ConfigurationError("install was called on this application before")
    if app.middlewares.frozen:
        raise ConfigurationError("the application runs, or is a sub-application already: call install before that")
    guarded = _Guarded(ResourceServer(verifier, peer_source, **options), end_responses)

    @web.middleware
    async def bound_token_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guarded.answer(request, handler)

    app[_INSTALLED] = True
    app[_ENDS_CONNECTIONS] = bool(guarded.guard.hidden_headers)
    app.middlewares.insert(0, bound_token_middleware)
    app.on_response_prepare.append(guarded.note)


def bound_token(request: web.Request) -> BoundToken:
    """The `BoundToken` of *request*. On a path that is exempt, the request is refused with 401.

    Raises:
        ConfigurationError: if the application is not guarded by `install`.
    """
    state: Any = request
    return token_in(state, TOKEN_KEY, "call tokenbind.resource_server.aiohttp.install(app, verifier)")


class _Call:
    """A request that was let through.

    Attributes:
        token, peer: What it was let through with.
        response: What was begun in answer to it, by whomever.
        closed: Whether it is a websocket that was closed because of its token.
    """

    def __init__(self, token: BoundToken | None, peer: PeerCertificate | None) -> None:
        self.token = token
        self.peer = peer
        self.response: web.StreamResponse | None = None
        self.closed = False


class _Guarded:
    """What one `install` has put into an application."""

    def __init__(self, guard: ResourceServer, end_responses: bool) -> None:
        self.guard = guard
        self._end_responses = end_responses
        self._key = _Key("tokenbind.call", _Call)  # its own, because a sub-application may have a guard, too

    async def note(self, request: web.Request, response: web.StreamResponse) -> None:
        """A response begins: a signal, because nobody has another chance at the headers of a stream."""
        if self.guard.hidden_headers and "Transfer-Encoding" in request.headers:
            # aiohttp takes the last trailer of a request for a header of the next one on its connection, which is the
            # proxy's, and may be anybody's. RFC 9110 §6.5.1: trailers must not be merged into the header section.
            response.force_close()
        call: _Call | None = request.get(self._key)
        if call is None:
            return
        call.response = response
        if call.token is not None:
            value = cache_control_to_add(response.headers.getall("Cache-Control", ()))
            if value is not None:
                response.headers.add("Cache-Control", value)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware."""
        guard = self.guard
        try:
            presented = _presented(guard, request)
            token = None if presented is None else guard.finish(await guard.verifier.verify_async(*presented))
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            return _response(guard.refusal(error))
        _hide(guard.hidden_headers, request)
        request[TOKEN_KEY] = token
        call = request[self._key] = _Call(token, None if presented is None else presented[1])
        if token is not None and (self._end_responses or _is_handshake(request)):
            return await self._run_while_it_stands(request, handler, call, token)
        return await self._run(request, handler, call)

    async def _run(self, request: web.Request, handler: Handler, call: _Call) -> web.StreamResponse:
        """The handler's response, or 403 in its stead."""
        try:
            response = await handler(request)
        except VIEW_ERRORS as error:
            return await self._refuse(call, error)
        except web.HTTPException as error:
            if (refused := _swallowed(call, error)) is None:
                raise
            return await self._refuse(call, refused)
        except ConnectionError:
            if call.response is None or not call.closed:
                raise
            return call.response
        refused = _swallowed(call, response)
        return response if refused is None else await self._refuse(call, refused)

    async def _refuse(self, call: _Call, error: InsufficientScope | InvalidToken) -> web.StreamResponse:
        response = call.response
        if response is None:
            return _response(refuse(self.guard, error, call.token))
        if not isinstance(response, web.WebSocketResponse):
            raise error
        refuse(self.guard, error, call.token)
        await response.close(code=WSCloseCode.POLICY_VIOLATION)
        return response

    async def _run_while_it_stands(
        self, request: web.Request, handler: Handler, call: _Call, token: BoundToken
    ) -> web.StreamResponse:
        response: Any = None

        async def run() -> None:
            nonlocal response
            response = await self._run(request, handler, call)
            if self._end_responses and isinstance(response, web.StreamResponse):
                # aiohttp would send what is left of it after the middleware, when nobody watches any more.
                with suppress(ConnectionError):
                    await response.prepare(request)
                    await response.write_eof()

        async def watch(sleep: Sleep) -> None:
            error = await end_of_token(self.guard.verifier, token, call.peer, sleep)
            begun = call.response
            if isinstance(begun, web.WebSocketResponse) and begun.prepared:
                call.closed = True
                away = self.guard.refusal(error).status == 503
                await begun.close(code=WSCloseCode.TRY_AGAIN_LATER if away else WSCloseCode.POLICY_VIOLATION)
            # What a handler does after its response is none of the client's business.
            elif begun is None or (self._end_responses and not begun._eof_sent):
                if begun is not None and begun.content_type != _EVENTS and request.transport is not None:
                    # So that it does not pass for complete. Now, because a handler may not let itself be cancelled.
                    request.transport.abort()
                raise TokenEnded(error)

        try:
            await watched(run, watch)
        except TokenEnded as ended:
            refusal = self.guard.refusal(ended.error)
            response = call.response
            if response is None:
                response = _response(refusal)
            elif response.content_type == _EVENTS:
                with suppress(ConnectionError):
                    await response.write_eof()
        answer: web.StreamResponse = response
        return answer


def _presented(guard: ResourceServer, request: web.Request) -> tuple[bytes, PeerCertificate | None] | None:
    """What `ResourceServer.prepare` makes of a request."""
    return guard.prepare(
        _method(request),
        "",
        request.rel_url.path_safe,  # what routes are compared with; `path` would make one of /a%2Fb and /a/b
        request.rel_url.raw_query_string.encode("utf-8", "surrogateescape"),
        request.raw_headers,
        lambda request: _peer(guard, request),
        request,
    )


def _peer(guard: ResourceServer, request: web.Request) -> PeerCertificate | None:
    if guard.hidden_headers and not request.match_info.apps[0].get(_ENDS_CONNECTIONS):
        raise Unavailable(
            Reason.CERTIFICATE_SOURCE_MISSING,
            "no information about the peer certificate: aiohttp takes a trailer of one request for a header of the "
            "next, and here the next can be for another application: call install on the outermost one",
        )
    return guard.peer_source.from_request(
        request.raw_headers,
        socket_peer=request.get_extra_info("peername"),
        socket_name=request.get_extra_info("sockname"),
        tls_peer=request.get_extra_info("ssl_object"),
    )


def _hide(names: Names, request: web.Request) -> None:
    """Take the headers of those names out of *request*.

    Out of itself, though aiohttp makes that no public matter: a clone fails if any header is not UTF-8, and would leave
    files that a handler has received open, because aiohttp goes on with the first request.
    """
    if not names:
        return
    inside: Any = request
    headers = request.headers.copy()
    for name in set(headers):
        if names.hides(name.encode("utf-8", "surrogateescape")):
            headers.popall(name, None)
    raw = tuple(field for field in request.raw_headers if not names.hides(field[0]))
    inside._headers = type(request.headers)(headers)
    inside._message = inside._message._replace(headers=inside._headers, raw_headers=raw)
    for known in ("headers", "raw_headers"):
        inside._cache.pop(known, None)


def _method(request: web.Request) -> str | None:
    """As the guard takes it: None for a websocket handshake, and what is never exempt for the attempt at one.

    Half a handshake must not pass for one: the handler would find that it is none, and answer with something else.
    """
    if request.method != "GET" or not _is_handshake(request):
        return request.method
    offered = [protocol.strip() for protocol in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    try:
        complete = web.WebSocketResponse(protocols=offered).can_prepare(request).ok
    except ValueError:  # of a key that is no text
        complete = False
    return None if complete else WEBSOCKET


def _is_handshake(request: web.Request) -> bool:
    # All that `WebSocketResponse` takes for one, and more; compared as it does.
    return request.headers.get("Upgrade", "").lower().strip() == "websocket"


def _swallowed(call: _Call, response: Any) -> InsufficientScope | None:
    """What `require_scope` has raised, if a middleware of the application has made a 500 of it on its way out."""
    if call.token is None or call.response is not None or getattr(response, "status", None) != 500:
        return None
    return call.token.scope_refusal


def _response(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, headers=refusal.headers, body=refusal.body)
