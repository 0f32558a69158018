"""A websocket of an ASGI application, which can be refused or closed in the form that its state allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from .challenge import Refusal, as_asgi


__all__ = ["Websocket"]

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013  # RFC 6455 §7.4.1, and the registry of close codes


class Websocket:
    """Stands between server and application, with a `receive` and a `send` for the latter."""

    def __init__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        self._receive, self._send = receive, send
        self._can_answer = "websocket.http.response" in (scope.get("extensions") or {})
        self.refused: bool = False
        self._accepted = self._closed = False
        self._code = _POLICY_VIOLATION

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message for the application."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed = True
        elif self.refused:
            # Servers hand on what came before, and what a client sends that never answers the close frame.
            return {"type": "websocket.disconnect", "code": self._code}
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass *message* on.

        Raises:
            OSError: if the websocket was refused or closed meanwhile, as the ASGI specification has it.
        """
        if self.refused:
            raise OSError("the websocket was closed, because its token does not stand any more")
        kind = message["type"]
        if kind == "websocket.accept":
            self._accepted = True
        elif kind in ("websocket.close", "websocket.http.response.start"):
            self._closed = True
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer the handshake with *refusal*, as far as the server can; close what was accepted (RFC 6455 §7.4.1)."""
        self.refused = True
        self._code = _TRY_AGAIN_LATER if refusal.status == 503 else _POLICY_VIOLATION
        if self._closed:
            return
        self._closed = True
        if self._can_answer and not self._accepted:
            for message in as_asgi(refusal, "websocket.http.response"):
                await self._send(message)
            return
        with suppress(OSError):  # the client has gone
            await self._send({"type": "websocket.close", "code": self._code})
