"""The guard as ASGI middleware, pure ASGI: for Starlette, FastAPI, Quart, Litestar, Django's ASGI, or no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from ..errors import InsufficientScope, InvalidRequest, InvalidToken, Reason, Unavailable
from ..monitoring import Monitor
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from .challenge import Refusal, cache_control_to_add
from .guard import ResourceServer


__all__ = ["TOKEN_KEY", "BoundTokenMiddleware", "authenticate"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where the `BoundToken` stands in the scope.
TOKEN_KEY = "tokenbind.token"

_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


class BoundTokenMiddleware:
    """Lets a request through to *app* only with a token that is bound to its peer's certificate.

    The application finds the `BoundToken` in ``scope["tokenbind.token"]``. ``http`` and ``websocket`` are guarded,
    ``lifespan`` passes, any other type is refused. Answers of the application are marked so that no shared cache keeps
    them, and an `InsufficientScope` that it raises becomes the answer 403.

    The arguments after *app* are those of `ResourceServer`.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        peer_source: PeerSource | None = None,
        *,
        realm: str = "api",
        required_scopes: Collection[str] = (),
        exempt: Collection[tuple[str, str]] = (),
        monitor: Monitor | None = None,
    ) -> None:
        self.app = app
        self.guard: ResourceServer = ResourceServer(
            verifier, peer_source, realm=realm, required_scopes=required_scopes, exempt=exempt, monitor=monitor
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise InvalidRequest(
                Reason.SCOPE_TYPE_REFUSED, "this type of ASGI connection cannot be guarded, so it is refused"
            )
        try:
            token = await authenticate(self.guard, scope)
        except (InvalidRequest, InvalidToken, InsufficientScope, Unavailable) as error:
            await _refuse(self.guard.refusal(error), kind, receive, send)
            return
        guarded = {**scope, TOKEN_KEY: token}
        if token is None:
            await self.app(guarded, receive, send)
        elif kind == "websocket":
            await self._call_websocket(guarded, receive, send, token)
        else:
            await self._call_http(guarded, receive, send, token)

    async def _call_http(self, scope: Scope, receive: Receive, send: Send, token: BoundToken) -> None:
        started = refused = False

        async def refuse(error: InsufficientScope) -> None:
            nonlocal refused
            refused = True
            self.guard.report(error, token)
            await _refuse(self.guard.refusal(error), "http", receive, send)

        async def send_private(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if refused:
                return
            if message["type"] == "http.response.start":
                if message["status"] == 500 and token.scope_refusal is not None:
                    # A framework that answers 500 to every error, and then lets it pass, such as Starlette.
                    await refuse(token.scope_refusal)
                    return
                started = True
                message = {**message, "headers": _private(message.get("headers", ()))}
            await send(message)

        try:
            await self.app(scope, receive, send_private)
        except InsufficientScope as error:
            if started:
                raise
            if not refused:
                await refuse(error)

    async def _call_websocket(self, scope: Scope, receive: Receive, send: Send, token: BoundToken) -> None:
        try:
            await self.app(scope, receive, send)
        except InsufficientScope as error:
            self.guard.report(error, token)
            self.guard.refusal(error)
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


async def authenticate(guard: ResourceServer, scope: Scope) -> BoundToken | None:
    """The token of an ``http`` or ``websocket`` scope, or None if it is exempt.

    Raises:
        InvalidRequest, InvalidToken, InsufficientScope, Unavailable: see `ResourceServer.authenticate`.
    """
    headers = scope["headers"]
    presented = guard.prepare(
        None if scope["type"] == "websocket" else scope["method"],
        _full_path(scope),
        scope.get("query_string", b""),
        [value for name, value in headers if name == b"authorization"],
        [value for name, value in headers if name == b"early-data"],
        lambda: guard.peer_source.from_scope(scope),
    )
    return None if presented is None else guard.finish(await guard.verifier.verify_async(*presented))


def _full_path(scope: Scope) -> str:
    """The path with the mount point, which some servers and frameworks leave in ``path`` and others take out."""
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    return path if not root or path == root or path.startswith(root.rstrip("/") + "/") else root + path


def _private(headers: Any) -> list[tuple[bytes, bytes]]:
    fields = list(headers)
    value = cache_control_to_add(value.decode("latin-1") for name, value in fields if name.lower() == b"cache-control")
    return fields if value is None else [*fields, (b"cache-control", value.encode())]


async def _refuse(refusal: Refusal, kind: str, receive: Receive, send: Send) -> None:
    if kind == "websocket":
        await receive()  # websocket.connect; closing instead of accepting makes the server answer 403
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})
