"""The guard as server interceptors of grpcio: `BoundTokenInterceptor` for `grpc.server`, another for `grpc.aio.server`.

A call that is refused ends with a status whose details are the words of the HTTP answer, with its reference, and with
the challenge as ``www-authenticate`` in the trailing metadata: `InvalidToken` is ``UNAUTHENTICATED``,
`InsufficientScope` is ``PERMISSION_DENIED``, `InvalidRequest` is ``INVALID_ARGUMENT``, and `Unavailable`, like what was
sent as early data, is ``UNAVAILABLE``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
import logging
from threading import Event, Thread
from typing import Any, Unpack

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from ..binding import PeerCertificate
from ..errors import ConfigurationError, InsufficientScope, InvalidRequest, InvalidToken, Unavailable
from ..peer import PeerSource
from ..tokens import BoundToken, Verifier
from .challenge import Refusal
from .guard import GuardOptions, ResourceServer
from .lifetime import TokenEnded, end_of_token, watched
from .rpc import Call, WatchedCall, bound_token, challenge, details, presented, require_told
from .views import VIEW_ERRORS, refuse


__all__ = ["AsyncBoundTokenInterceptor", "BoundTokenInterceptor", "bound_token"]

_log = logging.getLogger("tokenbind")

_REQUEST_ERRORS = (InvalidRequest, InvalidToken, InsufficientScope, Unavailable)
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
}
_NOT_FOUND = (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")  # as grpcio says it, each
_NOT_DESERIALIZED = (grpc.StatusCode.INTERNAL, "Exception deserializing request!")
_NO_REQUEST = (grpc.StatusCode.UNIMPLEMENTED, "The method requires exactly one request message.")

_aio: Any = grpc.aio  # whose types do not have all of it

grpc.ServicerContext.register(Call)
grpc.aio.ServicerContext.register(Call)


class _Interceptor:
    """What both interceptors are made of: a guard, and what gRPC tells of a call.

    Whatever the kind of a method, its requests are taken as a stream. So nothing of a call is read, waited for or
    deserialized before the guard has let it in, and who has no token learns nothing of the methods that there are.
    """

    def __init__(
        self,
        verifier: Verifier,
        peer_source: PeerSource | None = None,
        *,
        end_streams: bool = False,
        **options: Unpack[GuardOptions],
    ) -> None:
        require_told(peer_source)
        self.guard: ResourceServer = ResourceServer(verifier, peer_source, **options)
        self._end_streams = end_streams

    def _ends(self, handler: Any) -> bool:
        return self._end_streams and (handler.request_streaming or handler.response_streaming)


class BoundTokenInterceptor(_Interceptor, grpc.ServerInterceptor):  # type: ignore[misc]
    """For ``grpc.server(..., interceptors=[BoundTokenInterceptor(verifier)])``; put it first.

    Lets a call through only with a token that is bound to its peer's certificate; `bound_token` gives it to the
    servicer. An `InsufficientScope` that a servicer raises, in the midst of a stream too, is ``PERMISSION_DENIED``.

    It does NOT guard what other interceptors do before the call runs, in their ``intercept_service``.

    Args:
        verifier, peer_source: As for `ResourceServer`, and so are *options*. The certificate is that of the secure
            port. A method is exempt by ``("POST", "/package.Service/Method")``; ``mount`` has no use. A proxy is not
            known by a Unix socket here, nor a call by its host: gRPC tells neither.
        end_streams: Whether calls with a stream on either side end within a second after their token has expired or
            was revoked, idle ones too, as if they were refused then. It takes a thread for each of them.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """For grpcio: the method's handler, behind the guard."""
        handler = continuation(handler_call_details) or grpc.stream_stream_rpc_method_handler(_not_found)
        behavior, method = _behavior(handler), handler_call_details.method

        def run(requests: Iterator[Any], call: Any) -> Any:
            return behavior(requests if handler.request_streaming else _only(requests, call, handler), call)

        def unary(requests: Iterator[Any], context: Any) -> Any:
            with self._guarded(context, method, handler) as call:
                return run(requests, call)

        def stream(requests: Iterator[Any], context: Any) -> Iterator[Any]:
            with self._guarded(context, method, handler) as call:
                yield from run(requests, call)

        return _taking_a_stream(handler, stream if handler.response_streaming else unary)

    @contextmanager
    def _guarded(self, context: Any, method: str, handler: Any) -> Generator[Call]:
        guard, token = self.guard, None
        try:
            found = presented(guard, context, method)
            if found is not None:
                token = guard.finish(guard.verifier.verify(*found))
                if self._ends(handler):
                    self._watch(context, token, found[1])
        except _REQUEST_ERRORS as error:
            _abort(context, guard.refusal(error))
            raise
        try:
            yield Call(context, token, guard.hidden_headers)
        except VIEW_ERRORS as error:
            _abort(context, refuse(guard, error, token))
            raise

    def _watch(self, context: Any, token: BoundToken, peer: PeerCertificate | None) -> None:
        over, verifier = Event(), self.guard.verifier

        def watch() -> None:
            try:
                while not over.wait(verifier.recheck(token, peer)):
                    pass
            except (InvalidToken, Unavailable) as error:
                _end(context, self.guard.refusal(error))
            except BaseException:
                context.cancel()  # rather than let it go on unwatched
                raise

        if context.add_callback(over.set):
            Thread(target=watch, name="tokenbind-stream", daemon=True).start()


