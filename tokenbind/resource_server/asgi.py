"""The guard as ASGI middleware, pure ASGI: for Starlette, FastAPI, Quart, Litestar, Django's ASGI, or no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from ..binding import PeerCertificate
from ..errors import InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable
from ..tokens import BoundToken
from .challenge import Refusal, cache_control_to_add
from .guard import ResourceServer
from .middleware import Guarded


__all__ = ["TOKEN_KEY", "BoundTokenMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where the `BoundToken` stands in the scope.
TOKEN_KEY = "tokenbind.token"

_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


class BoundTokenMiddleware(Guarded[App]):
    """Lets a request through to *app* only with a token that is bound to its peer's certificate.

    The application finds the `BoundToken` in ``scope["tokenbind.token"]``. ``http`` and ``websocket`` are guarded,
    ``lifespan`` passes, any other type is refused. Answers of the application are marked so that no shared cache keeps
    them, and an `InsufficientScope` that it raises becomes the answer 403.

    The arguments after *app* are those of `ResourceServer`.
    """

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
            await _refuse(guard.refusal(error), kind, receive, send)
            return
        guarded = {**scope, TOKEN_KEY: token}
        if token is None:
            await self.app(guarded, receive, send)
        elif kind == "websocket":
            await self._call_websocket(guarded, receive, send, token)
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
            await _refuse(self.guard.refusal(refused), "http", receive, send)

    async def _call_websocket(self, scope: Scope, receive: Receive, send: Send, token: BoundToken) -> None:
        try:
            await self.app(scope, receive, send)
        except InsufficientScope as error:
            self.guard.report(error, token)
            self.guard.refusal(error)
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


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


async def _refuse(refusal: Refusal, kind: str, receive: Receive, send: Send) -> None:
    if kind == "websocket":
        await receive()  # websocket.connect; closing instead of accepting makes the server answer 403
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})
