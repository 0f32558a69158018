"""One service in both colours of grpcio, and servers for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import threading

import grpc
import grpc.aio

from tokenbind.resource_server.grpc import AsyncBoundTokenInterceptor, BoundTokenInterceptor, bound_token


DEADLINE_SECONDS = 20
LARGE = b"x" * 3_000_000  # more than is sent to a client that does not listen
KINDS = {  # of each method: whether its requests, and its responses, are a stream
    "WhoAmI": (False, False),
    "Count": (False, True),
    "Total": (True, False),
    "Chat": (True, True),
    "Narrow": (False, False),
    "NarrowLate": (False, True),
    "Idle": (False, True),
    "IdleTotal": (True, False),
    "IdleChat": (True, True),
    "Large": (False, True),
    "Open": (False, False),
    "Broken": (False, False),
}


class Service:
    """For `grpc.server`. Answers with the thumbprint of the token."""

    def __init__(self):
        self.events = []  # what has become of idle calls
        self.finished = []  # what gRPC has told of their end
        self.released = threading.Event()  # lets them end
        self.read = []  # every message that was deserialized

    def deserialize(self, message):
        if message == b"broken":
            raise ValueError("cannot be deserialized")
        self.read.append(message)
        return message

    def WhoAmI(self, request, context):  # noqa: N802 - as gRPC names methods
        return bound_token(context).thumbprint.encode()

    def Count(self, request, context):  # noqa: N802
        context.send_initial_metadata([("greeting", "hello")])
        for _ in range(3):
            yield self.WhoAmI(request, context)

    def Total(self, requests, context):  # noqa: N802
        return b"%d %s" % (len(list(requests)), self.WhoAmI(None, context))

    def Chat(self, requests, context):  # noqa: N802
        for request in requests:
            yield request + b" " + self.WhoAmI(None, context)

    def Narrow(self, request, context):  # noqa: N802
        bound_token(context).require_scope("write")
        return b"done"

    def NarrowLate(self, request, context):  # noqa: N802
        yield b"first"
        yield self.Narrow(request, context)

    def Idle(self, request, context):  # noqa: N802
        context.add_callback(lambda: self.finished.append(True))
        yield b"first"
        self._wait(context)
        yield b"last"

    def IdleTotal(self, requests, context):  # noqa: N802
        threading.Thread(target=self._wait, args=[context]).start()
        return b"%d" % len(list(requests))

    def IdleChat(self, requests, context):  # noqa: N802
        yield b"first"
        threading.Thread(target=self._wait, args=[context]).start()
        yield from requests

    def Large(self, request, context):  # noqa: N802
        yield LARGE
        self._wait(context)

    def Open(self, request, context):  # noqa: N802
        return b"open"

    def Broken(self, request, context):  # noqa: N802
        context.abort(grpc.StatusCode.DATA_LOSS, "its own")

    def _wait(self, context):
        if context.add_callback(self.released.set):  # it is not over already
            self.released.wait(DEADLINE_SECONDS)
        self.events.append("over" if not context.is_active() else "released")


class AsyncService(Service):
    """The same for `grpc.aio.server`; in the form of coroutines that write, and of generators."""

    async def WhoAmI(self, request, context):  # noqa: N802
        return bound_token(context).thumbprint.encode()

    async def Count(self, request, context):  # noqa: N802
        await context.send_initial_metadata([("greeting", "hello")])
        for _ in range(3):
            await context.write(await self.WhoAmI(request, context))

    async def Total(self, requests, context):  # noqa: N802
        return b"%d %s" % (len([request async for request in requests]), await self.WhoAmI(None, context))

    async def Chat(self, requests, context):  # noqa: N802
        async for request in requests:
            yield request + b" " + await self.WhoAmI(None, context)

    async def Narrow(self, request, context):  # noqa: N802
        return super().Narrow(request, context)

    async def NarrowLate(self, request, context):  # noqa: N802
        yield b"first"
        yield await self.Narrow(request, context)

    async def Idle(self, request, context):  # noqa: N802
        context.add_done_callback(lambda _: self.finished.append(True))
        yield b"first"
        await self._wait_async()
        yield b"last"

    async def IdleTotal(self, requests, context):  # noqa: N802
        await self._wait_async()
        return b"%d" % len([request async for request in requests])

    async def IdleChat(self, requests, context):  # noqa: N802
        await context.write(b"first")
        await self._wait_async()

    async def Large(self, request, context):  # noqa: N802
        yield LARGE
        await self._wait_async()

    async def Open(self, request, context):  # noqa: N802
        return b"open"

    async def Broken(self, request, context):  # noqa: N802
        await context.abort(grpc.StatusCode.DATA_LOSS, "its own")

    async def _wait_async(self):
        try:
            while not self.released.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)
            self.events.append("released")
        except asyncio.CancelledError:
            self.events.append("over")
            raise


def until(condition):
    """Wait for what happens in another thread."""
    waiting = threading.Event()
    for _ in range(DEADLINE_SECONDS * 100):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it has not happened")


def handlers(service):
    """As generated code has them."""
    makers = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    return {
        name: makers[kind](getattr(service, name), request_deserializer=service.deserialize)
        for name, kind in KINDS.items()
    }


def _register(server, service, credentials):
    methods = handlers(service)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", methods)])
    server.add_registered_method_handlers("test.Service", methods)
    if credentials is None:
        return server.add_insecure_port("127.0.0.1:0")
    return server.add_secure_port("127.0.0.1:0", credentials)


@contextmanager
def serving(service, verifier, credentials, *, before=(), after=(), threads=8, **options):
    """Serve *service* behind the guard, with other interceptors before and after it; gives the port."""
    pool = ThreadPoolExecutor(threads)
    guard = BoundTokenInterceptor(verifier, **options)
    server = grpc.server(pool, interceptors=[*before, guard, *after])
    port = _register(server, service, credentials)
    server.start()
    try:
        yield port
    finally:
        service.released.set()
        assert server.stop(0).wait(DEADLINE_SECONDS)
        pool.shutdown()


@contextmanager
def serving_async(service, verifier, credentials, *, before=(), after=(), **options):
    """The same with `grpc.aio`, in a thread of its own."""
    started, stop, ports = threading.Event(), [], []

    async def main():
        guard = AsyncBoundTokenInterceptor(verifier, **options)
        server = grpc.aio.server(interceptors=[*before, guard, *after])
        ports.append(_register(server, service, credentials))
        await server.start()
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        started.set()
        await over.wait()
        await server.stop(0)

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    assert started.wait(DEADLINE_SECONDS)
    try:
        yield ports[0]
    finally:
        service.released.set()
        stop[0]()
        thread.join(DEADLINE_SECONDS)