class AsyncBoundTokenInterceptor(_Interceptor, grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """For ``grpc.aio.server(interceptors=[AsyncBoundTokenInterceptor(verifier)])``; as `BoundTokenInterceptor`.

    The servicer's methods must be coroutines or asynchronous generators; grpcio takes others for a time, this does not.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    async def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """For grpcio: the method's handler, behind the guard."""
        handler = await continuation(handler_call_details) or grpc.stream_stream_rpc_method_handler(_not_found_async)
        guard, method = self.guard, handler_call_details.method

        async def guarded(requests: Any, context: Any) -> Any:
            token = end = None
            try:
                found = presented(guard, context, method)
                if found is not None:
                    token = guard.finish(await guard.verifier.verify_async(*found))
                    if self._ends(handler):
                        end = partial(end_of_token, guard.verifier, token, found[1])
            except _REQUEST_ERRORS as error:
                refusal = guard.refusal(error)
            else:
                hidden = guard.hidden_headers
                call = Call(context, token, hidden) if end is None else WatchedCall(context, token, hidden, end)
                try:
                    return await _run(handler, requests, call)
                except TokenEnded as ended:
                    refusal = guard.refusal(ended.error)
                    await call.settled()
                except VIEW_ERRORS as error:
                    refusal = refuse(guard, error, token)
            return await context.abort(_code(refusal), details(refusal), challenge(refusal))

        return _taking_a_stream(handler, guarded)


async def _run(handler: Any, requests: Any, call: Any) -> Any:
    behavior, response = _behavior(handler), None

    async def run() -> None:
        nonlocal response
        request = requests if handler.request_streaming else await _only_async(call, handler)
        if iscoroutinefunction(behavior):
            response = await behavior(request, call)
        elif isasyncgenfunction(behavior):
            async with aclosing(behavior(request, call)) as messages:
                async for message in messages:
                    await call.write(message)
        else:
            raise ConfigurationError("methods of servicers must be coroutines or asynchronous generators here")

    await (watched(run, call.watch) if isinstance(call, WatchedCall) else run())
    return response


def _behavior(handler: Any) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _taking_a_stream(handler: Any, behavior: Any) -> Any:
    """*handler* with another behavior, and with its requests as a stream; a single one as it came."""
    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    deserializer = handler.request_deserializer if handler.request_streaming else None
    return make(behavior, deserializer, handler.response_serializer)


def _only(requests: Iterator[Any], context: Any, handler: Any) -> Any:
    for request in requests:
        try:
            return _deserialized(request, handler)
        except Exception:  # noqa: BLE001 - of any library
            _log.exception("a request cannot be deserialized")
            return context.abort(*_NOT_DESERIALIZED)
    return context.abort(*_NO_REQUEST)


async def _only_async(context: Any, handler: Any) -> Any:
    request = await context.read()
    return await context.abort(*_NO_REQUEST) if request is _aio.EOF else _deserialized(request, handler)


def _deserialized(request: bytes, handler: Any) -> Any:
    return request if handler.request_deserializer is None else handler.request_deserializer(request)


def _not_found(_requests: Any, context: Any) -> Any:
    return context.abort(*_NOT_FOUND)


async def _not_found_async(_requests: Any, context: Any) -> Any:
    await context.abort(*_NOT_FOUND)


def _code(refusal: Refusal) -> Any:
    return _CODES.get(refusal.status, grpc.StatusCode.UNAVAILABLE)


def _abort(context: Any, refusal: Refusal) -> None:
    context.set_trailing_metadata(challenge(refusal))
    context.abort(_code(refusal), details(refusal))


def _end(context: Any, refusal: Refusal) -> None:
    """End a call of the synchronous server from another thread than its own.

    All that is public is to cancel it: its client sees ``CANCELLED``. What that does inside can also say why.
    """
    try:
        context._rpc_event.call.cancel(_code(refusal).value[0], details(refusal))
    except Exception:  # noqa: BLE001 - it is grpcio's own, and may change
        context.cancel()
