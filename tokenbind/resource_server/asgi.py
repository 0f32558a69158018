"""The guard as ASGI middleware, pure ASGI: for Starlette, FastAPI, Quart, Litestar, Django's ASGI, or no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any, Unpack

from ..binding import PeerCertificate
from ..errors import InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from .challenge import Refusal, as_asgi, cache_control_to_add
from .guard import GuardOptions, ResourceServer
from .lifetime import Sleep, TokenEnded, end_of_token, watched
from .middleware import Guarded
from .websocket import Websocket


__all__ = ["TOKEN_KEY", "BoundTokenMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where the `BoundToken` stands in the scope.
TOKEN_KEY = "tokenbind.token"


class BoundTokenMiddleware(Guarded[App]):
    """Lets a request through to *app* only with a token that is bound to its peer's certificate.

    The application finds the `BoundToken` in ``scope["tokenbind.token"]``. ``http`` and ``websocket`` are guarded,
    ``lifespan`` passes, any other type is refused. Answers of the application are marked so that no shared cache keeps
    them, and an `InsufficientScope` that it raises becomes the answer 403.

    A websocket is closed (1008) within a second after its token has expired or was revoked, even if nothing is sent.

    Args:
        app: The ASGI application.
        end_responses: Whether an http response ends with its token, too. One that has not begun is refused then, a
            stream of server-sent events is complete, and any other is cut off. Otherwise what has begun goes on.

    The arguments between and after these are those of `ResourceServer`.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        peer_source: PeerSource | None = None,
        *,
        end_responses: bool = False,
        **options: Unpack[GuardOptions],
    ) -> None:
        super().__init__(app, verifier, peer_source, **options)
        self._end_responses = end_responses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, guard = scope["type"], self.guard
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise InvalidRequest(
                Reason.SCOPE_TYPE_REFUSED, "this type of ASGI connection cannot be guarded, so it is refused"
            )
        try:
            presented = _presented(guard, scope)
            token = None if presented is None else guard.finish(await guard.verifier.verify_async(*presented))
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            refusal = guard.refusal(error)
            if kind == "http":
                await _answer(refusal, send)
            else:
                await receive()  # websocket.connect
                await Websocket(scope, receive, send).refuse(refusal)
            return
        guarded = {**scope, TOKEN_KEY: token}
        guard.hidden_headers.hide_in_scope(guarded)
        if token is None or presented is None:
            await self.app(guarded, receive, send)
        elif kind == "websocket":
            await self._call_websocket(guarded, receive, send, token, presented[1])
        elif self._end_responses:
            await self._call_http_while_it_stands(guarded, receive, send, token, presented[1])
        else:
            await self._call_http(guarded, receive, send, token)

    async def _call_http(self, scope: Scope, receive: Receive, send: Send, token: BoundToken) -> None:
        started = False
        held: list[MutableMapping[str, Any]] | None = None

        # Not a coroutine itself: that would be one more to go through, at every message.
        def send_private(message: MutableMapping[str, Any]) -> Awaitable[None]:
            nonlocal started, held
            if message["type"] == "http.response.start":
                message = {**message, "headers": _private(message.get("headers", ()))}
                if token.scope_refusal is not None and message["status"] == 500:
                    # Frameworks answer 500 to every error before they let it pass, if they do: so wait for it.
                    held = [message]
                    return _nothing()
                started = True
            elif held is not None:
                held.append(message)
                return _nothing()
            return send(message)

        refused = None
        try:
            await self.app(scope, receive, send_private)
            refused = token.scope_refusal if held else None
        except InsufficientScope as error:
            if started:
                raise
            refused = error.with_traceback(None)  # which would hold this frame, and the frame it
        except Exception:
            for message in held or ():
                await send(message)
            raise
        if refused is not None:
            self.guard.report(refused, token)
            await _answer(self.guard.refusal(refused), send)

    async def _call_http_while_it_stands(
        self, scope: Scope, receive: Receive, send: Send, token: BoundToken, peer: PeerCertificate | None
    ) -> None:
        started: dict[bytes, bytes] | None = None
        complete = False
        ended: InvalidToken | Unavailable | None = None

        async def send_and_note(message: MutableMapping[str, Any]) -> None:
            nonlocal started, complete
            if ended is not None:  # it was cancelled, and goes on; or left a task behind, as Django does
                raise OSError("the response was ended, because its token does not stand any more")
            if message["type"] == "http.response.start":
                started = {name.lower(): value for name, value in message.get("headers", ())}
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        async def watch(sleep: Sleep) -> None:
            nonlocal ended
            error = await end_of_token(self.guard.verifier, token, peer, sleep)
            if not complete:
                ended = error
                raise TokenEnded(error)

        with suppress(TokenEnded):
            await watched(lambda: self._call_http(scope, receive, send_and_note, token), watch)
        if ended is not None and not complete:
            await self._end(ended, started, send)

    async def _end(self, error: InvalidToken | Unavailable, started: dict[bytes, bytes] | None, send: Send) -> None:
        """End a response that has begun with the headers *started*, or not begun."""
        refusal = self.guard.refusal(error)
        if started is None:
            await _answer(refusal, send)
        elif started.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
            await send({"type": "http.response.body", "body": b""})
        else:
            raise error  # the server cuts it off, so that it does not pass for complete

    async def _call_websocket(
        self, scope: Scope, receive: Receive, send: Send, token: BoundToken, peer: PeerCertificate | None
    ) -> None:
        websocket = Websocket(scope, receive, send)

        async def watch(sleep: Sleep) -> None:
            await websocket.refuse(self.guard.refusal(await end_of_token(self.guard.verifier, token, peer, sleep)))

        try:
            await watched(lambda: self.app(scope, websocket.receive, websocket.send), watch)
        except InsufficientScope as error:
            self.guard.report(error, token)
            await websocket.refuse(self.guard.refusal(error))
        except OSError:
            if not websocket.refused:
                raise


def _presented(guard: ResourceServer, scope: Scope) -> tuple[bytes, PeerCertificate | None] | None:
    """What `ResourceServer.prepare` makes of an ``http`` or ``websocket`` scope."""
    mount, path = scope.get("root_path", ""), scope["path"]
    if type(scope["headers"]) is not list:
        scope["headers"] = list(scope["headers"])  # an iterator can be read once, and the application will want to
    return guard.prepare(
        None if scope["type"] == "websocket" else scope["method"],
        mount,
        _full_path(mount, path) if mount else path,
        scope.get("query_string", b""),
        scope["headers"],
        guard.peer_source.from_scope,
        scope,
    )


def _full_path(mount: str, path: str) -> str:
    """The path with the mount point, which some servers and frameworks leave in ``path`` and others take out."""
    return path if path == mount or path.startswith(mount.rstrip("/") + "/") else mount + path


def _private(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    fields = list(headers)
    # By its length first, which few names have.
    values = [value.decode("latin-1") for name, value in fields if len(name) == 13 and name.lower() == b"cache-control"]
    value = cache_control_to_add(values) if values else "no-store"
    if value is not None:
        fields.append((b"cache-control", value.encode()))
    return fields


async def _nothing() -> None:
    """What there is to wait for when a message is held back."""


async def _answer(refusal: Refusal, send: Send) -> None:
    for message in as_asgi(refusal):
        await send(message)
